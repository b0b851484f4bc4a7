"""``doyen bench VERTICAL``: the figures that the vertical's card states, measured on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from doyen_runtime import verticals
from doyen_runtime.commands.output import print_json, print_table
from doyen_schemas import DoyenError


def bench(
    vertical: Annotated[str, typer.Argument(help="Name of an installed vertical.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run a vertical's benchmark and print its figures."""
    chosen = verticals.load(vertical)
    if chosen.bench is None:
        raise DoyenError(
            "RUN-009",
            f"the vertical {vertical!r} {chosen.version} has no benchmark",
            "Choose another vertical.",
        )
    figures = chosen.bench()
    if json:
        print_json(figures)
    else:
        print_table(("figure", "value"), figures.items())
