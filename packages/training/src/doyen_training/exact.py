"""Exact answers without generating: a teacher-forced pass tells what greedy decoding would say.

Greedy decoding writes an answer word for word exactly when every one of its tokens is the most probable one behind
those before it, so one forward pass decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from doyen_training.collate import Collator
from doyen_training.forward import learned_forward
from doyen_training.masking import Example


def exact_match(model: Any, examples: Sequence[Example], batch_size: int) -> dict[str, float]:
    """``exact``: the share of ``examples`` whose learned tokens are all predicted; ``token_accuracy``: of the tokens."""
    collate = Collator(examples, 0)
    device = next(model.parameters()).device
    exact, right_tokens, tokens = 0, 0, 0
    for start in range(0, len(examples), batch_size):
        rows = [{"indices": [i]} for i in range(start, min(start + batch_size, len(examples)))]
        batch = {
            key: value.to(device) if isinstance(value, torch.Tensor) else value
            for key, value in collate(rows).items()
        }
        with torch.no_grad():
            forward, _ = learned_forward(model, batch)
        right_N = forward.logits_NV.argmax(-1) == forward.labels_N
        wrong = forward.sample_N[~right_N].unique()
        exact += len(rows) - len(wrong)
        right_tokens += int(right_N.sum())
        tokens += len(right_N)
    return {"exact": exact / len(examples), "token_accuracy": right_tokens / max(tokens, 1)}
