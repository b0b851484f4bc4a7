"""The shipped sentiment models: what they answer, and what they refuse or flag."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from doyen_finance.cli import app
from doyen_finance.sentiment import analyse, scoring
from doyen_finance.sentiment.analysis import MAX_CHARS, language, sentences
from doyen_finance.sentiment.build import cross_fitted, read_recipe
from doyen_finance.sentiment.corpora import LABELS, Target
from doyen_finance.sentiment.measure import measure
from doyen_finance.sentiment.robustness import robustness
from doyen_finance.sentiment.scoring import Blend, Model, fit_blend, probabilities
from doyen_schemas import DoyenError

NEWS = "Infosys gains on strong earnings, TCS falls 8% on weak outlook"


def test_entities_are_judged_apart_with_their_places() -> None:
    found = analyse(NEWS)
    by_name = {entity.name: entity for entity in found.entities}
    assert by_name["Infosys"].sentiment.label == "positive"
    assert by_name["TCS"].sentiment.label == "negative"
    assert all(NEWS[start:end] == e.name for e in found.entities for start, end in e.spans)
    assert sum(found.sentiment.probabilities.values()) == pytest.approx(1, abs=1e-3)
    assert found.flags == ()


def test_a_named_entity_is_judged_at_every_place_of_a_document() -> None:
    text = "Acme Corp. shares jumped 9% after it beat estimates.\n\nAnalysts had expected less. Acme raised its dividend."
    found = analyse(text, entity="Acme")
    assert [text[start:end] for start, end in found.entities[0].spans] == ["Acme", "Acme"]
    assert found.entities[0].sentiment.label == "positive"
    assert [text[s.start : s.end] for s in found.sentences][1:] == [
        "Analysts had expected less.", "Acme raised its dividend.",
    ]  # fmt: skip
    assert analyse("Acme\ud800 soars on record profit", "Acme").entities[0].name == "Acme"


@pytest.mark.parametrize(
    ("text", "entity", "model", "code"),
    [
        ("", None, None, "FIN-042"),
        (" \n…!", None, None, "FIN-042"),
        ("word " * (MAX_CHARS // 4), None, None, "FIN-043"),
        (NEWS, "Wipro", None, "FIN-044"),
        (NEWS, " ", None, "FIN-044"),
        (NEWS, None, "gpt", "FIN-046"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    text: str, entity: str | None, model: str | None, code: str
) -> None:
    with pytest.raises(DoyenError) as error:
        analyse(text, entity, model)
    assert error.value.code == code


def test_unsure_answers_are_flagged() -> None:
    assert "language" in analyse("Der Gewinn der Firma ist im dritten Quartal nicht gestiegen.").flags
    assert "language" in analyse("公司第三季度净利润大幅下降").flags
    assert analyse("Acme").flags == ("one_word",)
    assert "cut" in analyse("profit, " * 100 + "fell").flags
    assert language("Le bénéfice de la société est en hausse pour le trimestre") == "French"
    assert language("Sensex falls 200 pts") == "English"


def test_mentions_with_and_without_legal_form_are_one_entity() -> None:
    found = analyse("Acme Corp. shares jumped 9% after it beat estimates. Acme raised its dividend.")
    acme = next(entity for entity in found.entities if entity.name.startswith("Acme"))
    assert len(acme.spans) == 2
    assert acme.sentiment.label == "positive"


def test_sentences_do_not_end_at_abbreviations() -> None:
    text = "Acme Inc. Chief Mr. Doe left. “Sad,” he said… \n U.S. Steel rose 1.5% today! "
    assert [text[start:end] for start, end in sentences(text)] == [
        "Acme Inc. Chief Mr. Doe left.", "“Sad,” he said…", "U.S. Steel rose 1.5% today!",
    ]  # fmt: skip


def test_hostile_texts_take_time_in_proportion_to_their_length() -> None:
    began = time.monotonic()
    sentences("A." * 100_000 + " \n" * 100_000 + "$" * 100_000)
    sentences("Acme" + " " * 300_000 + "Bolt")
    assert time.monotonic() - began < 5


def test_digits_never_decide() -> None:
    targets = [Target("Acme Q3 net rises 12% to $45.6 mln", ((0, 4),)), Target("$ACME beats by 3 cents")]
    first = probabilities(targets)
    second = probabilities(
        [t._replace(text=t.text.translate(str.maketrans("123456", "789087"))) for t in targets]
    )
    assert np.allclose(first, second)
    found = robustness([*targets, Target("Bolt slips", ((0, 4),), 0)])["perturbations"]
    assert found["numbers"] == {**found["numbers"], "n": 2, "flips": 0.0}
    assert found["name"]["n"] == 2


def test_a_class_may_be_absent_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text(
        "text,label\nAcme shares plunge after profit warning,0\nBolt downgraded,0\nBolt soars on record profit,1\n",
        encoding="utf-8",
    )
    found = measure("tfns", path)
    assert found["flags"] == {"absent_classes": ["neutral"]}
    assert {*found["per_class"]} == {"negative", "positive"}
    assert found["n"] == 3
    assert found["accuracy"] == pytest.approx(1)
    assert 0 <= found["ci95"]["accuracy"][0] <= found["ci95"]["accuracy"][1] <= 1


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    rows = [
        {"title": "No name", "entities": []},
        {"title": "Acme up", "entities": [{"name": "Acme", "sentiment": "positive"}]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.raises(DoyenError) as error:
        measure("sentfin", path, limit=1)
    assert error.value.code == "FIN-041"


def test_sentfin_is_measured_by_entity_with_the_spans_beside(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    entities = [{"name": "Infosys", "sentiment": "positive"}, {"name": "TCS", "sentiment": "negative"}]
    path.write_text(json.dumps({"title": NEWS, "entities": entities}) + "\n", encoding="utf-8")
    result = CliRunner().invoke(
        app, ["evaluate", "--protocol", "sentfin", "--data", str(path), "--json"], catch_exceptions=False
    )
    found = json.loads(result.stdout)
    assert (found["n"], found["texts"], found["accuracy"], found["entity_f1"]) == (2, 1, 1.0, 1.0)


def test_the_blend_recovers_what_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 3)) * 2
    true = Blend(0.5, 0.0, (0.4, 0.0, -0.4)).probabilities(logits, np.zeros_like(logits))
    labels = [int(rng.choice(3, p=row)) for row in true]
    fitted = fit_blend(logits, np.zeros_like(logits), labels, bias=True)
    assert fitted.scale == pytest.approx(0.5, abs=0.06)
    assert fitted.bias[0] - fitted.bias[2] == pytest.approx(0.8, abs=0.2)
    crossed = cross_fitted(logits, rng.normal(size=logits.shape), labels, bias=False)
    assert np.allclose(crossed.sum(axis=1), 1)


def test_damaged_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_folder", lambda: tmp_path)
    (tmp_path / scoring.CONFIG).write_text('{"blends": {"encoder": 3}}', encoding="utf-8")
    for read in (scoring.config.__wrapped__, lambda: scoring.floor_model.__wrapped__("text")):
        with pytest.raises(DoyenError) as error:
            read()
        assert error.value.code == "FIN-045"


def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    from doyen_finance.sentiment.adapter import load

    with pytest.raises(DoyenError) as error:
        load(tmp_path / "encoder.safetensors", {"encoder_sha256": "0" * 64, "tokenizer_sha256": "0"})
    assert error.value.code == "FIN-048"


def test_recipes_with_unknown_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[data]\n[run]\n[model]\n", encoding="utf-8")
    with pytest.raises(DoyenError) as error:
        read_recipe(path)
    assert error.value.code == "FIN-047"


def test_command_prints_one_object(tmp_path: Path) -> None:
    file = tmp_path / "news.txt"
    file.write_text(NEWS, encoding="utf-8")
    result = CliRunner().invoke(app, ["sentiment", str(file), "--json"], catch_exceptions=False)
    found = json.loads(result.stdout)
    assert {*found} == {"sentiment", "entities", "sentences", "flags", "model"}
    assert found["sentiment"]["label"] in LABELS
    shown = CliRunner().invoke(app, ["sentiment", NEWS], catch_exceptions=False)
    assert "Infosys" in shown.stdout
    with pytest.raises(DoyenError, match="no such file"):
        CliRunner().invoke(app, ["sentiment", "absent.txt"], catch_exceptions=False)


def test_the_default_is_what_dev_chose() -> None:
    dev = scoring.config()["dev"]
    assert scoring.default_model() is Model(
        max(dev, key=lambda name: sum(dev[name][k] for k in ("text", "target")))
    )
