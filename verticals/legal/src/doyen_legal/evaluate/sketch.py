"""What the fault injector needs to know of a contract, read from its text by patterns of its own.

Nothing here is shared with the consistency checker: the two must be able to disagree. Patterns are strict
rather than complete, since a fault is only planted where the contract leaves no doubt that it is one.
Offsets are code points into the contract's text.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from random import Random
from typing import Final, NamedTuple

from doyen_legal.corpora import Contract

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_ONES: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBER_WORD: Final = "|".join([*_ONES[1:], *_TENS, "hundred"])

_ABBREVIATIONS: Final = frozenset(
    [
        "inc",
        "corp",
        "ltd",
        "co",
        "no",
        "nos",
        "sec",
        "art",
        "st",
        "mr",
        "mrs",
        "ms",
        "dr",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "u.s",
        "jr",
        "sr",
        "para",
        "attn",
        "fax",
        "tel",
        "vol",
        "al",
        "approx",
        "ave",
        "bldg",
        "dept",
        "ext",
        "fig",
        "dated",
    ]
)
_DEFINER_WORDS: Final = frozenset(
    [
        "the",
        "each",
        "a",
        "an",
        "any",
        "collectively",
        "hereinafter",
        "hereafter",
        "referred",
        "to",
        "as",
        "individually",
        "and",
        "or",
        "together",
        "with",
        "this",
        "such",
        "called",
        "sometimes",
        "herein",
        "also",
        "known",
        "in",
        "singular",
        "plural",
        "defined",
        "all",
        "of",
        "them",
        "jointly",
        "being",
        "both",
    ]
)
_MONTH: Final = "|".join(MONTHS)
_DATE: Final = re.compile(
    rf"\b(?P<m1>{_MONTH})\s{{1,3}}(?P<d1>\d{{1,2}}),\s{{0,3}}(?P<y1>(?:19|20)\d\d)\b"
    rf"|\b(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:day\s+of\s+)?(?P<m2>{_MONTH}),?\s+(?P<y2>(?:19|20)\d\d)\b"
)
_SUFFIX: Final = (
    r"(?:Inc|INC|Incorporated|INCORPORATED|Corp|CORP|Corporation|CORPORATION|LLC|L\.L\.C|Ltd|LTD|Limited|LIMITED|"
    r"L\.P|LP|LLP|Company|COMPANY|Co|CO|GmbH|GMBH|AG|S\.A|SA|N\.V|NV|B\.V|BV|PLC|plc|Plc)"
)
_LAW: Final = re.compile(
    r"laws?\s+(?:and\s+\w+\s+)?of\s+(?:the\s+)?(?:(?:State|Commonwealth|Province|Republic|Kingdom)\s+of\s+)?"
    r"(?:the\s+)?(?P<place>[A-Z][A-Za-z]+(?:\s+[A-Z][A-Za-z]+)?)",
    re.IGNORECASE,
)


class Range(NamedTuple):
    start: int
    end: int


class Term(NamedTuple):
    """A term in quotes with its only definition; ``inline`` when the definition stands in brackets.

    ``[start, end)`` is the name without quotes; ``whole`` the bracketed definition, or the whole entry.
    """

    name: str
    start: int
    end: int
    inline: bool
    whole: Range
    uses: tuple[Range, ...]


class NumberWord(NamedTuple):
    """``thirty (30)``: the number and where its words and digits stand."""

    value: int
    words: Range
    digits: Range
    unit: str


class DateMention(NamedTuple):
    value: date
    start: int
    end: int


class SectionRef(NamedTuple):
    """``Section 9.2(b)``: the word, the number's range and its parts ``(9, 2)``; ``letter`` is ``"b"`` or empty."""

    word: str
    start: int
    number: Range
    parts: tuple[int, ...]
    letter: str


class Heading(NamedTuple):
    """A numbered heading ``9.2``: its parts, where the number starts, and where its text starts."""

    parts: tuple[int, ...]
    start: int
    body: int


class Exhibit(NamedTuple):
    """``Exhibit B``, as a reference or as the heading of an attachment."""

    word: str
    mark: str
    start: int
    end: int


