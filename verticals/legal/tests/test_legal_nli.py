"""The contradiction head: its protocols, what it may read, and the files that it refuses."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doyen_legal.corpora import NliPair, read_nli_pairs
from doyen_legal.evaluate import nli as protocol
from doyen_legal.evaluate.nli import (
    evaluate_documents,
    evaluate_file,
    evaluate_pairs,
    intervals,
    score_labels,
)
from doyen_legal.risk import nli
from doyen_legal.risk.training import RECIPE, augment, contracts, read_recipe, sha256, teach, train_nli
from doyen_schemas import DoyenError

LICENSE = "Agreement shall not grant Receiving Party any right to Confidential Information."
SURVIVAL = "Some obligations of Agreement may survive termination of Agreement."
TECHNICAL = "Confidential Information shall only include technical information."
COLUMNS = ["concatenated_spans", "hypothesis", "num_spans", "num_evidence_spans", "num_tokens", "label"]
ROWS = [
    ("No license or other right in the Confidential Information is granted to the Recipient.", LICENSE, 0),
    ("The obligations of this Agreement shall survive its termination for five years.", SURVIVAL, 0),
    ("“Confidential Information” means all financial, commercial and technical information.", TECHNICAL, 1),
    ("Notices must be sent by registered mail to the address above.", SURVIVAL, 2),
    ("This Agreement may be signed in counterparts.", LICENSE, 2),
]


def pairs_file(path: Path, *, blank: bool = False) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (evidence, hypothesis, label) in enumerate(ROWS):
            others = ["", "", ""] if blank else [70 + number, 0 if label == 2 else 2, 900 + number]
            writer.writerow([evidence, hypothesis, *others, label])
    return path


def documents_file(path: Path, text: str, spans: list[list[int]], annotations: dict[str, Any]) -> Path:
    content = {
        "documents": [{"id": 1, "file_name": "x", "text": text, "spans": spans, "annotation_sets": [{"annotations": annotations}]}],
        "labels": {"nda-1": {"hypothesis": SURVIVAL}, "nda-2": {"hypothesis": LICENSE}},
    }  # fmt: skip
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


TEXT = (
    "Notices must be sent by mail. The obligations of this Agreement shall survive its termination. "
    "This Agreement may be signed in counterparts."
)
SPANS = [[0, 29], [30, 94], [95, 140]]
ANNOTATIONS = {
    "nda-1": {"choice": "Entailment", "spans": [1]},
    "nda-2": {"choice": "NotMentioned", "spans": []},
}


def test_the_shipped_head_tells_plain_cases_apart() -> None:
    answers = nli.judge([(evidence, hypothesis) for evidence, hypothesis, _ in ROWS])
    best = [max(answer, key=lambda label: answer[label]) for answer in answers]
    assert best == ["entailment", "entailment", "contradiction", "not_mentioned", "not_mentioned"]
    assert all(sum(answer.values()) == pytest.approx(1, abs=1e-3) for answer in answers)


def test_blanking_every_other_field_changes_nothing(tmp_path: Path) -> None:
    full = evaluate_pairs(pairs_file(tmp_path / "full.csv"))
    blanked = evaluate_pairs(pairs_file(tmp_path / "blank.csv", blank=True))
    for timed in (full, blanked):
        assert timed.pop("seconds") >= 0
    assert full == blanked


def test_the_pairs_protocol_reports_every_figure(tmp_path: Path) -> None:
    result = evaluate_file(pairs_file(tmp_path / "pairs.csv"), limit=4)
    assert result["n"] == 4
    assert result["accuracy"] == 1.0
    assert set(result["ci95"]) == {"accuracy", "macro_f1", "entailment_f1", "contradiction_f1"}


def test_the_documents_protocol_retrieves_then_classifies(tmp_path: Path) -> None:
    result = evaluate_file(documents_file(tmp_path / "dev.json.gz", TEXT, SPANS, ANNOTATIONS))
    assert (result["documents"], result["n"]) == (1, 2)
    assert result["accuracy"] == 1.0
    assert result["evidence_recall"] == result["evidence_hit"] == 1.0


def test_a_document_without_sentences_mentions_nothing(tmp_path: Path) -> None:
    annotations = {"nda-1": {"choice": "NotMentioned", "spans": []}}
    result = evaluate_documents(documents_file(tmp_path / "empty.json", "", [], annotations))
    assert result["accuracy"] == 1.0
    assert result["evidence_recall"] is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"documents": []}', "document 1"),
        (b'{"documents": [], "labels": {}}', "no rows"),
        (b'{"documents": [{"text": "a"}], "labels": {}}', "document 1"),
        (b"{not json", "document 1"),
        (b"a,b\n1,2\n", "row 2"),
        (b"concatenated_spans,hypothesis,label\nx,y,7\n", "row 2"),
        (b"label,concatenated_spans,hypothesis\n1,x\n", "row 2"),
        (b"concatenated_spans,hypothesis,label\n", "no rows"),
        (b"", "no rows"),
        (b"\xff\xfe\x00", "cannot be decoded"),
        (
            gzip.compress(b"concatenated_spans,hypothesis,label\n" + b"x,y,1\n" * 999, mtime=0)[:-20],
            "cannot be decoded",
        ),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(DoyenError, match="LEG-002") as caught:
        evaluate_file(path)
    assert what in caught.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="LEG-001"):
        evaluate_file(tmp_path / "none.csv")


def test_other_statements_are_refused_not_guessed() -> None:
    assert len(nli.hypotheses()) == 17
    with pytest.raises(DoyenError, match="LEG-038"):
        nli.judge([("Rent is due monthly.", "The tenant pays rent.")])


def test_missing_weights_are_a_coded_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nli, "WEIGHTS", tmp_path / "nli.safetensors")
    nli.hypotheses.cache_clear()
    try:
        with pytest.raises(DoyenError, match="MOD-032"):
            nli.hypotheses()
    finally:
        monkeypatch.undo()
        nli.hypotheses.cache_clear()


def test_scores_by_hand() -> None:
    gold, predicted = [0, 0, 1, 1, 2], [0, 1, 1, 2, 2]
    scores = score_labels(gold, predicted)
    assert scores["accuracy"] == 0.6
    assert scores["entailment_f1"] == pytest.approx(2 / 3, abs=1e-4)
    assert scores["contradiction_f1"] == 0.5
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3, abs=1e-4)


def test_intervals_hold_the_figure_and_resample_contracts() -> None:
    rng = np.random.default_rng(1)
    gold = rng.integers(3, size=400).tolist()
    predicted = [g if rng.random() < 0.8 else (g + 1) % 3 for g in gold]
    by_contract = intervals(gold, predicted, [i // 20 for i in range(400)])
    low, high = by_contract["accuracy"]
    assert low < score_labels(gold, predicted)["accuracy"] < high
    assert (
        intervals(gold, predicted, [0] * 400)["accuracy"][0]
        == intervals(gold, predicted, [0] * 400)["accuracy"][1]
    )


PAIRS = [
    NliPair("Survives.", SURVIVAL, 0), NliPair("Random one.", LICENSE, 2), NliPair("Financial too.", TECHNICAL, 1),
    NliPair("Also survives.", SURVIVAL, 0), NliPair("Random two.", LICENSE, 2), NliPair("Random three.", TECHNICAL, 2),
]  # fmt: skip


def test_contracts_are_told_apart_by_the_hypothesis_that_comes_again() -> None:
    assert [number for number, _ in contracts(PAIRS)] == [0, 0, 0, 1, 1, 1]


def test_harder_evidence_comes_from_the_same_contract_and_keeps_the_label() -> None:
    made = augment(PAIRS, {"hard_negative": 1.0, "distractor": 1.0}, seed=1, epoch=0)
    assert [pair.label for pair in made] == [pair.label for pair in PAIRS]
    assert [pair.second for pair in made] == [pair.hypothesis for pair in PAIRS]
    assert made[1].first in {"Survives.", "Financial too."}
    assert made[4].first == made[5].first == "Also survives."
    assert sorted(made[0].first.split("\n")) == ["Financial too.", "Survives."]
    assert made[3].first == "Also survives."  # its contract decides nothing else


def test_epochs_differ_and_seeds_repeat() -> None:
    chances = {"hard_negative": 0.5, "distractor": 0.5}
    many = PAIRS * 20
    assert augment(many, chances, 1, 0) == augment(many, chances, 1, 0)
    assert augment(many, chances, 1, 0) != augment(many, chances, 1, 1)
    untouched = augment(many, {"hard_negative": 0.0, "distractor": 0.0}, 1, 0)
    assert [pair.first for pair in untouched] == [pair.evidence for pair in many]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("[augment]", "[augmentation]", "augmentation"),
        ("dropout = 0.1", "drop_out = 0.1", "drop_out"),
        ('"entailment", "contradiction"', '"contradiction", "entailment"', "labels are"),
        ("distractor = 0.25", "distraction = 0.25", "distraction"),
        ("seeds = [1]", "seeds = []", "seeds is empty"),
        ("rank = 32", "rank = ", "line"),
        ("[augment]", "[distil]\nteachers = []\nstart = true\n[augment]", "teachers is empty"),
        ("[augment]", "[distil]\nteacher = []\n[augment]", "section [distil]"),
    ],
)
def test_bad_recipes_are_refused(tmp_path: Path, old: str, new: str, what: str) -> None:
    text = RECIPE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "nli.toml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DoyenError, match="LEG-030") as caught:
        read_recipe(path)
    assert what in caught.value.message


@pytest.mark.slow
def test_training_writes_weights_configuration_and_figures(tmp_path: Path) -> None:
    data = tmp_path / "contract-nli"
    data.mkdir()
    for part in ("train", "dev"):
        pairs_file(data / f"pairs_{part}.csv.gz")
    text = (
        RECIPE.read_text(encoding="utf-8")
        .replace("epochs = 4", "epochs = 1")
        .replace("[8, 16, 32]", "[8]")
        .replace("seeds = [1]", "seeds = [1, 2]")
    )
    recipe = tmp_path / "nli.toml"
    recipe.write_text(text, encoding="utf-8")
    out = tmp_path / "out" / "nli.safetensors"
    figures = train_nli(tmp_path, out, tmp_path / "figures.json", recipe)
    assert json.loads((tmp_path / "figures.json").read_text()) == figures
    assert sorted(figures["seeds"]) == ["1", "2"]
    assert figures["seeds"]["1"]["ranks"]["32"]["bytes"] == out.stat().st_size
    assert sorted(path.name for path in out.parent.iterdir()) == ["nli.json", "nli.safetensors"]
    config = json.loads(out.with_suffix(".json").read_text())
    assert config["hypotheses"] == sorted({LICENSE, SURVIVAL, TECHNICAL})
    assert set(figures["data_sha256"]) == {"pairs_train.csv.gz", "pairs_dev.csv.gz"}

    shipped = RECIPE.with_name("nli-distilled.toml").read_text(encoding="utf-8")
    (tmp_path / "nli-distilled.toml").write_text(
        shipped.replace('["nli.safetensors"]', '["out/nli.safetensors"]'), encoding="utf-8"
    )
    student = tmp_path / "student" / "nli.safetensors"
    figures = train_nli(tmp_path, student, None, tmp_path / "nli-distilled.toml")
    assert figures["distil"]["teachers_sha256"] == [sha256(out)]
    assert json.loads(student.with_suffix(".json").read_text())["distil"] == figures["distil"]
    train = read_nli_pairs(data / "pairs_train.csv.gz", None)
    kept = student.with_name("nli-teacher.npz")
    before = kept.read_bytes()
    probabilities = teach([out], train, kept)
    assert kept.read_bytes() == before  # nothing was computed again
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-3)


def test_protocol_module_reads_only_what_it_may() -> None:
    fields = set(protocol.NliDocument.__dataclass_fields__)
    assert fields == {"sentences", "labels", "evidence"}
    assert set(NliPair.__dataclass_fields__) == {"evidence", "hypothesis", "label"}
