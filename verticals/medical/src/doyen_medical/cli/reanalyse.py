"""``doyen medical reanalyse``: stored cases again with today's knowledge."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_medical.reanalyse import Change

_SHOWN = 10


def reanalyse(
    folder: Annotated[Path, typer.Argument(help="Folder of stored reports (report.json, or batch results).")],
    since: Annotated[
        str, typer.Option(help="Reports made on or after this day, or with this HPO release or a later one.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write the new reports here, in the same subfolders.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also those made with the knowledge and weights in use.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Rank stored cases again where knowledge or weights have changed, and say what moved among the first ten.

    The stored reports stay as they are. Only the features in them are read: HPO ids, sex, age. Every new ranking is
    logged.

    Examples:

        doyen medical reanalyse reports --since 2026-01-31

        doyen medical reanalyse reports --since hpo-2025-01-16 --out again --json
    """
    from doyen_medical import audit, weights
    from doyen_medical import reanalyse as cases
    from doyen_medical.knowledge.store import load
    from doyen_medical.pipeline import Diagnoser
    from doyen_medical.report.as_json import as_json as to_json
    from doyen_medical.report.write import write_atomic

    read = list(cases.stored(folder, since))
    damaged = [(path, error) for path, error in read if isinstance(error, DoyenError)]
    found = [(path, report) for path, report in read if not isinstance(report, DoyenError)]
    if not read:
        raise DoyenError(
            "MED-085", f"{folder} holds no report since {since}.", "Name the folder of the stored reports."
        )
    taken = [path for path, _ in found if out is not None and (out / path.relative_to(folder)).exists()]
    if taken:
        raise DoyenError(
            "MED-085", f"--out holds {taken[0].relative_to(folder)} already; stored reports are never overwritten.",
            "Name a new folder with --out.",
        )  # fmt: skip
    diagnoser = Diagnoser(top=cases.TOP)
    changes: list[Change] = []
    current = 0
    for path, old in found:
        if not force and cases.is_current(old, load().version, weights.release()[1]):
            current += 1
            continue
        new = cases.again(old, diagnoser)
        audit.record(new, "ranked-again")
        name = path.relative_to(folder)
        changes.append(cases.compare(name.as_posix(), old, new))
        if out is not None:
            write_atomic(out / name, to_json(new))
    summary = {
        "reports": len(found), "damaged": len(damaged), "current": current, "ranked_again": len(changes),
        "changed": sum(change.changed for change in changes), "knowledge_version": load().version,
    }  # fmt: skip
    if as_json:
        rows = [asdict(change) | {"changed": change.changed} for change in changes]
        errors = [
            {"file": path.relative_to(folder).as_posix(), "error": str(error)} for path, error in damaged
        ]
        typer.echo(json.dumps({**summary, "changes": rows, "errors": errors}))
        raise typer.Exit(1 if damaged else 0)
    for change in changes:
        if change.changed:
            _print(change)
    typer.echo(
        f"{summary['reports']} reports: {current} already with {summary['knowledge_version']},"
        f" {summary['ranked_again']} ranked again, {summary['changed']} of them changed"
    )
    for path, error in damaged:
        typer.echo(f"{path.relative_to(folder)}: {error}", err=True)
    raise typer.Exit(1 if damaged else 0)


def _print(change: Change) -> None:
    say = typer.echo
    say(f"{change.file}: knowledge {change.knowledge[0]} → {change.knowledge[1]}")
    if change.first[0] != change.first[1]:
        (old, new), (before, now) = change.first, change.first_probability
        say(f"  first: {old or 'none'} ({before:.1%}) → {new or 'none'} ({now:.1%})")
    if change.abstained[0] != change.abstained[1]:
        say(f"  abstention: {change.abstained[0] or 'no'} → {change.abstained[1] or 'no'}")
    for code, old_place, new_place in change.moved[:_SHOWN]:
        say(f"  {code}: {old_place or 'outside the first ten'} → {new_place or 'outside the first ten'}")
