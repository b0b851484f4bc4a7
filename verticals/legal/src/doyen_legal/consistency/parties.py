"""The parties: their names and roles, and where one is spelled differently."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rapidfuzz.distance import DamerauLevenshtein

from doyen_legal.consistency.lexicon import lexicon
from doyen_legal.consistency.source import GAP, Source
from doyen_legal.consistency.terms import Terms, singular
from doyen_legal.consistency.types import Fault, Span
from doyen_legal.normalise.scan import scan

_FORMS: Final[dict[str, str]] = {
    "incorporated": "inc", "inc": "inc", "corporation": "corp", "corp": "corp", "company": "co", "co": "co",
    "limited": "ltd", "ltd": "ltd", "llc": "llc", "lllp": "lllp", "llp": "llp", "lp": "lp", "plc": "plc", "gmbh": "gmbh",
    "sa": "sa", "ag": "ag", "bv": "bv", "nv": "nv", "na": "na", "pte": "pte", "pty": "pty", "kk": "kk", "sarl": "sarl",
    "spa": "spa", "srl": "srl", "ab": "ab", "as": "as", "oy": "oy", "kg": "kg", "pllc": "pllc", "pc": "pc",
}  # fmt: skip
_FORM = (
    r"(?:Incorporated|INCORPORATED|Inc|INC|Corporation|CORPORATION|Corp|CORP|Company|COMPANY|Co|CO|Limited|LIMITED|Ltd|LTD|L\.?\s?L\.?\s?C|LLC"
    r"|L\.?L\.?P|LLP|L\.P|LP|PLC|plc|Plc|GmbH|GMBH|S\.?A|AG|B\.V|BV|N\.V|NV|N\.A|Pte|PTE|Pty|PTY|K\.K|S\.?[aà]\.?r\.?l|S\.p\.A|S\.r\.l|AB|A/S|Oy|KG|PLLC|P\.C)"
)
_WORD = r"(?:[A-Z0-9][\w&'./+-]*|\([A-Z][A-Za-z.]{1,12}(?: [A-Z][A-Za-z.]{1,12})?\)|&|of|and|the|de|du|for)"
_NAME: Final = re.compile(
    rf"(?<![\w.&])(?P<stem>[A-Z0-9][\w&'/+-]*(?:\.(?:com|net|COM))?(?:,?{GAP}{_WORD}){{0,6}}?),?{GAP}(?P<form>{_FORM}\b\.?(?:,? {{1,2}}(?:{_FORM})\b\.?){{0,2}})(?![\w-])"
)
_FORM_TRIGGER: Final = re.compile(rf"(?<=[\s,.]){_FORM}(?![\w-])")
_ROLES: Final[dict[str, frozenset[str]]] = {
    role: frozenset(group) - {role}
    for group in (
        ("buyer", "purchaser"), ("customer", "client"), ("supplier", "vendor", "seller"), ("lessor", "landlord"),
        ("lessee", "tenant"), ("distributor", "reseller", "dealer"), ("consultant", "contractor", "adviser", "advisor"),
        ("licensee", "sublicensee"), ("franchisee", "franchise owner"), ("employer", "company"),
    )
    for role in group
}  # fmt: skip
_MIN_LETTERS: Final = 5
_PREAMBLE: Final = 2500


@dataclass
class Party:
    """A party: its full name, the form of company and the aliases in the brackets behind the name."""

    name: str
    stem: str
    form: str
    span: Span
    aliases: list[tuple[str, Span]] = field(default_factory=list)


def find_parties(source: Source, terms: Terms) -> list[Party]:
    """The parties of the preamble: names with a company's form, and the aliases that follow them."""
    text = source.text
    head = min(len(text), 5000)
    parties: dict[str, Party] = {}
    matches = [
        match
        for match in scan(_NAME, text[:head], _FORM_TRIGGER, 90, 24)
        if (stem := _stem(match["stem"])) and not stem.endswith(("liability", " the"))
    ]
    for index, match in enumerate(matches):
        limit = matches[index + 1].start() if index + 1 < len(matches) else min(head, match.end() + 500)
        aliases = [
            (definition.term, (definition.start, definition.end))
            for definition in terms.definitions
            if definition.form in ("bracket", "called")
            and match.end() <= definition.start < min(limit, match.end() + 500)
            and definition.term.lower() not in ("agreement", "effective date", "party", "parties")
        ]
        stem = _stem(match["stem"])
        known = parties.get(stem)
        named = aliases or (known is None and _is_party(text, match))
        if named and (known is None or not known.aliases):
            parties[stem] = Party(
                " ".join(match[0].split()), stem, _form(match["form"]), match.span(), aliases[:2]
            )
    return list(parties.values())


