from __future__ import annotations

import time
from datetime import date

import pytest

from doyen_documents.tables.model import Word
from doyen_finance.statements.concepts import concept_of
from doyen_finance.statements.headings import column_times
from doyen_finance.statements.layout import Column, find_lines
from doyen_finance.statements.periods import months_before, phrases
from doyen_finance.statements.titles import Kind, is_end, title_of
from doyen_finance.statements.units import Units, currencies_of, units_of


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("CONSOLIDATED BALANCE SHEETS (Dollars in millions, except per share data)", "balance"),
        ("Condensed Consolidated Statements of Financial Condition", "balance"),
        ("INCOME STATEMENTS", "income"),
        ("STATEMENTS OF CONSOLIDATED INCOME", "income"),
        ("Consolidated Statements of Operations and Comprehensive Income (Loss)", "income"),
        ("Example Corp. Consolidated Statements of Cash Flows", "cash_flow"),
        ("Consolidated Statements of Comprehensive Income/(Loss)", "comprehensive"),
        ("STOCKHOLDERS’ EQUITY STATEMENTS", "equity"),
        ("Consolidated Statements of Operations and Comprehensive (Loss) Income", "income"),
        ("Consolidated Statements of Income/(Loss)", "income"),
        ("Consolidated Statements of Net Loss", "income"),
        ("Consolidated Statements of Stockholders’ (Deficit) Equity", "equity"),
        ("Consolidated Statements of Condition", "balance"),
        ("综合财务状况表", "balance"),
        ("Consolidated Statements of Redeemable Noncontrolling Interests and Equity", "equity"),
        ("二、合并资产负债表", "balance"),
        ("合并及母公司利润表", "income"),
        ("合并股东权益变动表（续）", "equity"),
    ],
)
def test_titles(line: str, kind: Kind) -> None:
    title = title_of(line)
    assert title is not None
    assert (title.kind, title.scope) == (kind, "consolidated")


def test_titles_of_the_parent_and_of_a_continuation() -> None:
    parent, continued = (
        title_of("母公司现金流量表"),
        title_of("CONSOLIDATED STATEMENT OF EQUITY – (CONTINUED)"),
    )
    assert parent is not None
    assert parent.scope == "parent"
    assert continued is not None
    assert continued.continued


NO_TITLES = (
    "", "statements of operations.", "See the consolidated balance sheets", "of which consolidated balance sheets",
    "Consolidated Balance Sheets (Parenthetical)", "Notes to Consolidated Financial Statements",
)  # fmt: skip


def test_a_hostile_title_is_told_in_time() -> None:
    started = time.process_time()
    assert title_of("Balance sheets" + " in a" * 28 + "!") is None
    assert time.process_time() - started < 2


@pytest.mark.parametrize("line", NO_TITLES)
def test_no_titles(line: str) -> None:
    assert title_of(line) is None


@pytest.mark.parametrize(
    ("text", "months", "weeks"),
    [
        ("12 Weeks Ended", 3, 12), ("Sixteen weeks ended", 4, 16), ("24 weeks ended", 6, 24),
        ("36 Weeks Ended", 8, 36), ("Thirteen Weeks Ended", 3, 13), ("53 weeks", 12, 53), ("12 Months Ended", 12, None),
    ],
)  # fmt: skip
def test_weeks_are_no_months(text: str, months: int, weeks: int | None) -> None:
    assert [(p.months, p.weeks) for p in phrases(text)] == [(months, weeks)]


def test_ends() -> None:
    assert is_end("See accompanying Notes to Condensed Consolidated Financial Statements.")
    assert is_end("法定代表人：张三 主管会计工作负责人：李四")
    assert not is_end("Total assets")


@pytest.mark.parametrize(
    ("heading", "units"),
    [
        ("(In millions, except per share data)", Units(10**6, 10**6)),
        ("Thousands of U.S. dollars", Units(1000, 1000)),
        ("€ million", Units(10**6, 10**6)),
        ("RMB’000", Units(1000, 1000)),
        ("In 000s", Units(1000, 1000)),
        ("(in thousands, except share and per share data)", Units(1000, 1)),
        ("(In millions, except number of shares, which are reflected in thousands, and per-share amounts)", Units(10**6, 1000)),
        ("(Dollars in millions)", Units(10**6, 10**6)),
        ("($000s)", Units(1000, 1000)),
        ("单位：千元 币种：人民币", Units(1000, 1000)),
        ("单位:万元", Units(10**4, 10**4)),
        ("单位：元", Units(1, 1)),
        ("(Unaudited)", None),
    ],
)  # fmt: skip
def test_units(heading: str, units: Units | None) -> None:
    assert units_of(heading) == units


