"""Playbooks: what they refuse, how they find clauses, and what they say of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from doyen_documents import from_text
from doyen_legal.extract.types import Clause
from doyen_legal.playbook import Playbook, apply, detect, load_playbook, read_playbook, shipped
from doyen_schemas import DoyenError, Finding

MINIMAL = """\
name: tiny
version: 1.0.0
title: Tiny
contract_type: tiny
sides: [customer, vendor]
detect: {titles: ['tiny agreement'], text: ['tiny']}
rules:
"""
TEXT = """TINY AGREEMENT

1. Term. This tiny agreement lasts two years.

2. Notice. Either party may end it by notice of thirty (30) days.

3. Liability. The vendor's liability is limited to USD 40,000 in total.

4. Governing Law. This agreement is governed by the laws of the State of Nevada.
"""


def playbook(tmp_path: Path, rules: str, head: str = MINIMAL) -> Playbook:
    path = tmp_path / "tiny.yaml"
    path.write_text(head + rules, encoding="utf-8")
    return read_playbook(path)


def rule(when: str, clause: str = "notice", more: str = "") -> str:
    return f"""\
  - id: R-1
    title: A rule
    clause: {clause}
    cases:
      - when: {when}
        outcome: risk
        because: the case holds
    explanation: Because.
{more}"""


def with_clauses(locators: str) -> str:
    return MINIMAL.replace("rules:\n", f"clauses:\n{locators}rules:\n")


NOTICE = "  notice: {titles: ['^notice']}\n"
LIABILITY = "  notice: {patterns: ['liability is limited']}\n"


def review(book: Playbook, text: str = TEXT, **more: object) -> list[Finding]:
    arguments = {"clauses": [], "presence": {}, "side": "customer"} | more
    return apply(from_text(text), playbook=book, **arguments)  # type: ignore[arg-type]


def test_every_shipped_playbook_is_complete() -> None:
    assert shipped() == ["nda", "saas", "supply"]
    for name in shipped():
        book = load_playbook(name)
        assert book.name == name
        for side in book.sides:
            assert sum(r.for_side(side) for r in book.rules) >= 12
        for r in book.rules:
            outcomes = {case.outcome for case in r.cases} | {r.otherwise.outcome}
            outcomes |= {r.absent.outcome} if r.absent else set()
            assert outcomes != {"ok"}, f"{r.id} can never object"
            assert r.explanation.endswith("."), r.id


@pytest.mark.parametrize(
    ("when", "held"),
    [
        ("{duration: {at_least: P30D}}", True),
        ("{duration: {more_than: P30D}}", False),
        ("{duration: {at_most: P1M}}", True),
        ("{duration: {less_than: P30D}}", False),
        ("{duration: {at_least: P1D, near: 'no such words'}}", False),
        ("{text: ['end it by notice']}", True),
        ("{text: ['end it by notice'], not_text: ['either party']}", False),
        ("{amount: {at_least: 1}}", False),
    ],
)
def test_conditions_on_text_and_durations(tmp_path: Path, when: str, held: bool) -> None:
    [finding] = review(playbook(tmp_path, rule(when), with_clauses(NOTICE)))
    assert finding.kind == "rule"
    assert (finding.status == "risk") is held
    assert finding.evidence[0].quote == TEXT[finding.evidence[0].start : finding.evidence[0].end]
    assert "thirty (30) days" in finding.evidence[0].quote


@pytest.mark.parametrize(
    ("when", "held"),
    [
        ("{amount: {less_than: 50000}}", True),
        ("{amount: {less_than: 50000, currency: EUR}}", False),
        ("{amount: {at_least: 40000, at_most: 40000, currency: USD}}", True),
    ],
)
def test_conditions_on_amounts(tmp_path: Path, when: str, held: bool) -> None:
    [finding] = review(playbook(tmp_path, rule(when), with_clauses(LIABILITY)))
    assert (finding.status == "risk") is held


def test_conditions_on_percentages(tmp_path: Path) -> None:
    book = playbook(
        tmp_path,
        rule("{percent: {less_than: 99.5, near: uptime}}"),
        with_clauses("  notice: {patterns: ['uptime']}\n"),
    )
    assert review(book, "The uptime is 99.0% each month.")[0].status == "risk"
    assert review(book, "The uptime is 99.9% each month.")[0].status == "needs_review"


@pytest.mark.parametrize(
    ("law", "held"),
    [
        ("{allowed: [Nevada, Delaware]}", True),
        ("{allowed: [Delaware]}", False),
        ("{refused: [Nevada]}", True),
        ("{refused: [Delaware]}", False),
    ],
)
def test_conditions_on_jurisdictions(tmp_path: Path, law: str, held: bool) -> None:
    book = playbook(
        tmp_path, rule(f"{{law: {law}}}"), with_clauses("  notice: {titles: ['governing law']}\n")
    )
    assert (review(book)[0].status == "risk") is held


def test_two_laws_of_which_one_is_not_allowed_fail(tmp_path: Path) -> None:
    book = playbook(
        tmp_path, rule("{law: {allowed: [Nevada]}}"), with_clauses("  notice: {patterns: ['governed by']}\n")
    )
    text = "It is governed by the laws of Nevada and the laws of Texas."
    assert review(book, text)[0].status == "needs_review"


def test_other_clauses_present_or_absent(tmp_path: Path) -> None:
    head = with_clauses(NOTICE + "  liability: {titles: ['liability']}\n  audit: {titles: ['audit']}\n")
    assert review(playbook(tmp_path, rule("{present: [liability]}"), head))[0].status == "risk"
    assert review(playbook(tmp_path, rule("{present: [audit]}"), head))[0].status == "needs_review"
    assert review(playbook(tmp_path, rule("{absent: [audit]}"), head))[0].status == "risk"
    assert review(playbook(tmp_path, rule("{absent: [liability]}"), head))[0].status == "needs_review"


def test_hypotheses_are_judged_in_one_batch_and_recorded(tmp_path: Path) -> None:
    statement = "Some obligations of Agreement may survive termination of Agreement."
    book = playbook(
        tmp_path,
        rule(f"{{hypothesis: {{text: '{statement}', is: contradiction, at_least: 0.7}}}}"),
        with_clauses(NOTICE),
    )
    asked: list[Sequence[tuple[str, str]]] = []

    def judge(pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
        asked.append(pairs)
        return [{"entailment": 0.1, "contradiction": 0.8, "not_mentioned": 0.1} for _ in pairs]

    [finding] = review(book, judge=judge)
    assert finding.status == "risk"
    assert finding.details["nli"] == {"hypothesis": statement, "label": "contradiction", "probability": 0.8}
    assert len(asked) == 1
    assert asked[0][0][1] == statement
    assert "thirty (30) days" in asked[0][0][0]


def label_rule(absent: str = "reject") -> str:
    return f"""\
  - id: R-1
    title: Cap
    clause: Cap On Liability
    severity: high
    cases:
      - when: {{amount: {{less_than: 50000}}}}
        outcome: risk
        because: the cap is low
    absent: {{outcome: {absent}, because: there is no cap}}
    explanation: Because.
