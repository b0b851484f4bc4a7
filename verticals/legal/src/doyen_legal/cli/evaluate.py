"""``doyen legal evaluate``: one protocol over one file, figures with intervals."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_schemas import DoyenError


class Protocol(StrEnum):
    """The benchmarks that the vertical is measured by."""

    cuad = "cuad"
    contract_nli = "contract-nli"
    consistency = "consistency"


def evaluate(
    protocol: Annotated[Protocol, typer.Option(help="Which benchmark.")],
    data: Annotated[Path, typer.Option(help="The file to evaluate on, in the benchmark's own format.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N contracts or pairs.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the injected faults (consistency).")] = 0,
    llm: Annotated[
        bool, typer.Option("--llm", help="Ask the language model where the extractor is unsure (cuad).")
    ] = False,
    figures: Annotated[
        Path | None,
        typer.Option(
            help="Draw the precision-recall curves: a path without suffix, for .svg and .png (cuad)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the shipped models on a file.

    Examples:

        doyen legal evaluate --protocol cuad --data dev.jsonl.gz --json

        doyen legal evaluate --protocol contract-nli --data pairs_dev.csv.gz

        doyen legal evaluate --protocol consistency --data dev.jsonl.gz --seed 7 --limit 50
    """
    if protocol is not Protocol.cuad and (llm or figures):
        raise DoyenError(
            "LEG-063",
            f"--llm and --figures belong to the protocol cuad, not {protocol.value}.",
            "Leave them out.",
        )
    result = _run(protocol, data, limit, seed, llm, figures)
    if as_json:
        print(json.dumps(result))
    else:
        _print_table(result)


def _run(
    protocol: Protocol, data: Path, limit: int | None, seed: int, llm: bool, figures: Path | None
) -> dict[str, Any]:
    if protocol is Protocol.consistency:
        from doyen_legal.corpora import read_cuad
        from doyen_legal.evaluate import consistency

        return dict(consistency.evaluate(list(read_cuad(data, limit)), seed=seed))
    if protocol is Protocol.contract_nli:
        from doyen_legal.evaluate.nli import evaluate_file

        return evaluate_file(data, limit)
    from doyen_legal.evaluate.cuad import evaluate_cuad

    run = evaluate_cuad(data, limit=limit, llm=llm, progress=_progress if sys.stderr.isatty() else None)
    if figures is not None:
        from doyen_evaluation.figures import precision_recall_grid
        from doyen_evaluation.spans import curve

        labels = [label for label, row in run.figures["per_label"].items() if row["n"]]
        counts = {label: run.figures["per_label"][label]["n"] for label in labels}
        precision_recall_grid({label: curve(run.matches, label) for label in labels}, figures, counts=counts)
    return run.figures


def _progress(done: int, total: int) -> None:
    end = "\n" if done == total else "\r"
    print(f"{done}/{total} contracts", end=end, file=sys.stderr, flush=True)


def _print_table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    intervals = result.get("ci95", {})
    table = Table("figure", "value", "95 % interval")
    for name, value in result.items():
        if isinstance(value, dict):
            continue
        low_high = intervals.get(name)
        table.add_row(name, str(value), f"{low_high[0]} to {low_high[1]}" if low_high else "")
    console = Console()
    console.print(table)
    for name in ("per_label", "per_kind"):
        if name in result:
            rows = result[name]
            columns = [
                key
                for key in next(iter(rows.values()))
                if not isinstance(next(iter(rows.values()))[key], dict)
            ]
            detail = Table(name.removeprefix("per_"), *columns)
            for key, row in rows.items():
                detail.add_row(key, *(str(row[column]) for column in columns))
            console.print(detail)
