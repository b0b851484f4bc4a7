"""References to sections and exhibits, and what they should lead to.

A section exists when its number stands anywhere as a number of its own: scanned and filed texts lose line
breaks, so a heading cannot be told by its line. That errs on the side of silence.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from doyen_legal.consistency.source import Source
from doyen_legal.consistency.types import Fault, Span
from doyen_legal.normalise.numbers import parse_words

_NUM = r"(?:\d{1,3}(?:\.\d{1,4})*[A-Z]?(?![\w%])|[IVXL]{1,7}(?![\w'])(?:\.\d{1,2})?)"
_SUB = r"(?:\s?\(\s?[A-Za-z0-9]{1,4}\s?\))*"
_SPELLED = (
    r"(?:[Oo]ne|[Tt]wo|[Tt]hree|[Ff]our|[Ff]ive|[Ss]ix|[Ss]even|[Ee]ight|[Nn]ine|[Tt]en|[Ee]leven|[Tt]welve"
    r"|[Tt]hirteen|[Ff]ourteen|[Ff]ifteen|[Ss]ixteen|[Ss]eventeen|[Ee]ighteen|[Nn]ineteen|[Tt]wenty(?:-\w+)?|[Tt]hirty(?:-\w+)?"
    r"|ONE|TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE|TEN|ELEVEN|TWELVE)\b"
)
_ITEM = rf"(?:{_NUM}{_SUB}|{_SPELLED})"
_WORD = r"(?P<word>(?:sub-?)?(?:section|article|clause|paragraph)s?|Sec\.|Sect\.|Art\.|para\.|paras\.|§{1,2})"
_REFERENCE: Final = re.compile(
    rf"(?<![\w\-]){_WORD}[ ]*\n?[ ]*(?:no\.?\s*|nos\.?\s*|numbers?\s+)?(?P<items>(?-i:{_ITEM})(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or|through|to|&)\s+|\s*-\s*)(?:{_WORD.replace('?P<word>', '?:')}\s*)?(?-i:{_ITEM}))*)",
    re.I,
)
_ONE_ITEM: Final = re.compile(rf"(?P<number>{_NUM}|{_SPELLED})(?P<sub>{_SUB})")
_RANGE: Final = re.compile(r"\s*(?:through|to|-)\s*", re.I)
# A section of something else: "of the Credit Agreement", "of the Securities Act", "of Schedule A", "thereof".
_ELSEWHERE: Final = re.compile(
    r"(?:\s*(?:through|to|and|or|,|-)\s*\([A-Za-z]{1,5}\)){0,4}(?:\s*\([^()]{0,60}\))?[\s,]*(?:respectively,?\s+|,?\s*Township|,?\s*Row\b|,?\s*Block\b)?(?:(?:thereof|thereto|therein|thereunder|et\s+seq)\b"
    r"|(?:of|to|in|under|and\s+\w+\s+of|contained\s+in|set\s+forth\s+in|from|as\s+defined\s+in)\s+"
    r"(?!(?:this|the\s+present|these|our|such\s+section|the\s+Agreement\b(?!\s+(?:and\s+Plan|dated|between|by\s+and))|the\s+body|hereof|herein|part\b))"
    r"(?:the\s+|that\s+(?:certain\s+)?|such\s+|said\s+|any\s+|an?\s+|each\s+|its\s+|their\s+|his\s+|[\w.]+'s?\s+|Part\s|Title\s)?"
    r"(?:[A-Z0-9\"(]|applicable|original|other|securities|bankruptcy|federal|state|articles|bylaws|by-laws|certificate|terms|general|underlying|relevant|prior|previous|main|master|lease|note|loan|plan|statute|act\b|law\b|code\b|regulation|ordinance|decree|treaty|directive|policy|indenture))"
)
_STATUTE_AFTER: Final = re.compile(
    r"[^.;]{0,60}?\b(?:Code|Act|Act\)|Regulations?|U\.?S\.?C|C\.?F\.?R|Statutes?|Treas|Law|Rules?|Ordinance|Decree|Directive|Convention|Constitution|Bylaws|By-laws)\b"
)
_STATUTE_BEFORE: Final = re.compile(
    r"\b(?:Code(?:\s+Ann)?\.?|Acts?|Regulations?|Regs?\.|U\.?\s?S\.?\s?C\.?(?:\s?A\.?)?|C\.?\s?F\.?\s?R\.?|Rules?|Stat(?:utes|\.)|Laws?|Treaty|Convention|Directive|Title\s+\d+|Chapter\s+\w+|Part\s+\d+|EC|GDPR|FAR|DFARS|UCC|ERISA|Agreement\)?,?|Contract|Lease|Plan|Indenture|Certificate|Schedule\s+\w+|Exhibit\s+\w+|Annex\s+\w+|Appendix\s+\w+|Attachment\s+\w+|[A-Z]{2,8}|\d+)[\s,]*(?:\d{4},?\s*)?(?:at\s+|in\s+|under\s+|pursuant\s+to\s+)?$"
)
_STATUTE_WORDS: Final = re.compile(
    r"\b(?:Code|Act|U\.?S\.?C|C\.?F\.?R|Bankruptcy|Internal\s+Revenue|Securities|Treas|Statutes?|Regulations?|Civil|Revenue|Exchange|Uniform\s+Commercial|General\s+Obligations|Applicable\s+Laws?|debarred)\b",
    re.I,
)
# A number with the place of a heading or an item: after a break or a sentence's end, or before ". ", ") ".
_PLAIN_HEAD: Final = re.compile(
    r"(?:(?<=\n)[ ]{0,20}|\A\s*|(?<=[.;:!?)\"])\s{1,40}|(?<=\s{2}))(?P<number>\d{1,3})(?=\s?[.):]?(?:\s|\(|\"|[A-Z])|\.\d)"
    r"|(?<![\w.,$/#:\-])(?P<loose>\d{1,3})(?=\s?[.)](?:\s|[A-Z\"(]))",
)
_DOTTED: Final = re.compile(
    r"(?<![\w$#])(?P<number>\d{1,3}(?:\.\d{1,3})+|\d{1,3} ?\. ?\d{1,3})(?![\d%]|\.\d)(?!,\d)"
)
_WORD_HEAD: Final = re.compile(
    r"\b(?P<word>SECTION|Section|ARTICLE|Article|CLAUSE|Clause|PARAGRAPH|Paragraph|Sec\.|SEC\.|§)\s*(?P<number>\d{1,3}|[IVXL]{1,7}|(?-i:[A-Z][A-Za-z]+))(?=\s*(?:[.:\-]|\n|\s{2}|[A-Z(\"]))"
)
_ROMAN_HEAD: Final = re.compile(
    r"(?:(?<=\n)[ ]{0,20}|\A\s*|(?<=[.;:!?)\"])\s{1,40}|(?<=\s{2}))(?P<number>[IVX]{1,6})(?=\s?[.):\-])"
)
_LETTER: Final = re.compile(r"(?<!\w)\(?\s?([A-Za-z]{1,4}|\d{1,2})\s?\)|(?<![\w.])([A-Za-z])\.(?=\s)")
_ROMAN_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50}
_LAW_NUMBER: Final = 100  # plain section numbers from here on are a statute's more often than a contract's
_RELATIVE: Final = re.compile(
    r"(?<![\w\-])(?:(?:sub-?)?(?:section|clause|paragraph)|Section|Clause|Paragraph)s?\s*\((?P<letter>[a-z])\)(?=\s+(?:above|below|hereof|of\s+this\s+(?:Section|Article|Clause|Paragraph|Agreement))|\s*[,.;])"
)


@dataclass(frozen=True)
class Reference:
    """A reference to a numbered place: its word ("Section"), number as printed and sub-items ("(a)(i)")."""

    word: str
    number: str
    sub: tuple[str, ...]
    start: int
    end: int


@dataclass
class Targets:
    """The numbers that stand in the text as numbers of their own."""

    dotted: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    plain: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    articles: set[int] = field(default_factory=set)

    @property
    def tops(self) -> set[int]:
        return set(self.plain) | {int(number.split(".")[0]) for number in self.dotted}

    @property
    def last(self) -> int:
        """The highest top-level number that follows on from 1 without a gap."""
        tops, last = self.tops | self.articles, 0
        while last + 1 in tops or last + 2 in tops:
            last += 1 if last + 1 in tops else 2
        return last


def roman(text: str) -> int | None:
    """The value of a Roman numeral up to 89, or None where the letters are none."""
    total = 0
    for letter, after in zip(text, [*text[1:], "I"], strict=True):
        if letter not in _ROMAN_VALUES:
            return None
        value = _ROMAN_VALUES[letter]
        total += -value if value < _ROMAN_VALUES.get(after, 0) else value
    return total if total > 0 else None


def top_number(text: str) -> int | None:
    """The first number of "4.2", "IV", "Four"."""
    head = re.match(r"\d+", text)
    if head:
        return int(head[0])
    value = roman(text.split(".")[0])
    if value is not None:
        return value
    spelled = parse_words(text)
    return int(spelled) if spelled is not None else None


def find_references(source: Source) -> Iterator[Reference]:
    """The references to this document's own sections; those to other agreements and statutes are left out."""
    text = source.text
    for match in _REFERENCE.finditer(text):
        if _elsewhere(text, match):
            continue
        word = match["word"].lower().rstrip("s")
        for item in _ONE_ITEM.finditer(text, match.start("items"), match.end("items")):
            subs = tuple(part.strip() for part in re.findall(r"\(\s?([A-Za-z0-9]{1,4})\s?\)", item["sub"]))
            start = match.start() if item.start() == match.start("items") else item.start()
            yield Reference(word, item["number"], subs, start, item.end())


