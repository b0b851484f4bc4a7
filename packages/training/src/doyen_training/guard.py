"""What to do when a loss or a gradient is not finite, and what to say when nothing helps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from doyen_schemas import DoyenError

Action = Literal["skip", "restore", "stop"]


@dataclass(slots=True)
class Guard:
    """Skip at most ``skips`` steps in a row, then restore the last good checkpoint once, else stop.

    A checkpoint is restored once at most: without a newer one there was no progress, and a second try would only
    repeat the first. Until a step is finite again nothing may be saved (``unproven``): the restored weights under a
    new number would pass for progress. Restoring earlier weights and going on behind the batches that broke them
    follows Chowdhery et al. 2022 (PaLM, section 5.1).
    """

    skips: int = 3
    streak: int = 0
    restored: str = ""
    unproven: bool = False

    def good(self) -> None:
        """After a finite step."""
        self.streak, self.unproven = 0, False

    def decide(self, weights: str | None, trainable: bool, checkpoint: str | None) -> Action:
        """Next action after a step that is not finite.

        ``weights`` names a parameter that is itself not finite: then skipping cannot help, and when it is not
        ``trainable`` a checkpoint cannot either.
        """
        self.streak += 1
        if weights is None and self.streak <= self.skips:
            return "skip"
        again = self.unproven or checkpoint == self.restored
        if checkpoint is None or again or (weights is not None and not trainable):
            return "stop"
        self.streak, self.restored, self.unproven = 0, checkpoint, True
        return "restore"


def first_bad_parameter(model: nn.Module) -> tuple[str, bool] | None:
    """Name of the first parameter with a NaN or an infinity, and whether it is trained."""
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not bool(torch.isfinite(parameter).all()):
            return name, parameter.requires_grad
    return None


def first_bad_output(model: nn.Module, inputs: Mapping[str, Tensor]) -> str | None:
    """Name of the first module, in order of execution, whose output is not finite for ``inputs``."""
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) and output else output
            bad = (
                isinstance(tensor, Tensor) and tensor.is_floating_point() and not torch.isfinite(tensor).all()
            )
            if bad and not found:
                found.append(name)

        return hook

    hooks = [module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad():
            model(**inputs, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def first_bad_gradient(model: nn.Module) -> str | None:
    """Name of the first parameter whose gradient is not finite."""
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return name
    return None


def stop_error(
    figure: str, value: float, step: int, first: str, batch: Sequence[str], rate: float, tried: str
) -> DoyenError:
    """TRN-006 with the diagnosis: what was not finite first, in which records, at which learning rate."""
    records = ", ".join(batch[:8]) + (f" and {len(batch) - 8} more" if len(batch) > 8 else "")
    return DoyenError(
        "TRN-006",
        f"{figure} is {value} at step {step} ({tried}). First not finite: {first}. "
        f"Records of the batch: {records}. Learning rate {rate:.3g}.",
        "Lower run.learning_rate or set run.precision = 'float32', then start again.",
    )
