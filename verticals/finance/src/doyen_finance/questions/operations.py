"""Which kind of operation a question asks for: a linear model over its words and pairs of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from doyen_finance.questions.candidates import FAMILIES
from doyen_finance.questions.numbers import YEAR

_TOKEN: Final = re.compile(r"[^\W_]+|[%$€£]|\S", re.UNICODE)
LEAST: Final = 3


@dataclass(frozen=True, slots=True)
class OperationModel:
    """``weights`` (V + 1, C), the bias last, over the presence of ``vocabulary``'s n-grams; C are the families."""

    vocabulary: dict[str, int]
    weights: np.ndarray

    def log_probabilities(self, question: str) -> dict[str, float]:
        """The natural logarithm of each family's probability, not below -8."""
        rows = [self.vocabulary[gram] for gram in set(grams(question)) if gram in self.vocabulary]
        logits = self.weights[rows].sum(0) + self.weights[-1]
        logits = logits - logits.max()
        logs = np.maximum(logits - np.log(np.exp(logits).sum()), -8.0)
        return dict(zip(FAMILIES, logs.tolist(), strict=True))


def grams(question: str) -> list[str]:
    """Words and pairs of words, lower case, years and numbers as one sign each, with the first word marked."""
    text = YEAR.sub(" yyyy ", question.lower())
    text = re.sub(r"\d[\d,.]*", " nnnn ", text)
    tokens = ["<s>", *_TOKEN.findall(text)]
    return tokens[1:] + [f"{a} {b}" for a, b in zip(tokens, tokens[1:], strict=False)] + [
        f"{a} {b} {c}" for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False)
    ]


def fit_operations(questions: Sequence[str], families: Sequence[str]) -> OperationModel:
    """Multinomial logistic regression on the questions whose family is known."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    sets = [set(grams(question)) for question in questions]
    counts = Counter(gram for grams_ in sets for gram in grams_)
    vocabulary = {gram: i for i, gram in enumerate(sorted(g for g, n in counts.items() if n >= LEAST))}
    columns = [[vocabulary[g] for g in grams_ if g in vocabulary] for grams_ in sets]
    starts = np.cumsum([0, *(len(c) for c in columns)])
    matrix = csr_matrix(
        (np.ones(starts[-1]), np.concatenate(columns), starts), shape=(len(sets), len(vocabulary))
    )
    head = LogisticRegression(C=1.0, max_iter=400).fit(matrix, families)
    weights = np.full((len(vocabulary) + 1, len(FAMILIES)), 0.0, dtype=np.float32)
    weights[-1] = -12.0
    for coefficient, intercept, family in zip(head.coef_, head.intercept_, head.classes_, strict=True):
        column = FAMILIES.index(family)
        weights[:-1, column] = coefficient
        weights[-1, column] = intercept
    return OperationModel(vocabulary, weights)