def _elsewhere(text: str, match: re.Match[str]) -> bool:
    after = text[match.end() : match.end() + 90]
    before = text[max(0, match.start() - 60) : match.start()]
    if _ELSEWHERE.match(after) or _STATUTE_BEFORE.search(before):
        return True
    # "that Section 4" was named before with its document.
    if re.search(r"\b(?:that|such|said)\s+$", before, re.I) or re.match(
        r",?\s*(?:Township|Row|Block|Lot)\b", after
    ):
        return True
    number = top_number(match["items"])
    around = text[max(0, match.start() - 200) : match.end() + 120]
    if number is not None and (number >= _LAW_NUMBER or re.search(r"\.\d{4}", match["items"])):
        return _STATUTE_WORDS.search(around) is not None
    return (
        bool(re.match(r"\s*of\s", after)) and bool(_STATUTE_AFTER.match(after)) and "this" not in after[:12]
    )


def find_targets(source: Source) -> Targets:
    """The numbers in the text that a reference may mean, with those of the document's own section list."""
    text, targets = source.text, Targets()
    referred = [match.span() for match in _REFERENCE.finditer(text) if not _is_heading(text, match)]
    inside = _Ranges(referred)
    for match in _DOTTED.finditer(text):
        if not inside.holds(match.start()):
            targets.dotted[re.sub(r"\s", "", match["number"]).strip(".")].append(match.start())
    for match in _PLAIN_HEAD.finditer(text):
        if not inside.holds(match.end() - 1):
            targets.plain[int(match["number"] or match["loose"])].append(match.start())
    for match in _WORD_HEAD.finditer(text):
        number = top_number(match["number"])
        if number is None or inside.holds(match.start()):
            continue
        if match["word"].lower() == "article":
            targets.articles.add(number)
        targets.plain[number].append(match.start())
    for match in _ROMAN_HEAD.finditer(text):
        number = roman(match["number"])
        if number is not None and not inside.holds(match.end() - 1):
            targets.articles.add(number)
    for section in source.document.sections:
        if section.number and (number := top_number(section.number)) is not None:
            if "." in section.number:
                targets.dotted[section.number].append(section.start)
            elif section.number[0].isdigit():
                targets.plain[number].append(section.start)
            else:
                targets.articles.add(number)
    return targets


