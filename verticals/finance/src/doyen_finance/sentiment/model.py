"""One encoder with two heads: which words are entities, and the sentiment of the marked target.

The target's subwords carry segment 1 (the encoder knows two segments), so that marking costs no tokens. Without a
target the whole text is judged.

Shapes: B texts, T subwords, W words, D encoder width, C sentiments, K tags (O, B, I).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from doyen_finance.sentiment.corpora import LABELS, Target
from doyen_finance.sentiment.text import Word, words
from doyen_modeling.crf import LayeredCRF
from doyen_modeling.encoder import ENCODER_WIDTH, load_encoder, load_tokenizer
from doyen_modeling.pairs import CLS, SEP
from doyen_modeling.tagger import tag_constraints

MAX_TOKENS = 128
OUTSIDE, BEGIN, INSIDE = range(3)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text in subwords: ids and the target's mark of each, and the first subword of each word that was read."""

    ids: list[int]
    marks: list[int]
    first: list[int]
    words: list[Word]


class Batch(NamedTuple):
    """Padded texts: ids, segments, attention and target masks [B, T]."""

    ids_BT: Tensor
    segments_BT: Tensor
    mask_BT: Tensor
    target_BT: Tensor


class SentimentModel(nn.Module):
    """The encoder, the sentiment head over [first state; mean of the target; mean of the text], and a CRF tagger."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = load_encoder()
        self.tokenizer = load_tokenizer()
        self.dropout = nn.Dropout(dropout)
        self.sentiment = nn.Linear(3 * ENCODER_WIDTH, len(LABELS))
        allowed_LKK, start_LK = tag_constraints((("entity",),))
        start_LK[0, INSIDE] = False  # a headline is read whole: no entity goes on from before it
        self.crf = LayeredCRF(allowed_LKK, start_LK)
        self.emission = nn.Linear(ENCODER_WIDTH, allowed_LKK.shape[-1])

    def states(self, batch: Batch) -> Tensor:
        """Encoder states [B, T, D]."""
        return cast(
            Tensor,
            self.encoder(
                input_ids=batch.ids_BT, attention_mask=batch.mask_BT, token_type_ids=batch.segments_BT
            ).last_hidden_state.float(),
        )

    def forward(self, batch: Batch) -> Tensor:
        """Sentiment logits [B, C]."""
        h_BTD = self.states(batch)
        pooled = [h_BTD[:, 0]]
        for mask_BT in (batch.target_BT, batch.mask_BT):
            weight_BT1 = mask_BT.float().unsqueeze(-1)
            pooled.append((h_BTD * weight_BT1).sum(1) / weight_BT1.sum(1).clamp(min=1.0))
        return cast(Tensor, self.sentiment(self.dropout(torch.cat(pooled, dim=-1))))

    def tag_scores(self, batch: Batch, encoded: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
        """Tag scores [B, W, 1, K] of the words' first subwords, and the mask [B, W] of real words."""
        h_BTD = self.states(batch)
        longest = max(1, max(len(e.first) for e in encoded))
        first_BW = torch.zeros(len(encoded), longest, dtype=torch.long)
        mask_BW = torch.zeros(len(encoded), longest, dtype=torch.bool)
        for row, item in enumerate(encoded):
            first_BW[row, : len(item.first)] = torch.tensor(item.first)
            mask_BW[row, : len(item.first)] = True
        h_BWD = h_BTD.gather(1, first_BW[..., None].expand(-1, -1, h_BTD.shape[-1]))
        return self.emission(self.dropout(h_BWD)).unsqueeze(2), mask_BW

    def encode(self, targets: Sequence[Target]) -> list[Encoded]:
        """Subwords of each text, at most ``MAX_TOKENS``; a target outside the part that fits loses its mark."""
        split = [words(t.text) for t in targets]
        pieces = self.tokenizer.encode_batch(
            [[w.text for w in line] for line in split], is_pretokenized=True, add_special_tokens=False
        )
        return [
            _encoded(item, line, piece.ids, piece.word_ids)
            for item, line, piece in zip(targets, split, pieces, strict=True)
        ]


def _encoded(item: Target, line: list[Word], ids: list[int], word_ids: list[int | None]) -> Encoded:
    inside = [any(start < w.end and w.start < end for start, end in item.spans) for w in line]
    marks, first, read = [], [], []
    last = None
    ids = ids[: MAX_TOKENS - 2]
    for position, index in enumerate(word_ids[: len(ids)], start=1):
        assert index is not None  # only special tokens belong to no word, and there are none
        marks.append(int(inside[index]))
        if index != last:
            first.append(position)
            read.append(line[index])
        last = index
    return Encoded([CLS, *ids, SEP], [0, *marks, 0], first, read)


def collate(items: Sequence[Encoded]) -> Batch:
    """Pad to the longest, in steps of 4: few shapes keep the cache of compiled kernels small."""
    longest = -(-max(len(e.ids) for e in items) // 4) * 4
    ids_BT = torch.zeros(len(items), longest, dtype=torch.long)
    segments_BT, mask_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT)
    for row, item in enumerate(items):
        ids_BT[row, : len(item.ids)] = torch.tensor(item.ids)
        segments_BT[row, : len(item.ids)] = torch.tensor(item.marks)
        mask_BT[row, : len(item.ids)] = 1
    marked_B1 = segments_BT.any(1, keepdim=True)
    return Batch(ids_BT, segments_BT, mask_BT, torch.where(marked_B1, segments_BT, mask_BT))


def sentiment_logits(
    model: SentimentModel, targets: Sequence[Target], batch_tokens: int = 4096
) -> np.ndarray:
    """Logits [len(targets), C] in the order given."""
    encoded = model.encode(targets)
    out = np.zeros((len(encoded), len(LABELS)), dtype=np.float32)
    model.eval()
    with torch.inference_mode(), fast_products():
        for batch in by_tokens([len(e.ids) for e in encoded], batch_tokens):
            out[batch] = model(collate([encoded[i] for i in batch])).float().numpy()
    return out


def entity_spans(
    model: SentimentModel, texts: Sequence[str], batch_tokens: int = 4096
) -> list[list[tuple[int, int]]]:
    """The entities' characters ``[start, end)`` in each text."""
    encoded = model.encode([Target(text) for text in texts])
    found: list[list[tuple[int, int]]] = [[] for _ in texts]
    model.eval()
    with torch.inference_mode(), fast_products():
        for batch in by_tokens([len(e.ids) for e in encoded], batch_tokens):
            items = [encoded[i] for i in batch]
            scores, mask_BW = model.tag_scores(collate(items), items)
            tags_BW = model.crf.decode(scores.float(), mask_BW)[..., 0].tolist()
            for index, item, tags in zip(batch, items, tags_BW, strict=True):
                found[index] = _spans(item.words, tags)
    return found


def _spans(read: Sequence[Word], tags: Sequence[int]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for word, tag in zip(read, tags, strict=False):
        if tag == BEGIN:
            spans.append((word.start, word.end))
        elif tag == INSIDE and spans:
            spans[-1] = (spans[-1][0], word.end)
    return spans


def by_tokens(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Indices in batches of at most ``limit`` padded tokens, texts of like length together."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and (len(batch) + 1) * lengths[index] > limit:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware: AMX, or AVX-512 BF16 (2.3 times faster)."""
    probes = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("amx_tile", "avx512_bf16"))
    return any(probe() for probe in probes if probe is not None)


def fast_products() -> torch.autocast:
    """Matrix products in bfloat16 where that is faster."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16())
