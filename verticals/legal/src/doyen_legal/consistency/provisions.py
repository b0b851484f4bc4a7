"""Governing law and liability caps: provisions of which a contract has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from doyen_legal.consistency.source import Source
from doyen_legal.consistency.types import Fault, Span
from doyen_legal.normalise import (
    Mention,
    find_amounts,
    find_durations,
    find_governing_laws,
    find_jurisdictions,
    find_percents,
    spell_duration,
)

_LAW_TRIGGER: Final = re.compile(
    r"\b(?:govern(?:ed|s|ing)?|constru(?:ed|ction)|interpret(?:ed|ation)|enforced\s+(?:in|under|according)|(?:substantive|proper|applicable|internal)\s+laws?\s+of|laws?\s+of\s+[^.;]{3,60}?\s(?:shall\s+|will\s+)?(?:apply|applies|control)|(?:apply|chosen|choose|elected|select(?:ed)?|decided|resolved|settled|determined)\b[^.;]{0,40}?\blaws?\s+of)\b",
    re.I,
)
# A law that is chosen or applied, not said to govern: "the arbitrators shall apply the substantive law of".
_CHOSEN: Final = re.compile(
    r"\b(?:appl(?:y|ies|ying)|cho(?:ose|sen)|elected|selected?|decided?|resolved?|settled?|determined?|adjudicated?|(?:proper|applicable)\s+law\s+of[^.;]{0,60}?\b(?:is|be))\b[^.;]{0,60}?\blaws?\s+(?:of|in\s+force\s+in)\s+(?:the\s+(?=[A-Z]))?"
    r"|\blaws?\s+of\s+(?:the\s+)?(?=[^.;]{3,60}?\s(?:shall\s+|will\s+)?(?:apply|applies|control)\b)",
    re.I,
)
_AGREEMENT: Final = re.compile(
    r"\b(?:agreement|contract|amendment|hereof|hereto|hereunder|parties|governing\s+law|rights|validity|terms|addendum|licen[cs]e|lease|herein)\b",
    re.I,
)
# Another law is named on purpose: for arbitration, for patents, for a country's own entity, for another paper.
_SPECIAL: Final = re.compile(
    r"\b(?:arbitrat(?:ion|or)\s+(?:shall|will|agreement|act|rules|law|proceeding)|patents?|trade\s?marks?|except\s+(?:that|to\s+the\s+extent|as)|provided,?\s+(?:however,?\s+)?that|if\s+the\s+(?:franchise|premises)|real\s+property|corporate\s+(?:law|matters)|with\s+respect\s+to(?!\s+(?:the\s+)?(?:construction|interpretation|validity|enforce\w+|this\s+agreement))|shall\s+be\s+determined\s+by\s+the\s+law|in\s+the\s+event|mortgage|employees?|indenture|escrow\s+agreement|solely|this\s+(?:exhibit|schedule|annex|guaranty|guarantee))\b",
    re.I,
)
_SUBSTANTIVE: Final = re.compile(r"\bsubstantive\s+laws?\s+of\b", re.I)
_ARBITRATION: Final = re.compile(r"\barbitrat(?:ion|or)s?\b", re.I)
# Inside a sentence: a full stop within "$1,000.50", "Section 9.2", "U.S." or "Inc.," ends none.
# One branch a dot: two that match the same dot would try every combination of them.
_IN = r"(?:[^.;]|\.(?>(?=\d|[A-Z]\.|,)|(?<=\bU\.S\.)|(?<=\bInc\.))|;(?=\s+(?:or|and|OR|AND|\(\w{1,4}\))\s))"
_CAP: Final = re.compile(
    rf"\b(?P<whole>(?:maximum|total|aggregate|cumulative|overall|entire)\s+(?:\w+\s+){{0,3}})?(?:liabilit(?:y|ies)|liable|damages|responsib(?:le|ility)|obligations?\s+to\s+indemnify|indemnif(?:y|ication)\s+obligations?|recover(?:y|able)?|remed(?:y|ies))\b{_IN}{{0,700}}?\b(?:(?:shall|will|may|can|does|do|to)\s+(?:not|in\s+no\s+event|never|in\s+no\s+circumstances?|under\s+no\s+circumstances?)\s+(?:in\s+(?:any|no)\s+event\s+)?(?:exceed|be\s+(?:more|greater)\s+than)|exceed(?:s|ing)?|in\s+excess\s+(?:in\s+(?:the\s+)?(?:aggregate|total)\s+)?of|(?:be\s+)?limited\s+(?:solely\s+|exclusively\s+)?to|(?:be\s+)?capped\s+at|cap\s+of|maximum\s+of|up\s+to|(?:not|no)\s+more\s+than|not\s+(?:to\s+)?surpass|greater\s+than|more\s+than|larger\s+than|restricted\s+to|beyond)\b"
    rf"|\b(?:maximum|total|aggregate|cumulative|overall|entire)\s+(?:\w+\s+){{0,3}}(?:liabilit(?:y|ies))\b{_IN}{{0,400}}?\b(?:is|shall\s+be|will\s+be|equals?)\b"
    rf"|\b(?:liability|damages)\s+(?:cap|limit)\b{_IN}{{0,80}}?\b(?:is|of|shall\s+be|at|means|equals?)\b",
    re.I,
)
_NOT_LIABILITY: Final = re.compile(
    r"\b(?:insurance|insured|coverage|policy|policies|per\s+occurrence|liquidated|tax(?:es)?\s+liabilit|deductible|basket|threshold|minimum|until\s+the\s+aggregate|unless\s+(?:and\s+until\s+)?the|purchase\s+price\s+adjust|stored\s+value|retention)\b",
    re.I,
)
_FEES: Final = re.compile(
    r"\b(?:paid|payable|received|fees?|amounts?|sums?|price|value|charges|compensation|remuneration|consideration|payments?|proceeds|revenues?|royalt(?:y|ies))\b",
    re.I,
)


@dataclass(frozen=True)
class Provision:
    """A statement and what it fixes: the laws, or the cap with the one whose liability it caps."""

    start: int
    end: int
    values: frozenset[str]
    subject: frozenset[str] = frozenset()


def governing_laws(source: Source) -> list[Provision]:
    """The statements of the contract's governing law, one for each sentence that names one."""
    text = source.text
    found: list[Provision] = []
    done: set[Span] = set()
    for trigger in _LAW_TRIGGER.finditer(text):
        sentence = source.sentence(trigger.start())
        first, last = _clip(sentence, trigger.start())
        if sentence in done and found and trigger.start() < found[-1].end:
            continue
        words = text[first:last]
        if not _AGREEMENT.search(words):
            continue
        laws = frozenset(law.value.text for law in _laws(words))
        if laws:
            done.add(sentence)
            found.append(Provision(first, last, laws))
    return found


