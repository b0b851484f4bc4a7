"""A training run: recipe and records in; adapter, curve, events and ``run.json`` out."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

from doyen_data import dataset_digest, read_records
from doyen_modeling.base import LoadedBase, load_base, read_record
from doyen_modeling.encoder import has_bf16_units
from doyen_modeling.methods import save_adapter
from doyen_schemas import DoyenError
from doyen_training.masking import Cut, Example, check_vocabulary, encode, fit
from doyen_training.recipe import Recipe

RUN: Final = "run.json"
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
    """Load, tokenise and check everything that a run needs. Raises TRN-003 to TRN-005, TRN-008, TRN-040 to TRN-042, DAT-…, MOD-…"""
    import torch

    records = {name: read_records(data / file) for name, file in _files(recipe).items()}
    torch.manual_seed(recipe.seed)
    base = load_base(recipe.base.source)
    check_vocabulary(base.tokenizer, base.model.get_input_embeddings().num_embeddings)
    encoded = {name: encode(rows, base.tokenizer, recipe.data.learn) for name, rows in records.items()}
    fitted = {
        name: fit(examples, recipe.data.max_length, recipe.data.truncation)
        for name, examples in encoded.items()
    }
    return Prepared(
        base=base,
        model=_with_lora(recipe, base.model),
        sets={name: examples for name, (examples, _) in fitted.items()},
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
) -> dict[str, Any]:
    """Train a LoRA adapter and return the content of ``out/run.json``.

    ``out`` receives ``adapter/`` (float16 safetensors), ``run.json``, ``events.jsonl``, ``curve.png`` and
    ``checkpoints/``. With ``resume`` the run goes on from the newest whole checkpoint, bit for bit as if it had not
    stopped; ``minutes`` stops it early in a state that can be resumed, and writes the adapter as it is. Raises TRN-003 to TRN-005 (records), TRN-006 (NaN), TRN-007 (``out`` holds another run), DAT-…, MOD-….
    """
    import torch
    from transformers import PrinterCallback
    from trl import SFTConfig

    from doyen_training.checkpoints import latest_checkpoint
    from doyen_training.curve import draw_curve
    from doyen_training.journal import Journal
    from doyen_training.trainer import Trainer

    run = _describe(recipe, data)
    _check_out(out, run, resume)
    ready = prepare(recipe, data)
    sets, model, base = ready.sets, ready.model, ready.base
    report(
        f"{ready.learned_share:.1%} of {sum(len(e.input_ids) for e in sets['train'])} training tokens are learned"
    )

    out.mkdir(parents=True, exist_ok=True)
    (out / RUN).write_text(json.dumps(run | {"state": "running"}, indent=2) + "\n", encoding="utf-8")
    checkpoint = latest_checkpoint(out / "checkpoints", report) if resume else None
    if not checkpoint:
        (out / "events.jsonl").unlink(missing_ok=True)
    settings = recipe.run
    config = SFTConfig(
        output_dir=str(out / "checkpoints"),
        seed=recipe.seed,
        data_seed=recipe.seed,
        num_train_epochs=settings.epochs or 1.0,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        gradient_checkpointing=settings.gradient_checkpointing,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        train_sampling_strategy="group_by_length" if settings.group_by_length else "random",
        bf16=precision(recipe) == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        logging_steps=settings.log_steps,
        save_steps=settings.save_steps,
        eval_strategy="steps" if "dev" in sets else "no",
        eval_steps=settings.save_steps,
        prediction_loss_only=True,
        max_length=None,
        packing=False,
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=False,
    )
    journal = Journal(out / "events.jsonl", report, math.inf if minutes is None else 60 * minutes)
    trainer = Trainer(model, config, base.tokenizer, sets["train"], sets.get("dev", ()), callbacks=[journal])
    trainer.remove_callback(PrinterCallback)
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    save_adapter(model, out / "adapter", base.ref)
    draw_curve(out / "events.jsonl", out / "curve.png", recipe.name)
    run |= {
        "state": trainer.outcome,
        "steps": trainer.state.global_step,
        "train_loss": round(result.training_loss, 5),
        "learned_share": round(ready.learned_share, 4),
        "tokens_this_process": trainer.tokens_seen,
        "seconds_this_process": round(result.metrics["train_runtime"], 1),
        "precision": precision(recipe),
    }
    scratch = out / (RUN + ".part")
    scratch.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    os.replace(scratch, out / RUN)
    return run


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


def _with_lora(recipe: Recipe, model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    targets = recipe.method.targets
    config = LoraConfig(
        r=recipe.method.rank,
        lora_alpha=recipe.method.alpha,
        lora_dropout=recipe.method.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise DoyenError(
            "TRN-008",
            f"method.targets = {targets!r} fits no layer of {recipe.base.source}.",
            'Name linear layers of the base, such as "q_proj", or "all-linear".',
        ) from error


def _files(recipe: Recipe) -> dict[str, str]:
    files = {"train": recipe.data.train}
    return files | ({"dev": recipe.data.dev} if recipe.data.dev else {})


def _describe(recipe: Recipe, data: Path) -> dict[str, Any]:
    base = read_record(recipe.base.source)
    return {
        "name": recipe.name,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_sha256": recipe.digest(),
        "data_sha256": {
            name: dataset_digest(read_records(data / file)) for name, file in _files(recipe).items()
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


def _check_out(out: Path, run: dict[str, Any], resume: bool) -> None:
    """Refuse to overwrite a run, or to resume another one."""
    existing = out / RUN
    if not existing.is_file():
        if resume:
            raise DoyenError("TRN-007", f"{out} holds no run to resume.", "Leave --resume out to start one.")
        if out.is_dir() and any(out.iterdir()):
            raise DoyenError("TRN-007", f"{out} is not empty and holds no run.", "Choose another --out.")
        return
    if not resume:
        raise DoyenError(
            "TRN-007",
            f"{out} holds a run already.",
            "Add --resume to go on with it, or choose another --out.",
        )
    before = json.loads(existing.read_text(encoding="utf-8"))
    changed = [key for key in ("recipe_sha256", "data_sha256", "base") if before[key] != run[key]]
    if changed:
        raise DoyenError(
            "TRN-007",
            f"{out} was started with another {', '.join(changed)}; a resumed run must be the same run.",
            "Restore the recipe and the data, or start anew in another --out.",
        )
