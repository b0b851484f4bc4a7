"""``doyen finance train``: the shipped weights anew, one command a part."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Train what is shipped.")
