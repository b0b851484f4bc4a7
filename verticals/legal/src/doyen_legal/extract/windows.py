"""Contract text to the windows that the tagger reads, and labelled spans to its targets.

A window is a run of whole sentences of at most ``window_subwords`` subwords with the two special tokens. Nothing of
the text is dropped: a sentence longer than a window is cut into pieces that fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from doyen_legal.extract.sentences import split_sentences

if TYPE_CHECKING:
    from doyen_modeling.tagger import Batch

Ints = npt.NDArray[np.int64]
CLS, SEP, MASK = 101, 102, 103


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text's subwords and sentences.

    ``ids_T`` subword ids; ``start_T`` / ``end_T`` their characters; ``word_T`` is 1 where a word begins;
    ``sentence_T`` the sentence of each subword; ``sentences_N2`` sentence ranges in characters.
    """

    ids_T: Ints
    start_T: Ints
    end_T: Ints
    word_T: Ints
    sentence_T: Ints
    sentences_N2: Ints

    def sentence_lengths(self) -> Ints:
        """Subwords of each sentence."""
        return np.bincount(self.sentence_T, minlength=len(self.sentences_N2)).astype(np.int64)


def encode(text: str, tokenizer: Any, window_subwords: int) -> EncodedText:
    """Tokenise ``text`` and split it into sentences of at most ``window_subwords - 2`` subwords."""
    encoding = tokenizer.encode(text, add_special_tokens=False)
    offsets_T2 = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    words = np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)
    word_T = np.ones(len(words), dtype=np.int64)
    word_T[1:] = words[1:] != words[:-1]
    sentences = np.array(split_sentences(text), dtype=np.int64).reshape(-1, 2)
    # Sentences partition the visible characters, so the last one that starts at or before a subword holds it.
    sentence_T = np.searchsorted(sentences[:, 0], offsets_T2[:, 0], side="right") - 1
    sentence_T, sentences = _cut_long(sentence_T, sentences, offsets_T2, window_subwords - 2)
    return EncodedText(
        np.array(encoding.ids, dtype=np.int64),
        offsets_T2[:, 0],
        offsets_T2[:, 1],
        word_T,
        sentence_T,
        sentences,
    )


def _cut_long(sentence_T: Ints, sentences_N2: Ints, offsets_T2: Ints, longest: int) -> tuple[Ints, Ints]:
    counts = np.bincount(sentence_T, minlength=len(sentences_N2))
    if not len(counts) or counts.max() <= longest:
        return sentence_T, sentences_N2
    first_N = np.concatenate([[0], np.cumsum(counts)[:-1]])
    piece_T = (np.arange(len(sentence_T)) - first_N[sentence_T]) // longest
    key = np.stack([sentence_T, piece_T], 1)
    new_T = np.concatenate([[0], np.cumsum((key[1:] != key[:-1]).any(1))]).astype(np.int64)
    begins = np.flatnonzero(np.concatenate([[True], new_T[1:] != new_T[:-1]]))
    ends = np.concatenate([begins[1:], [len(new_T)]]) - 1
    cut = np.stack([offsets_T2[begins, 0], offsets_T2[ends, 1]], 1)
    # A sentence without subwords (lone symbols that the tokenizer drops) has nothing to classify and is left out.
    return new_T, cut


def pack(lengths_N: Ints, window_subwords: int, first: int = 0) -> list[tuple[int, int]]:
    """Ranges of sentences ``[i, j)`` that fill windows greedily; ``first`` shortens the first window's share."""
    windows: list[tuple[int, int]] = []
    begin, used = 0, first
    for index, length in enumerate(lengths_N.tolist()):
        if used + length > window_subwords - 2 and index > begin:
            windows.append((begin, index))
            begin, used = index, 0
        used += length
    if begin < len(lengths_N):
        windows.append((begin, len(lengths_N)))
    return windows


@dataclass(frozen=True, slots=True)
class Window:
    """Sentences ``[first, last)`` of a text, that is its subwords ``[begin, end)``."""

    first: int
    last: int
    begin: int
    end: int


def windows_of(text: EncodedText, window_subwords: int, first: int = 0) -> list[Window]:
    """The windows of a text."""
    lengths_N = text.sentence_lengths()
    bounds = np.concatenate([[0], np.cumsum(lengths_N)])
    return [
        Window(i, j, int(bounds[i]), int(bounds[j]))
        for i, j in pack(lengths_N, window_subwords, first)
        if bounds[j] > bounds[i]
    ]


