"""One word in three depths: its normal form (plural, spelling), its stem, and its class (renal = kidney).

Names of findings and the words of notes are compared depth by depth, the shallowest agreement first. The classes
stand in ``word_classes.txt``, one a line.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from doyen_medical.text.lexicon import ordered_words, word_list

_NUMBERS: Final = {
    word: str(value)
    for value, words in enumerate(
        ("one first i", "two second ii", "three third iii", "four fourth iv", "five fifth", "six sixth vi",
         "seven seventh vii", "eight eighth viii", "nine ninth ix", "ten tenth", "eleven eleventh", "twelve twelfth"),
        start=1,
    )
    for word in words.split()
}  # fmt: skip
_GREEK: Final = {"α": "alpha", "β": "beta", "ß": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "κ": "kappa",
                 "λ": "lambda", "μ": "mu", "µ": "mu", "ω": "omega"}  # fmt: skip
_PLURALS: Final = dict(pair.split(":") for pair in word_list("plurals"))
_NO_PLURAL: Final = word_list("no_plural")
_KEPT_WHOLE: Final = word_list("kept_whole")
_FAMILIES: Final = (
    # Greek and Latin families whose noun and adjective differ by more than an ending.
    (r"plas(?:ia|tic|y)$", "plas"),
    (r"troph(?:y|ic|ied|ia)$", "troph"),
    (r"(?:ated|ating|ation|ate|ative|atory)$", "at"),
    (r"([oeay])(?:sis|tic|sed|tically)$", r"\1s"),
    (r"ct(?:ed|ing|ion|ive|ure|ured)$", "ct"),
    (r"(?:ici|i)enc?(?:y|t|ce)$", "ici"),
    (r"gen(?:etic|esis|ic|ous)$", "gen"),
    (r"([rlmt])itic$", r"\1itis"),
    (r"ifi(?:ed|cation|c)$", "ific"),
    (r"ia(?:tic|c)$", "ia"),
    (r"oma(?:tous|tosis|ta)?$", "oma"),
    (r"spas(?:m|tic|ticity|modic|ms)$", "spas"),
    (r"itis$", "itis"),
    (r"emi[ac]$", "emi"),
)
_ENDINGS: Final = ordered_words("endings")
_FEWEST: Final = 4
"""Letters that a stem keeps."""


@lru_cache(200_000)
def normal(word: str) -> str:
    """Lower case, no accents, singular, American spelling, numerals as digits: ``Naevi`` to ``nevus``, ``3rd`` to 3."""
    word = word.lower().replace("’", "'")
    if word in _GREEK:
        return _GREEK[word]
    word = "".join(char for char in unicodedata.normalize("NFKD", word) if not unicodedata.combining(char))
    word = word.removesuffix("'s").replace("'", "")
    if word in _NUMBERS:
        return _NUMBERS[word]
    if ordinal := re.fullmatch(r"(\d+)(?:st|nd|rd|th)", word):
        return ordinal[1]
    if word in _PLURALS:
        return _PLURALS[word]
    return _singular(_american(word))


def _american(word: str) -> str:
    if len(word) <= 4:
        return word
    word = re.sub(r"^foet", "fet", word)
    if word.endswith("ae"):
        word = word[:-1]
    if not word.startswith("aer"):
        word = re.sub(r"(?<=.)ae|^ae(?=[a-z]{3})", "e", word)
    word = re.sub(r"oe(?!$|s$|ing$|d$|t|n)", "e", word)
    if word not in ("flour", "contour", "detour", "contours"):
        word = re.sub(r"(?<=[a-z]{3})our(?=$|s$|ed$|ing$|al$|less$|able$)", "or", word)
    if re.search(r"[a-z]{4}is(?:ed|ing|ation|ations)$", word):
        word = re.sub(r"is(ed|ing|ations?)$", r"iz\1", word)
    word = word.replace("sulph", "sulf").replace("grey", "gray")
    word = re.sub(r"(cent|fib|lit|tit)re(s?)$", r"\1er\2", word)
    return re.sub(r"lysed$", "lyzed", word)


def _singular(word: str) -> str:
    if len(word) <= 3 or not word.endswith("s") or word in _NO_PLURAL:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    if (
        re.search(r"[bcmnprstv][aoeyi]ses$", word)
        and re.search(r"(?:os|as|ys|es|is)es$", word)
        and len(word) > 8
    ):
        return word[:-2] + "is"
    return word if word.endswith(("ss", "us", "is")) else word[:-1]


@lru_cache(200_000)
def stem(word: str) -> str:
    """The stem of a normal form: ``dysplastic`` and ``dysplasia`` give ``dysplas``; short words stay whole."""
    if len(word) <= _FEWEST or word in _KEPT_WHOLE or not word.isalpha():
        return word
    for pattern, family in _FAMILIES:
        found = re.sub(pattern, family, word)
        if found != word:
            return found if len(found) >= _FEWEST else word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _FEWEST:
            word = word[: -len(ending)]
            break
    if len(word) > _FEWEST and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word


@cache
def _classes() -> dict[str, str]:
    lines = files("doyen_medical.text").joinpath("word_classes.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, str] = {}
    for line in lines:
        names = [stem(normal(name)) for name in line.split()]
        for name in names:
            found.setdefault(name, names[0])
    return found


@lru_cache(200_000)
def word_class(word: str) -> str:
    """The class of a normal form: ``renal`` and ``kidney`` give the same; a word of no class gives its stem."""
    found = stem(word)
    return _classes().get(found, found)
