"""Sections and their numbering, recognised in the text alone (with hints where the format marks headings).

A marker counts when its form and its place in the sequence agree: ``(i)`` after ``(h)`` is a letter, after
``(a)`` the first of a Roman list; a wrapped line that begins with ``Section 4.2 shall`` is no heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from doyen_schemas import Section

PART: Final = r"(?:EXHIBIT|Exhibit|SCHEDULE|Schedule|ANNEX|Annex|APPENDIX|Appendix|ATTACHMENT|Attachment|ADDENDUM|Addendum)"
_PART = re.compile(
    rf"(?P<part>{PART})\s+(?P<label>(?:No\.\s*)?[\"“]?(?:[A-Z]{{1,2}}|[IVXLC]+|\d{{1,3}})(?:[-.]?\d+(?:\.\d+)*)*(?:\([a-zA-Z0-9]+\))*[\"”]?)(?![\w])"
)
_ARTICLE = re.compile(r"(?:ARTICLE|Article|CHAPTER|Chapter)\s+(?P<label>[IVXLC]+|\d{1,3})\b(?!\.\d)")
_SECTION = re.compile(
    r"(?:SECTION|Section|Sec\.|SEC\.|CLAUSE|Clause|PARAGRAPH|Paragraph|§§?)\s*"
    r"(?P<label>\d{1,3}(?:\.\d{1,3})*)(?P<sub>(?:\([a-zA-Z0-9]{1,4}\))*)(?=[\s.:)—–-])"
)
_DOTTED = re.compile(r"(?P<label>\d{1,3}(?:\.\d{1,3})+)(?P<sub>(?:\([a-z]{1,4}\))*)\.?(?=\s|\)|[A-Z\"“])\)?")
_NUMBER = re.compile(r"(?P<label>\d{1,3})(?P<mark>\.\)|[.)](?!\d)|(?=[ \t]))")
_ITEM = re.compile(
    r"\((?P<inner>[a-z]{1,5}|[A-Z]{1,5}|\d{1,3})\)|(?P<open>[a-z]|[ivx]{2,5}|[A-Z])(?:\.\)|[.)])(?=\s)"
)
_INLINE_ITEM = re.compile(r"(?:(?<=\s)|(?<=:))\((?P<inner>[a-z]{1,5}|[A-Z]{1,5}|\d{1,2})\)(?=\s)")
_LIST_LEAD = re.compile(r"(?:[:;,.—–]|\band|\bor)\s*$")
_INLINE_NUMBER = re.compile(
    r"(?<=[.;:!?)”\"])[ \t]+(?P<label>\d{1,3}(?:\.\d{1,3})*)(?P<mark>\.?)[ \t]+(?=[A-Z\"“])"
)
# What follows a reference at the start of a wrapped line: "(a) of this Section", "(b), (c) and".
_REFERENCE_TAIL = re.compile(
    r"\s*(?:of (?:this|the|such|that|Section|Article|clause|paragraph|subsection)|above\b|below\b|hereof\b|hereto\b"
    r"|thereof\b|,|;|\)|and \(|or \(|through \()"
)
_REFERENCE_HEAD = re.compile(
    r"(?:\b(?:sections?|articles?|clauses?|paragraphs?|subsections?|subparagraphs?|items?|exhibits?|schedules?)|§)"
    r"(?:\s+[\d.]+)?\s*$|\([a-zA-Z0-9]{1,5}\)\s*(?:,|and|or|to|through)?\s*$",
    re.IGNORECASE,
)
_CONTENTS_ENTRY = re.compile(
    r"(?:\.\s?){4,}\s*\d*\s*$|[ \t]{2,}(?:\d{1,3}|[ivx]+)\s*$|\t(?:\d{1,3}|[ivx]+)\s*$"
)
_COMPANY_END = re.compile(
    r"(?:\b(?:INC|LLC|L\.L\.C|CORP|CORPORATION|COMPANY|LTD|LIMITED|L\.?P|N\.?A|S\.?A|GMBH|PLC|CO)\b\.?,?)\s*$"
)
_SMALL = frozenset(
    [
        "a",
        "an",
        "and",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "of",
        "on",
        "or",
        "per",
        "the",
        "to",
        "under",
        "upon",
        "with",
        "within",
        "without",
        "vs",
        "&",
        "–",
    ]
)
_VERB = re.compile(
    r"\b(?:shall|will|may|must|can|is|are|was|were|be|has|have|had|means|agrees?|does|do)\b", re.IGNORECASE
)
_NEXT_LINE = re.compile(r"\s*([^\n]+)")
_ROMAN: Final = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_ROMAN_FORM = re.compile(r"(?:c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})")
MAX_TITLE_CHARS: Final = 120
# A table of contents and a list of exhibits stand in this first share of the text.
FRONT_SHARE: Final = 0.2


class Heading(NamedTuple):
    """A range that the format itself marks as a heading, with its level (1 is the highest)."""

    start: int
    end: int
    level: int


class _Marker(NamedTuple):
    """A possible section start: ``[start, end)`` holds the printed number, ``line_end`` ends its line."""

    start: int
    end: int
    line_end: int
    kind: str  # part, article, number, item, title
    label: str
    inline: bool = False
    explicit: bool = False  # "Section 4", as against a bare "4."
    level: int = 0


@dataclass
class _Level:
    """An open list: its form (``lower``, ``roman``, ``UPPER``, ``ROMAN``, ``digit``, ``1.``) and last value."""

    form: str
    value: int
    label: str
    inline: bool = False


@dataclass
class _State:
    """Where the numbering stands."""

    part: str = ""
    article: str = ""
    number: tuple[int, ...] = ()
    items: list[_Level] = field(default_factory=list)


def find_sections(text: str, headings: Iterable[Heading] = ()) -> list[Section]:
    """The sections of ``text`` in order of their start; each ends where the next of its level or above starts."""
    hints = {heading.start: heading for heading in headings}
    markers = list(_markers(text, hints))
    front = len(text) * FRONT_SHARE
    late_parts = {marker.label for marker in markers if marker.kind == "part" and marker.start > front}
    state = _State()
    found: list[Section] = []
    for marker in markers:
        if marker.kind == "part":
            # Lists of exhibits and a filing's own tag ("Exhibit 10.2") stand in front and open nothing; a part's
            # name may also be repeated on each of its pages.
            listed = marker.start <= front and (
                marker.label in late_parts or not (state.number or state.article)
            )
            if listed or marker.label == state.part:
                continue
        section = _place(text, marker, state)
        if section is not None:
            found.append(section)
    return _closed(_without_contents(found, front), len(text))


def roman_value(label: str) -> int | None:
    """The value of a Roman numeral, or None: ``"iv"`` is 4."""
    label = label.lower()
    if not label or not _ROMAN_FORM.fullmatch(label):
        return None
    values = [_ROMAN[letter] for letter in label]
    return sum(-v if v < max(values[i:], default=0) else v for i, v in enumerate(values))


def begins_section(line: str) -> bool:
    """Whether a line of print begins with a section's number or name (a bare title does not count)."""
    marker = _at_line_start(line, 0, None)
    return marker is not None and marker.kind != "title"


