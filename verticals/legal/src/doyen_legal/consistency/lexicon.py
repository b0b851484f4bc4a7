"""Words and phrases that contracts use, counted in CUAD's train part.

``lexicon.json`` holds the words that contracts write in small letters (so that a capitalised run of them is a
term and not a name), the capitalised phrases that contracts use without defining them ("Board of
Directors"), and the defined terms that other contracts write in small letters ("third party"). Built by
``python -m doyen_legal.consistency.lexicon --data FILE``.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

_FILE: Final = "lexicon.json"


class Lexicon(NamedTuple):
    """``words`` in small letters; ``phrases`` in small letters that need no definition."""

    words: frozenset[str]
    phrases: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """The shipped lexicon."""
    data = _shipped()
    return Lexicon(frozenset(data["words"]), frozenset(data["phrases"]))


@cache
def everyday() -> frozenset[str]:
    """Terms, in small letters, that many contracts use undefined and in small letters."""
    return frozenset(_shipped()["everyday"])


def _shipped() -> dict[str, Any]:
    return json.loads(files(__package__).joinpath(_FILE).read_text(encoding="utf-8"))


# A word in small letters that stands alone: no part of an address ("www.acme.com", "sales@acme") or of a mark.
SMALL_WORD: Final = re.compile(r"(?<![\w'@./:#&])[a-z]{2,}(?!\w|[@/&#]|\.\w|'[a-rt-z])")
# A word of three contracts is a word; a phrase that three use, mostly undefined, needs no definition.
_WORD_CONTRACTS: Final = 3
_PHRASE_CONTRACTS: Final = 3
_UNDEFINED_SHARE: Final = 0.6
# A defined term that so many contracts write in small letters is an expression of every day.
_EVERYDAY_CONTRACTS: Final = 10


class _Counted(NamedTuple):
    """What one contract adds to the counts."""

    words: set[str]
    undefined: set[str]
    defined: frozenset[str]
    names: set[str]
    runs: set[str]


def build(texts: Iterable[str]) -> dict[str, object]:
    """Count the lexicon in ``texts``, with one process a core."""
    words: Counter[str] = Counter()
    undefined: Counter[str] = Counter()
    defined: Counter[str] = Counter()
    names: set[str] = set()
    small: Counter[str] = Counter()
    with ProcessPoolExecutor() as pool:
        for one in pool.map(_count, texts, chunksize=4):
            words.update(one.words)
            undefined.update(one.undefined)
            defined.update(one.defined)
            names.update(one.names)
            small.update(one.runs)
    phrases = [
        phrase
        for phrase, count in undefined.items()
        if count >= _PHRASE_CONTRACTS and count / (count + defined[_key(phrase)]) >= _UNDEFINED_SHARE
    ]
    return {
        "words": sorted(word for word, count in words.items() if count >= _WORD_CONTRACTS),
        "phrases": sorted(phrases),
        "everyday": sorted(name for name in names if small[name] >= _EVERYDAY_CONTRACTS),
    }


def _key(phrase: str) -> str:
    from doyen_legal.consistency.terms import key

    return key(phrase)


def _count(text: str) -> _Counted:
    from doyen_documents import from_text
    from doyen_legal.consistency.source import Source
    from doyen_legal.consistency.terms import Terms
    from doyen_legal.consistency.uses import Vocabulary, find_uses

    source = Source(from_text(text))
    terms = Terms(source)
    vocabulary = Vocabulary(terms)
    uses = {use.phrase for use in find_uses(source, terms)}
    return _Counted(
        set(SMALL_WORD.findall(text)),
        {use.lower() for use in uses if not vocabulary.explains(use, frozenset())},
        terms.known,
        {one.term.lower() for one in terms.definitions if one.form != "quoted" and " " in one.term},
        _runs(source.text),
    )


def _runs(text: str) -> set[str]:
    """The phrases of two to four words in small letters."""
    runs: set[str] = set()
    for sentence in re.split(r"[^a-z'\s-]+|\b[A-Z]\w*", text):
        words = sentence.split()
        for size in (2, 3, 4):
            runs.update(" ".join(words[at : at + size]) for at in range(len(words) - size + 1))
    return runs


def main() -> int:
    """Write ``lexicon.json`` beside this file from a CUAD file."""
    from doyen_legal.corpora import read_cuad

    parser = argparse.ArgumentParser(
        prog="python -m doyen_legal.consistency.lexicon", description=main.__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="CUAD's train part")
    lexicon_data = build(contract.text for contract in read_cuad(parser.parse_args().data))
    Path(__file__).with_name(_FILE).write_text(
        json.dumps(lexicon_data, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
