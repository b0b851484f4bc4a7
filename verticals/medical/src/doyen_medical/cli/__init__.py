"""``doyen medical …``: one module a command, imported when it is called."""

from __future__ import annotations

import typer

from doyen_medical.cli.audit import app as audit
from doyen_medical.cli.diagnose import diagnose
from doyen_medical.cli.evaluate import evaluate
from doyen_medical.cli.evidence import app as evidence
from doyen_medical.cli.knowledge import app as knowledge
from doyen_medical.cli.reanalyse import reanalyse
from doyen_medical.cli.reasoner import app as reasoner
from doyen_medical.cli.report import report, schema, sign
from doyen_medical.cli.train import app as train

app = typer.Typer(no_args_is_help=True, help="Rare-disease differential: ranked, explained, with sources.")
app.command()(diagnose)
app.command()(report)
app.command()(schema)
app.command()(sign)
app.add_typer(audit, name="audit")
app.command()(reanalyse)
app.command()(evaluate)
app.add_typer(knowledge, name="knowledge")
app.add_typer(evidence, name="evidence")
app.add_typer(reasoner, name="reasoner")
app.add_typer(train, name="train")