# "New York, New York 10017 and Acme Foods", "the Effective Date. Acme Foods": where the name begins.
_BREAK: Final = re.compile(
    r"\b\d{5}(?:-\d{4})?\b|(?<=[a-z]{3})(?<!Bros)(?<!Intl)\.\s|(?<=[A-Z]{5})\.\s|\bWHEREAS,?\s|\bBy:\s"
)


def _is_party(text: str, match: re.Match[str]) -> bool:
    """Whether a name without an alias is a party's: "between Acme Inc.", "and Acme Inc., a Nevada corporation"."""
    joined = re.search(
        r"\b(?:between|among|and):?,?\s*$", text[max(0, match.start() - 16) : match.start()], re.I
    )
    made = re.match(
        r"\.?,?\s+an?\s+(?:\w+\s+){1,4}(?:corporation|company|partnership)\b",
        text[match.end() : match.end() + 70],
    )
    return match.start() < _PREAMBLE and bool(joined) and bool(made)


def _stem(text: str) -> str:
    words = [word for word in re.split(r"[^\w]+", _BREAK.split(text)[-1].lower()) if word]
    while words and words[0] in ("the", "and", "between", "of", "by", "among", "for"):
        words = words[1:]
    return " ".join(words)


def _form(text: str) -> str:
    """The form of company, in short: "Corporation, Inc." is "corp inc"."""
    letters = re.sub(r"[.]", "", text.lower())
    letters = re.sub(r"\bl\s?l\s?c\b", "llc", letters)
    return " ".join(_FORMS.get(word, word) for word in re.split(r"[\s,]+", letters) if word)


def party_name_drift(source: Source, terms: Terms, parties: list[Party]) -> Iterator[Fault]:
    """A party's name with another form of company or another spelling, and a misspelled role."""
    yield from _name_drift(source, terms, parties)
    yield from _alias_drift(source, terms, parties)


class _Company(NamedTuple):
    """One writing of a company's name: its words in small letters, its form and its places."""

    words: tuple[str, ...]
    form: str
    spans: list[Span]
    front: bool


def _name_drift(source: Source, terms: Terms, parties: list[Party]) -> Iterator[Fault]:
    """Names that differ by a slip from that of a party or of another company of the title and the preamble."""
    companies, introduced = _companies(source, terms, parties)
    # Writings that are introduced, or used often, are other companies' names.
    own = introduced | {(one.words, one.form) for one in companies if len(one.spans) > _MANY}
    aliased = {party.stem for party in parties}
    for company in companies:
        others = sorted(
            (other for other in companies if other is not company and (other.front or len(other.spans) > 1)),
            key=lambda other: -len(other.spans),
        )
        for other in others:
            what = _difference(company, other, own, aliased)
            if what is None or not _is_slip(company, other):
                continue
            name, known = (" ".join(source.text[slice(*one.spans[0])].split()) for one in (company, other))
            yield Fault(
                "party-name-drift", *company.spans[0], f'"{name}" {what} than "{known}".',
                (*company.spans[1:], other.spans[0]),
            )  # fmt: skip
            break


def _is_slip(company: _Company, other: _Company) -> bool:
    """Whether the first of two writings is the one in error: the rarer one, else the later one."""
    if len(company.spans) != len(other.spans):
        return len(company.spans) < len(other.spans)
    return company.spans[0] > other.spans[0]


