"""Baseline against technique over seeds: mean difference, 95 % interval, verdict."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, Final, Literal

from doyen_schemas import DoyenError
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

Verdict = Literal["gain", "no gain", "worse"]
# Two-sided 97.5 % quantiles of Student's t for 1 … 9 degrees of freedom.
STUDENT: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
SEEDS: Final = range(2, len(STUDENT) + 2)


@dataclass(frozen=True, slots=True)
class Difference:
    """Technique minus baseline: mean over the seeds, the ends of its 95 % interval, and what that says."""

    mean: float
    low: float
    high: float
    verdict: Verdict


def compare(baseline: Sequence[float], technique: Sequence[float], higher_is_better: bool) -> Difference:
    """Paired t interval over the seeds; an interval that holds zero is no gain.

    Both arms of a seed share data and order, so their difference is what varies. Equal lengths of 2 to 10.
    """
    differences = [b - a for a, b in zip(baseline, technique, strict=True)]
    centre = mean(differences)
    half = STUDENT[len(differences) - 2] * stdev(differences) / math.sqrt(len(differences))
    low, high = centre - half, centre + half
    if low <= 0 <= high:
        verdict: Verdict = "no gain"
    else:
        verdict = "gain" if (low > 0) == higher_is_better else "worse"
    return Difference(centre, low, high, verdict)


def run_trial(
    trial: Trial, bench: Bench, seeds: int, report: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Run a trial with seeds 0 … ``seeds - 1`` and return its row of the results file; seconds are of processor time.

    Raises TRN-093 when an arm is missing or its figure is not finite.
    """
    runs: list[Mapping[str, float]] = []
    start = time.process_time()
    for seed in range(seeds):
        arms = dict(trial.run(bench, seed))
        _check(trial, arms)
        runs.append(arms)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in arms.items())
        report(f"{trial.name}, seed {seed}: {shown}")
    seconds = time.process_time() - start
    arms_by_name = {name: [float(run[name]) for run in runs] for name in runs[0]}
    result = compare(arms_by_name[BASELINE], arms_by_name[TECHNIQUE], trial.higher_is_better)
    return {
        "title": trial.title,
        "rows": list(trial.rows),
        "metric": trial.metric,
        "higher_is_better": trial.higher_is_better,
        "claim": trial.claim,
        "arms": arms_by_name,
        "also": [
            {
                "baseline": first,
                "technique": second,
                "difference": (found := compare(arms_by_name[first], arms_by_name[second], True)).mean,
                "interval": [found.low, found.high],
            }
            for first, second in trial.also
        ],
        "difference": result.mean,
        "interval": [result.low, result.high],
        "verdict": result.verdict,
        "seconds": round(seconds, 1),
    }


def _check(trial: Trial, arms: Mapping[str, float]) -> None:
    compared = dict.fromkeys((BASELINE, TECHNIQUE, *(arm for pair in trial.also for arm in pair)))
    wrong = [arm for arm in compared if arm not in arms]
    wrong += [arm for arm, value in arms.items() if not math.isfinite(value)]
    if wrong:
        raise DoyenError(
            "TRN-093",
            f"trial {trial.name} gave no finite figure for {', '.join(wrong)}.",
            "Report it with the seed; the other trials can be run by their names.",
        )
