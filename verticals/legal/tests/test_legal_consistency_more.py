"""Wordings of a fault that a careful reader catches, and the likenesses of them that are none."""

from __future__ import annotations

import pytest

from doyen_legal.consistency import Fault, check
from doyen_schemas import Document

CONTRACT = """SUPPLY AGREEMENT

This Supply Agreement (the "Agreement") is made as of January 1, 2010 (the "Effective Date") by and between
Acme Widget Holdings Corporation, a Delaware corporation ("Supplier"), and Borealis Foods, Inc., a Nevada corporation
("Distributor").

1. Supply. Supplier shall deliver and Distributor shall pay. The list of goods is in Exhibit A.

2. Term. The term of this Agreement begins on the Effective Date and ends on December 31, 2014.

3. Duties. (a) Supplier shall insure. (b) Supplier shall keep records. (c) Supplier shall report.

4. Payment. 4.1 Distributor shall pay within thirty (30) days. 4.2 Late sums bear interest. 4.3 Supplier may set off.

5. Liability. In no event shall the total liability of either party under this Agreement exceed $500,000.

6. Law. This Agreement shall be governed by the laws of the State of New York.

7. General. Distributor shall notify Supplier under Section 4.1. {extra}

IN WITNESS WHEREOF, the parties have signed.

EXHIBIT A
The warehouse at Reno.
"""
NO_EXHIBIT = CONTRACT.replace("\nEXHIBIT A\nThe warehouse at Reno.\n", "").replace(
    " The list of goods is in Exhibit A.", ""
)


def found(extra: str, kind: str, base: str = CONTRACT) -> list[tuple[str, Fault]]:
    text = base.replace("{extra}", extra)
    document = Document(sha256="0" * 64, name="contract.txt", media_type="text/plain", text=text)
    return [(text[fault.start : fault.end], fault) for fault in check(document) if fault.kind == kind]


@pytest.mark.parametrize(
    ("kind", "extra", "place"),
    [
        ("dangling-section", "The limits of this Section 19 apply.", "Section 19"),
        ("dangling-section", "It shall report under Sections 3(b) and 31.", "31"),
        ("dangling-section", "Supplier shall act under Section 3(q).", "Section 3(q)"),
        ("dangling-exhibit", "Supplier shall use the form in Schedule A.", "Schedule A"),
        ("dangling-exhibit", "Supplier shall use the form in Exhibit F.", "Exhibit F"),
        ("date-order", "The term of this Agreement shall not extend beyond June 1, 2009.", "June 1, 2009"),
        (
            "term-arithmetic",
            "Distributor shall repay the sum in thirty-six (36) equal monthly instalments over two (2) years.",
            "thirty-six (36) equal monthly instalments",
        ),
        (
            "term-arithmetic",
            "Each order renews for successive terms of one (1) month unless a party gives sixty (60) days' written notice of non-renewal.",
            "sixty (60) days",
        ),
        (
            "conflicting-law",
            "The arbitrators shall apply the substantive law of the State of Ohio to any dispute under this Agreement.",
            "State of Ohio",
        ),
        ("conflicting-law", "The laws of Ireland shall apply to this Agreement.", "Ireland"),
        ("conflicting-law", "The parties have chosen the laws of Ohio as the law of this Agreement.", "Ohio"),
        (
            "party-name-drift",
            "Notices to Acme Holdings Corporation shall be in writing.",
            "Acme Holdings Corporation",
        ),
        ("party-name-drift", "Sums are paid to Borealis Food, Inc. in full.", "Borealis Food, Inc."),
        ("party-name-drift", "Sums are paid to Jo Smith Borealis Foods, LLC in full.", "Borealis Foods, LLC"),
        (
            "date-order",
            "Distributor may leave at any time between March 1, 2012 and May 1, 2011.",
            "May 1, 2011",
        ),
        (
            "undefined-term",
            "Supplier shall take Reasonable Steps (as defined below) to do so.",
            "Reasonable Steps",
        ),
        (
            "undefined-term",
            "Supplier shall obey the Privacy Laws. Distributor shall report under the Privacy Laws.",
            "Privacy Laws",
        ),
        (
            "conflicting-cap",
            "EXCEPT UNDER SECTION 4.2, THE LIABILITY OF EITHER PARTY UNDER SECTION 4.1 OR OTHERWISE SHALL BE LIMITED TO AN "
            "AMOUNT EQUAL TO THE FEES PAID HEREUNDER.",
            "LIABILITY OF EITHER PARTY",
        ),
    ],
)
def test_the_fault_is_found(kind: str, extra: str, place: str) -> None:
    faults = found(extra, kind)
    assert [fault.note for _, fault in faults] == [False]
    assert place in faults[0][0]


