"""Codes of a disease over Orphanet's map and MONDO's mappings, and how each link is flagged."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from doyen_medical.codes.of_disease import SYSTEMS, codes_of
from doyen_medical.knowledge.maps import Code, Maps, build_maps

MAPS = Maps(
    orpha_omim={
        "ORPHA:558": [("OMIM:154700", "exact")],
        "ORPHA:1": [("OMIM:2", "narrower")],  # OMIM:2 is narrower than ORPHA:1, which is broader than OMIM:2
        "ORPHA:3": [("OMIM:2", "broader")],
    },
    mondo={
        "MONDO:7": [Code("OMIM", "OMIM:154700", "Marfan", "exact"), Code("ICD-10-CM", "Q87.4", "Marfan syndrome", "exact"),
                    Code("ICD-10-CM", "Q87", "Other", "broader"), Code("SNOMED", "1", "x", "exact")],
        "MONDO:8": [Code("ORPHA", "ORPHA:1", "Group", "exact"), Code("ICD-11", "99", "Group", "exact")],
        "MONDO:9": [Code("ORPHA", "ORPHA:3", "Part", "exact"), Code("ICD-10-CM", "G40", "Part", "exact")],
    },
    systems=("OMIM", "ORPHA", "ICD-10-CM", "ICD-11"),
)  # fmt: skip


def pairs(disease: str, maps: Maps = MAPS) -> list[tuple[str, str, str]]:
    return [(c.system, c.code, c.relation) for c in codes_of(disease, maps)]


def test_exact_links_give_exact_codes_and_hide_the_broader_ones() -> None:
    assert pairs("OMIM:154700") == [
        ("OMIM", "OMIM:154700", "exact"), ("MONDO", "MONDO:7", "exact"), ("ORPHA", "ORPHA:558", "exact"),
        ("ICD-10-CM", "Q87.4", "exact"),
    ]  # fmt: skip
    assert codes_of("OMIM:154700", MAPS)[3].label == "Marfan syndrome"


def test_a_code_reached_over_a_broader_entry_is_broader_and_a_narrower_entry_leads_nowhere() -> None:
    assert pairs("OMIM:2") == [
        ("OMIM", "OMIM:2", "exact"), ("MONDO", "MONDO:8", "broader"), ("ORPHA", "ORPHA:1", "broader"),
        ("ICD-11", "99", "broader"),
    ]  # fmt: skip


def test_an_orphanet_entry_has_codes_of_its_own_and_omim_the_other_way_round() -> None:
    assert pairs("ORPHA:558") == [
        ("OMIM", "OMIM:154700", "exact"), ("MONDO", "MONDO:7", "exact"), ("ORPHA", "ORPHA:558", "exact"),
        ("ICD-10-CM", "Q87.4", "exact"),
    ]  # fmt: skip
    assert ("OMIM", "OMIM:2", "narrower") in pairs("ORPHA:1")


def test_without_maps_the_own_code_alone_is_known_and_the_systems_are_named_absent() -> None:
    assert pairs("OMIM:1", Maps()) == [("OMIM", "OMIM:1", "exact")]
    assert Maps().absent == ("MONDO", "ORPHA", "ICD-10-CM", "ICD-11")
    assert MAPS.absent == ()


def test_systems_stand_in_one_order() -> None:
    for disease in ("OMIM:154700", "OMIM:2", "ORPHA:1"):
        systems = [SYSTEMS.index(system) for system, _, _ in pairs(disease)]
        assert systems == sorted(systems)


@pytest.mark.data
def test_the_public_files_give_the_coverage_that_is_known() -> None:
    """MONDO names an exact ICD-10-CM code for 13 of the 647 diseases of the train and development cases."""
    data = Path(os.environ.get("DOYEN_DATA", "../shared/data")) / "medical"
    if not (data / "mondo-mappings").is_dir():
        pytest.skip(f"no data in {data} (set DOYEN_DATA)")
    from doyen_medical.cases import rows

    maps = build_maps(
        mondo=data / "mondo-mappings",
        orpha_map=data / "disease-names-and-maps" / "orpha2omim.json.gz",
        labels_zh=None,
    )
    assert maps.absent == ()
    diseases = {
        row["disease_id"]
        for name in ("train", "dev")
        for _, row in rows(data / "phenopacket-cases" / f"{name}.jsonl.gz")
    }
    found = Counter(
        (system, relation)
        for disease in diseases
        for system, relation in {(s, r) for s, _, r in pairs(disease, maps)}
    )
    assert found["ICD-10-CM", "exact"] == 13
    assert found["ICD-10-CM", "broader"] > found["ICD-10-CM", "exact"]
    assert found["MONDO", "exact"] > 0.95 * len(diseases)
