"""The checker: facts into a graph, the graph against its template, a rule for each departure."""

from __future__ import annotations

from collections.abc import Iterator

from doyen_legal.consistency.calendar import date_order, term_arithmetic
from doyen_legal.consistency.definitions import (
    case_drift,
    duplicate_definitions,
    undefined_terms,
    unused_terms,
)
from doyen_legal.consistency.figures import number_word_mismatches
from doyen_legal.consistency.graph import build, loose, read_facts, template_of, values
from doyen_legal.consistency.parties import party_name_drift
from doyen_legal.consistency.provisions import conflicting_caps, conflicting_laws
from doyen_legal.consistency.references import dangling_exhibits, dangling_sections
from doyen_legal.consistency.source import Source
from doyen_legal.consistency.types import Fault
from doyen_schemas import Document


def check(document: Document) -> list[Fault]:
    """The faults of ``document`` in the order of their place."""
    return sorted(set(_faults(Source(document))), key=lambda fault: (fault.start, fault.end, fault.kind))


def _faults(source: Source) -> Iterator[Fault]:
    facts = read_facts(source)
    graph, template, terms = build(facts), template_of(source), facts.terms
    # A rule words and places a departure that the graph shows; where the graph shows none, it need not look.
    if loose(graph, "term"):
        yield from undefined_terms(source, terms, facts.uses, amends="term" not in template.complete)
    if "section" in template.complete and facts.references:
        yield from dangling_sections(source, facts.targets, facts.references)
    if "exhibit" in template.complete and loose(graph, "exhibit"):
        yield from dangling_exhibits(source)
    if "term-definition" in template.single:
        yield from duplicate_definitions(source, terms)
    if "law" in template.single and len(values(graph, "law")) > 1:
        yield from conflicting_laws(source, facts.laws)
    if "cap" in template.single and len(values(graph, "cap")) > 1:
        roles = frozenset(alias.lower() for party in facts.parties for alias, _ in party.aliases)
        yield from conflicting_caps(source, facts.caps, roles)
    if "party-name" in template.single:
        yield from party_name_drift(source, terms, facts.parties)
    if ("start", "end") in template.order:
        yield from date_order(source, facts.dates, deadlines=("made", "deadline") in template.order)
    if "term" in template.equal and values(graph, "duration"):
        yield from term_arithmetic(
            source, facts.dates, facts.durations, notices=("notice", "term") in template.shorter
        )
    yield from case_drift(source, terms)
    yield from number_word_mismatches(source)
    yield from unused_terms(source, terms)
