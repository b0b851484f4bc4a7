"""``doyen medical audit``: the append-only log of rankings and decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The append-only log of rankings and decisions.")


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An audit log; default: Doyen's own.")] = None,
    expect: Annotated[
        str, typer.Option(help="A digest that you kept elsewhere: it must be in the log.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check that no line of the log was altered, moved or removed. Exit status 2, and MED-071, where one was.

    Examples:

        doyen medical audit verify

        doyen medical audit verify audit.jsonl --expect 3f0c…
    """
    from doyen_medical import audit

    file = file or audit.default_file()
    check = audit.verify(file, expect)
    if as_json:
        typer.echo(
            json.dumps({"file": str(file), "entries": check.entries, "last": check.last, "head": check.head})
        )
        return
    typer.echo(f"{check.entries} entries, whole; last {check.last}")
    if not check.head:
        typer.echo("Note: there is no head file beside it, so lines cut from the end would not be noticed.")


@app.command()
def show(
    file: Annotated[Path | None, typer.Argument(help="An audit log; default: Doyen's own.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The last N entries.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show the last entries: who, what, which input by its digest, first candidate, decision.

    Example:

        doyen medical audit show --limit 5
    """
    from collections import deque

    from doyen_medical import audit

    for entry in deque(audit.entries(file or audit.default_file()), maxlen=limit):
        if as_json:
            typer.echo(entry.model_dump_json())
        else:
            first = f"{entry.ranks[0][0]} {entry.ranks[0][1]:.1%}" if entry.ranks else "nothing ranked"
            typer.echo(
                f"{entry.number}  {entry.time}  {entry.who}  {entry.action} {entry.decision}"
                f"  input {entry.input_sha256[:12]}  {first}  {entry.abstained}"
            )
