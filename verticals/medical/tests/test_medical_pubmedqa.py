"""The protocol ``pubmedqa``: what the model may see, cross-validation of what it was trained on, bad input."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from doyen_medical.cli import app
from doyen_medical.evaluate import pubmedqa
from doyen_medical.evaluate.pubmedqa_features import NAMES, features
from doyen_medical.evaluate.pubmedqa_model import (
    ANSWERS,
    FOLDS,
    Model,
    Question,
    fold_of,
    key,
    load,
    save,
    train,
)
from doyen_schemas import DoyenError

RESULTS = {
    "yes": "Survival was significantly longer with the drug (p < 0.01).",
    "no": "There was no significant difference between the groups (p = 0.6).",
    "maybe": "Pain might fall in some; a trend appears, however it may be small.",
}


def made(count: int) -> tuple[list[Question], list[str]]:
    answers = [ANSWERS[at % 3] for at in range(count)]
    return [
        Question(f"Does drug {at} help?", ("Patients were followed.", f"{RESULTS[answer]} Arm {at}."))
        for at, answer in enumerate(answers)
    ], answers


@pytest.fixture(scope="module")
def model() -> Model:
    return train(*made(90), {"data_sha256": ""})


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def rows(count: int, start: int = 1000) -> list[dict[str, object]]:
    questions, answers = made(start + count)
    return [
        {
            "pmid": str(at), "question": q.question, "contexts": list(q.contexts), "answer": answer,
            "labels": ["BACKGROUND", "RESULTS"], "long_answer": f"The answer is {answer}.", "year": "2001",
        }
        for at, (q, answer) in enumerate(zip(questions[start:], answers[start:], strict=True))
    ]  # fmt: skip


def test_what_differs_in_its_cues_is_learned(model: Model, tmp_path: Path) -> None:
    figures = pubmedqa.evaluate_file(write(tmp_path / "a.jsonl", rows(30)), None, model)
    assert (figures["n"], figures["accuracy"], figures["macro_f1"], figures["skill"]) == (30, 1.0, 1.0, "yes")
    assert figures["accuracy_untuned"] == pytest.approx(1 / 3, abs=1e-3)
    assert "majority" in figures["untuned"]
    assert figures["cross_validated"] == 0


def test_nothing_but_question_and_contexts_is_read(model: Model, tmp_path: Path) -> None:
    """Blanked, absent and swapped: the answer itself only moves the figures, never a prediction."""
    full = rows(20)
    allowed = {"question", "contexts", "answer"}
    blank = [{name: value if name in allowed else "" for name, value in row.items()} for row in full]
    bare = [{name: row[name] for name in allowed} for row in full]
    swapped = [row | {"long_answer": full[at - 1]["long_answer"]} for at, row in enumerate(full)]
    results = [
        pubmedqa.evaluate_file(write(tmp_path / f"{at}.jsonl", content), None, model)
        for at, content in enumerate((full, blank, bare, swapped))
    ]
    assert results[0] == results[1] == results[2] == results[3]
    relabelled = write(tmp_path / "r.jsonl", [row | {"answer": "maybe"} for row in full])
    before = [model.answer(q) for q in pubmedqa.read(tmp_path / "0.jsonl")[0]]
    assert [model.answer(q) for q in pubmedqa.read(relabelled)[0]] == before


def test_a_trained_question_is_answered_by_the_model_that_did_not_see_it(model: Model) -> None:
    """Changing a question's training label changes the four models of the other folds, not the one that answers it."""
    questions, answers = made(90)
    wrong = train(questions, ["no", *answers[1:]], {})
    fold = fold_of(questions[0])
    assert model.seen[key(questions[0])] == fold
    assert np.array_equal(model.scores(questions[0]), wrong.scores(questions[0]))
    others = [at for at in range(FOLDS) if at != fold]
    assert not any(np.array_equal(model.weight_MAF[at], wrong.weight_MAF[at]) for at in others)


