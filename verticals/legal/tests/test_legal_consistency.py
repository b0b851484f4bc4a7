"""Each kind of fault in the forms that it takes, and the texts that look like it and are none."""

from __future__ import annotations

import pytest

from doyen_legal.consistency import KINDS, Fault, check
from doyen_schemas import Document

CONTRACT = """SUPPLY AGREEMENT

This Supply Agreement (the "Agreement") is made as of January 1, 2010 (the "Effective Date") by and between
Acme Widget Corporation, a Delaware corporation ("Supplier"), and Borealis Foods, Inc., a Nevada corporation
("Distributor").

1. Definitions. "Confidential Information" means any information that a party marks as confidential.
"Delivery Site" means the warehouse named in Exhibit A. "Net Price" means the list price less rebates.

2. Supply. Supplier shall deliver to the Delivery Site. Distributor shall pay the Net Price for each delivery to
the Delivery Site. The Net Price is due at the Delivery Site, and the Net Price excludes tax.

3. Confidentiality. Each party shall protect the Confidential Information of the other. Supplier may disclose
Confidential Information to its advisers, and Distributor shall return Confidential Information on request.
Distributor shall not copy Confidential Information. Supplier shall not sell Confidential Information.

4. Payment. 4.1 Distributor shall pay within thirty (30) days. 4.2 Late sums bear interest. 4.3 Supplier may set off.

5. Term. The term of this Agreement begins on the Effective Date and ends on December 31, 2014.

6. Liability. In no event shall the total liability of either party under this Agreement exceed $500,000.

7. Law. This Agreement shall be governed by the laws of the State of New York.

8. General. Distributor shall notify Supplier under Section 4.1. Supplier shall comply with Section 2.

{extra}

IN WITNESS WHEREOF, the parties have signed.

EXHIBIT A
The warehouse at Reno.
"""


def document(text: str) -> Document:
    return Document(sha256="0" * 64, name="contract.txt", media_type="text/plain", text=text)


def found(extra: str, kind: str, base: str = CONTRACT) -> list[tuple[str, Fault]]:
    text = base.replace("{extra}", extra)
    return [(text[fault.start : fault.end], fault) for fault in check(document(text)) if fault.kind == kind]


def test_a_clean_contract_has_no_fault() -> None:
    assert [fault for fault in check(document(CONTRACT.replace("{extra}", ""))) if not fault.note] == []


