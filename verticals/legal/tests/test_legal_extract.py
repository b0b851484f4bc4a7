"""Sentences, windows, targets and decisions of the extractor: everything that needs no trained weights."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_legal.extract.decide import Scorer, candidates, fit_part, log_odds, presence_features
from doyen_legal.extract.ngrams import fit_ngram_heads
from doyen_legal.extract.scores import TextScores
from doyen_legal.extract.sentences import split_sentences
from doyen_legal.extract.types import Clause
from doyen_legal.extract.windows import (
    encode,
    label_layers,
    pack,
    sentence_targets,
    tag_targets,
    windows_of,
)
from doyen_legal.labels import LABELS
from doyen_modeling.encoder import load_tokenizer


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One ends here. Two begins.", ["One ends here.", "Two begins."]),
        ("Acme, Inc. is a party. So is Beta Co. Ltd.", ["Acme, Inc. is a party.", "So is Beta Co. Ltd."]),
        ("4.2. Term. It ends.", ["4.2. Term.", "It ends."]),
        ("See Sec. 4 of the U.S. Code.", ["See Sec. 4 of the U.S. Code."]),
        ("A heading\n\nand a body", ["A heading", "and a body"]),
        ("list: (a) one; (b) two; and (c) three", ["list: (a) one;", "(b) two; and", "(c) three"]),
        ('He said "Stop." Then left.', ['He said "Stop."', "Then left."]),
        ("", []),
        (" \n\n ", []),
    ],
)
def test_split_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


@given(st.text(alphabet='ab A.;:\n()1"', max_size=400))
def test_sentences_partition_the_visible_text(text: str) -> None:
    places = split_sentences(text)
    assert all(start < end for start, end in places)
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    covered = "".join(text[start:end] for start, end in places)
    assert "".join(covered.split()) == "".join(text.split())


def test_a_table_without_full_stops_is_cut_to_a_readable_length() -> None:
    text = "cell " * 3000
    places = split_sentences(text)
    assert max(end - start for start, end in places) <= 1500
    assert sum(len(text[start:end].split()) for start, end in places) == 3000


def test_encode_keeps_every_subword_and_cuts_long_sentences() -> None:
    tokenizer = load_tokenizer()
    text = "This Agreement ends. " + "word " * 400 + ". Short one."
    encoded = encode(text, tokenizer, 128)
    assert len(encoded.ids_T) == len(tokenizer.encode(text, add_special_tokens=False).ids)
    assert encoded.sentence_lengths().max() <= 126
    assert encoded.sentence_lengths().sum() == len(encoded.ids_T)
    windows = windows_of(encoded, 128)
    assert [w.begin for w in windows[1:]] == [w.end for w in windows[:-1]]
    assert (windows[0].begin, windows[-1].end) == (0, len(encoded.ids_T))


def test_encode_of_an_empty_text_has_no_windows() -> None:
    encoded = encode("", load_tokenizer(), 128)
    assert windows_of(encoded, 128) == []


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(0, 62))
def test_windows_hold_whole_sentences_in_order(lengths: list[int], first: int) -> None:
    windows = pack(np.array(lengths, dtype=np.int64), 64, first)
    assert [n for i, j in windows for n in range(i, j)] == list(range(len(lengths)))
    assert all(sum(lengths[i:j]) <= 62 or j - i == 1 for i, j in windows)


def test_sentence_targets_need_half_of_the_sentence_or_of_the_span() -> None:
    sentences = np.array([[0, 100], [100, 200], [200, 300]])
    targets = sentence_targets(
        sentences, [("Insurance", 0, 130), ("Parties", 110, 120), ("Insurance", 260, 340)], LABELS
    )
    column = {label: targets[:, LABELS.index(label)].tolist() for label in ("Insurance", "Parties")}
    assert column == {"Insurance": [1.0, 0.0, 1.0], "Parties": [0.0, 1.0, 0.0]}


def test_tags_of_overlapping_labels_stand_in_their_layers() -> None:
    starts = np.array([0, 5, 10, 15])
    ends = np.array([4, 9, 14, 19])
    layers = (("Parties", "Insurance"), ("Audit Rights",))
    tags = tag_targets(
        starts, ends, [("Insurance", 0, 14), ("Audit Rights", 5, 19), ("Parties", 5, 9)], layers
    )
    # The shorter Parties span gives way to the Insurance span of its own layer.
    assert tags.tolist() == [[3, 0], [4, 1], [4, 2], [0, 2]]


def test_label_layers_keep_overlapping_labels_apart() -> None:
    overlapping = [
        [("License Grant", 0, 50), ("Non-Transferable License", 10, 60), ("Insurance", 55, 90)]
    ] * 5
    layers = label_layers(overlapping, LABELS, 2)
    assert sorted(label for layer in layers for label in layer) == sorted(LABELS)
    home = {label: n for n, layer in enumerate(layers) for label in layer}
    assert home["License Grant"] != home["Non-Transferable License"] != home["Insurance"]


def test_ngram_heads_find_their_label_and_survive_saving(tmp_path) -> None:
    sentences = ["This Agreement is governed by the laws of Ohio.", "The Supplier shall deliver."] * 20
    targets = np.zeros((40, len(LABELS)), dtype=np.float32)
    law = LABELS.index("Governing Law")
    targets[::2, law] = 1
    heads = fit_ngram_heads(sentences, targets, seed=0)
    logits = heads.logits(["It is governed by the laws of Texas.", "Goods are delivered."])
    assert logits[0, law] > logits[1, law]
    assert (logits[:, LABELS.index("Insurance")] < -5).all()
    heads.save(tmp_path / "n.safetensors")
    again = type(heads).load(tmp_path / "n.safetensors").logits(["It is governed by the laws of Texas."])
    assert np.allclose(again, logits[:1], atol=0.05)
    assert heads.logits([]).shape == (0, len(LABELS))


TEXT = "Supply Agreement dated May 8, 2014. The law of Ohio governs. Insurance is kept. It is renewed yearly."


def _scores(**logits: list[float]) -> TextScores:
    """Scores of ``TEXT``'s four sentences: low but for the logits given by label."""
    places = np.array(split_sentences(TEXT))
    deep = np.full((4, len(LABELS)), -9.0, dtype=np.float32)
    for label, column in logits.items():
        deep[:, LABELS.index(label.replace("_", " "))] = column
    inside = (deep > 0).astype(np.float32)
    return TextScores(places, deep, deep.copy(), inside, inside, [Clause("Document Name", 0, 16, 0.9)])


