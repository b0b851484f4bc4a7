"""The shipped ranking on the installed knowledge: purge, strata, blank fields, evidence, questions, protocols."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doyen_medical import Diagnoser, weights
from doyen_medical.cases import Case, Patient, read_cases
from doyen_medical.evaluate import rankings
from doyen_medical.explain.evidence import Explainer
from doyen_medical.explain.question import next_questions
from doyen_medical.knowledge.purge import held_out
from doyen_medical.knowledge.store import load
from doyen_medical.rank.examples import stratum
from doyen_medical.rank.library import build
from doyen_medical.rank.ranker import NO_FINDINGS, Ranker, Ranking
from doyen_schemas import DoyenError

MARFAN = "OMIM:154700"


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    knowledge = load()
    return weights.ranker(build(knowledge, knowledge.annotations, weights.patients()))


@pytest.fixture(scope="module")
def marfan() -> Patient:
    """Findings that any textbook names: lens, aorta, long fingers, stature, sternum."""
    number = load().ontology.number
    ids = ["HP:0001083", "HP:0002616", "HP:0001166", "HP:0000098", "HP:0000768"]
    return Patient(tuple(sorted(number[id] for id in ids)))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """Cases made of annotations: the first findings of forty diseases, every second one of a held-out paper."""
    knowledge = load()
    a = knowledge.annotations
    made = []
    for code in [c for c in a.diseases if c.startswith("OMIM:")][::200]:
        at = np.flatnonzero((a.disease_R == a.number[code]) & (a.aspect_R == "P"))[:8]
        terms = [knowledge.ontology.ids[t] for t in a.term_R[at] if knowledge.ontology.phenotypic[t]]
        if len(terms) > 2:
            made.append(
                {
                    "case_id": code, "pmid": f"PMID:{len(made)}", "sex": "FEMALE", "age": "P3Y", "observed": terms,
                    "excluded": ["HP:0001250"], "disease_id": code, "disease_name": "x", "genes": ["ABC"],
                    "hpoa_cites_this_paper_for_this_disease": False,
                }
            )  # fmt: skip
    return made


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def told(result: dict[str, Any]) -> dict[str, Any]:
    """The figures without the clock."""
    return {key: value for key, value in result.items() if key not in ("seconds_per_case", "with_profiles")}


def test_a_textbook_patient_is_ranked_first(ranker: Ranker, marfan: Patient) -> None:
    ranking = ranker.rank(marfan)
    codes = [ranker.library.codes[c] for c in ranking.columns[:3]]
    assert MARFAN in codes
    assert ranking.chances.sum() + ranking.none == pytest.approx(1)
    assert (np.diff(ranking.chances) <= 0).all()
    assert len(ranking.columns) == ranker.library.candidate_D.sum() == len(set(ranking.columns))


def test_the_same_twice(ranker: Ranker, marfan: Patient) -> None:
    one, two = ranker.rank(marfan), ranker.rank(marfan)
    assert np.array_equal(one.columns, two.columns)
    assert np.array_equal(one.chances, two.chances)


def test_no_finding_is_an_abstention(ranker: Ranker) -> None:
    ranking = ranker.rank(Patient(()))
    assert ranking.abstain == NO_FINDINGS
    assert len(ranking.columns) == 0


def test_five_hundred_findings_are_ranked(ranker: Ranker) -> None:
    terms = np.flatnonzero(load().ontology.phenotypic)[::36][:500]
    assert len(ranker.rank(Patient(tuple(map(int, terms)))).columns)


def test_shipped_patients_are_none_of_the_held_out_papers() -> None:
    patients = weights.patients()
    assert len(patients) > 5_000
    assert not [case.paper for case in patients if held_out(case.paper)]


def test_the_strata(ranker: Ranker) -> None:
    lib = ranker.library
    few = lib.codes[int(lib.case_C[0])]
    literature = next(
        code
        for column, code in enumerate(lib.codes)
        if lib.candidate_D[column] and not lib.patients_D[column]
    )
    assert [stratum(lib, code) for code in (few, literature, "OMIM:0")] == [
        "few_shot", "knowledge_only", "unannotated",
    ]  # fmt: skip


def test_evidence_names_the_share_and_its_source(ranker: Ranker, marfan: Patient) -> None:
    lib, ontology = ranker.library, load().ontology
    lens, deaf = ontology.number["HP:0001083"], ontology.number["HP:0000365"]
    found = {
        w.term: w
        for w in Explainer(lib).weigh(lib.number[MARFAN], [lens, deaf], [ontology.number["HP:0002616"]])
    }
    assert found[lens].role == "supports"
    assert found[lens].log10_ratio > 1
    assert found[lens].sources
    aorta = found[ontology.number["HP:0002616"]]
    assert (aorta.role, aorta.observed) == ("contradicts", False)
    assert aorta.log10_ratio < 0
    assert found[deaf].role in ("unexplained", "supports")


def test_every_cited_paper_stands_in_the_annotations_or_the_patients(ranker: Ranker, marfan: Patient) -> None:
    lib = ranker.library
    known = {part for reference in lib.annotations.references for part in reference.split(";")}
    known |= {case.paper for case in lib.cases}
    for column in ranker.rank(marfan).columns[:5]:
        for weight in Explainer(lib).weigh(int(column), marfan.terms):
            assert set(weight.sources) <= known


def test_questions_part_the_candidates_and_were_not_asked(ranker: Ranker, marfan: Patient) -> None:
    ranking = ranker.rank(marfan)
    columns = [int(c) for c in ranking.columns[:10]]
    asked = next_questions(ranker.scorer, columns, list(ranking.chances), marfan.terms)
    gains = [question.gain_bits for question in asked]
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > 0
    told = {int(a) for term in marfan.terms for a in ranker.library.ancestors[term].indices}
    assert not told & {question.term for question in asked}
    assert next_questions(ranker.scorer, columns[:1], [1.0], marfan.terms) == []


def test_other_fields_change_nothing(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Only observed, sex and age may be read: the others are blanked, and excluded lists swapped."""
    full = told(rankings.papers(write(tmp_path / "a.jsonl", rows)))
    bare = [{**row, "excluded": [], "genes": [], "disease_name": ""} for row in rows]
    for row in bare:
        del row["excluded"], row["genes"]
    assert told(rankings.papers(write(tmp_path / "b.jsonl", bare))) == full
    swapped = [
        {**row, "excluded": other["observed"]} for row, other in zip(rows, rows[1:] + rows[:1], strict=True)
    ]
    assert told(rankings.papers(write(tmp_path / "c.jsonl", swapped))) == full
    assert full["excluded_terms_used"] == 0


