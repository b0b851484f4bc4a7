"""The graph of a contract: sections, exhibits, terms, parties, dates, durations, laws and amounts, and what binds them.

Nodes are ``(kind, name)``; every edge has a ``relation`` (``defines``, ``uses``, ``refers``, ``amends``), the
``role`` that its target plays (``law``, ``cap``, ``start``, ``end``) and the ``span`` that proves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import networkx as nx
import yaml

from doyen_legal.consistency.calendar import Dated, find_dated
from doyen_legal.consistency.parties import Party, find_parties
from doyen_legal.consistency.provisions import Provision, governing_laws, liability_caps
from doyen_legal.consistency.references import (
    Reference,
    Targets,
    find_exhibit_references,
    find_references,
    find_targets,
    top_number,
)
from doyen_legal.consistency.source import Source
from doyen_legal.consistency.terms import Terms, key
from doyen_legal.consistency.uses import Use, find_uses
from doyen_legal.normalise import Mention, find_durations

CONTRACT: Final = ("contract", "")
Node = tuple[str, str]


@dataclass(frozen=True)
class Facts:
    """What was read from one document."""

    source: Source
    terms: Terms
    uses: list[Use]
    parties: list[Party]
    dates: list[Dated]
    durations: list[Mention]
    references: list[Reference]
    targets: Targets
    laws: list[Provision]
    caps: list[Provision]


@dataclass(frozen=True)
class Template:
    """The relations that a contract type must have (see ``template.yaml``)."""

    complete: frozenset[str]
    single: frozenset[str]
    order: frozenset[tuple[str, str]]
    equal: frozenset[str]
    shorter: frozenset[tuple[str, str]]


def read_facts(source: Source) -> Facts:
    """Read every fact of the document once."""
    terms = Terms(source)
    return Facts(
        source, terms, list(find_uses(source, terms)), find_parties(source, terms), find_dated(source),
        find_durations(source.text), list(find_references(source)), find_targets(source), governing_laws(source),
        liability_caps(source),
    )  # fmt: skip


@cache
def templates() -> dict[str, Template]:
    """The template of each contract type."""
    data: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("template.yaml").read_text("utf-8"))
    return {
        name: Template(
            frozenset(entry["complete"]), frozenset(entry["single"]), frozenset(map(tuple, entry["order"])),
            frozenset(entry["equal"]), frozenset(map(tuple, entry["shorter"])),
        )
        for name, entry in data.items()
    }  # fmt: skip


def template_of(source: Source) -> Template:
    """The template that the document is matched against."""
    return templates()["amendment" if source.is_amendment else "agreement"]


def build(facts: Facts) -> nx.MultiDiGraph[Node]:
    """The graph of the facts."""
    graph: nx.MultiDiGraph[Node] = nx.MultiDiGraph()
    graph.add_node(CONTRACT)
    source = facts.source
    for definition in facts.terms.definitions:
        if definition.form != "quoted":
            _edge(
                graph, ("term", key(definition.term)), "defines", "term", (definition.start, definition.end)
            )
    for use in facts.uses:
        _edge(graph, ("term", key(use.phrase)), "uses", "term", (use.start, use.end))
    for number in facts.targets.dotted:
        _edge(graph, ("section", number), "defines", "section", None)
    for top in facts.targets.tops | facts.targets.articles:
        _edge(graph, ("section", str(top)), "defines", "section", None)
    for reference in facts.references:
        name = reference.number
        if not name[0].isdigit() and (first := top_number(name)) is not None:
            name = str(first)
        _edge(graph, ("section", name), "refers", "section", (reference.start, reference.end))
    for part in source.parts[1:]:
        _edge(graph, ("exhibit", f"{part.kind} {part.label}"), "defines", "exhibit", (part.start, part.end))
    for kind, label, start, end in find_exhibit_references(source):
        _edge(graph, ("exhibit", f"{kind} {label}"), "refers", "exhibit", (start, end))
    for party in facts.parties:
        _edge(graph, ("party", party.name), "defines", "party", party.span)
    for dated in facts.dates:
        _edge(graph, ("date", dated.day.isoformat()), "uses", dated.role or "date", (dated.start, dated.end))
    for mention in facts.durations:
        _edge(graph, ("duration", mention.value.text), "uses", "duration", (mention.start, mention.end))
    for role, provisions in (("law", facts.laws), ("cap", facts.caps)):
        for provision in provisions:
            for value in provision.values:
                _edge(graph, (role, value), "defines", role, (provision.start, provision.end))
    if source.is_amendment:
        graph.add_edge(CONTRACT, ("agreement", "amended"), relation="amends", role="agreement", span=None)
    return graph


def loose(graph: nx.MultiDiGraph[Node], kind: str) -> set[str]:
    """The names of the nodes of ``kind`` that are referred to or used, but defined nowhere."""
    return {name for name, relations in _relations(graph, kind).items() if "defines" not in relations}


def idle(graph: nx.MultiDiGraph[Node], kind: str) -> set[str]:
    """The names of the nodes of ``kind`` that are defined, but never used or referred to."""
    return {name for name, relations in _relations(graph, kind).items() if relations == {"defines"}}


def values(graph: nx.MultiDiGraph[Node], role: str) -> set[str]:
    """The names of the nodes that fill ``role``."""
    return {target[1] for _, target, data in graph.edges(data=True) if data["role"] == role}


def _relations(graph: nx.MultiDiGraph[Node], kind: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for _, target, data in graph.edges(data=True):
        if target[0] == kind:
            found.setdefault(target[1], set()).add(data["relation"])
    return found


def _edge(
    graph: nx.MultiDiGraph[Node], node: Node, relation: str, role: str, span: tuple[int, int] | None
) -> None:
    graph.add_edge(CONTRACT, node, relation=relation, role=role, span=span)