"""


def test_absence_is_calibrated_by_presence(tmp_path: Path) -> None:
    book = playbook(tmp_path, label_rule())
    [missing] = review(book, presence={"Cap On Liability": 0.1})
    assert (missing.kind, missing.status, missing.severity) == ("missing", "reject", "high")
    assert missing.score == pytest.approx(0.9)
    assert missing.evidence == []
    [unsure] = review(book, presence={"Cap On Liability": 0.4})
    assert (unsure.kind, unsure.status) == ("missing", "needs_review")
    [unasked] = review(book)
    assert (unasked.status, unasked.score) == ("needs_review", None)


def test_an_unsure_clause_with_a_candidate_shows_it(tmp_path: Path) -> None:
    start = TEXT.index("The vendor's")
    clause = Clause("Cap On Liability", start, start + 30, 0.4)
    [finding] = review(playbook(tmp_path, label_rule()), clauses=[clause], presence={"Cap On Liability": 0.4})
    assert (finding.kind, finding.status) == ("rule", "needs_review")
    assert finding.evidence[0].start == start


def test_the_extractors_clause_is_judged(tmp_path: Path) -> None:
    start = TEXT.index("The vendor's")
    clause = Clause("Cap On Liability", start, TEXT.index("\n", start), 0.9)
    [finding] = review(playbook(tmp_path, label_rule()), clauses=[clause], presence={"Cap On Liability": 0.9})
    assert (finding.status, finding.label, finding.score) == ("risk", "Cap On Liability", 0.9)
    assert finding.rule == "R-1"
    assert finding.source == "playbook:tiny@1.0.0"


def test_an_acceptable_absence_is_not_reported(tmp_path: Path) -> None:
    assert review(playbook(tmp_path, label_rule("ok")), presence={"Cap On Liability": 0.05}) == []


def test_rules_speak_for_their_side_only(tmp_path: Path) -> None:
    book = playbook(tmp_path, rule("{text: ['notice']}", more="    side: vendor\n"), with_clauses(NOTICE))
    assert review(book, side="customer") == []
    assert len(review(book, side="vendor")) == 1
    with pytest.raises(DoyenError, match="LEG-033"):
        review(book, side="landlord")


def test_deviation_from_the_preferred_text(tmp_path: Path) -> None:
    preferred = "    preferred: Either party may end it by written notice of sixty (60) days.\n"
    book = playbook(tmp_path, rule("{text: ['notice']}", more=preferred), with_clauses(NOTICE))
    finding, deviation = review(book)
    assert deviation.kind == "deviation"
    assert deviation.rule == finding.rule == "R-1"
    ops = deviation.details["ops"]
    assert "".join(text for op, text in ops if op != "insert") == deviation.evidence[0].quote
    assert "".join(text for op, text in ops if op != "delete") == finding.details["preferred"]
    assert ["insert", "written "] in ops


def test_unrelated_wording_has_no_word_diff(tmp_path: Path) -> None:
    preferred = "    preferred: Goods travel at the seller's risk until a carrier has signed for them.\n"
    book = playbook(tmp_path, rule("{text: ['notice']}", more=preferred), with_clauses(NOTICE))
    assert [finding.kind for finding in review(book)] == ["rule"]


def test_all_errors_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    bad = """\
  - id: R-1
    title: A rule
    clause: Cap On Liabilty
    side: landlord
    cases:
      - when: {amount: {at_least: 5}}
        outcome: risk
        because: x
    explanation: Because.
  - id: R-1
    title: Another
    clause: Insurance
    explanation: Because.
