"""One forward pass that scores only the positions asked for.

The output layer is the widest of the model: with a vocabulary of 49,152 and one token in five learned, most of its
work would be for nothing. A hook on the layer itself passes only the wanted rows on, so this holds for whatever is
wrapped around the model (adapters, prompts, prefixes), and for what models do behind the layer (scale, soft cap).

Shape suffixes: B rows, T tokens of a row, N positions in row-major order, F false tokens, V vocabulary, D width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from doyen_training.losses.term import Forward
from doyen_training.masking import IGNORED


def score(
    model: Any, inputs: Mapping[str, Any], rows_N: Tensor, **options: Any
) -> tuple[Any, Tensor, Tensor]:
    """Call ``model`` with ``inputs`` and score the positions ``rows_N`` of the flattened (B, T) batch.

    Returns the model's outputs, the last hidden states (B, T, D) without virtual tokens, and the logits (N, V) in
    float32. ``options`` go to the model, such as ``output_attentions=True``.
    """
    width = inputs["inputs_embeds" if "inputs_embeds" in inputs else "input_ids"].shape[1]
    states: list[Tensor] = []

    def keep_rows(_: Any, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        states_BTD = args[0][:, -width:]  # virtual tokens stand in front
        states.append(states_BTD)
        return (
            states_BTD.reshape(-1, states_BTD.shape[-1]).index_select(0, rows_N.to(states_BTD.device)),
            *args[1:],
        )

    whole = getattr(model, "module", model)  # DistributedDataParallel
    hook = whole.get_output_embeddings().register_forward_pre_hook(keep_rows)
    try:
        outputs = model(**inputs, use_cache=False, **options)
    finally:
        hook.remove()
    return outputs, states[0], outputs.logits.float()


def learned_forward(model: Any, batch: Mapping[str, Any], **options: Any) -> tuple[Forward, Any]:
    """The pass that all terms of a step share, from a batch of ``Collator``, and the model's own outputs."""
    labels_BT = batch["labels"]
    learned_BT = torch.zeros_like(labels_BT, dtype=torch.bool)
    learned_BT[:, :-1] = labels_BT[:, 1:] != IGNORED
    rows_N = learned_BT.flatten().nonzero().squeeze(1)
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "position_ids") if key in batch}
    false_BT = batch.get("false")
    if false_BT is None:
        outputs, states_BTD, logits_NV = score(model, inputs, rows_N, **options)
        false_FV = false_F = None
    else:  # scored in the same pass, behind what is learned
        rows_F = false_BT[:, 1:].flatten().nonzero().squeeze(1)
        rows_F = rows_F + rows_F // max(false_BT.shape[1] - 1, 1)  # in the flattened (B, T) batch
        outputs, states_BTD, logits_MV = score(model, inputs, torch.cat([rows_N, rows_F]), **options)
        logits_NV, false_FV = logits_MV.split([len(rows_N), len(rows_F)])
        false_F = batch["input_ids"].flatten()[rows_F + 1].to(logits_MV.device)
    forward = Forward(
        model=model,
        inputs=inputs,
        learned_BT=learned_BT,
        states_BTD=states_BTD,
        logits_NV=logits_NV,
        # A model spread over devices ends on another than it begins.
        labels_N=labels_BT.flatten()[rows_N + 1].to(logits_NV.device),
        sample_N=batch["sample"].flatten()[rows_N].to(logits_NV.device),
        extra=batch.get("columns", {}),
        outputs=outputs if options else None,
        text_BT=batch["sample"] >= 0,
        false_FV=false_FV,
        false_F=false_F,
        false_BT=false_BT,
    )
    return forward, outputs
