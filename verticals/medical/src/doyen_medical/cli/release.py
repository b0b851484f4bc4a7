"""``doyen medical train release``: card, figures, signature and gate of a folder of weights."""

from __future__ import annotations

import json
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
        typer.Option(
            help="JSON of the measured figures by protocol; by default the folder's evaluation.json."
        ),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Nothing was published before: no rule for the version.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the model card and the signed ``release.json`` of a folder of weights, and hold it to the gate.

    The private key is read from DOYEN_SIGNING_KEY. The gate compares with the release that stood in the folder.

    Example: doyen medical train release --folder src/doyen_medical/adapter --version 0.1.0 --data train.jsonl.gz --first
    """
    from doyen_evaluation.release.gate import run_gate
    from doyen_evaluation.release.measured import withdraw
    from doyen_evaluation.release.store import refuse, write_gate
    from doyen_medical.release import write_release
    from doyen_runtime import adapters

    digests = {f"{file.parent.name}/{file.name}": adapters.file_sha256(file) for file in data}
    standing = (folder / adapters.RELEASE).is_file() and not first
    previous = adapters.read_release(folder) if standing else None
    figures = json.loads((metrics or folder / "evaluation.json").read_text(encoding="utf-8"))
    written = write_release(folder, version, figures, digests, previous=previous)
    result = run_gate(folder, before=previous)
    write_gate(folder, result)
    if not result.passed:
        withdraw(folder, previous)
    if as_json:
        print(
            json.dumps({"digest": adapters.release_digest(written), "gate": result.model_dump(mode="json")})
        )
    else:
        typer.echo(f"{written.name} {written.version}: signed with {written.key_id}")
        for check in result.checks:
            typer.echo(f"  {check.verdict:15} {check.name}: {check.reason}")
    refuse(result)
