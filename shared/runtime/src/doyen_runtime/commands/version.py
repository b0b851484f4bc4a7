"""``doyen version``: what is installed, for a report of a fault."""

from __future__ import annotations

import platform
from importlib.metadata import distributions
from typing import Annotated

import typer

from doyen_runtime import verticals
from doyen_runtime.commands.output import print_json, print_table


def version(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Show the installed versions of Doyen's packages and verticals."""
    packages = {
        dist.name: dist.version
        for dist in sorted(distributions(), key=lambda d: d.name)
        if dist.name.startswith("doyen-")
    }
    loaded, errors = verticals.load_all()
    if json:
        print_json(
            {
                "python": platform.python_version(),
                "packages": packages,
                "verticals": {
                    v.name: {"version": v.version, "pipeline_version": v.pipeline_version}
                    for v in loaded.values()
                },
                "broken": {name: str(error) for name, error in errors.items()},
            }
        )
        return
    print_table(("package", "version"), packages.items())
    for name, error in errors.items():
        typer.echo(f"vertical {name}: {error}", err=True)
