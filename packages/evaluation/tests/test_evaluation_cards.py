from __future__ import annotations

from dataclasses import replace

import pytest

from doyen_evaluation.cards import CardText, Figure, figures_from, model_card
from doyen_schemas import AdapterRelease, DoyenError, ReleaseBase

RELEASE = AdapterRelease(
    name="legal-extractor", version="0.1.0", vertical="legal", requires_runtime=">=0.1,<0.2",
    bases={"encoder": ReleaseBase(source="wheel:encoder==1.0", weights_sha256="a" * 64, tokenizer_sha256="b" * 64)},
    files={}, data={"CUAD v1, train part": "344 contracts"}, licences={"CUAD v1, train part": "CC BY 4.0"},
    seeds=[0, 1, 2],
)  # fmt: skip
TEXT = CardText(
    title="Contract clause extractor",
    summary="Finds 41 kinds of clause.",
    intended_use=["a first reading that a lawyer checks"],
    out_of_scope=["legal advice", "contracts that are not in English"],
    protocol=["CUAD's rule: token Jaccard of at least 0.5"],
    known_failures=["misses clauses | split over pages"],
    commands=["doyen legal evaluate --protocol cuad --data dev.jsonl.gz --json"],
    citations=["Hendrycks et al. 2021, arXiv:2103.06268"],
)
METRICS = {"aupr": 0.6612, "micro_f1": 0.6391, "n_contracts": 64, "ci95": {"aupr": [0.62, 0.70]}}
ROWS = {"n_contracts": "contracts", "aupr": "AUPR", "micro_f1": "micro F1"}


def test_a_card_states_what_a_release_must_state() -> None:
    rows = figures_from(
        METRICS, ROWS, floors={"aupr": "TF-IDF .568"}, targets={"aupr": 0.65, "micro_f1": 0.64}
    )
    card = model_card(RELEASE, TEXT, {"CUAD dev": rows}, per_label={"Governing Law": {"f1": 0.9312, "n": 58}})
    for line in (
        "# Contract clause extractor",
        "| base of `encoder` | `wheel:encoder==1.0`, weights `aaaaaaaaaaaa` |",
        "| seeds | 0, 1, 2 |",
        "| CUAD v1, train part | CC BY 4.0 | 344 contracts |",
        "| AUPR | 0.661 | 0.620 to 0.700 | TF-IDF .568 | 0.650 | met |",
        "| micro F1 | 0.639 |  |  | 0.640 | missed |",
        "| contracts | 64 |  |  |  |  |",
        "| Governing Law | 0.931 | 58 |",
        "- misses clauses | split over pages",
        "doyen legal evaluate --protocol cuad --data dev.jsonl.gz --json",
        "- Hendrycks et al. 2021, arXiv:2103.06268",
    ):
        assert line in card.splitlines(), line
    assert card.endswith("\n")
    assert "\n\n\n" not in card


def test_tables_cannot_be_broken_by_their_text() -> None:
    card = model_card(RELEASE, TEXT, {"x": [Figure("a | b\nc", None)]})
    assert "| a \\| b c |  |  |  |  |  |" in card


def test_a_licence_that_is_missing_shows() -> None:
    manifest = RELEASE.model_copy(update={"data": {**RELEASE.data, "other": "commit 1"}})
    assert "| other | not stated | commit 1 |" in model_card(manifest, TEXT, {"x": [Figure("a", 1.0)]})


def test_bad_input_is_named() -> None:
    with pytest.raises(DoyenError, match="p_at_80r") as missing:
        figures_from(METRICS, {"p_at_80r": "P@80R"})
    assert missing.value.code == "EVA-008"
    with pytest.raises(DoyenError, match="known failures") as empty:
        model_card(RELEASE, replace(TEXT, known_failures=[]), {"x": [Figure("a", 1.0)]})
    assert empty.value.code == "EVA-009"
