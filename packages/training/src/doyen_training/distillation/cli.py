"""``doyen train teacher``: ask a recipe's teacher once, and keep its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doyen_runtime.commands.output import print_json


def teacher(
    recipe: Annotated[Path, typer.Argument(help="A recipe with a [[loss]] of kind distillation.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the record files; the recipe's own by default.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples that the teacher reads at once.")] = 8,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the cache of a teacher's logits that a recipe distils from; a killed run goes on when repeated.

    Example:

      doyen train teacher recipe.toml && doyen train recipe.toml
    """
    from transformers import AutoTokenizer

    from doyen_data import read_records
    from doyen_modeling.base import base_path, verify
    from doyen_schemas import DoyenError
    from doyen_training.distillation.teacher import cache_for
    from doyen_training.losses.distillation import DistillationPart
    from doyen_training.masking import tokenize
    from doyen_training.recipe import read_recipe

    settings = read_recipe(recipe)
    part = next((part for part in settings.loss if isinstance(part, DistillationPart)), None)
    if part is None:
        raise DoyenError(
            "TRN-064",
            f"{recipe.name} has no [[loss]] of kind distillation, so no teacher is to be asked.",
            'Add [[loss]] with kind = "distillation" and teacher = "…".',
        )
    folder = data or recipe.parent
    verify(settings.base.source)
    tokenizer = AutoTokenizer.from_pretrained(base_path(settings.base.source), local_files_only=True)
    records = read_records(folder / settings.data.train)
    rules = settings.data
    examples = tokenize(
        records, tokenizer, rules.max_length, rules.learn, rules.truncation, settings.figures()
    )
    meta = cache_for(
        part,
        records,
        examples,
        tokenizer,
        folder,
        learn=rules.learn,
        figures=settings.figures(),
        batch_size=batch_size,
        report=lambda line: typer.echo(line, err=True),
    )
    target = folder / part.cache
    shown = {
        "cache": str(target),
        "samples": len(meta["counts"]),
        "learned_tokens": sum(meta["counts"]),
        "top": meta["key"]["k"],
        "alignment": meta["key"]["alignment"],
        "bytes": sum((target / name).stat().st_size for name in meta["shards"]),
    }
    if json:
        print_json(shown)
    else:
        typer.echo(
            f"{target}: {shown['top']} tokens at {shown['learned_tokens']:,} positions of {shown['samples']:,} samples, "
            f"{shown['bytes'] / 1e6:.1f} MB"
        )
