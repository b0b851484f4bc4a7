"""``doyen legal playbook``: list, show and check playbooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from doyen_legal.playbook import Playbook

app = typer.Typer(help="List, show and check playbooks.", no_args_is_help=True)


@app.command("list")
def list_playbooks(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """The playbooks that come with the package."""
    from doyen_legal.playbook import load_playbook, shipped

    rows = [summary(load_playbook(name)) for name in shipped()]
    if as_json:
        typer.echo(json.dumps({"playbooks": rows}))
        return
    for row in rows:
        typer.echo(
            f"{row['name']:<8} {row['version']:<8} {row['rules']:>3} rules  {' / '.join(row['sides'])}  {row['title']}"
        )


@app.command()
def show(name: Annotated[str, typer.Argument(help="A shipped playbook's name, or a YAML file.")]) -> None:
    """Print a playbook as YAML, to read or to start one's own from."""
    from doyen_legal.playbook.load import FOLDER, load_playbook, shipped

    load_playbook(name)
    path = FOLDER / f"{name}.yaml" if name in shipped() else Path(name)
    typer.echo(path.read_text(encoding="utf-8"), nl=False)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A playbook in YAML.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Read a playbook and report every error in it, with its line."""
    from doyen_legal.playbook import load_playbook

    row = summary(load_playbook(file))
    typer.echo(
        json.dumps(row)
        if as_json
        else f"{file}: valid, {row['rules']} rules for {' and '.join(row['sides'])}."
    )


def summary(playbook: Playbook) -> dict[str, Any]:
    """What a listing says of a playbook."""
    return {
        "name": playbook.name, "version": playbook.version, "title": playbook.title,
        "contract_type": playbook.contract_type, "sides": list(playbook.sides), "rules": len(playbook.rules),
    }  # fmt: skip
