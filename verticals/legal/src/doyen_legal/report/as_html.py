"""The review page: one HTML file with findings beside the highlighted contract; it needs no network.

The page lets in its own style and script only, by digest (Content-Security-Policy), and Jinja2 escapes every value:
hostile text in a contract stays text.
"""

from __future__ import annotations

import base64
import hashlib
import re
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Any, Final

from doyen_legal.playbook.deviation import compare
from doyen_legal.report.highlights import Range, lay_out
from doyen_schemas import Document, Evidence, Finding, Report

_FOLDER: Final = Path(__file__).with_name("page")
_STATUSES: Final = ("reject", "risk", "needs_review", "ok", "info")
_SEVERITIES: Final = ("high", "medium", "low", "note")
_QUOTE_LENGTH: Final = 420
_TEXT_LENGTH: Final = 6_000
# Details that have a place of their own on the card.
_PLACED: Final = {
    "preferred", "fallback", "diff", "ops", "standard", "computation", "missing", "explanation", "because", "clause", "side",
}  # fmt: skip
# Control characters, and those that turn the direction of text around (CVE-2021-42574): shown, never obeyed.
_CONTROLS: Final[dict[int, int | str]] = {
    **{code: 0x2400 + code for code in range(32) if code not in (9, 10, 13)},
    13: " ",
    127: 0x2421,
    **{
        code: 0xFFFD
        for code in (
            *range(0x80, 0xA0),
            *range(0x202A, 0x202F),
            *range(0x2066, 0x206A),
            0x200E,
            0x200F,
            0x061C,
        )
    },
}


def as_html(report: Report, document: Document) -> bytes:
    """The page as UTF-8. Offsets in it are those of ``document.text``; control characters are made visible."""
    ranges: list[Range] = []
    owners: list[tuple[int, bool, Evidence]] = []
    for index, finding in enumerate(report.findings):
        for related, evidences in ((False, finding.evidence), (True, finding.related)):
            for evidence in evidences:
                ranges.append(
                    Range(evidence.start, evidence.end, index, "rel" if related else finding.status)
                )
                owners.append((index, related, evidence))
    laid = lay_out(document, ranges)
    places: dict[tuple[int, bool], list[tuple[tuple[int, int], Evidence]]] = {}
    for (index, related, evidence), segment in zip(owners, laid.segments, strict=True):
        if segment is not None:
            places.setdefault((index, related), []).append((segment, evidence))
    sections = _Sections(document)
    findings = [
        _card(
            index, finding, places.get((index, False), []), places.get((index, True), []), sections, document
        )
        for index, finding in enumerate(report.findings)
    ]
    style, script = _asset("report.css"), _asset("report.js")
    blocks = [
        {"css": block.css, "pieces": [piece._replace(text=_shown(piece.text)) for piece in block.pieces]}
        for block in laid.blocks
    ]
    page: str = _environment().get_template("report.html").render(
        report=report, info=report.document, findings=findings, blocks=blocks,
        counts=[(s, n) for s in _STATUSES if (n := sum(f.status == s for f in report.findings))],
        kinds=sorted({f.kind for f in report.findings}),
        severities=[s for s in _SEVERITIES if any(f.severity == s for f in report.findings)],
        reasons=_reasons(report), dates=_dates(report),
        style=style, script=script, style_hash=_digest(style), script_hash=_digest(script),
    )  # fmt: skip
    return page.encode("utf-8", errors="replace")


def _card(
    index: int,
    finding: Finding,
    own: list[tuple[tuple[int, int], Evidence]],
    related: list[tuple[tuple[int, int], Evidence]],
    sections: _Sections,
    document: Document,
) -> dict[str, Any]:
    first = finding.evidence[0] if finding.evidence else None
    details = finding.details
    value = finding.value
    return {
        "index": index,
        "id": _shown(finding.id),
        "label": _shown(finding.label),
        "kind": finding.kind,
        "status": finding.status,
        "severity": finding.severity,
        "message": _shown(finding.message),
        "score": finding.score,
        "place": first.start if first else len(document.text),
        "page": first.page if first else None,
        "section": _shown(sections.path(first.start)) if first else "",
        "value": _shown(" ".join(filter(None, (value.text, value.unit)))) if value else "",
        "value_kind": value.kind if value else "",
        "quotes": [_quote(place) for place in own],
        "related": [_quote(place) for place in related],
        "segments": " ".join(f"{a}-{b}" for (a, b), _ in own),
        "related_segments": " ".join(f"{a}-{b}" for (a, b), _ in related),
        "diff": [(kind, _shown(text)) for kind, text in _diff(finding)],
        "explanation": _cut(str(details.get("explanation") or ""), _TEXT_LENGTH),
        "preferred": _cut(str(details.get("preferred") or ""), _TEXT_LENGTH),
        "fallback": _cut(str(details.get("fallback") or ""), _TEXT_LENGTH),
        "rule": _shown(finding.rule or ""),
        "source": _shown(finding.source),
        "extra": [
            (_shown(name), _shown(str(v)))
            for name, v in details.items()
            if name not in _PLACED and isinstance(v, str | int | float) and len(str(v)) < 80
        ],
    }