def collate(items: Sequence[tuple[EncodedText, Window]]) -> Batch:
    """Windows to a padded batch of tensors; sentences are numbered over the batch in order."""
    import torch

    from doyen_modeling.tagger import Batch

    B = len(items)
    S = max(w.end - w.begin for _, w in items) + 2
    W = max(int(t.word_T[w.begin : w.end].sum()) for t, w in items)
    ids = np.zeros((B, S), dtype=np.int64)
    attend = np.zeros((B, S), dtype=np.int64)
    first = np.zeros((B, W), dtype=np.int64)
    word_mask = np.zeros((B, W), dtype=bool)
    sentence = np.zeros((B, S), dtype=np.int64)
    offset = 1
    for b, (text, window) in enumerate(items):
        n = window.end - window.begin
        ids[b, 0], ids[b, n + 1] = CLS, SEP
        ids[b, 1 : n + 1] = text.ids_T[window.begin : window.end]
        attend[b, : n + 2] = 1
        starts = np.flatnonzero(text.word_T[window.begin : window.end]) + 1
        first[b, : len(starts)] = starts
        word_mask[b, : len(starts)] = True
        sentence[b, 1 : n + 1] = text.sentence_T[window.begin : window.end] - window.first + offset
        offset += window.last - window.first
    return Batch(
        torch.from_numpy(ids), torch.from_numpy(attend), torch.from_numpy(first), torch.from_numpy(word_mask),
        torch.from_numpy(sentence), offset - 1,
    )  # fmt: skip


def sentence_targets(
    sentences_N2: Ints, spans: Iterable[tuple[str, int, int]], labels: Sequence[str]
) -> npt.NDArray[np.float32]:
    """``[N, C]``: 1 where a span covers half of the sentence, or the sentence half of the span."""
    index = {label: i for i, label in enumerate(labels)}
    targets = np.zeros((len(sentences_N2), len(labels)), dtype=np.float32)
    for label, start, end in spans:
        low = int(np.searchsorted(sentences_N2[:, 1], start, side="right"))
        for n in range(low, len(sentences_N2)):
            s, e = sentences_N2[n]
            if s >= end:
                break
            if 2 * (min(e, end) - max(s, start)) >= min(e - s, end - start):
                targets[n, index[label]] = 1.0
    return targets


def tag_targets(
    word_start_W: Ints,
    word_end_W: Ints,
    spans: Iterable[tuple[str, int, int]],
    layers: Sequence[Sequence[str]],
) -> Ints:
    """``[W, L]`` BIO tags; where two spans of one layer collide, the longer one stays."""
    place = {label: (layer, i) for layer, names in enumerate(layers) for i, label in enumerate(names)}
    tags = np.zeros((len(word_start_W), len(layers)), dtype=np.int64)
    for label, start, end in sorted(spans, key=lambda s: s[1] - s[2]):
        layer, i = place[label]
        low = int(np.searchsorted(word_end_W, start, side="right"))
        high = int(np.searchsorted(word_start_W, end, side="left"))
        if low < high and not tags[low:high, layer].any():
            tags[low:high, layer] = 2 + 2 * i
            tags[low, layer] = 1 + 2 * i
    return tags


def label_layers(
    contracts_spans: Iterable[Sequence[tuple[str, int, int]]], labels: Sequence[str], n_layers: int
) -> tuple[tuple[str, ...], ...]:
    """Distribute the labels over layers so that few overlapping spans meet in one.

    Greedy colouring of the overlap graph, labels with most overlaps first; among the layers with the fewest
    conflicts the emptiest is taken, so that the layers have about equal numbers of tags.
    """
    index = {label: i for i, label in enumerate(labels)}
    overlaps = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for spans in contracts_spans:
        ordered = sorted(spans, key=lambda s: s[1])
        for i, (label, _, end) in enumerate(ordered):
            for other, other_start, _ in ordered[i + 1 :]:
                if other_start >= end:
                    break
                overlaps[index[label], index[other]] += 1
                overlaps[index[other], index[label]] += 1
    layers: list[list[int]] = [[] for _ in range(n_layers)]
    for c in np.argsort(-overlaps.sum(1), kind="stable").tolist():
        best = min(layers, key=lambda members: (sum(int(overlaps[c, m]) for m in members), len(members)))
        best.append(c)
    return tuple(tuple(labels[c] for c in sorted(members)) for members in layers)
