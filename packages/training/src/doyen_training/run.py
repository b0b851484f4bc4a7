"""A training run: recipe and records in; adapter, curve, events and ``run.json`` out."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from doyen_data import dataset_digest, read_records
from doyen_modeling.base import LoadedBase, load_base, read_record
from doyen_modeling.encoder import has_bf16_units
from doyen_modeling.methods import Experts, Full, QLora, attach, load_adapter, save_adapter
from doyen_schemas import DoyenError
from doyen_training.masking import Cut, Example, check_vocabulary, encode, fit
from doyen_training.recipe import Recipe

if TYPE_CHECKING:
    from doyen_training.trainer import Trainer

RUN: Final = "run.json"
LOCK: Final = ".lock"
# What a queued training is submitted with, before it has run.
QUEUED: Final = "recipe.json"
JOB: Final = "job.json"
PACKAGES: Final = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "tokenizers",
    "doyen-training",
)


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

    Raises TRN-003 to TRN-005 and TRN-040 to TRN-042 (records and tokenizer), DAT-… (files), MOD-… (base, method,
    adapter on another base, no device for QLoRA).
    """
    import torch

    records = {name: read_records(data / file) for name, file in files(recipe).items()}
    if isinstance(recipe.method, QLora):
        from doyen_modeling.methods.qlora import check_device

        check_device()  # before minutes of loading
    torch.manual_seed(recipe.seed)
    base = load_base(recipe.base.source, weights_type(recipe))
    embeddings: Any = base.model.get_input_embeddings()
    check_vocabulary(base.tokenizer, embeddings.weight.shape[0])
    encoded = {name: encode(rows, base.tokenizer, recipe.data.learn) for name, rows in records.items()}
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
    run = _describe(recipe, data)
    _same_run(out, before, run)
    ready = prepare(recipe, data)
    tokens = sum(len(e.input_ids) for e in ready.sets["train"])
    report(f"{ready.learned_share:.1%} of {tokens} training tokens are learned")
    new = not out.exists()
    with _writing(out), _locked(out):
        try:
            write_json(out / RUN, run | {"state": "running"})
            write_json(out / "samples.json", _samples(ready))
        except OSError:
            if new:  # nothing was trained yet: leave no trace
                shutil.rmtree(out, ignore_errors=True)
            raise
        checkpoint = latest_checkpoint(out / "checkpoints", report) if resume else None
        if not checkpoint:
            (out / "events.jsonl").unlink(missing_ok=True)
        journal = Journal(
            out / "events.jsonl", report, math.inf if minutes is None else 60 * minutes, bar=bar
        )
        trainer = build_trainer(recipe, ready, data, out / "checkpoints", [journal])
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        _replace_folder(out / "adapter", lambda folder: save_adapter(ready.model, folder, ready.base.ref))
        draw_curve(out / "events.jsonl", out / "curve.png", recipe.name)
        run |= {
            "state": trainer.outcome,
            "steps": trainer.state.global_step,
            "train_loss": round(result.training_loss, 5),
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

    stop = recipe.early_stopping
    dev = ready.sets.get("dev", [])
    extra = [EarlyStoppingCallback(stop.patience, stop.threshold)] if stop and not overrides else []
    exact = stop is not None and stop.metric == "exact"
    return Trainer(
        ready.model,
        _arguments(recipe, checkpoints, bool(dev), overrides),
        ready.base.tokenizer,
        ready.sets["train"],
        dev,
        terms=[losses.build(part, data) for part in recipe.loss],
        balance=recipe.balance.build(),
        pack_to=recipe.data.max_length if recipe.data.packing else None,
        skips=recipe.nan_guard.skips,
        evaluate=(lambda model: exact_match(model, dev, recipe.run.batch_size)) if exact else None,
        callbacks=[*callbacks, *extra],
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


def files(recipe: Recipe) -> dict[str, str]:
    """The record files by their part."""
    return {"train": recipe.data.train} | ({"dev": recipe.data.dev} if recipe.data.dev else {})


def write_json(path: Path, value: Any) -> None:
    """Write in one step: a reader sees the old content or the new one, and a full disk leaves nothing behind."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        scratch.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(scratch, path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise


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


def _describe(recipe: Recipe, data: Path) -> dict[str, Any]:
    base = read_record(recipe.base.source)
    return {
        "name": recipe.name,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_sha256": recipe.digest(),
        "data_sha256": {
            name: dataset_digest(read_records(data / file)) for name, file in files(recipe).items()
        },
        "base": {
            "source": base.source,
            "weights_sha256": base.weights_sha256,
            "tokenizer_sha256": base.tokenizer_sha256,
        },
        "versions": {name: version(name) for name in PACKAGES},
        "seed": recipe.seed,
        "command": ["doyen", *sys.argv[1:]],
    }


def check_out(out: Path, recipe_sha256: str, *, resume: bool) -> dict[str, Any]:
    """The record of the run in ``out``, empty without one. Raises TRN-007: no run is overwritten or mixed up."""
    existing = out / RUN
    if not existing.is_file():
        if resume:
            raise DoyenError("TRN-007", f"{out} holds no run to resume.", "Leave --resume out to start one.")
        if out.is_dir() and any(path.name not in (LOCK, QUEUED, JOB, "train.log") for path in out.iterdir()):
            raise DoyenError("TRN-007", f"{out} is not empty and holds no run.", "Choose another --out.")
        return {}
    if not resume:
        raise DoyenError(
            "TRN-007",
            f"{out} holds a run already.",
            "Add --resume to go on with it, or choose another --out.",
        )
    before: dict[str, Any] = json.loads(existing.read_text(encoding="utf-8"))
    if before["recipe_sha256"] != recipe_sha256:
        raise _another(out, ["recipe_sha256"])
    return before


def _same_run(out: Path, before: dict[str, Any], run: dict[str, Any]) -> None:
    changed = [key for key in ("data_sha256", "base") if before and before[key] != run[key]]
    if changed:
        raise _another(out, changed)


def _another(out: Path, changed: Sequence[str]) -> DoyenError:
    return DoyenError(
        "TRN-007",
        f"{out} was started with another {', '.join(changed)}; a resumed run must be the same run.",
        "Restore the recipe and the data, or start anew in another --out.",
    )


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Turn what the disk refuses into TRN-020."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise DoyenError(
            "TRN-020",
            f"{out} cannot be written: {error.strerror}.",
            "Free space on the disk of --out or choose another, then start again or go on with --resume.",
        ) from error


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One process trains in a folder: a lost worker's child may still be writing its last checkpoint."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DoyenError(
                "TRN-043",
                f"another process is training in {out}.",
                "Wait for it, or choose another --out.",
            ) from error
        yield


def _replace_folder(target: Path, fill: Callable[[Path], Any]) -> None:
    """Write a folder beside its place and put it there whole."""
    part, old = (target.with_name(f".{target.name}.{suffix}") for suffix in ("part", "old"))
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        fill(part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if target.exists():
        os.replace(target, old)
    os.replace(part, target)
    shutil.rmtree(old, ignore_errors=True)
