"""``doyen finance train release``: card, figures, signature and gate of a folder of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def release(
    folder: Annotated[Path, typer.Option(help="The folder of weights to release, in place.")],
    version: Annotated[str, typer.Option("--version", help="Semantic version of the weights.")],
    data: Annotated[
        list[Path], typer.Option(help="A file that the weights were fitted to or measured on; repeat.")
    ],
    metrics: Annotated[
        Path | None,
        typer.Option(help="JSON of the measured figures by name; by default the folder's evaluation.json."),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Nothing was published before: no rule for the version.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the model card and the signed ``release.json`` of a folder of weights, and hold it to the gate.

    The private key is read from DOYEN_SIGNING_KEY. The gate compares with the release that stood in the folder.

    Example: doyen finance train release --folder src/doyen_finance/adapter --version 0.1.0 --data tfns/train.csv.gz --first
    """
    from doyen_evaluation.release import in_place
    from doyen_finance.release import write_release
    from doyen_runtime import adapters

    digests = {f"{file.parent.name}/{file.name}": adapters.file_sha256(file) for file in data}
    in_place.release(
        folder,
        lambda figures, previous: write_release(folder, version, figures, digests, previous=previous),
        metrics=metrics,
        first=first,
        as_json=as_json,
    )
