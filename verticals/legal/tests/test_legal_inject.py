from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from random import Random

import pytest

from doyen_legal.corpora import Contract, GoldSpan
from doyen_legal.evaluate.forms import FORMS
from doyen_legal.evaluate.inject import KINDS, Injection, forms_table, inject
from doyen_legal.evaluate.sketch import Sketch, long_date, spell
from doyen_schemas import DoyenError

BODY = """SUPPLY AGREEMENT

This Supply Agreement (the "Agreement") is made as of March 1, 2010 (the "Effective Date") by and between Northwind Dairy Foods, Inc., a Delaware corporation ("Supplier"), and Calder Valley Bakeries, LLC, an Ohio limited liability company ("Buyer"). The parties agree as follows:

1. DEFINITIONS. "Licensed Products" means the products listed in Exhibit A that Supplier makes under its own recipes. "Net Revenue" means the gross amount invoiced by Buyer for Licensed Products less returns and sales taxes.

2. SUPPLY. Supplier shall deliver the Licensed Products to Buyer within thirty (30) days after receipt of each order. Supplier shall submit monthly delivery reports (the "Delivery Reports") to Buyer, and each of the purchase orders shall be numbered in sequence. Buyer may reject any Licensed Products that do not conform to Section 3.2 within ten (10) days after delivery. The Delivery Reports shall be kept for twenty-four (24) months.

3. QUALITY.

3.1 Standards. Supplier shall make the Licensed Products in accordance with the specifications in Exhibit A attached hereto. Buyer shall be entitled to inspect the plant of Supplier on reasonable notice.

3.2 Conformity. Supplier warrants that the Licensed Products will conform to the samples approved by Buyer. Supplier shall replace any product that does not conform within the time set forth in Section 2.

4. TERM. This Agreement shall commence on the Effective Date and continue until February 28, 2013, unless it is terminated earlier under Section 6(b). Thereafter this Agreement shall automatically renew for successive one (1) year terms unless either party gives at least sixty (60) days prior written notice of non-renewal. The pricing period from January 1, 2011 through December 31, 2011 shall be reviewed by Supplier and Buyer. Supplier shall support each launch for a period of three (3) years from the Effective Date and shall report on it.

5. LIABILITY. In no event shall either party's total liability under this Agreement exceed $300,000. Northwind Dairy Foods, Inc. shall maintain insurance that covers the Licensed Products and shall notify Buyer of the Net Revenue effects of any claim.

6. TERMINATION. (a) Either party may terminate this Agreement upon sixty (60) days prior written notice. (b) Buyer may terminate this Agreement if Supplier fails to remedy a breach within fifteen (15) days after notice. The provisions of Sections 4 and 5 shall survive the termination of this Agreement.

7. GOVERNING LAW. This Agreement shall be governed by and construed in accordance with the laws of the State of Delaware, without regard to its conflict of laws principles. The Delivery Reports shall be written in the English language.

IN WITNESS WHEREOF, the parties have executed this Agreement.

NORTHWIND DAIRY FOODS, INC.          CALDER VALLEY BAKERIES, LLC

EXHIBIT A

Products: butter, cream and milk powder.
"""  # fmt: skip


def labelled(text: str, *pairs: tuple[str, str]) -> Contract:
    spans = tuple(
        GoldSpan(label, text.index(quote), text.index(quote) + len(quote), quote) for label, quote in pairs
    )
    return Contract("NorthwindDairyFoods_Supply Agreement", text, spans)


