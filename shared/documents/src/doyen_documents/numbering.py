"""The numbers that Word prints before paragraphs: they stand nowhere in the file and are counted here.

Source: ECMA-376 Part 1, 17.9 (numbering).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lxml.etree import _Element

W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
LEVELS: Final = 9
_ONES: Final = (
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS: Final = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS: Final = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


@dataclass
class Level:
    """One level of a list: its format, its text (``"%1.%2"``) and where it starts."""

    format: str = "decimal"
    text: str = ""
    start: int = 1
    suffix: str = "tab"
    legal: bool = False
    restart: int | None = None
    style: str | None = None


@dataclass
class Style:
    """What a paragraph style says about numbering and headings, its ancestors included."""

    list_id: str | None = None
    level: int | None = None
    outline: int | None = None
    name: str = ""


@dataclass
class _List:
    """An abstract list: its levels and, per level, the last number given out (None before the first)."""

    levels: dict[int, Level]
    counters: list[int | None] = field(default_factory=lambda: [None] * LEVELS)


class Numbering:
    """The lists of a document; ``label`` counts on with every call, so call it in the order of the text."""

    def __init__(self, numbering: _Element | None, styles: _Element | None) -> None:
        self.styles = _styles(styles)
        self._lists: dict[str, _List] = {}
        self._of_list: dict[str, str] = {}
        self._overrides: dict[str, dict[int, Level]] = {}
        self._restarts: dict[str, dict[int, int]] = {}
        if numbering is not None:
            self._read(numbering)

    def of_paragraph(self, properties: _Element | None) -> tuple[str, int] | None:
        """``(list, level)`` of a paragraph with these ``w:pPr``, by its own or its style's numbering."""
        style = self.style(properties)
        own = properties.find(f"{W}numPr") if properties is not None else None
        list_id = _value(own, "numId") or style.list_id
        level = _integer(_value(own, "ilvl"), style.level if style.level is not None else -1)
        if list_id is None or list_id == "0" or list_id not in self._of_list:
            return None
        if level < 0:
            level = self._level_of_style(list_id, _value(properties, "pStyle")) or 0
        return list_id, min(level, LEVELS - 1)

    def style(self, properties: _Element | None) -> Style:
        """The style of a paragraph with these ``w:pPr``."""
        return self.styles.get(_value(properties, "pStyle") or "", Style())

    def label(self, list_id: str, level: int) -> tuple[str, str]:
        """The next number of a list's level as printed, and what follows it (a space or nothing)."""
        list_ = self._lists[self._of_list[list_id]]
        for index, start in self._restarts.pop(list_id, {}).items():
            list_.counters[index] = start - 1
        definition = self._level(list_id, level)
        last = list_.counters[level]
        list_.counters[level] = definition.start if last is None else last + 1
        for deeper in range(level + 1, LEVELS):
            after = self._level(list_id, deeper).restart
            if after is None or (after > 0 and level < after):
                list_.counters[deeper] = None
        return self._print(list_id, level), "" if definition.suffix == "nothing" else " "

    def _print(self, list_id: str, level: int) -> str:
        definition = self._level(list_id, level)
        if definition.format == "bullet":
            return "•"
        counters = self._lists[self._of_list[list_id]].counters
        text = definition.text
        for index in range(LEVELS):
            mark = f"%{index + 1}"
            if mark not in text:
                continue
            of_level = self._level(list_id, index)
            value = counters[index]
            if value is None:  # a level that never came prints its first number
                value = counters[index] = of_level.start
            text = text.replace(
                mark, format_number(value, "decimal" if definition.legal else of_level.format)
            )
        return text

    def _level(self, list_id: str, level: int) -> Level:
        override = self._overrides.get(list_id, {}).get(level)
        return (
            override or self._lists[self._of_list[list_id]].levels.get(level) or Level(text=f"%{level + 1}.")
        )

    def _level_of_style(self, list_id: str, style: str | None) -> int | None:
        levels = self._lists[self._of_list[list_id]].levels
        return next(
            (index for index, level in levels.items() if style is not None and level.style == style), None
        )

    def _read(self, root: _Element) -> None:
        links: dict[str, str] = {}
        by_style: dict[str, str] = {}
        for abstract in root.iterfind(f"{W}abstractNum"):
            key = abstract.get(f"{W}abstractNumId", "")
            self._lists[key] = _List(dict(_levels(abstract)))
            if link := _value(abstract, "numStyleLink"):
                links[key] = link
            if name := _value(abstract, "styleLink"):
                by_style[name] = key
        for number in root.iterfind(f"{W}num"):
            key, abstract_key = number.get(f"{W}numId", ""), _value(number, "abstractNumId") or ""
            abstract_key = by_style.get(links.get(abstract_key, ""), abstract_key)
            if abstract_key not in self._lists:
                continue
            self._of_list[key] = abstract_key
            for override in number.iterfind(f"{W}lvlOverride"):
                level = _integer(override.get(f"{W}ilvl"), -1)
                if not 0 <= level < LEVELS:
                    continue
                self._overrides.setdefault(key, {}).update(_levels(override))
                start = _value(override, "startOverride")
                if start is not None:
                    self._restarts.setdefault(key, {})[level] = _integer(start, 1)


