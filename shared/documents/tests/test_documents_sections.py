from __future__ import annotations

import pytest

from doyen_documents import from_text
from doyen_documents.sections import Heading, begins_section, find_sections, roman_value

AGREEMENT = """SUPPLY AGREEMENT

This Agreement is made by the parties.

ARTICLE I
DEFINITIONS

1.1 "Affiliate" means any entity.

1.2 Interpretation. Headings are for convenience:
(a) words in the singular include the plural; and
(b) the following do not limit:
(i) examples; and
(ii) lists.

ARTICLE II - SUPPLY

Section 2.1 Orders. The Buyer orders as set out in
Section 1.2 shall not be read as a heading.

2.2 Minimum purchase. Buyer shall buy (i) pumps; (ii) valves; and (iii) pipes. As Section 2.1(a) and (b) say.

2.2.1 Shortfall. Buyer pays.

EXHIBIT A

PRICES

1. Pumps. USD 5.
2. Valves. USD 6.
"""


def test_numbering_and_paths() -> None:
    document = from_text(AGREEMENT)
    assert [(s.number, s.path, s.title) for s in document.sections] == [
        ("", "", "SUPPLY AGREEMENT"),
        ("I", "I", "DEFINITIONS"),
        ("1.1", "1.1", ""),
        ("1.2", "1.2", "Interpretation"),
        ("(a)", "1.2(a)", ""),
        ("(b)", "1.2(b)", ""),
        ("(i)", "1.2(b)(i)", ""),
        ("(ii)", "1.2(b)(ii)", ""),
        ("II", "II", "SUPPLY"),
        ("2.1", "2.1", "Orders"),
        ("2.2", "2.2", "Minimum purchase"),
        ("(i)", "2.2(i)", ""),
        ("(ii)", "2.2(ii)", ""),
        ("(iii)", "2.2(iii)", ""),
        ("2.2.1", "2.2.1", "Shortfall"),
        ("Exhibit A", "Exhibit A", "PRICES"),
        ("1", "Exhibit A 1", "Pumps"),
        ("2", "Exhibit A 2", "Valves"),
    ]


def test_each_section_ends_where_the_next_of_its_level_starts() -> None:
    document = from_text(AGREEMENT)
    by_path = {s.path: s for s in document.sections}
    assert by_path["I"].end == by_path["II"].start
    assert by_path["1.2"].end == by_path["II"].start
    assert by_path["1.2(a)"].end == by_path["1.2(b)"].start
    assert by_path["2.2"].end == by_path["Exhibit A"].start
    assert by_path["Exhibit A"].end == len(document.text)
    article = by_path["I"]
    assert document.text[article.start : article.heading_end] == "ARTICLE I\nDEFINITIONS"


def test_a_letter_after_h_is_no_roman_numeral() -> None:
    text = "1. List:\n" + "".join(f"({letter}) item {letter};\n" for letter in "abcdefghijk")
    assert [s.path for s in from_text(text).sections][1:] == [f"1({letter})" for letter in "abcdefghijk"]


def test_contents_are_no_sections() -> None:
    contents = "TABLE OF CONTENTS\n1. Term ........ 1\n2. Fees\t2\n3. Law\n"
    body = "".join(
        f"{n}. {title}. {'Text of it. ' * 40}\n\n" for n, title in enumerate(("Term", "Fees", "Law"), start=1)
    )
    sections = from_text(contents + body).sections
    assert [s.path for s in sections if s.path] == ["1", "2", "3"]
    assert all(s.start >= len(contents) for s in sections if s.number)


def test_a_filing_tag_and_a_list_of_exhibits_open_no_exhibit() -> None:
    text = (
        "Exhibit 10.2\n\nAGREEMENT\n\nExhibit A Prices\n\n1. Term. One year.\n"
        + "x " * 400
        + "\n\nExhibit A\n\n1. Pumps.\n"
    )
    assert [s.path for s in from_text(text).sections if s.path] == ["1", "Exhibit A", "Exhibit A 1"]


@pytest.mark.parametrize(
    "line",
    [
        "Section 4.2 shall apply to",
        "(a) of this Section",
        "(b), (c) and (d)",
        "14 Main Street",
        "2005. The",
        "Schedule 1 sets out",
        "4.2 million",
    ],
)
def test_wrapped_references_begin_no_section(line: str) -> None:
    assert not begins_section(line)


@pytest.mark.parametrize(
    "line",
    ["Section 4.2 Fees", "ARTICLE IV", "4.2 Fees", "(iv) the fee", "Schedule 1", "12. Law", "a) the fee"],
)
def test_section_starts(line: str) -> None:
    assert begins_section(line)


def test_signatories_are_no_titles() -> None:
    text = "GOVERNING LAW\n\nDelaware.\n\nACME PUMPS, INC.\n\nBY: /S/ J DOE\n[SIGNATURE PAGE]\n"
    assert [s.title for s in from_text(text).sections] == ["GOVERNING LAW"]


def test_headings_that_the_format_marks() -> None:
    text = "Our services\n\nWe serve.\n\nFees\n\nYou pay."
    sections = find_sections(text, [Heading(0, 12, 1), Heading(25, 29, 2)])
    assert [(s.title, s.level, text[s.start : s.end].strip()[-4:]) for s in sections] == [
        ("Our services", 1, "pay."),
        ("Fees", 2, "pay."),
    ]


@pytest.mark.parametrize(
    ("label", "value"),
    [("iv", 4), ("IX", 9), ("xl", 40), ("c", 100), ("iiii", None), ("abc", None), ("", None)],
)
def test_roman(label: str, value: int | None) -> None:
    assert roman_value(label) == value
