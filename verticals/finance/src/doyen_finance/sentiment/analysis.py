"""Sentiment of a text and of each entity in it, sentence by sentence."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from doyen_finance.sentiment.corpora import LABELS, Target, located
from doyen_finance.sentiment.scoring import Model, default_model, encoder, probabilities, require
from doyen_finance.sentiment.text import words
from doyen_schemas import DoyenError

MAX_CHARS: Final = 400_000
MAX_SENTENCES: Final = 4_000
# A sentence ends at . ! ? before white space and a capital, digit, quote or cashtag, or at a line's end.
_END: Final = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘($]?[A-Z0-9$])|(?<!\s)\s*\n\s*")
_ABBREVIATION: Final = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Inc|Corp|Co|Ltd|Rs|No|vs|St|Jr|Sr|U\.S|U\.K|approx|est|adj|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)|\b[A-Z])\.$"
)
# The commonest function words: whichever language has most of them is the text's. English decides ties.
_FUNCTION_WORDS: Final = {
    "English": "the of and to in a is that for on with as at by from are was its be has",
    "German": "der die und das den von zu mit des auf für ist im dem nicht ein eine als auch sich",
    "French": "le la les des et du une est que pour dans qui sur pas au par plus avec aux ce",
    "Spanish": "el los las del y que en por con una para su al lo como más sus le ha se",
    "Italian": "il di che e la per un in del è non una sono della con gli alla dei da si",
    "Portuguese": "o os do da que em um para com não uma no na se por mais dos as ao foi",
    "Dutch": "de het een van en dat op te voor met zijn niet aan er om ook als bij dan nog",
}
_LEGAL_FORMS: Final = frozenset(
    ["inc", "corp", "corporation", "ltd", "limited", "plc", "co", "company", "llc", "ag", "sa", "nv"]
)
_LANGUAGES: Final = {name: frozenset(line.split()) for name, line in _FUNCTION_WORDS.items()}


@dataclass(frozen=True, slots=True)
class Sentiment:
    """The likeliest of negative, neutral, positive, and the calibrated probability of each."""

    label: str
    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity as it is first written, its places (characters from and to), and the mean sentiment over them."""

    name: str
    spans: tuple[tuple[int, int], ...]
    sentiment: Sentiment


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence's place in the text and the sentiment of it as a whole."""

    start: int
    end: int
    sentiment: Sentiment


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found. ``flags`` name what makes the answer less sure: ``language``, ``cut``, ``one_word``."""

    sentiment: Sentiment
    entities: tuple[Entity, ...]
    sentences: tuple[Sentence, ...]
    flags: tuple[str, ...]
    model: str


def analyse(text: str, entity: str | None = None, model: Model | str | None = None) -> Analysis:
    """Judge ``text`` and the entities that are recognised in it, or only ``entity`` where it is written.

    The text's sentiment is the mean over its sentences; ``model`` is by default the one that dev chose. Raises
    FIN-042 (no word), FIN-043 (too long), FIN-044 (``entity`` is not in the text), FIN-046 (unknown model).
    """
    chosen = _model(model)
    require(chosen)
    if not any(word.text.isalnum() for word in words(text[:MAX_CHARS])):
        raise DoyenError("FIN-042", "the text has no word.", "Give a sentence, a headline or a document.")
    if len(text) > MAX_CHARS:
        raise DoyenError(
            "FIN-043", f"the text has {len(text):,} characters, more than {MAX_CHARS:,}.",
            "Give its parts one after the other.",
        )  # fmt: skip
    # Half a character, which JSON can escape, stands for itself in no output: it reads "?", at the same place.
    text = text.encode("utf-8", errors="replace").decode()
    places = sentences(text)
    flags = _flags(text, places)
    places = places[:MAX_SENTENCES]
    lines = [text[start:end] for start, end in places]
    marks = _marks(lines, entity)
    asked = [Target(line) for line in lines] + [Target(lines[i], (span,)) for i, span in marks]
    p_NC = probabilities(asked, chosen)
    whole_NC = p_NC[: len(lines)]
    found: dict[str, list[tuple[tuple[int, int], np.ndarray]]] = defaultdict(list)
    for (index, (start, end)), row in zip(marks, p_NC[len(lines) :], strict=True):
        offset = places[index][0]
        found[_key(lines[index][start:end])].append(((offset + start, offset + end), row))
    entities = tuple(
        Entity(
            text[slice(*mentions[0][0])],
            tuple(span for span, _ in mentions),
            _sentiment(np.mean([row for _, row in mentions], axis=0)),
        )
        for mentions in found.values()
    )
    return Analysis(
        sentiment=_sentiment(whole_NC.mean(axis=0)),
        entities=entities,
        sentences=tuple(
            Sentence(start, end, _sentiment(row)) for (start, end), row in zip(places, whole_NC, strict=True)
        ),
        flags=flags,
        model=chosen.value,
    )


def sentences(text: str) -> list[tuple[int, int]]:
    """The characters ``[start, end)`` of each sentence that has a word."""
    found, start = [], 0
    for match in (*_END.finditer(text), None):
        cut = match.start() if match else len(text)
        if match and "\n" not in match.group() and _ABBREVIATION.search(text[max(start, cut - 12) : cut]):
            continue
        line = text[start:cut]
        begin = start + len(line) - len(line.lstrip())
        if any(char.isalnum() for char in line):
            found.append((begin, begin + len(line.strip())))
        start = match.end() if match else cut
    return found


def language(text: str) -> str:
    """``English``, another language with Latin letters, or ``other script``; English for texts of few words."""
    letters = [char for char in text[:20_000] if char.isalpha()]
    if sum(char > "\u024f" for char in letters) > 0.3 * len(letters):
        return "other script"
    read = [word.text for word in words(text[:20_000])]
    counts = {name: sum(word in common for word in read) for name, common in _LANGUAGES.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] >= 2 and counts[best] > 1.5 * counts["English"] else "English"


def _model(model: Model | str | None) -> Model:
    if model is None:
        return default_model()
    try:
        return Model(model)
    except ValueError as error:
        raise DoyenError(
            "FIN-046", f"there is no sentiment model {model!r}.", f"Choose one of {', '.join(Model)}."
        ) from error


def _flags(text: str, places: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    flags = []
    if language(text) != "English":
        flags.append("language")
    if len(places) > MAX_SENTENCES or any(end - start > 600 for start, end in places):
        flags.append("cut")
    if sum(word.text.isalnum() for word in words(text[:1000])) == 1:
        flags.append("one_word")
    return tuple(flags)


def _marks(lines: Sequence[str], entity: str | None) -> list[tuple[int, tuple[int, int]]]:
    """The sentence and the characters in it of each mention to judge."""
    if entity is None:
        from doyen_finance.sentiment.model import entity_spans

        spans = entity_spans(encoder(), lines)
    else:
        spans = [list(located(line, entity)) if entity.strip() else [] for line in lines]
        if not any(spans):
            raise DoyenError(
                "FIN-044", "the entity is not written in the text.",
                "Name it as the text does, or leave --entity out to see which entities are recognised.",
            )  # fmt: skip
    return [(index, span) for index, found in enumerate(spans) for span in found]


def _key(name: str) -> str:
    """Mentions with the same words are one entity; possessive, cashtag and legal form make no difference."""
    read = [
        w.text.removesuffix("'s").removesuffix("’s")
        for w in words(name)
        if any(char.isalnum() for char in w.text)
    ]
    return " ".join([word for word in read if word not in _LEGAL_FORMS] or read)


def _sentiment(row: np.ndarray) -> Sentiment:
    row = row / row.sum()
    return Sentiment(
        LABELS[int(row.argmax())],
        {label: round(float(p), 4) for label, p in zip(LABELS, row, strict=True)},
    )
