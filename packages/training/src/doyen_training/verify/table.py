"""The results file and the page made from it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any, Final

from doyen_schemas import DoyenError
from doyen_training.verify.trial import BASELINE, TECHNIQUE

KEYS: Final = {"title", "rows", "metric", "claim", "arms", "difference", "interval", "verdict", "seconds"}
HEAD: Final = """\
# What the techniques gain

Each technique against its baseline on the same small model, with the same data, budget and order of rows.
The difference is technique minus baseline, with a 95 % t interval over the seeds, paired by seed. An interval that
holds zero is "no gain"; "worse" is printed as readily as "gain". The last column holds what the article or paper
claims, as it stands there: those figures are not ours and come from other models and data.

Small models answer small questions. A gain here says that the mechanism does its work; it does not say how much it
gains on a model a thousand times larger, and "no gain" here does not say that it never will.

Seconds are of processor time, one thread, for all seeds and arms; work that several techniques share, such as the
plain baseline, counts for the first of them.

Do it again: `doyen verify --all --data train.jsonl.gz --out verify.json && doyen verify --table verify.json`.
"""


def read_results(file: Path) -> dict[str, Any]:
    """A results file. Raises TRN-094 when it is not one."""
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(results["bench"], dict) or any(
            not row.keys() >= KEYS or not {BASELINE, TECHNIQUE} <= row["arms"].keys()
            for row in results["trials"].values()
        ):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DoyenError(
            "TRN-094",
            f"{file.name} holds no results of doyen verify ({type(error).__name__}).",
            "Write one with doyen verify NAME --out FILE.",
        ) from error
    return dict(results)


def merge_results(file: Path, bench: Mapping[str, Any], trials: Mapping[str, Any]) -> None:
    """Put new rows into a results file, made if there is none; the other rows stay. Raises TRN-094.

    Rows from another model do not mix: they go when the model's digest changes.
    """
    old: dict[str, Any] = {}
    if file.is_file():
        results = read_results(file)
        if results["bench"].get("weights_sha256") == bench["weights_sha256"]:
            old = results["trials"]
    merged = {"bench": dict(bench), "trials": dict(sorted({**old, **trials}.items()))}
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(file.name + ".part")
    scratch.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(scratch, file)


def render(results: Mapping[str, Any]) -> str:
    """The results as a Markdown page."""
    bench = results["bench"]
    trials = results["trials"]
    counts = {v: sum(row["verdict"] == v for row in trials.values()) for v in ("gain", "no gain", "worse")}
    lines = [
        HEAD,
        f"The model: {bench['parameters']:,} parameters, pre-trained on the running text of the training contracts "
        "and on naming clauses of other types "
        f"(loss on held-out contracts {bench['dev_loss']:.2f} nats a token, uniform guessing "
        f"{bench['chance_loss']:.2f}). The task: name the type of a clause, one of {bench['classes']}; always "
        f"naming the commonest scores {bench['majority']:.1%}.",
        "",
        f"{len(trials)} techniques: {counts['gain']} gain, {counts['no gain']} no gain, {counts['worse']} worse.",
        "",
        "| technique | compared | metric | baseline | technique | difference (95 %) | verdict | seeds | s | claimed |",
        "|---|---|---|---:|---:|---:|---|---:|---:|---|",
    ]
    for name, row in trials.items():
        low, high = row["interval"]
        arrow = "↑" if row["higher_is_better"] else "↓"
        others = [
            f"{arm} {_figure(mean(values))}"
            for arm, values in row["arms"].items()
            if arm not in (BASELINE, TECHNIQUE)
        ]
        title = row["title"] + (f" ({'; '.join(others)})" if others else "")
        cells = (
            f"`{name}`",
            title,
            f"{row['metric']} {arrow}",
            _figure(mean(row["arms"][BASELINE])),
            _figure(mean(row["arms"][TECHNIQUE])),
            f"{row['difference']:+.3g} [{low:+.3g}, {high:+.3g}]",
            row["verdict"],
            str(len(row["arms"][BASELINE])),
            f"{row['seconds']:.0f}",
            row["claim"] or "—",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    return f"{value:.4g}"