"""
    with pytest.raises(DoyenError) as caught:
        playbook(tmp_path, bad)
    message = caught.value.message
    assert caught.value.code == "LEG-031"
    assert message.startswith("4 errors in the playbook:")
    for part in (
        "tiny.yaml:10: rules.0.clause",
        "tiny.yaml:11: rules.0.side",
        "tiny.yaml:17: rules.1.id",
        "rules.1: rule R-1 has neither",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        (rule("{txt: ['a']}"), "Extra inputs are not permitted"),
        (rule("{text: ['(']}"), "not a regular expression"),
        (rule("{text: ['a*']}"), "matches the empty text"),
        (rule("{duration: {at_least: 30 days}}"), "not an ISO 8601 duration"),
        (rule("{duration: {near: days}}"), "give at least one of at_least"),
        (rule("{law: {allowed: [Narnia]}}"), "no jurisdiction"),
        (rule("{law: {}}"), "either allowed or refused"),
        (
            rule("{hypothesis: {text: 'The moon is made of cheese.', is: entailment}}"),
            "contradiction head can judge",
        ),
        (rule("{text: ['a']}", more="    severity: awful\n"), "severity"),
        (rule("{text: ['a']}", more="    title: Again\n"), "key 'title' stands twice"),
    ],
)
def test_what_a_playbook_refuses(tmp_path: Path, rules: str, what: str) -> None:
    with pytest.raises(DoyenError, match="LEG-031") as caught:
        playbook(tmp_path, rules, with_clauses(NOTICE))
    assert what in caught.value.message
    assert "tiny.yaml:" in caught.value.message


@pytest.mark.parametrize("content", ["a: [", "- a list", "", "\xff"])
def test_files_that_are_no_playbook(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(DoyenError, match="LEG-031"):
        read_playbook(path)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DoyenError, match="LEG-032"):
        load_playbook("lease")


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("MUTUAL NON-DISCLOSURE AGREEMENT\n\nThe Receiving Party shall protect it.", "a.pdf", "nda"),
        ("CONFIDENTIALITY (NON-DISCLOSURE) AGREEMENT\nConfidential Information is secret.", "a.pdf", "nda"),
        ("Software as a Service Agreement\n\nThe uptime is 99.9%.", "a.pdf", "saas"),
        ("MANUFACTURING AND SUPPLY AGREEMENT\n\nThe Supplier delivers to the Specifications.", "a.pdf", "supply"),
        ("Agreement between A and B.\n\nThe Supplier delivers Products on each Purchase Order.", "supply_agreement.docx", "supply"),
        ("AMENDMENT NO. 2 TO SUPPLY AGREEMENT\n\nThe Supplier delivers.", "a.pdf", None),
        ("LEASE\n\nThe landlord lets the premises. Confidential Information of the Disclosing Party.", "a.pdf", None),
        ("", "empty.txt", None),
    ],
)  # fmt: skip
def test_contract_types(text: str, name: str, expected: str | None) -> None:
    book = detect(from_text(text, name))
    assert (book.name if book else None) == expected


def test_findings_of_real_playbooks_have_evidence_and_unique_ids() -> None:
    text = (
        "MUTUAL NON-DISCLOSURE AGREEMENT\n\n1. Definition. “Confidential Information” means technical information only.\n\n"
        "2. Residuals. The Recipient may use any information retained in the unaided memory of its people.\n\n"
        "3. Term. The obligations under this Agreement survive for one (1) year.\n\n"
        "4. Governing Law. This Agreement is governed by the laws of the State of Nevada.\n"
    )
    book = load_playbook("nda")
    document = from_text(text)

    def judge(pairs: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
        return [{"entailment": 0.2, "contradiction": 0.2, "not_mentioned": 0.6} for _ in pairs]

    for side in book.sides:
        findings = apply(document, [], {}, book, side, judge)
        assert len({finding.id for finding in findings}) == len(findings)
        for finding in findings:
            assert bool(finding.evidence) is (finding.kind != "missing"), finding.id
            for evidence in finding.evidence:
                assert document.text[evidence.start : evidence.end] == evidence.quote
    status = {f.rule: f.status for f in apply(document, [], {}, book, "discloser", judge) if f.kind == "rule"}
    assert status["NDA-01"] == "risk"
    assert status["NDA-10"] == "risk"
    assert status["NDA-12"] == "reject"
    assert status["NDA-19"] == "needs_review"
