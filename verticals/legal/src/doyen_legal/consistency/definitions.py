"""Faults of defined terms: undefined, unused, defined twice, written in another case."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from doyen_legal.consistency.lexicon import lexicon
from doyen_legal.consistency.source import GAP, Source
from doyen_legal.consistency.terms import Definition, Terms, key
from doyen_legal.consistency.types import Fault, Span
from doyen_legal.consistency.uses import DETERMINERS, Use, Vocabulary, find_uses, plausible

_DEFINING: Final = frozenset({"means", "bracket", "called"})
_SINGLE_EXACT: Final = 6
_MANY_UNDEFINED: Final = 3
_SINGLE_USES: Final = 3
_FRONT_CHARS: Final = 3000


def undefined_terms(source: Source, terms: Terms) -> Iterator[Fault]:
    """Capitalised phrases of ordinary words that are used as terms and defined nowhere."""
    if terms.defined_elsewhere:
        return
    words, phrases = lexicon()
    vocabulary = Vocabulary(terms)
    found: dict[str, list[Use]] = defaultdict(list)
    for use in find_uses(source, terms):
        if not vocabulary.explains(use.phrase, phrases) and plausible(use.phrase, words):
            found[key(use.phrase)].append(use)
    chosen = [uses for uses in found.values() if _as_term(uses)]
    if len(chosen) > _MANY_UNDEFINED:
        # Such a contract takes its terms from somewhere else; only what stands alone in it can be a slip.
        chosen = [
            uses
            for uses in chosen
            if len(uses) <= 2 and " " in uses[0].phrase and uses[0].start < source.body_end
        ]
        if len(chosen) > _MANY_UNDEFINED:
            return
    for uses in chosen:
        first = uses[0]
        yield Fault(
            "undefined-term", first.start, first.end,
            f'"{first.phrase}" is used as a defined term, but is defined nowhere in the document.',
            tuple((use.start, use.end) for use in uses[1:]),
        )  # fmt: skip


def _as_term(uses: list[Use]) -> bool:
    """Whether a phrase stands as a term does: behind a determiner or before a verb; a single word, twice so."""
    if " " in uses[0].phrase:
        return any(use.strong for use in uses)
    return len(uses) >= _SINGLE_USES and all(use.strong for use in uses)


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
    """Terms defined twice in the body, or twice in one exhibit, with different words."""
    groups: dict[tuple[str, str], list[Definition]] = defaultdict(list)
    for definition in terms.definitions:
        if definition.form in _DEFINING and definition.start < source.body_end:
            groups[definition.term.lower(), definition.scope].append(definition)
    for definitions in groups.values():
        first, *others = definitions
        again = [other for other in others if _defines_anew(source, first, other)]
        if again:
            yield Fault(
                "duplicate-definition", again[0].start, again[0].end,
                f'"{again[0].term}" is defined a second time; its first definition says something else.',
                ((first.start, first.end), *((other.start, other.end) for other in again[1:])),
            )  # fmt: skip


def _defines_anew(source: Source, first: Definition, other: Definition) -> bool:
    """Whether ``other`` is a definition of its own: no addition ("also includes"), signature or repetition."""
    if re.match(
        r"\s*(?:shall\s+|also\s+|will\s+)*includ|,?\s*(?:By|Name|Title|/s/)\b",
        source.text[other.end + 1 : other.end + 40],
    ):
        return False
    if other.form == first.form == "bracket" and (
        other.start < _FRONT_CHARS or (first.start < _FRONT_CHARS and other.start > 0.8 * source.body_end)
    ):
        return False  # the title page, the preamble and the signatures each name the parties
    if other.term == "Agreement" and other.text.lower().startswith(
        ("shall mean this", "this", "made", "is made")
    ):
        return False
    return not (other.text[:80] == first.text[:80] and first.form == other.form == "means")


def case_drift(source: Source, terms: Terms) -> Iterator[Fault]:
    """Defined terms written in small letters in a place where the defined one is meant."""
    for definitions in terms.by_key.values():
        first = definitions[0]
        if first.form == "quoted" or not re.match(r"[A-Z][a-z]", first.term):
            continue
        own = {definition.start for definition in definitions}
        names = first.term.split()
        exact, partial, small = [], [], []
        for start, end in _occurrences(source, first.term):
            if start in own or start >= source.body_end:
                continue
            written = source.text[start:end]
            if all(
                one[0].isupper() == other[0].isupper()
                for one, other in zip(written.split(), names, strict=False)
            ):
                exact.append((start, end))
            elif written.islower():
                small.append((start, end))
            elif written.upper() != written:
                partial.append((start, end))
        for start, end in _drifted(source, terms, first, exact, partial, small):
            written_text = " ".join(source.text[start:end].split())
            yield Fault(
                "case-drift", start, end,
                f'"{written_text}" is written in another case than the defined term "{first.term}".',
                ((first.start, first.end),),
            )  # fmt: skip


def _drifted(
    source: Source,
    terms: Terms,
    definition: Definition,
    exact: list[Span],
    partial: list[Span],
    small: list[Span],
) -> Iterator[Span]:
    """The occurrences in another case that mean the term: rare ones, in a place where the term itself stands."""
    text, single = source.text, " " not in definition.term
    if not single and exact and len(partial) <= 2:
        for start, end in partial:
            capitals = " ".join(word for word in text[start:end].split() if word[0].isupper())
            rare = len(partial) == 1 and len(exact) >= 2 * _MULTI_EXACT
            if (rare or key(capitals) not in terms.known) and not _in_definition(source, start, definition):
                yield start, end
    if len(exact) < (_SINGLE_EXACT if single else _MULTI_EXACT) or len(small) > (1 if single else 2):
        return
    contexts = {_context(text, *span) for span in exact}
    before = {context[0] for context in contexts}
    for start, end in small:
        previous, following = _context(text, start, end)
        if (
            previous in _INDEFINITE
            or _OTHER_DATE.match(text, end)
            or _in_definition(source, start, definition)
        ):
            continue
        if single:
            if (previous, following) in contexts and previous:
                yield start, end
        elif (
            previous in before
            and (previous in DETERMINERS or len(exact) >= 2 * _MULTI_EXACT)
            and (len(small) == 1 or len(exact) >= 3 * _MULTI_EXACT)
        ):
            yield start, end


# "the effective date of termination" is not the defined one.
_OTHER_DATE: Final = re.compile(
    r"\s+of\s+(?:the\s+|any\s+|such\s+|this\s+)?(?:termination|expiration|such|that|delivery|notice|assign|registration)"
)
_MULTI_EXACT: Final = 3
_INDEFINITE: Final = frozenset(
    ["a", "an", "other", "similar", "general", "own", "and", "or", "new", "separate", "another", "certain", "some", "various", "additional"]
)  # fmt: skip


def _context(text: str, start: int, end: int) -> tuple[str, str]:
    before = re.search(r"([A-Za-z'-]+)\s*$", text[max(0, start - 24) : start])
    after = re.match(r"\s*([A-Za-z]+|[,.;:)'])", text[end : end + 24])
    return (before[1].lower() if before else "", after[1].lower() if after else "")


def _in_definition(source: Source, offset: int, definition: Definition) -> bool:
    """Whether the words stand in a sentence that defines a term, or before the term is defined at all."""
    start, end = source.sentence(offset)
    if definition.form in ("bracket", "called") and offset < definition.start:
        return True
    near = source.text[max(start, offset - 100) : min(end, offset + 120)]
    return bool(re.search(r"\"[^\"]{1,60}\"", near)) or start <= definition.start < end


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
