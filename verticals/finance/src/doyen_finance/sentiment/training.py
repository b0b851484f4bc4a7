"""Train the encoder on headlines and tweets together, and cut its change to low rank.

Shapes: B texts, C sentiments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from doyen_finance.sentiment.corpora import Headline, Target
from doyen_finance.sentiment.model import (
    BEGIN,
    INSIDE,
    OUTSIDE,
    Encoded,
    SentimentModel,
    collate,
    fast_products,
)

MASK_TOKEN = 103  # [MASK] of the encoder's vocabulary


@dataclass(frozen=True, slots=True)
class Settings:
    """How the encoder is trained. ``tag_share`` of the headlines also train the tagger in each epoch.

    ``mask_tokens`` is the share of subwords that a step does not see, ``average`` the decay of the weights' running
    mean, which is what is evaluated.
    """

    epochs: int = 5
    batch: int = 32
    frozen_layers: int = 2
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.06
    label_smoothing: float = 0.1
    mask_tokens: float = 0.1
    dropout: float = 0.1
    average: float = 0.998
    tag_share: float = 0.33
    tag_weight: float = 1.0


def fit(
    settings: Settings,
    tweets: Sequence[Target],
    headlines: Sequence[Headline],
    seed: int,
    on_epoch: Callable[[int, float, SentimentModel], None] | None = None,
) -> SentimentModel:
    """Train both heads; returns the model with its weights averaged over the steps.

    A step sees one kind of text: tweets, headlines with a marked entity, or headlines to tag.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, average = SentimentModel(settings.dropout), SentimentModel()
    average.load_state_dict(model.state_dict())
    sentiments = [*tweets, *(t for headline in headlines for t in headline.targets)]
    encoded = model.encode(sentiments)
    to_tag = model.encode([Target(h.title) for h in headlines])
    tags = [gold_tags(e, h) for e, h in zip(to_tag, headlines, strict=True)]
    kinds = [np.arange(len(tweets)), np.arange(len(tweets), len(sentiments))]
    tagged = int(settings.tag_share * len(headlines))
    per_epoch = sum(math.ceil(len(kind) / settings.batch) for kind in kinds) + math.ceil(
        tagged / settings.batch
    )
    total, step = per_epoch * settings.epochs, 0
    layers: Any = model.encoder.encoder.layer
    for layer in layers[: settings.frozen_layers]:
        layer.requires_grad_(False)
    optimizer = torch.optim.AdamW(_groups(model, settings), betas=(0.9, 0.98))
    peak = [group["lr"] for group in optimizer.param_groups]
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    for epoch in range(settings.epochs):
        plan: list[tuple[bool, list[int]]] = []
        for kind in kinds:
            plan += [(False, b) for b in _batches(encoded, rng.permutation(kind), settings.batch)]
        drawn = rng.permutation(len(headlines))[:tagged]
        plan += [(True, b) for b in _batches(to_tag, drawn, settings.batch)]
        model.train()
        losses = []
        for index in rng.permutation(len(plan)):
            tagging, batch = plan[index]
            scale = _schedule(step, total, settings.warmup)
            for group, rate in zip(optimizer.param_groups, peak, strict=True):
                group["lr"] = rate * scale
            items = [_hide((to_tag if tagging else encoded)[i], settings.mask_tokens, rng) for i in batch]
            with fast_products():
                if tagging:
                    scores, mask_BW = model.tag_scores(collate(items), items)
                else:
                    logits_BC = model(collate(items))
            if tagging:
                gold = _padded([tags[i] for i in batch], mask_BW.shape[1])
                loss = settings.tag_weight * model.crf.loss(scores.float(), gold[..., None], mask_BW)
            else:
                loss = loss_of(logits_BC.float(), torch.tensor([sentiments[i].label for i in batch]))
            loss.backward()
            nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            _average(average, model, min(settings.average, (1 + step) / (10 + step)))
            losses.append(loss.item())
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)), average)
    return average.eval()


def gold_tags(encoded: Encoded, headline: Headline) -> list[int]:
    """O, B or I of each word that was read, from the headline's entities."""
    spans = [span for target in headline.targets for span in target.spans]
    tags, last = [], None
    for word in encoded.words:
        inside = next((s for s in spans if s[0] < word.end and word.start < s[1]), None)
        tags.append(OUTSIDE if inside is None else INSIDE if inside == last else BEGIN)
        last = inside
    return tags


def _hide(item: Encoded, share: float, rng: np.random.Generator) -> Encoded:
    """A share of the subwords read ``[MASK]``: the encoder runs without dropout, this regularises in its place."""
    if not share:
        return item
    hidden = rng.random(len(item.ids)) < share
    ids = [MASK_TOKEN if h and i > 102 else i for i, h in zip(item.ids, hidden, strict=True)]
    return Encoded(ids, item.marks, item.first, item.words)


def _padded(tags: Sequence[Sequence[int]], longest: int) -> Tensor:
    return torch.tensor([[*row, *[OUTSIDE] * (longest - len(row))] for row in tags])


def _batches(encoded: Sequence[Encoded], order: np.ndarray, size: int) -> Iterator[list[int]]:
    """Random batches of like length: sorted within pools of 16 batches."""
    for start in range(0, len(order), 16 * size):
        pool = sorted(order[start : start + 16 * size].tolist(), key=lambda i: len(encoded[i].ids))
        for first in range(0, len(pool), size):
            yield pool[first : first + size]


def _groups(model: SentimentModel, settings: Settings) -> list[dict[str, Any]]:
    """The heads at their own rate, each layer below the top at a rate ``layer_decay`` smaller."""
    layers: Any = model.encoder.encoder.layer
    heads = [*model.sentiment.parameters(), *model.emission.parameters(), *model.crf.parameters()]
    groups: list[dict[str, Any]] = [{"params": heads, "lr": settings.head_learning_rate, "weight_decay": 0.0}]
    for depth, layer in enumerate(layers[settings.frozen_layers :], start=settings.frozen_layers):
        rate = settings.learning_rate * settings.layer_decay ** (len(layers) - 1 - depth)
        for vectors in (True, False):
            chosen = [p for p in layer.parameters() if (p.ndim == 1) == vectors]
            decay = 0.0 if vectors else settings.weight_decay
            groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups


def _schedule(step: int, total: int, warmup: float) -> float:
    """Linear warm-up, then linear decay to zero."""
    rise = max(1, int(total * warmup))
    return (step + 1) / rise if step < rise else max(0.0, (total - step) / max(1, total - rise))


def _average(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for mean, value in zip(average.parameters(), model.parameters(), strict=True):
            if value.requires_grad:
                mean.lerp_(value, 1 - decay)
