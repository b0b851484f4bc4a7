"""A training run: recipe and records in; adapter, curve, events and ``run.json`` out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doyen_modeling.methods import save_adapter
from doyen_training.folder import (
    RUN,
    check_out,
    describe,
    locked,
    replace_folder,
    same_run,
    withdraw,
    write_json,
    writing,
)
from doyen_training.prepare import Prepared, precision, prepare
from doyen_training.recipe import Recipe

if TYPE_CHECKING:
    from doyen_training.trainer import Trainer


def train(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    minutes: float | None = None,
    report: Callable[[str], None] = lambda _: None,
    bar: bool | None = None,
) -> dict[str, Any]:
    """Train what the recipe says and return the content of ``out/run.json``.

    ``out`` receives ``adapter/`` (safetensors bound to the base), ``run.json``, ``samples.json``, ``events.jsonl``,
    ``curve.png`` and ``checkpoints/``. With ``resume`` the run goes on from the newest checkpoint that verifies, bit
    for bit as if it had not stopped; ``minutes``, SIGTERM or Ctrl-C stop it early in a state that can be resumed, and
    write the adapter as it is. Raises what ``prepare`` raises, TRN-006 (not finite), TRN-007 (``out`` holds another
    run), TRN-020 (disk) and TRN-043 (another process trains there).
    """
    from doyen_training.checkpoints import latest_checkpoint
    from doyen_training.curve import draw_curve
    from doyen_training.journal import Journal

    before = check_out(out, recipe.digest(), resume=resume)
    run = describe(recipe, data)
    same_run(out, before, run)
    ready = prepare(recipe, data)
    tokens = sum(len(e.input_ids) for e in ready.sets["train"])
    report(f"{ready.learned_share:.1%} of {tokens} training tokens are learned")
    with writing(out), locked(out):
        journal = Journal(
            out / "events.jsonl", report, math.inf if minutes is None else 60 * minutes, bar=bar
        )
        try:
            write_json(out / RUN, run | {"state": "running"})
            write_json(out / "samples.json", _samples(ready))
            checkpoint = latest_checkpoint(out / "checkpoints", report) if resume else None
            trainer = build_trainer(recipe, ready, data, out / "checkpoints", [journal])
            (out / "events.jsonl").touch()
            result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except Exception:
            if not journal.stepped:
                withdraw(out, before)
            raise
        replace_folder(out / "adapter", lambda folder: save_adapter(ready.model, folder, ready.base.ref))
        draw_curve(out / "events.jsonl", out / "curve.png", recipe.name)
        run |= {
            "state": trainer.outcome,
            "steps": trainer.state.global_step,
            "train_loss": None if trainer.mean_loss is None else round(trainer.mean_loss, 5),
            "learned_share": round(ready.learned_share, 4),
            "tokens": trainer.tokens_seen,
            "seconds_this_process": round(result.metrics["train_runtime"], 1),
            "precision": precision(recipe),
        }
        write_json(out / RUN, run)
    return run


def build_trainer(
    recipe: Recipe,
    ready: Prepared,
    data: Path,
    checkpoints: Path,
    callbacks: Sequence[Any] = (),
    **overrides: Any,
) -> Trainer:
    """The trainer of a recipe over what ``prepare`` gave; ``overrides`` replace settings of TRL's configuration.

    Raises what the loss terms raise: TRN-06… for a teacher's cache, MOD-… for a teacher in memory.
    """
    from transformers import EarlyStoppingCallback

    from doyen_training import losses
    from doyen_training.exact import exact_match
    from doyen_training.trainer import Trainer

    stop, thaw = recipe.early_stopping, recipe.unfreezing
    dev = ready.sets.get("dev", [])
    journal = next((callback for callback in callbacks if hasattr(callback, "note")), None)
    extra: list[Any] = []
    if stop and not overrides:
        extra.append(EarlyStoppingCallback(stop.patience, stop.threshold))
    if thaw and not overrides:
        extra.append(thaw.callback(journal.note if journal else None))
    exact = stop is not None and stop.metric == "exact"
    trainer = Trainer(
        ready.model,
        _arguments(recipe, checkpoints, bool(dev), overrides),
        ready.base.tokenizer,
        ready.sets["train"],
        dev,
        terms=[losses.build(part, data) for part in recipe.loss],
        balance=recipe.balance.build(),
        pack_to=recipe.data.max_length if recipe.data.packing else None,
        max_length=recipe.data.max_length,
        skips=recipe.nan_guard.skips,
        evaluate=(lambda model: exact_match(model, dev, recipe.run.batch_size)) if exact else None,
        callbacks=[*callbacks, *extra],
    )
    if recipe.curriculum is not None and not overrides:
        trainer._sampler = _curriculum(recipe, ready, data, trainer)
    return trainer


def _curriculum(recipe: Recipe, ready: Prepared, data: Path, trainer: Trainer) -> Any:
    """The order of the rows, which hold several samples each where they are packed."""
    from doyen_training.curriculum import CurriculumSampler, difficulties, row_difficulties

    part, run = recipe.curriculum, recipe.run
    assert part is not None
    rows: Any = trainer.train_dataset
    samples = difficulties(
        part, ready.sets["train"], data, ready.model, ready.base.tokenizer.pad_token_id or 0
    )
    size = run.batch_size * run.accumulation
    epochs = run.epochs or (run.max_steps or 1) * size / len(rows)
    return CurriculumSampler(
        row_difficulties(samples, rows["indices"]), part, epochs=epochs, batch=size, seed=recipe.seed
    )


def _arguments(recipe: Recipe, checkpoints: Path, dev: bool, overrides: dict[str, Any]) -> Any:
    import torch
    from trl import SFTConfig

    settings = recipe.run
    values: dict[str, Any] = {
        "output_dir": str(checkpoints),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "num_train_epochs": settings.epochs or 1.0,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": settings.batch_size,
        "per_device_eval_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.accumulation,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup_steps,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "train_sampling_strategy": "group_by_length" if settings.group_by_length else "random",
        "bf16": precision(recipe) == "bfloat16",
        "use_cpu": not torch.cuda.is_available(),
        "logging_steps": settings.log_steps,
        "save_steps": settings.save_steps,
        "eval_strategy": "steps" if dev else "no",
        "eval_steps": settings.save_steps,
        "prediction_loss_only": True,
        **_best(recipe),
        "max_length": None,
        "packing": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataloader_pin_memory": False,
    }
    return SFTConfig(**values | overrides)


def _best(recipe: Recipe) -> dict[str, Any]:
    stop = recipe.early_stopping
    if stop is None:
        return {}
    return {"metric_for_best_model": f"eval_{stop.metric}", "greater_is_better": stop.metric != "loss"}


def _samples(ready: Prepared, count: int = 3) -> dict[str, Any]:
    """A few training records with their masks, for the report."""
    from doyen_training.masking import stretches

    examples = ready.sets["train"]
    step = max(1, len(examples) // count)
    return {
        "samples": [
            {"id": e.id, "stretches": stretches(e, ready.base.tokenizer)} for e in examples[::step][:count]
        ]
    }
