"""What a run would do, without doing it: samples with their mask, lengths, sizes, and one measured step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from doyen_data import LengthReport, length_report
from doyen_training.masking import Cut, show_mask
from doyen_training.recipe import Recipe
from doyen_training.run import precision, prepare


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would do: token lengths, the share that is learned, the share that is trainable, rendered samples."""

    lengths: LengthReport
    cut: Cut
    learned_share: float
    trainable: int
    parameters: int
    precision: str
    samples: tuple[str, ...]


def dry_run(recipe: Recipe, data: Path, samples: int = 3, colour: bool = False) -> DryRun:
    """Everything that a run checks before its first step, and ``samples`` rendered records. Raises as ``train``."""
    ready = prepare(recipe, data)
    examples = ready.sets["train"]
    step = max(1, len(examples) // samples)
    parameters = list(ready.model.parameters())
    return DryRun(
        lengths=length_report([len(e.input_ids) for e in ready.encoded["train"]], recipe.data.max_length),
        cut=ready.cut,
        learned_share=ready.learned_share,
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        parameters=sum(p.numel() for p in parameters),
        precision=precision(recipe),
        samples=tuple(
            show_mask(example, ready.base.tokenizer, colour) for example in examples[::step][:samples]
        ),
    )
