"""Training records from CUAD: a window, then up to four questions about it.

Several questions share one window: the window is most of a record's tokens, so the same token budget teaches about
three times as many answers. Every label of CUAD was annotated in every contract, so a label without a span in the
window is a true ``NONE``. Most ``NONE`` questions are hard: the window resembles the label's clauses by TF-IDF.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from doyen_data import Message, Record
from doyen_legal.corpora import Contract
from doyen_legal.labels import LABELS
from doyen_legal.llm.prompt import NONE, WINDOW, Window, context, question, window_around

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

# Characters. Longer answers would take the token budget of three short ones.
LONGEST_ANSWER = 700

# Characters of all answers of a record: memory grows with the longest record of a batch.
LONGEST_RECORD = 1_000
DRAWN_WINDOWS = 12

# A contract, a window of it, and the label that the window was chosen for.
Placed = tuple[Contract, Window, str]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to build: positive answers wanted for each label, most questions a record, share of NONE answers."""

    per_label: int = 80
    questions: int = 4
    none_share: float = 0.35
    # Windows for each label that look like it and hold none of it.
    lookalikes: int = 10


@dataclass(frozen=True, slots=True)
class Retriever:
    """TF-IDF centroids of the labels' clauses: how much a window looks like each label's."""

    vectorizer: TfidfVectorizer
    centroids: csr_matrix

    @classmethod
    def fit(cls, contracts: Sequence[Contract]) -> Retriever:
        """Fit on the labelled spans of ``contracts``; every label needs at least one."""
        from scipy.sparse import csr_matrix, vstack
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import normalize

        texts = defaultdict(list)
        for contract in contracts:
            for span in contract.spans:
                texts[span.label].append(span.text)
        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, ngram_range=(1, 2), stop_words="english")
        vectorizer.fit([text for label in LABELS for text in texts[label]])
        rows = [csr_matrix(vectorizer.transform(texts[label]).mean(axis=0)) for label in LABELS]
        return cls(vectorizer, normalize(vstack(rows)).tocsr())

    def scores(self, windows: Sequence[Window]) -> np.ndarray:
        """Cosine of every window with every label's centroid: (windows, 41)."""
        return (self.vectorizer.transform([w.text for w in windows]) @ self.centroids.T).toarray()


def answer_in(contract: Contract, window: Window, label: str) -> str | None:
    """The gold answer for ``label`` in ``window``: quotes in order, ``NONE``, or None where a span is cut by its edge."""
    low, high = window.offsets[0], window.offsets[-1] + 1
    spans = sorted(
        {(s.start, s.end) for s in contract.spans if s.label == label and s.start < high and s.end > low}
    )
    if any(start < low or end > high for start, end in spans):
        return None
    quotes: list[str] = []
    for start, end in spans:
        quote = window.text[bisect_left(window.offsets, start) : bisect_left(window.offsets, end)].strip()
        if quote and quote not in quotes:
            quotes.append(quote)
    return "\n".join(quotes) if quotes else NONE