class _Ranges:
    """Whether an offset lies in one of many ordered ranges."""

    def __init__(self, ranges: list[Span]) -> None:
        self._starts = [start for start, _ in ranges]
        self._ends = [end for _, end in ranges]

    def holds(self, offset: int) -> bool:
        index = bisect_right(self._starts, offset) - 1
        return index >= 0 and offset < self._ends[index]


def _is_heading(text: str, match: re.Match[str]) -> bool:
    """Whether "Section 4." is the section's own heading: at a break, and a title or a full stop behind it."""
    before = text[max(0, match.start() - 3) : match.start()]
    after = text[match.end() : match.end() + 100]
    if match.start() == 0 or "\n" in before or re.search(r"[.;:)\]\"]\s+$|\s{2,}$", before):
        return bool(re.match(r"\s*[.:)\-]|\s*\n|\s{2,}|\s+[A-Z\"(]", after))
    # On one line: "ARTICLE III WARRANTIES Section 3.1 Warranties of the Company. "
    title = re.search(r"([\w'&]+|\))\s+$", text[max(0, match.start() - 30) : match.start()])
    if title is None or title[1][0].islower() or title[1].upper() in _FUNCTION_WORDS:
        return False
    if not re.fullmatch(
        r"[A-Z]{3,}", title[1]
    ):  # "Attention: Neal Aizenstein Section 8.2 Further Assurances. Each"
        return match["word"][0].isupper() and bool(
            re.match(
                r"\s+[A-Z][\w,;&'/-]+(?: [A-Z][\w,;&'/-]+| (?:of|and|or|to|for|the|in|by)){0,6}\.\s+[A-Z]",
                after,
            )
        )
    # Its first word may begin a sentence: "SECTION 1. SERVICES Section 1.1 The Fund will".
    return bool(re.match(r"\s*[.:\-]|\s+[A-Z][\w ,;&'/-]{2,90}\.|\s+[A-Z][a-z]*\s", after))


