"""Uses of capitalised phrases as terms: where a defined term is used, and what is used without a definition."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, NamedTuple

from doyen_legal.consistency.source import GAP, Source
from doyen_legal.consistency.terms import Terms, key, singular

_CAPITAL = r"[A-Z][a-z]+(?:-[A-Za-z]+)*"
# An abbreviation may lead a run ("API Test"), but is no term of ordinary words by itself.
_LEAD: Final = r"[A-Z][A-Z0-9&]{1,5}"
_RUN: Final = re.compile(
    rf"(?<![\w'$&/.\-])(?:{_LEAD}{GAP})?{_CAPITAL}(?:{GAP}{_CAPITAL})*(?![\w&@/]|\.\w|-\w)"
)
_WORD_BEFORE: Final = re.compile(r"([A-Za-z][\w'-]*) *\n? *\"?$")
_OPENERS: Final = frozenset(
    ["the", "a", "an", "any", "all", "each", "every", "no", "such", "this", "that", "these", "those", "if", "in", "on", "at", "by", "for", "from", "to", "of", "upon", "unless", "until", "when", "where", "while", "with", "without", "within", "under", "and", "or", "but", "as", "after", "before", "during", "except", "neither", "nor", "either", "both", "it", "its", "their", "his", "her", "our", "your", "other", "subject", "notwithstanding", "provided", "pursuant", "except", "following", "prior", "should", "there", "whereas", "however", "further", "said", "one", "two", "three", "only", "also", "only", "nothing", "including", "once", "since", "through", "than", "not", "said", "said", "so", "thereafter", "in", "although", "because", "using", "copy", "is", "are", "will", "shall", "may", "whether", "unless", "upon", "like", "does", "if", "then", "thereof", "new", "certain", "additional", "such", "another", "we", "you", "he", "she", "they", "which", "who", "whose", "what", "per", "via"]
)  # fmt: skip
DETERMINERS: Final = frozenset(
    [
        "the",
        "any",
        "such",
        "each",
        "all",
        "this",
        "every",
        "no",
        "said",
        "these",
        "those",
        "applicable",
        "that",
    ]
)
_VERB_AFTER: Final = re.compile(
    r"\s+(?:shall|will|may|must|is|are|has|have|does|do|was|were|can|cannot|agrees?|means)\b"
)
_AFTER_OK: Final = re.compile(r"'s\b|\s*[,;:)\"]|\s*\.(?:\s|$)|\s+[a-z(]|\s*$")
# Behind these a capitalised run is a name: of a company, a place, a law, a document, a heading.
_NAME_AFTER: Final = re.compile(
    r",?\s*(?:Inc|LLC|L\.L\.C|Corp|Corporation|Ltd|Limited|Co\.|Company,|LLP|L\.P|LP|N\.A|S\.A|GmbH|plc|PLC|AG|B\.V|N\.V|Pty|&|No\.\s|[A-Z]\.|and\s+[A-Z][a-z]+,?\s+(?:Inc|LLC)|\d|[A-Z]{2})"
)
# "Office of the Comptroller", "Association for Computing": a name, unless what follows is a term of the contract.
_LINKED_AFTER: Final = re.compile(rf"\s+(?:of|for)\s+(?:the\s+)?({_CAPITAL}(?:{GAP}{_CAPITAL})*)")
# "Patient Protection and Affordable Care Act": the first half of a name.
_JOINED_AFTER: Final = re.compile(rf"\s+and\s+({_CAPITAL}(?:{GAP}{_CAPITAL})*)(\s+of\s+[A-Z])?")
# "(as defined in the Lease)", "("ECO")", "(WAN)": explained where they stand.
_EXPLAINED_AFTER: Final = re.compile(
    r"(?:'s)?,?\s*\(\s*(?:as\s+|each\s+as\s+|such\s+term|or\s+\"|the\s+\"|an?\s+\"|each,?\s|collectively|hereinafter|\"|[A-Z]{2,6}s?\))|,?\s+as\s+(?:such\s+term\s+is\s+|that\s+term\s+is\s+)?defined|\s+\(?(?:defined|described|set\s+forth|specified|identified)\s+in\b|,?\s+(?:a\s+copy\s+of\s+which|attached|dated|between|by\s+and\s+between|entered\s+into|promulgated)\b"
)
# "(as defined below)": the document itself promises a definition.
_PROMISED_AFTER: Final = re.compile(
    r"(?:'s)?,?\s*\(\s*as\s+(?:such\s+term\s+is\s+|that\s+term\s+is\s+)?(?:hereinafter\s+|hereafter\s+|herein\s+)?defined\s*(?:below|above|herein|hereinafter|hereunder|hereafter|later|in\s+this\s+\w+)?\s*\)"
)
_HEADING_END: Final = re.compile(r"\s*[.:]|\s*\n|\s+-\s")
_NAME_WORDS: Final = frozenset(
    ["act", "code", "law", "laws", "regulation", "regulations", "convention", "treaty", "directive", "statute", "commission", "court", "courts", "department", "ministry", "bureau", "association", "institute", "university", "college", "street", "avenue", "road", "boulevard", "city", "county", "state", "province", "republic", "kingdom", "officer", "president", "chairman", "secretary", "treasurer", "vice", "internet", "web", "section", "article", "exhibit", "schedule", "annex", "appendix", "attachment", "clause", "paragraph", "agreement", "licence", "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "christmas", "easter", "god", "inc", "corp", "llc", "ltd", "limited", "corporation", "company", "holdings", "mr", "mrs", "ms", "dr", "esq", "attn", "attention", "english", "american", "government", "federal", "national", "international", "united", "states", "treasury", "council", "chapter", "annexure", "addendum", "recital", "recitals", "preamble", "whereas", "witness", "now", "therefore", "sections", "articles", "exhibits", "schedules"]
)  # fmt: skip


_BEFORE_CHARS: Final = 160  # printed columns leave long runs of blanks between two words


class Use(NamedTuple):
    """A capitalised phrase used as a term.

    ``strong``: after a determiner or before a modal verb; ``promised``: before "(as defined below)".
    """

    phrase: str
    start: int
    end: int
    strong: bool
    promised: bool = False


class Vocabulary:
    """What the document itself explains: its defined terms, their parts, and its headings."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms.known
        self.keys = set(terms.known)
        self.words: set[str] = set()
        for known in terms.known:
            parts = known.split()
            self.words.update(singular(part) for part in parts)
            for size in range(1, len(parts)):
                for start in range(len(parts) - size + 1):
                    self.keys.add(key(" ".join(parts[start : start + size])))

    def explains(self, phrase: str, phrases: frozenset[str]) -> bool:
        """Whether the phrase is a defined term, a part of one, or a row of such ("Company Products Territory")."""
        words = phrase.lower().split()
        if key(phrase) in self.keys:
            return True
        # "Annual Net Sales", where "Net Sales" is defined
        if any(key(" ".join(words[cut:])) in self.terms for cut in range(1, len(words) - 1)):
            return True

        def covered(start: int) -> bool:
            if start == len(words):
                return True
            return any(
                (
                    key(part := " ".join(words[start:end])) in self.terms
                    or (part in phrases and end - start > 1)
                )
                and covered(end)
                for end in range(len(words), start, -1)
            )

        return covered(0)