@pytest.mark.parametrize(
    ("kind", "extra"),
    [
        ("dangling-section", "Sums under Sections 8.2(c)(i) through (viii) of the Indenture are due."),
        ("dangling-section", "No debarred person under Section 306 shall serve."),
        ("dangling-section", "This Section 7 applies to Section 3(c)."),
        ("dangling-exhibit", "Supplier shall deliver as set forth in Exhibit A, and AB will pay."),
        ("date-order", "The term of this Agreement shall not extend beyond June 1, 2019."),
        ("term-arithmetic", "Distributor shall pay in twelve (12) monthly instalments over one (1) year."),
        ("term-arithmetic", "The sum is due in four quarterly payments over nine (9) months."),
        (
            "term-arithmetic",
            "Each order renews for terms of one (1) year unless a party gives sixty (60) days' written notice of non-renewal.",
        ),
        ("conflicting-law", "The arbitrators shall apply the substantive law of the State of New York."),
        ("conflicting-law", "The laws of the United States govern the patents under this Agreement."),
        ("party-name-drift", "Borealis Foods, Inc. shall sign."),
        ("party-name-drift", "Sums are paid by Borealis and Borealis Foods, Inc. as one."),
        ("number-word-mismatch", "Supplier shall issue six (6,000,000) million shares."),
        ("dangling-section", "Supplier shall comply with section 37(2) of said act."),
        ("dangling-exhibit", "IT COVERS ANY EXHIBIT OR PAPER OF SUPPLIER."),
        ("undefined-term", "Supplier follows the rules of the Federal Trade Commission."),
        (
            "party-name-drift",
            'Sums are paid to Acme Holdings Corporation, a Nevada corporation ("Parent"), by Parent\'s order.',
        ),
    ],
)
def test_its_likeness_is_left_alone(kind: str, extra: str) -> None:
    assert found(extra, kind) == []


def test_a_cap_without_a_number_conflicts_with_a_sum() -> None:
    extra = (
        "The liability of either party under this Agreement shall be limited to the fees paid by Distributor."
    )
    [(_, fault)] = found(extra, "conflicting-cap")
    assert "the fees paid" in fault.message


def test_one_missing_exhibit_is_a_fault_and_a_file_without_any_gets_a_note() -> None:
    [(place, fault)] = found("The form is in Exhibit A.", "dangling-exhibit", NO_EXHIBIT)
    assert (place, fault.note) == ("Exhibit A", False)
    [(place, fault)] = found("The forms are in Exhibit A and Exhibit B.", "dangling-exhibit", NO_EXHIBIT)
    assert (place, fault.note, len(fault.related)) == ("Exhibit A", True, 1)


TERM = (
    'The "Service Plan" is the plan of Supplier (the "Service Plan"). '
    "Supplier shall follow the Service Plan. The Service Plan shall be kept. Changes of the Service Plan need consent."
    " Both parties accept the Service Plan. "
)
APART = "The parties shall act in good faith and with due care at all times and in all places. " * 12


def test_a_stray_use_in_small_letters_is_a_note_and_one_in_the_terms_place_a_fault() -> None:
    [(place, fault)] = found(
        f"{TERM}{APART}Staff may ask for written service plan copies at Reno.", "case-drift"
    )
    assert (place, fault.note) == ("service plan", True)
    [(place, fault)] = found(f"{TERM}{APART}Supplier shall follow the service plan.", "case-drift")
    assert (place, fault.note) == ("service plan", False)
    assert not found(f"{TERM}{APART}Supplier may offer another service plan.", "case-drift")


def test_capitals_behind_a_determiner_or_before_a_bracket_are_drift() -> None:
    for use in ("Each SERVICE PLAN shall be kept.", "Supplier amends the SERVICE PLAN (if any) at once."):
        [(place, fault)] = found(f"{TERM}{APART}{use}", "case-drift")
        assert (place, fault.note) == ("SERVICE PLAN", False)


def test_a_term_promised_below_and_not_given_is_undefined() -> None:
    [(place, fault)] = found("Supplier keeps Training Records (as defined below) safe.", "undefined-term")
    assert (place, fault.note) == ("Training Records", False)


