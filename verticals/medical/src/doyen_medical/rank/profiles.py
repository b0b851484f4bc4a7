"""The published patients that are shipped: findings, sex, age and diagnosis of each, without any text.

Stored as numbers in safetensors, with the ids that they number in JSON, so that another release can resolve them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_medical.cases import Case, Patient, Sex, known_terms
from doyen_medical.knowledge.ontology import Ontology

_SEXES: Final[tuple[Sex, ...]] = ("", "M", "F")


def save(
    cases: Sequence[Case], ontology: Ontology, folder: Path, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write ``profiles.safetensors`` and ``profiles.json``; ``provenance`` says where the cases are from.

    Shape legend: C cases, X findings of all cases.
    """
    from safetensors.numpy import save_file

    terms = sorted({term for case in cases for term in case.patient.terms})
    papers, diseases = sorted({c.paper for c in cases}), sorted({c.disease for c in cases})
    names = {case.disease: case.disease_name for case in cases}
    place, paper, disease = (
        {item: at for at, item in enumerate(items)} for items in (terms, papers, diseases)
    )
    arrays = {
        "findings_X": np.array([place[t] for c in cases for t in c.patient.terms], np.int32),
        "starts": np.cumsum([0, *(len(c.patient.terms) for c in cases)]).astype(np.int32),
        "disease_C": np.array([disease[c.disease] for c in cases], np.int32),
        "paper_C": np.array([paper[c.paper] for c in cases], np.int32),
        "sex_C": np.array([_SEXES.index(c.patient.sex) for c in cases], np.int32),
        "age_C": np.array([np.nan if c.patient.age is None else c.patient.age for c in cases], np.float32),
    }
    save_file(arrays, folder / "profiles.safetensors")
    facts = {
        "terms": [ontology.ids[term] for term in terms],
        "papers": papers,
        "diseases": [[code, names[code]] for code in diseases],
        "provenance": dict(provenance or {}),
    }
    (folder / "profiles.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path, ontology: Ontology) -> list[Case]:
    """The shipped patients, their findings as numbers of this ontology."""
    from safetensors.numpy import load_file

    facts = json.loads((folder / "profiles.json").read_text(encoding="utf-8"))
    a = load_file(folder / "profiles.safetensors")
    ids = facts["terms"]
    cases = []
    for c in range(len(a["disease_C"])):
        found = a["findings_X"][a["starts"][c] : a["starts"][c + 1]]
        code, name = facts["diseases"][a["disease_C"][c]]
        age = float(a["age_C"][c])
        patient = Patient(
            known_terms((ids[f] for f in found), ontology),
            _SEXES[a["sex_C"][c]],
            None if np.isnan(age) else age,
        )
        cases.append(Case(str(c), facts["papers"][a["paper_C"][c]], code, name, False, patient))
    return cases