CONTRACT = labelled(
    BODY,
    ("Parties", "Northwind Dairy Foods, Inc."),
    ("Parties", "Calder Valley Bakeries, LLC"),
    ("Parties", "Supplier"),
    ("Parties", "Buyer"),
    ("Agreement Date", "March 1, 2010"),
    ("Expiration Date", "This Agreement shall commence on the Effective Date and continue until February 28, 2013"),
    ("Expiration Date", "Supplier shall support each launch for a period of three (3) years from the Effective Date"),
    (
        "Notice Period To Terminate Renewal",
        "Thereafter this Agreement shall automatically renew for successive one (1) year terms unless either party "
        "gives at least sixty (60) days prior written notice of non-renewal.",
    ),
    ("Governing Law", BODY[BODY.index("This Agreement shall be governed") : BODY.index(" The Delivery Reports shall be written")]),
    ("Cap On Liability", "In no event shall either party's total liability under this Agreement exceed $300,000."),
)  # fmt: skip
SKETCH = Sketch(CONTRACT)


def all_injections(seeds: int = 4) -> list[Injection]:
    found = [
        inject(SKETCH, kind, seed, form.__name__)
        for kind in KINDS
        for form in FORMS[kind]
        for seed in range(seeds)
    ]
    return [injection for injection in found if injection is not None]


INJECTIONS = all_injections()


def of(kind: str, *forms: str) -> list[Injection]:
    chosen = [i for i in INJECTIONS if i.kind == kind and (not forms or i.form in forms)]
    assert chosen, f"no injection of {kind} {forms}"
    return chosen


def marked(injection: Injection) -> list[str]:
    return [" ".join(injection.text[a:b].split()) for a, b in injection.spans]


# --- the sketch ---


def test_numbers_are_spelt() -> None:
    assert [spell(n) for n in (7, 13, 45, 60, 100, 120, 365)] == [
        "seven", "thirteen", "forty-five", "sixty", "one hundred", "one hundred twenty", "three hundred sixty-five",
    ]  # fmt: skip


def test_the_sketch_reads_the_contract() -> None:
    assert {t.name: (t.inline, len(t.uses)) for t in SKETCH.terms} == {
        "Effective Date": (True, 2), "Delivery Reports": (True, 2), "Licensed Products": (False, 6),
        "Net Revenue": (False, 1),
    }  # fmt: skip
    assert SKETCH.roles == ["Supplier", "Buyer"]
    assert SKETCH.last_section == 7
    assert [(r.parts, r.letter) for r in SKETCH.section_refs] == [((3, 2), ""), ((2,), ""), ((6,), "b")]
    assert [(e.word, e.mark) for e in SKETCH.attachments] == [("Exhibit", "A")]
    assert SKETCH.made is not None
    assert SKETCH.made.value == date(2010, 3, 1)
    assert SKETCH.law is not None
    assert SKETCH.law[1] == "delaware"
    assert len(SKETCH.caps) == 1
    assert all(BODY[s.end - 1] == "." for s in SKETCH.sentences)


# --- every form ---


def test_each_kind_has_five_forms_and_this_contract_offers_most() -> None:
    assert all(len(forms) >= 5 for forms in FORMS.values())
    offered = {(i.kind, i.form) for i in INJECTIONS}
    missing = [(k, f.__name__) for k, forms in FORMS.items() for f in forms if (k, f.__name__) not in offered]
    assert missing == [("conflicting-cap", "two_caps_added")]  # it needs a contract without a cap


def test_the_edits_lead_from_the_untouched_text_to_the_new_one() -> None:
    for injection in INJECTIONS:
        text = BODY
        for edit in reversed(injection.edits):
            text = text[: edit.start] + edit.text + text[edit.end :]
        assert text == injection.text != BODY
        assert injection.spans
        assert all(0 <= a < b <= len(text) for a, b in injection.spans)


def test_untouched_ranges_are_followed_through_the_edits() -> None:
    for injection in INJECTIONS:
        for anchor in ("SUPPLY AGREEMENT", "3.1 Standards", "7. GOVERNING LAW"):
            at = BODY.index(anchor)
            if not any(e.start < at + len(anchor) and at <= e.end for e in injection.edits):
                moved = injection.to_new(at, at + len(anchor))
                assert injection.text[moved.start : moved.end] == anchor


