"""The OBO reader: ids, names, ancestors, obsolete terms, bad files; the installed release as a whole."""

from __future__ import annotations

import pytest
from medical_fixtures import SMALL

from doyen_medical.knowledge import ontology as obo
from doyen_medical.knowledge.store import load
from doyen_schemas import DoyenError


def test_names_edges_and_ancestors() -> None:
    found = obo.parse(SMALL)
    assert found.release == "2024-02-03"
    assert found.ids == ("HP:0000001", "HP:0000005", "HP:0000118", "HP:0001250", "HP:0011097")
    seizure = found.number["HP:0001250"]
    assert found.number["HP:0002279"] == seizure
    assert found.labels[seizure] == "Seizure"
    assert found.definitions[seizure] == 'A "storm" of neurons.'
    assert found.synonyms[seizure] == (("Epileptic fit", "EXACT", "layperson"), ("Seizures", "RELATED", ""))
    spasm = found.number["HP:0011097"]
    assert {found.ids[a] for a in found.ancestors(spasm)} == {"HP:0000118", "HP:0001250", "HP:0011097"}
    assert [found.ids[t] for t in range(5) if found.phenotypic[t]] == [
        "HP:0000118",
        "HP:0001250",
        "HP:0011097",
    ]
    assert found.obsolete == {"HP:0000057": "HP:0001250", "HP:0000058": None}


def test_the_cached_form_is_the_same() -> None:
    found = obo.parse(SMALL)
    again = obo.from_parts(*obo.to_parts(found))
    assert again.labels == found.labels
    assert again.synonyms == found.synonyms
    assert again.ancestors(4).tolist() == found.ancestors(4).tolist()


@pytest.mark.parametrize(
    "text",
    ["", "not an ontology", SMALL.replace("data-version", "x"), SMALL.replace("HP:0000118", "HP:0000119")],
)
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(DoyenError, match="MED-002"):
        obo.parse(text)


def test_a_cycle_is_refused() -> None:
    with pytest.raises(DoyenError, match=r"MED-002.*cycle"):
        obo.parse(SMALL.replace("name: Seizure\n", "name: Seizure\nis_a: HP:0011097\n"))


def test_the_installed_release() -> None:
    """Numbers of HPO 2025-01-16: 19,484 terms, 450 of them obsolete; 23,392 is_a edges."""
    ontology = load().ontology
    assert (len(ontology.ids), len(ontology.obsolete)) == (19_034, 450)
    assert len(ontology.is_a_E2) == 23_392
    assert all(len(ontology.ancestors(term)) for term in range(1, 100))
    assert ontology.labels[ontology.number["HP:0001250"]] == "Seizure"
