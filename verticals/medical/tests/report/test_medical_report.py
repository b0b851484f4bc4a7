"""The report: schema, page, files, sign-off."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from medical_report_fixtures import SEIZURE, abstaining, candidate, report, weight

from doyen_medical import audit
from doyen_medical.report import MedicalReport, Patient, Quote, SignOff, Statement, Term
from doyen_medical.report.as_html import as_html
from doyen_medical.report.as_json import SCHEMA_FILE, as_json, json_schema, read_report
from doyen_medical.report.complete import complete, url_of
from doyen_medical.report.words import WORDS
from doyen_medical.report.write import folder_name, sign, write
from doyen_schemas import DoyenError


class Page(HTMLParser):
    """What a browser would see: tags with attributes, and text."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(content.decode())
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_published_schema_is_the_models() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == json_schema()


def test_a_report_comes_back_from_its_json(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(as_json(report()))
    assert read_report(path) == report()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff\xfe", b"[1]", json.dumps({"vertical": "legal"}).encode()]
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(DoyenError, match="MED-080"):
        read_report(path)
    with pytest.raises(DoyenError, match="MED-080"):
        read_report(tmp_path / "missing.json")


def test_the_page_shows_ranks_weights_sources_and_what_is_missing() -> None:
    text = Page(as_html(report())).text
    for part in (
        "Proposals, not diagnoses", "CDKL5 disorder", "62.0 %", "None of these 28.0 %", "× 20", "÷ 5.0", "not explained",
        "matched as Epileptic spasm", "80% of patients as annotated", "9 of 12 published patients", "PMID:30842224",
        "Explained by none of the first five: Microcephaly", "Hearing impairment (excluded)", "0.31 bits", "G40 broader",
        "ICD-11", "Seizures begin early.", "a relative's", "HP:0000057", "Intended use", "Not yet reviewed",
    ):  # fmt: skip
        assert part in text, part


def test_bars_point_to_the_side_that_the_ratio_speaks_for() -> None:
    page = as_html(report()).decode()
    bars = re.findall(r'<rect x="([\d.]+)" y="2" width="([\d.]+)" height="10" class="(\w+)"', page)
    for x, width, role in bars:
        if role == "supports":
            assert float(x) == 100
        else:
            assert float(x) + float(width) == pytest.approx(100, abs=0.2)
    assert {role for _, _, role in bars} == {"supports", "contradicts", "unexplained"}
    widths = [float(width) for _, width, role in bars if role == "supports"]
    assert widths[0] == pytest.approx(43.3)  # log10 of 1.3 on a half of three


def test_an_abstention_stands_above_the_ranking_and_no_proposal_is_named() -> None:
    text = Page(as_html(abstaining())).text
    assert text.index("No proposal is made") < text.index("CDKL5 disorder")
    assert "The nearest known diseases, for the reader alone" in text
    assert "Proposals, not diagnoses" not in text


def test_the_chinese_page_has_chinese_names_where_there_are_some() -> None:
    page = Page(as_html(report(), "zh"))
    for part in (
        "罕见病鉴别诊断排序",
        "癫痫发作",
        "早期婴幼儿癫痫性脑病2",
        "Hearing impairment",
        "上位",
        "预期用途",
    ):
        assert part in page.text, part
    assert "Look for next" not in page.text
    assert ("html", {"lang": "zh-CN"}) in page.tags
    with pytest.raises(DoyenError, match="MED-081"):
        as_html(report(), "fr")


def test_both_languages_have_the_same_words_with_the_same_places() -> None:
    assert list(WORDS["en"]) == list(WORDS["zh"])
    for key, text in WORDS["en"].items():
        assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", WORDS["zh"][key])), key


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    page = Page(as_html(report()))
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "form", "base"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style")]
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert all(
        re.match(r"#c\d+$|https://(pubmed\.ncbi\.nlm\.nih\.gov|www\.omim\.org|www\.orpha\.net)/", x)
        for x in links
    )
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@given(st.text(max_size=60))
def test_hostile_text_stays_text(text: str) -> None:
    hostile = f'{text}"><script>alert(1)</script><svg onload=x>'
    patient = Patient(
        source="note", sex="", age_years=None, observed=[Term(id="HP:0001250", label=hostile)], excluded=[], notices=[],
        quotes=[Quote(id="HP:1", start=0, end=3, quote=hostile, status="hypothetical", family=False, historical=False)],
    )  # fmt: skip
    made = report(
        patient=patient,
        candidates=[
            candidate(1, "OMIM:1", hostile, 0.5, [weight(SEIZURE, "supports", 1.0, sources=(hostile,))])
        ],
        statements=[Statement(candidate="OMIM:1", text=hostile, citations=["javascript:alert(1)"])],
        sign_off=SignOff(by=hostile, decision="accept", time="t", note=hostile, report_sha256="a", audit="b"),
    )
    page = Page(as_html(made))
    assert not [tag for tag, attributes in page.tags if tag == "script" or "onload" in attributes]
    assert not [a for tag, a in page.tags if tag == "a" and (a["href"] or "").startswith("javascript")]


def test_only_known_kinds_of_sources_become_links() -> None:
    assert url_of("PMID:123") == "https://pubmed.ncbi.nlm.nih.gov/123/"
    assert url_of("https://rarediseases.info.nih.gov/x") == "https://rarediseases.info.nih.gov/x"
    for key in ("javascript:alert(1)", "ISBN:1", "PMID:1;PMID:2", "PMID:x", "https://a b"):
        assert url_of(key) is None
    assert [c.key for c in report().citations] == [
        "PMID:1", "PMID:2", "PMID:10", "PMID:30842224", "ORPHA:778", "OMIM:300672",
    ]  # fmt: skip


def test_every_source_in_the_report_is_in_its_citations() -> None:
    made = report()
    named = {key for c in made.candidates for w in c.evidence for key in w.sources}
    assert named <= {citation.key for citation in made.citations}
    assert complete(made) == made


def test_files_are_written_whole_and_the_fhir_bundle_has_no_code_twice(tmp_path: Path) -> None:
    written = write(report(), tmp_path / "new", ("json", "html", "fhir"))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "report.fhir.json", "report.html", "report.json",
    ]  # fmt: skip
    bundle = json.loads(written["fhir"].read_text())
    conditions = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Condition"]
    assert [coding["code"] for coding in conditions[0]["code"]["coding"]] == ["300672", "G40"]
    with pytest.raises(DoyenError, match="MED-081"):
        write(report(), tmp_path, ("pdf",))
    (tmp_path / "file").write_text("")
    with pytest.raises(DoyenError, match="MED-082"):
        write(report(), tmp_path / "file", ("json",))


