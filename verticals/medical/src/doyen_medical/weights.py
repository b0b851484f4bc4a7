"""What is shipped in the adapter folder: published patients and fusers, read once a process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from doyen_runtime import adapters

if TYPE_CHECKING:
    from doyen_medical.cases import Case
    from doyen_medical.rank.features import ExtraScore
    from doyen_medical.rank.fuser import Fuser
    from doyen_medical.rank.library import Library
    from doyen_medical.rank.ranker import Ranker

NAME: Final = "doyen-medical-ranker"
SHIPPED: Final = Path(__file__).parent / "adapter"


@cache
def folder() -> Path:
    """The folder of the adapter in use: the one promoted in the store ``DOYEN_RELEASES``, else the shipped one."""
    return adapters.in_use(NAME, SHIPPED)


@cache
def fuser(name: str) -> Fuser:
    """``ranker`` or ``literature``."""
    from doyen_medical.rank.fuser import load

    return load(folder(), name)


@cache
def patients() -> tuple[Case, ...]:
    """The published patients, numbered for the ontology in use."""
    from doyen_medical.knowledge.store import load as knowledge
    from doyen_medical.rank.profiles import load

    return tuple(load(folder(), knowledge().ontology))


def extra(library: Library) -> dict[str, ExtraScore]:
    """Further scores that the shipped ranker reads; none today."""
    del library
    return {}


def ranker(library: Library) -> Ranker:
    """The ranking of production: knowledge as released, published patients, both fusers averaged."""
    from doyen_medical.rank.ranker import Ranker

    return Ranker(library, fuser("ranker"), fuser("literature"), extra(library))
