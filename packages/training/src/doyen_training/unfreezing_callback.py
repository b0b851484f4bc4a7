# ruff: noqa: ARG002 (the signatures are those of transformers' callbacks)
"""The callback of progressive unfreezing.

Every trainable parameter is in the optimizer from the start, so its state fits at every resume. What is not open
requires no gradient and gets none, and an optimizer leaves a parameter without a gradient alone, weight decay
included. The stage follows from the step alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from doyen_training.unfreezing import UnfreezingPart, check_steps, group_names


class Unfreezing(TrainerCallback):
    """Opens one group of parameters after the other."""

    def __init__(self, part: UnfreezingPart, note: Callable[..., None] | None = None) -> None:
        self.part = part
        self._note = note
        self._groups: list[list[nn.Parameter]] = []
        self._stage: int | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Sort the parameters that are trainable now. Raises TRN-070 (too few layers or steps)."""
        check_steps(self.part, state.max_steps)
        if not self._groups:
            trainable = {name: p for name, p in given["model"].named_parameters() if p.requires_grad}
            self._groups = [
                [trainable[name] for name in names] for names in group_names(self.part, trainable)
            ]
        self._stage = None

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Open what is due; a step may hold several batches, which all see the same stage."""
        stage = self.part.stage(state.global_step)
        if stage == self._stage:
            return
        self._stage = stage
        for number, group in enumerate(self._groups):
            for parameter in group:
                parameter.requires_grad_(number <= stage)
        if self._note:
            count = sum(p.numel() for group in self._groups[: stage + 1] for p in group)
            text = f"stage {stage + 1} of {self.part.groups}: {count} parameters are trained"
            self._note("unfreezing", state.global_step, text, stage=stage, trainable=count)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Leave the parameters as they were."""
        for group in self._groups:
            for parameter in group:
                parameter.requires_grad_(True)
