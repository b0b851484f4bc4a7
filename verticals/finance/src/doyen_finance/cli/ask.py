"""``doyen finance ask``: a question over a report, answered with its calculation and cells, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def ask(
    question: Annotated[str, typer.Argument(help="The question, in English.")],
    report: Annotated[
        Path,
        typer.Option(
            help="A PDF, the JSON of doyen finance parse, a table as CSV, or table and paragraphs as JSON."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Answer a question from the tables of a report; every number is a cell's or the calculator's.

    The answer comes with its calculation, the cells or sentences that it rests on, and a confidence. Below the
    calibrated threshold it is refused, and the reason given.

    Examples:

        doyen finance ask "What was the change in revenue from 2018 to 2019?" --report report.pdf

        doyen finance ask "In which year was net income larger?" --report table.csv --json
    """
    from doyen_finance.questions.ask import ask as answer

    found = answer(question, report)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    if found.answer is None:
        typer.echo(f"Refused. {found.reason}")
    else:
        unit = "" if found.scale in ("", "percent") else f" {found.scale}"
        unit = "%" if found.scale == "percent" and not any("%" in part for part in found.answer) else unit
        typer.echo("; ".join(found.answer) + unit)
        for step in found.steps:
            typer.echo(f"  {step}")
    typer.echo(f"confidence {found.confidence:.2f}")
    for cited in found.citations:
        place = (
            f"row {cited.row}, column {cited.column}"
            if cited.kind == "cell"
            else f"paragraph {cited.paragraph}"
        )
        page = f"page {cited.page}, " if cited.page is not None else ""
        name = " / ".join(part for part in (cited.label, cited.header) if part)
        typer.echo(f"  {page}{place}: {name + ': ' if name else ''}{cited.text}")
