"""``doyen finance …``: one module a command, imported when it is called."""

from __future__ import annotations

import typer

from doyen_finance.cli.ask import ask
from doyen_finance.cli.audit_backtest import audit_backtest
from doyen_finance.cli.backtest import backtest
from doyen_finance.cli.evaluate import evaluate
from doyen_finance.cli.forecast import forecast
from doyen_finance.cli.parse import parse
from doyen_finance.cli.risk import app as risk
from doyen_finance.cli.sentiment import app as sentiment
from doyen_finance.cli.train import app as train

app = typer.Typer(
    no_args_is_help=True, help="Reports into checked tables, sentiment per entity, honest forecasts, risk."
)
app.command()(ask)
app.command()(audit_backtest)
app.command()(backtest)
app.command()(evaluate)
app.command()(forecast)
app.command()(parse)
app.add_typer(risk, name="risk")
app.add_typer(sentiment, name="sentiment")
app.add_typer(train, name="train")
