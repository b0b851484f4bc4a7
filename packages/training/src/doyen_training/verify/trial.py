"""What a technique brings to ``doyen verify``: one run that measures it against its baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from doyen_training.verify.bench import Bench

BASELINE: Final = "baseline"
TECHNIQUE: Final = "technique"


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
    """

    name: str
    title: str
    rows: tuple[int, ...]
    metric: str
    higher_is_better: bool
    run: Callable[[Bench, int], Mapping[str, float]]
    claim: str | None = None
