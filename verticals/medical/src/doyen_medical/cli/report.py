"""``doyen medical report``, ``schema`` and ``sign``: reports again in other formats, their schema, the decision."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Decision(StrEnum):
    """What the reviewer says of the report's proposals."""

    accept = "accept"
    reject = "reject"


def report(
    report_file: Annotated[Path, typer.Argument(metavar="REPORT", help="A report.json, or one of a batch.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    formats: Annotated[str, typer.Option(help="Any of json, html, fhir, divided by commas.")] = "html",
    language: Annotated[str, typer.Option(help="Of the page: en or zh.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write a report again, without ranking again.

    Examples:

        doyen medical report out/report.json --out out --language zh

        doyen medical report results/0001.json --out case-1 --formats html,fhir
    """
    from doyen_medical.report.as_json import read_report
    from doyen_medical.report.write import write

    names = [name.strip() for name in formats.split(",") if name.strip()]
    written = write(read_report(report_file), out, names, language)
    if as_json:
        typer.echo(json.dumps({"written": {name: str(path) for name, path in written.items()}}))
    else:
        for path in written.values():
            typer.echo(path)


def schema(
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
) -> None:
    """Print the JSON Schema that every report follows.

    Example:

        doyen medical schema --out report.schema.json
    """
    from doyen_medical.report.as_json import json_schema
    from doyen_medical.report.write import write_atomic

    if out is None:
        typer.echo(json_schema(), nl=False)
    else:
        write_atomic(out, json_schema().encode())


def sign(
    report_file: Annotated[Path, typer.Argument(metavar="REPORT", help="The report.json to decide on.")],
    by: Annotated[str, typer.Option(help="Name of the person who decides.")],
    decision: Annotated[Decision, typer.Option(help="Accept or reject the report's proposals.")],
    note: Annotated[str, typer.Option(help="Kept in the report, never in the audit log.")] = "",
    log: Annotated[Path | None, typer.Option("--audit", help="The audit log; default: Doyen's own.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write your decision into the report, the page beside it and the audit log. It cannot be changed afterwards.

    Example:

        doyen medical sign out/report.json --by "Dr. A. Example" --decision accept --note "CDKL5 panel ordered"
    """
    from doyen_medical import audit
    from doyen_medical.report.write import sign as write_decision

    signed = write_decision(report_file, by, decision.value, note, log)
    assert signed.sign_off is not None
    known = audit.logged(signed.sign_off.report_sha256, log or audit.default_file())
    if as_json:
        typer.echo(json.dumps({**signed.sign_off.model_dump(exclude={"note"}), "ranking_logged": known}))
        return
    typer.echo(f"{decision.value}ed by {signed.sign_off.by}, audit entry {signed.sign_off.audit[:16]}")
    if not known:
        typer.echo(
            "Note: this audit log has no ranking of exactly this report: it was made elsewhere, or edited."
        )
