"""The review priority: what counts, how it adds up, and what a table must say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doyen_legal.risk import assess, read_weights, shipped_weights
from doyen_schemas import DoyenError, Finding, Severity, Status

KINDS = ["clause", "entity", "fault", "rule", "missing", "deviation", "date"]
STATUSES = ["ok", "risk", "reject", "needs_review", "info"]
SEVERITIES = ["note", "low", "medium", "high"]
FINDINGS = st.lists(
    st.builds(
        lambda kind, status, severity, score, nli: Finding(
            id="x", kind=kind, label="x", status=status, severity=severity, score=score, source="test",
            details={"nli": {"probability": nli}} if nli else {},
        ),
        st.sampled_from(KINDS), st.sampled_from(STATUSES), st.sampled_from(SEVERITIES),
        st.none() | st.floats(0, 1), st.none() | st.floats(0.5, 1),
    ),
    max_size=80,
)  # fmt: skip


def finding(
    kind: str, status: Status = "info", severity: Severity = "medium", id: str = "f", **more: object
) -> Finding:
    return Finding(id=id, kind=kind, label="x", status=status, severity=severity, source="test", **more)  # type: ignore[arg-type]


@settings(deadline=None)  # a shared machine is slow at times
@given(FINDINGS)
def test_reasons_add_up_exactly_and_stay_in_range(findings: list[Finding]) -> None:
    priority = assess(findings)
    assert round(sum(reason.points for reason in priority.reasons), 2) == priority.score
    assert 0 <= priority.score <= 100
    for reason in priority.reasons:
        assert reason.points == pytest.approx(reason.weight * reason.value, abs=0.006)
    assert priority.probability is None
    assert priority.calibrated_on is None


@settings(deadline=None)  # a shared machine is slow at times
@given(FINDINGS, FINDINGS)
def test_more_findings_never_lower_the_priority(some: list[Finding], more: list[Finding]) -> None:
    assert assess([*some, *more]).score >= assess(some).score


def test_nothing_found_is_no_priority() -> None:
    priority = assess([])
    assert (priority.score, priority.level, priority.reasons) == (0, "low", [])
    assert priority.weights_version == shipped_weights().version


def test_each_head_counts_once_with_its_findings() -> None:
    findings = [
        finding("rule", "reject", "high", "a"),
        finding("rule", "risk", "low", "b", details={"nli": {"probability": 0.8}}),
        finding("missing", "risk", "medium", "c", score=0.75),
        finding("missing", "needs_review", "low", "d"),
        finding("fault", "info", "medium", "e"),
        finding("rule", "ok", "note", "f"),
        finding("clause", "info", "note", "g", score=0.9),
    ]
    priority = assess(findings)
    found = {reason.name: (reason.points, reason.findings) for reason in priority.reasons}
    assert found == {
        "rejected terms, high severity": (10, ["a"]),
        "risky terms, other": (2, ["b"]),
        "missing clauses that the playbook requires, other": (0.75, ["c"]),
        "terms that contradict the expected position": (1.6, ["b"]),
        "terms and clauses that a person must judge": (0.5, ["d"]),
        "inconsistencies, other": (0.5, ["e"]),
    }
    assert priority.score == 15.35
    assert priority.level == "medium"


def test_the_worst_contract_has_priority_100() -> None:
    worst = [
        finding(kind, status, severity, details={"nli": {"probability": 1.0}})  # type: ignore[arg-type]
        for kind in ("rule", "missing", "fault")
        for status in ("reject", "risk", "needs_review")
        for severity in SEVERITIES
        for _ in range(20)
    ]
    assert assess(worst).score == 100
    assert assess(worst).level == "high"


PART = "{name: a, weight: 10, most: 10, kinds: [rule]}"


def table(tmp_path: Path, parts: str = PART, levels: str = "{medium: 10, high: 50}") -> Path:
    path = tmp_path / "weights.yaml"
    path.write_text(f"version: mine\nlevels: {levels}\nparts: [{parts}]\n", encoding="utf-8")
    return path


def test_a_house_may_bring_its_own_table(tmp_path: Path) -> None:
    weights = read_weights(table(tmp_path))
    priority = assess([finding("rule", "risk")] * 6, weights)
    assert (priority.score, priority.level, priority.weights_version) == (60, "high", "mine")


@pytest.mark.parametrize(
    ("parts", "levels", "what"),
    [
        ("{name: a, weight: 10, most: 9, kinds: [rule]}", "{medium: 10, high: 50}", "adds up to 90"),
        (f"{PART}, {PART}", "{medium: 10, high: 50}", "adds up to 200"),
        ("{name: a, weight: 5, most: 10, kinds: [rule]}, {name: a, weight: 5, most: 10, kinds: [fault]}", "{medium: 10, high: 50}", "same name"),
        (PART, "{medium: 60, high: 50}", "0 < medium < high"),
        ("{name: a, weight: 10, most: 10, kinds: [rules]}", "{medium: 10, high: 50}", "parts.0.kinds.0"),
        ("{name: a, weight: 10, most: 10, kind: [rule]}", "{medium: 10, high: 50}", "Extra inputs"),
    ],
)  # fmt: skip
def test_what_a_table_must_say(tmp_path: Path, parts: str, levels: str, what: str) -> None:
    with pytest.raises(DoyenError, match="LEG-037") as caught:
        read_weights(table(tmp_path, parts, levels))
    assert what in caught.value.message


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="LEG-037"):
        read_weights(tmp_path / "none.yaml")
