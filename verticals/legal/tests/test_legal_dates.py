from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_legal.dates import key_dates
from doyen_legal.extract.types import Clause
from doyen_schemas import Document, Finding


def dates_of(clauses: dict[str, str], *, on: date | None = None, before: str = "") -> dict[str, Finding]:
    """The dates of a document that consists of ``before`` and the clauses, one a line."""
    text, spans = before, []
    for label, clause in clauses.items():
        text += "\n"
        spans.append(Clause(label, len(text), len(text) + len(clause), 0.9))
        text += clause
    document = Document(sha256="0", name="t", media_type="text/plain", text=text)
    found = key_dates(document, spans, on=on)
    for finding in found:
        for evidence in (*finding.evidence, *finding.related):
            assert document.text[evidence.start : evidence.end] == evidence.quote
    return {finding.id: finding for finding in found}


def value(finding: Finding) -> str | None:
    return finding.value.text if finding.value else None


START = {"Effective Date": "effective as of March 1, 2024"}


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("This Agreement shall expire on June 30, 2026.", "2026-06-30"),
        ("The term is three (3) years from the Effective Date.", "2027-03-01"),
        ("shall continue until the fifth anniversary of the date hereof", "2029-03-01"),
        ("The term begins on January 31, 2024 and lasts one (1) month.", "2024-02-29"),
        ("commence on April 1, 2024 and end on March 31, 2025", "2025-03-31"),
        ("Either Party may terminate on thirty (30) days' notice; the initial term is two (2) years.", "2026-03-01"),
        ("for an initial term of two (2) years and renews for successive one (1) year terms", "2026-03-01"),
    ],
)  # fmt: skip
def test_expiry(clause: str, expected: str) -> None:
    found = dates_of({**START, "Expiration Date": clause})["date-expiry"]
    assert value(found) == expected
    assert expected in found.message
    assert found.evidence[0].quote == clause


@pytest.mark.parametrize(
    ("clauses", "reason"),
    [
        ({"Expiration Date": "The term is three (3) years."}, "no effective or agreement date"),
        ({**START, "Expiration Date": "three years from the Launch Date"}, "event whose date"),
        ({**START, "Expiration Date": "continues in perpetuity until terminated"}, "until it is terminated"),
        ({**START, "Renewal Term": "renews for one (1) year"}, "no clause states an expiration date"),
    ],
)
def test_missing_input_is_unknown_not_guessed(clauses: dict[str, str], reason: str) -> None:
    found = dates_of(clauses)["date-expiry"]
    assert found.value is None
    assert found.status == "needs_review"
    assert reason in found.message


def test_defined_date_is_looked_up() -> None:
    found = dates_of(
        {**START, "Expiration Date": "two (2) years from the Commencement Date"},
        before="The services start on May 15, 2024 (the “Commencement Date”).",
    )["date-expiry"]
    assert value(found) == "2026-05-15"
    assert found.related[0].quote == "May 15, 2024"


def test_stated_date_that_contradicts_the_term_needs_review() -> None:
    clause = "an initial term of three (3) years, expiring on February 28, 2026"
    found = dates_of({**START, "Expiration Date": clause})["date-expiry"]
    assert value(found) == "2026-02-28"
    assert found.status == "needs_review"
    assert "2027-03-01" in found.message


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("at least ninety (90) days prior to the end of the term", "2026-04-01"),
        ("not less than three (3) months before the expiry", "2026-03-30"),
        ("not more than 120 days and not less than 110 days before the end", "2026-03-12"),
        ("upon five (5) business days' prior written notice", "2026-06-23"),
    ],
)
def test_notice_is_counted_back_from_the_end(clause: str, expected: str) -> None:
    found = dates_of(
        {
            **START,
            "Expiration Date": "expires on June 30, 2026",
            "Notice Period To Terminate Renewal": clause,
        }
    )
    assert value(found["date-notice"]) == expected


def test_notice_of_a_computed_term_takes_the_safe_side() -> None:
    found = dates_of(
        {
            **START,
            "Expiration Date": "two (2) years from the Effective Date",
            "Notice Period To Terminate Renewal": "thirty (30) days' notice",
        }
    )
    assert value(found["date-expiry"]) == "2026-03-01"
    assert value(found["date-notice"]) == "2026-01-29"  # 30 days before 28 February


def test_automatic_renewal_rolls_forward() -> None:
    clauses = {
        **START,
        "Expiration Date": "expires on June 30, 2025",
        "Renewal Term": "shall automatically renew for successive one (1) year terms",
        "Notice Period To Terminate Renewal": "sixty (60) days' prior notice",
    }
    assert value(dates_of(clauses)["date-renewal"]) == "2025-06-30"
    rolled = dates_of(clauses, on=date(2026, 11, 22))
    assert value(rolled["date-renewal"]) == "2027-06-30"
    assert value(rolled["date-notice"]) == "2027-04-30"
    assert "after 2 renewals" in rolled["date-renewal"].message


def test_limited_and_optional_renewals() -> None:
    limited = {
        "Effective Date": "effective as of March 1, 2018",
        "Expiration Date": "expires on June 30, 2020",
        "Renewal Term": "shall automatically renew for two (2) successive one-year periods",
    }
    found = dates_of(limited, on=date(2026, 1, 1))["date-renewal"]
    assert found.value is None
    assert "2022-06-30" in found.message
    optional = {**limited, "Renewal Term": "may be extended at Buyer's option for one (1) year"}
    found = dates_of(optional, on=date(2026, 1, 1))["date-renewal"]
    assert value(found) == "2020-06-30"
    assert "by option or agreement" in found.message


def test_no_clauses_no_dates() -> None:
    assert dates_of(START) == {}


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_gives_dates_or_unknown(expiry: str, renewal: str) -> None:
    found = dates_of(
        {"Effective Date": "May 1, 9998", "Expiration Date": expiry + " 9999 years", "Renewal Term": renewal}
    )
    assert "date-expiry" in found
