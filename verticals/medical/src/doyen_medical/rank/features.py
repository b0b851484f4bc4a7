"""The scores of a patient against every disease, that the fuser weighs.

Resnik: mean over the findings of the information content of the best shared ancestor (Resnik 1995; Köhler 2009).
Likelihood ratio: share of the disease's patients over the background, backed off to ancestors (LIRICAL, Robinson
2020). Cosine: findings with all ancestors, weighted by information content. Endings: K knowledge, T patients
(profiles and nearest patient), M both; G the best of those that share a gene, S of those in the same series.

Shape legend: D diseases, P diseases with patients, C patients, T terms, Q findings of the patient, N candidates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from doyen_medical.cases import Case, Patient
from doyen_medical.rank import tables
from doyen_medical.rank.library import Library
from doyen_medical.rank.tables import BestAncestor, Floats, Ints

Columns = dict[str, NDArray[Any]]
ExtraScore = Callable[[Patient], NDArray[Any]]
"""A further score of a patient for every column of the library, (D,); NaN where it has none."""

NOISE: Final = 0.05
"""Likelihood ratio of a finding that the disease does not explain: it must not sink the right disease."""
LOG_NOISE: Final = math.log(NOISE)
_PROFILE_PRIOR: Final = 0.5
KNOWLEDGE_PATIENTS: Final = 2.0
"""An annotated share counts as much as this many patients."""
_REPORTED: Final = 0.9

POOL: Final = ("resK", "nbK", "cosK", "resM", "nbM", "knn", "cosT", "nbT", "resMG", "cosBG", "cosBS", "resT")
"""The first 25 of each of these are the candidates that the fuser sees."""
POOLED: Final = 25
PATIENT_SCORES: Final = {
    "resT": 0.0, "nbT": None, "nbTm": LOG_NOISE, "covT": 0.0, "knn": 0.0, "knn2": 0.0, "cosT": 0.0, "revT": 0.0, "absT": 0.0,
    "minT": 0.0, "likeT": 0.0, "sexT": 0.0, "ageT": 0.0, "hasT": 0.0, "nT": 0.0, "nP": 0.0,
}  # fmt: skip
"""Scores from published patients, with their value where a disease has none (nbT: the noise of every finding)."""


@dataclass
class Scorer:
    """Scores of one library. ``extra`` are further scores by name, such as that of a graph encoder."""

    library: Library
    extra: dict[str, ExtraScore]

    def __init__(self, library: Library, extra: dict[str, ExtraScore] | None = None) -> None:
        self.library = library
        self.extra = dict(extra or {})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The scores' names, in the order of ``matrix``."""
        return tuple(self.score(Patient((int(np.flatnonzero(self.library.content_T)[0]),))))

    def score(self, patient: Patient) -> Columns:
        """Every score by name, (D,) each. The patient must have a finding."""
        found = self._knowledge(patient)
        found |= self._patients(patient, found)
        lib = self.library
        for ending, kin in (("G", lib.gene_kin), ("S", lib.series_kin)):
            for name in ("resM", "nbMm", "cosT", "cosB"):
                found[name + ending] = _kin_best(kin, found[name], LOG_NOISE if name == "nbMm" else 0.0)
        found |= self._fixed
        found["sexX"] = lib.x_linked_D * {"M": 1.0, "F": -1.0, "": 0.0}[patient.sex]
        for name, extra in self.extra.items():
            values = np.asarray(extra(patient), np.float32)
            has = ~np.isnan(values)
            found[name] = np.where(has, values, values[has].min(initial=0.0))
            found[f"{name}Has"] = has.astype(np.float32)
        return found

    def query(self, patient: Patient) -> Floats:
        """Number of findings, mean, highest and summed information content."""
        content = self.library.content_T[list(patient.terms)]
        return np.array([len(content), content.mean(), content.max(), content.sum()], np.float32)

    def pool(self, scores: Columns) -> Ints:
        """The candidate columns that stand among the first of any score, ascending."""
        candidates = np.flatnonzero(self.library.candidate_D)
        found: set[int] = set()
        for name in (*POOL, *self.extra):
            # A stable order: ties fall to the lower column, so that two runs agree.
            values = scores[name][candidates]
            if len(candidates) > POOLED:
                level = np.partition(-values, POOLED)[POOLED]
                best = np.flatnonzero(-values < level)
                ties = np.flatnonzero(-values == level)[: POOLED - len(best)]
                found.update(candidates[best].tolist(), candidates[ties].tolist())
            else:
                found.update(candidates.tolist())
        return np.array(sorted(found), np.int64)

    @cached_property
    def resnik_K(self) -> BestAncestor:
        """Information content of the best ancestor shared with the annotations."""
        lib = self.library
        ones = lib.share_TD.copy()
        ones.data = np.repeat(lib.content_T, np.diff(ones.indptr))
        return BestAncestor(ones, lib.ancestors, 0.0)

    @cached_property
    def ratio_K(self) -> BestAncestor:
        """Log likelihood ratio from annotated shares."""
        return self._ratio(self.library.share_TD)

    def _ratio(self, share_TD: sp.csr_matrix) -> BestAncestor:
        lib = self.library
        logs = share_TD.copy()
        logs.data = np.log(NOISE + logs.data / np.repeat(lib.background_T, np.diff(logs.indptr)))
        return BestAncestor(logs, lib.ancestors, LOG_NOISE)

    @cached_property
    def _k(self) -> dict[str, Any]:
        lib = self.library
        content = sp.diags(lib.content_T)
        share_DT = sp.csr_matrix(lib.share_TD.T)
        ones = share_DT.copy()
        ones.data = np.ones_like(ones.data)
        own = sp.csr_matrix((lib.share_R, (lib.disease_R, lib.term_R)), shape=share_DT.shape)
        missing, total = _unreported(share_DT)
        return {
            "cos": tables.unit_rows(share_DT @ content),
            "cosB": tables.unit_rows(ones @ content),
            "own": own,
            "own_sum": np.maximum(np.asarray(own.sum(1)).ravel(), 1e-6),
            "missing": missing,
            "missing_sum": total,
            "below": sp.csr_matrix(lib.ancestors.T),
        }

    def _view(self, patient: Patient) -> tuple[Ints, Floats, Floats]:
        """Closure of the findings, its unit vector by information content, the best shared content of every term."""
        lib, below = self.library, self._k["below"]
        closure = np.unique(lib.ancestors[list(patient.terms)].indices)
        vector = np.zeros(len(lib.content_T), np.float32)
        vector[closure] = lib.content_T[closure]
        best = np.zeros_like(vector)
        for a in closure[np.argsort(lib.content_T[closure], kind="stable")]:
            best[below.indices[below.indptr[a] : below.indptr[a + 1]]] = lib.content_T[a]
        return closure, vector / max(float(np.linalg.norm(vector)), 1e-9), best

    def _knowledge(self, patient: Patient) -> Columns:
        k = self._k
        closure, vector, best = self._view(patient)
        resnik_QD, ratio_QD = self.resnik_K(patient.terms), self.ratio_K(patient.terms)
        here = np.zeros(len(vector), np.float32)
        here[closure] = 1
        return {
            "resK": resnik_QD.mean(0),
            "nbK": ratio_QD.sum(0),
            "nbKm": ratio_QD.mean(0),
            "covK": (ratio_QD > 0.5).mean(0),
            "minK": _worst(resnik_QD, self.library.content_T[list(patient.terms)]),
            "cosK": k["cos"] @ vector,
            "cosB": k["cosB"] @ vector,
            "revK": (k["own"] @ best) / k["own_sum"],
            "absK": k["missing_sum"] - k["missing"] @ here,
        }

    @cached_property
    def _t(self) -> dict[str, Any]:
        """Profiles of the diseases that have patients, all in P."""
        lib = self.library
        columns = lib.patients_P
        size = len(columns)
        of = sp.csr_matrix((np.ones(len(lib.cases), np.float32), (lib.place_C, np.arange(len(lib.cases)))))
        count_PT = sp.csr_matrix(of @ lib.case_CT)
        n_P = lib.patients_D[columns].astype(np.float32)
        row = np.repeat(np.arange(size), np.diff(count_PT.indptr))
        share_PT = count_PT.copy()
        share_PT.data = (count_PT.data + _PROFILE_PRIOR * lib.background_T[count_PT.indices]) / (
            n_P[row] + _PROFILE_PRIOR
        )
        known_PT = sp.csr_matrix(lib.share_TD[:, columns].T)
        trust_P = np.where(lib.annotated_D[columns] > 0, KNOWLEDGE_PATIENTS, 0).astype(np.float32)
        both_PT = sp.csr_matrix(known_PT * KNOWLEDGE_PATIENTS + count_PT)
        row = np.repeat(np.arange(size), np.diff(both_PT.indptr))
        both_PT.data = np.minimum(both_PT.data / (n_P[row] + trust_P[row]), 1)
        content = sp.diags(lib.content_T)
        ones = sp.csr_matrix(share_PT.T)
        shared = ones.copy()
        shared.data = np.repeat(lib.content_T, np.diff(shared.indptr))
        exact = tables.rows_of([case.patient.terms for case in lib.cases], lib.ancestors.shape[0])
        own = sp.csr_matrix(of @ exact)
        missing, total = _unreported(share_PT)
        case_unit = tables.unit_rows(lib.case_CT @ content)
        return {
            "resnik": BestAncestor(shared, lib.ancestors, 0.0),
            "ratio": self._ratio(ones),
            "both": self._ratio(sp.csr_matrix(both_PT.T)),
            "cases": case_unit,
            "cos": tables.unit_rows(share_PT @ content),
            "own": own,
            "own_sum": np.maximum(np.asarray(own.sum(1)).ravel(), 1e-6),
            "missing": missing,
            "missing_sum": total,
            "like": _likeness(case_unit, lib.place_C, size),
            "male": _male_share(lib.cases, lib.place_C, size),
            "age": _ages(lib.cases, lib.place_C, size),
        }

    def _patients(self, patient: Patient, k: Columns) -> Columns:
        """Scores from published patients; those that join both sides (M) fall back on knowledge alone."""
        lib = self.library
        size, columns = len(lib.codes), lib.patients_P
        none = {
            name: np.full(size, len(patient.terms) * LOG_NOISE if value is None else value, np.float32)
            for name, value in PATIENT_SCORES.items()
            if name not in ("hasT", "nT", "nP")
        }
        found: Columns = none | {"resM": k["resK"].copy(), "nbM": k["nbK"].copy(), "nbMm": k["nbKm"].copy()}
        if not len(columns):
            return found
        t = self._t
        closure, vector, best = self._view(patient)
        resnik_QP, ratio_QP, both_QP = (t[name](patient.terms) for name in ("resnik", "ratio", "both"))
        here = np.zeros(len(vector), np.float32)
        here[closure] = 1
        nearest, second = _two_best(t["cases"] @ vector, lib.place_C, lib.paper_C, len(columns))
        mine = {
            "resT": resnik_QP.mean(0),
            "nbT": ratio_QP.sum(0),
            "nbTm": ratio_QP.mean(0),
            "covT": (ratio_QP > 0.5).mean(0),
            "minT": _worst(resnik_QP, lib.content_T[list(patient.terms)]),
            "knn": nearest,
            "knn2": second,
            "likeT": nearest - t["like"],
            "cosT": t["cos"] @ vector,
            "revT": (t["own"] @ best) / t["own_sum"],
            "absT": t["missing_sum"] - t["missing"] @ here,
            "sexT": _sex_score(patient, t["male"]),
            "ageT": _age_score(patient, *t["age"]),
            "resM": np.maximum(resnik_QP, self.resnik_K(patient.terms)[:, columns]).mean(0),
            "nbM": both_QP.sum(0),
            "nbMm": both_QP.mean(0),
        }
        for name, values in mine.items():
            found[name][columns] = values
        return found

    def below(self, term: int) -> Ints:
        """The findings at and below a term."""
        below = self._k["below"]
        return np.asarray(below.indices[below.indptr[term] : below.indptr[term + 1]], np.int64)

    def share_of(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Share of patients with each finding, from annotations and published patients, (T, len(columns))."""
        lib = self.library
        found = np.asarray(lib.share_TD[:, list(columns)].todense(), np.float64)
        for at, column in enumerate(columns):
            own = np.flatnonzero(lib.case_C == column)
            if len(own):
                had = np.asarray(lib.case_CT[own].sum(0)).ravel()
                trust = KNOWLEDGE_PATIENTS if lib.annotated_D[column] else 0.0
                found[:, at] = (trust * found[:, at] + had) / (trust + len(own))
        return found

    @cached_property
    def _fixed(self) -> Columns:
        """What a column is, whoever the patient: the stratum."""
        lib = self.library
        return {
            "nann": np.log1p(lib.annotated_D),
            "own": np.log1p(lib.own_D),
            "hasK": (lib.annotated_D > 0) * 1.0,
            "hasT": (lib.patients_D > 0) * 1.0,
            "nT": np.log1p(lib.patients_D),
            "nP": np.log1p(lib.papers_D),
            "merged": lib.merged_D * 1.0,
            "nG": np.log1p(np.diff(lib.gene_kin.indptr)),
            "nS": np.log1p(np.diff(lib.series_kin.indptr)),
            "xl": lib.x_linked_D * 1.0,
        }


def _kin_best(kin: sp.csr_matrix, values: NDArray[Any], none: float) -> Floats:
    """The highest value among each column's kin."""
    found = np.full(kin.shape[0], none, np.float32)
    has = np.flatnonzero(np.diff(kin.indptr))
    if len(has):
        found[has] = np.maximum.reduceat(values[kin.indices], kin.indptr[has])
    return found


def _worst(resnik_QX: Floats, content_Q: Floats) -> Floats:
    """Mean share of content found of the third of the findings that fit worst."""
    shares = np.sort(resnik_QX / np.maximum(content_Q, 1e-6)[:, None], 0)
    return np.asarray(shares[: math.ceil(len(shares) / 3)].mean(0), np.float32)


def _unreported(share: sp.csr_matrix) -> tuple[sp.csr_matrix, Floats]:
    """Log chance that an expected finding is not reported, by term and summed."""
    logs = share.copy()
    logs.data = np.log1p(-np.minimum(_REPORTED * logs.data, 0.95))
    return logs, np.asarray(logs.sum(1)).ravel()


def _two_best(near_C: Floats, place_C: Ints, paper_C: Ints, size: int) -> tuple[Floats, Floats]:
    """The nearest patient of each disease, and the mean of that and the nearest one of another paper (or half)."""
    order = np.lexsort((-near_C, place_C))
    first = np.searchsorted(place_C[order], np.arange(size))
    best = near_C[order[first]]
    other = np.where(paper_C == paper_C[order[first]][place_C], 0, near_C)
    second = np.zeros(size, near_C.dtype)
    np.maximum.at(second, place_C, other)
    return best, np.asarray((best + second) / 2, np.float32)


def _likeness(unit_CT: sp.csr_matrix, place_C: Ints, size: int) -> Floats:
    """How near a disease's patients stand to each other: mean over patients of the nearest other one."""
    nearest = np.full(len(place_C), np.nan)
    for place in range(size):
        at = np.flatnonzero(place_C == place)[:60]
        if len(at) > 1:
            among = (unit_CT[at] @ unit_CT[at].T).toarray()
            np.fill_diagonal(among, -1)
            nearest[at] = among.max(1)
    has = ~np.isnan(nearest)
    overall = float(nearest[has].mean()) if has.any() else 0.5
    count = np.bincount(place_C[has], minlength=size)
    total = np.bincount(place_C[has], nearest[has], minlength=size)
    return np.asarray((total + 2 * overall) / (count + 2), np.float32)


def _male_share(cases: tuple[Case, ...], place_C: Ints, size: int) -> Floats:
    male = np.bincount(place_C, [case.patient.sex == "M" for case in cases], minlength=size)
    female = np.bincount(place_C, [case.patient.sex == "F" for case in cases], minlength=size)
    return np.asarray((male + 1.5) / (male + female + 3), np.float32)


def _sex_score(patient: Patient, male_P: Floats) -> Floats:
    if not patient.sex:
        return np.zeros_like(male_P)
    return np.log(2 * (male_P if patient.sex == "M" else 1 - male_P))


def _ages(cases: tuple[Case, ...], place_C: Ints, size: int) -> tuple[Any, ...]:
    """Count, mean and spread of log(1 + age) of each disease, and of all."""
    age = np.array([np.nan if c.patient.age is None else math.log1p(c.patient.age) for c in cases])
    has = ~np.isnan(age)
    if not has.any():
        return np.zeros(size), np.zeros(size), np.ones(size), 0.0, 1.0
    mean, spread = float(age[has].mean()), max(float(age[has].std()), 0.1)
    count = np.bincount(place_C[has], minlength=size)
    centre = (np.bincount(place_C[has], age[has], minlength=size) + 2 * mean) / (count + 2)
    square = np.bincount(place_C[has], (age[has] - centre[place_C[has]]) ** 2, minlength=size)
    return count, centre, np.sqrt((square + 3 * 0.6) / (count + 3)), mean, spread


def _age_score(
    patient: Patient, count: Any, centre: Any, spread: Any, mean: float, wide: float
) -> NDArray[Any]:
    """Log density of the age among the disease's patients over that among all."""
    if patient.age is None:
        return np.zeros(len(count))
    z = math.log1p(min(patient.age, 120.0))
    own = -0.5 * ((z - centre) / spread) ** 2 - np.log(spread)
    return np.where(count > 0, own + 0.5 * ((z - mean) / wide) ** 2 + math.log(wide), 0)