def _laws(words: str) -> list[Mention]:
    """The laws that a sentence makes the governing ones, by whatever verb it does so."""
    found = find_governing_laws(words)
    if found:
        return found
    for match in _CHOSEN.finditer(words):
        named = find_jurisdictions(words[match.end() : match.end() + 60])
        if named and named[0].start == 0:
            at = match.end()
            found.append(Mention(at, at + named[0].end, named[0].value))
    return found


def conflicting_laws(source: Source, provisions: list[Provision]) -> Iterator[Fault]:
    """Two statements in one part of the document that name different governing laws."""
    first: dict[str, Provision] = {}
    for provision in provisions:
        words = source.text[provision.start : provision.end]
        if _SUBSTANTIVE.search(words):  # the law of the dispute itself, whoever decides it
            words = _ARBITRATION.sub("", words)
        if _SPECIAL.search(words) and source.scope(provision.start) in first:
            continue
        if provision.values <= _FEDERATIONS:
            continue  # federal law stands beside a state's
        scope = source.scope(provision.start)
        known = first.setdefault(scope, provision)
        if known is not provision and not _agree(known.values, provision.values):
            span, other = _law_span(source, provision), _law_span(source, known)
            yield Fault(
                "conflicting-law", *span,
                f"The governing law is {_names(provision.values)} here, but {_names(known.values)} elsewhere.",
                (other,),
            )  # fmt: skip