def test_currencies() -> None:
    assert currencies_of("单位：千元 币种：人民币") == {"CNY"}
    assert currencies_of("in millions of euros and U.S. dollars") == {"EUR", "USD"}
    assert currencies_of("($ in millions)") == set()


def test_phrases_of_time() -> None:
    def found(text: str) -> list[tuple[int | None, ...]]:
        return [(p.months, p.month, p.day, p.year, p.relative) for p in phrases(text)]

    assert found("Three Months Ended June 30, 2025") == [
        (3, None, None, None, None),
        (None, 6, 30, 2025, None),
    ]
    assert found("52 Weeks Ended") == [(12, None, None, None, None)]
    assert found("Year Ended December") == [(12, None, None, None, None), (None, 12, 31, None, None)]
    assert found("2024 2023") == [(None, None, None, 2024, None), (None, None, None, 2023, None)]
    assert found("2020 年 12 月 31 日") == [(None, 12, 31, 2020, None)]
    assert found("2020年1-6月") == [(None, None, None, 2020, None), (6, None, None, None, None)]
    assert found("期末余额 期初余额") == [(None, None, None, None, 0), (None, None, None, None, -1)]
    assert found("Level 3, 1,999 shares") == []


@pytest.mark.parametrize(
    ("end", "months", "start"),
    [
        (date(2025, 6, 30), 3, date(2025, 4, 1)), (date(2025, 2, 28), 12, date(2024, 3, 1)),
        (date(2024, 12, 31), 12, date(2024, 1, 1)), (date(2025, 7, 27), 6, date(2025, 1, 28)),
    ],
)  # fmt: skip
def test_first_day_of_a_duration(end: date, months: int, start: date) -> None:
    assert months_before(end, months) == start


@pytest.mark.parametrize(
    ("kind", "label", "path", "concept"),
    [
        ("balance", "Total liabilities, redeemable noncontrolling interests and equity", (), "liabilities_and_equity"),
        ("balance", "负债和所有者权益（或股东权益）总计", (), "liabilities_and_equity"),
        ("balance", "流动资产合计", (), "current_assets"),
        ("income", "Basic", ("Net income per share:",), "eps_basic"),
        ("income", "Basic", ("Weighted-average shares outstanding:",), "shares_basic"),
        ("income", "四、利润总额（亏损总额以“－”号填列）", (), "pretax_income"),
        ("cash_flow", "Net cash (used in) provided by financing activities", (), "net_financing"),
        ("cash_flow", "六、期末现金及现金等价物余额", (), "cash_end"),
        ("equity", "Net income", (), None),
    ],
)  # fmt: skip
def test_concepts(kind: Kind, label: str, path: tuple[str, ...], concept: str | None) -> None:
    assert concept_of(kind, label, path) == concept


@pytest.mark.parametrize(
    ("title", "headings", "ends"),
    [
        ("2020年6月30日", "期末余额 期初余额", [(None, date(2020, 6, 30)), (None, date(2019, 12, 31))]),
        ("2020年1-6月", "本期发生额 上期发生额", [(6, date(2020, 6, 30)), (6, date(2019, 6, 30))]),
        ("2020年度", "本期金额 上期金额", [(12, date(2020, 12, 31)), (12, date(2019, 12, 31))]),
    ],
)
def test_columns_named_by_this_and_the_last_period(
    title: str, headings: str, ends: list[tuple[int | None, date]]
) -> None:
    columns = [Column(left=380, edge=450), Column(left=480, edge=550)]
    words = [Word(title, 250, 20, 330, 30)]
    words += [Word(text, c.left, 40, c.edge, 50) for text, c in zip(headings.split(), columns, strict=True)]
    times = column_times(find_lines(words), columns)
    assert [(time.months, time.end) for time in times] == ends
