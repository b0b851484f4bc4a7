"""What a run would do, without doing it: samples with their mask, lengths, sizes, and one measured step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from doyen_data import LengthReport, length_report
from doyen_modeling.methods import Full, QLora
from doyen_training.curriculum import difficulties
from doyen_training.masking import Cut, show_mask
from doyen_training.memory import Bytes, shape_of, step_bytes
from doyen_training.prepare import Prepared, precision, prepare, weights_type
from doyen_training.recipe import Recipe
from doyen_training.run import build_trainer
from doyen_training.unfreezing import check_steps, group_names

if TYPE_CHECKING:
    from doyen_training.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Step:
    """One real step on the longest batch: forward, backward, optimizer.

    Attributes:
        rows, tokens: of the batch, padding included in the tokens.
        seconds: of the step.
        measured: bytes of the tensors that were there: weights, gradients, optimizer state, and what the forward
            pass kept for the backward pass.
        formula: what ``doyen plan`` computes for the same step.
        peak: highest memory of the process during the step in bytes, on the GPU where there is one; ``before`` that
            of Python and its libraries before the model was loaded. None where the system does not tell.
    """

    rows: int
    tokens: int
    seconds: float
    measured: Bytes
    formula: Bytes
    before: int | None
    peak: int | None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a run would do: token lengths, what is cut, the shares learned and trainable, samples, step and time."""

    lengths: LengthReport
    cut: Cut
    learned_share: float
    trainable: int
    parameters: int
    precision: str
    samples: tuple[str, ...]
    steps: int
    step: Step
    eta_seconds: float


def dry_run(recipe: Recipe, data: Path, samples: int = 3, colour: bool = False) -> DryRun:
    """Everything that a run checks before its first step, ``samples`` rendered records, and one measured step.

    Raises as ``train``. Nothing is kept: the step runs in memory, its folder is removed.
    """
    import doyen_training.trainer  # noqa: F401 (the libraries' memory is not the run's)

    before = resident()
    ready = prepare(recipe, data)
    examples = ready.sets["train"]
    stride = max(1, len(examples) // samples)
    parameters = list(ready.model.parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    if (
        recipe.curriculum is not None and recipe.curriculum.difficulty != "loss"
    ):  # that is a pass over all records
        difficulties(recipe.curriculum, examples, data)
    with TemporaryDirectory(prefix="doyen-dry-run-") as scratch:
        trainer = build_trainer(
            recipe, ready, data, Path(scratch), max_steps=1, gradient_accumulation_steps=1, eval_strategy="no",
            save_strategy="no", logging_strategy="no", metric_for_best_model=None,
        )  # fmt: skip
        step = _measure(recipe, ready, trainer, trainable, before)
    steps, work = _work(recipe, trainer)
    if recipe.unfreezing is not None:
        check_steps(recipe.unfreezing, steps)
        group_names(recipe.unfreezing, [n for n, p in ready.model.named_parameters() if p.requires_grad])
    return DryRun(
        lengths=length_report([len(e.input_ids) for e in ready.encoded["train"]], recipe.data.max_length),
        cut=ready.cut,
        learned_share=ready.learned_share,
        trainable=trainable,
        parameters=sum(p.numel() for p in parameters),
        precision=precision(recipe),
        samples=tuple(
            show_mask(example, ready.base.tokenizer, colour) for example in examples[::stride][:samples]
        ),
        steps=steps,
        step=step,
        eta_seconds=round(step.seconds * work / step.tokens, 1),
    )


def resident() -> int | None:
    """Bytes of memory that this process holds now."""
    return _status("VmRSS")


def _measure(recipe: Recipe, ready: Prepared, trainer: Trainer, trainable: int, before: int | None) -> Step:
    import torch
    from torch.autograd.graph import saved_tensors_hooks
    from transformers import PrinterCallback, TrainerCallback

    rows, lengths = _rows(trainer)
    longest = sorted(range(len(lengths)), key=lambda row: -lengths[row])[: recipe.run.batch_size]
    cast(Any, trainer)._sampler = longest  # a list of rows is a sampler
    weights = {p.untyped_storage().data_ptr() for p in ready.model.parameters()}
    kept: dict[int, int] = {}
    seen: dict[str, float] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    class Watch(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            _reset_peak()
            seen["begin"] = time.perf_counter()

        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            seen["gradients"] = sum(p.grad.nbytes for p in ready.model.parameters() if p.grad is not None)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seen["seconds"] = time.perf_counter() - seen["begin"]
            seen["peak"] = _peak() or 0

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Watch())
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        trainer.train()
    cuda = torch.cuda.is_available()
    tokens = max(lengths[row] for row in longest) * len(longest)
    optimizer: Any = trainer.optimizer
    states = chain.from_iterable(state.values() for state in optimizer.state.values())
    learned = sum(ready.sets["train"][i].learned for row in longest for i in rows[row])
    method = recipe.method
    return Step(
        rows=len(longest),
        tokens=tokens,
        seconds=round(seen["seconds"], 3),
        measured=Bytes(
            weights=sum(p.nbytes for p in ready.model.parameters()),
            gradients=int(seen["gradients"]),
            optimizer=sum(value.nbytes for value in states if isinstance(value, torch.Tensor)),
            activations=sum(kept.values()),
        ),
        formula=step_bytes(
            shape_of(ready.base.model.config),
            "full" if isinstance(method, Full) and method.parameters == "all" else "qlora" if isinstance(method, QLora) else "lora",
            trained=trainable,
            batch=len(longest),
            length=tokens // len(longest),
            learned=learned / tokens,
            checkpointing=recipe.run.gradient_checkpointing,
            narrow=weights_type(recipe) == "bfloat16",
        ),
        before=0 if cuda else before,
        peak=int(seen["peak"]) or None,
    )  # fmt: skip


def _work(recipe: Recipe, trainer: Trainer) -> tuple[int, int]:
    """Optimizer steps of the whole run, and the tokens that it computes on, padding included."""
    _, lengths = _rows(trainer)
    if recipe.run.group_by_length and recipe.curriculum is None:
        lengths = sorted(lengths)
    size, accumulation = recipe.run.batch_size, recipe.run.accumulation
    batches = [lengths[start : start + size] for start in range(0, len(lengths), size)]
    epoch = sum(max(batch) * len(batch) for batch in batches)
    epoch_steps = -(-len(batches) // accumulation)
    steps = recipe.run.max_steps or -(-round(1000 * (recipe.run.epochs or 1.0) * epoch_steps) // 1000)
    return steps, round(epoch * steps / epoch_steps)


def _rows(trainer: Trainer) -> tuple[list[list[int]], list[int]]:
    """The samples of every row (several where they are packed) and its tokens."""
    rows: Any = trainer.train_dataset
    return list(rows["indices"]), list(rows["length"])


def _reset_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # then the peak is that of the whole process so far


def _peak() -> int | None:
    import torch

    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else _status("VmHWM")


def _status(key: str) -> int | None:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{key}:"):
                return 1024 * int(line.split()[1])
    except OSError:
        return None
    return None