def find_uses(source: Source, terms: Terms) -> Iterator[Use]:
    """Capitalised phrases that stand where a term would: inside a sentence, not in names or headings."""
    text = source.text
    starts = [start for start, _ in terms.spans]
    for match in _RUN.finditer(text):
        start, stop = match.span()
        if source.signed(start):
            continue
        index = bisect_right(starts, stop) - 1
        if index >= 0 and terms.definitions[index].end > start and terms.definitions[index].start <= stop:
            continue
        promised = bool(_PROMISED_AFTER.match(text, stop))
        if (
            not _AFTER_OK.match(text, stop)
            or _NAME_AFTER.match(text, stop)
            or (not promised and _EXPLAINED_AFTER.match(text, stop))
            or _names_on(text, stop, terms)
            or "\u2014" in source.document.text[start:stop]
        ):
            continue
        before = text[max(0, start - _BEFORE_CHARS) : start]
        stripped = before.rstrip()
        words = match[0].split()
        if any(word.lower() in _OPENERS for word in words[1:]) or match[0].count("-") > 1:
            continue  # two sentences or a heading run together
        opener = (
            not stripped
            or stripped[-1] in '.;:?!)"*_|-'
            or "\n\n" in before[len(stripped) :]
            or stripped[-1].isdigit()
        )
        if opener:
            cut = 0
            while cut < len(words) and words[cut].lower() in _OPENERS:
                cut += 1
            if cut == 0:
                # A sentence that starts with the phrase itself; a heading has no verb behind it.
                if len(words) < 2 or not _VERB_AFTER.match(text, stop) or _run_in(words, terms):
                    continue
                previous = "the"
            else:
                if cut == len(words) or _HEADING_END.match(text, stop):
                    continue
                if words[cut - 1].lower() == "no" and _run_in(words[cut:], terms):
                    continue
                previous = words[cut - 1].lower()
                start += match[0].index(words[cut], sum(len(w) for w in words[:cut]))
                words = words[cut:]
        else:
            found = _WORD_BEFORE.search(before)
            if found is None:
                if stripped[-1] not in ",(":
                    continue
                previous = ""
            else:
                previous = found[1]
                if previous[0].isupper() and previous.lower() not in _OPENERS:
                    continue
                previous = previous.lower()
        while words and words[0].lower() in _OPENERS:
            previous = words[0].lower()
            words = words[1:]
        if not words:
            continue
        start = (
            stop - len(match[0]) + match[0].rindex(words[0])
            if len(words) == 1
            else text.index(words[0], start)
        )
        strong = promised or previous in DETERMINERS or bool(_VERB_AFTER.match(text, stop))
        yield Use(" ".join(words), start, stop, strong, promised)