_FEDERATIONS: Final = frozenset({"United States", "Canada", "Australia"})
_NESTED: Final[dict[str, str]] = {
    "England": "England and Wales", "England and Wales": "United Kingdom", "Hong Kong": "People's Republic of China",
}  # fmt: skip


def _agree(first: frozenset[str], second: frozenset[str]) -> bool:
    if first & second:
        return True
    return any(_NESTED.get(one) == other or _NESTED.get(other) == one for one in first for other in second)


def _names(values: frozenset[str]) -> str:
    return " and ".join(sorted(values))


def _law_span(source: Source, provision: Provision) -> Span:
    mentions = _laws(source.text[provision.start : provision.end])
    if not mentions:
        return provision.start, provision.end
    return provision.start + mentions[0].start, provision.start + mentions[-1].end


def _clip(sentence: Span, offset: int) -> Span:
    """A sentence, cut where a text without full stops makes it run for pages."""
    return max(sentence[0], offset - 600), min(sentence[1], offset + 600)


def liability_caps(source: Source) -> list[Provision]:
    """The statements that cap a liability at an amount, a multiple of fees or the fees of some months."""
    text = source.text
    found: list[Provision] = []
    for match in _CAP.finditer(text):
        first, _ = _clip(source.sentence(match.start()), match.start())
        span = slice(match.end(), min(source.sentence(match.end() - 1)[1], match.end() + 260))
        values = _cap_values(text[span], source.document.text[span])
        if values is None:
            continue
        value, length = values
        if found and match.start() < found[-1].end:
            continue
        # An insurance is named beside a liability that it covers, or that it exempts from the cap.
        if match["whole"]:
            near = text[match.start() : match.start() + 60] + text[match.end() - 40 : match.end() + length]
        else:
            near = text[max(first, match.start() - 90) : match.end() + length + 40]
        if _NOT_LIABILITY.search(near):
            continue
        subject = frozenset(
            word.lower()
            for word in re.findall(
                r"\b(?:[A-Z][\w&-]+|either|each|neither|both)\b", text[first : match.end()]
            )
        )
        found.append(Provision(match.start(), match.end() + length, frozenset({value}), subject))
    return found


def _cap_values(tail: str, printed: str) -> tuple[str, int] | None:
    """The cap that ``tail`` states and its length; ``printed`` is the same range with its marks of omission."""
    amounts = [mention for mention in find_amounts(tail) if mention.start < 120]
    if amounts and amounts[0].value.unit and "/" not in amounts[0].value.unit:
        return f"{amounts[0].value.unit} {amounts[0].value.text}", amounts[0].end
    withheld = _WITHHELD.match(printed)
    if withheld:
        return _WITHHELD_VALUE, withheld.end()
    if not _FEES.search(tail):
        return None
    durations = find_durations(tail)
    if durations:
        return f"the fees of {spell_duration(durations[0].value.text)}", durations[0].end
    percents = find_percents(tail)
    if percents:
        return f"{percents[0].value.text} % of the fees", percents[0].end
    multiple = _MULTIPLE.match(tail)
    if multiple:
        return f"{' '.join(multiple['times'].lower().split())} the fees", multiple.end()
    paid = _ALL_FEES.match(tail)
    return (_FEES_PAID, paid.end()) if paid else None


