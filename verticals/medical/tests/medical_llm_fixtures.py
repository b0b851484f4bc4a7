"""A patient with three candidates, and what the ontology knows, for the tests of the language model's part."""

from __future__ import annotations

from pathlib import Path

from doyen_medical.llm.facts import Facts, Finding, Option, Support
from doyen_medical.llm.questions import Question
from doyen_medical.llm.reasoner import Reasoner

LENS = Finding("HP:0001083", "Ectopia lentis", 7.0)
AORTA = Finding("HP:0002616", "Aortic root aneurysm", 6.5)
FINGERS = Finding("HP:0001166", "Arachnodactyly", 5.0)
SEIZURE = Finding("HP:0001250", "Seizure", 2.0)
KNOWN = frozenset({LENS.label, AORTA.label, FINGERS.label, SEIZURE.label, "Microcephaly"})

MARFAN = Option(
    "OMIM:154700", "Marfan syndrome",
    (Support(LENS, 120.4, ("PMID:1", "PMID:2")), Support(AORTA, 47.0, ("PMID:2",)), Support(FINGERS, 3.16)), (SEIZURE,),
)  # fmt: skip
LENTIS = Option(
    "OMIM:129600", "Ectopia lentis, familial", (Support(LENS, 210.0),), (AORTA, SEIZURE), (FINGERS,)
)
STURGE = Option("OMIM:185300", "Sturge-Weber syndrome", (), (LENS, AORTA, FINGERS, SEIZURE))
FACTS = Facts((LENS, AORTA, FINGERS, SEIZURE), "F", 3.0, (MARFAN, LENTIS, STURGE))


def question(id: str, chances: tuple[float, ...], truth: int, place: float, paper: str = "") -> Question:
    return Question(id, paper or f"PMID:{id}", FACTS, chances, truth, place)


def tiny(folder: Path) -> Reasoner:
    """A model of a few thousand weights that can say anything."""
    from doyen_modeling.base import load_base
    from doyen_testkit.models import tiny_llama

    base = load_base(f"path:{tiny_llama(folder)}")
    return Reasoner(base.model, base.tokenizer)
