"""The teacher: a base, with an adapter or without; and the cache that a recipe asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doyen_data import Record
    from doyen_modeling.base import LoadedBase
    from doyen_training.losses.distillation import DistillationPart
    from doyen_training.masking import Example, Learn


def load_teacher(source: str, adapter: Path | None = None) -> LoadedBase:
    """A base in eval mode, with the adapter of a folder. Raises MOD-001 to MOD-003, MOD-010, MOD-011."""
    from doyen_modeling.base import load_base
    from doyen_modeling.methods import load_adapter

    base = load_base(source)
    if adapter is not None:
        base = base._replace(model=load_adapter(base, adapter))
    base.model.requires_grad_(False)
    return base


def cache_for(
    part: DistillationPart,
    records: list[Record],
    examples: list[Example],
    tokenizer: Any,
    folder: Path,
    *,
    learn: Learn = "assistant",
    figures: bool = False,
    batch_size: int = 8,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write the cache that ``part`` names, for ``examples`` that ``tokenizer`` made of ``records``.

    ``folder`` is what the paths of the recipe are relative to. Returns the content of ``teacher.json``. Raises
    TRN-061, TRN-062 (records that were cut cannot be aligned by text), MOD-…
    """
    from doyen_training.distillation.cache import cache_teacher, tokenizer_digest
    from doyen_training.masking import encode

    adapter = folder / part.adapter if part.adapter else None
    teacher = load_teacher(part.teacher, adapter)
    same = tokenizer_digest(tokenizer) == tokenizer_digest(teacher.tokenizer)
    kept = {example.id for example in examples}
    own = [] if same else encode([r for r in records if r.id in kept], teacher.tokenizer, learn, figures)
    return cache_teacher(
        teacher,
        examples,
        tokenizer,
        folder / part.cache,
        k=part.top,
        batch_size=batch_size,
        adapter_sha256=folder_digest(adapter) if adapter else "",
        own=own,
        report=report,
    )


def folder_digest(folder: Path) -> str:
    """sha256 over names and contents of the files in ``folder``."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
