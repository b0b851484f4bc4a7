"""What a statement must hold: balance, subtotals, cash roll-forward. Failures are flagged; no number is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from doyen_finance.statements.model import Check, Row, Statement, Value

_TOTAL: Final = re.compile(
    r"^total\b|合计$|小计$|总计$|^net cash\b|^cash (?:provided|used)|现金流量净额$", re.IGNORECASE
)
# A subtotal of more rows than this would be found by chance.
MAX_ADDENDS: Final = 40

Cells = Mapping[tuple[int, int], Value]


def checked(statement: Statement) -> Statement:
    """The statement with its checks, and with ``checks_failed`` among its flags where one fails."""
    cells = {(value.row, value.column): value for value in statement.values}
    checks: list[Check] = []
    if statement.kind in ("balance", "cash_flow"):
        for column in statement.columns:
            checks += _identities(statement, cells, column.index)
            checks += _subtotals(statement.rows, cells, column.index)
    elif statement.kind == "income":
        for column in statement.columns:
            checks += _income(statement, cells, column.index)
    flags = statement.flags
    if any(not check.passed for check in checks):
        flags = (*flags, "checks_failed")
    return statement.model_copy(update={"checks": tuple(checks), "flags": flags})


def _unit_of_last_digit(value: Value) -> Decimal:
    exponent = value.value.normalize().as_tuple().exponent
    printed = max(int(exponent) if isinstance(exponent, int) else 0, -2) if value.value else 0
    return max(
        Decimal(value.scale).scaleb(_decimals(value)), Decimal(10) ** printed if printed < 0 else Decimal(0)
    )


def _decimals(value: Value) -> int:
    point = value.raw.rfind(".")
    digits = sum(c.isdigit() for c in value.raw[point:]) if point >= 0 else 0
    return -digits


def _check(name: str, column: int, target: Value, expected: Decimal, terms: Sequence[Value]) -> Check:
    """Rounding may move each term, and the total, by half of its last digit."""
    step = max((_unit_of_last_digit(term) for term in [target, *terms]), default=Decimal(0))
    tolerance = step * (len(terms) + 1) / 2
    return Check(
        name=name, column=column, row=target.row, passed=abs(target.value - expected) <= tolerance,
        expected=expected, found=target.value, tolerance=tolerance,
    )  # fmt: skip


def _first(statement: Statement, cells: Cells, column: int, concept: str) -> Value | None:
    for row in statement.rows:
        if row.concept == concept and (row.index, column) in cells:
            return cells[row.index, column]
    return None


def _identities(statement: Statement, cells: Cells, column: int) -> Iterator[Check]:
    def get(concept: str) -> Value | None:
        return _first(statement, cells, column, concept)

    if statement.kind == "balance":
        assets, total = get("total_assets"), get("liabilities_and_equity")
        if assets and total:
            yield _check("balance", column, total, assets.value, [assets])
            return
        liabilities, equity = get("total_liabilities"), get("total_equity")
        if assets and liabilities and equity:
            yield _check("balance", column, assets, liabilities.value + equity.value, [liabilities, equity])
        return
    begin, end = (
        get("cash_beginning") or _cash_on(statement, cells, column, 0),
        get("cash_end") or _cash_on(statement, cells, column, -1),
    )
    exchange = get("exchange_effect")
    changes = [
        cells[row.index, column]
        for row in statement.rows
        if row.concept == "net_change_in_cash" and (row.index, column) in cells
    ]
    if begin and end and changes:
        # The change is stated before or after the effect of exchange rates, and with or without cash held for sale.
        terms = [
            [begin, change, *extra] for change in changes for extra in ([], [exchange] if exchange else [])
        ]
        yield _best("cash_roll_forward", column, [(end, part) for part in terms])
    flows = [get(name) for name in ("net_operating", "net_investing", "net_financing")]
    if changes and all(flows):
        found = [flow for flow in flows if flow]
        sums = [[*found, *extra] for extra in ([exchange] if exchange else [], [])]
        yield _best("cash_flows", column, [(change, part) for change in changes for part in sums])


def _best(name: str, column: int, sums: Sequence[tuple[Value, Sequence[Value]]]) -> Check:
    """The first of some ways to add up that holds, else the first."""
    checks = [
        _check(name, column, target, sum((t.value for t in terms), Decimal(0)), terms)
        for target, terms in sums
    ]
    return next((check for check in checks if check.passed), checks[0])


def _cash_on(statement: Statement, cells: Cells, column: int, place: int) -> Value | None:
    """The first or last balance of cash in a column: an instant in a statement of durations."""
    found = [
        value
        for row in statement.rows
        if (value := cells.get((row.index, column)))
        and value.period
        and value.period.start is None
        and "cash" in row.label.lower()
    ]
    return found[place] if len(found) == 2 else None


def _income(statement: Statement, cells: Cells, column: int) -> Iterator[Check]:
    pretax, tax, net = (
        _first(statement, cells, column, name) for name in ("pretax_income", "income_tax", "net_income")
    )
    revenue, cost, gross = (
        _first(statement, cells, column, name) for name in ("revenue", "cost_of_revenue", "gross_profit")
    )
    if revenue and cost and gross:
        sign = -1 if cost.value > 0 else 1
        yield _check("gross_profit", column, gross, revenue.value + sign * cost.value, [revenue, cost])
    if pretax and tax and net and net.row - tax.row == 1 and 0 < tax.row - pretax.row <= 2:
        less, plus = (
            _check("net_income", column, net, pretax.value + sign * tax.value, [pretax, tax])
            for sign in (-1, 1)
        )
        yield plus if plus.passed else less


def _subtotals(rows: Sequence[Row], cells: Cells, column: int) -> Iterator[Check]:
    """Each total against the rows above it: as many of them as add up, rows of an earlier total counted by it.

    A total that no such run of rows gives is a failed check, with the sum of the rows since the last total.
    """
    spans: dict[int, int] = {}  # a total's row, and the first row that it covers
    memo = _memo_rows(rows)
    for row in rows:
        target = cells.get((row.index, column))
        if target is None or target.is_nil or not _TOTAL.search(row.label):
            continue
        if row.label.endswith("现金流量净额"):
            yield from _inflows_less_outflows(rows[: row.index], cells, target)
            continue
        runs = list(_runs_above(target, cells, spans, memo))
        found = next((c for terms in runs[1:] if (c := _sum_check(target, terms)).passed), None)
        if found is not None:
            spans[row.index] = next(terms[-1].row for terms in runs[1:] if _sum_check(target, terms).passed)
            yield found
        elif len(runs) > 1 and _plain_total(row):
            last_total = max(spans, default=-1)
            yield _sum_check(target, [term for term in runs[-1] if term.row > last_total] or runs[-1])


def _sum_check(target: Value, terms: Sequence[Value]) -> Check:
    return _check("subtotal", target.column, target, sum((term.value for term in terms), Decimal(0)), terms)


def _runs_above(
    target: Value, cells: Cells, spans: Mapping[int, int], memo: set[int]
) -> Iterator[list[Value]]:
    """The last one, two, three … values above a total; a total among them stands for the rows that it covers."""
    terms: list[Value] = []
    index = target.row - 1
    while index >= 0 and len(terms) < MAX_ADDENDS:
        value = cells.get((index, target.column))
        if value is not None and index not in memo:
            terms.append(value)
            yield list(terms)
        index = spans.get(index, index) - 1


def _inflows_less_outflows(rows: Sequence[Row], cells: Cells, target: Value) -> Iterator[Check]:
    totals = [row.index for row in rows if row.label.endswith("小计")][-2:]
    parts = [value for index in totals if (value := cells.get((index, target.column)))]
    if len(totals) == 2 and parts:
        flows = [part.value if part.row == totals[0] else -part.value for part in parts]
        yield _check("subtotal", target.column, target, sum(flows, Decimal(0)), parts)


def _memo_rows(rows: Sequence[Row]) -> set[int]:
    """Rows that repeat a part of the row above ("其中：") with the deeper rows that go on with it."""
    memo: set[int] = set()
    level: int | None = None
    for row in rows:
        if re.match(r"其中[:：]|of which\b|including:?$", row.label, re.IGNORECASE):
            memo.add(row.index)
            level = row.level
        elif level is not None and row.level > level:
            memo.add(row.index)
        else:
            level = None
    return memo


def _plain_total(row: Row) -> bool:
    """Whether a total adds the rows right above it: a grand total repeats sums of sections further up."""
    return row.concept in (
        "current_assets",
        "current_liabilities",
        "net_operating",
        "net_investing",
        "net_financing",
    )
