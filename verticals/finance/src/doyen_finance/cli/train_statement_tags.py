"""``doyen finance train statement-tags``: the memory of labelled rows anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def train_statement_tags(
    data: Annotated[Path, typer.Option(help="Inline XBRL reports, a folder or tar.")],
    out: Annotated[Path, typer.Option(help="Folder of the part.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train what maps statement rows to us-gaap elements; prints its accuracy on companies left out.

    Example:

        doyen finance train statement-tags --data reports.tar.xz --out adapter/statements
    """
    from doyen_finance.statements.train_tags import train

    about = train(data, out, f"doyen finance train statement-tags --data {data.name}")
    if as_json:
        typer.echo(json.dumps(about))
    else:
        measured = about["out_of_company"]
        typer.echo(f"{about['rows']} rows of {len(about['companies'])} companies")
        typer.echo(f"out of company: accuracy {measured['accuracy']}, at most {measured['ceiling']}")
