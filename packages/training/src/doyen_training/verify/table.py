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
from doyen_training.verify.bench import DEV
from doyen_training.verify.prose import DIFFERS, HEAD, INTERVALS, KNOBS, RATES
from doyen_training.verify.rates import SHARED
from doyen_training.verify.trial import BASELINE, TECHNIQUE

LEARNED: Final = 1.2  # times the accuracy of always naming the commonest type
KEYS: Final = {"title", "rows", "metric", "claim", "arms", "difference", "interval", "verdict", "seconds"}
OF_BENCH: Final = {"weights_sha256", "parameters", "dev_loss", "used_loss", "chance_loss"} | {
    "classes",
    "majority",
    "dev_records",
}
SHARES: Final = ("accuracy", "share of questions")  # how metrics begin that are shares of the dev records
MARK: Final = "within the sampling of the dev records"


def read_results(file: Path) -> dict[str, Any]:
    """A results file. Raises TRN-094 when it is not one."""
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        if not results["bench"].keys() >= OF_BENCH or any(
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
    records = min(DEV, bench["dev_records"])
    marked = sum(row["verdict"] == "gain" and _within_sampling(row, row, records) for row in trials.values())
    lines = [
        HEAD,
        f"The model: {bench['parameters']:,} parameters, pre-trained on the running text of the training contracts "
        "and on naming clauses of other types "
        f"(loss on running text of held-out contracts, taken before clauses were learned, {bench['dev_loss']:.2f} nats "
        f"a token, uniform guessing {bench['chance_loss']:.2f}; learning to name clauses forgets running text, and the "
        f"model that is used has {bench['used_loss']:.2f} on the same text). The task: name the type of a clause, one "
        f"of {bench['classes']}; always naming the commonest scores {bench['majority']:.1%}.",
        "",
        f"{len(trials)} techniques: {counts['gain']} gain{f' ({marked} of them {MARK})' if marked else ''}, "
        f"{counts['no gain']} no gain, {counts['worse']} worse.",
        "",
        INTERVALS.format(tests=len(trials), records=records, error=100 * math.sqrt(0.7 * 0.3 / records)),
        "| technique | compared | metric | baseline | technique | difference (95 %) | verdict | seeds | s | claimed |",
        "|---|---|---|---:|---:|---:|---|---:|---:|---|",
    ]
    for name, row in trials.items():
        lines += _rows(name, row, bench["majority"], records)
    lines += ["", DIFFERS, KNOBS.rstrip("\n")]
    if results.get("rates"):
        lines += [
            "",
            RATES,
            "| arm | chosen | loss by rate, nats a token | shared with |",
            "|---|---:|---|---|",
        ]
        lines += [_rate_row(arm, losses) for arm, losses in results["rates"].items()]
    return "\n".join(lines) + "\n"


def _rows(name: str, row: Mapping[str, Any], majority: float, records: int) -> list[str]:
    """A trial's line of the table, and one for each further comparison.

    ``majority`` is the accuracy of always naming the commonest type: a technique that does hardly better is said not
    to have learned the task. ``records`` is the number of records that are measured on.
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
            row["verdict"] + _mark(row, row, records) + ("" if learned else ", task not learned"),
            str(len(row["arms"][BASELINE])),
            f"{row['seconds']:.0f}",
            row["claim"] or "—",
        )
    ]
    for pair in also:
        low, high = pair["interval"]
        verdict = "no difference" if low <= 0 <= high else "higher" if low > 0 else "lower"
        first, second = pair[BASELINE], pair[TECHNIQUE]
        verdict += _mark(row, pair, records)
        figures = (_figure(arms[first]), _figure(arms[second]), _difference(pair), verdict)
        lines.append(_line("↳", f"{second} against {first}", "", *figures, "", "", ""))
    return lines


def _mark(row: Mapping[str, Any], found: Mapping[str, Any], records: int) -> str:
    return f", {MARK}" if _within_sampling(row, found, records) else ""


def _within_sampling(row: Mapping[str, Any], found: Mapping[str, Any], records: int) -> bool:
    """Whether a difference of two shares whose interval misses zero is below ``sampling_error``.

    ``found`` is a trial's row or one of its further pairs, whose arms say so when their unit is not the row's metric.
    """
    low, high = found["interval"]
    names = (found.get(BASELINE, BASELINE), found.get(TECHNIQUE, TECHNIQUE))
    unit = names[0] if names[0].startswith((*SHARES, "loss", "probability")) else row["metric"]
    if low <= 0 <= high or not unit.startswith(SHARES):
        return False
    share = mean(value for name in names for value in row["arms"][name])
    return abs(found["difference"]) < sampling_error(share, records)


def sampling_error(share: float, records: int) -> float:
    """1.96 standard errors of a share of ``records``: what a difference of two shares must exceed.

    As much as half of a 95 % interval for two models of which just one is right on p(1 - p) of the records: half of
    what independent ones would have. Which records they are is not kept.
    """
    return 1.96 * math.sqrt(share * (1 - share) / records)


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
