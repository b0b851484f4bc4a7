"""Findings in sentences: variants of names, coordination, nesting, abbreviations, and what must not be found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doyen_medical.knowledge.store import load
from doyen_medical.text.abbreviations import definitions
from doyen_medical.text.concepts import Recogniser
from doyen_medical.text.words import normal, stem, word_class


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser.of(load().ontology)


def found(recogniser: Recogniser, text: str) -> dict[str, str]:
    """Label to the words that name it."""
    ontology = recogniser.ontology
    return {
        ontology.labels[ontology.number[mention.id]]: text[mention.start : mention.end]
        for mention in recogniser.recognise(text)
    }


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("She had seizures.", "Seizure"),
        ("Multiple naevi were noted", "Numerous nevi"),
        ("malformations of the kidney", "Abnormal renal morphology"),
        ("bridging of the sella turcica", "Bridged sella turcica"),
        ("The ears were low-set.", "Low-set ears"),
        ("pre-auricular pits", "Preauricular pit"),
        ("occult spina bifida", "Spina bifida occulta"),
        ("dilatation of the third ventricle", "Dilated third ventricle"),
        ("His neck muscles were noticeably weak.", "Neck muscle weakness"),
        ("Gowers’ sign was positive.", "Gowers sign"),
        ("syndactyly of the second and third toes", "2-3 toe syndactyly"),
        ("elevated liver enzymes", "Elevated circulating hepatic transaminase concentration"),
        ("a hypoplastic corpus callosum", "Hypoplasia of the corpus callosum"),
        ("haemolytic anaemia", "Hemolytic anemia"),
        ("ophthalmic manifestations", "Abnormality of the eye"),
    ],
)
def test_variants(recogniser: Recogniser, text: str, label: str) -> None:
    assert label in found(recogniser, text)


def test_each_conjunct_is_found_with_the_shared_head(recogniser: Recogniser) -> None:
    assert found(recogniser, "short and broad fingers") == {
        "Short finger": "short and broad fingers",
        "Broad finger": "broad fingers",
    }
    assert found(recogniser, "She has branchial, otic and renal anomalies.") == {
        "Branchial anomaly": "branchial, otic and renal anomalies",
        "Abnormality of the ear": "otic and renal anomalies",
        "Abnormality of the kidney": "renal anomalies",
    }
    assert found(recogniser, "hypopigmentation of skin or hair")["Hypopigmentation of hair"] == (
        "hypopigmentation of skin or hair"
    )


def test_coordination_does_not_join_two_lists(recogniser: Recogniser) -> None:
    assert "Short thumb" not in found(
        recogniser, "short and broad fingers, hypoplasia of the thumb and radius"
    )
    assert "Severe sensorineural hearing impairment" not in found(
        recogniser, "severe brachycephaly, sensorineural hearing loss, and ataxia"
    )


def test_a_superclass_inside_a_longer_mention_is_nested(recogniser: Recogniser) -> None:
    mentions = recogniser.recognise("ulcerative colitis")
    assert [(mention.id, mention.nested) for mention in mentions] == [
        ("HP:0100279", False),
        ("HP:0002583", True),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "   ", "Charcot-Marie-Tooth disease", "He lives in the small intestine ward 7.", "autophagy was measured",
     "The order of the clones was collecting.", "无", "\x00\x01 ((((((", "a" * 20_000],
)  # fmt: skip
def test_nothing_is_found(recogniser: Recogniser, text: str) -> None:
    assert found(recogniser, text) == {}


def test_a_defined_short_form_is_the_finding_later(recogniser: Recogniser) -> None:
    text = "An atrial septal defect (ASD) was closed. The ASD had been large."
    mentions = [
        mention for mention in recogniser.recognise(text) if text[mention.start : mention.end] == "ASD"
    ]
    assert {mention.id for mention in mentions} == {"HP:0001631"}
    assert len(mentions) == 2
    assert "ASD" not in found(recogniser, "The ASD had been large.").values()
    assert found(recogniser, "He has GDD.") == {"Global developmental delay": "GDD"}


def test_definitions_of_schwartz_and_hearst() -> None:
    text = "Nevoid basal cell carcinoma syndrome (NBCCS; Gorlin) and basal cell carcinomas (BCCs) (n = 3)"
    assert [(d.short, text[d.start : d.end]) for d in definitions(text)] == [
        ("NBCCS", "Nevoid basal cell carcinoma syndrome"),
        ("BCCs", "basal cell carcinomas"),
    ]


@pytest.mark.parametrize(
    ("word", "form"),
    [("Naevi", "nevus"), ("oedema", "edema"), ("tumours", "tumor"), ("foetal", "fetal"), ("3rd", "3"), ("iv", "4"),
     ("telangiectases", "telangiectasis"), ("pancreas", "pancreas"), ("toes", "toe"), ("β", "beta"),
     ("organised", "organized"), ("diabetes", "diabetes")],
)  # fmt: skip
def test_normal_forms(word: str, form: str) -> None:
    assert normal(word) == form


def test_stems_and_classes() -> None:
    assert stem("dysplastic") == stem("dysplasia")
    assert stem("macule") != stem("macula")
    assert word_class("renal") == word_class("kidney")
    assert word_class("renal") != word_class("hepatic")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300) | st.lists(
    st.sampled_from(["short", "and", "broad", "fingers", ",", "of", "the", "renal", "anomaly", "(", ")", ".", ";",
                     "-", "was", "no", "ASD", "hearing", "loss", "kidney", "/", "or"]),
    max_size=40,
).map(" ".join))  # fmt: skip
def test_any_text_gives_mentions_inside_it(recogniser: Recogniser, text: str) -> None:
    mentions = recogniser.recognise(text)
    assert all(0 <= mention.start < mention.end <= len(text) for mention in mentions)
    assert all(mention.id in recogniser.ontology.number for mention in mentions)
    assert mentions == recogniser.recognise(text)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cornea, hyperopia, and astigmatism", "Corneal astigmatism"),
        ("spasticity and cerebellar ataxia", "Spastic ataxia"),
        ("nasal hypoplasia, and a flat nasal bridge", "Hypoplastic nasal bridge"),
        ("kidney, short stature, and brain anomalies", "Abnormality of the kidney"),
        ("limb and anal malformations", "Abnormal morphology of the limbic system"),
    ],
)
def test_a_list_of_complete_findings_shares_nothing(recogniser: Recogniser, text: str, label: str) -> None:
    assert label not in found(recogniser, text)


def test_a_counting_adjective_holds_for_each_finding_of_a_list(recogniser: Recogniser) -> None:
    assert "Multiple lipomas" in found(
        recogniser, "Multiple angiofibromas, collagenomas, and lipomas were seen."
    )