_FUNCTION_WORDS: Final = frozenset(
    [
        "THE",
        "AND",
        "WITH",
        "UNDER",
        "THIS",
        "SEE",
        "PER",
        "FROM",
        "NOT",
        "FOR",
        "IN",
        "OF",
        "TO",
        "BY",
        "AS",
        "OR",
    ]
)


def dangling_sections(source: Source, targets: Targets, references: list[Reference]) -> Iterator[Fault]:
    """References to sections that the document does not have: one fault for each missing number."""
    last = targets.last
    missing: dict[str, list[tuple[Reference, str]]] = defaultdict(list)
    dotted = {reference.number for reference in references if "." in reference.number}
    messages: dict[tuple[str, str, tuple[str, ...]], str | None] = {}  # a number is often referred to
    for reference in references:
        name = (reference.word, reference.number, reference.sub)
        if name not in messages:
            messages[name] = _missing(reference, targets, last, source)
        if (message := messages[name]) and not _is_page(reference, source.text):
            missing[reference.number + "".join(reference.sub)].append((reference, message))
    lost = {number for number in dotted if any(key.startswith(number) for key in missing)}
    # Where most dotted numbers lead nowhere, the text has lost its numbering, not the contract its sections.
    numbering_lost = len(lost) >= 4 and 2 * len(lost) > len(dotted)
    for cases in missing.values():
        reference, message = cases[0]
        if numbering_lost and "." in reference.number and (top_number(reference.number) or 0) <= last:
            continue
        related = tuple((other.start, other.end) for other, _ in cases[1:])
        yield Fault("dangling-section", reference.start, reference.end, message, related)


