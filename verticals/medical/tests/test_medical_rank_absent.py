"""Findings that were looked for and seen in nobody, and the calibration, on planted data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from medical_fixtures import HEADER, SMALL, row

from doyen_medical.cases import Case, Patient
from doyen_medical.explain.evidence import Explainer
from doyen_medical.knowledge import annotations as hpoa
from doyen_medical.knowledge import ontology as obo
from doyen_medical.knowledge.maps import Maps
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.rank.examples import Example
from doyen_medical.rank.features import NOISE, Scorer
from doyen_medical.rank.fuser import Fuser
from doyen_medical.rank.library import Library, build
from doyen_medical.rank.train import HeldOut, _chance, calibrate

ONTOLOGY = obo.parse(
    SMALL
    + """
[Term]
id: HP:0001627
name: Abnormal heart morphology
is_a: HP:0000118 ! Phenotypic abnormality

[Term]
id: HP:0001712
name: Left ventricular hypertrophy
is_a: HP:0001627 ! Abnormal heart morphology
"""
)
LVH, SEIZURE = ONTOLOGY.number["HP:0001712"], ONTOLOGY.number["HP:0001250"]


def library(*rows: str, same: bool = False) -> Library:
    """The rows beside fifty diseases with a seizure, so that a heart finding is rare."""
    filling = [row(f"OMIM:{n}", "HP:0001250", f"PMID:{n}") for n in range(100, 150)]
    annotations = hpoa.parse(HEADER + "".join([*filling, *rows]), ONTOLOGY)
    maps = Maps(orpha_omim={"ORPHA:7": [("OMIM:612201", "exact")]}) if same else Maps()
    return build(Knowledge("x", ONTOLOGY, annotations, {}, maps), annotations)


@pytest.mark.parametrize("frequency", ["0/5", "0%", "HP:0040285"])
def test_a_finding_seen_in_nobody_is_no_finding(frequency: str) -> None:
    lib = library(
        row("OMIM:612201", "HP:0001250", "PMID:1"), row("OMIM:612201", "HP:0001712", "PMID:2", frequency),
        row("OMIM:9", "HP:0001712", "PMID:3", "3/5"),
    )  # fmt: skip
    column = lib.number["OMIM:612201"]
    assert lib.own_D[column] == lib.annotated_D[column] == 1
    assert lib.share_TD[LVH, column] == 0
    scores = Scorer(lib).score(Patient((LVH,)))
    assert scores["resK"][column] == scores["cosK"][column] == 0
    assert scores["resK"][lib.number["OMIM:9"]] > 1
    assert scores["nbK"][column] < 0.2  # as a disease of which nothing is said of the heart
    assert scores["nbK"][column] == pytest.approx(scores["nbK"][lib.number["OMIM:100"]])
    (weight,) = Explainer(lib).weigh(column, [LVH])
    assert (weight.role, weight.share, weight.sources) == ("contradicts", 0.0, ("PMID:2",))
    assert weight.log10_ratio == pytest.approx(math.log10(NOISE), abs=1e-3)


def test_a_positive_row_beside_it_keeps_the_finding_and_is_its_only_source() -> None:
    lib = library(
        row("OMIM:612201", "HP:0001712", "PMID:2", "0/5"), row("OMIM:612201", "HP:0001712", "PMID:3", "4/5")
    )
    column = lib.number["OMIM:612201"]
    assert lib.share_TD[LVH, column] == pytest.approx(4.5 / 11, abs=1e-3)
    (weight,) = Explainer(lib).weigh(column, [LVH])
    assert (weight.role, weight.sources) == ("supports", ("PMID:3",))


def test_an_orpha_entry_lends_findings_and_no_denials() -> None:
    lib = library(
        row("OMIM:612201", "HP:0001250", "PMID:1"), row("OMIM:612201", "HP:0001712", "PMID:2", "0/5"),
        row("ORPHA:7", "HP:0001712", "ORPHA:7", "HP:0040282"), same=True,
    )  # fmt: skip
    column = lib.number["OMIM:612201"]
    assert (lib.own_D[column], lib.annotated_D[column]) == (1, 2)
    assert lib.share_TD[LVH, column] == pytest.approx(0.5 / 6, abs=1e-3)
    other = library(
        row("OMIM:612201", "HP:0001250", "PMID:1"), row("ORPHA:7", "HP:0001712", "ORPHA:7", "HP:0040285"),
        row("ORPHA:7", "HP:0001250", "ORPHA:7", "HP:0040282"), same=True,
    )  # fmt: skip
    assert other.share_TD[LVH, other.number["OMIM:612201"]] == 0


def test_a_disease_of_denials_alone_has_no_column() -> None:
    assert "OMIM:612201" not in library(row("OMIM:612201", "HP:0001712", "PMID:2", "0/5")).number


def test_a_denied_finding_is_not_supported_by_a_wider_one() -> None:
    lib = library(
        row("OMIM:612201", "HP:0001627", "PMID:1", "5/5"), row("OMIM:612201", "HP:0001712", "PMID:2", "0/5")
    )
    wider = ONTOLOGY.number["HP:0001627"]
    found = {w.term: w for w in Explainer(lib).weigh(lib.number["OMIM:612201"], [LVH, wider])}
    assert (found[LVH].role, found[LVH].sources) == ("contradicts", ("PMID:2",))
    assert (found[wider].role, found[wider].sources) == ("supports", ("PMID:1",))


def test_calibration_lowers_the_log_loss() -> None:
    """Logits four times too sure, and "none" too cheap: both are found."""
    rng = np.random.default_rng(0)
    case = Case("a", "PMID:1", "OMIM:1", "", False, Patient((LVH,)))
    held = []
    for _ in range(200):
        logits = rng.normal(size=(1, 6))
        chance = np.exp(logits[0]) / np.exp(logits[0]).sum()
        truth = int(rng.choice(6, p=chance)) - 1
        shifted = logits * 4 - np.array([3.0, 0, 0, 0, 0, 0])
        example = Example(
            ("x",), np.zeros((5, 1), np.float32), np.zeros(4, np.float32), truth, "knowledge_only", case
        )
        held.append(HeldOut(example, shifted))

    def loss(parameters: np.ndarray) -> float:
        return -float(np.mean([np.log(_chance(h.logits, parameters)[h.example.truth + 1]) for h in held]))

    fuser = calibrate(Fuser(("x",), {}, 1), held, "k")
    fitted = np.array([np.log(fuser.temperature), fuser.none_shift])
    assert loss(fitted) < loss(np.zeros(2)) - 0.2
    assert fuser.temperature == pytest.approx(4, rel=0.25)
    assert fuser.none_shift == pytest.approx(3, abs=1)
    for step in ([0.3, 0], [-0.3, 0], [0, 0.7], [0, -0.7]):
        assert loss(fitted + step) > loss(fitted)
    assert (fuser.reach, fuser.limit) == ((), 1.0)