def test_folder_names_are_plain_and_tell_patients_apart() -> None:
    assert folder_name(report()) == "patient-bbbbbbbb"
    info = report().document
    assert info is not None
    odd = report(document=info.model_copy(update={"name": "../../é evil\n.json"}))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", folder_name(odd))


def test_a_decision_is_written_once_into_report_page_and_log(tmp_path: Path) -> None:
    path, log = write(report(), tmp_path, language="zh")["json"], tmp_path / "log" / "audit.jsonl"
    audit.record(report(), "ranked", file=log)
    signed = sign(path, "Dr. A. Example", "reject", "fits <b>badly</b>", log)
    assert signed.sign_off is not None
    assert read_report(path) == signed
    assert signed.sha256() == report().sha256() == signed.sign_off.report_sha256
    text = Page((tmp_path / "report.html").read_bytes()).text
    assert "不采纳" in text
    assert "fits <b>badly</b>" in text
    assert "badly" not in log.read_text()
    last = json.loads(log.read_text().splitlines()[-1])
    assert (last["who"], last["decision"], last["hash"]) == (
        "Dr. A. Example",
        "reject",
        signed.sign_off.audit,
    )
    assert audit.logged(signed.sign_off.report_sha256, log)
    with pytest.raises(DoyenError, match="MED-083"):
        sign(path, "Dr. B", "accept", log=log)


def test_a_signed_report_is_never_overwritten(tmp_path: Path) -> None:
    path = write(report(), tmp_path, ("json",))["json"]
    signed = sign(path, "Dr. A", "accept", log=tmp_path / "audit.jsonl")
    with pytest.raises(DoyenError, match=r"MED-083.*was signed"):
        write(report(), tmp_path, ("json", "html"))
    assert read_report(path) == signed
    assert not (tmp_path / "report.html").exists()
    write(signed, tmp_path, ("html",))  # the same report as a page


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb"])
def test_a_name_that_is_none_signs_nothing(tmp_path: Path, name: str) -> None:
    path = write(report(), tmp_path, ("json",))["json"]
    with pytest.raises(DoyenError, match="MED-083"):
        sign(path, name, "accept", log=tmp_path / "audit.jsonl")
    assert not (tmp_path / "audit.jsonl").exists()
    assert MedicalReport.model_validate_json(path.read_bytes()).sign_off is None


def test_statements_come_from_passages_for_what_supports_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    from doyen_medical.evidence import statements as sources
    from doyen_medical.report.statements import with_statements

    asked: list[tuple[str, list[str]]] = []

    def evidence_for(disease: str, findings: list[str], evidence: object) -> sources.Found:
        asked.append((disease, findings))
        if disease == "ORPHA:778":
            raise DoyenError("MED-061", "no disease.", "")
        said = sources.Statement("HP:0001250", "same", "Seizure is reported.", ("OMIM:1/HP:1",), ("PMID:77",))
        return sources.Found(disease, (said,), {"kept": 1, "unsupported": 2}, ("bm25",), ())

    monkeypatch.setattr(sources, "evidence_for", evidence_for)
    stand_in: Any = None
    made = with_statements(report(), stand_in)
    assert asked == [("OMIM:300672", ["HP:0001250"]), ("ORPHA:778", ["HP:0001250"])]
    assert [(s.candidate, s.text, s.passages) for s in made.statements] == [
        ("OMIM:300672", "Seizure is reported.", ["OMIM:1/HP:1"])
    ]
    assert "PMID:77" in [citation.key for citation in made.citations]
    (stage,) = [stage for stage in made.stages if stage.name == "evidence"]
    assert stage.counts == {"kept": 1, "unsupported": 2}


def test_the_page_names_what_was_left_out_as_uncertain_or_somebody_elses() -> None:
    patient = report().patient.model_copy(
        update={"uncertain": [Term(id="HP:0001251", label="Ataxia")], "foreign": 3}
    )
    for language, words in (
        ("en", ("Uncertain in the source", "3 entries of somebody")),
        ("zh", ("不确定", "3 条")),
    ):
        page = as_html(report(patient=patient), language).decode()
        assert all(part in page for part in (*words, "HP:0001251"))
    assert "Uncertain in the source" not in as_html(report()).decode()
