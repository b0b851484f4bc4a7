# ruff: noqa: ARG002 (the signatures are those of transformers' callbacks)
"""TRL's SFTTrainer with one forward pass a step, checks for NaN, and checkpoints that say when they are whole."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from doyen_schemas import DoyenError
from doyen_training.masking import IGNORED

COMPLETE: Final = "complete"
PREFIX: Final = "checkpoint-"


class Trainer(SFTTrainer):
    """SFTTrainer whose output layer sees only the learned positions.

    TRL scores every position off Triton devices; with a vocabulary of 49,152 and one token in five learned, that is
    most of the output layer's work for nothing.
    """

    loss_is_scaled_for_ga = True  # type: ignore[assignment]
    tokens_seen = 0

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean cross-entropy over the learned tokens; ``input_ids``, ``labels`` and ``attention_mask`` are (B, T)."""
        whole = self.accelerator.unwrap_model(model).get_base_model()
        labels_BT = inputs["labels"][:, 1:]
        with self.accelerator.autocast():
            states_BTD = whole.base_model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).last_hidden_state[:, :-1]
            learned_BT = labels_BT != IGNORED
            logits_NV = whole.get_output_embeddings()(states_BTD[learned_BT])
        total = torch.nn.functional.cross_entropy(logits_NV.float(), labels_BT[learned_BT], reduction="sum")
        count = learned_BT.sum() if num_items_in_batch is None else num_items_in_batch
        loss = total / count
        if not torch.isfinite(loss):
            raise _not_finite("loss", float(loss), self.state.global_step + 1)
        if model.training:
            self.tokens_seen += int(inputs["attention_mask"].sum())
        return (loss, {"logits": None}) if return_outputs else loss


class Journal(TrainerCallback):
    """Writes ``events.jsonl`` (one line a log step), reports progress and marks whole checkpoints."""

    def __init__(self, file: Path, report: Callable[[str], None], seconds: float = math.inf) -> None:
        self.file = file
        self.report = report
        self.seconds = seconds
        self.trainer: Trainer | None = None
        self._since = (0.0, 0)
        self._begun = (0.0, 0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clocks."""
        self._since = (time.monotonic(), 0)
        self._begun = (time.monotonic(), state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop at a step's end, with a checkpoint, when the time is up."""
        if time.monotonic() - self._begun[0] >= self.seconds:
            control.should_save = control.should_log = control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """One event: loss, gradient norm, learning rate, tokens a second, seconds to go."""
        logs = logs or {}
        for name in ("loss", "grad_norm", "eval_loss"):
            value = logs.get(name)
            if value is not None and not math.isfinite(value):
                raise _not_finite(name, value, state.global_step)
        if "loss" not in logs and "eval_loss" not in logs:
            return
        now = time.monotonic()
        event: dict[str, Any] = {
            "time": round(time.time(), 1),
            "step": state.global_step,
            "steps": state.max_steps,
        }
        if "loss" in logs and self.trainer is not None:
            seen = self.trainer.tokens_seen
            done = state.global_step - self._begun[1]
            event |= {
                "loss": round(logs["loss"], 5),
                "grad_norm": round(float(logs["grad_norm"]), 5),
                "learning_rate": logs["learning_rate"],
                "tokens": seen,
                "tokens_per_s": round((seen - self._since[1]) / max(now - self._since[0], 1e-9), 1),
                "eta_s": round((now - self._begun[0]) / max(done, 1) * (state.max_steps - state.global_step)),
            }
            self._since = (now, seen)
        if "eval_loss" in logs:
            event["eval_loss"] = round(logs["eval_loss"], 5)
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
        shown = ", ".join(
            f"{key} {event[key]}" for key in ("loss", "eval_loss", "tokens_per_s", "eta_s") if key in event
        )
        self.report(f"step {state.global_step}/{state.max_steps}: {shown}")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Mark the checkpoint as whole: transformers writes its files in place, one after the other."""
        (Path(str(args.output_dir)) / f"{PREFIX}{state.global_step}" / COMPLETE).touch()


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint; those that a kill left half written are removed."""
    whole = []
    for checkpoint in folder.glob(f"{PREFIX}*"):
        if (checkpoint / COMPLETE).is_file():
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(whole, key=lambda path: int(path.name.removeprefix(PREFIX)), default=None)


def _not_finite(name: str, value: float, step: int) -> DoyenError:
    return DoyenError(
        "TRN-006",
        f"{name} is {value} at step {step}; training stopped.",
        "Lower run.learning_rate or set run.precision = 'float32', then start again.",
    )