def _companies(
    source: Source, terms: Terms, parties: list[Party]
) -> tuple[list[_Company], set[tuple[tuple[str, ...], str]]]:
    """The companies that the document names, and those writings that it introduces as companies of their own."""
    text = source.text
    named = {party.span[0] for party in parties}
    written: dict[tuple[tuple[str, ...], str], list[Span]] = defaultdict(list)
    introduced: set[tuple[tuple[str, ...], str]] = set()
    for match in scan(_NAME, text, _FORM_TRIGGER, 90, 24):
        words, form = tuple(_stem(match["stem"]).split()), _form(match["form"])
        if not words or words[-1] in _NO_NAME or _is_role(match, terms):
            continue
        if match.start() > _PREAMBLE and _OTHER_DEED.search(
            text[max(0, match.start() - 200) : match.start()]
        ):
            introduced.add((words, form))
            continue
        if match.start() not in named and _introduced(text, match.end()) and not source.signed(match.start()):
            introduced.add((words, form))
        breaks = [at.end() for at in _BREAK.finditer(match["stem"])]
        written[words, form].append((match.start() + (breaks[-1] if breaks else 0), match.end()))
    return [
        _Company(words, form, spans, spans[0][0] < _FRONT) for (words, form), spans in written.items()
    ], introduced


_FRONT: Final = 5000
_NO_NAME: Final = frozenset({"a", "an", "and", "the", "of", "this", "such", "or", "liability"})
# "that certain Services Agreement dated May 1, 2014 among Acme LLC, Beta LLC and": its parties may be others.
_OTHER_DEED: Final = re.compile(
    r"\bAgreements?\b[^;]{0,90}\b(?:between|among)\b[^;]{0,90}$|\b(?:parent|subsidiary|affiliate)\s+of\s+$"
)
_LEFT_OUT: Final = "has a word less"
_MANY: Final = 2  # a name that is used more often so is meant so


def _is_role(match: re.Match[str], terms: Terms) -> bool:
    """Whether the form is a party's role or begins a sentence: "the secrets of Reed's, Company's duty"."""
    form = match["form"]
    if form not in ("Company", "COMPANY", "Limited", "Corporation"):
        return False
    between = match[0][len(match["stem"]) :]
    if re.search(r"[a-z]{4}\.$", match["stem"]) or re.match(
        r"\s+Liability\b", match.string[match.end() :][:20], re.I
    ):
        return True
    return form == "Company" and "company" in terms.known and "," in between


def _difference(
    company: _Company, other: _Company, own: set[tuple[tuple[str, ...], str]], aliased: set[str]
) -> str | None:
    """What sets a name apart from another, if the same company is meant."""
    words, names, form = company.words, other.words, company.form
    count = len(names)
    if len(words) > count > 1 or (len(words) > count and words[-count - 1] in _BEFORE_NAME):
        words = words[-count:]  # a signatory's name or title, or the end of a sentence, may stand before it
    if (words, form) in own:
        return None
    if words == names:
        if form == other.form or _short_form(form, other.form):
            return None
        return "has another form of company" if sum(map(len, names)) >= _MIN_LETTERS else None
    stem, name = " ".join(words), " ".join(names)
    if _misspelled(stem, name) or (form == other.form and _plural_differs(stem, name)):
        return "is spelled differently"
    later = company.spans[0] > other.spans[0]
    shorter = company.words[1 - count :] if count > 2 else words
    known = name in aliased or (other.front and len(other.spans) > 1)
    if not known or not later or form != other.form:
        return None
    if (shorter, form) in own or " ".join(shorter) in aliased:
        return None
    return _LEFT_OUT if _word_dropped(" ".join(shorter), name) else None


_BEFORE_NAME: Final = frozenset({"and", "of", "the", "by", "to", "between", "with", "for"})


def _plural_differs(stem: str, name: str) -> bool:
    words, others = stem.split(), name.split()
    differing = [(one, two) for one, two in zip(words, others, strict=False) if one != two]
    return (
        len(words) == len(others)
        and len(differing) == 1
        and singular(differing[0][0]) == singular(differing[0][1])
    )


def _word_dropped(stem: str, name: str) -> bool:
    """Whether the name without one of its words, not the first, is the one written."""
    words, others = stem.split(), name.split()
    return len(words) == len(others) - 1 and any(
        others[:place] + others[place + 1 :] == words for place in range(1, len(others))
    )


