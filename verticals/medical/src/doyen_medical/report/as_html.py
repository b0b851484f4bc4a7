"""The report as one HTML page that needs no network and no script.

The page lets in its own style only, by digest (Content-Security-Policy); Jinja2 escapes every value, so that hostile
text in a note stays text. Links to the sources open on a click; nothing is loaded.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from doyen_medical.report.complete import url_of
from doyen_medical.report.model import Candidate, Code, MedicalReport, Term, Weight
from doyen_medical.report.words import LANGUAGES, WORDS
from doyen_schemas import DoyenError

_FOLDER: Final = Path(__file__).with_name("page")
_WIDEST: Final = 3.0
"""Log10 of the likelihood ratio whose bar fills half of the chart: a thousand times."""
_SOURCES: Final = 4
_OPEN: Final = 3
"""Candidates whose evidence stands open on the screen; in print all do."""
# Control characters, and those that turn the direction of text around (CVE-2021-42574): shown, never obeyed.
_CONTROLS: Final[dict[int, int | str]] = {
    **{code: 0x2400 + code for code in range(32) if code not in (9, 10)},
    127: 0x2421,
    **{code: 0xFFFD for code in (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)},
}  # fmt: skip


def as_html(report: MedicalReport, language: str = "en") -> bytes:
    """The page as UTF-8, in English or Chinese. Raises MED-081 for another language.

    Findings and diseases have Chinese names where those were built; else the English ones stay.
    """
    if language not in LANGUAGES:
        raise DoyenError(
            "MED-081",
            f"language is {language!r}; it must be one of {', '.join(LANGUAGES)}.",
            "Write en or zh.",
        )
    words = WORDS["zh" if language == "zh" else "en"]
    names = {candidate.code: _name(candidate, words) for candidate in report.candidates}
    style = _style()
    page: str = _environment().get_template("report.html").render(
        r=report, t=words, style=style, style_hash=_digest(style), first_open=_OPEN, names=names,
        most=max((candidate.probability for candidate in report.candidates), default=0.0),
        rest=1 - report.other_probability - sum(candidate.probability for candidate in report.candidates),
        candidates=[_card(candidate, words) for candidate in report.candidates],
        uncounted=[q for q in report.patient.quotes if q.family or q.status == "hypothetical"],
        reason=_reason(report, words),
        intended=words["intended.text"] or report.intended_use,
        term=lambda term: _term(term, words),
    )  # fmt: skip
    return page.encode("utf-8", errors="replace")


def _card(candidate: Candidate, words: dict[str, str]) -> dict[str, Any]:
    return {
        "c": candidate,
        "name": _name(candidate, words),
        "other_name": candidate.name
        if _name(candidate, words) != candidate.name
        else candidate.name_zh or "",
        "counts": words["counts"].format(
            patients=candidate.published_patients, findings=candidate.annotated_findings
        ),
        "codes": _codes([code for code in candidate.codes if code.code != candidate.code]),
        "rows": [_row(weight, words) for weight in candidate.evidence],
    }


def _row(weight: Weight, words: dict[str, str]) -> dict[str, Any]:
    why = []
    if weight.by is not None and weight.by.id != weight.finding.id:
        why.append(words["matched"].format(label=_term(weight.by, words)))
    if weight.share is not None:
        why.append(words["annotated"].format(share=f"{weight.share:.0%}"))
    if weight.examined:
        why.append(words["published"].format(patients=weight.patients, examined=weight.examined))
    return {
        "w": weight,
        "label": _term(weight.finding, words),
        "ratio": _ratio(weight.log10_ratio),
        "why": "; ".join(why),
        "sources": [(key, url_of(key)) for key in weight.sources[:_SOURCES]],
        "more": len(weight.sources) - _SOURCES,
    }


def _codes(codes: list[Code]) -> list[tuple[str, list[Code]]]:
    """The codes by system, in order."""
    systems: dict[str, list[Code]] = {}
    for code in codes:
        systems.setdefault(code.system, []).append(code)
    return list(systems.items())


def _name(candidate: Candidate, words: dict[str, str]) -> str:
    return (candidate.name_zh if words["lang"] != "en" else None) or candidate.name


def _term(term: Term, words: dict[str, str]) -> str:
    return (term.label_zh if words["lang"] != "en" else None) or term.label


def _reason(report: MedicalReport, words: dict[str, str]) -> str:
    """Why nothing is proposed, in the page's language where that reason has words."""
    if report.abstained is None:
        return ""
    return words.get(f"abstain.{report.abstained.reason}", report.abstained.message)


def _ratio(log10: float) -> str:
    """A likelihood ratio in words: ``× 12`` in favour, ``÷ 20`` against."""
    size = 10 ** min(abs(log10), 6)
    figure = f"{size:.1f}" if size < 10 else f"{size:.0f}"
    return "1" if figure == "1.0" else f"{'×' if log10 > 0 else '÷'} {figure}"


def _bar(log10: float, role: str) -> Any:
    """A bar from the middle: to the right in favour, to the left against. The policy allows no style attributes."""
    from markupsafe import Markup

    length = 100 * min(abs(log10), _WIDEST) / _WIDEST
    start = 100 if log10 >= 0 else 100 - length
    ticks = "".join(
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="14" class="tick"/>'
        for power in (-2, -1, 1, 2)
        if (x := 100 + 100 * power / _WIDEST)
    )
    return Markup(
        '<svg class="bar" viewBox="0 0 200 14" width="200" height="14" role="img" aria-label="{label}">'
        '{ticks}<rect x="{x}" y="2" width="{width}" height="10" class="{role}"/>'
        '<line x1="100" x2="100" y1="0" y2="14" class="axis"/></svg>'
    ).format(
        label=_ratio(log10), ticks=Markup(ticks), x=f"{start:.1f}", width=f"{max(length, 0.8):.1f}", role=role
    )


def _chance(probability: float, most: float) -> Any:
    """A candidate's probability as a bar, the longest of the page for the highest."""
    from markupsafe import Markup

    return Markup(
        '<svg class="chance" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="8"/></svg>'
    ).format(f"{100 * probability / most if most > 0 else 0:.1f}")


def _shown(text: Any) -> str:
    return str(text).translate(_CONTROLS)


def _percent(probability: float) -> str:
    if 0 < probability < 0.001:
        return "< 0.1 %"
    return f"{100 * probability:.1f} %"


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # ``finalize`` runs on every value that is printed, before it is escaped.
    environment = Environment(
        loader=FileSystemLoader(_FOLDER, encoding="utf-8"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=lambda value: _shown(value) if type(value) is str else value,
    )  # fmt: skip
    environment.globals.update(bar=_bar, chance=_chance, percent=_percent, url_of=url_of)
    return environment


@cache
def _style() -> str:
    text = (_FOLDER / "report.css").read_text(encoding="utf-8")
    assert not re.search(r"</style|@import|url\(", text, re.I)
    return text


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
