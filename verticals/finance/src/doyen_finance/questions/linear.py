"""Linear models over which words and signs are present: the operation a question asks for, the scale of an answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from doyen_finance.questions.model import Context, Program
from doyen_finance.questions.numbers import YEAR

SCALES: Final = ("", "thousand", "million", "billion", "percent")
LEAST: Final = 3
FLOOR: Final = -8.0
_TOKEN: Final = re.compile(r"[^\W_]+|[%$€£]|\S", re.UNICODE)
_UNIT: Final = re.compile(
    r"""(?:\b(?:in|of|expressed\sin|stated\sin)\s+(?:[a-z]{2,8}\s+){0,3}?(?:[$€£¥]\s?|dollars\s)?|[(]\s*|^\s*[$€£¥]?\s*
    |(?:[$€£¥]|\b(?:USD|US|EUR|GBP|CAD|AUD|RMB|CNY|NOK|SEK|CHF|HKD|JPY|INR|SGD|Rs\.?))\s?['’]?)
    (?P<unit>thousands?\b|millions?\b|billions?\b|000s?\b)|(?:[$€£¥]|\b(?:USD|EUR|GBP|CAD|AUD))\s?(?P<short>mm?|mn|k|bn)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_NAMED: Final = {"t": "thousand", "0": "thousand", "k": "thousand", "m": "million", "b": "billion"}


@dataclass(frozen=True, slots=True)
class LinearModel:
    """``weights`` (V + 1, C), the bias last, over the presence of ``vocabulary``'s signs; C are ``classes``."""

    vocabulary: dict[str, int]
    classes: tuple[str, ...]
    weights: np.ndarray

    def log_probabilities(self, signs: Iterable[str]) -> dict[str, float]:
        """The natural logarithm of each class's probability, not below -8."""
        rows = [self.vocabulary[sign] for sign in set(signs) if sign in self.vocabulary]
        logits = self.weights[rows].astype(np.float64).sum(0) + self.weights[-1]
        logits = logits - logits.max()
        logs = np.maximum(logits - np.log(np.exp(logits).sum()), FLOOR)
        return dict(zip(self.classes, logs.tolist(), strict=True))


def fit_linear(signs: Sequence[Iterable[str]], targets: Sequence[str], strength: float = 1.0) -> LinearModel:
    """Multinomial logistic regression; signs that fewer than three examples have are left out."""
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    sets = [set(s) for s in signs]
    counts = Counter(sign for s in sets for sign in s)
    vocabulary = {sign: i for i, sign in enumerate(sorted(s for s, n in counts.items() if n >= LEAST))}
    columns = [sorted(vocabulary[s] for s in one if s in vocabulary) for one in sets]
    starts = np.cumsum([0, *(len(c) for c in columns)])
    flat = np.array([c for one in columns for c in one], dtype=np.int64)
    matrix = csr_matrix((np.ones(len(flat)), flat, starts), shape=(len(sets), len(vocabulary)))
    head = LogisticRegression(C=strength, max_iter=500).fit(matrix, list(targets))
    coefficients, intercepts = head.coef_, head.intercept_
    if len(head.classes_) == 2:
        coefficients, intercepts = (
            np.vstack([-coefficients, coefficients]),
            np.append(-intercepts, intercepts),
        )
    weights = np.vstack([coefficients.T, intercepts]).astype(np.float32)
    return LinearModel(vocabulary, tuple(str(c) for c in head.classes_), weights)


def question_signs(question: str) -> list[str]:
    """Words and runs of two and three words, lower case, years and numbers as one sign each."""
    text = YEAR.sub(" yyyy ", question.lower())
    text = re.sub(r"\d[\d,.]*", " nnnn ", text)
    tokens = ["<s>", *_TOKEN.findall(text)]
    pairs = pairwise(tokens)
    threes = zip(tokens, tokens[1:], tokens[2:], strict=False)
    return [*tokens[1:], *(" ".join(run) for run in (*pairs, *threes))]


def units_in(text: str) -> list[str]:
    """The scales that a caption names: "(in thousands)", "$M", "€ million", "£'000"."""
    return list(
        dict.fromkeys(_NAMED[(found["unit"] or found["short"])[0].lower()] for found in _UNIT.finditer(text))
    )


def scale_signs(question: str, context: Context, program: Program) -> list[str]:
    """What tells the scale of an answer: units in headers, captions and paragraphs, the operation, percent signs."""
    table = context.table
    first = min((row.index for row in table.rows), default=0)
    head = " ".join(text for line in table.grid[:first] for text in line)
    corner = " ".join(line[0] for line in table.grid)
    used_rows = [row for row in table.rows if any(cell.row == row.index for cell in program.cells)]
    used_columns = [c for c in table.columns if any(cell.column == c.index for cell in program.cells)]
    labels = " ".join([row.label + " " + " ".join(row.path) for row in used_rows]).lower()
    headers = " ".join(c.header for c in used_columns)
    found = {
        "head": units_in(head), "column": units_in(headers), "corner": units_in(corner),
        "text": units_in(" ".join(context.paragraphs)), "label": units_in(labels),
    }  # fmt: skip
    best = next(
        (units[0] for where in ("label", "column", "head", "corner", "text") if (units := found[where])), "no"
    )
    percent = "percent" if any(cell.number.percent for cell in program.cells) else "plain"
    signs = [f"{where}:{unit}" for where, units in found.items() for unit in units]
    signs += [f"best:{best}", f"op:{program.operation}", f"{program.operation}+{best}", percent]
    signs += [f"{program.operation}+{percent}", f"{best}+{percent}", f"{program.operation}+{best}+{percent}"]
    low = question.lower()
    cues = ("per share", "per common", "shares", "number of", "rate", "%", "percent", "margin", "ratio", "years", "options",
            "weighted", "employees", "units", "price", "average")  # fmt: skip
    signs += [f"label {cue}+{best}" for cue in cues if cue in labels] + [
        f"label {cue}" for cue in cues if cue in labels
    ]
    signs += [f"asks {cue}" for cue in cues if cue in low]
    signs += [f"asks {unit}" for unit in SCALES[1:] if unit in low]
    if "%" in headers or "percent" in headers.lower():
        signs.append("header percent")
    if any(cell.span is not None for cell in program.cells) or program.spans:
        signs.append("from text")
        if any(unit in " ".join(c.text for c in program.cells).lower() for unit in SCALES[1:4]):
            signs.append("unit in text")
    return signs
