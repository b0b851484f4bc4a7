"""Raw scores of a text: what the tagger and the n-gram heads say, before any decision.

Shapes: N sentences, C labels, W words, L layers, K tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from doyen_legal.extract.ngrams import NgramHeads
from doyen_legal.extract.types import Clause
from doyen_legal.extract.windows import EncodedText, Window, collate, encode, windows_of

if TYPE_CHECKING:
    from doyen_modeling.tagger import SpanTagger

Floats = npt.NDArray[np.float32]
# Padded subwords in one forward pass: enough to fill the cores, little enough for a small machine's memory.
_BATCH_SUBWORDS = 6144


@dataclass(frozen=True, slots=True)
class TextScores:
    """Scores of one text.

    ``deep_NC`` sentence heads' logits; ``wide_NC`` n-gram heads' logits; ``inside_NC`` / ``peak_NC`` mean and highest
    CRF posterior of the label over a sentence's words; ``spans`` the CRF's best paths as spans with their mean
    posterior as score.
    """

    sentences_N2: npt.NDArray[np.int64]
    deep_NC: Floats
    wide_NC: Floats
    inside_NC: Floats
    peak_NC: Floats
    spans: list[Clause]


def score_text(text: str, model: SpanTagger, tokenizer: Any, ngrams: NgramHeads) -> TextScores:
    """Run both models over the whole text."""
    import torch

    config = model.config
    encoded = encode(text, tokenizer, config.window_subwords)
    n, c = len(encoded.sentences_N2), len(config.labels)
    deep = np.full((n, c), -10.0, dtype=np.float32)
    inside, peak = np.zeros((n, c), np.float32), np.zeros((n, c), np.float32)
    spans: list[Clause] = []
    for windows in _batches(windows_of(encoded, config.window_subwords)):
        batch = collate([(encoded, window) for window in windows])
        with torch.inference_mode(), _autocast():
            output = model(batch)
        sentence_NC = output.sentence_NC.float().numpy()
        posterior = model.crf.marginals(output.emissions_BWLK, batch.word_mask_BW).numpy()
        tags = model.crf.decode(output.emissions_BWLK, batch.word_mask_BW).numpy()
        offset = 0
        for b, window in enumerate(windows):
            size = window.last - window.first
            deep[window.first : window.last] = sentence_NC[offset : offset + size]
            offset += size
            _read_window(encoded, window, config, posterior[b], tags[b], inside, peak, spans)
    wide = ngrams.logits([text[start:end] for start, end in encoded.sentences_N2])
    return TextScores(encoded.sentences_N2, deep, wide, inside, peak, spans)


def _batches(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows of similar length together, at most ``_BATCH_SUBWORDS`` padded subwords a batch."""
    batches: list[list[Window]] = []
    for window in sorted(windows, key=lambda w: w.begin - w.end):
        longest = batches[-1][0].end - batches[-1][0].begin + 2 if batches else 0
        if batches and longest * (len(batches[-1]) + 1) <= _BATCH_SUBWORDS:
            batches[-1].append(window)
        else:
            batches.append([window])
    return batches


def _autocast() -> Any:
    import torch

    from doyen_modeling.encoder import has_bf16_units

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16_units())


def _read_window(
    text: EncodedText, window: Window, config: Any, posterior_WLK: Floats, tags_WL: npt.NDArray[np.int64],
    inside_NC: Floats, peak_NC: Floats, spans: list[Clause],
) -> None:  # fmt: skip
    begins = window.begin + np.flatnonzero(text.word_T[window.begin : window.end])
    if not len(begins):
        return
    ends = np.append(begins[1:], window.end) - 1
    start_W, end_W, sentence_W = text.start_T[begins], text.end_T[ends], text.sentence_T[begins]
    firsts = np.flatnonzero(np.append([True], sentence_W[1:] != sentence_W[:-1]))
    counts = np.diff(np.append(firsts, len(sentence_W)))
    rows = sentence_W[firsts]
    for layer, labels in enumerate(config.layers):
        for i, label in enumerate(labels):
            c = config.labels.index(label)
            p_W = (
                posterior_WLK[: len(begins), layer, 1 + 2 * i]
                + posterior_WLK[: len(begins), layer, 2 + 2 * i]
            )
            inside_NC[rows, c] = np.add.reduceat(p_W, firsts) / counts
            peak_NC[rows, c] = np.maximum.reduceat(p_W, firsts)
        tags = tags_WL[: len(begins), layer]
        for first in np.flatnonzero(tags % 2 == 1):
            last = int(first)
            while last + 1 < len(tags) and tags[last + 1] == tags[first] + 1:
                last += 1
            i = (int(tags[first]) - 1) // 2
            p = (
                posterior_WLK[first : last + 1, layer, tags[first]]
                + posterior_WLK[first : last + 1, layer, tags[first] + 1]
            )
            spans.append(Clause(labels[i], int(start_W[first]), int(end_W[last]), float(p.mean())))
