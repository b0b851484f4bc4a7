"""The Human Phenotype Ontology: terms, names, is_a edges and ancestors, read from an OBO file.

Shape legend: T terms, E edges, A (term, ancestor) pairs. Terms are numbered in order of their ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_schemas import DoyenError

Ints = NDArray[np.int32]

ROOT: Final = "HP:0000001"
PHENOTYPE: Final = "HP:0000118"
"""Phenotypic abnormality: the only branch that describes findings."""

_SYNONYM: Final = re.compile(r'"((?:[^"\\]|\\.)*)" (EXACT|BROAD|NARROW|RELATED)(?: ([^\[]*?))? ?\[')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Synonym(NamedTuple):
    """Another name; ``scope`` is EXACT, BROAD, NARROW or RELATED, ``kind`` such as layperson or abbreviation."""

    text: str
    scope: str
    kind: str


@dataclass(frozen=True)
class Ontology:
    """The terms that are in use. ``number`` resolves ids and alternative ids; obsolete ids stand in ``obsolete``.

    Attributes:
        release: the release's date, such as ``2025-01-16``.
        ids, labels, definitions, synonyms: by term number, T each.
        alternative: alternative id to term number.
        obsolete: obsolete id to the id that replaces it, or None.
        is_a_E2: is_a edges as (child, parent) numbers, (E, 2).
        ancestor_starts, ancestor_A: the ancestors of term t, itself among them and the root left out, are
            ``ancestor_A[ancestor_starts[t]:ancestor_starts[t + 1]]``.
    """

    release: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    definitions: tuple[str, ...]
    synonyms: tuple[tuple[Synonym, ...], ...]
    alternative: dict[str, int]
    obsolete: dict[str, str | None]
    is_a_E2: Ints
    ancestor_starts: Ints
    ancestor_A: Ints

    @cached_property
    def number(self) -> dict[str, int]:
        """Id or alternative id to term number."""
        return self.alternative | {id: number for number, id in enumerate(self.ids)}

    def ancestors(self, term: int) -> Ints:
        """The ancestors of a term, itself included, without the root of the ontology."""
        return self.ancestor_A[self.ancestor_starts[term] : self.ancestor_starts[term + 1]]

    @cached_property
    def phenotypic(self) -> NDArray[np.bool_]:
        """Whether a term describes a finding: it lies at or below Phenotypic abnormality, (T,)."""
        owner_A = np.repeat(np.arange(len(self.ids)), np.diff(self.ancestor_starts))
        inside = np.zeros(len(self.ids), bool)
        inside[owner_A[self.ancestor_A == self.number[PHENOTYPE]]] = True
        return inside


def parse(text: str) -> Ontology:
    """The ontology of an OBO 1.2 file. Raises MED-002 when it is not one."""
    version = re.search(r"^data-version:.*?(\d{4}-\d\d-\d\d)", text, re.M)
    stanzas = sorted(_stanzas(text), key=lambda stanza: stanza["id"][0])
    live = [stanza for stanza in stanzas if "true" not in stanza.get("is_obsolete", ())]
    number = {stanza["id"][0]: index for index, stanza in enumerate(live)}
    if version is None or ROOT not in number or PHENOTYPE not in number:
        raise DoyenError(
            "MED-002",
            f"the ontology file has no data-version, or no {ROOT} and {PHENOTYPE}.",
            "It must be hp.obo of a Human Phenotype Ontology release.",
        )
    edges = [
        (child, number[parent])
        for child, stanza in enumerate(live)
        for parent in (line.split(" !")[0].split(" {")[0].strip() for line in stanza.get("is_a", ()))
        if parent in number
    ]
    starts, ancestors = _closure(len(live), edges, number[ROOT])
    return Ontology(
        release=version[1],
        ids=tuple(stanza["id"][0] for stanza in live),
        labels=tuple(stanza.get("name", [""])[0] for stanza in live),
        definitions=tuple(_quoted(stanza.get("def", [""])[0]) for stanza in live),
        synonyms=tuple(tuple(_synonyms(stanza.get("synonym", ()))) for stanza in live),
        alternative={alt: index for index, stanza in enumerate(live) for alt in stanza.get("alt_id", ())},
        obsolete={
            stanza["id"][0]: stanza.get("replaced_by", [None])[0]
            for stanza in stanzas
            if "true" in stanza.get("is_obsolete", ())
        },
        is_a_E2=np.array(edges, np.int32).reshape(-1, 2),
        ancestor_starts=starts,
        ancestor_A=ancestors,
    )


def to_parts(ontology: Ontology) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and JSON-able texts, for the cache."""
    texts = {
        name: getattr(ontology, name)
        for name in ("release", "ids", "labels", "definitions", "synonyms", "alternative", "obsolete")
    }
    arrays = {name: getattr(ontology, name) for name in ("is_a_E2", "ancestor_starts", "ancestor_A")}
    return arrays, texts


def from_parts(arrays: dict[str, NDArray[Any]], texts: dict[str, Any]) -> Ontology:
    """The inverse of ``to_parts``."""
    return Ontology(
        release=texts["release"],
        ids=tuple(texts["ids"]),
        labels=tuple(texts["labels"]),
        definitions=tuple(texts["definitions"]),
        synonyms=tuple(tuple(Synonym(*parts) for parts in names) for names in texts["synonyms"]),
        alternative=texts["alternative"],
        obsolete=texts["obsolete"],
        is_a_E2=arrays["is_a_E2"],
        ancestor_starts=arrays["ancestor_starts"],
        ancestor_A=arrays["ancestor_A"],
    )


def _stanzas(text: str) -> Iterator[dict[str, list[str]]]:
    """The term stanzas as tag to values."""
    for block in re.split(r"\n(?=\[)", text):
        if not block.startswith("[Term]"):
            continue
        stanza: dict[str, list[str]] = {}
        for line in block.splitlines()[1:]:
            tag, colon, value = line.partition(": ")
            if colon:
                stanza.setdefault(tag, []).append(value.strip())
        if stanza.get("id", [""])[0].startswith("HP:"):
            yield stanza


def _synonyms(lines: list[str] | tuple[()]) -> Iterator[Synonym]:
    for line in lines:
        if match := _SYNONYM.match(line):
            yield Synonym(_unescape(match[1]), match[2], match[3] or "")


def _quoted(value: str) -> str:
    match = _QUOTED.match(value)
    return _unescape(match[1]) if match else ""


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)


def _closure(terms: int, edges: list[tuple[int, int]], root: int) -> tuple[Ints, Ints]:
    """Ancestors of every term, itself included, the root left out; MED-002 when is_a has a cycle."""
    parents: list[list[int]] = [[] for _ in range(terms)]
    children: list[list[int]] = [[] for _ in range(terms)]
    for child, parent in edges:
        parents[child].append(parent)
        children[parent].append(child)
    waiting = [len(above) for above in parents]
    ready = [term for term in range(terms) if not waiting[term]]
    found: list[set[int]] = [set() for _ in range(terms)]
    done = 0
    while ready:
        term = ready.pop()
        done += 1
        found[term] = {term}.union(*(found[parent] for parent in parents[term]))
        for child in children[term]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    if done != terms:
        raise DoyenError(
            "MED-002",
            f"is_a has a cycle: {terms - done} terms have no way to the root.",
            "It must be hp.obo of a Human Phenotype Ontology release.",
        )
    lists = [sorted(above - {root}) for above in found]
    starts = np.zeros(terms + 1, np.int32)
    np.cumsum([len(above) for above in lists], out=starts[1:])
    return starts, np.array([ancestor for above in lists for ancestor in above], np.int32)
