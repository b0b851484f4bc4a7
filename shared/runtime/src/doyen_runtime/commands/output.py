"""What the commands print: one JSON object for programs, a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer


def print_json(value: Mapping[str, Any]) -> None:
    """Print exactly one JSON object on stdout."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their column names on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        # The first column is what one copies: it is never cut.
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


def print_figures(result: Mapping[str, Any], indent: str = "") -> None:
    """Print an evaluation's figures one a line, with the interval that ``ci95`` has of each."""
    intervals = result.get("ci95") or {}
    for name, value in result.items():
        if name == "ci95":
            continue
        if isinstance(value, dict):
            typer.echo(f"{indent}{name}")
            print_figures(value, indent + "  ")
        else:
            bounds = intervals.get(name)
            typer.echo(f"{indent}{name:20} {value}" + (f"  ({bounds[0]} to {bounds[1]})" if bounds else ""))
