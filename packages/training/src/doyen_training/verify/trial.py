"""What a technique brings to ``doyen verify``: one run that measures it against its baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench, Task

BASELINE: Final = "baseline"
TECHNIQUE: Final = "technique"

# A model tuned on a task with a seed and a peak learning rate.
Arm = Callable[["Bench", "Task", int, float], Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """A technique on trial. Module ``doyen_training.verify.NAME`` exposes one as ``TRIAL``.

    Attributes:
        name: what the command calls it, such as ``on-policy``.
        title: what is compared with what, in one line.
        rows: numbers of the capabilities that it proves.
        metric: what ``run`` returns for each arm, with its unit.
        higher_is_better: the direction of the metric.
        run: trains and measures all arms with the same budget; seed to figures. The arms ``baseline`` and
            ``technique`` are compared; others are printed beside them.
        claim: what the article or paper claims, as it stands there.
        also: further pairs of ``run``'s figures that are compared in the same way, baseline first; a pair's figures
            share a unit, which need not be the metric's.
        arms: what is tuned here, each with a learning rate of its own in ``rates.RATES`` (``doyen verify --rates``).
    """

    name: str
    title: str
    rows: tuple[int, ...]
    metric: str
    higher_is_better: bool
    run: Callable[[Bench, int], Mapping[str, float]]
    claim: str | None = None
    also: tuple[tuple[str, str], ...] = ()
    arms: Mapping[str, Arm] = field(default_factory=dict)