def test_a_phrase_capitalised_twice_without_a_determiner_is_a_note() -> None:
    extra = (
        "Supplier shall buy Reserved Inventory for resale. Distributor inspects stocks of Reserved Inventory."
    )
    [(place, fault)] = found(extra, "undefined-term")
    assert (place, fault.note) == ("Reserved Inventory", True)
    assert not found(f"{extra} Other reserved inventory is sold.", "undefined-term")


def test_a_cap_in_an_exhibit_is_a_note() -> None:
    clause = " In no event shall the liability of either party under this Agreement exceed $750,000."
    base = CONTRACT.replace("The warehouse at Reno.", f"The warehouse at Reno.{clause}")
    [(_, fault)] = found("", "conflicting-cap", base)
    assert fault.note
    [(_, fault)] = found(clause, "conflicting-cap")
    assert not fault.note


CAPS = {
    "the fees paid": "A party's liability for any claim shall not exceed the sum total of payments made hereunder.",
    "three times the fees": "Each party's entire liability will not exceed three times the fees payable hereunder.",
    "3 % of the fees": "The total liability of each party is limited to three percent (3%) of the value of the goods sold.",
    "an amount left out of this copy": "Neither party's aggregate liability hereunder shall exceed [***].",
}


@pytest.mark.parametrize("value", CAPS)
def test_caps_by_fees_by_multiples_and_caps_left_out_conflict_with_an_amount(value: str) -> None:
    [(_, fault)] = found(CAPS[value], "conflicting-cap")
    assert value in fault.message
    assert fault.note is ("left out" in value)  # nobody knows whether an amount left out is another


def test_a_cap_that_names_an_insurance_as_its_exception_is_a_cap() -> None:
    clause = (
        "Whatever an insurance pays, whether in contract or in tort and on whatever ground the claims are made, "
        "the total liability of each party arising out of this Agreement shall not exceed $750,000."
    )
    assert found(clause, "conflicting-cap")
    assert not found(
        "Supplier keeps liability insurance of up to $750,000 per occurrence.", "conflicting-cap"
    )


def test_many_undefined_terms_are_notes_ten_at_most() -> None:
    names = (
        "Alpha",
        "Beta",
        "Gamma",
        "Delta",
        "Sigma",
        "Omega",
        "Kappa",
        "Theta",
        "Lambda",
        "Zeta",
        "Eta",
        "Iota",
    )
    text = " ".join(
        f"Supplier shall keep the {name} Materials. The parties share {name.lower()} goods." for name in names
    )
    faults = [fault for _, fault in found(text, "undefined-term")]
    assert len(faults) == 10
    assert all(fault.note for fault in faults)
    few = " ".join(text.split(". ")[:4]) + "."
    assert few.count("Materials") == 2
    assert [
        fault.note for _, fault in found(few.replace("Materials The", "Materials. The"), "undefined-term")
    ] == [False, False]


def test_a_word_that_the_contract_itself_writes_small_makes_a_term() -> None:
    use = "Supplier shall return the Zorblat Materials at the end."
    assert not found(use, "undefined-term")
    assert [place for place, _ in found(f"{use} A zorblat is heavy.", "undefined-term")] == [
        "Zorblat Materials"
    ]


def test_a_deadline_in_an_exhibit_before_the_agreement_is_a_note() -> None:
    base = CONTRACT.replace(
        "The warehouse at Reno.", "The warehouse at Reno. Supplier shall deliver by May 1, 2008."
    )
    [(place, fault)] = found("", "date-order", base)
    assert (place, fault.note) == ("May 1, 2008", True)


def test_an_amendments_date_is_the_latest_of_its_preamble() -> None:
    text = (
        "FIRST AMENDMENT TO SUPPLY AGREEMENT\n\nThe Supply Agreement dated April 1, 2010 is amended. This amendment is"
        " made on June 22, 2012.\n\n1. Term. This Agreement shall expire on June 4, 2011.\n"
    )
    [(place, _)] = found("", "date-order", text)
    assert place == "June 4, 2011"


def test_the_date_of_a_preamble_behind_a_long_cover_counts() -> None:
    cover = "Confidential treatment has been requested for parts of this paper.\n" * 60
    text = cover + CONTRACT.replace("December 31, 2014", "May 3, 2006")
    [(place, _)] = found("", "date-order", text)
    assert place == "May 3, 2006"


def test_an_exhibit_that_is_only_ever_referred_to_by_another_word_is_there() -> None:
    base = CONTRACT + "\n\nSCHEDULE 1\nThe prices.\n\nSCHEDULE 2\nThe forms.\n"
    assert not found("The prices are in Annex 1.", "dangling-exhibit", base)
