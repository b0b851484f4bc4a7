"""The evidence indexes of the knowledge in use: built once into the user's cache, by version.

The passages of diseases and findings, a quarter of a million short sentences of one form, are searched by BM25 alone;
definitions and MedQuAD answers also by vectors, where they were built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Final

from doyen_medical.evidence import medquad
from doyen_medical.evidence.passages import MEDQUAD, answers, definitions, edges
from doyen_medical.knowledge import store
from doyen_medical.knowledge.store import Knowledge
from doyen_retrieval import index as retrieval
from doyen_retrieval.index import Encode, Index
from doyen_retrieval.words import content_words
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError

_FORMAT: Final = "1"
"""Counts up when passages are written otherwise."""


def _quiet(line: str) -> None:
    del line


@dataclass(frozen=True)
class Evidence:
    """Indexes over one knowledge: ``edges`` of diseases and findings, ``texts`` of definitions and answers."""

    knowledge: Knowledge
    edges: Index
    texts: Index

    @cached_property
    def edges_of(self) -> dict[str, list[int]]:
        """Disease code to the positions of its edges."""
        found: dict[str, list[int]] = {}
        for at, passage in enumerate(self.edges.passages):
            found.setdefault(passage.id.partition("/")[0], []).append(at)
        return found

    @cached_property
    def answers_about(self) -> dict[frozenset[str], list[int]]:
        """Words of a page's subject to the positions of its chunks."""
        found: dict[frozenset[str], list[int]] = {}
        for at, passage in enumerate(self.texts.passages):
            if passage.source.startswith(MEDQUAD):
                found.setdefault(subject(passage.text.partition("\n")[0]), []).append(at)
        return found

    @property
    def absent(self) -> tuple[str, ...]:
        """What the user has not built: ``medquad``, ``vectors``."""
        return (() if self.answers_about else ("medquad",)) + (
            () if self.texts.vectors is not None else ("vectors",)
        )


def subject(name: str) -> frozenset[str]:
    """The words of a disease's name, in any order."""
    return frozenset(content_words(name))


@cache
def load() -> Evidence:
    """The indexes of the knowledge in use, once a process; built on the first use, the vectors only by ``build``."""
    return read(store.load(), store.user_folder())


def build(encode: Encode | None = None, progress: Callable[[str], None] = _quiet) -> Evidence:
    """Build what is missing; with an encoder also the vectors of definitions and answers."""
    return read(store.load(), store.user_folder(), encode, progress)


def read(
    knowledge: Knowledge, user: Path, encode: Encode | None = None,
    progress: Callable[[str], None] = _quiet,
) -> Evidence:  # fmt: skip
    """The indexes for this knowledge and the MedQuAD answers in ``user``; a damaged one is built again."""
    found, digest = medquad.load(user)
    # The maps that a version may name after its dot change no passage.
    release = knowledge.version.partition(".")[0]
    cache = get_settings().cache / "medical"
    edge_folder = cache / f"evidence-{_FORMAT}-{release}-edges"
    text_folder = cache / f"evidence-{_FORMAT}-{release}-texts-{digest[:8] or 'hpo'}"
    edge_index = _kept(edge_folder) or _build(
        edge_folder, lambda: retrieval.build(edges(knowledge), edge_folder), progress
    )
    texts = _kept(text_folder)
    if texts is None or (encode is not None and texts.vectors is None):
        texts = _build(
            text_folder,
            lambda: retrieval.build([*definitions(knowledge), *answers(found)], text_folder, encode),
            progress,
        )
    return Evidence(knowledge, edge_index, texts)


def _kept(folder: Path) -> Index | None:
    try:
        return retrieval.load(folder)
    except DoyenError:
        return None


def _build(folder: Path, write: Callable[[], None], progress: Callable[[str], None]) -> Index:
    progress(f"building {folder.name}")
    write()
    return retrieval.load(folder)
