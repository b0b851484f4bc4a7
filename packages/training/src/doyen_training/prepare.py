"""From a recipe to what a run begins with: base, model with its method, examples; and the checks on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from doyen_data import read_records
from doyen_modeling.base import LoadedBase, load_base
from doyen_modeling.encoder import has_bf16_units
from doyen_modeling.methods import Experts, Full, QLora, attach, load_adapter
from doyen_training.masking import Cut, Example, check_vocabulary, encode, fit
from doyen_training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run has before its first step: base, model with the method attached, examples, what was cut off."""

    base: LoadedBase
    model: Any
    sets: dict[str, list[Example]]
    encoded: dict[str, list[Example]]
    cut: Cut

    @property
    def learned_share(self) -> float:
        """The share of the training tokens that is learned."""
        examples = self.sets["train"]
        return sum(e.learned for e in examples) / sum(len(e.input_ids) for e in examples)


def prepare(recipe: Recipe, data: Path) -> Prepared:
    """Load, tokenise and check everything that a run needs.

    Raises TRN-003 to TRN-005, TRN-023 and TRN-040 to TRN-042 (records and tokenizer), DAT-… (files), MOD-… (base, method,
    adapter on another base, no device for QLoRA).
    """
    import torch

    records = {name: read_records(data / file) for name, file in recipe.files().items()}
    if isinstance(recipe.method, QLora):
        from doyen_modeling.methods.qlora import check_device

        check_device()  # before minutes of loading
    torch.manual_seed(recipe.seed)
    base = load_base(recipe.base.source, weights_type(recipe))
    embeddings: Any = base.model.get_input_embeddings()
    check_vocabulary(base.tokenizer, embeddings.weight.shape[0])
    encoded = {
        name: encode(rows, base.tokenizer, recipe.data.learn, recipe.figures())
        for name, rows in records.items()
    }
    fitted = {
        name: fit(examples, recipe.data.max_length, recipe.data.truncation)
        for name, examples in encoded.items()
    }
    sets = {name: examples for name, (examples, _) in fitted.items()}
    return Prepared(
        base=base,
        model=_with_method(recipe, base, sets["train"], data),
        sets=sets,
        encoded=encoded,
        cut=fitted["train"][1],
    )


def precision(recipe: Recipe) -> Literal["float32", "bfloat16"]:
    """The compute type: with ``auto``, bfloat16 where matrix units make it faster (AMX, Ampere and later).

    A CPU without AMX emulates bfloat16: measured 2.8 times slower than float32 there, 2.5 times faster with it.
    """
    import torch

    if recipe.run.precision != "auto":
        return recipe.run.precision
    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if has_bf16_units() else "float32"


def weights_type(recipe: Recipe) -> Literal["float32", "bfloat16"]:
    """How the base is loaded: frozen weights in bfloat16 on a GPU that computes in it, else float32."""
    import torch

    narrow = torch.cuda.is_available() and precision(recipe) == "bfloat16"
    return "bfloat16" if narrow and not isinstance(recipe.method, Full) else "float32"


def _with_method(recipe: Recipe, base: LoadedBase, examples: Sequence[Example], data: Path) -> Any:
    if recipe.base.adapter is not None:
        return load_adapter(base, data / recipe.base.adapter, trainable=True)
    method: Any = recipe.method
    if isinstance(method, Experts):
        method = method.resolve(data)
    batches = _batches(base, examples, recipe.run.batch_size, method.batches) if method.scored else None
    return attach(base.model, method, batches)


def _batches(
    base: LoadedBase, examples: Sequence[Example], size: int, count: int
) -> Iterator[dict[str, Any]]:
    """The first ``count`` batches of the training data, for methods that score before they train."""
    from doyen_training.collate import Collator

    pad = base.tokenizer.pad_token_id
    collate = Collator(examples, int(pad if pad is not None else base.tokenizer.eos_token_id))
    for start in range(0, min(len(examples), count * size), size):
        rows = [{"indices": [index]} for index in range(start, min(start + size, len(examples)))]
        batch = collate(rows)
        yield {key: batch[key] for key in ("input_ids", "labels", "attention_mask")}
