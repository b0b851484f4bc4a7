"""The bench's training loop: AdamW over loss terms that share one forward pass."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.losses.term import Forward, Start, Term
from doyen_training.masking import IGNORED, Example
from doyen_training.verify.bench import pad
from doyen_training.verify.prepare import rate

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def fit(
    model: Any,
    examples: Sequence[Example],
    tokenizer: PreTrainedTokenizerBase,
    *,
    terms: Sequence[Term] | None,
    steps: int,
    seed: int,
    learning_rate: float,
    parameters: Iterable[Tensor] | None,
    batch_size: int,
) -> None:
    """See ``Bench.train``."""
    terms = [CrossEntropy()] if terms is None else list(terms)
    torch.manual_seed(seed)
    for term in terms:
        term.begin(Start(model, tokenizer, examples, torch.device("cpu"), seed))
    trained = (
        list(parameters) if parameters is not None else [p for p in model.parameters() if p.requires_grad]
    )
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate(step, steps, max(1, steps // 10))
    )
    order = _order(len(examples), steps * batch_size, seed)
    model.train()
    for step in range(steps):
        index = order[step * batch_size : (step + 1) * batch_size]
        forward = forward_pass(model, [examples[i] for i in index], index, terms)
        count = len(forward.labels_N)
        loss = sum((t.weight * t.loss(forward, count) for t in terms), torch.zeros(()))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
    model.eval()


def forward_pass(model: Any, rows: Sequence[Example], index: Sequence[int], terms: Sequence[Term]) -> Forward:
    """One pass over ``rows``, scored at the learned positions; ``index`` are the rows' places in the data."""
    inputs = pad(rows, 0)
    labels_BT = inputs.pop("labels")[:, 1:]
    outputs = model(
        **inputs,
        use_cache=False,
        output_hidden_states=True,
        output_attentions=any(term.attentions for term in terms),
    )
    length = labels_BT.shape[1]
    learned_BT = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
    learned_BT[:, :-1] = labels_BT != IGNORED
    extra: dict[str, Tensor] = {}
    for term in terms:
        columns = [term.token_columns(i) for i in index]
        extra |= {key: torch.cat([column[key] for column in columns]) for key in columns[0]}
        columns = [term.sample_columns(i) for i in index]
        extra |= {key: torch.stack([column[key] for column in columns]) for key in columns[0]}
    return Forward(
        model=model,
        inputs=inputs,
        learned_BT=learned_BT,
        states_BTD=outputs.hidden_states[-1],
        logits_NV=outputs.logits[:, -length - 1 :][learned_BT].float(),
        labels_N=labels_BT[learned_BT[:, :-1]],
        sample_N=learned_BT.nonzero()[:, 0],
        extra=extra,
        outputs=outputs,
    )


def _order(count: int, needed: int, seed: int) -> list[int]:
    """Whole passes over the rows, each shuffled anew."""
    shuffle = random.Random(seed)
    order: list[int] = []
    while len(order) < needed:
        order += shuffle.sample(range(count), count)
    return order
