"""The codes of one disease: its own, and those that Orphanet's map and MONDO's mappings lead to.

An exact code is reached by exact links alone. Where a system has none, the broader entries that the links lead to are
given and flagged: what a hospital can register under when a rare disease has no code of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from doyen_medical.knowledge.maps import OUTPUT_SYSTEMS, Code, Maps

SYSTEMS: Final = ("OMIM", *OUTPUT_SYSTEMS)
_ORDER: Final = {"exact": 0, "broader": 1, "narrower": 2}
_MOST: Final = 5
"""Codes given of one system."""


def codes_of(disease: str, maps: Maps) -> list[Code]:
    """OMIM, ORPHA, MONDO, ICD-10-CM and ICD-11 codes of ``OMIM:…`` or ``ORPHA:…``, in this order.

    ``relation`` says what the code is, seen from the disease. Of a system with an exact code only exact ones are
    given, else broader ones, else narrower ones. Without maps the own code alone is known.
    """
    found: dict[tuple[str, str], Code] = {}
    for link in _links(disease, maps):
        known = found.get(link[:2])
        if known is None or _ORDER[link.relation] < _ORDER[known.relation]:
            found[link[:2]] = link
    kept: list[Code] = []
    for system in SYSTEMS:
        own = sorted((_ORDER[code.relation], code) for code in found.values() if code.system == system)
        kept += [code for order, code in own if order == own[0][0]][:_MOST]
    return kept


def _links(disease: str, maps: Maps) -> Iterator[Code]:
    """Every link, with the relation that the whole way to it has; a way ends at a narrower entry."""
    yield Code(disease.partition(":")[0], disease, "", "exact")
    near = [(disease, "exact")]
    for code, relation in (maps.orpha_omim if disease.startswith("ORPHA:") else maps.orpha_of).get(
        disease, ()
    ):
        yield Code(code.partition(":")[0], code, "", relation)
        if relation != "narrower":
            near.append((code, relation))
    for code, relation in near:
        mondo = maps.mondo_of.get(code)
        if mondo is None:
            continue
        yield Code("MONDO", mondo, "", relation)
        for link in maps.mondo[mondo]:
            if link.relation == "exact":
                yield link._replace(relation=relation)
            elif link.relation == "broader":
                yield link
