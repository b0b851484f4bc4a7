"""``doyen legal …``: one module a command, imported when it is called."""

from __future__ import annotations

import typer

from doyen_legal.cli.check import check
from doyen_legal.cli.evaluate import evaluate
from doyen_legal.cli.outcomes import fit_outcomes
from doyen_legal.cli.playbook import app as playbook
from doyen_legal.cli.report import report, schema
from doyen_legal.cli.review import demo, review
from doyen_legal.cli.reviewer import app as reviewer
from doyen_legal.cli.train import app as train

app = typer.Typer(no_args_is_help=True, help="Review contracts: clauses, faults, playbooks, redlines, dates.")
app.command()(review)
app.command()(check)
app.command()(report)
app.command()(schema)
app.add_typer(playbook, name="playbook")
app.command("fit-outcomes")(fit_outcomes)
app.command()(evaluate)
app.add_typer(train, name="train")
app.add_typer(reviewer, name="reviewer")
app.command()(demo)
