"""The checker: facts into a graph, rules over it."""

from __future__ import annotations

from doyen_legal.consistency.calendar import date_order, find_dated, term_arithmetic
from doyen_legal.consistency.definitions import (
    case_drift,
    duplicate_definitions,
    undefined_terms,
    unused_terms,
)
from doyen_legal.consistency.figures import number_word_mismatches
from doyen_legal.consistency.parties import find_parties, party_name_drift
from doyen_legal.consistency.provisions import (
    conflicting_caps,
    conflicting_laws,
    governing_laws,
    liability_caps,
)
from doyen_legal.consistency.references import (
    dangling_exhibits,
    dangling_sections,
    find_references,
    find_targets,
)
from doyen_legal.consistency.source import Source
from doyen_legal.consistency.terms import Terms
from doyen_legal.consistency.types import Fault
from doyen_schemas import Document


def check(document: Document) -> list[Fault]:
    """The faults of ``document`` in the order of their place."""
    source = Source(document)
    terms = Terms(source)
    dates = find_dated(source)
    parties = find_parties(source, terms)
    roles = frozenset(alias.lower() for party in parties for alias, _ in party.aliases)
    faults = [
        *undefined_terms(source, terms),
        *unused_terms(source, terms),
        *duplicate_definitions(source, terms),
        *case_drift(source, terms),
        *dangling_sections(source, find_targets(source), list(find_references(source))),
        *dangling_exhibits(source),
        *number_word_mismatches(source),
        *date_order(source, dates),
        *term_arithmetic(source, dates),
        *conflicting_laws(source, governing_laws(source)),
        *conflicting_caps(source, liability_caps(source), roles),
        *party_name_drift(source, terms, parties),
    ]
    return sorted(set(faults), key=lambda fault: (fault.start, fault.end, fault.kind))
