"""What a recipe reads beside its records and its base: adapters, caches, selections, scores, teachers.

A run goes on only with the same files, so their digests are a part of what it is.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from doyen_modeling.base import read_record
from doyen_modeling.methods import Experts
from doyen_training.distillation.cache import META
from doyen_training.distillation.teacher import folder_digest
from doyen_training.losses import AttentionPart, ConsistencyPart, DistillationPart, OnPolicyPart
from doyen_training.recipe import Recipe


def input_digests(recipe: Recipe, data: Path) -> dict[str, str]:
    """sha256 by key and name, such as ``curriculum.scores (scores.json)``; empty where there is no such file.

    What reads an absent file refuses it with its own code. Of a teacher's cache the index counts, which has the sha256
    of every shard. Raises MOD-001 to MOD-003 for a teacher in memory that is not there.
    """
    found = {f"{key} ({name})": _digest(data / name) for key, name in input_files(recipe).items()}
    for part in recipe.loss:
        if isinstance(part, AttentionPart | OnPolicyPart):
            found[f"loss.{part.kind}.teacher ({part.teacher})"] = read_record(part.teacher).weights_sha256
    return found


def input_files(recipe: Recipe) -> dict[str, str]:
    """The files and folders, relative to the data, by their key in the recipe."""
    named: dict[str, str | None] = {"base.adapter": recipe.base.adapter}
    if isinstance(recipe.method, Experts) and isinstance(recipe.method.experts, str):
        named["method.experts"] = recipe.method.experts
    if recipe.curriculum is not None:
        named["curriculum.scores"] = recipe.curriculum.scores
    for part in recipe.loss:
        if isinstance(part, AttentionPart | OnPolicyPart | DistillationPart):
            named[f"loss.{part.kind}.adapter"] = part.adapter
        if isinstance(part, DistillationPart):
            named[f"loss.{part.kind}.cache"] = part.cache
        if isinstance(part, ConsistencyPart):
            named[f"loss.{part.kind}.statements"] = part.statements
            named[f"loss.{part.kind}.rules"] = part.rules
    return {key: name for key, name in named.items() if name is not None}


def _digest(path: Path) -> str:
    if path.is_dir():
        index = path / META
        return _digest(index) if index.is_file() else folder_digest(path)
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
