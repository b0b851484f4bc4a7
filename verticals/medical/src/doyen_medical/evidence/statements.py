"""What the passages say of a disease and a patient's findings: statements with citations that were retrieved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from doyen_medical.evidence.library import Evidence, subject
from doyen_medical.knowledge.ontology import Ontology
from doyen_medical.knowledge.purge import papers_of
from doyen_retrieval.chunks import sentences
from doyen_retrieval.grounding import Sentence, check
from doyen_retrieval.index import Encode, Passage
from doyen_retrieval.search import search
from doyen_retrieval.words import NEGATIONS, words
from doyen_schemas import DoyenError

Relation = Literal["same", "narrower", "broader"]
_LONGEST: Final = 400
"""Characters of a sentence that is quoted: longer ones are tables without their lines."""
_CHUNKS: Final = 20


@dataclass(frozen=True)
class Statement:
    """A sentence on one finding.

    Attributes:
        finding: HPO id of the patient's finding.
        relation: the passage speaks of the same finding, of a narrower or of a broader one.
        text: the sentence.
        passages: ids of the passages that say so; all of them were retrieved.
        citations: what they rest on: PMIDs, the disease's code where there is none, or the page's address.
    """

    finding: str
    relation: Relation
    text: str
    passages: tuple[str, ...]
    citations: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Statements on a disease; ``counts`` of those kept and dropped by reason, ``methods`` of the search."""

    disease: str
    statements: tuple[Statement, ...]
    counts: dict[str, int]
    methods: tuple[str, ...]
    absent: tuple[str, ...]


def evidence_for(
    disease: str, findings: Sequence[str], evidence: Evidence, encode: Encode | None = None
) -> Found:
    """What says that the disease has these findings, one edge and at most one quotation for each.

    Raises MED-061 for a disease that the knowledge does not have. Unknown findings have no statement.
    """
    codes = (disease, *evidence.knowledge.maps.exact_orpha(disease))
    annotations = evidence.knowledge.annotations
    names = [annotations.names[annotations.number[code]] for code in codes if code in annotations.number]
    if not names:
        raise DoyenError(
            "MED-061", f"no disease {disease!r} in the knowledge.", "Give a code such as OMIM:607208."
        )
    number = evidence.knowledge.ontology.number
    terms = list(dict.fromkeys(number[id] for id in findings if id in number))
    edge_statements, edge_passages, edge_methods = _edges(codes, terms, evidence)
    quotations, chunk_passages, chunk_methods = _quotations(names, terms, evidence, encode)
    made = edge_statements + quotations
    retrieved = {passage.id: passage for passage in (*edge_passages, *chunk_passages)}
    pairs = [(statement, Sentence(statement.text, statement.passages, terms)) for statement, terms in made]
    held = check([sentence for _, sentence in pairs], retrieved)
    kept = set(held.kept)
    return Found(
        disease, tuple(statement for statement, sentence in pairs if sentence in kept), held.counts,
        tuple(dict.fromkeys(edge_methods + chunk_methods)), evidence.absent,
    )  # fmt: skip


_Made = list[tuple[Statement, tuple[str, ...]]]
"""Statements, each with the terms that its passages must hold."""


def _edges(
    codes: Sequence[str], terms: Sequence[int], evidence: Evidence
) -> tuple[_Made, list[Passage], tuple[str, ...]]:
    """The closest edge of each finding. The query holds the annotated terms on a finding's path to the root too: a
    narrower term often shares no word with it."""
    ontology, index = evidence.knowledge.ontology, evidence.edges
    among = [at for code in codes for at in evidence.edges_of.get(code, ())]
    term_of = {
        index.passages[at].id: ontology.number[index.passages[at].id.partition("/")[2]] for at in among
    }
    near = {term for term in term_of.values() if any(relation(term, own, ontology) for own in terms)}
    query = " ".join(ontology.labels[term] for term in dict.fromkeys([*terms, *sorted(near)]))

    def rerank(_: str, passages: Sequence[Passage]) -> list[float]:
        return [max(closeness_of(term_of[p.id], own, ontology) for own in terms) for p in passages]

    result = search(index, query, len(among), among=among, rerank=rerank if terms else None)
    made: _Made = []
    for own in terms:
        hit = max(
            result.hits, key=lambda hit: closeness_of(term_of[hit.passage.id], own, ontology), default=None
        )
        near_by = None if hit is None else relation(term_of[hit.passage.id], own, ontology)
        if hit is None or near_by is None:
            continue
        passage = hit.passage
        papers = sorted(papers_of(passage.text), key=lambda paper: int(paper.partition(":")[2]))
        cited = tuple(papers) or (passage.id.partition("/")[0],)
        statement = Statement(ontology.ids[own], near_by, passage.text, (passage.id,), cited)
        made.append((statement, (ontology.labels[term_of[passage.id]],)))
    return made, [hit.passage for hit in result.hits], result.methods


def _quotations(
    names: Sequence[str], terms: Sequence[int], evidence: Evidence, encode: Encode | None
) -> tuple[_Made, list[Passage], tuple[str, ...]]:
    """The first sentence about each finding on the pages about this disease."""
    ontology, index = evidence.knowledge.ontology, evidence.texts
    among = [at for key in dict.fromkeys(map(subject, names)) for at in evidence.answers_about.get(key, ())]
    if not among or not terms:
        return [], [], ()
    query = " ".join(ontology.labels[term] for term in terms)
    result = search(index, query, _CHUNKS, among=among, encode=encode)
    made: _Made = []
    for own in terms:
        exact = [s.text for s in ontology.synonyms[own] if s.scope == "EXACT"]
        wanted = [words(name) for name in (ontology.labels[own], *exact)]
        for hit in result.hits:
            body = hit.passage.text.partition("\n")[2]
            quoted = next(
                (
                    (sentence.text, name)
                    for sentence in sentences(body)
                    for name in wanted
                    if len(sentence.text) <= _LONGEST and _says(words(sentence.text), name)
                ),
                None,
            )
            if quoted is not None:
                statement = Statement(
                    ontology.ids[own], "same", quoted[0], (hit.passage.id,), (hit.passage.url,)
                )
                made.append((statement, (" ".join(quoted[1]),)))
                break
    return made, [hit.passage for hit in result.hits], result.methods


def relation(term: int, own: int, ontology: Ontology) -> Relation | None:
    """How an annotated term stands to a patient's finding; None where neither is above the other."""
    if term == own:
        return "same"
    if own in ontology.ancestors(term):
        return "narrower"
    return "broader" if term in ontology.ancestors(own) else None


def closeness_of(term: int, own: int, ontology: Ontology) -> float:
    """Higher is closer: the same, then narrower, then broader, in each the one with fewer terms between; 0 where
    unrelated."""
    step = min(len(ontology.ancestors(term)), 900) / 1000
    return {"same": 3.0, "narrower": 3.0 - step, "broader": 1.0 + step, None: 0.0}[
        relation(term, own, ontology)
    ]


def _says(found: Sequence[str], term: Sequence[str]) -> bool:
    """Whether the term's words stand side by side, in a sentence that negates nothing."""
    return not NEGATIONS & set(found) and any(
        found[at : at + len(term)] == term for at in range(len(found) - len(term) + 1) if term
    )
