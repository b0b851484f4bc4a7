"""``doyen finance train``: the shipped weights anew, one command a part."""

from __future__ import annotations

import typer

from doyen_finance.cli.release import release
from doyen_finance.cli.train_forecaster import forecaster
from doyen_finance.cli.train_questions import questions
from doyen_finance.cli.train_risk import train_risk
from doyen_finance.cli.train_sentiment import sentiment, sentiment_lora
from doyen_finance.cli.train_statement_tags import train_statement_tags

app = typer.Typer(no_args_is_help=True, help="Train what is shipped.")
app.command()(sentiment)
app.command("sentiment-lora")(sentiment_lora)
app.command()(forecaster)
app.command("risk")(train_risk)
app.command()(questions)
app.command("statement-tags")(train_statement_tags)
app.command()(release)