def test_candidates_are_sentences_spans_and_dates() -> None:
    found = candidates(TEXT, _scores(Governing_Law=[-9, 3, -9, -9], Agreement_Date=[2, -9, -9, -9]))
    quotes = {(c.label, TEXT[c.start : c.end]) for c in found}
    assert ("Governing Law", "The law of Ohio governs.") in quotes
    assert ("Document Name", "Supply Agreement") in quotes
    assert ("Agreement Date", "May 8, 2014") in quotes
    assert not any(label == "Insurance" for label, _ in quotes)


def test_neighbouring_sentences_of_one_clause_are_one_candidate() -> None:
    found = [c for c in candidates(TEXT, _scores(Insurance=[-9, -9, 2, 2])) if c.label == "Insurance"]
    assert [TEXT[c.start : c.end] for c in found] == ["Insurance is kept. It is renewed yearly."]


def test_scorer_ranks_by_evidence_and_round_trips(tmp_path) -> None:
    rng = np.random.default_rng(0)
    clause = rng.normal(size=(200, 11))
    gold = clause[:, 0] + 0.1 * rng.normal(size=200) > 0
    labels = ["Insurance", "Governing Law"] * 100
    presence = clause[:, :2]
    parts = {
        "clause": fit_part(labels, clause, gold, 1.0), "entity": fit_part(labels, clause, gold, 1.0),
        "presence": fit_part(labels, presence, gold, 1.0),
    }  # fmt: skip
    scorer = Scorer(parts, 0.4)
    scorer.save(tmp_path / "scorer.json")
    again = Scorer.load(tmp_path / "scorer.json")
    assert again == scorer
    extraction = again.decide(TEXT, _scores(Insurance=[-9, -3, 4, -9]))
    ranked = [c for c in extraction.clauses if c.label == "Insurance"]
    assert [c.score for c in ranked] == sorted((c.score for c in ranked), reverse=True)
    assert TEXT[ranked[0].start : ranked[0].end] == "Insurance is kept."
    assert set(extraction.presence) == set(LABELS)


def test_an_empty_text_has_nothing_and_no_error() -> None:
    nothing = np.zeros((0, len(LABELS)), dtype=np.float32)
    scores = TextScores(np.zeros((0, 2), dtype=np.int64), nothing, nothing, nothing, nothing, [])
    assert candidates("", scores) == []
    assert presence_features(scores).shape == (len(LABELS), 2)
    assert log_odds(np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx([-7.986, 0.0, 7.986], abs=0.01)