def _diff(finding: Finding) -> list[tuple[str, str]]:
    """The word diff that the finding brings, else one of its quote against the preferred text.

    Empty where nothing agrees: the preferred text alone reads better then.
    """
    brought = finding.details.get("ops") or finding.details.get("diff")
    preferred = str(finding.details.get("preferred") or "")
    ops: list[tuple[str, str]] = []
    if isinstance(brought, list) and all(isinstance(op, list | tuple) and len(op) == 2 for op in brought):
        ops = [(str(kind), str(text)) for kind, text in brought]
    elif preferred and finding.evidence and finding.status in ("risk", "reject"):
        quote = finding.evidence[0].quote
        if len(quote) + len(preferred) < 2 * _TEXT_LENGTH:
            ops = [(kind, text) for kind, text in compare(quote, preferred).ops]
    return ops if any(kind == "equal" for kind, _ in ops) else []


def _quote(place: tuple[tuple[int, int], Evidence]) -> dict[str, Any]:
    (first, _), evidence = place
    return {"first": first, "text": _cut(" ".join(evidence.quote.split()), _QUOTE_LENGTH)}


def _reasons(report: Report) -> list[dict[str, Any]]:
    if report.priority is None:
        return []
    index_of = {finding.id: index for index, finding in enumerate(report.findings)}
    most = max((abs(reason.points) for reason in report.priority.reasons), default=0) or 1
    return [
        {
            "name": _shown(reason.name), "weight": f"{reason.weight:g}", "value": f"{reason.value:.3g}",
            "points": f"{reason.points:.1f}", "share": abs(reason.points) / most,
            "links": [
                {"index": index_of[name], "text": _shown(report.findings[index_of[name]].label)}
                for name in reason.findings[:6] if name in index_of
            ],
        }
        for reason in sorted(report.priority.reasons, key=lambda reason: -reason.points)
    ]  # fmt: skip


def _dates(report: Report) -> list[dict[str, Any]]:
    """Computed dates and dated entities, in order; unknown ones last."""
    rows = [
        {
            "index": index, "label": _shown(finding.label), "status": finding.status,
            "message": _shown(finding.message), "day": _shown(finding.value.text) if finding.value else "unknown",
        }
        for index, finding in enumerate(report.findings)
        if finding.kind == "date" or (finding.value is not None and finding.value.kind == "date" and finding.kind == "entity")
    ]  # fmt: skip
    return sorted(rows, key=lambda row: str(row["day"]))


class _Sections:
    """The innermost numbered section at an offset."""

    def __init__(self, document: Document) -> None:
        self.sections = sorted((s for s in document.sections if s.path), key=lambda s: s.start)
        self.starts = [section.start for section in self.sections]

    def path(self, offset: int) -> str:
        at = bisect_right(self.starts, offset) - 1
        # parents begin before their children, so the innermost one is near
        for section in self.sections[max(0, at - 50) : at + 1][::-1]:
            if section.end > offset:
                return section.path
        return ""


def _shown(text: str) -> str:
    return text.translate(_CONTROLS)


def _cut(text: str, length: int) -> str:
    return _shown(text if len(text) <= length else text[:length] + " …")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _bar(share: float) -> Any:
    """A bar as SVG: the policy of the page allows no style attributes."""
    from markupsafe import Markup

    width = round(100 * min(1.0, max(0.0, share)))
    return Markup(
        '<svg class="bar" viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="5" fill="currentColor"/></svg>'
    ).format(width)


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER, encoding="utf-8"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(shown=_shown, words=_words)
    environment.globals["bar"] = _bar
    return environment


@cache
def _asset(name: str) -> str:
    text = (_FOLDER / name).read_text(encoding="utf-8")
    assert not re.search(r"</(?:style|script)", text, re.I)
    return text


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