def _markers(text: str, hints: dict[int, Heading]) -> Iterator[_Marker]:
    """Every possible section start, by line and then inside the line."""
    taken = -1
    for line_start, line_end in _lines(text):
        start = line_start + _indent(text, line_start, line_end)
        if start == line_end or start < taken:
            continue
        line = text[start:line_end].rstrip()
        if _CONTENTS_ENTRY.search(line):
            continue
        hint = hints.get(line_start) or hints.get(start)
        marker = _at_line_start(line, start, hint)
        if marker is not None:
            yield marker
        yield from _inline(text, marker.end if marker else start, start + len(line))


def _lines(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for piece in text.splitlines(keepends=True):
        yield position, position + len(piece)
        position += len(piece)


def _indent(text: str, start: int, end: int) -> int:
    return len(text[start:end]) - len(text[start:end].lstrip())


def _at_line_start(line: str, start: int, hint: Heading | None) -> _Marker | None:
    end = start + len(line)

    def marker(match: re.Match[str], kind: str, label: str, explicit: bool = False) -> _Marker:
        return _Marker(
            start, start + match.end(), end, kind, label, explicit=explicit, level=hint.level if hint else 0
        )

    if (match := _PART.match(line)) and _is_heading_rest(line[match.end() :], loose=hint is not None):
        label = match["label"].strip('"“”')
        return marker(match, "part", f"{match['part'].capitalize()} {label}")
    if (match := _ARTICLE.match(line)) and _is_heading_rest(line[match.end() :], loose=hint is not None):
        return marker(match, "article", match["label"], explicit=True)
    if (match := _SECTION.match(line)) and _is_heading_rest(line[match.end() :], loose=hint is not None):
        return marker(match, "number", match["label"] + match["sub"], explicit=True)
    if (match := _DOTTED.match(line)) and _begins_text(line[match.end() :], strict=hint is None):
        return marker(match, "number", match["label"] + match["sub"])
    if (match := _NUMBER.match(line)) and _begins_text(line[match.end() :], strict=hint is None):
        rest = line[match.end() :].strip()
        # Without a full stop only a printed title can be meant: "1 DEFINITIONS", not "14 Main Street".
        if match["mark"] or hint is not None or _is_upper_title(rest):
            return marker(match, "number", match["label"])
    if (match := _ITEM.match(line)) and not _REFERENCE_TAIL.match(line[match.end() :]):
        return marker(match, "item", match["inner"] or f"{match['open']}.")
    if hint is not None or _is_upper_title(line):
        return _Marker(start, start, end, "title", "", level=hint.level if hint else 0)
    return None


def _inline(text: str, start: int, end: int) -> Iterator[_Marker]:
    """Markers inside a line; they count only where they continue a sequence (see ``_place``)."""
    found: list[_Marker] = []
    items = list(_INLINE_ITEM.finditer(text, start, end))
    second = {form for match in items for form, value in _values(match["inner"]).items() if value == 2}
    for match in items:
        lead = text[max(start, match.start() - 40) : match.start()]
        # "shall (i) buy and (ii) pay": a list may open after any word if it goes on in the same line.
        opens = any(value == 1 and form in second for form, value in _values(match["inner"]).items())
        if (
            (opens or _LIST_LEAD.search(lead))
            and not _REFERENCE_TAIL.match(text, match.end())
            and not _REFERENCE_HEAD.search(lead)
        ):
            found.append(_Marker(match.start(), match.end(), end, "item", match["inner"], inline=True))
    for match in _INLINE_NUMBER.finditer(text, start, end):
        if "." in match["label"] or match["mark"]:
            found.append(
                _Marker(match.start("label"), match.end("mark"), end, "number", match["label"], inline=True)
            )
    found.sort()
    yield from found


def _is_heading_rest(rest: str, *, loose: bool) -> bool:
    """Whether what follows "Section 4.2" belongs to a heading and not to a sentence that refers to it."""
    stripped = rest.lstrip(' \t.:)—–-"”')
    if not stripped:
        return True
    if rest[:1] == "," or rest.lstrip()[:1] in ",;(":
        return False
    return loose or stripped[0].isupper() or stripped[0] in '"“[_'


def _begins_text(rest: str, *, strict: bool) -> bool:
    rest = rest.lstrip(" \t.:)—–-")
    return not rest or not strict or rest[0].isupper() or rest[0] in "\"“‘'([_$"


def _is_upper_title(line: str) -> bool:
    """A bare title: capitals only, at least four letters, not a signatory's or a company's line."""
    line = line.strip()
    letters = [c for c in line if c.isalpha()]
    return (
        len(letters) >= 4 and len(line) <= MAX_TITLE_CHARS
        and all(not c.islower() for c in letters)
        and 2 * len(letters) >= len(line)
        and line[-1] not in ",;" and line[0] not in "[<*_(/\"“"
        and ":" not in line[:-1] and "/S/" not in line and "@" not in line
        and not _COMPANY_END.search(line)
    )  # fmt: skip


def _place(text: str, marker: _Marker, state: _State) -> Section | None:
    """The section that ``marker`` starts, given the numbering so far; None where it starts none."""
    base = 1 if state.part else 0
    if marker.kind == "title":
        level = marker.level or base + 1
        state.items.clear()
        title = text[marker.start : marker.line_end].strip()
        return _section("", "", title, level, marker.start, marker.line_end)
    if marker.kind == "part":
        state.part, state.article, state.number, state.items = marker.label, "", (), []
        return _numbered(text, marker, marker.label, marker.label, 1)
    prefix = f"{state.part} " if state.part else ""
    if marker.kind == "article":
        state.article, state.number, state.items = marker.label, (), []
        return _numbered(text, marker, marker.label, prefix + marker.label, base + 1)
    if marker.kind == "number":
        return _place_number(text, marker, state, prefix, base)
    return _place_item(text, marker, state, prefix, base)


def _place_number(text: str, marker: _Marker, state: _State, prefix: str, base: int) -> Section | None:
    digits, _, sub = marker.label.partition("(")
    number = tuple(int(part) for part in digits.split("."))
    if marker.inline and not _follows(state.number, number, state.article):
        return None
    if len(number) == 1 and not marker.explicit:
        listed = next((i for i, open_ in enumerate(state.items) if open_.form == "1."), None)
        title = _title_end(text, marker.end, marker.line_end) > marker.end
        as_section = _follows(state.number, number, state.article)
        if listed is not None and state.items[listed].value + 1 == number[0] and not (as_section and title):
            del state.items[listed + 1 :]
            return _place_in_list(text, marker, state, listed, number[0], prefix, base)
        if number[0] == 1 and state.number and not title and not marker.inline:
            state.items.append(_Level("1.", 0, ""))
            return _place_in_list(text, marker, state, len(state.items) - 1, 1, prefix, base)
        if not as_section and not title and number[0] != 1:
            return None
    state.number, state.items = number, []
    level = base + len(number) + (1 if state.article and len(number) == 1 else 0)
    path = digits if len(number) > 1 or not state.article else f"{state.article}.{digits}"
    if sub:
        state.items.append(_Level("lower", _values(sub.split(")")[0]).get("lower", 1), f"({sub}"))
        return _numbered(text, marker, marker.label, f"{prefix}{path}({sub}", level + 1)
    return _numbered(text, marker, marker.label, prefix + path, level)


def _place_in_list(
    text: str, marker: _Marker, state: _State, index: int, value: int, prefix: str, base: int
) -> Section:
    state.items[index] = _Level("1.", value, f"({value})")
    return _item_section(text, marker, str(value), state, prefix, base)


def _follows(last: tuple[int, ...], number: tuple[int, ...], article: str) -> bool:
    """Whether ``number`` is the next sibling, the first child, or the next of an ancestor of ``last``."""
    if not last:
        opened = (roman_value(article) or (int(article) if article.isdigit() else 0)) if article else 0
        return number == (1,) or (number[-1] == 1 and number[0] == (opened or 1))
    if number == (*last, 1):
        return True
    return any(number == (*last[:depth], last[depth] + 1) for depth in range(len(last))) or number == (
        last[0] + 1,
        1,
    )


def _place_item(text: str, marker: _Marker, state: _State, prefix: str, base: int) -> Section | None:
    """Letters, Roman numerals and bracketed digits: the reading that continues an open list wins."""
    bare = marker.label.endswith(".")
    inner = marker.label.rstrip(".")
    readings = {f"{form}." if bare else form: value for form, value in _values(inner).items()}
    place = _continued(state, readings, marker.inline)
    if place is None:
        first = next((form for form, value in readings.items() if value == 1), None)
        if first is not None:
            place = _opened(state, first, marker.inline)
        elif not marker.inline and not bare:
            place = _after_gap(state, readings)
    if place is None:
        return None
    index, form, value = place
    del state.items[index:]
    state.items.append(_Level(form, value, f"({inner})", inline=marker.inline))
    return _item_section(text, marker, inner if bare else f"({inner})", state, prefix, base)


def _continued(state: _State, readings: dict[str, int], inline: bool) -> tuple[int, str, int] | None:
    """The open list whose next value this is; a list inside a paragraph goes on inside it if it can."""
    order = sorted(range(len(state.items)), key=lambda index: (state.items[index].inline != inline, -index))
    for index in order:
        for form, value in readings.items():
            if state.items[index].form == form and state.items[index].value + 1 == value:
                return index, form, value
    return None


def _opened(state: _State, form: str, inline: bool) -> tuple[int, str, int]:
    """Where a new list opens: inside the lists of its own kind, or in place of the one with its form."""
    for index, level in enumerate(state.items):
        if (level.inline and not inline) or (level.form == form and level.inline == inline):
            return index, form, 1
    return len(state.items), form, 1


def _after_gap(state: _State, readings: dict[str, int]) -> tuple[int, str, int] | None:
    """A list that jumps, as when ``(a)`` was not on a line of its own."""
    for index in reversed(range(len(state.items))):
        for form, value in readings.items():
            if state.items[index].form == form and value > state.items[index].value:
                return index, form, value
    if not readings:
        return None
    form, value = min(readings.items(), key=lambda reading: reading[1])
    return len(state.items), form, value


def _values(inner: str) -> dict[str, int]:
    """The readings of a marker, the likelier one for its letters first: ``i`` is Roman 1, then letter 9."""
    if inner.isdigit():
        return {"digit": int(inner)}
    lower = inner.islower()
    readings: dict[str, int] = {}
    if (roman := roman_value(inner)) is not None:
        readings["roman" if lower else "ROMAN"] = roman
    if len(set(inner)) == 1:  # a…z, then aa, bb
        readings["lower" if lower else "UPPER"] = ord(inner[0].lower()) - 96 + 26 * (len(inner) - 1)
    return readings


def _item_section(text: str, marker: _Marker, number: str, state: _State, prefix: str, base: int) -> Section:
    parent = ".".join(map(str, state.number))
    if state.article and len(state.number) <= 1:
        parent = f"{state.article}.{parent}" if parent else state.article
    path = prefix + parent + "".join(level.label for level in state.items)
    depth = len(state.number) + (1 if state.article and len(state.number) <= 1 else 0)
    return _numbered(text, marker, number, path, base + depth + len(state.items))


def _numbered(text: str, marker: _Marker, number: str, path: str, level: int) -> Section:
    end = (
        _title_end(text, marker.end, marker.line_end)
        if not marker.inline or marker.kind == "number"
        else marker.end
    )
    title_start = marker.end
    if (
        end == marker.end
        and not text[marker.end : marker.line_end].strip(" \t.:)—–-")
        and marker.kind in ("part", "article", "number")
    ):
        title_start, end = _title_below(text, marker.line_end) or (marker.end, marker.end)
    title = " ".join(text[title_start:end].strip(' \t\n.:;)—–-"“”').split())
    return _section(number, path.strip(), title, level, marker.start, end)


def _title_end(text: str, start: int, line_end: int) -> int:
    """Where the title after a number ends; ``start`` when the number opens running text."""
    line = text[start:line_end]
    lead = len(line) - len(line.lstrip(" \t.:)—–-"))
    body = line[lead:].rstrip()
    for match in re.finditer(r"[.:](?=\s|$)|\s[—–-]\s", body[:MAX_TITLE_CHARS]):
        candidate = body[: match.start()]
        if _looks_like_title(candidate) or (match.end() < len(body) and _is_run_in(candidate)):
            return start + lead + match.end()
        break
    if len(body) <= MAX_TITLE_CHARS and body[-1:] not in ",;." and _looks_like_title(body):
        return start + lead + len(body)
    return start


def _looks_like_title(phrase: str) -> bool:
    words = re.findall(r"[^\W\d_][\w’'/&-]*", phrase)
    if not words or len(words) > 14 or not words[0][0].isupper():
        return False
    capital = sum(word[0].isupper() or word.lower() in _SMALL for word in words)
    return capital >= 0.75 * len(words) and '"' not in phrase and "“" not in phrase


def _is_run_in(phrase: str) -> bool:
    """A title in small letters before running text ("2.3 Minimum purchase. Buyer shall …"): short and without a verb."""
    words = phrase.split()
    return (
        0 < len(words) <= 6
        and words[0][0].isupper()
        and not _VERB.search(phrase)
        and '"' not in phrase
        and "“" not in phrase
    )


def _title_below(text: str, line_end: int) -> tuple[int, int] | None:
    """The title on the line under a number that stands alone: ``ARTICLE IV`` / ``INDEMNIFICATION``."""
    match = _NEXT_LINE.match(text, line_end)
    if match is None or len(match[1]) > MAX_TITLE_CHARS:
        return None
    line = match[1].rstrip()
    if any(pattern.match(line) for pattern in (_PART, _ARTICLE, _SECTION, _DOTTED, _ITEM)) or re.match(
        r"\d+\.", line
    ):
        return None
    if _is_upper_title(line) or (line[-1] not in ".,;:" and _looks_like_title(line)):
        return match.start(1), match.start(1) + len(line)
    return None


def _section(number: str, path: str, title: str, level: int, start: int, heading_end: int) -> Section:
    return Section(
        number=number,
        path=path,
        title=title,
        level=level,
        start=start,
        heading_end=heading_end,
        end=heading_end,
    )


def _without_contents(sections: list[Section], front: float) -> list[Section]:
    """Drop a table of contents: paths in the document's front that come again later, three or under its title."""
    last = {section.path: index for index, section in enumerate(sections)}
    entries = {
        index
        for index, section in enumerate(sections)
        if section.path and section.start <= front and last[section.path] > index
    }
    announced = any(section.title.lower() in ("table of contents", "contents") for section in sections[:20])
    if len(entries) < 3 and not announced:
        return sections
    return [section for index, section in enumerate(sections) if index not in entries]


def _closed(sections: list[Section], length: int) -> list[Section]:
    """Set each section's end; a bare title that was taken as another section's title is dropped."""
    kept: list[Section] = []
    for section in sections:
        if kept and section.start < kept[-1].heading_end:
            continue
        kept.append(section)
    open_: list[Section] = []
    for section in kept:
        while open_ and open_[-1].level >= section.level:
            open_.pop().end = section.start
        open_.append(section)
    for section in open_:
        section.end = length
    return kept