def _introduced(text: str, end: int) -> bool:
    """Whether the name is introduced as a company of its own: `Acme Ltd., a Nevada corporation ("Acme UK")`."""
    after = text[end : end + 160]
    return bool(
        re.match(
            r",?\.?\s*(?:\(\s*(?:the\s+|hereinafter|collectively|together|f/?k/?a|formerly|\")|an?\s+(?:\w+\s+){0,4}(?:corporation|company|limited|partnership|subsidiary|affiliate)|its\s+(?:\w+\s+){0,2}(?:subsidiary|affiliate|parent)|a\s+wholly|as\s+successor|or\s+its\s+subsidiaries|formerly)",
            after, re.I,
        )
    )  # fmt: skip


def _short_form(form: str, other: str) -> bool:
    """Whether one is the usual short writing of the other: "Co., Ltd." and "Limited"."""
    return {form, other} in ({"co ltd", "ltd"}, {"pte ltd", "ltd"}, {"pty ltd", "ltd"})


def _misspelled(stem: str, name: str) -> bool:
    if stem == name or len(name) < _MIN_LETTERS:
        return False
    words, others = stem.split(), name.split()
    if stem.replace(" ", "") == name.replace(" ", ""):
        return False  # "AcmeSoft" and "Acme Soft" wrap differently
    if len(words) != len(others):
        return False
    differing = [(one, two) for one, two in zip(words, others, strict=True) if one != two]
    return len(differing) == 1 and _near(*differing[0])


def _near(one: str, two: str) -> bool:
    """Whether two words differ by a slip: one or two letters, not the plural, not a number."""
    if min(len(one), len(two)) < _MIN_LETTERS - 1 or any(char.isdigit() for char in one + two):
        return False
    if singular(one) == singular(two):
        return False
    distance = DamerauLevenshtein.distance(one, two, score_cutoff=2)
    return distance == 1 or (distance == 2 and min(len(one), len(two)) >= 8)


def _people(source: Source, terms: Terms) -> Iterator[tuple[str, Span]]:
    """The aliases of parties without a form of company: defined in the preamble, and then said to do something."""
    for definition in terms.definitions:
        if definition.start < _PREAMBLE and definition.form == "bracket" and re.search(
            rf"\b{re.escape(definition.term)} (?:shall|will|agrees|represents|warrants|acknowledges) ", source.text
        ):  # fmt: skip
            yield definition.term, (definition.start, definition.end)


_CAPITALISED: Final = re.compile(r"(?<![\w.'@/-])[A-Z][A-Za-z]{3,}(?![\w@/]|\.\w)")


def _alias_drift(source: Source, terms: Terms, parties: list[Party]) -> Iterator[Fault]:
    words = lexicon()[0]
    text = source.text
    named = [alias for party in parties for alias in party.aliases]
    named += [alias for alias in _people(source, terms) if alias not in named]
    aliases = {alias: span for alias, span in named if " " not in alias and len(alias) >= _MIN_LETTERS}
    if not aliases:
        return
    known_words = {word for known in terms.known for word in known.split()}
    counts: dict[str, list[Span]] = {}
    for match in _CAPITALISED.finditer(text, 0, source.body_end):
        counts.setdefault(match[0], []).append(match.span())
    lowered = {alias.lower(): alias for alias in aliases}
    name_words = {word for party in parties for word in party.stem.split()}
    for written, spans in counts.items():
        low = written.lower()
        if (
            low in lowered
            or singular(low) in lowered
            or low in name_words
            or singular(low) in known_words
            or low in known_words
        ):
            continue
        for alias_low, alias in lowered.items():
            slip = _near(low, alias_low) and low not in words
            synonym = low in _ROLES.get(alias_low, ()) and len(spans) <= 2 and _as_role(text, spans[0])
            if slip and len(spans) <= 3:
                message = f'"{written}" looks like a misspelling of the party "{alias}".'
            elif synonym:
                message = f'"{written}" is no party of this agreement; the party is called "{alias}".'
            else:
                continue
            start, end = spans[0]
            yield Fault("party-name-drift", start, end, message, (*spans[1:], aliases[alias]))
            break


def _as_role(text: str, span: Span) -> bool:
    before = re.search(r"(\w+)\s+$", text[max(0, span[0] - 20) : span[0]])
    after = re.match(
        r"\s+(?:shall|will|agrees|may|must|acknowledges|warrants|represents)\b|'s\b",
        text[span[1] : span[1] + 20],
    )
    return bool(after) or bool(before and before[1].lower() == "the")
