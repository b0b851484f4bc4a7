"""The results file and the page made from it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any, Final

from doyen_schemas import DoyenError
from doyen_training.verify.rates import SHARED
from doyen_training.verify.trial import BASELINE, TECHNIQUE

LEARNED: Final = 1.2  # times the accuracy of always naming the commonest type
KEYS: Final = {"title", "rows", "metric", "claim", "arms", "difference", "interval", "verdict", "seconds"}
HEAD: Final = """\
# What the techniques gain

Each technique against its baseline on the same small model, with the same data, budget and order of rows.
The difference is technique minus baseline, with a 95 % t interval over the seeds, paired by seed. An interval that
holds zero is "no gain"; "worse" is printed as readily as "gain". "Task not learned" says that the technique stayed
within a fifth of always naming the commonest type, so this model and budget tell nothing more about it. A row that begins with ↳ is a further comparison
within the same trial. The last column holds what the article or paper claims, as it stands there: those figures are
not ours and come from other models and data.

A seed draws the training records, their order and what a method starts from. The records that are measured on are the
same for every seed, so an interval says how far training varies, not how far other contracts would.

Small models answer small questions. A gain here says that the mechanism does its work; it does not say how much it
gains on a model a thousand times larger, and "no gain" here does not say that it never will.

Seconds are of processor time, one thread, for all seeds and arms; work that several techniques share, such as the
plain baseline, counts for the first of them.

Do it again: `doyen verify --all --data train.jsonl.gz --out verify.json && doyen verify --table verify.json`.
"""
RATES: Final = """\
## Learning rates

Every arm has the peak rate that served it best, found in one way: from 0.01 down, or else up, in factors of about
three for as long as the loss falls on clauses of training contracts that were held back, after the same number of
steps on clauses of the other training contracts; one seed that no trial uses. The contracts that the trials are
measured on have no part in it. An arm that differs from another only in its start, scale or depth, in which weights of
a kind it tunes, in number or order of its rows or in the terms of its loss has the other's rate.

Do it again: `doyen verify --rates --data train.jsonl.gz --out verify.json`.
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


def merge_results(
    file: Path,
    bench: Mapping[str, Any],
    trials: Mapping[str, Any] | None = None,
    rates: Mapping[str, Mapping[float, float]] | None = None,
) -> None:
    """Put new rows, or losses by arm and rate, into a results file, made if there is none; the others stay.

    What was measured on another model goes: rows do not mix when the model's digest changes. Raises TRN-094.
    """
    old: dict[str, Any] = {}
    if file.is_file():
        results = read_results(file)
        if results["bench"].get("weights_sha256") == bench["weights_sha256"]:
            old = results
    merged = {
        "bench": dict(bench),
        "rates": dict(sorted({**old.get("rates", {}), **_as_text(rates or {})}.items())),
        "trials": dict(sorted({**old.get("trials", {}), **(trials or {})}.items())),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(file.name + ".part")
    scratch.write_text(json.dumps(merged, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(scratch, file)


def _as_text(rates: Mapping[str, Mapping[float, float]]) -> dict[str, dict[str, float | None]]:
    """As JSON has it: rates are keys, and a training that broke down has no loss."""
    return {
        arm: {f"{rate:g}": round(loss, 4) if math.isfinite(loss) else None for rate, loss in losses.items()}
        for arm, losses in rates.items()
    }


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
        lines += _rows(name, row, bench["majority"])
    if results.get("rates"):
        lines += [
            "",
            RATES,
            "| arm | chosen | loss by rate, nats a token | shared with |",
            "|---|---:|---|---|",
        ]
        lines += [_rate_row(arm, losses) for arm, losses in results["rates"].items()]
    return "\n".join(lines) + "\n"


def _rows(name: str, row: Mapping[str, Any], majority: float) -> list[str]:
    """A trial's line of the table, and one for each further comparison.

    ``majority`` is the accuracy of always naming the commonest type: a technique that does hardly better is said not
    to have learned the task.
    """
    arms = {arm: mean(values) for arm, values in row["arms"].items()}
    also = row.get("also", [])
    shown = {BASELINE, TECHNIQUE, *(pair[side] for pair in also for side in (BASELINE, TECHNIQUE))}
    others = [f"{arm} {_figure(value)}" for arm, value in arms.items() if arm not in shown]
    learned = row["metric"] != "accuracy" or arms[TECHNIQUE] > LEARNED * majority
    arrow = "↑" if row["higher_is_better"] else "↓"
    lines = [
        _line(
            f"`{name}`",
            row["title"] + (f" ({'; '.join(others)})" if others else ""),
            f"{row['metric']} {arrow}",
            _figure(arms[BASELINE]),
            _figure(arms[TECHNIQUE]),
            _difference(row),
            row["verdict"] + ("" if learned else ", task not learned"),
            str(len(row["arms"][BASELINE])),
            f"{row['seconds']:.0f}",
            row["claim"] or "—",
        )
    ]
    for pair in also:
        low, high = pair["interval"]
        verdict = "no difference" if low <= 0 <= high else "higher" if low > 0 else "lower"
        first, second = pair[BASELINE], pair[TECHNIQUE]
        figures = (_figure(arms[first]), _figure(arms[second]), _difference(pair), verdict)
        lines.append(_line("↳", f"{second} against {first}", "", *figures, "", "", ""))
    return lines


def _difference(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['difference']:+.3g} [{low:+.3g}, {high:+.3g}]"


def _rate_row(arm: str, losses: Mapping[str, float | None]) -> str:
    best = min((loss, rate) for rate, loss in losses.items() if loss is not None)[1]
    seen = ", ".join(f"{rate}: {'broke down' if loss is None else loss}" for rate, loss in losses.items())
    return _line(arm, best, seen, ", ".join(name for name, other in SHARED.items() if other == arm) or "—")


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _figure(value: float) -> str:
    return f"{value:.4g}"
