"""Faults of defined terms: undefined, unused, defined twice, written in another case."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from doyen_legal.consistency.lexicon import SMALL_WORD, everyday, lexicon
from doyen_legal.consistency.source import GAP, Source
from doyen_legal.consistency.terms import Definition, Terms, key, singular
from doyen_legal.consistency.types import Fault, Span
from doyen_legal.consistency.uses import DETERMINERS, Use, Vocabulary, plausible

_DEFINING: Final = frozenset({"means", "bracket", "called"})
_SINGLE_EXACT: Final = 6
_MANY_UNDEFINED: Final = 3
_FEW_ALONE: Final = 2
_MANY_NEW: Final = 5
_SHOWN: Final = 10
_CLEAR_SHARE: Final = 0.75
_SINGLE_USES: Final = 3
_SINGLE_SHARE: Final = 0.6
_FRONT_CHARS: Final = 3000


def undefined_terms(
    source: Source, terms: Terms, uses_found: list[Use], *, amends: bool = False
) -> Iterator[Fault]:
    """Capitalised phrases of ordinary words that are used as terms and defined nowhere.

    A document that uses many such takes its terms from somewhere else: the ten that look most like a term are
    reported as notes, the rest is left alone. Notes too, where it says that its terms are defined elsewhere.
    With ``amends``, the terms are another agreement's: two new ones are reported at most, as notes. So are phrases
    that stand several times without a determiner.
    """
    shipped, phrases = lexicon()
    words = shipped | frozenset(SMALL_WORD.findall(source.text))
    vocabulary = Vocabulary(terms)
    found: dict[str, list[Use]] = defaultdict(list)
    for use in uses_found:
        if not vocabulary.explains(use.phrase, frozenset() if use.promised else phrases):
            found[key(use.phrase)].append(use)
    chosen = [uses for uses in found.values() if _as_term(source, uses, words)]
    if amends:
        chosen = [uses for uses in chosen if len(uses) <= _FEW_ALONE]
        chosen = chosen if len(chosen) <= _MANY_NEW else []
    many = len(chosen) > _MANY_UNDEFINED
    ranked = sorted(chosen, key=lambda uses: (-_clear_share(source, uses), len(uses), uses[0].start))
    ranked = ranked[: _FEW_ALONE if amends else _SHOWN]
    taken = {uses[0].start for uses in ranked}
    bare = [] if amends else [uses for uses in found.values() if _bare_term(source, uses, words)]
    bare = [uses for uses in bare if uses[0].start not in taken][: _SHOWN - len(ranked)]
    for uses in [*ranked, *bare]:
        first = uses[0]
        yield Fault(
            "undefined-term", first.start, first.end,
            f'"{first.phrase}" is used as a defined term, but is defined nowhere in the document.',
            tuple((use.start, use.end) for use in uses[1:]),
            note=amends or terms.defined_elsewhere or many or uses in bare,
        )  # fmt: skip


def _bare_term(source: Source, uses: list[Use], words: frozenset[str]) -> bool:
    """Whether two capitalised words or more stand several times as nouns, and never in small letters."""
    phrase = uses[0].phrase
    least = _SINGLE_USES if source.scope(uses[0].start) else 2  # an exhibit has headings and names of its own
    if len(uses) < least or " " not in phrase or not plausible(phrase, words):
        return False
    clear = sum(bool(_ENDS_THERE.match(source.text, use.end)) for use in uses)
    if clear < max(2, _CLEAR_SHARE * len(uses)):
        return False
    return not any(source.text[start:end].islower() for start, end in _occurrences(source, phrase))


def _as_term(source: Source, uses: list[Use], words: frozenset[str]) -> bool:
    """Whether a phrase stands as a term does: a noun phrase of its own behind a determiner or before a verb.

    A single word, mostly so. Not one that an exhibit uses often, which may explain it in its own manner.
    """
    phrase = uses[0].phrase
    if any(use.promised for use in uses):
        return True
    strong = sum(use.strong for use in uses)
    inside = all(source.scope(use.start) for use in uses)
    if " " not in phrase:
        often = len(uses) >= _SINGLE_USES and strong >= max(2, _SINGLE_SHARE * len(uses))
        return often and not inside and plausible(phrase, words)
    if inside and len(uses) > _FEW_ALONE:
        return False
    if not plausible(phrase, words) and not (strong >= 2 and plausible(phrase, words, kinds_of_paper=True)):
        return False
    return _stands_clear(source, uses) and (len(uses) > 1 or not phrase.split()[0].isupper())


def _clear_share(source: Source, uses: list[Use]) -> float:
    clear = sum(use.strong and bool(_ENDS_THERE.match(source.text, use.end)) for use in uses)
    return clear / len(uses)


# What follows a noun; another noun ("the Data Privacy regulations") makes the phrase an attribute of its own.
_ENDS_THERE: Final = re.compile(
    r"'s\b|\s*[,.;:)\"]|\s*$|\s+(?:[(\"]|(?:and|or|of|to|in|on|at|by|for|from|with|without|within|under|upon|as|than|that|which|who|whose|where|when|if|unless|until|after|before|during|prior|pursuant|through|between|against|into|over|per|via|including|except|subject|provided|so|but|not|then|thereof|hereunder|thereunder|herein|therein|hereto|thereto|it|they|such|the|any|all|each|shall|will|may|must|is|are|was|were|be|been|being|has|have|had|does|do|did|can|cannot|would|should|could|agrees?|means?|set|made|due|paid|owed|outstanding|available|necessary|then|sold|held|there|[a-z]+(?:ed|ly))\b)"
)


def _stands_clear(source: Source, uses: list[Use]) -> bool:
    """Whether a use is a noun phrase of its own, and none is half of a name ("Risk Evaluation and Mitigation …")."""
    if all(_HALF_NAME.match(source.text, use.end) for use in uses):
        return False
    return any(use.strong and _ENDS_THERE.match(source.text, use.end) for use in uses)


_HALF_NAME: Final = re.compile(r",?\s+(?:and|&)\s+[A-Z][a-z]+\s+[A-Z]")


def unused_terms(source: Source, terms: Terms) -> Iterator[Fault]:
    """Terms that are defined and then never used: notes."""
    for definitions in terms.by_key.values():
        first = definitions[0]
        if all(definition.form not in _DEFINING for definition in definitions):
            continue
        own = {definition.start for definition in definitions}
        if not any(start not in own for start, _ in _occurrences(source, first.term)):
            yield Fault(
                "unused-term", first.start, first.end,
                f'"{first.term}" is defined, but used nowhere else in the document.', note=True,
            )  # fmt: skip


def duplicate_definitions(source: Source, terms: Terms) -> Iterator[Fault]:
    """Terms defined twice with different words in one part of the document, or in parts that share their terms.

    An exhibit with many definitions of its own is a document of its own.

    A second name for one of several ("each, an "Indemnified Party"") is left alone. Notes, when the document
    does so habitually, in its recitals and again in its clauses: such pairs are often meant.
    """
    groups: dict[str, list[Definition]] = defaultdict(list)
    for definition in terms.definitions:
        if definition.form in _DEFINING:
            groups[definition.term.lower()].append(definition)
    sizes = Counter(one.scope for ones in groups.values() for one in ones)
    shared = {"", *(scope for scope, size in sizes.items() if size <= _FEW)}
    twice: list[tuple[Definition, list[Definition]]] = []
    for definitions in groups.values():
        again: list[Definition] = []
        for index, other in enumerate(definitions[1:], start=1):
            rivals = [
                one
                for one in definitions[:index]
                if one.scope == other.scope or {one.scope, other.scope} <= shared
            ]
            if rivals and all(_defines_anew(source, one, other) for one in rivals):
                again.append(other)
        if again:
            twice.append((definitions[0], again))
    for first, again in twice:
        yield Fault(
            "duplicate-definition", again[0].start, again[0].end,
            f'"{again[0].term}" is defined a second time; its first definition says something else.',
            ((first.start, first.end), *((other.start, other.end) for other in again[1:])),
            note=len(twice) > _HABIT,
        )  # fmt: skip


_OTHER_SENSE: Final = re.compile(
    r"\b(?:when\s+used\s+as|as\s+a\s+verb|as\s+a\s+noun|used\s+as\s+an?\s+(?:verb|noun|adjective))\b[^.;\"]{0,40}\"?\s*$",
    re.I,
)
# "references herein to the "Loan" shall refer to such loan", "Section 10.1 ("Indemnity")"
_REFERENCES: Final = re.compile(
    r"\breferences?\s+(?:\w+\s+){0,3}to\s+(?:the\s+)?\"?\s*$|\bsection\s+[\d.]+\s*\(\s*\"\s*$", re.I
)
_ABOUT_ONE: Final = re.compile(
    r"\"?,?\s+(?:with\s+respect\s+to|in\s+relation\s+to|as\s+to|in\s+the\s+case\s+of)\s", re.I
)
_FEW: Final = 3
_HABIT: Final = 3
_ABBREVIATION_CHARS: Final = 6
_COMPANY: Final = re.compile(r"\b(?:Inc|Corp|Corporation|Ltd|Limited|LLC|L\.P|LP|GmbH|AG|Company|N\.A)\b")
_BY_LINE: Final = re.compile(r"\b(?:By|Name|Title|Date)\s*:|/s/")
_SAME_WORDS: Final = 0.6


def _defines_anew(source: Source, first: Definition, other: Definition) -> bool:
    """Whether ``other`` is a definition of its own: no addition ("also includes"), signature or repetition."""
    text = source.text
    if re.match(
        r"\s*(?:(?:shall|will)\s+)?(?:also|further|additionally|includ\w+)\b|,?\s*(?:By|Name|Title|/s/)\b",
        text[other.end + 1 : other.end + 40],
    ):
        return False
    if any(_OTHER_SENSE.search(text, max(0, one.start - 80), one.start) for one in (first, other)):
        return False
    if _one_of_several(source, other) or _REFERENCES.search(text, max(0, other.start - 40), other.start):
        return False
    if other.form == "bracket" and source.signed(other.start):
        return False  # the signatures name the parties
    if all(_ABOUT_ONE.match(text, one.end) for one in (first, other)):
        return False
    if first.form == other.form == "bracket":
        if first.term.isupper() and len(first.term) <= _ABBREVIATION_CHARS:
            return False  # an abbreviation spelled out again
        if first.scope != other.scope and _COMPANY.search(_before(text, other)):
            return False  # an exhibit names its own parties
        # The title page, the preamble and the signatures each name the parties.
        if other.start < _FRONT_CHARS and first.start < _FRONT_CHARS:
            return False
        if _BY_LINE.search(text, other.end, other.end + 100):
            return False
        if _alike(_before(text, first), _before(text, other)):
            return False
    if other.term == "Agreement" and (
        other.form != "means" or other.text.lower().startswith(("shall mean this", "this", "made", "is made"))
    ):
        return False
    return not (first.form == other.form == "means" and _alike(first.text[:100], other.text[:100]))


def _before(text: str, definition: Definition) -> str:
    """The words that a bracket names."""
    head = text[max(0, definition.start - 120) : definition.start]
    return head[: head.rindex("(")] if "(" in head else head


def _alike(first: str, other: str) -> bool:
    """Whether two definitions say the same in mostly the same words."""
    one, two = (set(re.findall(r"[a-z]{3,}|\d+", part.lower())) - _FILLERS for part in (first, other))
    return len(one & two) >= _SAME_WORDS * max(1, min(len(one), len(two)))


_FILLERS: Final = frozenset(
    ["the", "and", "any", "for", "this", "that", "such", "shall", "with", "agreement"]
)
_ARTICLE: Final = re.compile(r"\b(?:an?|each|either|collectively,\s+an?)[,\s]*\"\s*$", re.I)


def _one_of_several(source: Source, definition: Definition) -> bool:
    """Whether the definition names one of several things: (each, an "Indemnified Party"), (a "Change Order")."""
    return bool(_ARTICLE.search(source.text, max(0, definition.start - 20), definition.start))


def case_drift(source: Source, terms: Terms) -> Iterator[Fault]:
    """Defined terms written in another case in a place where the defined one is meant."""
    for definitions in terms.by_key.values():
        first = next((one for one in definitions if one.form != "quoted"), None)
        if first is None or not re.match(r"[A-Z][a-z]", first.term):
            continue
        written = _spellings(source, first, {definition.start for definition in definitions})
        sure = sorted(_drifted(source, terms, first, written))
        spans = sure or sorted(_stray(source, first, written))
        if spans:
            start, end = spans[0]
            yield Fault(
                "case-drift", start, end,
                f'"{" ".join(source.text[start:end].split())}" is written in another case than the defined term '
                f'"{first.term}".',
                ((first.start, first.end), *spans[1:]), note=not sure,
            )  # fmt: skip


class _Spellings(NamedTuple):
    """Where a term is written as defined, with some capitals, in small letters and in capitals only."""

    exact: list[Span]
    partial: list[Span]
    small: list[Span]
    upper: list[Span]


def _spellings(source: Source, definition: Definition, own: set[int]) -> _Spellings:
    found = _Spellings([], [], [], [])
    names = definition.term.split()
    for start, end in _occurrences(source, definition.term):
        if start in own or (start >= source.body_end and source.signed(start)):
            continue
        written = source.text[start:end]
        if all(
            one[0].isupper() == two[0].isupper() for one, two in zip(written.split(), names, strict=False)
        ):
            found.upper.append((start, end)) if written.isupper() else found.exact.append((start, end))
        elif written.islower():
            found.small.append((start, end))
        elif not written.isupper():
            found.partial.append((start, end))
    return found


def _drifted(source: Source, terms: Terms, definition: Definition, written: _Spellings) -> Iterator[Span]:
    """The occurrences in another case that mean the term: rare ones, in a place where the term itself stands."""
    text, exact = source.text, written.exact
    single = " " not in definition.term
    contexts = {_context(text, *span) for span in exact}
    if single:
        if len(exact) >= _SINGLE_EXACT and len(written.small) == 1:
            ((start, end),) = written.small
            if _single_drifts(text, start, end, contexts) and not _in_definition(source, start, definition):
                yield start, end
        return
    before = {previous for previous, _ in contexts} | DETERMINERS
    after = {following for _, following in contexts}

    def placed(start: int, end: int) -> bool:
        previous, following = _context(text, start, end)
        return previous in before and (following in after or bool(_ENDS_THERE.match(text, end)))

    if exact and len(written.partial) <= 2:
        for start, end in written.partial:
            if _partial_drifts(source, terms, start, end, placed(start, end)) and not _in_definition(
                source, start, definition
            ):
                yield start, end
    upper = [span for span in written.upper if _in_prose(text, *span)]
    if len(exact) >= 2 and len(upper) <= 2:
        yield from upper
    # What contracts often write in small letters means the term only in the term's own places.
    common = definition.term.lower() in everyday()
    if len(exact) < (_COMMON_EXACT if common else 2) or len(written.small) > 2:
        return
    for start, end in written.small:
        context = _context(text, start, end)
        if _OTHER_DATE.match(text, end) or _in_definition(source, start, definition):
            continue
        if common:
            meant = context in contexts or (context[0] in _DEFINITE and bool(_STOPS.match(text, end)))
            meant = meant and context[0] not in _INDEFINITE | {"and", "or"}
        else:
            meant = context[0] not in _INDEFINITE and placed(start, end)
        if meant:
            yield start, end


def _stray(source: Source, definition: Definition, written: _Spellings) -> Iterator[Span]:
    """One or two uses in small letters of a term of several words that the document otherwise writes with capitals."""
    if " " not in definition.term or not written.small or len(written.small) > 2:
        return
    if len(written.exact) < _STRAY_SHARE * len(written.small):
        return
    for start, end in written.small:
        previous, _ = _context(source.text, start, end)
        if previous in _INDEFINITE or _OTHER_DATE.match(source.text, end):
            continue
        if not _in_definition(source, start, definition):
            yield start, end


_STRAY_SHARE: Final = 2


def _single_drifts(text: str, start: int, end: int, contexts: set[tuple[str, str]]) -> bool:
    """Whether one word in small letters stands exactly where the term does, or behind "the" as the whole object."""
    previous, following = _context(text, start, end)
    if previous and (previous, following) in contexts:
        return True
    return previous in _DEFINITE and bool(_STOPS.match(text, end)) and len(contexts) >= 3


_STOPS: Final = re.compile(r"\s*[.,;)]|\s+(?:shall|will|may|must|is|are)\b")


def _partial_drifts(source: Source, terms: Terms, start: int, end: int, placed: bool) -> bool:
    """Whether "Confidential information" is a slip and not a term before a common word ("Naked product")."""
    words = source.text[start:end].split()
    if key(" ".join(word for word in words if word[0].isupper())) not in terms.known or placed:
        return True
    lowered = " ".join(word for word in words if not word[0].isupper())
    return len(re.findall(rf"(?<!\w){re.escape(lowered)}(?!\w)", source.text)) == 1


def _in_prose(text: str, start: int, end: int) -> bool:
    """Whether capitals stand inside a sentence in small letters: no heading, no clause in capitals."""
    before = re.search(r"\s([A-Za-z][\w'-]*),?\s+$", text[max(0, start - _PROSE_CHARS) : start])
    after = re.match(r",?\s+([A-Za-z][\w'-]*)|[.;,)]|\s+\(", text[end : end + _PROSE_CHARS])
    if not before or not after or not (before[1].islower() or before[1].lower() in DETERMINERS - {"no"}):
        return False
    if before[1].isupper():
        return False
    return after[1] is None or not after[1].isupper()


_PROSE_CHARS: Final = 80  # printed columns


# "the effective date of termination" is not the defined one.
_OTHER_DATE: Final = re.compile(
    r"\s+of\s+(?:the\s+|any\s+|such\s+|this\s+)?(?:termination|expiration|such|that|delivery|notice|assign|registration)"
)
_COMMON_EXACT: Final = 4
_DEFINITE: Final = frozenset(["the", "such", "said", "this"])
_INDEFINITE: Final = frozenset(
    ["a", "an", "other", "similar", "general", "own", "new", "separate", "another", "certain", "some", "various", "additional"]
)  # fmt: skip


# The words that a bracket sums up stand before it.
_BEFORE_CHARS: Final = 800


def _context(text: str, start: int, end: int) -> tuple[str, str]:
    before = re.search(r"([A-Za-z'-]+)\s*$", text[max(0, start - 24) : start])
    after = re.match(r"\s*([A-Za-z]+|[,.;:)'])", text[end : end + 24])
    return (before[1].lower() if before else "", after[1].lower() if after else "")


def _in_definition(source: Source, offset: int, definition: Definition) -> bool:
    """Whether the words stand in a sentence that defines a term, or before the term is defined at all."""
    start, end = source.sentence(offset)
    stop = 0  # what follows a bracket is no part of it
    if definition.form in ("bracket", "called"):
        if offset < definition.start and (
            definition.start - offset < _BEFORE_CHARS or start <= definition.start < end
        ):
            return True
        stop = definition.end + 2 if definition.end <= offset else 0
    elif start <= definition.start < end:
        return True
    near = source.text[max(start, offset - 100, stop) : min(end, offset + 120)]
    quoted = " ".join(re.findall(r"\"([^\"]{1,60})\"", near)).lower()
    words = definition.term.lower().split()
    return bool(quoted) if len(words) == 1 else any(singular(word) in quoted for word in words)


def _occurrences(source: Source, term: str) -> Iterator[Span]:
    """Where the term stands, in any case, over a line break, in the singular and the plural."""
    text = source.lower
    # No look-behind in the pattern: it would keep the search from jumping to the first letters.
    for match in _pattern(term).finditer(text):
        before = text[match.start() - 1] if match.start() else " "
        if not (before.isalnum() or before in "_-"):
            yield match.span()


def _pattern(term: str) -> re.Pattern[str]:
    words = [re.escape(word) for word in term.lower().split()]
    last = words[-1]
    if last.endswith("ies"):
        last = rf"{last[:-3]}(?:y|ies)"
    elif last.endswith("y"):
        last = rf"{last[:-1]}(?:y|ies)"
    elif last.endswith("s"):
        last = rf"{last[:-1]}s?"
    else:
        last = rf"{last}(?:e?s)?"
    joined = GAP.join([*words[:-1], last])
    return re.compile(rf"{joined}(?![\w-])")
