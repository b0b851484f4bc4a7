"""Linear heads over hashed word n-grams: the cheap second opinion beside the encoder.

A bag of words errs differently from a network that reads in context, so the two together rank better than either.
Shapes: N sentences, F hashed features, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
FEATURES = 2**16


def vectorizer() -> Any:
    """Unigrams and bigrams of words, amounts and percent signs, hashed into ``FEATURES`` columns."""
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        n_features=FEATURES,
        ngram_range=(1, 2),
        alternate_sign=False,
        norm=None,
        token_pattern=r"(?u)\b\w+\b|\$|%",
    )


class NgramHeads:
    """One logistic head a label over sublinear TF-IDF of hashed n-grams, rows scaled to unit length.

    Args:
        weight_FC: weights, bias_C: intercepts, idf_F: inverse document frequencies from the training part.
    """

    def __init__(self, weight_FC: Floats, bias_C: Floats, idf_F: Floats) -> None:
        self.weight_FC = weight_FC
        self.bias_C = bias_C
        self.idf_F = idf_F
        self._vectorizer = vectorizer()

    def logits(self, sentences: Sequence[str]) -> Floats:
        """``[N, C]`` logits of the sentences."""
        if not sentences:
            return np.zeros((0, len(self.bias_C)), dtype=np.float32)
        return np.asarray(self.features(sentences) @ self.weight_FC + self.bias_C, dtype=np.float32)

    def features(self, sentences: Sequence[str]) -> Any:
        """``[N, F]`` sparse TF-IDF rows."""
        counts = self._vectorizer.transform(sentences).astype(np.float32)
        counts.data = 1 + np.log(counts.data)
        counts.data *= self.idf_F[counts.indices]
        squares = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1)).ravel())
        counts.data /= np.repeat(np.maximum(squares, 1e-12), np.diff(counts.indptr))
        return counts

    def save(self, path: Path) -> None:
        """Write the heads as fp16 safetensors."""
        from safetensors.numpy import save_file

        save_file(
            {
                "weight": self.weight_FC.astype(np.float16), "bias": self.bias_C.astype(np.float32),
                "idf": self.idf_F.astype(np.float16),
            },
            path,
        )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> NgramHeads:
        """Read ``save``'s file."""
        from safetensors.numpy import load_file

        tensors = load_file(path)
        return cls(*(tensors[name].astype(np.float32) for name in ("weight", "bias", "idf")))


def fit_ngram_heads(
    sentences: Sequence[str], targets_NC: Floats, seed: int, strength: float = 30.0
) -> NgramHeads:
    """Fit the heads: one L2 logistic regression a label (liblinear), half of its negatives drawn once per label."""
    from sklearn.linear_model import LogisticRegression

    counts = vectorizer().transform(sentences)
    seen_F = np.bincount(counts.indices, minlength=FEATURES)
    idf_F = (np.log((1 + counts.shape[0]) / (1 + seen_F)) + 1).astype(np.float32)
    n_labels = targets_NC.shape[1]
    heads = NgramHeads(np.zeros((FEATURES, n_labels), np.float32), np.zeros(n_labels, np.float32), idf_F)
    rows = heads.features(sentences)
    rng = np.random.default_rng(seed)
    for c in range(n_labels):
        gold = targets_NC[:, c] > 0
        if not gold.any():
            heads.bias_C[c] = -10.0
            continue
        kept = gold | (rng.random(len(gold)) < 0.5)
        model = LogisticRegression(C=strength, solver="liblinear").fit(rows[kept], gold[kept])
        heads.weight_FC[:, c] = model.coef_[0]
        # The halved negatives raised the odds by two.
        heads.bias_C[c] = model.intercept_[0] + np.log(0.5)
    return heads
