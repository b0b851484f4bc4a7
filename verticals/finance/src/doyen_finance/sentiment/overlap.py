"""Texts of one file that stand in another: exactly, in the same words, or nearly (Jaccard index of character grams).

Every pair is compared exactly, by sparse products in blocks: at the size of these corpora no sketch (MinHash, Broder
1997) is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_finance.sentiment.corpora import read_texts
from doyen_finance.sentiment.text import canonical

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

GRAM: Final = 5
NEAR: Final = 0.8
_BLOCK: Final = 256


def overlap(train: Sequence[str], test: Sequence[str], near: float = NEAR) -> dict[str, Any]:
    """How many texts of ``test`` are in ``train`` by each rule, and the pairs by number (no text).

    A text counts once, by the strictest rule that holds: ``exact`` characters; ``normalised`` words without links,
    numbers as one; ``near``, at least that share of character 5-grams of the normalised text in common.
    """
    exact = {text: i for i, text in reversed(list(enumerate(train)))}
    plain_train, plain_test = [canonical(t) for t in train], [canonical(t) for t in test]
    normalised = {text: i for i, text in reversed(list(enumerate(plain_train))) if text}
    similar, which = _most_similar(plain_train, plain_test)
    pairs = []
    for row, (text, plain) in enumerate(zip(test, plain_test, strict=True)):
        if text in exact:
            pairs.append({"test": row, "train": exact[text], "rule": "exact", "similarity": 1.0})
        elif plain in normalised:
            pairs.append({"test": row, "train": normalised[plain], "rule": "normalised", "similarity": 1.0})
        elif similar[row] >= near:
            share = round(float(similar[row]), 4)
            pairs.append({"test": row, "train": int(which[row]), "rule": "near", "similarity": share})
    rules = [pair["rule"] for pair in pairs]
    return {
        "n_train": len(train),
        "n_test": len(test),
        **{rule: rules.count(rule) for rule in ("exact", "normalised", "near")},
        "share": round(len(pairs) / max(1, len(test)), 4),
        "pairs": pairs,
    }


def overlap_files(train: Sequence[Path], test: Path, near: float = NEAR) -> dict[str, Any]:
    """``overlap`` of corpus files, told apart by their names. Raises FIN-040, FIN-041."""
    return overlap([text for path in train for text in read_texts(path)], read_texts(test), near)


def _most_similar(known: Sequence[str], asked: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each of ``asked``, its highest Jaccard index with any of ``known``, and which that is."""
    best, which = np.zeros(len(asked)), np.zeros(len(asked), dtype=np.int64)
    if not known or not asked:
        return best, which
    grams_K, grams_A = _grams(known), _grams(asked)
    size_K, size_A = (np.asarray(g.sum(axis=1)).ravel() for g in (grams_K, grams_A))
    for start in range(0, len(asked), _BLOCK):
        shared = (grams_A[start : start + _BLOCK] @ grams_K.T).toarray()
        union = size_A[start : start + _BLOCK, None] + size_K[None] - shared
        jaccard = shared / np.maximum(union, 1)
        stop = start + len(jaccard)
        best[start:stop], which[start:stop] = jaccard.max(axis=1), jaccard.argmax(axis=1)
    return best, which


def _grams(texts: Sequence[str]) -> csr_matrix:
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(
        analyzer="char", ngram_range=(GRAM, GRAM), n_features=2**20, binary=True, norm=None,
        alternate_sign=False, lowercase=False, dtype=np.float32,
    )  # fmt: skip
    return hashed.transform(texts)