def spell(number: int) -> str:
    """The English words of 0 … 999: ``45`` -> ``forty-five``."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens - 2] + (f"-{_ONES[ones]}" if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ONES[hundreds]} hundred" + (f" {spell(rest)}" if rest else "")


def long_date(value: date) -> str:
    return f"{MONTHS[value.month - 1]} {value.day}, {value.year}"


def loose(phrase: str) -> str:
    """A pattern for ``phrase`` whatever the white space between its words."""
    return r"\s+".join(re.escape(word) for word in phrase.split())


@dataclass(frozen=True)
class Sketch:
    """A contract as the injector sees it."""

    contract: Contract

    @property
    def text(self) -> str:
        return self.contract.text

    def labelled(self, label: str) -> list[Range]:
        return [Range(s.start, s.end) for s in self.contract.spans if s.label == label]

    @cached_property
    def _flat(self) -> str:
        return " ".join(self.text.split())

    @cached_property
    def _folded(self) -> str:
        return self._flat.lower()

    def has(self, phrase: str, *, ignore_case: bool = True) -> bool:
        """True when the phrase stands anywhere in the text as whole words, whatever its white space."""
        text = self._folded if ignore_case else self._flat
        wanted = " ".join(phrase.split())
        wanted = wanted.lower() if ignore_case else wanted
        at = text.find(wanted)
        while at >= 0:
            around = text[max(0, at - 1) : at] + text[at + len(wanted) : at + len(wanted) + 1]
            if not re.search(r"\w", around):
                return True
            at = text.find(wanted, at + 1)
        return False

    def more_often(self, first: str, second: str) -> bool:
        """True when the first pattern is found at least as often as the second."""
        return len(re.findall(first, self.text)) >= len(re.findall(second, self.text))

    @cached_property
    def modal(self) -> str:
        """The verb of duty that this contract prefers."""
        return "shall" if self.more_often(r"\bshall\b", r"\bwill\b") else "will"

    @cached_property
    def party(self) -> str:
        """``Party`` or ``party``."""
        return "party" if self.more_often(r"[a-z,] part(?:y|ies)\b", r"[a-z,] Part(?:y|ies)\b") else "Party"

    @cached_property
    def named_roles(self) -> list[str]:
        """The two most used roles, with their article where the contract gives them one."""
        named = []
        for role in self.roles[:2]:
            name = re.escape(role)
            with_the = len(re.findall(rf"\b[Tt]he\s+{name}\b", self.text))
            named.append(f"the {role}" if 2 * with_the > len(re.findall(rf"\b{name}\b", self.text)) else role)
        return named

    # --- body and sentences ---

    @cached_property
    def body(self) -> Range:
        """The operative part: from after the preamble to before the signatures."""
        text = self.text
        opening = re.search(
            r"agree(?:d|s)?\s+as\s+follows|mutually\s+agree", text[: len(text) // 3], re.IGNORECASE
        )
        start = opening.end() if opening else len(text) // 12
        closings = [m.start() for m in re.finditer(r"IN\s+WITNESS\s+(?:WHEREOF|HEREOF)", text)]
        end = closings[-1] if closings and closings[-1] > len(text) // 3 else int(len(text) * 0.97)
        return Range(start, end)

    @cached_property
    def sentences(self) -> list[Range]:
        """Sentences of running prose in the body, each ending with its full stop."""
        text, body = self.text, self.body
        found: list[Range] = []
        previous = body.start
        for stop in re.finditer(r"\.(?=\s+(?:[A-Z(\"]|\d{1,2}[.)]))", text[body.start : body.end]):
            end = body.start + stop.end()
            word = re.search(r"([\w.]+)\.$", text[max(0, end - 20) : end])
            if (
                word is None
                or len(word[1]) < 4
                or "." in word[1]
                or word[1].lower() in _ABBREVIATIONS
                or word[1].isdigit()
            ):
                continue
            start = max(
                previous, text.rfind("\n\n", previous, end) + 2, text.rfind("     ", previous, end - 60) + 5
            )
            start += len(text[start:end]) - len(text[start:end].lstrip())
            previous = end
            piece = text[start:end]
            letters = [c for c in piece if c.isalpha()]
            if 60 <= len(piece) <= 900 and letters and sum(map(str.islower, letters)) / len(letters) > 0.8:
                quiet = not re.search(r"_{3}|\.{4}|Source:|/s/|\bPage\b|\* \* \*|By:", piece)
                if (
                    quiet
                    and piece.count("(") == piece.count(")")
                    and re.search(r"\b(?:shall|will|may|is|are|agrees?|must)\b", piece)
                ):
                    found.append(Range(start, end))
        return found

    def sentence(self, rng: Random) -> Range | None:
        return rng.choice(self.sentences) if self.sentences else None

    @cached_property
    def gap(self) -> str:
        """What separates two sentences here: one blank or two."""
        double = len(re.findall(r"[a-z]\.  [A-Z]", self.text))
        single = len(re.findall(r"[a-z]\. [A-Z]", self.text))
        return "  " if double > single else " "

    @cached_property
    def padding(self) -> str:
        """The blanks that an unwrapped print line left between words (``with␣␣␣␣␣the laws``), or one blank."""
        runs = Counter(run for run in re.findall(r"[a-z,](\s{3,40})[a-z]", self.text) if "\n" not in run)
        if sum(runs.values()) * 250 < len(self.text):
            return " "
        return str(runs.most_common(1)[0][0])

    # --- terms ---

    @cached_property
    def quoted(self) -> Counter[str]:
        """How often each quoted name stands in the text."""
        return Counter(" ".join(name.split()) for name in re.findall(r"\"([A-Z][^\"]{1,60}?),?\"", self.text))

    @cached_property
    def terms(self) -> list[Term]:
        """Terms defined once, with their uses outside quotes; party names and roles are left out."""
        text = self.text
        found: list[Term] = []
        for bracket in re.finditer(r"\(([^()]{2,160})\)", text):
            inner = bracket[1]
            outside = re.sub(r"\"[^\"]*\"", " ", inner)
            if '"' in inner and set(re.findall(r"[A-Za-z]+", outside.lower())) <= _DEFINER_WORDS:
                names = list(re.finditer(r"\"([A-Z][^\"]{1,50}?),?\"", inner))
                if len(names) == 1:
                    at = bracket.start(1) + names[0].start(1)
                    whole = Range(bracket.start(), bracket.end())
                    self._add(found, names[0][1], at, inline=True, whole=whole)
        entry = re.compile(r"\"([A-Z][^\"]{1,50}?),?\"\s+(?:shall\s+mean|means|mean|is\s+defined\s+as)\b")
        for match in entry.finditer(text):
            end = re.compile(r"[a-z)\"]{2}\.(?=\s+(?:[A-Z(\"\d]|$))").search(text, match.end())
            stop = end.end() if end and end.end() - match.start() < 900 else match.end()
            self._add(found, match[1], match.start(1), inline=False, whole=Range(match.start(), stop))
        return found

    def _add(self, found: list[Term], name: str, at: int, *, inline: bool, whole: Range) -> None:
        clean = " ".join(name.split())
        if (
            self.quoted[clean] != 1
            or clean.lower() in self.party_words
            or not re.fullmatch(r"[A-Za-z][\w' &/-]+", clean)
        ):
            return
        if clean.isupper() or re.fullmatch(r"(?:this\s+)?(?:Agreement|Party|Parties|Contract)", clean):
            return
        use = re.compile(rf"(?<![\w\"-]){loose(clean)}(?:s|es)?(?![\w\"-])")
        uses = tuple(
            Range(m.start(), m.end())
            for m in use.finditer(self.text)
            if not (whole.start <= m.start() < whole.end)
        )
        found.append(Term(clean, at, at + len(name), inline, whole, uses))

    def alone(self, term: Term) -> bool:
        """True when no other quoted name contains this one, nor is contained in it."""
        name = term.name.lower()
        return not any(
            other.lower() != name and (name.rstrip("s") in other.lower() or other.lower().rstrip("s") in name)
            for other in self.quoted
        ) and not re.search(rf"(?<![\w\"]){loose(term.name)}\s+(?:shall\s+mean|means?)\b", self.text)

    # --- parties ---

    @cached_property
    def party_words(self) -> frozenset[str]:
        return frozenset(
            " ".join(self.text[r.start : r.end].strip("\"'(). ,").lower().split())
            for r in self.labelled("Parties")
        )

    @cached_property
    def roles(self) -> list[str]:
        """Short names of the parties as defined in the preamble (``Licensor``), most used first."""
        head = self.text[: min(len(self.text) // 3, 9000)]
        names: dict[str, int] = {}
        for match in re.finditer(r"\"([A-Z][\w&.' -]{1,30}?),?\"", head):
            name = match[1].strip()
            if (
                name.lower() in self.party_words
                and not re.search(r"Part(?:y|ies)", name)
                and not name.isupper()
            ):
                uses = len(re.findall(rf"(?<![\w\"]){re.escape(name)}(?![\w\"])", self.text))
                if uses >= 4:
                    names[name] = uses
        return sorted(names, key=lambda name: -names[name])

    @cached_property
    def party_names(self) -> list[str]:
        """Full names with a corporate form (``Acme Foods, Inc.``), white space made single."""
        names = []
        for at in self.labelled("Parties"):
            name = " ".join(self.text[at.start : at.end].split()).strip(' ,;:()"')
            words = name.split()
            if 2 <= len(words) <= 8 and re.search(rf"[ ,]{_SUFFIX}\.?$", name) and name not in names:
                names.append(name)
        return names

    def occurrences(self, name: str) -> list[Range]:
        """Where a name stands, in any case and white space, outside quotes."""
        pattern = re.compile(rf"(?<![\w\"]){loose(name.rstrip('.'))}\.?(?![\w\"])", re.IGNORECASE)
        footer = re.compile(r"Source:\s*$")  # the filing service's line, not the contract's
        return [
            Range(m.start(), m.end())
            for m in pattern.finditer(self.text)
            if not footer.search(self.text[max(0, m.start() - 12) : m.start()])
        ]

    # --- sections and exhibits ---

    @cached_property
    def headings(self) -> list[Heading]:
        # A bare number alone on its line is a page number.
        pattern = re.compile(
            r"(?:^|\n[ \t]*|[ \t]{2,}|(?<=[.;]) )(?:(?:ARTICLE|Article|SECTION|Section)\s+)?"
            r"(?P<number>\d{1,2}\.\d{1,2}(?=[.)]?\s+[A-Z\"(])|\d{1,2}(?=[.)]\s+[A-Z\"(]|[ \t]+[A-Z\"(]))"
        )
        after = re.compile(r"[.)]?\s+")
        found = []
        for m in pattern.finditer(self.text):
            gap = after.match(self.text, m.end())
            parts = tuple(map(int, m["number"].split(".")))
            found.append(Heading(parts, m.start("number"), gap.end() if gap else m.end()))
        return found

    @cached_property
    def last_section(self) -> int:
        """The highest n such that headings 1 … n all exist; 0 when the contract is not plainly numbered."""
        tops = {heading.parts[0] for heading in self.headings}
        last = 0
        while last + 1 in tops:
            last += 1
        return last if last >= 5 else 0

    @cached_property
    def is_amendment(self) -> bool:
        """True when references may point into another agreement throughout."""
        return bool(
            re.search(r"amend", self.contract.id.rsplit("_", 1)[-1], re.IGNORECASE)
            or re.search(
                r"\bAMENDMENT\b|Amendment No|\bamends\b|Supplement(?:al)? (?:Agreement )?to", self.text[:2500]
            )
        )

    @cached_property
    def section_refs(self) -> list[SectionRef]:
        """References by number to this agreement's own sections."""
        pattern = re.compile(
            r"(?<![\w\"])(?P<word>Section|Article|Paragraph|Clause|section|paragraph|clause)\s+"
            r"(?P<number>(?P<digits>\d{1,2}(?:\.\d{1,2})?)(?:\((?P<letter>[a-z])\))?)"
            r"(?![\w.(]*\d)(?![\w(])(?!\s+(?:of|to|in|under)\s+(?!this\b)\w)(?!,?\s+(?:of|to)\s+the)"
        )
        before = re.compile(r"(?:Act|Code|Rule|Regulation|U\.?S\.?C\.?|C\.?F\.?R\.?|Law|\w+'s)\s*,?\s*$")
        return [
            SectionRef(
                m["word"], m.start(), Range(m.start("number"), m.end("number")),
                tuple(map(int, m["digits"].split("."))), m["letter"] or "",
            )
            for m in pattern.finditer(self.text)
            if self.body.start < m.start() < self.body.end
            and not before.search(self.text[max(0, m.start() - 20) : m.start()])
        ]  # fmt: skip

    @cached_property
    def reference_word(self) -> str:
        """What this contract calls its parts: ``Section``, ``Article``, ``paragraph`` …"""
        words = Counter(ref.word for ref in self.section_refs)
        return words.most_common(1)[0][0] if words else "Section"

    @cached_property
    def exhibit_refs(self) -> list[Exhibit]:
        pattern = re.compile(
            r"(?<![\w\"])(?P<word>Exhibit|Schedule|Annex|Appendix|Attachment)\s+\"?(?P<mark>[A-Z]|\d{1,2})\"?(?![\w.-])"
        )
        return [
            Exhibit(m["word"], m["mark"], m.start(), m.end())
            for m in pattern.finditer(self.text)
            if self.body.start < m.start() < self.body.end
        ]

    @cached_property
    def attachments(self) -> list[Exhibit]:
        """Headings of attached exhibits: alone at the start of a line, after the operative part."""
        pattern = re.compile(
            r"\n[ \t]*(?P<word>EXHIBIT|Exhibit|SCHEDULE|Schedule|ANNEX|Annex|APPENDIX|Appendix|ATTACHMENT|Attachment)"
            r"[ \t]+[\"']?(?P<mark>[A-Z]|\d{1,2})[\"']?(?=[ \t]*(?:\n|[-–—:]|[ \t]{2}))"
        )
        return [
            Exhibit(m["word"].title(), m["mark"], m.start("word"), m.end())
            for m in pattern.finditer(self.text)
            if m.start() > self.body.end
        ]

    # --- numbers and dates ---

    @cached_property
    def number_words(self) -> list[NumberWord]:
        """Numbers written twice and in agreement, ``thirty (30) days``."""
        pattern = re.compile(
            rf"\b(?P<words>(?:{_NUMBER_WORD})(?:(?:[ -]+(?:and[ -]+)?)(?:{_NUMBER_WORD}))*)\s*"
            r"\((?P<digits>\d{1,3})\)\s*(?P<unit>%|[A-Za-z]+)?",
            re.IGNORECASE,
        )
        found = []
        for m in pattern.finditer(self.text):
            words = re.sub(r"[\s-]+", " ", m["words"].lower()).replace(" and ", " ")
            value = int(m["digits"])
            if words == spell(value).replace("-", " "):
                found.append(
                    NumberWord(
                        value,
                        Range(m.start("words"), m.end("words")),
                        Range(m.start("digits"), m.end("digits")),
                        (m["unit"] or "").lower(),
                    )
                )
        return found

    @cached_property
    def dates(self) -> list[DateMention]:
        found = []
        for m in _DATE.finditer(self.text):
            month, day, year = m["m1"] or m["m2"], m["d1"] or m["d2"], m["y1"] or m["y2"]
            try:
                value = date(int(year), MONTHS.index(month) + 1, int(day))
            except ValueError:
                continue  # the 31st of June is the contract's own slip
            found.append(DateMention(value, m.start(), m.end()))
        return found

    def date_in(self, label: str) -> DateMention | None:
        """The first full date inside a span of ``label``."""
        for at in self.labelled(label):
            for mention in self.dates:
                if at.start <= mention.start and mention.end <= at.end:
                    return mention
        return None

    @cached_property
    def made(self) -> DateMention | None:
        """The earlier of the dates on which the agreement was made and took effect; None when neither is stated."""
        dates = [d for d in (self.date_in("Effective Date"), self.date_in("Agreement Date")) if d]
        return min(dates) if dates else None

    @cached_property
    def made_on_one_day(self) -> bool:
        """True when no two different dates are labelled as the agreement's or its effect's."""
        days = {d.value for d in (self.date_in("Effective Date"), self.date_in("Agreement Date")) if d}
        return len(days) == 1

    # --- law and liability ---

    @cached_property
    def law(self) -> tuple[Range, str] | None:
        """The governing-law clause and its place, when there is exactly one place."""
        places = {}
        for at in self.labelled("Governing Law"):
            clause = self.text[at.start : at.end]
            match = _LAW.search(clause)
            if match and re.search(r"govern|constru|interpret", clause, re.IGNORECASE):
                places[" ".join(match["place"].lower().split())] = at
        if len(places) != 1:
            return None
        place, at = next(iter(places.items()))
        return at, place

    @cached_property
    def caps(self) -> list[Range]:
        """Clauses that limit liability to an amount (CUAD's label also covers excluded kinds of damage)."""
        limit = re.compile(
            r"(?:exceed|limited\s+to|in\s+excess\s+of|greater\s+than)\b.{0,200}?(?:\$\s?\d|paid|fees|amounts?|payable|price)",
            re.IGNORECASE | re.DOTALL,
        )
        narrow = re.compile(
            r"liab\w+[^.]{0,80}?\bunder\s+(?:this\s+)?(?:section|article|paragraph)|per\s+occurrence|giving\s+rise",
            re.IGNORECASE,
        )
        broad = re.compile(
            r"this\s+\w*\s?agreement|hereunder|aggregate|total|cumulative|maximum", re.IGNORECASE
        )
        found = []
        for at in self.labelled("Cap On Liability"):
            clause = self.text[at.start : at.end]
            if (
                "liab" in clause.lower()
                and limit.search(clause)
                and broad.search(clause)
                and not narrow.search(clause)
            ):
                found.append(at)
        return found
