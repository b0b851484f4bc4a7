"""Rank every disease for a patient: probabilities for the candidates in the pool, the rest in order of similarity.

Shape legend: D diseases, N candidates of the pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from doyen_medical.cases import Patient
from doyen_medical.rank.features import Columns, ExtraScore, Scorer
from doyen_medical.rank.fuser import Fuser
from doyen_medical.rank.library import Library

NO_FINDINGS: Final = "no-findings"
OUT_OF_REACH: Final = "out-of-reach"
REASONS: Final = {
    NO_FINDINGS: "No finding that the knowledge knows: nothing can be ranked.",
    OUT_OF_REACH: "The findings fit no known disease the way a known disease's patients fit: the disease may be one"
    " without annotations or published patients.",
}


@dataclass(frozen=True)
class Ranking:
    """Columns in order, with the probabilities of the first ``len(chances)``.

    ``none`` is the probability that no candidate is right; ``abstain`` a key of ``REASONS`` or empty.
    """

    columns: NDArray[np.int64]
    chances: NDArray[np.float64]
    none: float
    unreached: float
    abstain: str
    scores: Columns = field(repr=False, default_factory=dict)


@dataclass
class Ranker:
    """A library with its fuser and the further scores that the fuser reads."""

    library: Library
    fuser: Fuser
    extra: dict[str, ExtraScore] | None = None

    def __post_init__(self) -> None:
        self.scorer = Scorer(self.library, self.extra)
        self._others = np.flatnonzero(self.library.candidate_D)

    def rank(self, patient: Patient) -> Ranking:
        """Every candidate disease, the most probable first; equal ones in order of their codes' columns."""
        if not patient.terms:
            return Ranking(np.array([], np.int64), np.array([]), 1.0, 1.0, NO_FINDINGS)
        scores = self.scorer.score(patient)
        pool = self.scorer.pool(scores)
        judged = self.fuser.judge(_matrix(scores, pool, self.fuser.names), self.scorer.query(patient))
        order = np.argsort(-judged.chance_N, kind="stable")
        rest = self._others[~np.isin(self._others, pool)]
        rest = rest[np.argsort(-scores["resM"][rest], kind="stable")]
        abstain = OUT_OF_REACH if judged.unreached > self.fuser.limit else ""
        return Ranking(
            np.concatenate([pool[order], rest]),
            judged.chance_N[order],
            judged.none,
            judged.unreached,
            abstain,
            scores,
        )


def _matrix(scores: Columns, pool: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.float32]:
    return np.stack([scores[name][pool] for name in names], 1).astype(np.float32)