FAULTY = {
    "undefined-term": [
        "Supplier shall hold the Escrow Materials in safe custody.",
        "The Retention Amount shall be paid at the end.",
        "Upon termination, the Transition Plan shall apply.",
        "No Permitted Encumbrance may be created by Supplier.",
        "Supplier shall meet all Quality Targets set by Distributor.",
        "Supplier shall meet the API Targets, and Distributor shall review the API Targets.",
        "Supplier shall deliver to the Approved Site.",
        "Supplier shall observe the Inspection Rules of Distributor.",
        'Supplier shall pay the Holdback Reserve and release the Holdback Reserve later.',
    ],
    "duplicate-definition": [
        '"Net Price" means the market price of the day.',
        'For this Section, "Delivery Site" shall mean the port of entry.',
        'The plant at Ohio (the "Delivery Site") is closed.',
        'The secrets of a party (hereinafter referred to as "Confidential Information") are protected.',
        '“Net Price” shall have the meaning of the price last quoted.',
    ],
    "case-drift": [
        "Supplier shall protect the Confidential information of Distributor.",
        "Supplier shall protect the confidential Information of Distributor.",
        "Distributor shall inspect the goods at the Delivery site on arrival.",
        "Distributor shall return the confidential information of Supplier.",
        "Distributor shall pay the net price.",
        "Supplier shall deliver to the DELIVERY SITE on the agreed day.",
        "Each delivery to the delivery site is at the risk of Supplier.",
    ],
    "dangling-section": [
        "The fees under Section 17.4 are final.",
        "The obligations of Sections 3 and 99 survive.",
        "Supplier is bound by Article XXV of this Agreement.",
        "Subject to clause 12.3 hereof, no fee is due.",
        "The rules of Section 4.9 apply.",
        "Supplier shall follow paragraph 31(f).",
        "See § 44 for details.",
    ],
    "dangling-exhibit": [
        "The fees are set out in Exhibit Q attached hereto.",
        "The goods are listed in Schedule 9.",
        "See Annex Z.",
        "The form of Appendix 14 applies.",
        "Service levels follow Attachment X to this Agreement.",
    ],
    "number-word-mismatch": [
        "Supplier shall answer within thirty (60) days.",
        "Distributor pays Five Hundred Thousand Dollars ($400,000).",
        "A fee of ten percent (15%) is due.",
        "The parties shall meet 30 (sixty) days later.",
        "Twenty-five (52) units are due.",
        "On the third (4th) business day the goods arrive.",
    ],
    "date-order": [
        "This Agreement shall expire on March 1, 2005.",
        "The licence commences on June 1, 2012 and ends on May 31, 2011.",
        "The service period runs from January 1, 2013 through December 31, 2011.",
        "The Initial Term of this Agreement shall terminate on 30 June 2008.",
        "Supplier shall deliver the prototype on or before March 3, 2009.",
    ],
    "term-arithmetic": [
        "The licence is granted for a period of five (5) years commencing on January 1, 2010 and ending on December 31, 2012.",
        "The services last thirty-six (36) months (two (2) years).",
        "The Initial Term is three (3) years from May 1, 2011 to April 30, 2016.",
        "It has an initial term of five (5) years and two (2) renewal terms of two (2) years each, for a total of twelve (12) years.",
        "It renews for successive six (6) month periods unless a party gives twelve (12) months notice prior to the end of the then-current term.",
    ],
    "conflicting-law": [
        "This Agreement shall be governed by the laws of the State of Texas.",
        "The validity and interpretation of this Agreement are governed by the laws of Norway.",
        "The laws of the State of Idaho shall govern this Agreement.",
        "This Agreement shall be construed and enforced under Swiss law.",
        "This Agreement is governed by the law of England and Wales.",
    ],
    "conflicting-cap": [
        "The aggregate liability of each party shall not exceed One Million Dollars ($1,000,000).",
        "A party's liability under this Agreement is limited to $75,000.",
        "The maximum aggregate liability of either party hereunder shall be US$2,000,000.",
        "Neither party shall be liable for damages in excess of the fees paid in the twelve (12) months before the claim.",
        "Each party's total liability hereunder is capped at EUR 10.000.",
    ],
    "party-name-drift": [
        "Acme Widget Corporation, Inc. shall keep records.",
        "Acme Wigdet Corporation shall keep records.",
        "Borealis Foods, LLC may audit.",
        "The Distribtor shall pay.",
        "The Suppplier shall deliver.",
        "The Vendor shall deliver.",
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "sentence"), [(kind, text) for kind, texts in FAULTY.items() for text in texts]
)
def test_the_fault_is_found_where_it_stands(kind: str, sentence: str) -> None:
    text = CONTRACT.replace("{extra}", sentence)
    start = text.index(sentence)
    faults = [fault for fault in check(document(text)) if fault.kind == kind]
    ranges = [span for fault in faults for span in ((fault.start, fault.end), *fault.related)]
    assert any(first < start + len(sentence) and last > start for first, last in ranges)
    assert all(fault.message and not fault.note for fault in faults)


HARMLESS = {
    "undefined-term": ["The Chief Executive Officer of Supplier signs.", "The United States is large.", "Supplier complies with the Patient Protection and Affordable Care Act.", "Storage. No Resale Distributor shall not resell.", "Any Delivery Sites count."],
    "duplicate-definition": ['"Net Price" has the meaning set forth in Section 1.', "Net Price is low.", 'The term "Net Price" shall also mean the price of spare parts.', 'Acme Widget Corporation ("Supplier") By: ______ Name: Ann Lee',  'The "Delivery Site" is large.'],
    "case-drift": ["CONFIDENTIAL INFORMATION IS SECRET.", "DELIVERY SITE. Supplier keeps it clean.", "Supplier delivers to another delivery site.", "Supplier holds its own confidential information."],
    "dangling-section": ["See Section 17.4 of the Credit Agreement.", "Section 365(n) of the Bankruptcy Code applies.", "See Section 4.2.", "Rule 144 and Section 16 of the Securities Exchange Act of 1934."],
    "dangling-exhibit": ["See Exhibit B to the Credit Agreement.", "A statement on Schedule 13D is filed.", "See Exhibit A."],
    "number-word-mismatch": ["within thirty (30) days", "one and one-half percent (1.5%)", "One Thousand and 50/100 Dollars ($1,000.50)", "two-thirds (66.67%)"],
    "date-order": ["This Agreement replaces the agreement dated March 1, 2005.", "It runs from June 1, 2012 to May 31, 2013."],
    "term-arithmetic": ["The licence is granted for five (5) years from January 1, 2010 to December 31, 2014.", "It lasts twenty-four (24) months (two years)."],
    "conflicting-law": ["Acme Widget Corporation is organized under the laws of the State of Delaware.", "This Agreement is construed under the laws of the State of New York."],
    "conflicting-cap": ["Supplier shall carry liability insurance of not less than $2,000,000.", "The total liability of either party shall not exceed $500,000."],
    "party-name-drift": ["ACME WIDGET CORPORATION signs.", "Acme Widget Holdings, Inc. is another company.", "The Suppliers of others deliver."],
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "sentence"), [(kind, text) for kind, texts in HARMLESS.items() for text in texts]
)
def test_what_only_looks_like_the_fault_is_left_alone(kind: str, sentence: str) -> None:
    assert found(sentence, kind) == []


