"""The protocol ``concepts``: its file reader, counts by hand, and the floor on the development part."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_medical.evaluate.concepts import current_id, evaluate_file, read_corpus, score
from doyen_medical.knowledge.store import load
from doyen_schemas import DoyenError

TWO = (
    "1\nShe had seizures and ataxia.\n8\t16\tseizures\tHP:0001250\n21\t27\tataxia\tHP:0001251\n\n"
    "2\nNothing here.\n"
)


def write(folder: Path, text: str) -> Path:
    path = folder / "corpus.tsv"
    path.write_text(text)
    return path


def test_a_file_is_read_plain_and_gzipped(tmp_path: Path) -> None:
    plain = read_corpus(write(tmp_path, TWO))
    zipped = tmp_path / "corpus.tsv.gz"
    zipped.write_bytes(gzip.compress(TWO.replace("\n", "\r\n").encode()))
    assert read_corpus(zipped) == plain
    assert [(text.id, len(text.gold)) for text in plain] == [("1", 2), ("2", 0)]
    assert len(read_corpus(write(tmp_path, TWO), limit=1)) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("8\t16\tseizures", "line 3"),
        ("x\t16\tseizures\tHP:0001250", "line 3"),
        ("16\t8\tseizures\tHP:0001250", "16 to 8"),
        ("8\t16\tseizures\tMONDO:1", "fourth column"),
    ],
)
def test_a_bad_line_is_named_without_its_text(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DoyenError, match=rf"MED-041.*{message}") as caught:
        read_corpus(write(tmp_path, f"1\nShe had seizures.\n{line}\n"))
    assert "seizures" not in str(caught.value)


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="MED-010"):
        read_corpus(tmp_path / "none.tsv")
    with pytest.raises(DoyenError, match="MED-040"):
        read_corpus(write(tmp_path, "\n\n"))
    (tmp_path / "b.gz").write_bytes(b"\x1f\x8bnot gzip")
    with pytest.raises(DoyenError, match="MED-011"):
        read_corpus(tmp_path / "b.gz")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "corpus.tsv"
    path.write_text(text, encoding="utf-8", errors="ignore")
    try:
        read = read_corpus(path)
    except DoyenError as error:
        read = []
        refused = error.code
    assert read or refused in ("MED-040", "MED-041")


def test_counts_by_hand() -> None:
    ontology = load().ontology
    gold = [frozenset({(0, 4, "HP:0001250"), (9, 12, "HP:0001250"), (5, 8, "HP:0001251")})]
    predicted = [frozenset({(0, 4, "HP:0001250"), (5, 9, "HP:0001251"), (1, 2, "HP:0000365")})]
    figures = score(gold, predicted, ontology)
    assert (figures["mention_precision"], figures["mention_recall"]) == (0.3333, 0.3333)
    assert (figures["document_precision"], figures["document_recall"]) == (0.6667, 1.0)
    assert figures["document_f1"] == 0.8
    assert score(gold, gold, ontology)["mention_f1"] == 1.0
    assert score(gold, [frozenset()], ontology)["document_f1"] == 0.0


def test_former_ids_count_as_what_they_now_are() -> None:
    ontology = load().ontology
    former = next(iter(ontology.alternative))
    assert current_id(former, ontology) == ontology.ids[ontology.alternative[former]]
    assert current_id("HP:9999999", ontology) == "HP:9999999"


def test_the_figures_of_a_file(tmp_path: Path) -> None:
    figures = evaluate_file(write(tmp_path, TWO))
    assert (figures["n"], figures["mention_f1"], figures["document_f1"]) == (2, 1.0, 1.0)


DEV = (
    Path(os.environ.get("DOYEN_DATA", "../shared/data"))
    / "medical/hpo-concept-recognition/gsc_plus_dev.tsv.gz"
)


@pytest.mark.skipif(not DEV.is_file(), reason="the GSC+ development part is not here (DOYEN_DATA)")
def test_the_development_part_is_above_the_required_figure() -> None:
    assert evaluate_file(DEV)["document_f1"] >= 0.74
