"""What is shipped in the adapter folder: published patients and fusers, read once a process."""

from __future__ import annotations

import hashlib
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
    """The folder of the adapter in use: the one promoted in the store ``DOYEN_RELEASES``, else the shipped one.

    Its signature and every file are checked where it has a release. Raises RUN-01x, RUN-04x.
    """
    found = adapters.in_use(NAME, SHIPPED)
    if (found / adapters.RELEASE).is_file():
        adapters.load(found, vertical="medical")
    return found


@cache
def release() -> tuple[str, str]:
    """Name with version, and digest; of weights that were never released, the digest of their files."""
    if (folder() / adapters.RELEASE).is_file():
        stated = adapters.read_release(folder())
        return f"{stated.name} {stated.version}", adapters.release_digest(stated)
    files = sorted(path for path in folder().iterdir() if path.is_file())
    digest = hashlib.sha256("".join(adapters.file_sha256(path) for path in files).encode()).hexdigest()
    return f"{NAME} unreleased", digest


@cache
def fuser(name: str) -> Fuser:
    """``ranker`` or ``literature``."""
    from doyen_medical.rank.fuser import load

    return load(folder(), name)


@cache
def patients() -> tuple[Case, ...]:
    """The published patients, numbered for the ontology in use."""
    from doyen_medical.knowledge.store import load_published as knowledge
    from doyen_medical.rank.profiles import load

    return tuple(load(folder(), knowledge().ontology))


def extra(library: Library) -> dict[str, ExtraScore]:
    """The further scores that the shipped ranker was fitted with: the graph encoder's, or none."""
    from doyen_medical.graph import score

    if score.NAME not in fuser("ranker").names:
        return {}
    return {score.NAME: score.score_of(score.load(folder()), library)}


def ranker(library: Library) -> Ranker:
    """The ranking of production, of a library with the published patients.

    The fuser ``literature`` is not averaged in: over the train cases out of fold that loses first places.
    """
    from doyen_medical.rank.ranker import Ranker

    return Ranker(library, fuser("ranker"), extra(library))
