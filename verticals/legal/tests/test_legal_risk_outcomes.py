"""Calibration on a client's own outcomes, and the command that does it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from doyen_documents import from_text
from doyen_legal.cli.outcomes import fit_outcomes as command
from doyen_legal.pipeline import Reviewer
from doyen_legal.plugin import validate_options
from doyen_legal.risk import OutcomeModel, assess, fit_outcomes, shipped_weights
from doyen_legal.risk.outcomes import expected_calibration_error, read_outcomes, read_reports
from doyen_schemas import DocumentInfo, DoyenError, Finding, Report


def report(number: int, findings: list[Finding]) -> Report:
    info = DocumentInfo(
        name=f"c{number}.pdf", sha256=f"{number:064x}", media_type="application/pdf", pages=1, characters=9
    )
    return Report(vertical="legal", created="2026-01-01T00:00:00Z", document=info, findings=findings)


def rejected(count: int) -> list[Finding]:
    return [
        Finding(id=f"r{i}", kind="rule", label="x", status="reject", severity="high", source="test")
        for i in range(count)
    ]


def history(n: int = 200, seed: int = 0, depends: bool = True) -> tuple[list[Report], dict[str, bool]]:
    """Contracts with up to three rejected terms, where each of them makes a dispute more likely."""
    rng = random.Random(seed)
    reports, outcomes = [], {}
    for number in range(n):
        count = rng.randrange(4)
        reports.append(report(number, rejected(count)))
        chance = (0.05, 0.3, 0.6, 0.9)[count] if depends else 0.4
        outcomes[f"c{number}.pdf"] = rng.random() < chance
    return reports, outcomes


def test_the_fitted_probability_follows_the_outcomes() -> None:
    reports, outcomes = history()
    model = fit_outcomes(reports, outcomes, "dispute within two years")
    figures = model.cross_validation
    assert figures.brier < figures.brier_base_rate - 0.04
    assert figures.ece < 0.1
    assert figures.auroc > 0.75
    assert model.n == 200
    assert model.positives == sum(outcomes.values())
    version = shipped_weights().version
    rising = [model.probability(shipped_weights().values(rejected(k)), version) for k in range(4)]
    assert rising == sorted(rising)
    assert rising[0] == pytest.approx(0.05, abs=0.1)
    assert rising[3] == pytest.approx(0.9, abs=0.1)


def test_only_then_does_a_priority_carry_a_probability(tmp_path: Path) -> None:
    model = fit_outcomes(*history(), "dispute")
    model.save(tmp_path / "model.json")
    again = OutcomeModel.load(tmp_path / "model.json")
    assert again == model
    plain, calibrated = assess(rejected(2)), assess(rejected(2), outcomes=again)
    assert plain.probability is None
    assert calibrated.probability is not None
    assert 0.4 < calibrated.probability < 0.8
    assert calibrated.calibrated_on is not None
    assert calibrated.calibrated_on.startswith("dispute: 200 outcomes")
    assert calibrated.score == plain.score


def test_digests_match_too_and_a_document_counts_once() -> None:
    reports, outcomes = history()
    by_digest = {f"{int(name[1:-4]):064x}": value for name, value in outcomes.items()}
    model = fit_outcomes([*reports, *reports], by_digest)
    assert model.n == 200


def test_the_same_outcomes_give_the_same_model() -> None:
    assert fit_outcomes(*history()) == fit_outcomes(*history())


@pytest.mark.parametrize(
    ("n", "flip", "what"),
    [(40, False, "40 of 40 outcomes"), (60, True, "0 of the rarer kind")],
)
def test_too_little_to_calibrate_is_refused(n: int, flip: bool, what: str) -> None:
    reports, outcomes = history(n)
    if flip:
        outcomes = dict.fromkeys(outcomes, True)
    with pytest.raises(DoyenError, match="LEG-035") as caught:
        fit_outcomes(reports, outcomes)
    assert what in caught.value.message


def test_outcomes_that_do_not_depend_on_the_findings_are_refused() -> None:
    with pytest.raises(DoyenError, match="LEG-035") as caught:
        fit_outcomes(*history(depends=False))
    assert "do not predict" in caught.value.message


def test_a_model_belongs_to_its_weight_table() -> None:
    model = fit_outcomes(*history())
    with pytest.raises(DoyenError, match="LEG-036"):
        model.probability({}, "9.9.9")


@pytest.mark.parametrize("content", ["{}", "not json", None])
def test_broken_models_are_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "model.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DoyenError, match="LEG-036"):
        OutcomeModel.load(path)


def test_calibration_error() -> None:
    happened = [False] * 50 + [True] * 50
    assert expected_calibration_error([0.0] * 50 + [1.0] * 50, happened) == 0
    # Five bins of twenty: the middle one pools both halves, and its errors cancel.
    assert expected_calibration_error([0.2] * 50 + [0.8] * 50, happened) == pytest.approx(0.16)
    assert expected_calibration_error([], []) == 0


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("document,outcome\na.pdf,maybe\n", "row 2"),
        ("document,outcome\na.pdf,1\na.pdf,0\n", "row 3"),
        ("name,result\na.pdf,1\n", "row 2"),
        ("document,outcome\n", "no rows"),
        (None, "cannot be read"),
    ],
)
def test_bad_outcome_files(tmp_path: Path, rows: str | None, what: str) -> None:
    path = tmp_path / "outcomes.csv"
    if rows is not None:
        path.write_text(rows)
    with pytest.raises(DoyenError, match="LEG-034") as caught:
        read_outcomes(path)
    assert what in caught.value.message


def test_a_folder_without_reports(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"a": 1}')
    with pytest.raises(DoyenError, match="LEG-034"):
        read_reports(tmp_path)


def test_the_command_writes_a_model_and_says_how_good_it_is(tmp_path: Path) -> None:
    reports, outcomes = history()
    for item in reports:
        path = tmp_path / "reports" / item.document.name / "report.json"
        path.parent.mkdir(parents=True)
        path.write_text(item.model_dump_json())
    rows = "".join(f"{name},{'yes' if value else 'no'}\n" for name, value in outcomes.items())
    (tmp_path / "outcomes.csv").write_text(f"document,outcome\n{rows}")
    app = typer.Typer()
    app.command()(command)
    arguments = ["--reports", str(tmp_path / "reports"), "--outcomes", str(tmp_path / "outcomes.csv")]
    arguments += ["--out", str(tmp_path / "m.json"), "--name", "dispute"]
    printed = CliRunner().invoke(app, arguments)
    assert printed.exit_code == 0
    assert "Brier" in printed.stdout
    as_json = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert as_json["n"] == 200
    assert OutcomeModel.load(tmp_path / "m.json").outcome == "dispute"


def test_a_review_states_the_probability_of_the_clients_model(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    fit_outcomes(*history(), "dispute").save(file)
    contract = from_text("1. Law. This Agreement is governed by the laws of Ohio.", "nda.txt")
    priority = Reviewer(llm=False, outcomes=file).review_document(contract).priority
    assert priority is not None
    assert priority.probability is not None
    assert 0 < priority.probability < 1
    assert priority.calibrated_on is not None
    assert priority.calibrated_on.startswith("dispute: 200 outcomes")


def test_an_edited_outcome_model_is_another_request_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    fit_outcomes(*history(), "dispute").save(file)
    before = validate_options({"outcomes": str(file)})
    assert before["outcomes"] == str(file.resolve())
    fit_outcomes(*history(), "litigation").save(file)
    assert validate_options({"outcomes": str(file)}) != before
    file.write_text("{}")
    with pytest.raises(DoyenError, match="LEG-036"):
        validate_options({"outcomes": str(file)})
    with pytest.raises(DoyenError, match="LEG-036"):
        Reviewer(outcomes=file)