def test_the_same_seed_gives_the_same_text_and_another_another() -> None:
    assert inject(CONTRACT, "undefined-term", 3) == inject(CONTRACT, "undefined-term", 3)
    texts = {i.text for seed in range(8) if (i := inject(CONTRACT, "undefined-term", seed))}
    assert len(texts) > 4


def test_positions_are_spread() -> None:
    places = {i.edits[0].start * 4 // len(BODY) for i in INJECTIONS}
    assert places == {0, 1, 2, 3}


# --- each kind is a real fault ---


def test_an_undefined_term_is_defined_nowhere_in_the_new_text() -> None:
    for injection in of("undefined-term"):
        term = marked(injection)[0]
        assert not re.search(rf"\"{term}", injection.text), injection.form
        assert not re.search(rf"{term} (?:means|shall mean)", injection.text), injection.form
        for text in marked(injection):
            assert text[0].isupper()


def test_an_unused_term_stands_only_in_its_definition() -> None:
    for injection in of("unused-term"):
        name = marked(injection)[0].strip('"')
        assert len(re.findall(rf"\b{name}\b", " ".join(injection.text.split()))) == 1, injection.form


def test_a_duplicate_definition_defines_a_known_term_twice() -> None:
    for injection in of("duplicate-definition"):
        names = marked(injection)
        assert len(names) == 2
        assert names[0] == names[1]
        assert injection.text.count(names[0]) == 2
        assert BODY.count(names[0]) == 1


def test_case_drift_changes_nothing_but_case() -> None:
    for injection in of("case-drift"):
        for text in marked(injection):
            assert text.lower() in BODY.lower()
            assert text not in BODY
        if injection.form != "lower_case_in_added_sentence":
            assert injection.text.lower() == BODY.lower()


def test_a_dangling_section_exists_nowhere() -> None:
    for injection in of("dangling-section"):
        if injection.form == "section_deleted":
            number = marked(injection)[0].split()[-1]
            assert not re.search(rf"\n{re.escape(number)} ", injection.text)
        elif injection.form == "paragraph_letter_too_high":
            assert f"({marked(injection)[0]})" not in BODY
        else:
            number = marked(injection)[0].split()[-1]
            assert not re.search(rf"(?:^|\n){re.escape(number)}\.? ", injection.text)
            assert float(number) > 7 or number.startswith("3.")


def test_a_dangling_exhibit_is_not_attached() -> None:
    for injection in of("dangling-exhibit"):
        assert f"\n{marked(injection)[0].upper()}" not in injection.text, injection.form


def test_number_words_and_digits_differ() -> None:
    words = {spell(n): n for n in range(1, 1000)}
    for injection in of("number-word-mismatch"):
        text = marked(injection)[0].lower()
        digits = int(re.sub(r"\D", "", text))
        spelt = re.sub(r"[^a-z -]", "", text.replace("percent", "").replace("thousand dollars", "")).strip()
        scale = 1000 if "thousand" in text else 1
        assert words[spelt] * scale != digits, text


DATE = re.compile(
    r"(January|February|March|April|May|June|July|August|September|October|November|December) (\d+), (\d{4})"
)


def dates(text: str) -> list[date]:
    months = [long_date(date(2000, m, 1)).split()[0] for m in range(1, 13)]
    return [date(int(y), months.index(m) + 1, int(d)) for m, d, y in DATE.findall(" ".join(text.split()))]


def test_dates_are_out_of_order() -> None:
    made, expiry = date(2010, 3, 1), date(2013, 2, 28)
    for injection in of("date-order"):
        found = dates(" ".join(marked(injection)))
        if injection.form in ("range_reversed", "reversed_range_in_added_sentence"):
            assert found[0] > found[1]
        elif injection.form == "agreement_after_expiry":
            assert found[0] > expiry
        else:
            assert found[0] < made


def test_periods_do_not_add_up() -> None:
    for injection in of("term-arithmetic", "period_against_dates"):
        years, *days = marked(injection)
        first, last = dates(" ".join(days))
        assert int(re.sub(r"\D", "", years)) != last.year + (last.month == 12) - first.year
    for injection in of("term-arithmetic", "end_date_against_term"):
        end = dates(" ".join(marked(injection)))[0]
        assert abs((end - date(2013, 3, 1)).days) > 100
    for injection in of("term-arithmetic", "notice_longer_than_renewal"):
        assert marked(injection) == ["eighteen (18) months", "one (1) year terms"]
    for injection in of("term-arithmetic", "instalments_against_period"):
        count, period = marked(injection)
        per_year = 12 if "monthly" in count else 4
        assert int(re.sub(r"\D", "", count)) != per_year * int(re.sub(r"\D", "", period))


def test_the_second_law_differs_from_the_first() -> None:
    for injection in of("conflicting-law"):
        added, first = marked(injection)
        assert "Delaware" in first
        assert "Delaware" not in added
        assert re.search(r"laws? of", added)


def test_the_second_cap_differs_from_the_first() -> None:
    for injection in of("conflicting-cap"):
        added, first = marked(injection)
        assert "$300,000" in first
        assert "$300,000" not in added
        assert re.search(r"\$[\d,]+|months", added)


def test_two_caps_are_added_where_there_is_none() -> None:
    text = BODY.replace(
        "In no event shall either party's total liability under this Agreement exceed $300,000. ", ""
    )
    contract = Contract("x_y", text, tuple(s for s in labelled(text, ("Parties", "Supplier")).spans))
    found = [i for seed in range(20) if (i := inject(contract, "conflicting-cap", seed))]
    assert found, "no place"
    for injection in found:
        amounts = [re.findall(r"\$[\d,]+", text)[0] for text in marked(injection)]
        assert len(set(amounts)) == 2


def test_a_drifted_party_name_is_new() -> None:
    for injection in of("party-name-drift"):
        name = marked(injection)[0]
        assert name.rstrip(".").lower() not in " ".join(BODY.lower().split()), injection.form


# --- contracts that offer no place ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_without_a_place_gives_none(kind: str) -> None:
    assert inject(Contract("empty", "Nothing here.", ()), kind, 0) is None


def test_amendments_get_no_dangling_section() -> None:
    text = BODY.replace("SUPPLY AGREEMENT", "FIRST AMENDMENT TO SUPPLY AGREEMENT", 1)
    assert inject(Contract("x_y", text, ()), "dangling-section", 0) is None


def test_exhibits_that_the_file_leaves_out_get_no_dangling_one() -> None:
    text = BODY[: BODY.index("EXHIBIT A")]
    assert inject(Contract("x_y", text, ()), "dangling-exhibit", 0) is None


def test_added_sentences_follow_the_contracts_print_lines() -> None:
    lines = re.sub(r"((?:\S+ ){9})", lambda m: m[1].rstrip() + " " * 11, BODY.replace("\n\n", "\n\n "))
    injection = inject(Contract("x_y", lines, ()), "unused-term", 1, "unused_collectively")
    assert injection is not None
    assert " " * 11 in injection.edits[0].text.strip()


# --- errors and the list ---


def test_unknown_kinds_and_forms_are_named() -> None:
    with pytest.raises(DoyenError, match="no-such") as caught:
        inject(CONTRACT, "no-such", 0)
    assert caught.value.code == "LEG-021"
    with pytest.raises(DoyenError, match="no_such_form") as caught:
        inject(CONTRACT, "date-order", 0, "no_such_form")
    assert caught.value.code == "LEG-022"


def test_the_list_of_forms_is_the_documented_one() -> None:
    page = next(parent for parent in Path(__file__).resolve().parents if (parent / "infra").is_dir())
    assert (page / "infra/docs/legal/injected-faults.md").read_text(encoding="utf-8") == forms_table()


def test_forms_draw_only_from_the_source_they_are_given() -> None:
    for kind, forms in FORMS.items():
        for form in forms:
            assert form(Sketch(CONTRACT), Random(5)) == form(Sketch(CONTRACT), Random(5)), (
                kind,
                form.__name__,
            )