def test_papers_reports_every_key_and_purges(tmp_path: Path, rows: list[dict[str, Any]], monkeypatch) -> None:
    seen: list[Any] = []
    plain = rankings.build
    monkeypatch.setattr(rankings, "build", lambda *a, **k: seen.append(a) or plain(*a, **k))
    result = rankings.papers(write(tmp_path / "a.jsonl", rows), limit=20)
    assert set(result) >= {
        "n", "top1", "top3", "top10", "top50", "mrr", "macro", "strata", "ece", "ci95", "seconds_per_case",
        "knowledge_version", "excluded_terms_used",
    }  # fmt: skip
    assert result["n"] == 20 == sum(row["n"] for row in result["strata"].values())
    assert set(result["strata"]) == {"few_shot", "knowledge_only", "unannotated"}
    assert set(result["strata"]["few_shot"]) == {"n", "top1", "top3", "top10", "abstained"}
    own = {row["pmid"] for row in rows}  # the limit does not narrow the purge
    (_, annotations, patients) = seen[0]
    used = {paper for r in set(annotations.reference_R.tolist()) for paper in annotations.papers[r]}
    assert not [paper for paper in used if held_out(paper) or paper in own]
    assert not [case for case in patients if case.paper in own]


def test_papers_without_their_prefix_are_purged_too(tmp_path: Path, monkeypatch) -> None:
    paper = next(c.paper for c in weights.patients())
    row = {
        "case_id": "a",
        "pmid": paper.removeprefix("PMID:"),
        "observed": ["HP:0001083"],
        "disease_id": MARFAN,
    }
    seen: list[Any] = []
    plain = rankings.build
    monkeypatch.setattr(rankings, "build", lambda *a, **k: seen.append(a) or plain(*a, **k))
    rankings.papers(write(tmp_path / "a.jsonl", [row]))
    assert paper not in {case.paper for case in seen[0][2]}
    assert len(seen[0][2]) < len(weights.patients())


@pytest.mark.parametrize("flag", ["false", 0, None])
def test_uncited_needs_a_boolean(tmp_path: Path, rows: list[dict[str, Any]], flag: object) -> None:
    bad = {**rows[1], "hpoa_cites_this_paper_for_this_disease": flag}
    with pytest.raises(DoyenError, match="MED-011") as error:
        rankings.uncited(write(tmp_path / "a.jsonl", [rows[0], bad]))
    assert "line 2" in error.value.message


def test_uncited_leaves_cited_and_unknown_cases_out(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    some = rows[:12]
    some[0] = {**some[0], "hpoa_cites_this_paper_for_this_disease": True}
    some[1] = {**some[1], "disease_id": "OMIM:000000"}
    result = rankings.uncited(write(tmp_path / "a.jsonl", some), with_floors=True)
    assert result["n"] == 10 == result["with_profiles"]["n"]
    assert result["top1"] >= 0.5  # the cases are made of the very annotations
    assert set(result["floors"]) >= {"resnik", "likelihood_ratio"}


def test_external_takes_pairs(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    pairs = [[row["observed"], ["CCRD:1", row["disease_id"]]] for row in rows[:6]] + [
        [["HP:0001250"], ["CCRD:2"]]
    ]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(pairs))
    result = rankings.external(path)
    assert result["n"] == 7
    assert 0.4 < result["top10"] < 1
    path.write_text("[]")
    with pytest.raises(DoyenError, match="MED-012"):
        rankings.external(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "no JSON"), ('{"a": 1}', "no list"), ("3", "no list"), ('[["HP:0001250", ["OMIM:1"]]]', "item 1"),
        ('[[["HP:0001250"], ["OMIM:1"]], [["HP:0001250"], [1]]]', "item 2"), ('[[["HP:0001250"]]]', "item 1"),
    ],
)  # fmt: skip
def test_external_names_the_item_that_is_no_pair(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DoyenError, match="MED-011") as error:
        rankings.external(path)
    assert says in error.value.message


