"""Words as the index and the grounding check compare them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_WORD: Final = re.compile(r"[㐀-鿿぀-ヿ]|\d+(?:[.,]\d+)*|[^\W_]+")
NEGATIONS: Final = frozenset({"no", "not", "without", "never", "none", "neither", "nor", "absent", "cannot"})
FUNCTION_WORDS: Final = frozenset({
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "being", "but", "by",
    "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "here", "his",
    "how", "i", "if", "in", "into", "is", "it", "its", "may", "might", "more", "most", "much", "of", "on",
    "one", "or", "other", "our", "out", "over", "she", "should", "so", "some", "such", "than", "that",
    "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "will", "with", "would", "you", "your",
})  # fmt: skip


def words(text: str) -> list[str]:
    """Case-folded words and numbers in order, English plurals cut to their stem; one Chinese character is a word."""
    return [_stem(word) for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold())]


def content_words(text: str) -> list[str]:
    """``words`` without function words; negations stay."""
    return [word for word in words(text) if word not in FUNCTION_WORDS]


def _stem(word: str) -> str:
    """Harman's S-stemmer: -ies becomes -y, -s falls, -ss, -us, -is and short words stay."""
    if len(word) < 4 or not word.isascii() or not word.endswith("s") or word[-2] in "sui":
        return word
    if word.endswith("ies") and word[-4] not in "ae":
        return word[:-3] + "y"
    return word[:-1]
