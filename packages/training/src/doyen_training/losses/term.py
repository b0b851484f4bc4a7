"""What a loss term sees and gives: one forward pass shared by all terms of a step.

Shape suffixes: B rows, T tokens of a row, N learned positions of the batch in row-major order, S samples (a packed
row holds several), F false tokens, V vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from doyen_training.masking import Example


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward pass of a batch, scored only where a label is.

    Attributes:
        model: the model as it was called, with its adapter.
        inputs: what it was called with: ``input_ids`` (B, T), ``position_ids`` or ``attention_mask``.
        learned_BT: True at the positions whose *next* token is learned.
        states_BTD: last hidden states.
        logits_NV: logits at the learned positions, float32.
        labels_N: the tokens to predict there.
        sample_N: for each learned position the sample it belongs to, 0 … S-1, in the order of the batch.
        extra: the columns that the terms asked for. A token column is (N, …), a sample column (S, …).
        outputs: attentions and hidden states of the pass, where a term asked for them.
        text_BT: True at tokens of a sample, False at padding.
        false_FV, false_F: logits and token of the F false tokens, where a term asked for them.
        false_BT: True at the false tokens themselves, where a term asked for them.
    """

    model: Any
    inputs: Mapping[str, Tensor]
    learned_BT: Tensor
    states_BTD: Tensor
    logits_NV: Tensor
    labels_N: Tensor
    sample_N: Tensor
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    outputs: Any = None
    text_BT: Tensor | None = None
    false_FV: Tensor | None = None
    false_F: Tensor | None = None
    false_BT: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """What a term may look at once, before the first step; ``max_length`` is the recipe's, in tokens."""

    model: Any
    tokenizer: Any
    examples: Sequence[Example]
    device: torch.device
    seed: int
    max_length: int | None = None


class Term:
    """Base of every loss term. A term adds ``weight * loss(...)`` to the step's loss.

    A subclass sets ``name`` (also its key in the event log), says what it needs, and may keep state that goes into
    checkpoints, so that a resumed run equals one that was never stopped.
    """

    name: ClassVar[str]
    # What the one forward pass must also return.
    attentions: ClassVar[bool] = False
    hidden_states: ClassVar[bool] = False
    # Has to know which tokens are false: to make them unlikely, or to leave them out.
    falsehoods: ClassVar[bool] = False
    # Reads hooks on the one forward pass, so it comes before the terms that run passes of their own.
    hooked: ClassVar[bool] = False
    # The optimizer steps done; the Trainer sets it before each pass, for terms that change over a run.
    step: int = 0

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def begin(self, start: Start) -> None:
        """Called once before the first step, also when a run is resumed, before ``load_state_dict``."""

    def token_columns(self, index: int) -> Mapping[str, Tensor]:  # noqa: ARG002 (a default)
        """Tensors of example ``index`` with one row for each learned token, in order; joined to (N, …)."""
        return {}

    def sample_columns(self, index: int) -> Mapping[str, Tensor]:  # noqa: ARG002 (a default)
        """Tensors of example ``index``; stacked to (S, …)."""
        return {}

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """The scalar loss: a sum over this batch divided by ``count``, the learned tokens of the whole step.

        Dividing by the step's count makes gradient accumulation exact. A term that is not a mean over tokens divides
        its own sum by ``count`` and multiplies by N.
        """
        raise NotImplementedError

    def metrics(self) -> dict[str, float]:
        """Figures for the event log since the last call; logged under ``NAME/KEY``."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: tensors, numbers and strings only."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