def _missing(reference: Reference, targets: Targets, last: int, source: Source) -> str | None:
    name = f"{reference.word.capitalize()} {reference.number}"
    number = top_number(reference.number)
    if number is None or number == 0:
        return None
    if "." in reference.number and reference.number[0].isdigit():
        wanted = reference.number.rstrip(".")
        if wanted in targets.dotted:
            return _missing_item(reference, targets.dotted[wanted], _next_dotted(wanted, targets), source)
        if any(other.startswith(wanted + ".") for other in targets.dotted):
            return None
        if any(other.startswith(f"{number}.") for other in targets.dotted):
            return f"{name} is referred to, but the document has no {wanted} among its sections {number}.x."
        if last >= 3 and number > last:
            return f"{name} is referred to, but the sections end with {last}."
        if last >= 3 and len(targets.dotted) >= 5:
            return f"{name} is referred to, but section {number} has no such subsection."
        return None
    if reference.word.startswith("art") and targets.articles and number not in targets.articles:
        if number in targets.tops:
            return None
        return f"{name} is referred to, but the document has no article {number}."
    if number in targets.articles or (number in targets.tops and not (5 <= last < number)):
        after = [*targets.plain.get(number + 1, ()), *targets.dotted.get(f"{number + 1}.1", ())]
        starts = [*targets.plain.get(number, ()), *targets.dotted.get(f"{number}.1", ())]
        return _missing_item(reference, starts, sorted(after), source)
    if last >= 3 and number > last:
        return f"{name} is referred to, but the sections end with {last}."
    return None


def _is_page(reference: Reference, text: str) -> bool:
    """Whether the number is that of the page, which the break of a page put behind "Section"."""
    return reference.number.isdigit() and bool(
        re.match(r" *(?:\n *){4}", text[reference.end : reference.end + 300])
    )


def _next_dotted(number: str, targets: Targets) -> list[int]:
    head, _, tail = number.rpartition(".")
    if not tail.isdigit():
        return []
    top = int(number.split(".")[0])
    if after := targets.dotted.get(f"{head}.{int(tail) + 1}"):
        return sorted(after)
    return sorted([*targets.dotted.get(f"{top + 1}.1", ()), *targets.plain.get(top + 1, ())])


def _missing_item(reference: Reference, starts: list[int], after: list[int], source: Source) -> str | None:
    """Whether the section has items, but not the one referred to ("paragraph 9(f)" where 9 ends with (c))."""
    if not reference.sub or not starts:
        return None
    wanted = reference.sub[0].lower()
    if not re.fullmatch(r"[a-z]", wanted):
        return None
    listed = False
    for start in starts:
        end = next((offset for offset in after if offset > start + 2), start + _SECTION_CHARS)
        items = {(item[1] or item[2]).lower() for item in _LETTER.finditer(source.text, start, end)}
        if wanted in items and (wanted in "abivx" or _ordered(wanted, items)):
            return None
        listed = listed or {"a", "b"} <= items
    if not listed:
        return None
    name = f"{reference.word.capitalize()} {reference.number}"
    return f"{name}({reference.sub[0]}) is referred to, but section {reference.number} has no item ({reference.sub[0]})."


_SECTION_CHARS: Final = 12_000


def _ordered(letter: str, items: set[str]) -> bool:
    """Whether an item stands in a list: one of the two letters before it does too, so it is no initial."""
    return chr(ord(letter) - 1) in items or chr(ord(letter) - 2) in items