def format_number(value: int, form: str) -> str:
    """``value`` in one of Word's number formats; formats that English contracts do not use come as digits."""
    if value <= 0 or value > 32_767:
        return str(value)
    match form:
        case "upperRoman":
            return _roman(value)
        case "lowerRoman":
            return _roman(value).lower()
        case "upperLetter":
            return chr(65 + (value - 1) % 26) * min(1 + (value - 1) // 26, 32)
        case "lowerLetter":
            return chr(97 + (value - 1) % 26) * min(1 + (value - 1) // 26, 32)
        case "decimalZero":
            return f"{value:02d}"
        case "ordinal":
            ending = (
                "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
            )
            return f"{value}{ending}"
        case "cardinalText" if value < 100:
            return _words(value).capitalize()
        case "ordinalText" if value < 100:
            head, dash, last = _words(value).rpartition("-")
            last = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
            return f"{head}{dash}{last}".capitalize()
        case "none":
            return ""
    return str(value)


def _words(value: int) -> str:
    if value < 20:
        return _ONES[value]
    return _TENS[value // 10] + (f"-{_ONES[value % 10]}" if value % 10 else "")


def _roman(value: int) -> str:
    letters = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))  # fmt: skip
    printed = ""
    for number, letter in letters:
        count, value = divmod(value, number)
        printed += letter * count
    return printed


def _levels(parent: _Element) -> Iterator[tuple[int, Level]]:
    for level in parent.iterfind(f"{W}lvl"):
        index = _integer(level.get(f"{W}ilvl"), -1)
        if 0 <= index < LEVELS:
            restart = _value(level, "lvlRestart")
            yield (
                index,
                Level(
                    format=_value(level, "numFmt") or "decimal",
                    text=_value(level, "lvlText") or "",
                    start=_integer(_value(level, "start"), 1),
                    suffix=_value(level, "suff") or "tab",
                    legal=_on(level.find(f"{W}isLgl")),
                    restart=_integer(restart, 0) if restart is not None else None,
                    style=_value(level, "pStyle"),
                ),
            )


def _styles(root: _Element | None) -> dict[str, Style]:
    """Paragraph styles by id, each with what it inherits."""
    if root is None:
        return {}
    elements = {style.get(f"{W}styleId", ""): style for style in root.iterfind(f"{W}style")}
    styles: dict[str, Style] = {}
    for key in elements:
        chain: list[_Element] = []
        seen: set[str] = set()
        current: str | None = key
        while (
            current and current in elements and current not in seen
        ):  # a hostile file can inherit in a circle
            seen.add(current)
            chain.append(elements[current])
            current = _value(elements[current], "basedOn")
        style = Style(name=(_value(elements[key], "name") or "").lower())
        for element in reversed(chain):
            properties = element.find(f"{W}pPr")
            if properties is None:
                continue
            number = properties.find(f"{W}numPr")
            if number is not None:
                style.list_id = _value(number, "numId") or style.list_id
                level = _value(number, "ilvl")
                style.level = _integer(level, 0) if level is not None else style.level
            outline = _value(properties, "outlineLvl")
            style.outline = _integer(outline, 9) if outline is not None else style.outline
        styles[key] = style
    return styles


def _value(parent: _Element | None, tag: str) -> str | None:
    child = parent.find(f"{W}{tag}") if parent is not None else None
    return child.get(f"{W}val") if child is not None else None


def _on(element: _Element | None) -> bool:
    """A switch such as ``w:isLgl``: on when it is there, unless it says otherwise."""
    return element is not None and element.get(f"{W}val", "true") not in ("0", "false", "off")


def _integer(text: str | None, default: int) -> int:
    try:
        return int(text) if text is not None and len(text) < 12 else default
    except ValueError:
        return default
