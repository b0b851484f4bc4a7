"""Negation, hypothesis, history and experiencer on hand-written sentences; Chinese notes by official labels.

Each finding's mark: o observed, x excluded, h hypothetical; f of the family, p past.
"""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doyen_medical.knowledge.store import load
from doyen_medical.text.chinese import ChineseRecogniser, has_chinese
from doyen_medical.text.concepts import Mention, Recogniser
from doyen_medical.text.context import assess

SENTENCES = """
There is no evidence of seizures. | seizures=x
The patient denies hearing loss and ataxia. | hearing loss=x, ataxia=x
His mother has hearing loss. | hearing loss=of
Hearing loss was ruled out. | hearing loss=x
Not only seizures but also ataxia was seen. | seizures=o, ataxia=o
She has seizures. | seizures=o
No seizures, but ataxia is present. | seizures=x, ataxia=o
He had no fever, rash, or cough. | fever=x, rash=x, cough=x
Without microcephaly or short stature. | microcephaly=x, short stature=x
Seizures, ataxia and hypotonia were absent. | seizures=x, ataxia=x, hypotonia=x
She has microcephaly and seizures were absent. | microcephaly=o, seizures=x
The family history is positive for epilepsy. | epilepsy=of
Family history of scoliosis, but the patient has kyphosis. | scoliosis=of, kyphosis=o
Neither cataract nor glaucoma was found. | cataract=x, glaucoma=x
Negative for splenomegaly. | splenomegaly=x
Splenomegaly was not detected. | splenomegaly=x
Cardiomyopathy cannot be ruled out. | cardiomyopathy=h
Rule out cardiomyopathy. | cardiomyopathy=h
She is at risk of retinal detachment. | retinal detachment=h
Possible seizures were discussed. | seizures=h
Call the clinic if fever develops. | fever=h
If he develops seizures, start therapy. | seizures=h
History of febrile seizures in infancy. | febrile seizures=op
He has a history of scoliosis. | scoliosis=op
No history of seizures. | seizures=x
No increase in hepatomegaly. | hepatomegaly=o
Gram negative sepsis developed. | sepsis=o
Ataxia without nystagmus. | ataxia=o, nystagmus=x
Nystagmus, with no ataxia. | nystagmus=o, ataxia=x
His father and brother have ptosis. | ptosis=of
Ptosis was also present in his father. | ptosis=of
The patient and his father have ptosis. | ptosis=o
The mother reports seizures. | seizures=o
According to his mother he has seizures. | seizures=o
The mother has migraine and she has no seizures. | migraine=of, seizures=x
Absence of the corpus callosum was seen on MRI. | absence of the corpus callosum=o
Absence of seizures was confirmed. | seizures=x
Lack of nystagmus. | nystagmus=x
The child never had seizures. | seizures=x
She is free of pain. | pain=x
MRI failed to reveal cerebral atrophy. | cerebral atrophy=x
She has hypotonia rather than spasticity. | hypotonia=o, spasticity=x
There was no skin rash except for eczema. | skin rash=x, eczema=o
No abnormalities other than strabismus. | strabismus=o
Seizures have resolved. | seizures=op
He no longer has seizures. | seizures=op
Screening for hearing loss is advised. | hearing loss=h
Hearing loss is suspected. | hearing loss=h
Microcephaly (absent). | microcephaly=x
Microcephaly (-), hypotonia (+). | microcephaly=x, hypotonia=o
Seizures: no. | seizures=x
Scoliosis is unlikely. | scoliosis=x
He does not have scoliosis. | scoliosis=x
He didn't have scoliosis. | scoliosis=x
Scoliosis was not present, hypotonia was marked. | scoliosis=x, hypotonia=o
A maternal uncle died of cardiomyopathy. | cardiomyopathy=of
He has ptosis like his father. | ptosis=o
Born to healthy consanguineous parents with hypotonia at birth. | hypotonia=o
Ataxia with or without nystagmus. | ataxia=o, nystagmus=o
It is not clear whether seizures occur. | seizures=h
Mutations may cause cataract. | cataract=h
Seizures not controlled by drugs. | seizures=o
Whereas her sister had cataract, the patient had glaucoma. | cataract=of, glaucoma=o
No fever. Seizures were seen. | fever=x, seizures=o
The seizures were not controlled. | seizures=o
There is no family history of epilepsy. | epilepsy=xf
The absence of thumbs was noted. | absence of thumbs=o
A cardiac defect was excluded by echocardiography. | cardiac defect=x
Echocardiography excluded a ventricular septal defect. | ventricular septal defect=x
His sister, who has deafness, is healthy. | deafness=of
Family history is significant for deafness in a cousin. | deafness=of
The mother denies seizures in the child. | seizures=x
She has not developed cataract. | cataract=x
Hearing loss and ataxia were not observed in the patient. | hearing loss=x, ataxia=x
"""
LABELS = {
    "HP:0001250": "癫痫发作",
    "HP:0000252": "小头畸形",
    "HP:0001251": "共济失调",
    "HP:0004322": "身材矮小",
    "HP:0001252": "肌张力减退",
    "HP:0000118": "表型异常",
    "HP:0000005": "遗传方式",
}


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser.of(load().ontology)


