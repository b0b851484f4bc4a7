"""Records, questions, settings and figures: what is learned, what is left out, what is measured."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from medical_llm_fixtures import FACTS, KNOWN, LENS, MARFAN, question
from typer.testing import CliRunner

from doyen_data import Record
from doyen_medical.cli.reasoner import app
from doyen_medical.llm import measure, prompt, reasoner
from doyen_medical.llm.facts import LETTERS, Finding
from doyen_medical.llm.questions import read_questions, write_questions
from doyen_medical.llm.records import REASONED, build_records
from doyen_medical.llm.stage import Settings
from doyen_schemas import DoyenError

IS_TERM = KNOWN.__contains__
CLOSE = (0.3, 0.28, 0.1)
MANY = [question(f"case-{n}", CLOSE, n % 3, float(n % 3)) for n in range(60)]


def _letter(record: Record) -> str:
    return record.messages[-1].content


class TestRecords:
    def test_the_letter_is_that_of_the_right_candidate_and_no_letter_is_right_more_often(self) -> None:
        built = build_records(MANY, IS_TERM, seed=1)
        assert built.left_out == {}
        assert len(built.records) == 60
        right = {q.id: q.facts.options[q.truth].name for q in MANY}
        for record in built.records:
            line = next(
                x for x in record.messages[1].content.splitlines() if x.startswith(f"{_letter(record)}. ")
            )
            assert line.startswith(f"{_letter(record)}. {right[record.id]}: ")
        assert max(Counter(map(_letter, built.records)).values()) < 32
        assert set(map(_letter, built.records)) <= set(LETTERS[:3])

    def test_the_conclusion_is_learned_everywhere_and_the_steps_in_some(self) -> None:
        records = build_records(MANY, IS_TERM, seed=1).records
        stepped = [r for r in records if len(r.messages) > 3]
        assert len(stepped) == len(records) / REASONED
        assert all(r.messages[-1].train and len(_letter(r)) == 1 for r in records)
        assert all(r.messages[2].content.startswith("Analysis: 4 findings") for r in stepped)
        assert all(r.messages[0].content == prompt.SYSTEM for r in records)

    def test_the_same_seed_gives_the_same_records(self) -> None:
        assert build_records(MANY, IS_TERM, 1) == build_records(MANY, IS_TERM, 1)
        assert build_records(MANY, IS_TERM, 1) != build_records(MANY, IS_TERM, 2)

    def test_what_fails_the_check_or_has_no_answer_is_left_out_and_counted(self) -> None:
        unknown = replace(LENS, label="Purple hair")
        wrong = replace(FACTS, findings=(unknown, *FACTS.findings[1:]))
        broken = replace(MARFAN, name="x" * 40, lacks=(Finding("HP:1", "y" * 1_400, 1.0),))
        long = replace(
            FACTS, findings=(*FACTS.findings, broken.lacks[0]), options=(broken, *FACTS.options[1:])
        )
        questions = [
            question("none", CLOSE, -1, 40.0),
            replace(question("ontology", CLOSE, 0, 0.0), facts=wrong),
            replace(question("long", CLOSE, 0, 0.0), facts=long),
            question("good", CLOSE, 0, 0.0),
        ]
        built = build_records(questions, lambda label: label in KNOWN or label.startswith("y"), 1)
        assert [record.id for record in built.records] == ["good"]
        assert built.left_out["truth-not-shown"] == 1
        assert sum(built.left_out.values()) == 3
        assert built.left_out["long"] == 1


class TestQuestions:
    def test_they_are_read_as_they_were_written(self, tmp_path: Path) -> None:
        write_questions(tmp_path / "q.jsonl", MANY[:3])
        assert read_questions(tmp_path / "q.jsonl") == MANY[:3]

    @pytest.mark.parametrize("text", ["{", '{"id": 1}', '{"id": "1", "paper": "2", "facts": 3}', "[1]"])
    def test_another_file_is_an_error(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "q.jsonl").write_text(text)
        with pytest.raises(DoyenError) as raised:
            read_questions(tmp_path / "q.jsonl")
        assert raised.value.code == "MED-110"

    def test_no_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DoyenError) as raised:
            read_questions(tmp_path / "none.jsonl")
        assert raised.value.code == "MED-110"


class TestFigures:
    QUESTIONS: ClassVar = [
        question("a", (0.5, 0.4, 0.05), 1, 1.0),
        question("b", (0.5, 0.4, 0.05), 0, 0.0),
        question("c", (0.9, 0.05, 0.01), 1, 1.0),
        question("d", (0.5, 0.4, 0.05), -1, 9.0),
    ]

    def test_the_gain_is_that_of_the_moved_cases(self) -> None:
        scores = [[-5.0, 0.0, -9.0], [0.0, -5.0, -9.0], [-5.0, 0.0, -9.0], [-5.0, 0.0, -9.0]]
        found = measure.compare(self.QUESTIONS, scores, Settings(1.0, 1, 1.0))
        assert found["ranker"]["mrr"] == pytest.approx((0.5 + 1 + 0.5 + 0.1) / 4)
        assert found["with_model"]["mrr"] == pytest.approx((1 + 1 + 0.5 + 0.1) / 4)
        assert found["gain"]["top1"] == 0.25
        assert (found["n"], found["asked"], found["moved"]) == (4, 3, 1)
        assert found["ci95"]["mrr"][0] <= found["gain"]["mrr"] <= found["ci95"]["mrr"][1]

    def test_only_close_questions_are_asked(self) -> None:
        seen = []
        scores, _ = measure.scores_of(self.QUESTIONS, lambda facts: seen.append(facts) or [0.0] * 3, 1.0)  # type: ignore[func-returns-value]
        assert [row is None for row in scores] == [False, False, True, False]
        assert len(seen) == 3

    def test_tuning_takes_the_best_and_a_useless_model_gets_the_least_say(self) -> None:
        right = [[-5.0, 0.0, -9.0], [0.0, -5.0, -9.0], None, [0.0, 0.0, 0.0]]
        found = measure.tune(self.QUESTIONS, right)
        assert found["mrr"] > found["baseline"]
        nothing = measure.tune(self.QUESTIONS, [[0.0] * 3] * 4)
        assert nothing["mrr"] == nothing["baseline"]
        assert nothing["settings"] == {
            "weight": min(measure.WEIGHTS),
            "places": 1,
            "margin": min(measure.MARGINS),
        }

    def test_written_sentences_are_counted_by_reason(self) -> None:
        found = measure.written(MANY[:2], lambda facts: [*prompt.steps(facts), "Give aspirin."], IS_TERM)
        assert found["kept"] == 2 * len(prompt.steps(FACTS))
        assert found["dropped"] == {"form": 2}


class _Stub:
    """A model that prefers the second candidate and writes one true and one false sentence."""

    def letter_scores(self, facts: object) -> list[float]:
        return [-3.0, 0.0, -9.0]

    def steps(self, facts: object) -> list[str]:
        return ["C explains 0 of 4.", "Nonsense."]


class TestCommands:
    @pytest.fixture(autouse=True)
    def stub(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        asked: list[object] = []
        monkeypatch.setattr(reasoner, "load_reasoner", lambda adapter: asked.append(adapter) or _Stub())
        monkeypatch.setattr(
            measure, "dev_questions", lambda knowledge, cases, limit, most: TestFigures.QUESTIONS[:limit]
        )
        monkeypatch.setattr(measure, "read_cases", lambda data, knowledge: [])
        return asked

    def test_tune_then_measure_then_decide(self, tmp_path: Path, stub: list[object]) -> None:
        write_questions(tmp_path / "q.jsonl", TestFigures.QUESTIONS)
        args = ["tune", "--questions", str(tmp_path / "q.jsonl"), "--adapter", str(tmp_path), "--json"]
        tuned = json.loads(CliRunner().invoke(app, args, catch_exceptions=False).stdout)
        assert json.loads((tmp_path / "settings.json").read_text())["settings"] == tuned["settings"]
        common = ["--data", "dev.jsonl", "--adapter", str(tmp_path), "--json"]
        found = json.loads(
            CliRunner().invoke(app, ["measure", *common, "--untuned"], catch_exceptions=False).stdout
        )
        assert found["untuned"] is True
        assert found["written"]["dropped"] == {"form": found["written"]["questions"]}
        out = tmp_path / "gate.json"
        gate = json.loads(
            CliRunner().invoke(app, ["decide", *common, "--out", str(out)], catch_exceptions=False).stdout
        )
        assert gate == json.loads(out.read_text())
        assert gate["on"] == (gate["figures"]["gain"]["mrr"] > 0 and gate["figures"]["ci95"]["mrr"][0] >= 0)
        assert stub == [tmp_path, None, tmp_path]
