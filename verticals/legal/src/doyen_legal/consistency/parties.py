"""The parties: their names and roles, and where one is spelled differently."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

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
_WORD = r"(?:[A-Z0-9][\w&'./+-]*|&|of|and|the|de|du|for)"
_NAME: Final = re.compile(
    rf"(?<![\w.&])(?P<stem>[A-Z0-9][\w&'/+-]*(?:\.(?:com|net|COM))?(?:,?{GAP}{_WORD}){{0,6}}?),?{GAP}(?P<form>{_FORM}\b\.?(?:,? (?:{_FORM})\b\.?){{0,2}})(?![\w-])"
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
    matches = [match for match in scan(_NAME, text[:head], _FORM_TRIGGER, 90, 24) if _stem(match["stem"])]
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
        if aliases and (known is None or not known.aliases):
            parties[stem] = Party(
                " ".join(match[0].split()), stem, _form(match["form"]), match.span(), aliases[:2]
            )
    return list(parties.values())


def _stem(text: str) -> str:
    words = [word for word in re.split(r"[^\w]+", text.lower()) if word]
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
    yield from _name_drift(source, parties)
    yield from _alias_drift(source, terms, parties)


def _name_drift(source: Source, parties: list[Party]) -> Iterator[Fault]:
    text = source.text
    stems = {party.stem for party in parties}
    introduced = {party.span[0] for party in parties}
    for match in scan(_NAME, text, _FORM_TRIGGER, 90, 24):
        if match.start() in introduced or _introduced(text, match.end()):
            continue
        stem, form = _stem(match["stem"]), _form(match["form"])
        for party in parties:
            same = stem == party.stem
            misspelled = stem not in stems and _misspelled(stem, party.stem)
            if same and form != party.form and not _short_form(form, party.form):
                what = "has another form of company"
            elif misspelled:
                what = "is spelled differently"
            else:
                continue
            written = " ".join(match[0].split())
            yield Fault(
                "party-name-drift", match.start(), match.end(),
                f'"{written}" {what} than the party "{party.name}".', (party.span,),
            )  # fmt: skip
            break


def _introduced(text: str, end: int) -> bool:
    """Whether the name is introduced as a company of its own: `Acme Ltd., a Nevada corporation ("Acme UK")`."""
    after = text[end : end + 160]
    return bool(
        re.match(
            r",?\.?\s*(?:\(\s*(?:the\s+|hereinafter|collectively|together|f/?k/?a|formerly|\")|an?\s+(?:\w+\s+){0,4}(?:corporation|company|limited|partnership|subsidiary|affiliate)|its\s+(?:\w+\s+){0,2}(?:subsidiary|affiliate|parent)|a\s+wholly|as\s+successor|formerly)",
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


_CAPITALISED: Final = re.compile(r"(?<![\w.'@/-])[A-Z][A-Za-z]{3,}(?![\w@/]|\.\w)")


def _alias_drift(source: Source, terms: Terms, parties: list[Party]) -> Iterator[Fault]:
    words, _ = lexicon()
    text = source.text
    aliases = {
        alias: span
        for party in parties
        for alias, span in party.aliases
        if " " not in alias and len(alias) >= _MIN_LETTERS
    }
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
