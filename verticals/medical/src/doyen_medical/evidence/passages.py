"""What can be cited: HPO definitions, one passage for each disease and finding of HPOA, and MedQuAD answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from doyen_medical.evidence.medquad import Answer
from doyen_medical.knowledge.annotations import SHARES, Annotations
from doyen_medical.knowledge.store import Knowledge
from doyen_retrieval.chunks import chunks
from doyen_retrieval.index import Passage

MEDQUAD: Final = "MedQuAD"
_CLASSES: Final = {
    "HP:0040280": "in all patients", "HP:0040281": "in 80 to 99 % of patients", "HP:0040282": "in 30 to 79 % of patients",
    "HP:0040283": "in 5 to 29 % of patients", "HP:0040284": "in 1 to 4 % of patients",
}  # fmt: skip
_WORDS: Final = {np.float32(SHARES[id]): words for id, words in _CLASSES.items()}
_DISEASE_URLS: Final = {
    "OMIM": "https://www.omim.org/entry/",
    "ORPHA": "https://www.orpha.net/en/disease/detail/",
}


def definitions(knowledge: Knowledge) -> Iterator[Passage]:
    """``Label: definition`` of every finding that has one; the id is the HPO id."""
    ontology = knowledge.ontology
    for number in np.flatnonzero(ontology.phenotypic):
        if ontology.definitions[number]:
            id = ontology.ids[number]
            yield Passage(
                id, f"{ontology.labels[number]}: {ontology.definitions[number]}", f"HPO {ontology.release}",
                f"https://hpo.jax.org/browse/term/{id}",
            )  # fmt: skip


def edges(knowledge: Knowledge) -> Iterator[Passage]:
    """One passage for each disease and finding, with every row's frequency and reference; NOT rows are left out.

    The id is ``OMIM:…/HP:…``.
    """
    ontology, annotations = knowledge.ontology, knowledge.annotations
    own = (annotations.aspect_R == "P") & ~annotations.negated_R & ontology.phenotypic[annotations.term_R]
    own &= ~(annotations.share_R == 0)
    rows = np.flatnonzero(own)
    rows = rows[np.lexsort((rows, annotations.term_R[rows], annotations.disease_R[rows]))]
    pair = annotations.disease_R[rows].astype(np.int64) * len(ontology.ids) + annotations.term_R[rows]
    for group in np.split(rows, np.flatnonzero(np.diff(pair)) + 1) if len(rows) else []:
        disease, term = int(annotations.disease_R[group[0]]), int(annotations.term_R[group[0]])
        code = annotations.diseases[disease]
        stated = dict.fromkeys(_row(annotations, int(row)) for row in group)
        database, _, number = code.partition(":")
        yield Passage(
            f"{code}/{ontology.ids[term]}",
            f"{ontology.labels[term]} is reported in {annotations.names[disease]} ({code}): {'; '.join(stated)}.",
            f"HPOA {annotations.release}",
            f"{_DISEASE_URLS[database]}{number}",
        )


def answers(medquad: list[Answer]) -> Iterator[Passage]:
    """MedQuAD answers in chunks, headed by the disease that the page is about; the id names page, question and chunk."""
    for answer in medquad:
        for at, chunk in enumerate(chunks(answer.text)):
            yield Passage(
                f"{answer.id}#{at}", f"{answer.focus}\n{chunk.text}", f"{MEDQUAD} {answer.source}", answer.url
            )


def _row(annotations: Annotations, row: int) -> str:
    share, total = annotations.share_R[row], annotations.total_R[row]
    if total:
        often = f"in {annotations.hits_R[row]:.0f} of {total:.0f} patients"
    elif math.isnan(share):
        often = "frequency not stated"
    else:
        often = _WORDS.get(share, f"in {100 * share:.3g} % of patients")
    return f"{often} ({annotations.references[annotations.reference_R[row]].replace(';', ', ')})"
