"""The encoder for the ranker's folds: each fold's embeddings never saw that fold's papers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from doyen_medical.graph import score
from doyen_medical.graph.encoder import Plan, stamp, train
from doyen_medical.graph.score import Embeddings
from doyen_medical.rank.examples import GraphOf
from doyen_medical.rank.features import ExtraScore
from doyen_medical.rank.library import Library


def embeddings(
    library: Library, folder: Path, plan: Plan, say: Callable[[str], None] = lambda _: None
) -> Embeddings:
    """The library's embeddings: read from ``folder`` where a run with the same input left them, else trained."""
    if (folder / f"{score.NAME}.json").is_file():
        found = score.load(folder)
        if found.trained == stamp(library, plan):
            return found
    found = train(library, plan, lambda step, loss: _told(say, folder.name, step, loss))
    score.save(found, folder)
    return found


def _told(say: Callable[[str], None], name: str, step: int, loss: float) -> None:
    if step % 20 == 0:
        say(f"{name}: step {step}, loss {loss:.3f}")


def graph_of(folder: Path, plan: Plan, say: Callable[[str], None] = lambda _: None) -> GraphOf:
    """The ranker's hook (``rank.build.train(extra=…)``): embeddings of each fold in a folder of their own."""

    def extra(library: Library, fold: int | None) -> dict[str, ExtraScore]:
        name = "all" if fold is None else f"fold-{fold}"
        return {score.NAME: score.score_of(embeddings(library, folder / name, plan, say), library)}

    return extra
