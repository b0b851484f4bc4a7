"""The medical graph, simulated patients, the set encoder and its score, on a small release."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from doyen_graph import Plan as LinkPlan
from doyen_graph import Triples
from doyen_medical.cases import Case, Patient
from doyen_medical.cli import app
from doyen_medical.graph import folds, score, simulate
from doyen_medical.graph.ablation import ablation
from doyen_medical.graph.build import RELATIONS, facts
from doyen_medical.graph.encoder import Plan, train
from doyen_medical.graph.links import compare, popularity_ranks
from doyen_medical.graph.simulate import Simulator
from doyen_medical.knowledge import store
from doyen_medical.knowledge.maps import Maps
from doyen_medical.knowledge.purge import held_out
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.rank.library import Library, build
from doyen_medical.rank.train import Plan as FuserPlan
from doyen_schemas import DoyenError

HEADER = (
    "#version: 2024-02-03\n"
    "database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\tbiocuration\n"
)
DISEASES = 12
KEPT = next(f"PMID:{n}" for n in range(100) if not held_out(f"PMID:{n}"))
PURGED = next(f"PMID:{n}" for n in range(100) if held_out(f"PMID:{n}"))


def hp(number: int) -> str:
    return f"HP:{number:07d}"


def stanza(id: str, *parents: str) -> str:
    return f"[Term]\nid: {id}\nname: {id}\n" + "".join(f"is_a: {parent}\n" for parent in parents) + "\n"


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """Six organ systems of four findings with two narrower ones each; twelve diseases with six findings each."""
    folder = tmp_path_factory.mktemp("hpo")
    text = "format-version: 1.2\ndata-version: hp/releases/2024-02-03\n\n"
    text += stanza(hp(1)) + stanza(hp(118), hp(1)) + stanza(hp(5), hp(1))
    for system in range(6):
        text += stanza(hp(1000 + system), hp(118))
        for finding in range(4):
            text += stanza(hp(2000 + system * 10 + finding), hp(1000 + system))
            for narrow in range(2):
                id = 3000 + system * 100 + finding * 10 + narrow
                text += stanza(hp(id), hp(2000 + system * 10 + finding))
    (folder / "hp.obo").write_text(text)
    rng = np.random.default_rng(0)
    rows = HEADER
    for disease in range(DISEASES):
        for nth, at in enumerate(rng.choice(48, 6, replace=False)):
            source = KEPT if nth % 2 else f"OMIM:{disease}"
            id = 3000 + at // 8 * 100 + at % 8 // 2 * 10 + at % 2
            rows += f"OMIM:{disease}\tName {disease}\t\t{hp(id)}\t{source}\tPCS\t\t8/10\t\t\tP\tHPO:x\n"
        rows += (
            f"OMIM:{disease}\tName {disease}\t\t{hp(2000 + disease)}\t{PURGED}\tPCS\t\t1/1\t\t\tP\tHPO:x\n"
        )
    rows += f"ORPHA:9\tOther\t\t{hp(2000)}\tORPHA:9\tTAS\t\tHP:0040281\t\t\tP\tHPO:x\n"
    (folder / "phenotype.hpoa").write_text(rows)
    genes = "".join(f"G{disease // 2}\tOMIM:{disease}\n" for disease in range(DISEASES))
    (folder / "genes_to_phenotype.txt").write_text(f"gene_symbol\tdisease_id\n{genes}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOYEN_CACHE", str(folder / "cache"))
        return store.read(folder, Maps())


@pytest.fixture(scope="module")
def library(knowledge: Knowledge) -> Library:
    return build(knowledge, knowledge.annotations.without_papers(held_out))


def of_relation(triples: Triples, name: str) -> Triples:
    return triples.rows(triples.relation_E == RELATIONS.index(name))


def test_the_graph_holds_the_library_and_its_ontology(library: Library) -> None:
    graph = facts(library, derived=True)
    names = graph.entities
    is_a = of_relation(graph, "is_a")
    assert len(is_a) == 6 + 24 + 48
    pairs = {(names[h], names[t]) for h, t in zip(is_a.head_E, is_a.tail_E, strict=True)}
    assert (hp(3001), hp(2000)) in pairs
    has = of_relation(graph, "has_phenotype")
    assert len(has) == len(library.disease_R)
    found = {(names[h], names[t]): w for h, t, w in zip(has.head_E, has.tail_E, has.weight_E, strict=True)}
    for disease, term, share in zip(library.disease_R, library.term_R, library.share_R, strict=True):
        assert found[library.codes[disease], library.knowledge.ontology.ids[term]] == share
    assert len(of_relation(graph, "gene_of")) == DISEASES
    # A gene's findings are those of its two diseases, each once.
    of_gene = of_relation(graph, "gene_phenotype")
    mine = {names[t] for h, t in zip(of_gene.head_E, of_gene.tail_E, strict=True) if names[h] == "GENE:G0"}
    assert mine == {t for d, t in found if d in ("OMIM:0", "OMIM:1")}
    assert not len(of_relation(facts(library, derived=False), "gene_phenotype"))


def test_no_row_of_a_held_out_paper_is_in_the_graph(knowledge: Knowledge, library: Library) -> None:
    def findings(of: Library) -> set[tuple[str, str]]:
        graph = of_relation(facts(of, derived=False), "has_phenotype")
        return {
            (graph.entities[h], graph.entities[t]) for h, t in zip(graph.head_E, graph.tail_E, strict=True)
        }

    released = findings(build(knowledge, knowledge.annotations))
    assert {(f"OMIM:{d}", hp(2000 + d)) for d in range(4)} <= released
    assert not {(f"OMIM:{d}", hp(2000 + d)) for d in range(4)} & findings(library)


def test_same_diseases_are_joined(knowledge: Knowledge) -> None:
    mapped = replace(knowledge, maps=Maps(orpha_omim={"ORPHA:9": [("OMIM:3", "exact")]}))
    graph = facts(build(mapped, mapped.annotations), derived=False)
    same = of_relation(graph, "same_as")
    assert [(graph.entities[same.head_E[0]], graph.entities[same.tail_E[0]])] == [("OMIM:3", "ORPHA:9")]
    assert len(same) == 1


def test_simulated_patients_have_their_disease(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator = Simulator(library)
    assert all(library.codes[column].startswith("OMIM:") for column in simulator.columns)
    monkeypatch.setattr(simulate, "NOISE", 0.0)
    rng = np.random.default_rng(0)
    exact = 0
    for column in simulator.columns:
        own = set(library.term_R[library.disease_R == column].tolist())
        closure = {int(a) for term in own for a in library.knowledge.ontology.ancestors(term)}
        for _ in range(20):
            terms = simulator.patient(int(column), rng).terms
            assert terms
            assert set(terms) <= closure
            exact += set(terms) <= own
    # A quarter of the findings is imprecise, so that some patients have none and many have one.
    assert 20 < exact < 20 * DISEASES * 0.7


def test_noise_adds_findings_of_other_diseases(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "NOISE", 1.0)
    simulator, rng = Simulator(library), np.random.default_rng(0)
    own = set(library.term_R[library.disease_R == 0].tolist())
    closure = {int(a) for term in own for a in library.knowledge.ontology.ancestors(term)}
    assert any(set(simulator.patient(0, rng).terms) - closure for _ in range(10))


PLAN = Plan(size=16, steps=60, simulated=64, published=8, learning_rate=0.03)


@pytest.fixture(scope="module")
def embeddings(library: Library) -> score.Embeddings:
    return train(library, PLAN)


def test_the_encoder_learns_to_find_the_disease(library: Library, embeddings: score.Embeddings) -> None:
    values = score.score_of(embeddings, library)
    simulator, rng = Simulator(library), np.random.default_rng(9)
    first = untrained = 0
    blank = score.score_of(train(library, replace(PLAN, steps=1, learning_rate=1e-9)), library)
    for column in np.repeat(simulator.columns, 10):
        patient = simulator.patient(int(column), rng)
        first += int(np.nanargmax(values(patient)) == column)
        untrained += int(np.nanargmax(blank(patient)) == column)
    total = 10 * len(simulator.columns)
    assert first > 0.75 * total
    assert first > untrained + 0.1 * total


def test_published_patients_teach_what_is_not_annotated(knowledge: Knowledge) -> None:
    number = knowledge.ontology.number
    stranger = Patient(tuple(sorted(number[hp(3000 + system * 100)] for system in range(6))))
    cases = [Case(str(n), f"PMID:{n}", "OMIM:99", "New", False, stranger) for n in range(4)]
    library = build(knowledge, knowledge.annotations.without_papers(held_out), cases)
    values = score.score_of(train(library, replace(PLAN, drop=0.0)), library)(stranger)
    assert library.codes[int(np.nanargmax(values))] == "OMIM:99"


def test_the_score_reads_findings_alone(library: Library, embeddings: score.Embeddings) -> None:
    values = score.score_of(embeddings, library)
    patient = Simulator(library).patient(0, np.random.default_rng(1))
    found = values(patient)
    assert np.array_equal(found, values(replace(patient, sex="M", age=7.0)), equal_nan=True)
    # Orphanet's column is no candidate and has no vector.
    assert np.isnan(found[library.number["ORPHA:9"]])
    known = found[~np.isnan(found)]
    assert len(known) == DISEASES
    assert (np.abs(known) <= 1.001).all()


def test_the_same_plan_gives_the_same_bits(library: Library) -> None:
    plan = replace(PLAN, steps=3)
    first, again = train(library, plan), train(library, plan)
    assert np.array_equal(first.term_FH, again.term_FH)
    assert np.array_equal(first.disease_DH, again.disease_DH)
    assert not np.array_equal(first.term_FH, train(library, replace(plan, seed=1)).term_FH)


def test_embeddings_come_back_and_follow_ids(
    tmp_path: Path, library: Library, embeddings: score.Embeddings
) -> None:
    score.save(embeddings, tmp_path)
    again = score.load(tmp_path)
    turned = score.Embeddings(
        again.terms[::-1], (*again.diseases[::-1], "OMIM:gone"), again.term_FH[::-1],
        np.concatenate([again.disease_DH[::-1], again.disease_DH[:1]]),
    )  # fmt: skip
    patient = Simulator(library).patient(2, np.random.default_rng(1))
    found = [score.score_of(e, library)(patient) for e in (embeddings, again, turned)]
    assert np.array_equal(found[0], found[1], equal_nan=True)
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)


def test_damaged_embeddings_are_refused(tmp_path: Path, embeddings: score.Embeddings) -> None:
    with pytest.raises(DoyenError, match=r"MED-030.*cannot be read"):
        score.load(tmp_path)
    score.save(embeddings, tmp_path)
    facts_of = json.loads((tmp_path / "graph.json").read_text())
    facts_of["terms"] = facts_of["terms"][1:]
    (tmp_path / "graph.json").write_text(json.dumps(facts_of))
    with pytest.raises(DoyenError, match=r"MED-030.*more or fewer"):
        score.load(tmp_path)


def test_kept_embeddings_are_used_for_the_same_input_alone(
    tmp_path: Path, knowledge: Knowledge, library: Library
) -> None:
    plan, lines = replace(PLAN, steps=1), list[str]()
    first = folds.embeddings(library, tmp_path, plan, lines.append)
    again = folds.embeddings(library, tmp_path, plan, lines.append)
    assert np.array_equal(first.term_FH, again.term_FH)
    assert len(lines) == 1
    folds.embeddings(library, tmp_path, replace(plan, seed=1), lines.append)
    folds.embeddings(build(knowledge, knowledge.annotations), tmp_path, replace(plan, seed=1), lines.append)
    assert len(lines) == 3


def test_popularity_ranks_by_count() -> None:
    h, t = np.array([0, 1, 2, 3]), np.array([4, 4, 5, 5])
    known = Triples(tuple("abcdef"), ("r",), h, np.zeros(4, np.int64), t, np.ones(4, np.float32))
    asked = Triples(tuple("abcdef"), ("r",), h[:1], np.zeros(1, np.int64), t[2:3], np.ones(1, np.float32))
    # Tail f of a: e is filtered out (a known tail of a), four others have no count. Head a of f: b stands level,
    # c and d are filtered out.
    assert popularity_ranks(known, asked).tolist() == [[1.0], [1.5]]


def test_links_are_compared_by_relation(knowledge: Knowledge) -> None:
    found = compare(
        knowledge, LinkPlan(size=8, steps=2, batch=16, negatives=2), test=10, models=("gcn", "rotate")
    )
    assert found["test"] >= 10
    for figures in (found["popularity"], *found["gcn"], *found["rotate"]):
        assert figures["all"]["n"] == found["test"]
        assert 0 < figures["all"]["mrr"] <= 1
        assert sum(row["n"] for name, row in figures.items() if name != "all") == found["test"]


def test_kept_links_are_not_trained_again(
    tmp_path: Path, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = LinkPlan(size=8, steps=2, batch=16, negatives=2)
    first = compare(knowledge, plan, test=10, models=("gcn",), keep=tmp_path)
    monkeypatch.setattr("doyen_medical.graph.links.train", None)
    assert compare(knowledge, plan, test=10, models=("gcn",), keep=tmp_path) == first
    (tmp_path / "gcn-0" / "graph.safetensors").write_bytes(b"damaged")
    with pytest.raises(DoyenError, match="GRA-002"):
        compare(knowledge, plan, test=10, models=("gcn",), keep=tmp_path)


@pytest.fixture(scope="module")
def train_cases(library: Library) -> list[Case]:
    """Simulated patients as if published, in papers of every fold."""
    simulator, rng = Simulator(library), np.random.default_rng(5)
    papers = [paper for n in range(200) if not held_out(paper := f"PMID:{n}") and paper != KEPT]
    return [
        Case(str(n), paper, library.codes[n % DISEASES], "x", False, simulator.patient(n % DISEASES, rng))
        for n, paper in enumerate(papers[:36])
    ]


def test_ablation_compares_both_fusions_on_the_same_cases(
    tmp_path: Path, knowledge: Knowledge, train_cases: list[Case]
) -> None:
    dev = [replace(case, id=f"d{n}", paper=PURGED) for n, case in enumerate(train_cases[:6])]
    dev += [replace(dev[0], id="new", disease="OMIM:777")]
    small = FuserPlan(epochs=1, networks=1)
    found = ablation(knowledge, train_cases, dev, tmp_path, plan=replace(PLAN, steps=2), fuser=small)
    assert found["n"] == 7
    assert found["strata"]["unannotated"]["with"]["top10"][0] == 0
    rows = found["strata"]["all"]
    for level in ("top1", "top3", "top10", "mrr"):
        assert rows["gain"][level][0] == pytest.approx(
            rows["with"][level][0] - rows["without"][level][0], abs=2e-4
        )
    assert {path.name for path in tmp_path.iterdir()} == {"all", "fold-0", "fold-1", "fold-2", "fold-3"}


def test_the_command_trains_and_refuses_a_missing_file(
    tmp_path: Path, knowledge: Knowledge, train_cases: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = knowledge.ontology.ids
    rows = [
        {
            "case_id": c.id,
            "pmid": c.paper,
            "disease_id": c.disease,
            "observed": [ids[t] for t in c.patient.terms],
        }
        for c in train_cases
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    monkeypatch.setattr("doyen_medical.knowledge.store.load", lambda: knowledge)
    monkeypatch.setattr("doyen_medical.graph.encoder.Plan", lambda: replace(PLAN, steps=2))
    run = ["train", "graph", "--data", str(tmp_path / "train.jsonl"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0, result.output
    assert len(score.load(tmp_path / "out").diseases) == DISEASES
    missing = CliRunner().invoke(app, ["train", "graph", "--data", "none.jsonl", "--out", str(tmp_path)])
    assert isinstance(missing.exception, DoyenError)
    assert missing.exception.code == "MED-010"