def test_an_unused_term_is_a_note() -> None:
    ((covered, fault),) = found('"Spare Part" means a part for repair.', "unused-term")
    assert (covered, fault.note) == ("Spare Part", True)
    assert found('"Spare Part" means a part. Supplier delivers each Spare Part.', "unused-term") == []


def test_a_term_that_the_contract_takes_from_another_document_is_a_note() -> None:
    taken = "Capitalized terms not defined herein have the meanings set forth in the Credit Agreement."
    ((covered, fault),) = found(f"{taken} Supplier shall hold the Escrow Materials.", "undefined-term")
    assert (covered, fault.note) == ("Escrow Materials", True)
    assert not found("Supplier shall hold the Escrow Materials.", "undefined-term")[0][1].note


def test_a_name_for_one_of_several_may_be_given_again() -> None:
    first = 'Supplier shall indemnify Distributor and its officers (each, an "Indemnified Party").'
    again = 'Distributor shall hold harmless the agents of Supplier (each, an "Indemnified Party").'
    far = "Supplier shall act in good faith. " * 100  # beyond the front matter, where names recur
    assert not found(f"{first} {far} {again}", "duplicate-definition")


def test_all_deviating_uses_of_a_term_are_one_fault() -> None:
    ((_, fault),) = found(
        "Supplier sweeps the delivery site. Distributor inspects the delivery site.", "case-drift"
    )
    assert len(fault.related) == 2  # the definition and the second use


def test_line_wraps_footers_and_straight_quotes_change_nothing() -> None:
    extra = "The fees under Section\n17.4 are final. Supplier answers within thirty\n(60) days.\n\n12\n\nSource: ACME CORP, 10-K, 2/21/2009\n\n"
    kinds = {fault.kind for fault in check(document(CONTRACT.replace("{extra}", extra))) if not fault.note}
    assert kinds == {"dangling-section", "number-word-mismatch"}


def test_an_amendment_speaks_of_the_sections_of_another_agreement() -> None:
    text = "FIRST AMENDMENT TO SUPPLY AGREEMENT\nSection 14.2 is hereby amended. 1. One. 2. Two. 3. Three. See Section 17.4."
    assert [fault.kind for fault in check(document(text))] == []


def test_faults_lie_in_the_text_and_come_in_order() -> None:
    text = CONTRACT.replace("{extra}", " ".join(texts[0] for texts in FAULTY.values()))
    faults = check(document(text))
    assert [fault.start for fault in faults] == sorted(fault.start for fault in faults)
    assert {fault.kind for fault in faults} <= set(KINDS)
    for fault in faults:
        for start, end in ((fault.start, fault.end), *fault.related):
            assert 0 <= start < end <= len(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "A",
        "((((((",
        '"' * 500,
        "Section " * 300,
        "(" * 2000,
        "one " * 2000,
        "A B " * 3000,
        " " * 20000,
        "Acme " + " " * 5000 + "Inc.",
    ],
)
def test_odd_texts_do_not_stop_the_checker(text: str) -> None:
    assert isinstance(check(document(text)), list)


def test_an_undefined_term_before_of_and_a_party_is_found() -> None:
    assert found("Supplier shall comply with all Quality Standards of Distributor.", "undefined-term")


@pytest.mark.xfail(strict=True, reason="one small-letter word among many capitalised ones is not told apart")
def test_a_single_word_in_small_letters_is_missed() -> None:
    assert found("Supplier shall invoice the distributor.", "case-drift")


def test_exhibits_of_letters_and_of_numbers_stand_side_by_side() -> None:
    faults = found(
        "See Schedule A, Schedule AB, Schedule 1 and Schedule IV. See Schedule 19.", "dangling-exhibit"
    )
    assert "Schedule 19" in [covered for covered, _ in faults]
