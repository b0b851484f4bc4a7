"""The forms that contracts use, each with its value, and properties that hold for any text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doyen_legal.normalise import (
    Mention,
    add_duration,
    approximate_days,
    bench,
    find_amounts,
    find_dates,
    find_durations,
    find_governing_laws,
    find_jurisdictions,
    find_percents,
    parse_duration,
    parse_number,
)
from doyen_legal.normalise.numbers import parse_digits, parse_words
from doyen_schemas import DoyenError

Finder = Callable[[str], list[Mention]]
FINDERS: tuple[Finder, ...] = (
    find_dates, find_amounts, find_durations, find_percents, find_jurisdictions, find_governing_laws,
)  # fmt: skip


def only(finder: Finder, text: str) -> tuple[str, str, str | None]:
    (mention,) = finder(text)
    return text[mention.start : mention.end], mention.value.text, mention.value.unit


@pytest.mark.parametrize(
    ("text", "covered", "value", "unit"),
    [
        ("this 8th day of May 2014 by", "8th day of May 2014", "2014-05-08", None),
        ("dated May 8, 2014.", "May 8, 2014", "2014-05-08", None),
        ("on 8 May 2014", "8 May 2014", "2014-05-08", None),
        ("on 5/8/14 we", "5/8/14", "2014-05-08", "M/D"),
        ("on 20/12/2019", "20/12/2019", "2019-12-20", None),
        ("on 5/25/2016", "5/25/2016", "2016-05-25", None),
        ("as of the 1st day of January, 2000", "1st day of January, 2000", "2000-01-01", None),
        ("the first day of January, 2000", "first day of January, 2000", "2000-01-01", None),
        ("twenty-first day of June, 2001", "twenty-first day of June, 2001", "2001-06-21", None),
        ("14t h day of April, 2015", "14t h day of April, 2015", "2015-04-14", None),
        ("July 11 , 2006", "July 11 , 2006", "2006-07-11", None),
        ("June\n1,1999", "June\n1,1999", "1999-06-01", None),
        ("22 Dec. 2017", "22 Dec. 2017", "2017-12-22", None),
        ("2014-05-08", "2014-05-08", "2014-05-08", None),
        ("am 08.05.2014", "08.05.2014", "2014-05-08", None),
        ("_____ day of May, 2014", "_____ day of May, 2014", "2014-05", None),
        ("May __, 2014", "May __, 2014", "2014-05", None),
        ("in May of 2014", "May of 2014", "2014-05", None),
        ("for calendar year 2014", "calendar year 2014", "2014", None),
    ],
)
def test_dates(text: str, covered: str, value: str, unit: str | None) -> None:
    assert only(find_dates, text) == (covered, value, unit)


@pytest.mark.parametrize(
    "text", ["February 30, 2010", "you may 2010 times", "Section 4.2.2014", "5.8.14", "13/13/13"]
)
def test_not_dates(text: str) -> None:
    assert find_dates(text) == []


def test_day_first_by_parameter() -> None:
    (mention,) = find_dates("5/8/14", month_first=False)
    assert (mention.value.text, mention.value.unit) == ("2014-08-05", "D/M")


def test_two_digit_years_pivot_as_posix_has_it() -> None:
    assert [only(find_dates, text)[1] for text in ("12/31/98", "12/31/45")] == ["1998-12-31", "2045-12-31"]


@pytest.mark.parametrize(
    ("text", "covered", "value", "unit"),
    [
        ("pay $1,500,000 now", "$1,500,000", "1500000", "USD"),
        ("US$ 2.5 million", "US$ 2.5 million", "2500000", "USD"),
        ("120.000 USD", "120.000 USD", "120000", "USD"),
        ("EUR 1.234.567,89", "EUR 1.234.567,89", "1234567.89", "EUR"),
        (
            "Five Hundred Thousand Dollars ($500,000)",
            "Five Hundred Thousand Dollars ($500,000)",
            "500000",
            "USD",
        ),
        ("one million (1,000,000) dollars", "one million (1,000,000) dollars", "1000000", "USD"),
        ("One Thousand and 50/100 Dollars", "One Thousand and 50/100 Dollars", "1000.5", "USD"),
        ("£5,000", "£5,000", "5000", "GBP"),
        ("¥100,000", "¥100,000", "100000", "JPY"),
        ("RMB 3,000,000", "RMB 3,000,000", "3000000", "CNY"),
        ("CDN$500", "CDN$500", "500", "CAD"),
        ("$0.05 per share", "$0.05 per share", "0.05", "USD/share"),
        ("$1.125 per unit", "$1.125 per unit", "1.125", "USD/unit"),
        ("$120.000", "$120.000", "120000", "USD"),
        ("$500, 100 units", "$500", "500", "USD"),
        ("five cents", "five cents", "0.05", "USD"),
        ("$25K", "$25K", "25000", "USD"),
    ],
)
def test_amounts(text: str, covered: str, value: str, unit: str) -> None:
    assert only(find_amounts, text) == (covered, value, unit)


def test_yen_sign_is_yuan_in_a_chinese_contract() -> None:
    assert find_amounts("in the People's Republic of China, a fee of ¥100,000")[0].value.unit == "CNY"


@pytest.mark.parametrize("finder", [find_amounts, find_durations])
def test_words_count_before_figures(finder: Finder) -> None:
    text = {find_amounts: "Fifty Thousand Dollars ($60,000)", find_durations: "thirty (60) days"}[finder]
    assert only(finder, text)[1] in ("50000", "P30D")


@pytest.mark.parametrize(
    ("text", "covered", "value", "unit"),
    [
        ("within thirty (30) days", "thirty (30) days", "P30D", None),
        ("two (2) consecutive twelve-month periods", "two (2) consecutive twelve-month", "P12M", "2 periods"),
        (
            "two (2) successive terms of five years",
            "two (2) successive terms of five years",
            "P5Y",
            "2 periods",
        ),
        ("successive one (1) year periods", "one (1) year", "P1Y", "successive"),
        ("eighteen months", "eighteen months", "P18M", None),
        ("five (5) business days", "five (5) business days", "P5D", "business days"),
        ("ninety (90) calendar days", "ninety (90) calendar days", "P90D", None),
        ("48 hours", "48 hours", "PT48H", None),
        ("six weeks", "six weeks", "P6W", None),
        ("two quarters", "two quarters", "P6M", None),
        ("one (1) year and six (6) months", "one (1) year and six (6) months", "P1Y6M", None),
        ("a period of two years (2)", "two years (2)", "P2Y", None),
        ("two and one-half (2 1/2) years", "two and one-half (2 1/2) years", "P30M", None),
        ("half a year", "half a year", "P6M", None),
        ("3~year periods", "3~year", "P3Y", None),
        ("on a year to year basis", "year to year", "P1Y", "successive"),
        ("30-day", "30-day", "P30D", None),
        ("the fifth (5th) anniversary", "fifth (5th) anniversary", "P5Y", None),
    ],
)
def test_durations(text: str, covered: str, value: str, unit: str | None) -> None:
    assert only(find_durations, text) == (covered, value, unit)


def test_a_list_of_durations_stays_a_list() -> None:
    values = [
        mention.value.text for mention in find_durations("in 4 years, 6 months, or 30 days and 60 days")
    ]
    assert values == ["P4Y", "P6M", "P30D", "P60D"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("five percent (5%)", "5"), ("10%", "10"), ("50 basis points", "0.5"), ("ten per cent", "10"),
        ("one-half of one percent (0.5%)", "0.5"), ("twenty-five (25%) percent", "25"), ("0.125%", "0.125"),
        (".5%", "0.5"), ("one and one-half percent (1.5%)", "1.5"),
    ],
)  # fmt: skip
def test_percents(text: str, value: str) -> None:
    assert only(find_percents, text)[1] == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("governed by the laws of the State of New York, without regard to conflicts of laws", ["New York"]),
        ("governed by the laws of England and Wales", ["England and Wales"]),
        ("construed under the laws of the Commonwealth of Pennsylvania", ["Pennsylvania"]),
        (
            "governed by the laws of Ontario and the federal laws of Canada applicable therein",
            ["Ontario, Canada"],
        ),
        ("GOVERNED BY THE LAWS OF THE STATE OF TEXAS", ["Texas"]),
        ("governed by the law of the PRC", ["People's Republic of China"]),
        ("governed by English law", ["England"]),
        ("governed by the laws of the States of Delaware and Illinois", ["Delaware", "Illinois"]),
        ("governed by the laws of the Hong Kong Special Administrative Region", ["Hong Kong"]),
        ("a corporation organized under the laws of the State of Delaware. It is governed by a board", []),
    ],
)
def test_governing_laws(text: str, values: list[str]) -> None:
    assert [mention.value.text for mention in find_governing_laws(text)] == values


def test_jurisdictions_are_not_streets() -> None:
    values = [
        m.value.text
        for m in find_jurisdictions("123 Washington Street, Jersey City, New Jersey and Washington, D.C.")
    ]
    assert values == ["New Jersey", "District of Columbia"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("one hundred and twenty-five", 125), ("twenty one", 21), ("three hundred sixty-five", 365), ("zero", 0),
        ("two and one-half", Fraction(5, 2)), ("two-thirds", Fraction(2, 3)), ("one million two hundred thousand", 1_200_000),
        ("twenty thirty", None), ("five two", None), ("hundredfold", None), ("", None),
    ],
)  # fmt: skip
def test_words(text: str, value: Fraction | int | None) -> None:
    assert parse_words(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.56", Fraction(123456, 100)), ("1.234,56", Fraction(123456, 100)), ("120.000", 120000), ("0.125", Fraction(1, 8)),
        ("1'000'000", 1_000_000), ("2 1/2", Fraction(5, 2)), ("1½", Fraction(3, 2)), ("12,5", Fraction(25, 2)), ("x", None), ("1/0", None),
    ],
)  # fmt: skip
def test_digits(text: str, value: Fraction | int | None) -> None:
    assert parse_digits(text) == value


def test_number_keeps_the_figure_beside_the_words() -> None:
    number = parse_number("thirty (60)")
    assert number is not None
    assert (number.value, number.figure) == (30, 60)


def test_calendar_arithmetic() -> None:
    assert add_duration(date(2023, 1, 31), "P1M") == date(2023, 2, 28)
    assert add_duration(date(2020, 2, 29), "P1Y6M") == date(2021, 8, 29)
    assert add_duration(date(2020, 1, 1), "P2.5M") == date(2020, 3, 16)
    assert approximate_days("P1Y") == pytest.approx(365.25)
    for wrong in ("", "P", "30 days", "P1X"):
        with pytest.raises(ValueError, match="not an ISO 8601 duration"):
            parse_duration(wrong)


SPELLED = (
    "{:%B} {d}, {:%Y}", "{d} {:%B} {:%Y}", "{d}th day of {:%B}, {:%Y}", "{:%b}. {d}, {:%Y}", "{:%Y-%m-%d}", "{:%m/%d/%Y}",
)  # fmt: skip


@given(day=st.dates(date(1900, 1, 1), date(2099, 12, 31)), form=st.sampled_from(SPELLED))
def test_written_dates_are_read_back(day: date, form: str) -> None:
    text = form.format(day, day, d=day.day) if form.count("{:") > 1 else form.format(day, d=day.day)
    assert [mention.value.text for mention in find_dates(f"on {text} the")] == [day.isoformat()]


@given(amount=st.integers(0, 10**11), cents=st.integers(0, 99), european=st.booleans())
def test_written_amounts_are_read_back(amount: int, cents: int, european: bool) -> None:
    text = f"{amount:,}.{cents:02d}"
    if european:
        text = text.translate(str.maketrans(",.", ".,"))
    (mention,) = find_amounts(f"EUR {text}")
    assert Fraction(mention.value.text) == amount + Fraction(cents, 100)


@given(number=st.integers(1, 999), unit=st.sampled_from(["day", "week", "month", "year"]))
def test_written_durations_are_read_back(number: int, unit: str) -> None:
    assert only(find_durations, f"within {number} {unit}s of")[1] == f"P{number}{unit[0].upper()}"
    parse_duration(f"P{number}{unit[0].upper()}")


TEXT_PIECES = "thirty (30) days | $ | 1,000 | . | , | May | 8 | 2014 | ( | ) | % | percent | laws of | New York | one hundred | half | year | and | 1/0 | ½ | per | USD | 30/30/30 | day of | \n | § | ______ | business | successive | governed by"
PIECES = st.sampled_from(TEXT_PIECES.split(" | "))


@settings(max_examples=200, deadline=None)
@given(
    text=st.one_of(
        st.text(max_size=200),
        st.lists(PIECES, max_size=30).map(" ".join),
        st.lists(PIECES, max_size=30).map("".join),
    )
)
def test_any_text_gives_ordered_mentions_inside_it(text: str) -> None:
    for finder in FINDERS:
        end = 0
        for mention in finder(text):
            assert end <= mention.start < mention.end <= len(text)
            end = mention.end
            again = (
                finder(text[mention.start : mention.end]) if finder is not find_governing_laws else [mention]
            )
            assert finder is find_amounts or again, (finder, text)


def test_bench_counts_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"id": "a"}
    for field, quote, answer in (
        ("Agreement Date", "May 8, 2014", "5/8/14"),
        ("Effective Date", "8 June 2014", "5/8/14"),
        ("Expiration Date", "for a term of two (2) years", "5/8/16"),
        ("Renewal Term", "successive one-year terms", "successive 1 year"),
        ("Notice Period To Terminate Renewal", "ninety (90) days", "90 days"),
        ("Governing Law", "governed by the laws of Nevada", "Nevada"),
    ):
        row[field] = str([quote])
        row[f"{field}- Answer" if field.startswith("Notice") else f"{field}-Answer"] = answer
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps(row) + "\n")
    assert bench.main(["--data", str(path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert {field: figures["agree"] for field, figures in result.items()} == {
        "Agreement Date": 1, "Effective Date": 0, "Expiration Date": 0, "Renewal Term": 1,
        "Notice Period To Terminate Renewal": 1, "Governing Law": 1,
    }  # fmt: skip


def test_bench_answers_bad_input_with_a_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": "a"}\n')
    with pytest.raises(DoyenError, match=r"LEG-010: line 1 of answers\.jsonl has no 'Agreement Date'"):
        bench.bench(path)
    assert bench.main(["--data", str(path)]) == 2
    assert capsys.readouterr().err.startswith("LEG-010")
    assert bench.main(["--data", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize("text", ["a law of victory", "the us and them", "TO ALL", "V. A."])
def test_ordinary_words_are_no_jurisdictions(text: str) -> None:
    assert find_jurisdictions(text) == []