def test_the_trained_file_is_recognised_whatever_its_other_fields(model: Model, tmp_path: Path) -> None:
    seen = [row | {"pmid": ""} for row in rows(12, start=0)]
    assert pubmedqa.evaluate_file(write(tmp_path / "a.jsonl", seen), None, model)["cross_validated"] == 12
    assert pubmedqa.evaluate_file(tmp_path / "a.jsonl", 5, model)["n"] == 5


def test_weights_are_read_back(model: Model, tmp_path: Path) -> None:
    save(model, tmp_path)
    again = load(tmp_path)
    assert again.seen == model.seen
    for question in made(100)[0]:
        assert again.scores(question) == pytest.approx(model.scores(question), abs=1e-5)


@pytest.mark.parametrize("damage", ["gone", "cut", "names", "shape"])
def test_damaged_weights_are_refused(model: Model, tmp_path: Path, damage: str) -> None:
    from safetensors.numpy import save_file

    save(model, tmp_path)
    if damage == "gone":
        (tmp_path / "pubmedqa.json").unlink()
    elif damage == "cut":
        (tmp_path / "pubmedqa.safetensors").write_bytes(b"\x09")
    elif damage == "names":
        facts = json.loads((tmp_path / "pubmedqa.json").read_text())
        (tmp_path / "pubmedqa.json").write_text(json.dumps(facts | {"names": ["other"]}))
    else:
        save_file(
            {n: np.zeros(1, np.float32) for n in ("mean_MF", "scale_MF", "weight_MAF", "bias_MA")},
            tmp_path / "pubmedqa.safetensors",
        )
    with pytest.raises(DoyenError, match="MED-066"):
        load(tmp_path)


def test_too_few_questions_of_an_answer_are_refused() -> None:
    with pytest.raises(DoyenError, match="MED-065"):
        train(*made(9), {})


@pytest.mark.parametrize(
    "row",
    [
        [], {}, {"question": "Q?", "contexts": "text", "answer": "yes"}, {"question": "Q?", "contexts": [1], "answer": "no"},
        {"question": "secret", "contexts": [], "answer": "perhaps"}, {"question": None, "contexts": [], "answer": "no"},
        {"question": "Q?", "contexts": [], "answer": ["yes"]},
    ],
)  # fmt: skip
def test_a_row_of_another_form_is_refused_without_its_text(tmp_path: Path, row: object) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    with pytest.raises(DoyenError, match="MED-011") as caught:
        pubmedqa.read(tmp_path / "a.jsonl")
    assert "secret" not in str(caught.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("\n")
    with pytest.raises(DoyenError, match="MED-012"):
        pubmedqa.read(tmp_path / "a.jsonl")


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    row = {"question": "Q?", "contexts": ["a\u2028b\x85c"], "answer": "yes"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert pubmedqa.read(tmp_path / "a.jsonl")[0][0].contexts == ("a\u2028b\x85c",)


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=4))
def test_any_question_has_its_numbers(question: str, contexts: list[str]) -> None:
    found = features(question, contexts)
    assert found.shape == (len(NAMES),)
    assert np.isfinite(found).all()


def test_cues_by_hand() -> None:
    found = dict(zip(NAMES, features("Is it safe?", ["Background not counted.", RESULTS["no"]]), strict=True))
    assert found["results mean: nothing found"] == 1
    assert found["results mean: large p"] == 1
    assert found["mean: negated"] == 1
    assert found["question: safety"] == found["question: is"] == 1
    assert (found["sentences"], found["results sentences"]) == (2, 1)


DATA = Path(os.environ.get("DOYEN_DATA", "../shared/data")) / "medical/pubmedqa/train.jsonl.gz"


@pytest.mark.skipif(not DATA.is_file(), reason="the PubMedQA questions are not here (DOYEN_DATA)")
def test_the_shipped_weights_show_skill_in_cross_validation() -> None:
    done = CliRunner().invoke(app, ["evaluate", "--protocol", "pubmedqa", "--data", str(DATA), "--json"])
    figures = json.loads(done.stdout)
    assert figures["cross_validated"] == figures["n"] == 500
    assert figures["accuracy"] >= 0.60
    assert figures["macro_f1"] >= 0.40
    assert figures["accuracy"] > figures["accuracy_untuned"]
