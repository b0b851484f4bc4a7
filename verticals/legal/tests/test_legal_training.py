"""Training of the extractor: recipe errors, batches, a short real run that is killed, resumed and calibrated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from doyen_legal.corpora import Contract, GoldSpan, read_cuad, read_nli_pairs
from doyen_legal.extract import train as training
from doyen_legal.extract.train import TrainingText, epoch_batches, load_recipe
from doyen_legal.extract.windows import label_layers
from doyen_legal.labels import LABELS
from doyen_modeling.encoder import load_tokenizer
from doyen_schemas import DoyenError

RECIPE = Path(training.__file__).parent.parent / "recipes" / "extractor.toml"
SENTENCES = {
    "Governing Law": "This Agreement is governed by the laws of the State of Ohio.",
    "Insurance": "Supplier shall maintain insurance of two million dollars.",
    "Anti-Assignment": "Neither party may assign this Agreement without consent.",
}
EMPTY = "The parties met in the spring and spoke of many things."


def _contract(n: int) -> Contract:
    text, spans = "", []
    for label, sentence in SENTENCES.items():
        text += f"{EMPTY} {n} of them.\n\n" * 3
        spans.append(GoldSpan(label, len(text), len(text) + len(sentence), sentence))
        text += sentence + "\n\n"
    return Contract(f"c{n}", text, tuple(spans))


def test_recipe_errors_come_all_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.read_text().replace("epochs = 3", "epochs = 0\nepoch = 3"), encoding="utf-8")
    with pytest.raises(DoyenError, match=r"LEG-060.*epochs.*epoch"):
        load_recipe(path)
    path.write_text("seed =", encoding="utf-8")
    with pytest.raises(DoyenError, match="LEG-060"):
        load_recipe(path)
    with pytest.raises(DoyenError, match="LEG-060"):
        load_recipe(tmp_path / "none.toml")


def test_batches_hold_every_labelled_window_and_repeat_by_seed() -> None:
    recipe = load_recipe(RECIPE).model_copy(update={"window_subwords": 64, "batch_windows": 2})
    contracts = [_contract(n) for n in range(3)]
    layers = label_layers(
        [[(s.label, s.start, s.end) for s in c.spans] for c in contracts], LABELS, recipe.layers
    )
    texts = [TrainingText(c, load_tokenizer(), recipe, layers) for c in contracts]
    batches = epoch_batches(texts, recipe, 1)
    assert [[w for _, w in b] for b in batches] == [
        [w for _, w in b] for b in epoch_batches(texts, recipe, 1)
    ]
    labelled = sum(float(t.sentences_NC[w.first : w.last].sum()) for b in batches for t, w in b)
    assert labelled == sum(len(c.spans) for c in contracts)
    assert all(len(b) <= 2 for b in batches)


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(RECIPE).model_copy(
        update={"window_subwords": 64, "batch_windows": 4, "epochs": 2, "lstm_width": 8, "keep_empty": 1.0}
    )
    contracts = [_contract(n) for n in range(4)]
    whole = training.train(contracts, recipe, tmp_path / "whole", checkpoint_every=3)

    class Killed(Exception):
        pass

    real, calls = training.batch_loss, []

    def dies(*arguments):
        calls.append(1)
        if len(calls) > 4:
            raise Killed
        return real(*arguments)

    monkeypatch.setattr(training, "batch_loss", dies)
    with pytest.raises(Killed):
        training.train(contracts, recipe, tmp_path / "parts", checkpoint_every=3)
    monkeypatch.setattr(training, "batch_loss", real)
    resumed = training.train(contracts, recipe, tmp_path / "parts", checkpoint_every=3)
    for (name, one), (_, other) in zip(whole.named_parameters(), resumed.named_parameters(), strict=True):
        assert bool((one == other).all()), name
    events = [json.loads(line) for line in (tmp_path / "parts" / "events.jsonl").read_text().splitlines()]
    assert {"resumed": 3} in events


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "not a JSON object"),
        ('{"id": "a", "text": "x"}', "missing field"),
        (
            '{"id": "a", "text": "xy", "spans": [{"label": "Nope", "start": 0, "end": 1, "text": "x"}]}',
            "none of the 41",
        ),
        (
            '{"id": "a", "text": "xy", "spans": [{"label": "Parties", "start": 1, "end": 2, "text": "x"}]}',
            "does not hold",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": "ok", "text": "", "spans": []}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DoyenError, match=r"LEG-002.*line 2") as error:
        list(read_cuad(path))
    assert what in error.value.message
    assert [c.id for c in read_cuad(path, limit=1)] == ["ok"]


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="LEG-001"):
        list(read_cuad(tmp_path / "none.jsonl"))
    (tmp_path / "bad.gz").write_bytes(b"\x1f\x8b" + bytes(range(40)))
    with pytest.raises(DoyenError, match="LEG-002"):
        list(read_cuad(tmp_path / "bad.gz"))


def test_nli_reads_three_columns_and_nothing_else(tmp_path: Path) -> None:
    rows = [("Keep it secret.", "The Receiving Party keeps secrets.", "9", "1", "0")]
    head = "concatenated_spans,hypothesis,num_spans,num_evidence_spans,label\n"
    full, blank = tmp_path / "full.csv", tmp_path / "blank.csv"
    full.write_text(head + "\n".join(",".join(r) for r in rows), encoding="utf-8")
    blank.write_text(head + "\n".join(",".join((r[0], r[1], "", "", r[4])) for r in rows), encoding="utf-8")
    assert read_nli_pairs(full) == read_nli_pairs(blank)
    assert np.array([p.label for p in read_nli_pairs(full)]).tolist() == [0]
