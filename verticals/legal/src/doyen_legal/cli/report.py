"""``doyen legal report`` and ``doyen legal schema``: reports again in other formats, and their JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from doyen_schemas import Report


def report(
    report_file: Annotated[
        Path, typer.Argument(metavar="REPORT", help="A report.json of an earlier review.")
    ],
    document: Annotated[Path, typer.Option(help="The file that was reviewed.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    formats: Annotated[
        str, typer.Option(help="Any of json, csv, html, docx, pdf, ics.")
    ] = "html,docx,pdf,csv,ics",
) -> None:
    """Write a report again, without reviewing the document again.

    Example:

        doyen legal report out/report.json --document contract.pdf --out out --formats html,docx
    """
    from doyen_documents import read
    from doyen_legal.report import write

    loaded = load(report_file)
    names = [name.strip() for name in formats.split(",") if name.strip()]
    text = read(document, name=loaded.document.name)
    written = write(loaded, text, out, names, source=document)
    for path in written.values():
        typer.echo(path)
    for name, note in written.notes.items():
        typer.echo(f"{name}: {note}", err=True)


def schema(
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
) -> None:
    """Print the JSON Schema that every report.json follows."""
    from doyen_legal.report.as_json import json_schema
    from doyen_legal.report.write import write_atomic

    if out is None:
        typer.echo(json_schema(), nl=False)
    else:
        write_atomic(out, json_schema().encode())


def load(path: Path) -> Report:
    """Read a report file; raises LEG-046 for what is not one."""
    from pydantic import ValidationError

    from doyen_schemas import DoyenError, Report

    try:
        return Report.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DoyenError(
            "LEG-046",
            f"the report {path} cannot be read ({error.strerror}).",
            "Name a report.json of a review.",
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise DoyenError(
            "LEG-046",
            f"{path.name} is not a report of schema version 1: {where}: {first['msg'][:120]}.",
            "Name a report.json of a review; `doyen legal schema` prints its schema.",
        ) from error
