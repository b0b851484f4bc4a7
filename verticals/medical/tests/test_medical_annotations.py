"""HPOA rows, frequencies and the purge of held-out papers; maps; genes; the store's cache."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from medical_fixtures import HEADER, SMALL, row, write_release

from doyen_medical.knowledge import annotations as hpoa
from doyen_medical.knowledge import genes, maps, ontology, store
from doyen_medical.knowledge.purge import bucket, held_out, papers_of
from doyen_schemas import DoyenError


def parsed(*rows: str) -> hpoa.Annotations:
    return hpoa.parse(HEADER + "".join(rows), ontology.parse(SMALL))


def test_rows_are_read_and_ids_replaced() -> None:
    found = parsed(
        row("OMIM:1", "HP:0001250", "PMID:1;PMID:2", "2/4", sex="MALE"),
        row("OMIM:1", "HP:0000057", "OMIM:1", "HP:0040281"),
        row("ORPHA:2", "HP:0002279", "ORPHA:2", "", "NOT"),
        row("DECIPHER:3", "HP:0001250", "x"),
        row("OMIM:4", "HP:9999999", "x"),
    )
    assert found.diseases == ("OMIM:1", "ORPHA:2")
    assert set(found.term_R.tolist()) == {3}
    assert found.negated_R.tolist() == [False, False, True]
    assert found.sex_R.tolist() == ["M", "", ""]
    assert (found.hits_R[0], found.total_R[0], found.share_R[0]) == (2, 4, 0.5)
    assert found.share_R[1] == pytest.approx(0.9)
    assert math.isnan(found.share_R[2])
    assert found.papers[0] == {"PMID:1", "PMID:2"}


@pytest.mark.parametrize(
    ("cell", "share"),
    [("HP:0040283", 0.17), ("3/4", 0.75), ("5/4", 1.0), ("40%", 0.4), ("12.5 %", 0.125), ("HP:0040285", 0.0)],
)
def test_frequencies(cell: str, share: float) -> None:
    assert hpoa.frequency(cell)[0] == pytest.approx(share)


@given(st.text(max_size=12))
def test_no_frequency_cell_breaks_the_reader(cell: str) -> None:
    share, hits, total = hpoa.frequency(cell)
    assert math.isnan(share) or 0 <= share <= 1
    assert 0 <= hits <= total


def test_a_pooled_row_falls_with_one_of_its_papers() -> None:
    found = parsed(
        row("OMIM:1", "HP:0001250", "PMID:1;PMID:2"),
        row("OMIM:1", "HP:0011097", "PMID:12"),
        row("OMIM:1", "HP:0000118", "OMIM:1"),
    )
    left = found.without_papers(frozenset({"PMID:2"}))
    assert left.term_R.tolist() == found.term_R[1:].tolist()
    assert left.diseases == found.diseases


def test_the_hash_rule() -> None:
    for paper in ("PMID:15266616", "PMID:1", "PMID:31675180"):
        assert bucket(paper) == int(hashlib.sha256(paper.encode()).hexdigest(), 16) % 20
        assert held_out(paper) == (bucket(paper) >= 12)
    assert papers_of("PMID: 7;pmid:8,ISBN:9") == {"PMID:7", "PMID:8"}


@pytest.mark.parametrize(
    "text", ["", "x\ty\n", HEADER.replace("hpo_id", "x"), HEADER.replace("#version", "#v")]
)
def test_another_table_is_refused(text: str) -> None:
    with pytest.raises(DoyenError, match="MED-002"):
        hpoa.parse(text, ontology.parse(SMALL))


def test_genes() -> None:
    text = "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id\n"
    text += "1\tB\tHP:1\tx\t-\tOMIM:1\n2\tA\tHP:1\tx\t-\tOMIM:1\n3\t-\tHP:1\tx\t-\tOMIM:2\n"
    assert genes.parse(text) == {"OMIM:1": ("A", "B")}
    with pytest.raises(DoyenError, match="MED-002"):
        genes.parse("x")


def test_the_cache_gives_the_same_and_a_damaged_one_is_read_anew(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        store, "get_settings", lambda: type("S", (), {"cache": tmp_path / "c", "home": tmp_path})()
    )
    release = write_release(tmp_path / "r")
    first = store.read(release, maps.Maps())
    (kept,) = (tmp_path / "c" / "medical").iterdir()
    second = store.read(release, maps.Maps())
    assert second.version == first.version
    assert second.version.startswith("hpo-2024-02-03+")
    assert second.ontology.labels == first.ontology.labels
    assert np.array_equal(second.annotations.share_R, first.annotations.share_R)
    assert second.genes == {"OMIM:1": ("ABC",)}
    kept.write_bytes(b"PK broken")
    assert store.read(release, maps.Maps()).annotations.diseases == ("OMIM:1",)
    (release / "phenotype.hpoa").write_text(HEADER + row("OMIM:2", "HP:0001250", "PMID:1"))
    assert store.read(release, maps.Maps()).version != first.version


def test_no_release_is_an_error(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(store, "get_settings", lambda: type("S", (), {"cache": tmp_path, "home": tmp_path})())
    monkeypatch.setattr(store.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DoyenError, match="MED-001"):
        store.release_folder()
    own = write_release(tmp_path / "medical" / "knowledge" / "hpo")
    assert store.release_folder() == own
    (own / "hp.obo").write_bytes(b"\xff\xfe")
    with pytest.raises(DoyenError, match="MED-002"):
        store.read(own, maps.Maps())


SSSOM = (
    "#license: x\nsubject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification\n"
)


def build(tmp_path: Path) -> maps.Maps:
    folder = tmp_path / "mondo"
    folder.mkdir()
    tail = "\ta\tskos:exactMatch\t"
    with gzip.open(folder / "mondo_exactmatch_omim.sssom.tsv.gz", "wt") as file:
        file.write(SSSOM + f"MONDO:1{tail}OMIM:10\tten\tx\n")
    (folder / "mondo_exactmatch_orphanet.sssom.tsv").write_text(
        SSSOM + f"MONDO:1{tail}Orphanet:7\tseven\tx\n"
    )
    (folder / "mondo_broadmatch_icd10cm.sssom.tsv").write_text(SSSOM + f"MONDO:1{tail}ICD10CM:Q87\tq\tx\n")
    orpha = tmp_path / "orpha.json"
    orpha.write_text(json.dumps({"ORPHA:7": [["OMIM:10", "E"], ["OMIM:11", "BTNT"]]}))
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"subject_id": "HP:0001250", "translation_value": "癫痫"}\n', encoding="utf-8")
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"OMIM:10": {"CNS_NAME": "十"}}))
    return maps.build_maps(mondo=folder, orpha_map=orpha, labels_zh=labels, names_zh=[names])


def test_maps_are_built_saved_and_loaded(tmp_path: Path) -> None:
    built = build(tmp_path)
    maps.save_maps(built, tmp_path / "k")
    found = maps.load_maps(tmp_path / "k")
    assert found.mondo_of["OMIM:10"] == found.mondo_of["ORPHA:7"] == "MONDO:1"
    assert next(code for code in found.mondo["MONDO:1"] if code.system == "ICD-10-CM").relation == "broader"
    assert found.exact_orpha("OMIM:10") == ("ORPHA:7",)
    assert found.exact_orpha("OMIM:11") == ()
    assert found.orpha_of["OMIM:11"] == [("ORPHA:7", "broader")]
    assert found.labels_zh == {"HP:0001250": "癫痫"}
    assert found.names_zh == {"OMIM:10": "十"}
    assert found.absent == ("ICD-11",)
    assert found.digest
    assert maps.Maps().absent == ("MONDO", "ORPHA", "ICD-10-CM", "ICD-11")
    assert maps.load_maps(tmp_path / "nowhere") == maps.Maps()


def test_broken_maps_are_refused(tmp_path: Path) -> None:
    (tmp_path / "maps.json").write_text("[]")
    with pytest.raises(DoyenError, match="MED-003"):
        maps.load_maps(tmp_path)
    with pytest.raises(DoyenError, match="MED-003"):
        maps.build_maps(mondo=tmp_path, orpha_map=None, labels_zh=None)
    with pytest.raises(DoyenError, match="MED-003"):
        maps.build_maps(mondo=None, orpha_map=tmp_path / "maps.json", labels_zh=None)
