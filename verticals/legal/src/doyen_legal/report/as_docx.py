"""A Word redline: findings as comments, preferred text as tracked changes, in a copy of the contract."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from doyen_legal.playbook.deviation import compare
from doyen_legal.report.places import Locator, Place, paragraph_text, runs_of
from doyen_legal.report.write import NotApplicable, stamp
from doyen_schemas import Document, Finding, Report

AUTHOR: Final = "Doyen"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_RANK: Final = {"reject": 0, "risk": 1, "needs_review": 2, "info": 3, "ok": 4}
_SIGNATURES: Final = re.compile(r"^\s*in\s+witness\s+where", re.I)
_ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def as_docx(report: Report, document: Document, source: Path | None) -> bytes:
    """The redline as DOCX.

    A DOCX source is edited in a copy of itself; any other document is set from its text. What needs a person
    (risk, reject, needs review, faults, missing clauses, dates) becomes a comment on the quote. A ``reject`` with
    preferred text is replaced word by word as tracked changes; for a ``risk`` the preferred text is a tracked
    insertion after the clause; a missing clause is inserted before the signatures.

    Raises NotApplicable (LEG-045) when the source cannot be opened by python-docx.
    """
    word = _open(document, source)
    redline = _Redline(word, document, stamp(report))
    shown = [finding for finding in report.findings if _is_shown(finding)]
    shown.sort(
        key=lambda finding: (_RANK[finding.status], finding.evidence[0].start if finding.evidence else 0)
    )
    # All places are found before the first change, and changes are made from the back: offsets stay true.
    places = [redline.places(finding) for finding in shown]
    for finding, where in zip(shown, places, strict=True):
        redline.comment(finding, where)
    proposals = _without_overlap(list(zip(shown, places, strict=True)))
    for finding, where in sorted(proposals, key=lambda pair: -pair[0].evidence[0].start):
        redline.propose(where, _legal(_preferred(finding)), replace=finding.status == "reject")
    for finding in shown:
        if finding.status in ("risk", "reject") and not finding.evidence and _preferred(finding):
            redline.insert_clause(_legal(_preferred(finding)))
    buffer = io.BytesIO()
    word.save(buffer)
    return buffer.getvalue()


def _is_shown(finding: Finding) -> bool:
    return finding.status in ("risk", "reject", "needs_review") or finding.kind in (
        "fault",
        "missing",
        "date",
    )


def _preferred(finding: Finding) -> str:
    return str(finding.details.get("preferred") or "").strip()


def _without_overlap(found: list[tuple[Finding, list[Place]]]) -> list[tuple[Finding, list[Place]]]:
    """The findings that propose a text for a passage of their own, the gravest first come."""
    taken: dict[Any, list[Place]] = {}
    chosen = []
    for finding, places in found:
        proposes = (
            finding.status in ("risk", "reject") and finding.kind != "deviation" and _preferred(finding)
        )
        if not proposes or not places or not all(place.exact for place in places):
            continue
        if any(p.start < q.end and q.start < p.end for p in places for q in taken.get(p.paragraph, [])):
            continue
        for place in places:
            taken.setdefault(place.paragraph, []).append(place)
        chosen.append((finding, places))
    return chosen


def _open(document: Document, source: Path | None) -> Any:
    import docx
    from docx.opc.exceptions import OpcError

    if source is None or document.media_type != DOCX:
        return _from_text(document)
    try:
        return docx.Document(str(source))
    except (OpcError, KeyError, ValueError, OSError, zipfile.BadZipFile, SyntaxError) as error:
        raise NotApplicable("LEG-045", f"the DOCX cannot be copied ({type(error).__name__})") from error


def _from_text(document: Document) -> Any:
    """A plain DOCX of the text: a paragraph a line, headings in bold."""
    import docx
    from docx.shared import Pt

    word = docx.Document()
    style = word.styles["Normal"]
    style.font.name, style.font.size = "Times New Roman", Pt(11)
    headings = sorted((section.start, section.heading_end) for section in document.sections)
    position = following = 0
    for line in document.text.split("\n"):
        start, position = position, position + len(line) + 1
        while following < len(headings) and headings[following][1] <= start:
            following += 1
        if not line.strip():
            continue
        paragraph = word.add_paragraph()
        split = 0
        if following < len(headings) and headings[following][0] < start + len(line):
            split = min(len(line), max(0, headings[following][1] - start))
        for text, bold in ((line[:split], True), (line[split:], None)):
            if text:
                paragraph.add_run(_legal(text)).bold = bold
    return word


def _legal(text: str) -> str:
    """The text with what XML 1.0 cannot hold replaced, character for character."""
    return _ILLEGAL.sub("\ufffd", text)


class _Redline:
    """A Word document with its locator, and the next free id of a tracked change."""

    def __init__(self, word: Any, document: Document, stamp: datetime) -> None:
        from docx.oxml.ns import qn

        self.word = word
        self.stamp = stamp
        self.body = word.element.body
        self.locator = Locator(self.body, _legal(document.text))
        ids = [
            element.get(qn("w:id"))
            for element in self.body.iter(qn("w:ins"), qn("w:del"), qn("w:moveFrom"), qn("w:moveTo"))
        ]
        self.next_id = 1 + max((int(number) for number in ids if number and number.isdigit()), default=9000)

    def places(self, finding: Finding) -> list[Place]:
        """Where the finding's first evidence stands."""
        return (
            self.locator.find(finding.evidence[0].start, finding.evidence[0].end) if finding.evidence else []
        )

    def comment(self, finding: Finding, places: list[Place]) -> None:
        """A comment on the quote, or on the title when the finding has no place in the text."""
        from docx.text.run import Run

        if places:
            runs = [run for place in places for run in runs_of(place.paragraph, place.start, place.end)]
        else:
            first = next((p for p in self.locator.paragraphs if paragraph_text(p).strip()), None)
            runs = runs_of(first, 0, len(paragraph_text(first))) if first is not None else []
        if not runs:
            runs = [self.word.add_paragraph().add_run()._r]
        wrapped = [Run(run, self.word._body) for run in (runs[0], runs[-1])]
        status = finding.status.replace("_", " ")
        comment = self.word.add_comment(wrapped, text="", author=AUTHOR, initials="Dy")
        comment._comment_elm.date = self.stamp
        paragraph = comment.paragraphs[0]
        paragraph.add_run(_legal(f"{finding.label}: {status}")).bold = True
        for line in _comment_lines(finding):
            comment.add_paragraph(_legal(line))

    def propose(self, places: list[Place], text: str, *, replace: bool) -> None:
        """The preferred text as tracked changes: in place of the passage, or behind it."""
        if replace:
            self._replace(places, text)
        else:
            self._insert_after(places[-1], f" [Proposed: {text}]")

    def _replace(self, places: list[Place], text: str) -> None:
        if len(places) > 1:
            for place in places:
                self._delete(runs_of(place.paragraph, place.start, place.end))
            last = places[-1]
            for place in places[:-1]:
                if not paragraph_text(place.paragraph).strip():
                    self._mark_paragraph(place.paragraph, "w:del")
            self._insert_after(last._replace(end=last.start), text)
            return
        place = places[0]
        old = paragraph_text(place.paragraph)[place.start : place.end]
        # from the back, so that the offsets in front stay true
        for start, end, new in reversed(list(_word_changes(old, text))):
            if new:
                self._insert_after(place._replace(end=place.start + end), new)
            if start < end:
                self._delete(runs_of(place.paragraph, place.start + start, place.start + end))

    def _change(self, tag: str) -> Any:
        """An element of a tracked change with a fresh id, author and date."""
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        element = OxmlElement(tag)
        element.set(qn("w:id"), str(self.next_id))
        element.set(qn("w:author"), AUTHOR)
        element.set(qn("w:date"), self.stamp.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.next_id += 1
        return element

    def _delete(self, runs: list[Any]) -> None:
        from docx.oxml.ns import qn

        for run in runs:
            change = self._change("w:del")
            run.addprevious(change)
            change.append(run)
            for text in run.iter(qn("w:t")):
                text.tag = qn("w:delText")

    def _insert_after(self, place: Place, text: str) -> None:
        """A tracked insertion at ``place.end``, in the format of the run before it."""
        before = runs_of(place.paragraph, 0, place.end)
        all_runs = runs_of(place.paragraph, 0, len(paragraph_text(place.paragraph)))
        model = before[-1] if before else (all_runs[0] if all_runs else None)
        change = self._inserted_run(text, model)
        if before:
            # Inside another author's insertion or a hyperlink the new text goes behind it as a whole.
            anchor = before[-1]
            while anchor.getparent() is not place.paragraph:
                anchor = anchor.getparent()
            anchor.addnext(change)
        elif all_runs:
            anchor = all_runs[0]
            while anchor.getparent() is not place.paragraph:
                anchor = anchor.getparent()
            anchor.addprevious(change)
        else:
            place.paragraph.append(change)

    def _inserted_run(self, text: str, model: Any | None) -> Any:
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        change = self._change("w:ins")
        run = OxmlElement("w:r")
        if model is not None and model.find(qn("w:rPr")) is not None:
            run.append(deepcopy(model.find(qn("w:rPr"))))
        element = OxmlElement("w:t")
        element.text = text
        element.set(qn("xml:space"), "preserve")
        run.append(element)
        change.append(run)
        return change

    def _mark_paragraph(self, paragraph: Any, tag: str) -> None:
        """Track the paragraph mark itself."""
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        properties = paragraph.get_or_add_pPr()
        run_properties = properties.find(qn("w:rPr"))
        if run_properties is None:
            run_properties = OxmlElement("w:rPr")
            after = next(
                (child for child in properties if child.tag in (qn("w:sectPr"), qn("w:pPrChange"))), None
            )
            if after is None:
                properties.append(run_properties)
            else:
                after.addprevious(run_properties)
        run_properties.insert(0, self._change(tag))

    def insert_clause(self, text: str) -> None:
        """A missing clause as tracked paragraphs: before the signatures, else at the end."""
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        signatures = next((p for p in self.locator.paragraphs if _SIGNATURES.match(paragraph_text(p))), None)
        for line in filter(None, (line.strip() for line in text.splitlines())):
            paragraph = OxmlElement("w:p")
            self._mark_paragraph(paragraph, "w:ins")
            paragraph.append(self._inserted_run(line, None))
            if signatures is not None:
                signatures.addprevious(paragraph)
            elif self.body.find(qn("w:sectPr")) is not None:
                self.body.find(qn("w:sectPr")).addprevious(paragraph)
            else:
                self.body.append(paragraph)


def _comment_lines(finding: Finding) -> Iterator[str]:
    if finding.message:
        yield finding.message
    if finding.value:
        yield f"Value: {' '.join(filter(None, (finding.value.text, finding.value.unit)))}"
    for name in ("preferred", "fallback"):
        if finding.details.get(name):
            yield f"{name.capitalize()}: {' '.join(str(finding.details[name]).split())}"
    source = f"{finding.source}, rule {finding.rule}" if finding.rule else finding.source
    yield f"[{source}{f', score {finding.score:.2f}' if finding.score is not None else ''}]"


def _word_changes(old: str, new: str) -> Iterator[tuple[int, int, str]]:
    """``(start, end, new text)``: ``old[start:end]`` goes out and the new text comes in behind it."""
    position = 0
    changes: list[tuple[int, int, str]] = []
    for kind, text in compare(old, new).ops:
        if kind == "insert" and changes and changes[-1][1] == position:
            changes[-1] = (*changes[-1][:2], text)
        elif kind == "insert":
            changes.append((position, position, text))
        else:
            if kind == "delete":
                changes.append((position, position + len(text), ""))
            position += len(text)
    yield from changes
