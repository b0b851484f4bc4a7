"""``doyen bench NAME``: figures measured on this machine, of a vertical's card or of an installed benchmark."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer

from doyen_runtime import verticals
from doyen_runtime.commands.output import print_json, print_table
from doyen_schemas import DoyenError


def bench(
    name: Annotated[
        str, typer.Argument(help="An installed vertical, or a benchmark such as training or recovery.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a benchmark and print its figures.

    Examples: `doyen bench legal`, `doyen bench training --json`, `doyen bench recovery --json`.
    """
    found = [point for point in entry_points(group="doyen.benches") if point.name == name]
    run = found[0].load() if found else verticals.load(name).bench
    if run is None:
        raise DoyenError("RUN-009", f"the vertical {name!r} has no benchmark", "Choose another vertical.")
    figures = run()
    if json:
        print_json(figures)
    else:
        print_table(("figure", "value"), figures.items())
