"""The floor: hashed word and character n-grams of the text around the target under a logistic regression.

Small enough to ship (fp16), so that every evaluation prints it beside the encoder; the encoder's answer is mixed with
it (stacking, Wolpert 1992).

Shapes: N texts, F hashed features, C sentiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_finance.sentiment.corpora import LABELS, Target
from doyen_finance.sentiment.text import words

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORD_FEATURES: Final = 2**16
CHAR_FEATURES: Final = 2**16
MASK: Final = "targetentity"
OTHER: Final = "textentity"


@dataclass(frozen=True, slots=True)
class LinearModel:
    """Inverse document frequencies [F], weights [F, C] and intercepts [C] of the hashed n-grams."""

    idf_F: np.ndarray
    weight_FC: np.ndarray
    bias_C: np.ndarray

    def logits(self, targets: Sequence[Target]) -> np.ndarray:
        """Scores [N, C] before the softmax."""
        if not targets:
            return np.zeros((0, len(LABELS)), dtype=np.float32)
        scores_NC: np.ndarray = weighted(counts(targets), self.idf_F) @ self.weight_FC + self.bias_C
        return scores_NC.astype(np.float32)

    def save(self, path: Path) -> None:
        """Write the non-zero rows as safetensors, fp16."""
        from safetensors.numpy import save_file

        rows = np.flatnonzero(np.abs(self.weight_FC).max(axis=1))
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {
                "rows": rows.astype(np.int32),
                "idf": self.idf_F[rows].astype(np.float16),
                "weight": self.weight_FC[rows].astype(np.float16),
                "bias": self.bias_C.astype(np.float32),
            },
            path,
        )


def load(path: Path) -> LinearModel:
    """The model that ``save`` wrote."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    size, classes = WORD_FEATURES + CHAR_FEATURES, len(LABELS)
    idf_F = np.zeros(size, dtype=np.float32)
    weight_FC = np.zeros((size, classes), dtype=np.float32)
    idf_F[tensors["rows"]] = tensors["idf"]
    weight_FC[tensors["rows"]] = tensors["weight"]
    return LinearModel(idf_F, weight_FC, tensors["bias"].astype(np.float32))


def fit(targets: Sequence[Target], keep: int, inverse_penalty: float = 4.0) -> LinearModel:
    """Fit on ``targets``, keep the ``keep`` features of the largest weight, and fit again on them."""
    from sklearn.linear_model import LogisticRegression

    counts_NF = counts(targets)
    seen_F = np.asarray((counts_NF > 0).sum(axis=0)).ravel()
    idf_F = np.where(seen_F > 1, np.log((1 + len(targets)) / (1 + seen_F)) + 1, 0).astype(np.float32)
    labels = np.array([t.label for t in targets])
    for _ in range(2):
        tfidf_NF = weighted(counts_NF, idf_F)
        used = np.flatnonzero(idf_F)
        model: Any = LogisticRegression(C=inverse_penalty, max_iter=300)
        model.fit(tfidf_NF[:, used], labels)
        if set(model.classes_) != set(range(len(LABELS))):
            raise ValueError(f"{len(model.classes_)} sentiments in the data, not {len(LABELS)}")
        weight_FC = np.zeros((len(idf_F), len(LABELS)), dtype=np.float32)
        weight_FC[used] = model.coef_.T
        if len(used) <= keep:
            break
        strength_F = np.abs(weight_FC).max(axis=1) * np.sqrt(seen_F)
        idf_F[np.argsort(strength_F)[:-keep]] = 0
    return LinearModel(idf_F, weight_FC, model.intercept_.astype(np.float32))


def masked(item: Target) -> str:
    """The text's words in one line, the target's as one placeholder; a whole-text target leaves the text as it is."""
    line = []
    for word in words(item.text):
        inside = any(start < word.end and word.start < end for start, end in item.spans)
        if not inside:
            line.append(word.text)
        elif not line or line[-1] != MASK:
            line.append(MASK)
    return " ".join(line)


def counts(targets: Sequence[Target]) -> csr_matrix:
    """Hashed counts [N, F], damped by logarithm: 1 to 2 words, then 2 to 5 characters within words."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    lines = [masked(t) for t in targets]
    options: dict[str, Any] = {"norm": None, "alternate_sign": False, "lowercase": False}
    by_word = HashingVectorizer(
        ngram_range=(1, 2), token_pattern=r"\S+", n_features=WORD_FEATURES, **options
    ).transform(lines)
    by_char = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=CHAR_FEATURES, **options
    ).transform(lines)
    both = hstack([by_word, by_char], format="csr")
    both.data = 1 + np.log(both.data)
    return both


def weighted(counts_NF: csr_matrix, idf_F: np.ndarray) -> csr_matrix:
    """TF-IDF rows of unit length for words and for characters."""
    from scipy.sparse import diags, hstack
    from sklearn.preprocessing import normalize

    tfidf_NF = counts_NF @ diags(idf_F)
    tfidf_NF = tfidf_NF.tocsr()
    return hstack(
        [normalize(tfidf_NF[:, :WORD_FEATURES]), normalize(tfidf_NF[:, WORD_FEATURES:])], format="csr"
    )
