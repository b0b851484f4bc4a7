"""Typed facts and their embeddings: what users import. Modules with torch load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doyen_graph.evaluation import figures, filtered_ranks
    from doyen_graph.models import Model
    from doyen_graph.store import load, save
    from doyen_graph.training import Plan, train
    from doyen_graph.triples import Triples, split

__all__ = ["Model", "Plan", "Triples", "figures", "filtered_ranks", "load", "save", "split", "train"]

_WHERE = {
    "Model": "models", "Plan": "training", "Triples": "triples", "figures": "evaluation",
    "filtered_ranks": "evaluation", "load": "store", "save": "store", "split": "triples", "train": "training",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"doyen_graph.{_WHERE[name]}"), name)
    raise AttributeError(name)