_FEES_PAID: Final = "the fees paid"
_WITHHELD_VALUE: Final = "an amount left out of this copy"
# "exceed [***]", "limited to the greater of (a) $[* * *]": filed copies leave amounts out.
_WITHHELD: Final = re.compile(
    r"(?:[\s,:;()]+(?:the|an?|i|amount|sum|total|aggregate|of|equal|to|in|greater|lesser|and|(?:shall|will)\s+not\s+exceed|us)\b){0,9}[\s,:()$]*(?:\[[\s.]*\*|\*{2,}|\[\s*_|_{3,}|\[(?i:redacted|omitted)|x{3,})",
    re.I,
)
_NUMBER_WORD = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|\d+(?:\.\d+)?)"
_MULTIPLE: Final = re.compile(
    rf"[\s,:]*(?:to\s+)?(?:an?\s+amount\s+equal\s+to\s+)?(?P<times>{_NUMBER_WORD}(?:\s+and\s+(?:a|one)[\s-]half)?\s*(?:\(\s*[\d.]+\s*x?\s*\)\s*)?(?:x|times)|twice|double|half)\b",
    re.I,
)
# "shall not exceed the fees paid under this Agreement": a cap without a number of its own.
_ALL_FEES: Final = re.compile(
    r"(?:[\s,:()]+(?!(?:loss|losses|damages|claims?|costs?|expenses|replacement|repair|willful|direct|actual)\b)[\w'-]+){0,14}?[\s,:()]+"
    r"(?:(?:contract|purchase|total|net|sale|sales|unit)\s+(?:price|value)\b"
    r"|(?:fees?|amounts?|sums?|price|charges|royalt(?:y|ies)|compensation|remuneration|consideration|money|monies|moneys|payments?|revenues?|value|proceeds)\b"
    r"(?:(?:,[^,.;]{1,60},)?(?:\s+[\w'-]+){0,6}?\s+(?:paid|pays?|payable|received|receivable|collected|recovered|owed|owing|due|earned|charged|of|for|under|hereunder|made|as|set|stated)\b|(?=[.,;])))",
    re.I,
)


def conflicting_caps(source: Source, caps: list[Provision], roles: frozenset[str]) -> Iterator[Fault]:
    """Two caps for the same party that differ; notes, where one stands in an exhibit or allows for exceptions."""
    for index, cap in enumerate(caps):
        for known in caps[:index]:
            if cap.values == known.values or not _one_contract(source, cap, known):
                continue
            if source.sentence(cap.start) == source.sentence(known.start):
                continue
            mine, theirs = cap.subject & roles, known.subject & roles
            if mine and theirs and not mine & theirs:
                continue
            # Two tiers in one clause ("the greater of", "except that for X") are one provision.
            apart = cap.start - known.end
            tier = bool(_TIER.search(source.text[known.end : cap.end][-900:]))
            if apart < 30 or (tier and apart < _TIERS_APART):
                continue
            yield Fault(
                "conflicting-cap", cap.start, cap.end,
                f"Liability is capped at {_names(cap.values)} here, but at {_names(known.values)} elsewhere.",
                ((known.start, known.end),),
                note=tier or source.scope(cap.start) != source.scope(known.start) or _WITHHELD_VALUE in cap.values | known.values,
            )  # fmt: skip
            break


# Tiers stand in one clause; a carve-out in a clause far from the other does not explain the difference.
_TIERS_APART: Final = 1500


def _one_contract(source: Source, first: Provision, other: Provision) -> bool:
    """Whether two caps stand in one part, or one in the body and one in an exhibit."""
    one, two = source.scope(first.start), source.scope(other.start)
    return one == two or "" in (one, two)


_TIER: Final = re.compile(
    r"\b(?:except|other\s+than|greater\s+of|lesser\s+of|excluding|provided,?\s+(?:however,?\s+)?that|in\s+the\s+case\s+of|with\s+respect\s+to\s+(?:claims|section)|super\s?cap|separate|higher)\b[^.]{0,300}$",
    re.I,
)
