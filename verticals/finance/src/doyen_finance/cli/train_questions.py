"""``doyen finance train questions``: the selector and the ranker of ``doyen finance ask``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def questions(
    data: Annotated[Path, typer.Option(help="TAT-QA's JSON with gold answers, plain or .gz.")],
    out: Annotated[
        Path, typer.Option(help="Folder for the weights; tuned selectors stay in its work folder.")
    ],
    seed: Annotated[int, typer.Option(help="Seed of all draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train on four fifths of a file's contexts, by hash, and print the cross-validated figures.

    A call that was cut off goes on with the selectors it had finished.

    Example: doyen finance train questions --data dev.json.gz --out runs/questions
    """
    from doyen_finance.questions.training import train

    figures = train(data, out, seed, lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        for name, value in figures.items():
            typer.echo(f"{name:20} {value}")