EXHIBIT_WORD = r"(?P<kind>EXHIBIT|SCHEDULE|ANNEX|APPENDIX|ATTACHMENT|Exhibit|Schedule|Annex|Appendix|Attachment|Annexure|Addendum)s?"
_LABEL = (
    r"(?:[A-Z]{1,2}(?:-?\d{1,2})?|\d{1,2}(?:\.\d{1,2})?[A-Z]?(?:-\d)?(?:\([a-z0-9]\))?|[IVX]{1,5})(?![\w'%$])"
)
_EXHIBIT: Final = re.compile(
    rf"\b{EXHIBIT_WORD}\s+(?:No\.?\s*|#\s*)?[\"']?(?P<labels>{_LABEL}[\"']?(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or|through|to|&)\s+)[\"']?{_LABEL}[\"']?)*)"
)
_EXHIBIT_ELSEWHERE: Final = re.compile(
    r"[\s,)\"']*(?:(?:thereto|thereof|therein)\b|(?:to|of|in|under)\s+(?!(?:this|the\s+Agreement\b|these|the\s+present|which|be\b|and\b))(?:the\s+|that\s+|such\s+|any\s+|an?\s+|said\s+|[\w.]+'s\s+)?[A-Z\"])"
)
_WORD_LABEL: Final = re.compile(r"(?!([A-Z])\1)(?![IVX]{2})[A-Z]{2}")
_WORDS_OF_TWO: Final = frozenset(
    ["AN", "AS", "AT", "BE", "BY", "DO", "IF", "IN", "IS", "IT", "NO", "OF", "ON", "OR", "SO", "TO", "WE"]
)
_PAGE: Final = 12
_TITLE_CHARS: Final = 400  # where a file's own number as an exhibit stands
_PREPOSITION: Final = re.compile(r"\b(?:in|on|to|as|of|see|by|under|with|and|at|per|the|this)\s+$|\($", re.I)
_FILING: Final = re.compile(r"(?:13D|13G|14A|14C|13E|TO|K-1|[IVX]+-[A-Z])\b")


def find_exhibit_references(source: Source) -> Iterator[tuple[str, str, int, int]]:
    """``(kind, label, start, end)`` of the references to this document's own exhibits."""
    text = source.text
    heads = {part.start for part in source.parts}
    for match in _EXHIBIT.finditer(text):
        if _EXHIBIT_ELSEWHERE.match(text, match.end()) or _FILING.match(text, match.start("labels")):
            continue
        if any(start in heads for start in range(match.start() - 3, match.start() + 1)):
            continue
        if match["kind"].isupper() and re.match(
            r"\s*(?:-|\s{2}|[A-Z][a-z])", text[match.end() : match.end() + 4]
        ):
            continue  # an entry of a list of exhibits
        first_label = match["labels"].split()[0].strip("\"',")
        first = first_label[0]
        if (
            match[0].split()[0].lower().endswith("s")
            and first.isdigit()
            and len(match["labels"].split()) == 1
        ):
            continue  # "Appendices and Exhibits 28" in a table of contents
        before = text[max(0, match.start() - 16) : match.start()]
        if (
            first.isdigit()
            and int(re.findall(r"\d+", match["labels"])[0]) > _PAGE
            and not _PREPOSITION.search(before)
        ):
            continue  # a page number in a table of contents
        for item in re.finditer(_LABEL, match["labels"]):
            if item[0][0].isdigit() != first.isdigit():
                break  # "Schedule C, 3(d)"
            if item[0] in _WORDS_OF_TWO:
                break  # "ANY SCHEDULE OR"
            if item.start() and (
                _WORD_LABEL.fullmatch(item[0]) or ("." in first_label and "." not in item[0])
            ):
                break  # "Schedule A, and PB will", "Schedule 2.7 to" and a page's number
            end = match.start("labels") + item.end()
            if re.match(r"\.[a-z]", text[end : end + 2]):
                break  # "Exhibit A, E.piphany"
            start = match.start() if item.start() == 0 else match.start("labels") + item.start()
            yield match["kind"].capitalize(), item[0], start, end


