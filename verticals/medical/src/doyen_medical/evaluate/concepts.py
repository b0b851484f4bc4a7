"""HPO concept recognition on a corpus in GSC+ format (Groza et al. 2015, Lobo et al. 2017; PhenoTagger's files).

A mention counts when range and id are those of an annotation; a document's concepts are the sets of its ids. Counts
are pooled over documents (micro). Alternative and replaced ids are the terms that they now are, on both sides.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from doyen_evaluation.resample import group_weights, interval
from doyen_medical.cases import read_text
from doyen_medical.knowledge.ontology import Ontology
from doyen_medical.knowledge.store import load
from doyen_medical.text.concepts import Recogniser
from doyen_schemas import DoyenError

_ID: Final = re.compile(r"HP[:_](\d{7})")
_DRAWS: Final = 1000

Floats = NDArray[np.float64]
Marks = frozenset[tuple[int, int, str]]


@dataclass(frozen=True)
class Text:
    """A text with its annotations (start, end, id)."""

    id: str
    text: str
    gold: Marks


def read_corpus(path: Path, limit: int | None = None) -> list[Text]:
    """The texts of a file, gzipped or not: an id, the text, then ``start<TAB>end<TAB>words<TAB>HP:…``, a blank line.

    Raises MED-010 (no such file), MED-011 (no UTF-8, damaged), MED-040 (no text) and MED-041 (a line that breaks the
    format, with its number).
    """
    text = read_text(path).removeprefix("\ufeff")
    found: list[Text] = []
    for block in _blocks(text):
        if limit is not None and len(found) == limit:
            break
        found.append(_text(block, path.name))
    if not found:
        raise DoyenError("MED-040", f"{path.name} has no texts.", "Name a file in GSC+ format.")
    return found


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _text(block: list[tuple[int, str]], file: str) -> Text:
    number, name = block[0]
    if "\t" in name or len(block) < 2:
        raise _bad(file, number, "a block of lines must begin with an id and a text")
    gold = set()
    for number, line in block[2:]:
        cells = line.split("\t")
        if len(cells) < 4 or not (cells[0].strip().isdecimal() and cells[1].strip().isdecimal()):
            raise _bad(file, number, "it must be start, end, words and id, with tabs between")
        start, end = int(cells[0]), int(cells[1])
        term = _ID.fullmatch(cells[3].strip())
        if end <= start:
            raise _bad(file, number, f"the range {start} to {end} is empty")
        if term is None:
            raise _bad(file, number, "the fourth column must be an id such as HP:0001250")
        gold.add((start, end, f"HP:{term[1]}"))
    return Text(name.strip(), block[1][1], frozenset(gold))


def _bad(file: str, number: int, rule: str) -> DoyenError:
    return DoyenError("MED-041", f"{file}, line {number}: {rule}.", "See GSC+ format in the medical guide.")


def evaluate_file(path: Path, limit: int | None = None) -> dict[str, Any]:
    """The protocol ``concepts`` on a file, with 95 % intervals over documents.

    Raises what ``read_corpus`` raises, and what loading the knowledge raises.
    """
    corpus = read_corpus(path, limit)
    knowledge = load()
    recogniser = Recogniser.of(knowledge.ontology)
    began = time.perf_counter()
    predicted = [
        frozenset((mention.start, mention.end, mention.id) for mention in recogniser.recognise(text.text))
        for text in corpus
    ]
    seconds = time.perf_counter() - began
    figures = score([text.gold for text in corpus], predicted, knowledge.ontology)
    return {
        "protocol": "concepts", "n": len(corpus), **figures,
        "seconds_per_text": round(seconds / len(corpus), 4), "knowledge_version": knowledge.version,
    }  # fmt: skip


def score(gold: list[Marks], predicted: list[Marks], ontology: Ontology) -> dict[str, Any]:
    """Micro precision, recall and F1 of mentions and of each text's ids, with intervals by resampling texts."""
    mentions = [
        _counts(_current(g, ontology), _current(p, ontology)) for g, p in zip(gold, predicted, strict=True)
    ]
    documents = [
        _counts({mark[2] for mark in _current(g, ontology)}, {mark[2] for mark in _current(p, ontology)})
        for g, p in zip(gold, predicted, strict=True)
    ]
    figures: dict[str, Any] = {"annotations": sum(len(g) for g in gold)}
    ci95 = {}
    weights_DT = group_weights(len(gold), _DRAWS, seed=0)
    for name, counts in (("mention", mentions), ("document", documents)):
        counts_T3 = np.array(counts, np.float64)
        precision, recall, f1 = (float(value) for value in _prf(counts_T3.sum(0)))
        figures |= {
            f"{name}_precision": round(precision, 4), f"{name}_recall": round(recall, 4), f"{name}_f1": round(f1, 4)
        }  # fmt: skip
        low_high = interval(_prf(weights_DT @ counts_T3)[2])
        if low_high:
            ci95[f"{name}_f1"] = [round(value, 4) for value in low_high]
    return figures | {"ci95": ci95}


def _current(marks: Iterable[tuple[int, int, str]], ontology: Ontology) -> set[tuple[int, int, str]]:
    return {(start, end, current_id(id, ontology)) for start, end, id in marks}


def current_id(id: str, ontology: Ontology) -> str:
    """The id under which a term now stands; an id that the ontology does not know stays."""
    id = ontology.obsolete.get(id) or id
    number = ontology.number.get(id)
    return id if number is None else ontology.ids[number]


def _counts(gold: set[Any], predicted: set[Any]) -> tuple[int, int, int]:
    return len(gold & predicted), len(predicted), len(gold)


def _prf(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall, F1 of (…, 3) counts: right, predicted, gold; 0 where nothing is counted."""
    right, predicted, gold = (counts[..., place] for place in range(3))
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(gold, 1)
    return precision, recall, 2 * right / np.maximum(predicted + gold, 1)
