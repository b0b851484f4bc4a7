from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_finance.statements.numbers import parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,516, 034, 246.28", "1516034246.28"),
        ("1,51 6,034", "1516034"),
        ("1 516 034", "1516034"),
        ("1\u00a0516\u202f034,5", "1516034.5"),
        ("1'234'567.80", "1234567.80"),
        ("１，２３４．５", "1234.5"),
        ("(1,234)", "-1234"),
        ("( 1,234 )", "-1234"),
        ("（1,234）", "-1234"),
        ("(1,234", "-1234"),
        ("1,234)", "-1234"),
        ("$ (1,234)", "-1234"),
        ("($1,234)", "-1234"),
        ("(1.5)%", "-1.5"),
        ("-1,234", "-1234"),
        ("−1,234", "-1234"),
        ("1,234-", "-1234"),
        ("△1,234", "-1234"),
        ("+12.5", "12.5"),
        (".25", "0.25"),
        ("1,234 (2)", "1234"),
        ("(1,234)(a)", "-1234"),
        ("1,234¹", "1234"),
        ("1,234*", "1234"),
        ("(1)", "-1"),
        ("1.234,56", "1234.56"),
        ("1.234.567", "1234567"),
        ("0,75", "0.75"),
        ("12,34,567", "1234567"),
        ("3.5亿元", "350000000"),
        ("1,200万", "12000000"),
        ("人民币5,000元", "5000"),
        ("US$1.2 billion", "1200000000"),
        ("£3m", "3000000"),
        ("2024", "2024"),
        ("12,34", "12.34"),
        ("46,743 $", "46743"),
    ],
)
def test_value(text: str, value: str) -> None:
    number = parse_number(text)
    assert number is not None
    assert number.value == Decimal(value)
    assert not number.is_nil


@pytest.mark.parametrize("text", ["-", "—", "–", "$ —", "—%", "--", "( — )", "nil", "－"])
def test_dash_is_nil(text: str) -> None:
    number = parse_number(text)
    assert number is not None
    assert number.value == 0
    assert number.is_nil


OTHER_TEXT = [
    "",
    " ",
    "$",
    "1,234 5,678",
    "2024 2023",
    "1,2345,678",
    "N/A",
    "Note 3",
    "1.2.3",
    "()",
    "(",
    "%",
]
LONG_OR_MIXED = ["9" * 31, "1" * 100, "١٢٣", "Level 3", "10-K", "June 30, 2024", "12/31/2024", "(1,234) 5"]


@pytest.mark.parametrize("text", OTHER_TEXT + LONG_OR_MIXED)
def test_not_one_number(text: str) -> None:
    assert parse_number(text) is None


def test_percent_and_currency() -> None:
    percent = parse_number("12.5 %")
    assert percent is not None
    assert (percent.value, percent.is_percent) == (Decimal("12.5"), True)
    for text, code in [
        ("HK$5", "HKD"),
        ("€ 5", "EUR"),
        ("￥5", "CNY"),
        ("5元", "CNY"),
        ("USD 5", "USD"),
        ("5", None),
    ]:
        number = parse_number(text)
        assert number is not None
        assert number.currency == code


def test_decimal_comma_where_it_is_stated() -> None:
    number = parse_number("1.234", decimal_comma=True)
    assert number is not None
    assert number.value == 1234
    number = parse_number("1,234", decimal_comma=True)
    assert number is not None
    assert number.value == Decimal("1.234")


amounts = st.decimals(min_value=0, max_value=10**15, places=2, allow_nan=False, allow_infinity=False)


@given(amounts, st.booleans(), st.sampled_from(["", "$", "¥", "€"]), st.randoms())
def test_printed_forms_come_back(amount: Decimal, negative: bool, sign: str, random) -> None:  # type: ignore[no-untyped-def]
    printed = f"{amount:,.2f}"
    # OCR and PDF text put spaces after the marks of a number.
    printed = "".join(c + (" " if c in ",." and random.random() < 0.5 else "") for c in printed)
    number = parse_number(f"({sign}{printed})" if negative else f"{sign} {printed}")
    assert number is not None
    assert number.value == (-amount if negative else amount)


@given(amounts)
def test_full_width_is_the_same_number(amount: Decimal) -> None:
    printed = f"{amount:,.2f}"
    wide = printed.translate({ord(c): ord(c) - 0x20 + 0xFF00 for c in "0123456789,.-"})
    assert parse_number(wide) == parse_number(printed)


@given(st.text(max_size=100))
def test_any_text_gives_a_number_or_none(text: str) -> None:
    number = parse_number(text)
    assert number is None or number.value.is_finite()
