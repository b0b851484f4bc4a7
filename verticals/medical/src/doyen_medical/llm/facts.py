"""What the language model is told of a patient: observed findings, sex, age, and the first candidates' own table.

Everything here is computed from the ranking's tables. Excluded findings, genes and notes never come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from doyen_medical.cases import Patient, Sex
    from doyen_medical.explain.evidence import Explainer

LETTERS: Final = "ABCDE"
"""A letter for each of the first candidates, which are all that the model sees."""
SHOWN: Final = len(LETTERS)


@dataclass(frozen=True, slots=True)
class Finding:
    """An HPO term; ``content`` is its information content: how telling it is."""

    id: str
    label: str
    content: float


@dataclass(frozen=True, slots=True)
class Support:
    """A finding that speaks for a disease, its likelihood ratio and the references that say so."""

    finding: Finding
    ratio: float
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """A candidate: the findings that support it, the strongest first; those it leaves unexplained and those that its
    own annotations deny, the most telling first."""

    code: str
    name: str
    supports: tuple[Support, ...]
    lacks: tuple[Finding, ...]
    against: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """A patient and the candidates in the ranker's order. ``findings`` has the most telling first."""

    findings: tuple[Finding, ...]
    sex: Sex
    age: float | None
    options: tuple[Option, ...]

    def reordered(self, order: Sequence[int]) -> Facts:
        """The same with the candidates at these places in this order."""
        return Facts(self.findings, self.sex, self.age, tuple(self.options[at] for at in order))


def facts_of(explainer: Explainer, patient: Patient, columns: Sequence[int]) -> Facts:
    """The facts on a patient and the first ``SHOWN`` of these columns of the library."""
    library = explainer.library
    ontology = library.knowledge.ontology
    found = {
        term: Finding(ontology.ids[term], ontology.labels[term], round(float(library.content_T[term]), 4))
        for term in patient.terms
    }
    options = []
    for column in columns[:SHOWN]:
        weights = explainer.weigh(int(column), patient.terms)
        supports = tuple(
            Support(found[w.term], 10**w.log10_ratio, w.sources) for w in weights if w.role == "supports"
        )
        against = [found[w.term] for w in weights if w.role == "contradicts"]
        lacks = [found[w.term] for w in weights if w.role not in ("supports", "contradicts")]
        options.append(
            Option(library.codes[column], library.names[column], supports, _telling(lacks), _telling(against))
        )
    return Facts(_telling(found.values()), patient.sex, patient.age, tuple(options))


def _telling(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (-f.content, f.id)))
