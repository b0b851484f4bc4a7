"""Inline XBRL reports to cells of the primary statements: label, period, value as printed, tag (Inline XBRL 1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from lxml import etree

from doyen_schemas import DoyenError

Kind = Literal["balance", "income", "comprehensive", "cash_flow", "equity"]

IX: Final = "{http://www.xbrl.org/2013/inlineXBRL}"
XBRLI: Final = "{http://www.xbrl.org/2003/instance}"
XBRLDI: Final = "{http://xbrl.org/2006/xbrldi}"
XHTML: Final = "{http://www.w3.org/1999/xhtml}"

_ZERO: Final = re.compile(r"(fixed-zero|zerodash|numdash)$")
_COMMA: Final = re.compile(r"(num-comma-decimal|numcommadecimal|numdotcomma)$")
_WORDS: Final = re.compile(r"(numwordsen|num-word-en|numtexten)$")

_HEADINGS: Final[dict[Kind, re.Pattern[str]]] = {
    "cash_flow": re.compile(r"statements? of (?:consolidated )?cash flows?|cash flows? statements?"),
    "comprehensive": re.compile(r"statements? of (?:\w+ ){0,2}comprehensive (?:income|loss|earnings)|comprehensive income statements?"),
    "equity": re.compile(
        r"statements? of (?:changes in )?(?:consolidated )?(?:total )?(?:\w+['’]?s?['’]? ){0,3}(?:equity|deficit|investment|capital)"
    ),
    "balance": re.compile(r"balance sheets?|statements? of (?:consolidated )?financial (?:condition|position)"),
    "income": re.compile(r"statements? of (?:consolidated )?(?:operations|income|earnings)|income statements?"),
}  # fmt: skip
# A bracket after the digits is a note's mark.
_BRACKET: Final = re.compile(r"\D*\(")
# No printed number is longer; an exponent is none.
_NUMBER: Final = re.compile(r"[\d.+-]{1,40}")
_INCOME: Final = {
    "IncomeTaxExpenseBenefit", "OperatingIncomeLoss", "OperatingExpenses", "CostsAndExpenses", "NoninterestExpense",
}  # fmt: skip
# A table with fewer facts is no statement; and a report states at least so many kinds before its notes.
MIN_FACTS: Final = 4
# Characters of text before a table: more than titles are notes, whose first table ends the statements.
PROSE: Final = 500
ENOUGH_KINDS: Final = 3


@dataclass(frozen=True, slots=True)
class Period:
    """An instant (``start`` None) or a duration, both days included."""

    start: date | None
    end: date


@dataclass(frozen=True, slots=True)
class Fact:
    """A number of a statement.

    Attributes:
        label: text of its row's first cell.
        value: as printed: with the sign of its brackets or minus, times ten to the fact's scale. The sign within
            XBRL differs where an element counts outflows as positive; ``element_value`` has that one.
        tags: the element with its prefix; more where one number is tagged more than once.
        members: dimension to member, both without prefix; empty for the whole company.
    """

    kind: Kind
    table: int
    row: int
    label: str
    tags: tuple[str, ...]
    period: Period
    unit: str
    value: Decimal
    element_value: Decimal
    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """The statements' facts of a report, and how many stand inside a row's label and are left out."""

    facts: tuple[Fact, ...]
    in_labels: int


@dataclass(frozen=True, slots=True)
class _Context:
    period: Period
    members: tuple[tuple[str, str], ...]


def read_truth(data: bytes) -> Truth:
    """The facts of the primary statements; an empty one where there are none.

    A table is a statement by the totals that it holds, or by its heading where it continues one. Raises FIN-015
    (no XML).
    """
    parser = etree.XMLParser(
        recover=True, huge_tree=True, resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        root = None
    if root is None:
        raise DoyenError("FIN-015", "the file is no XML.", "Give inline XBRL reports (.htm, .html).")
    contexts = dict(_contexts(root))
    units = dict(_units(root))
    facts: list[Fact] = []
    in_labels = 0
    for number, (kind, table) in enumerate(_statement_tables(root, contexts)):
        for row_number, row in enumerate(table.iter(f"{XHTML}tr")):
            found, skipped = _row_facts(row, kind, number, row_number, contexts, units)
            facts += found
            in_labels += skipped
    return Truth(tuple(facts), in_labels)


def _contexts(root: Any) -> Iterator[tuple[str, _Context]]:
    for node in root.iter(f"{XBRLI}context"):
        instant, start, end = (
            node.findtext(f".//{XBRLI}{name}") for name in ("instant", "startDate", "endDate")
        )
        try:
            if instant:
                period = Period(None, _day(instant))
            else:
                period = Period(_day(start), _day(end))
        except (TypeError, ValueError):
            continue
        members = tuple(
            sorted(
                (_local(m.get("dimension", "")), _local(m.text or ""))
                for m in node.iter(f"{XBRLDI}explicitMember")
            )
        )
        yield node.get("id", ""), _Context(period, members)


def _day(text: str | None) -> date:
    if text is None:
        raise ValueError("no date")
    day = date.fromisoformat(text.strip()[:10])
    return day - timedelta(days=1) if "T00:00:00" in text else day


def _units(root: Any) -> Iterator[tuple[str, str]]:
    for node in root.iter(f"{XBRLI}unit"):
        yield node.get("id", ""), "/".join(_local(m.text or "") for m in node.iter(f"{XBRLI}measure"))


def _local(name: str) -> str:
    return name.strip().rpartition(":")[2]


def _statement_tables(root: Any, contexts: dict[str, _Context]) -> Iterator[tuple[Kind, Any]]:
    """The statements' tables in reading order; the notes' first table with facts ends them."""
    heading = ""
    kinds: set[Kind] = set()
    for table, before in _tables(root):
        tags = list(table.iter(f"{IX}nonFraction"))
        heading = f"{heading} {before}"[-1000:].lower()
        if len(tags) < MIN_FACTS:
            continue
        kind = _kind_by_tags(tags, contexts) or (_kind_by_heading(heading) if kinds else None)
        if kind is not None:
            kinds.add(kind)
            yield kind, table
        elif len(kinds) >= ENOUGH_KINDS and len(heading) > PROSE:
            return
        heading = ""


def _tables(root: Any) -> Iterator[tuple[Any, str]]:
    """Each innermost table, with the text between it and the one before."""
    before: list[str] = []
    inside = 0
    for event, node in etree.iterwalk(root, events=("start", "end")):
        if not isinstance(node.tag, str):
            continue
        is_table = node.tag == f"{XHTML}table" and node.find(f".//{XHTML}table") is None
        if event == "start":
            if is_table:
                yield node, " ".join("".join(before).split())
                before = []
                inside += 1
            elif not inside:
                before.append(node.text or "")
        else:
            inside -= is_table
            if not inside:
                before.append(f" {node.tail or ''}")


def _kind_by_tags(tags: list[Any], contexts: dict[str, _Context]) -> Kind | None:
    """What statement has these elements: the totals that only it holds, for the company as a whole."""
    whole: set[str] = set()
    components: set[str] = set()
    names: set[str] = set()
    instants = 0
    for tag in tags:
        context = contexts.get(tag.get("contextRef", ""))
        if context is None:
            continue
        instants += context.period.start is None
        name = _local(tag.get("name", ""))
        names.add(name)
        if not context.members:
            whole.add(name)
        components |= {m for axis, m in context.members if axis == "StatementEquityComponentsAxis"}
    flows = {
        name[:31]
        for name in whole
        if re.match(r"NetCashProvidedByUsedIn(Operating|Investing|Financing)", name)
    }
    if len(flows) >= 2:
        return "cash_flow"
    if len(components) >= 2 and any(
        re.match(r"Retained|AccumulatedDeficit|CommonStock|Parent", m) for m in components
    ):
        return "equity"
    totals = whole & {"LiabilitiesAndStockholdersEquity", "Assets"}
    if totals and instants >= 0.8 * len(tags) and len(whole) >= 10:
        return "balance"
    per_share = any("EarningsPerShare" in name or "ContinuingOperationsPer" in name for name in names)
    if per_share and len(whole) >= 8 and whole & _INCOME:
        return "income"
    if any(name.startswith("ComprehensiveIncomeNetOfTax") for name in whole):
        return "comprehensive"
    return None


def _kind_by_heading(heading: str) -> Kind | None:
    """The kind of a table that says that it continues a statement."""
    for kind, pattern in _HEADINGS.items():
        if any(
            re.match(r"[^a-z]{0,5}continued", heading[found.end() :]) for found in pattern.finditer(heading)
        ):
            return kind
    return None


def _row_facts(
    row: Any, kind: Kind, table: int, row_number: int, contexts: dict[str, _Context], units: dict[str, str]
) -> tuple[list[Fact], int]:
    """The facts of a row, one a cell, and how many stand inside its label."""
    cells = [cell for cell in row if cell.tag in (f"{XHTML}td", f"{XHTML}th")]
    label = next((text for text in map(_text, cells) if any(c.isalpha() for c in text)), "")
    facts: list[Fact] = []
    in_labels = 0
    for place, cell in enumerate(cells):
        tags = list(cell.iter(f"{IX}nonFraction"))
        if not tags:
            continue
        text = _text(cell)
        if len(text) > len(_text(tags[0])) + 6:
            in_labels += len(tags)
            continue
        context = contexts.get(tags[0].get("contextRef", ""))
        value = _value(tags[0])
        if context is None or value is None:
            continue
        scale = tags[0].get("scale") or "0"
        scaled = value.scaleb(int(scale) if re.fullmatch(r"-?\d{1,2}", scale) else 0)
        beside = _text(cells[place - 1]) if place else ""
        negative = (
            _BRACKET.match(text) is not None
            or text.lstrip("$ ").startswith(("-", "−", "–"))
            or beside.endswith("(")
        )
        facts.append(
            Fact(
                kind=kind, table=table, row=row_number, label=label,
                tags=tuple(dict.fromkeys(tag.get("name", "").strip() for tag in tags)),
                period=context.period, unit=units.get(tags[0].get("unitRef", ""), ""),
                value=-scaled if negative and scaled else scaled,
                element_value=-scaled if tags[0].get("sign") == "-" else scaled, members=context.members,
            )
        )  # fmt: skip
    return facts, in_labels


def _text(node: Any) -> str:
    return " ".join("".join(node.itertext()).split())


def _value(tag: Any) -> Decimal | None:
    """The unsigned value of a fact before its scale, or None for a nil or unreadable one."""
    text = "".join("".join(tag.itertext()).split()).replace("\u00a0", "")
    form = tag.get("format") or ""
    if _ZERO.search(form):
        return Decimal(0)
    if _WORDS.search(form):
        return Decimal(0) if text.lower() in ("no", "none", "nil", "zero") else None
    text = text.replace(".", "").replace(",", ".") if _COMMA.search(form) else text.replace(",", "")
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None