def _names_on(text: str, stop: int, terms: Terms) -> bool:
    """Whether the words behind ``stop`` make the phrase a part of a longer name."""
    if (linked := _LINKED_AFTER.match(text, stop)) and not any(
        key(part) in terms.known for part in (linked[1], linked[1].split()[0])
    ):
        return True
    joined = _JOINED_AFTER.match(text, stop)
    return joined is not None and (
        bool(joined[2]) or any(word.lower() in _NAME_WORDS | {"restated"} for word in joined[1].split())
    )


def _run_in(words: list[str], terms: Terms) -> bool:
    """Whether a heading without a stop has run into a sentence about a term: "Taxes Customer will pay"."""
    return any(key(" ".join(words[cut:])) in terms.known for cut in range(1, len(words)))


# Words of names that also make terms: the Privacy Laws, any Group Company, the Supply Agreement, the Source Code.
_PAPERS: Final = frozenset(
    [
        "law",
        "laws",
        "code",
        "company",
        "companies",
        "agreement",
        "regulation",
        "regulations",
        "license",
        "licence",
    ]
)


def plausible(phrase: str, words: frozenset[str], *, kinds_of_paper: bool = False) -> bool:
    """Whether the phrase could be a term: ordinary words, none of which marks a name, an office or a law.

    ``kinds_of_paper`` lets laws, companies and agreements pass.
    """
    first, *rest = phrase.split()
    if first.isupper() and not rest:
        return False
    parts = [part.lower() for part in (rest if first.isupper() else [first, *rest])]
    names = _NAME_WORDS - _PAPERS if kinds_of_paper else _NAME_WORDS
    return all(all(_ordinary(bit, words) for bit in part.split("-")) for part in parts) and not any(
        part in names for part in parts
    )


def _ordinary(word: str, words: frozenset[str]) -> bool:
    """Whether the word is known, a form of a known one ("qualifying"), or two known ones ("holdback")."""
    if word in words or singular(word) in words:
        return True
    stems = [
        word[: -len(ending)] for ending in ("ing", "ed", "er", "ment", "able", "ly") if word.endswith(ending)
    ]
    if any(stem in words or f"{stem}e" in words for stem in stems if len(stem) > 2):
        return True
    return any(word[:cut] in words and word[cut:] in words for cut in range(4, len(word) - 3))