def test_external_takes_every_code_for_right(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """An OMIM code beside does not take the ORPHA code's own disease away."""
    same = build(load(), load().annotations).same
    row = next(row for row in rows if row["disease_id"] in same)
    path = tmp_path / "x.json"
    answers = ([same[row["disease_id"]][0]], ["OMIM:000000", same[row["disease_id"]][0]])
    path.write_text(json.dumps([[row["observed"], codes] for codes in answers]))
    result = rankings.external(path)
    assert result["mrr"] > 0
    path.write_text(json.dumps([[row["observed"], answers[0]]]))
    assert rankings.external(path)["mrr"] == result["mrr"]


def test_an_error_of_calibration() -> None:
    chance = np.repeat([0.2, 0.8], 50)
    right = np.concatenate([np.repeat([1, 0], [10, 40]), np.repeat([1, 0], [40, 10])]).astype(float)
    assert rankings.equal_mass_ece(chance, right, bins=2) == pytest.approx(0)
    assert rankings.equal_mass_ece(chance, 1 - right, bins=2) == pytest.approx(0.6)


def test_ties_share_their_place() -> None:
    assert rankings.place(np.array([3.0, 1, 1, 0]), [1]) == 1.5
    assert rankings.place(np.array([3.0, 1, 1, 0]), []) == rankings.MISSED
    ranking = Ranking(
        np.array([4, 2, 0, 1, 3]),
        np.array([0.5, 0.2, 0.2]),
        0.1,
        0.0,
        "",
        {"resM": np.array([0, 7, 0, 7, 0])},
    )
    assert [rankings.placed(ranking, [column]) for column in (4, 2, 0, 1, 3)] == [0, 1.5, 1.5, 3.5, 3.5]
    assert rankings.placed(ranking, [9]) == rankings.MISSED
    assert rankings.placed(ranking, [0, 4]) == 0


@pytest.mark.parametrize("prefix", ["PMID:", "", "pmid: "])
def test_a_train_case_of_a_held_out_paper_is_refused(tmp_path: Path, prefix: str) -> None:
    from doyen_medical.rank.build import train

    number = next(n for n in range(100) if held_out(f"PMID:{n}"))
    cases = [Case("a", f"{prefix}{number}", MARFAN, "", False, Patient((1,)))]
    with pytest.raises(DoyenError, match="MED-018") as error:
        train(load(), cases, tmp_path / "out", lambda _: None)
    assert "held-out" in error.value.message
    assert not (tmp_path / "out").exists()


def test_shipped_weights_say_what_they_were_fitted_to() -> None:
    told = {
        name: json.loads((weights.SHIPPED / f"{name}.json").read_text())["provenance"]
        for name in ("profiles", "ranker", "literature")
    }
    for facts in told.values():
        assert set(facts) >= {"command", "data_sha256", "cases", "knowledge", "purge"}
        assert facts["cases"] == len(weights.patients())
    assert (
        told["ranker"]["data_sha256"] == told["literature"]["data_sha256"] == told["profiles"]["data_sha256"]
    )
    assert told["ranker"]["seed"] == told["literature"]["seed"] == 0


def test_the_report(marfan: Patient) -> None:
    ids = [load().ontology.ids[t] for t in marfan.terms]
    report = Diagnoser(top=5).diagnose_terms(ids, ["HP:0000365"], sex="M", age=20)
    assert len(report.candidates) == 5
    assert MARFAN in [candidate.code for candidate in report.candidates]
    assert report.excluded_terms_used == 0
    other = Diagnoser(top=5).diagnose_terms(ids, ["HP:0001250"], sex="M", age=20)
    assert [(c.code, c.probability) for c in other.candidates] == [
        (c.code, c.probability) for c in report.candidates
    ]
    with pytest.raises(DoyenError, match="MED-020"):
        Diagnoser(top=0)
    with pytest.raises(DoyenError, match="MED-020"):
        Diagnoser(profile="x")  # type: ignore[arg-type]


@pytest.mark.data
def test_train_cases_of_the_data_folder_are_the_shipped_ones() -> None:
    from doyen_runtime.settings import get_settings

    path = get_settings().data / "medical" / "phenopacket-cases" / "train.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in DOYEN_DATA")
    cases = read_cases(path, load().ontology)
    assert [(c.disease, c.paper, c.patient.terms) for c in cases] == [
        (c.disease, c.paper, c.patient.terms) for c in weights.patients()
    ]
