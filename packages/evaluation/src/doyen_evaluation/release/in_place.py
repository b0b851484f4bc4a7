"""Releasing the adapter folder of a vertical where it stands: figures, card, signature, gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from doyen_evaluation.release.build import build
from doyen_evaluation.release.gate import MAX_FORGETTING, run_gate
from doyen_evaluation.release.spec import ReleaseSpec, assemble
from doyen_evaluation.release.store import refuse, write_gate
from doyen_runtime import adapters
from doyen_schemas import AdapterRelease


def write(
    folder: Path,
    spec: ReleaseSpec,
    root: Path,
    metrics: Mapping[str, Any],
    card: Callable[[AdapterRelease, Mapping[str, Any]], str],
    previous: AdapterRelease | None,
) -> AdapterRelease:
    """Write ``evaluation.json``, ``MODEL_CARD.md`` and the signed ``release.json``; paths of ``spec`` are below ``root``.

    Raises what :func:`doyen_evaluation.release.build.build` raises.
    """
    text = json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "evaluation.json").write_text(text, encoding="utf-8")
    page = card(assemble(folder, spec, root), metrics)
    (folder / "MODEL_CARD.md").write_text(page, encoding="utf-8")
    return build(folder, assemble(folder, spec, root), folder, previous=previous)


def release(
    folder: Path,
    write_release: Callable[[Mapping[str, Any], AdapterRelease | None], AdapterRelease],
    *,
    metrics: Path | None,
    first: bool,
    as_json: bool,
    max_forgetting: float = MAX_FORGETTING,
) -> None:
    """Write a release with the figures in ``metrics`` (else the folder's own), hold it to the gate and print both.

    The gate compares with the release that stood in the folder, unless this is the ``first``. A release that it refuses
    is withdrawn. Raises what :func:`doyen_evaluation.release.store.refuse` raises.
    """
    standing = (folder / adapters.RELEASE).is_file() and not first
    previous = adapters.read_release(folder) if standing else None
    figures = json.loads((metrics or folder / "evaluation.json").read_text(encoding="utf-8"))
    written = write_release(figures, previous)
    result = run_gate(folder, before=previous, max_forgetting=max_forgetting)
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


def withdraw(folder: Path, previous: AdapterRelease | None) -> None:
    """Undo a release that the gate refused: the loader takes the folder no more until another one passes."""
    path = folder / adapters.RELEASE
    path.unlink()
    if previous is not None:
        path.write_text(adapters.render(previous), encoding="utf-8")