def dangling_exhibits(source: Source) -> Iterator[Fault]:
    """References to exhibits that are not there, where others are, or that stand outside the sequence."""
    attached: dict[str, set[str]] = defaultdict(set)
    for part in source.parts[1:]:
        attached[part.kind].add(_label(part.label))
    for match in _LISTED.finditer(source.text):
        attached[match["kind"].capitalize()].add(_label(match["label"]))
    # A list of the exhibits names what the contract has, though the file may leave it out.
    listed = {
        (match["kind"].capitalize(), _label(match["label"]))
        for match in _ENTRY.finditer(source.text)
        if not _PREPOSITION.search(source.text, max(0, match.start() - 16), match.start())
    }
    referred: dict[str, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
    for kind, label, start, end in find_exhibit_references(source):
        if start < _TITLE_CHARS and re.search(r"\d\.\d|\d{2}", label):
            continue  # the filing's own exhibit number
        referred[kind][_label(label)].append((start, end))
    everything = set().union(*attached.values()) if attached else set()
    left_out: list[tuple[str, list[Span]]] = []
    for kind, labels in referred.items():
        # A file that leaves most of its exhibits out was filed without them: that is no fault of the contract.
        here = len(attached[kind] & set(labels))
        complete = here > 0 and 2 * here >= len(labels)
        for label, spans in labels.items():
            if _is_attached(label, attached[kind]) or (kind, label) in listed:
                continue
            if (
                label in everything
                and not attached[kind]
                and not _called_otherwise(kind, label, attached, referred)
            ):
                continue
            if "." in label and not any("." in other for other in attached[kind]):
                continue
            if complete or label in everything or not _follows(label, set(labels)):
                known = ", ".join(sorted(attached[kind])) or "none"
                yield Fault(
                    "dangling-exhibit", *spans[0],
                    f"{kind} {label} is referred to, but is not among the attached ones ({kind}: {known}).",
                    tuple(spans[1:6]),
                )  # fmt: skip
            elif not everything:
                left_out.append((f"{kind} {label}", spans))
    if left_out:
        names = ", ".join(name for name, _ in left_out)
        first, *others = sorted(span for _, spans in left_out for span in spans)
        # One exhibit is soon forgotten; a file without any of several was filed without them.
        yield Fault(
            "dangling-exhibit", *first, f"Nothing is attached to this text, but it refers to {names}.", tuple(others),
            note=len(left_out) > 1,
        )  # fmt: skip


def _is_attached(label: str, attached: set[str]) -> bool:
    """Whether the exhibit is there, or its parts are: Exhibits A-1 and A-2 for Exhibit A."""
    return label in attached or any(re.fullmatch(rf"{re.escape(label)}-?\d+", other) for other in attached)


def _called_otherwise(
    kind: str, label: str, attached: dict[str, set[str]], referred: dict[str, dict[str, list[Span]]]
) -> bool:
    """Whether an attached exhibit is referred to by its own name, and once by another: Exhibit B as Schedule B."""
    spans = [span for places in referred[kind].values() for span in places]
    return (
        len(spans) == 1
        and spans[0][0] > _TITLE_CHARS
        and any(
            label in labels and label in referred.get(other, ())
            for other, labels in attached.items()
            if other != kind
        )
    )


_ENTRY: Final = re.compile(
    rf"\b{EXHIBIT_WORD}\s+(?:No\.?\s*)?[\"']?(?P<label>{_LABEL})[\"']?\s*[:\-]+\s*\"?[A-Z][A-Za-z]+"
)
_LISTED: Final = re.compile(
    rf"(?:(?<=\n)|(?<=\s{{2}}))[ ]{{0,20}}{EXHIBIT_WORD}\s+(?:No\.?\s*)?[\"']?(?P<label>{_LABEL})[\"']?(?=\s*(?:[:\-.]\s*[A-Z\"(]|\n|\s{{2,}}[A-Z\"(]))"
)


def _label(label: str) -> str:
    return re.sub(r"\(.*", "", label.upper())


def _follows(label: str, labels: set[str]) -> bool:
    """Whether ``label`` is one of the first of its series, or the one before it is referred to as well."""
    if re.fullmatch(r"[A-Z]", label):
        if label == "I" and "H" not in labels:
            return True  # a Roman one
        return label in "AB" or chr(ord(label) - 1) in labels or chr(ord(label) - 2) in labels
    number = _order(label)
    if number is None:
        return True
    return number <= 2 or any(other in (number - 1, number - 2) for other in map(_order, labels))


def _order(label: str) -> int | None:
    """The place of "3", "3A" or "IV" in its series; None for a label of letters."""
    head = re.match(r"\d+", label)
    return int(head[0]) if head else roman(label)