def build_records(
    contracts: Sequence[Contract], retriever: Retriever, seed: int, sizes: Sizes | None = None
) -> list[Record]:
    """Seeded training records over ``contracts``, shuffled; ids are ``CONTRACT#NUMBER``.

    ``retriever`` is fitted on the train part, for dev records too.
    """
    sizes = sizes or Sizes()
    rng = random.Random(seed)
    windows = _windows_with_answers(contracts, sizes, rng) + _lookalikes(contracts, retriever, sizes, rng)
    rng.shuffle(windows)
    scores = retriever.scores([window for _, window, _ in windows])
    answered: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    records: list[Record] = []
    for (contract, window, wanted), row in zip(windows, scores, strict=True):
        answers = {label: answer_in(contract, window, label) for label in LABELS}
        present = [k for k, a in answers.items() if a not in (None, NONE) and len(a or "") <= LONGEST_ANSWER]
        present = [k for k in present if answered[k] < 2 * sizes.per_label]
        rng.shuffle(present)
        present.sort(key=lambda label: (label != wanted, answered[label]))
        chosen: list[str] = []
        for label in present[: sizes.questions]:
            if not chosen or sum(len(answers[k] or "") for k in (*chosen, label)) <= LONGEST_RECORD:
                chosen.append(label)
        answered.update(chosen)
        absent = [label for label in LABELS if answers[label] == NONE]
        if wanted in absent:
            chosen.append(wanted)
            refused[wanted] += 1
            absent.remove(wanted)
        # The balance runs along, for all labels and for each: a label that is never NONE in training is never NONE.
        due = round(sizes.none_share / (1 - sizes.none_share) * answered.total()) - refused.total()
        for turn in range(max(0, min(due, sizes.questions - len(chosen)))):
            if turn % 2 == 0:
                pool = sorted(absent, key=lambda label: -row[LABELS.index(label)])[:6]
            else:
                pool = rng.sample(absent, min(12, len(absent)))
            label = min(pool, key=lambda label: (1 + refused[label]) / (1 + answered[label]))
            absent.remove(label)
            chosen.append(label)
            refused[label] += 1
        if not chosen:
            continue
        rng.shuffle(chosen)
        messages = context(window)
        for label in chosen:
            messages += [question(label), {"role": "assistant", "content": answers[label] or NONE}]
        records.append(
            Record(
                id=f"{contract.id}#{len(records)}",
                group=contract.id,
                messages=tuple(Message.model_validate(message) for message in messages),
            )
        )
    rng.shuffle(records)
    return records


def _windows_with_answers(contracts: Sequence[Contract], sizes: Sizes, rng: random.Random) -> list[Placed]:
    """Windows around spans, label by label from the rarest, until each label has its share; rare spans repeat."""
    spans = defaultdict(list)
    for contract in contracts:
        for span in contract.spans:
            if span.end - span.start <= LONGEST_ANSWER:
                spans[span.label].append((contract, span))
    have: Counter[str] = Counter()
    windows: list[Placed] = []
    for label in sorted(LABELS, key=lambda label: len(spans[label])):
        pool = spans[label]
        # A span shown more than four times is learned by heart.
        wanted = min(sizes.per_label, 4 * len(pool)) - have[label]
        order = rng.sample(pool, len(pool)) * 4
        for contract, span in order:
            if wanted <= 0:
                break
            window = window_around(contract.text, span.start, span.end, lead=rng.random())
            answer = answer_in(contract, window, label)
            if answer is None or len(answer) > LONGEST_ANSWER:
                continue
            wanted -= 1
            windows.append((contract, window, label))
            low, high = window.offsets[0], window.offsets[-1] + 1
            inside = [s for s in contract.spans if s.start >= low and s.end <= high]
            have.update({s.label for s in inside})
    return windows


def draw_windows(contracts: Sequence[Contract], rng: random.Random) -> list[tuple[Contract, Window]]:
    """A dozen windows of every contract at random places."""
    drawn = []
    for contract in contracts:
        for _ in range(DRAWN_WINDOWS):
            start = rng.randrange(max(1, len(contract.text) - WINDOW))
            stop = min(len(contract.text), start + WINDOW)
            drawn.append((contract, window_around(contract.text, start, stop)))
    return drawn


def _lookalikes(
    contracts: Sequence[Contract], retriever: Retriever, sizes: Sizes, rng: random.Random
) -> list[Placed]:
    """For each label, the windows that resemble its clauses most and hold none."""
    drawn = draw_windows(contracts, rng)
    scores = retriever.scores([window for _, window in drawn])
    found: list[Placed] = []
    for column, label in enumerate(LABELS):
        count = 0
        for index in scores[:, column].argsort()[::-1]:
            if count == sizes.lookalikes:
                break
            contract, window = drawn[index]
            if answer_in(contract, window, label) == NONE:
                found.append((contract, window, label))
                count += 1
    return found