@pytest.mark.parametrize("line", SENTENCES.strip().splitlines())
def test_sentences(recogniser: Recogniser, line: str) -> None:
    text, _, expected = line.partition(" | ")
    mentions = [mention for mention in recogniser.recognise(text) if not mention.nested]
    marks = [
        f"{text[found.mention.start : found.mention.end].lower()}={mark(found.status, found.family, found.historical)}"
        for found in assess(text, mentions)
    ]
    assert ", ".join(marks) == expected


def mark(status: str, family: bool, historical: bool) -> str:
    return {"observed": "o", "excluded": "x", "hypothetical": "h"}[status] + "f" * family + "p" * historical


def test_a_family_heading_governs_its_lines(recogniser: Recogniser) -> None:
    text = (
        "Presenting complaint:\nSeizures\n\nFamily history:\nDeafness\nScoliosis\n\nExamination:\nHypotonia\n"
    )
    found = assess(text, recogniser.recognise(text))
    assert {text[a.mention.start : a.mention.end]: a.family for a in found} == {
        "Seizures": False,
        "Deafness": True,
        "Scoliosis": True,
        "Hypotonia": False,
    }


def test_a_finding_excluded_once_and_seen_once_has_two_statuses(recogniser: Recogniser) -> None:
    text = "No seizures at birth. Seizures began later."
    assert [a.status for a in assess(text, recogniser.recognise(text))] == ["excluded", "observed"]


def test_chinese_labels_and_their_context() -> None:
    text = "患儿有癫痫发作、小头畸形。否认共济失调,其母身材矮小。可能 肌张力的减退。"
    recogniser = ChineseRecogniser.of(load().ontology, LABELS)
    found = assess(text, recogniser.recognise(text))
    assert [(text[a.mention.start : a.mention.end], a.mention.id, mark(*a[1:])) for a in found] == [
        ("癫痫发作", "HP:0001250", "o"),
        ("小头畸形", "HP:0000252", "o"),
        ("共济失调", "HP:0001251", "x"),
        ("身材矮小", "HP:0004322", "of"),
        ("肌张力的减退", "HP:0001252", "h"),
    ]


def test_a_chinese_label_does_not_reach_over_a_list_sign() -> None:
    recogniser = ChineseRecogniser.of(load().ontology, LABELS)
    assert recogniser.recognise("小头、畸形") == []
    assert recogniser.recognise("遗传方式 表型异常") == []
    assert has_chinese("小")
    assert not has_chinese("small")


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), max_size=8))
def test_any_text_and_any_mentions_are_assessed(text: str, ranges: list[tuple[int, int]]) -> None:
    mentions = [Mention(start, start + length, "HP:0001250") for start, length in ranges]
    assert [a.mention for a in assess(text, mentions)] == mentions


@pytest.mark.parametrize(
    "unit", ["seizures denied; no fever,", "no seizures and ", "无癫痫发作", " ", "\n a"]
)
def test_time_grows_with_the_length_and_not_with_its_square(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    mentions = [Mention(m.start(), m.end(), "HP:0001250") for m in re.finditer("seizures|fever|癫痫", text)]
    began = time.process_time()
    assert len(assess(text, mentions)) == len(mentions)
    # About 0.3 s; what is quadratic takes half a minute.
    assert time.process_time() - began < 5
