# ruff: noqa: ARG002 (the signatures are those of transformers' Trainer)
"""SFTTrainer whose checkpoints are whole, small and enough to go on bit for bit.

transformers writes its files one after the other into the final folder, takes the highest number for the newest, and
saves whole models; here a checkpoint is written aside and verified (``checkpoints``), and holds what is trained, the
optimizer, the schedule, the generators, and the state of the loss terms. One process writes; sharded training
(FSDP, DeepSpeed) is not covered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from transformers import EarlyStoppingCallback
from transformers.trainer_callback import ExportableState
from trl import SFTTrainer

from doyen_training import checkpoints
from doyen_training.guard import Guard
from doyen_training.losses.term import Term

KEEP: Final = 2
WEIGHTS: Final = "trainable.safetensors"
STATE: Final = "state.pt"


class Balance(Protocol):
    """Joins the weighted losses of the terms to the loss of a step."""

    def combine(self, losses: dict[str, Tensor], model: Any) -> Tensor: ...

    def metrics(self) -> Mapping[str, float]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class ResumableTrainer(SFTTrainer):
    """The part of ``Trainer`` that writes checkpoints and takes them back."""

    terms: Sequence[Term]
    balance: Balance | None
    guard: Guard
    tokens_seen: int
    # Sum of the losses of the steps that counted, and their number.
    loss_sum: float
    loss_steps: int
    # Optional in transformers' annotations, always there once training begins.
    model: Any
    optimizer: Any
    state: Any

    def _trained(self) -> dict[str, Tensor]:
        """What is trained or has been: parameters that want a gradient, and those that the optimizer holds."""
        held = (
            {id(p) for group in self.optimizer.param_groups for p in group["params"]}
            if self.optimizer
            else set()
        )
        return {n: p for n, p in self.model.named_parameters() if p.requires_grad or id(p) in held}

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a whole checkpoint; none before a skipped or restored step is made good, so that the last one is good."""
        if not self.args.should_save or self.guard.streak or self.guard.unproven:
            return
        folder, step = Path(str(self.args.output_dir)), self.state.global_step
        if self.state.best_global_step == step:
            self.state.best_model_checkpoint = str(folder / f"{checkpoints.PREFIX}{step}")
        self.store_flos()
        checkpoints.write_checkpoint(folder, step, self._fill)
        best = self.state.best_model_checkpoint
        checkpoints.rotate(folder, KEEP, [Path(best).name] if best else [])

    def _fill(self, part: Path) -> None:
        from safetensors.torch import save_file

        save_file({n: p.detach().contiguous() for n, p in self._trained().items()}, part / WEIGHTS)
        self._save_optimizer_and_scheduler(str(part))
        self._save_scaler(str(part))
        self._save_rng_state(str(part))
        for callback in [*self.callback_handler.callbacks, self.control]:
            if isinstance(callback, ExportableState):
                self.state.stateful_callbacks[type(callback).__name__] = callback.state()
        self.state.save_to_json(str(part / "trainer_state.json"))
        state = {
            "terms": {term.name: term.state_dict() for term in self.terms},
            "balance": self.balance.state_dict() if self.balance else {},
            "tokens": self.tokens_seen,
            "loss": [self.loss_sum, self.loss_steps],
            "restored": self.guard.restored,
        }
        torch.save(state, part / STATE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """At a resume: weights, terms and counters. transformers loads optimizer, schedule and generators itself."""
        self._load_weights(Path(resume_from_checkpoint))
        state = self._load_terms(Path(resume_from_checkpoint))
        self.tokens_seen = state["tokens"]
        self.loss_sum, self.loss_steps = state["loss"]
        self.guard.restored = state["restored"]

    def _load_callback_state(self) -> None:
        """Early stopping's patience and the like, in place; transformers would put new callbacks into the loop."""
        for callback in self.callback_handler.callbacks:
            saved = self.state.stateful_callbacks.get(type(callback).__name__)
            if isinstance(callback, ExportableState) and saved:
                for name, value in saved["attributes"].items():
                    setattr(callback, name, value)
        best = Path(str(self.args.output_dir)) / f"{checkpoints.PREFIX}{self.state.best_global_step}"
        self.state.best_model_checkpoint = str(best) if best.is_dir() else None  # the run may have been moved

    def _run_epoch(self, *args: Any, **options: Any) -> None:
        """Nothing where the checkpoint is the run's last: transformers would do one more step to find that out."""
        if self.state.global_step >= self.state.max_steps or self._stopped_early():
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **options)

    def _stopped_early(self) -> bool:
        """Whether early stopping has decided; its counter is in the checkpoint that was written with the decision."""
        return any(
            isinstance(callback, EarlyStoppingCallback)
            and callback.early_stopping_patience_counter >= callback.early_stopping_patience
            for callback in self.callback_handler.callbacks
        )

    def _load_terms(self, checkpoint: Path) -> dict[str, Any]:
        state: dict[str, Any] = torch.load(checkpoint / STATE, weights_only=True)
        for term in self.terms:
            term.load_state_dict(state["terms"][term.name])
        if self.balance:
            self.balance.load_state_dict(state["balance"])
        return state

    def _load_weights(self, checkpoint: Path) -> None:
        from safetensors.torch import load_file

        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, tensor in load_file(checkpoint / WEIGHTS).items():
                parameters[name].copy_(tensor)

    def _load_moments(self, checkpoint: Path) -> None:
        saved = torch.load(checkpoint / "optimizer.pt", map_location="cpu", weights_only=True)
        self.optimizer.load_state_dict(saved)

    def _load_best_model(self) -> None:
        self._load_weights(Path(str(self.state.best_model_checkpoint)))
