"""Embeddings on disk: safetensors beside the names that they belong to."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load_file, save_file

from doyen_graph.models import Model
from doyen_graph.training import Plan
from doyen_graph.triples import Triples
from doyen_schemas import DoyenError


def save(model: Model, triples: Triples, plan: Plan, folder: Path) -> None:
    """Write ``graph.safetensors`` (weights) and ``graph.json`` (plan, names of entities and relations)."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "graph.safetensors"
    )
    facts = {"plan": asdict(plan), "entities": triples.entities, "relations": triples.relations}
    (folder / "graph.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path, triples: Triples) -> tuple[Model, Plan]:
    """The model that ``save`` wrote, over the same facts (an encoder passes messages along them).

    Raises GRA-002 when the files are missing or damaged, or name other entities or relations.
    """
    try:
        facts = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        plan = Plan(**facts["plan"])
        same = (tuple(facts["entities"]), tuple(facts["relations"])) == (triples.entities, triples.relations)
        model = Model(plan.encoder, plan.decoder, triples, plan.size, plan.seed)
        model.load_state_dict(load_file(folder / "graph.safetensors"))
    except Exception as error:  # safetensors, JSON and torch each have their own
        raise _unreadable(f"cannot be read ({type(error).__name__})") from error
    if not same:
        raise _unreadable("belong to another graph")
    return model.eval(), plan


def _unreadable(what: str) -> DoyenError:
    return DoyenError("GRA-002", f"the graph embeddings {what}.", "Train them again.")
