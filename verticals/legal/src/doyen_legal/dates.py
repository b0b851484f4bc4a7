"""Calendar arithmetic: when a contract ends, renews, and the last day to give notice against renewal.

Dates and durations come from the extracted clauses by the normalisers; nothing is guessed. Where an input is
missing or hangs on an event without a date, the finding says ``unknown`` and what is missing.

Conventions. A term of N years from a day runs to its anniversary, as CUAD's reviewers read it; since others read
the day before, notice days of a computed expiry are counted from the earlier day, which is the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from doyen_legal.extract.types import Clause
from doyen_legal.normalise import Mention, add_duration, approximate_days, find_dates, find_durations
from doyen_legal.normalise import parse_duration as parse
from doyen_schemas import Document, Evidence, Finding, Status, Value

EXPIRY: Final = "Expiry"
RENEWAL: Final = "Renewal"
NOTICE: Final = "Last day for notice"
_SOURCE: Final = "dates"

_ENDS = re.compile(r"expir|terminat|\bend(?:s|ing)?\b|until|through|conclud|later than|remain|\bto\b", re.I)
_OTHER_PERIOD_AFTER = re.compile(r"^\W{0,3}(?:prior\b|advance\b|written\b|notice|before\b|['’])", re.I)
_OTHER_PERIOD_BEFORE = re.compile(
    r"(?:renew\w*|extended|extending|extension|additional|successive|notice)[^.;]{0,60}$", re.I
)
_ANCHOR = re.compile(
    r"^\W{0,3}(?:(?:commenc|beginn|start|runn|measur)\w+\s+(?:on|from|upon|with|as of)"
    r"|(?:\w+\s+){0,3}?(?:from|after|following|of|as of))\s+(?:and including\s+)?(?P<event>[^.;,(]{3,90})",
    re.I,
)
_START_WORDS = re.compile(
    r"effective\s+date|date\s+(?:hereof|of\s+(?:this|the)\s+\w+|first)|execution|signing|signature|this agreement|"
    r"first (?:written|above|set forth)|above written|commencement of (?:this|the)",
    re.I,
)
_DEFINED_DATE = re.compile(r"\b((?:[A-Z][A-Za-z-]+ ){1,4}Date)\b")
_PERPETUAL = re.compile(r"perpetual|indefinite|in perpetuity|until terminated", re.I)
_RENEWS = re.compile(r"renew|extend|extension|continue|successive", re.I)
_OPTIONAL = re.compile(
    r"\b(?:option|elect|right to (?:renew|extend)|may (?:be )?(?:renew|extend)|mutual|agree\b)", re.I
)
_AUTOMATIC = re.compile(
    r"automatic|shall (?:be )?(?:renew|extend|continue)|will (?:be )?(?:renew|extend)|\brenews\b|deemed", re.I
)
_NOT_MORE = re.compile(r"(?:not|no)\s+(?:more|earlier|sooner)\s+than\s*$", re.I)
# An evergreen contract of 1990 has renewed often: enough for daily renewals over a century.
_MAX_RENEWALS: Final = 40_000


@dataclass
class _Input:
    """A day or period that was read, where it stands, and how it is described in a computation."""

    text: str
    day: date | None = None
    period: str | None = None
    spans: list[tuple[int, int]] = field(default_factory=list)
    missing: str = ""
    computed: bool = False


def key_dates(document: Document, clauses: Sequence[Clause], *, on: date | None = None) -> list[Finding]:
    """Expiry, renewal and last notice day as findings of kind ``date``, with evidence and the computation.

    ``clauses`` are the extractor's; a label without clauses yields no finding of its own. With ``on``, an
    automatic renewal is rolled forward to the first period that ends on or after that day. An unknown date has
    ``value`` None, status ``needs_review`` and the reason in ``message``.
    """
    by_label: dict[str, list[Clause]] = {}
    for clause in sorted(clauses, key=lambda clause: -clause.score):
        by_label.setdefault(clause.label, []).append(clause)
    if not any(
        by_label.get(label)
        for label in ("Expiration Date", "Renewal Term", "Notice Period To Terminate Renewal")
    ):
        return []
    start = _start(document, by_label)
    expiry = _expiry(document, by_label.get("Expiration Date", []), start)
    findings = [_finding(document, "expiry", EXPIRY, expiry)]
    renewal_clauses = by_label.get("Renewal Term", [])
    current = expiry
    if renewal_clauses:
        renewal, current = _renewal(document, renewal_clauses, expiry, on)
        findings.append(_finding(document, "renewal", RENEWAL, renewal))
    notice_clauses = by_label.get("Notice Period To Terminate Renewal", [])
    if notice_clauses:
        findings.append(_finding(document, "notice", NOTICE, _notice(document, notice_clauses, current)))
    return findings


def _start(document: Document, by_label: dict[str, list[Clause]]) -> _Input:
    for label in ("Effective Date", "Agreement Date"):
        for clause in by_label.get(label, []):
            for mention in _mentions(document, clause, find_dates):
                day = _full(mention)
                # a clause on the term often stands under both labels: its last day is not its first
                if day is not None and not _is_end(document, clause, mention):
                    return _Input(f"{day} ({label})", day, spans=[(mention.start, mention.end)])
    return _Input("", missing="no effective or agreement date with day, month and year was found")


def _expiry(document: Document, clauses: list[Clause], start: _Input) -> _Input:
    missing = "no clause states an expiration date or a term"
    for clause in clauses:
        result = _expiry_of(document, clause, start)
        if result.day is not None:
            return result
        missing = result.missing
    spans = [(clause.start, clause.end) for clause in clauses[:1]]
    return _Input("", spans=spans, missing=missing)


def _expiry_of(document: Document, clause: Clause, start: _Input) -> _Input:
    text = document.text[clause.start : clause.end]
    span = (clause.start, clause.end)
    days = [(m, day) for m in _mentions(document, clause, find_dates) if (day := _full(m)) is not None]
    term = _term(document, clause)
    ends = [(mention, day) for mention, day in days if _is_end(document, clause, mention)]
    candidates = [
        day for _, day in ends or (days if term is None else []) if start.day is None or day > start.day
    ]
    stated = candidates[0] if ends and candidates else max(candidates, default=None)
    if stated is not None:
        result = _Input(f"{stated} (stated)", stated, spans=[span])
        begin = _begin(document, clause, term, [], start) if term else start
        if term and begin.day:
            counted = add_duration(begin.day, term.value.text)
            # a day apart is the anniversary and the day before it: both are usual
            if abs((counted - stated).days) > 1:
                result.missing = f"but {begin.text} + {_words(term.value.text)} = {counted}"
        return result
    if term is None:
        reason = (
            "the term runs until it is terminated"
            if _PERPETUAL.search(text)
            else "the clause states neither an end date nor a term"
        )
        return _Input("", spans=[span], missing=reason)
    begin = _begin(document, clause, term, days, start)
    if begin.day is None:
        return _Input("", spans=[span, *begin.spans], missing=begin.missing)
    try:
        end = add_duration(begin.day, term.value.text)
    except (ValueError, OverflowError):
        return _Input(
            "", spans=[span], missing=f"the term of {_words(term.value.text)} leads past the calendar"
        )
    return _Input(
        f"{begin.text} + {_words(term.value.text)} = {end}", end, spans=[span, *begin.spans], computed=True
    )


def _is_end(document: Document, clause: Clause, mention: Mention) -> bool:
    before = max(clause.start, mention.start - 60)
    return _ENDS.search(document.text, before, mention.start) is not None


def _term(document: Document, clause: Clause) -> Mention | None:
    """The duration of the initial term: not a notice period and not a renewal."""
    for mention in _mentions(document, clause, find_durations):
        before = document.text[max(clause.start, mention.start - 80) : mention.start]
        after = document.text[mention.end : clause.end][:40]
        if mention.value.unit in ("successive", "business days") or "T" in mention.value.text:
            continue
        if _OTHER_PERIOD_AFTER.search(after) or _OTHER_PERIOD_BEFORE.search(before):
            continue
        return mention
    return None


def _anchored(text: str, clause: Clause, term: Mention) -> re.Match[str] | None:
    """The event that the term is counted from, when the clause names one."""
    return _ANCHOR.match(text[term.end - clause.start :])


def _begin(
    document: Document, clause: Clause, term: Mention, days: list[tuple[Mention, date]], start: _Input
) -> _Input:
    """The day that the term is counted from: a date in the clause, a defined date, or the effective date."""
    if days:
        mention, day = days[0]
        return _Input(f"{day} (start of the term)", day, spans=[(mention.start, mention.end)])
    text = document.text[clause.start : clause.end]
    anchor = _anchored(text, clause, term)
    event = anchor["event"] if anchor else text
    named = [
        name
        for name in _DEFINED_DATE.findall(event)
        if not name.endswith(("Effective Date", "Expiration Date"))
    ]
    for name in named:
        defined = _defined_date(document, name)
        if defined is not None:
            return defined
    if (
        anchor
        and not _START_WORDS.search(event)
        and re.search(r"date|first|clos|launch|commenc|deliver|complet|approv|open", event, re.I)
    ):
        return _Input("", missing="the term is counted from an event whose date the contract does not state")
    return start


def _defined_date(document: Document, name: str) -> _Input | None:
    """The date of ``"Commencement Date"`` and the like from its definition."""
    for match in re.finditer(rf"[\"“”']\s*{re.escape(name)}\s*[\"“”']", document.text):
        left, right = max(0, match.start() - 80), min(len(document.text), match.end() + 120)
        for mention in find_dates(document.text[left:right]):
            day = _full(mention)
            if day is not None:
                return _Input(f"{day} ({name})", day, spans=[(left + mention.start, left + mention.end)])
    return None


def _renewal(
    document: Document, clauses: list[Clause], expiry: _Input, on: date | None
) -> tuple[_Input, _Input]:
    """The renewal and the end of the period that is current on ``on`` (the expiry itself without ``on``)."""
    clause, period = clauses[0], None
    for candidate in clauses:
        period = _renewal_period(document, candidate)
        if period is not None:
            clause = candidate
            break
    text = document.text[clause.start : clause.end]
    span = (clause.start, clause.end)
    automatic = "automatic" in text.lower() or bool(_AUTOMATIC.search(text) and not _OPTIONAL.search(text))
    manner = "automatic" if automatic else "by option or agreement"
    if expiry.day is None:
        return _Input("", spans=[span], missing=f"the expiry date is unknown ({expiry.missing})"), expiry
    if period is None:
        return _Input("", spans=[span], missing="the clause states no length of the renewal term"), expiry
    iso, limit = period.value.text, _limit(period)
    ends, rolled = expiry.day, 0
    try:
        if automatic and on is not None and approximate_days(iso) >= 1:
            while ends < on and rolled < min(limit, _MAX_RENEWALS):
                rolled += 1
                ends = expiry.day + parse(iso) * rolled
        following = expiry.day + parse(iso) * (rolled + 1)
    except (ValueError, OverflowError):
        return _Input(
            "", spans=[span], missing=f"the renewal term of {_words(iso)} leads past the calendar"
        ), expiry
    if rolled >= limit:
        last = f"all {limit} renewals are used by {ends}"
        return _Input("", spans=[span], missing=last), _Input(
            f"{ends} (last renewal ends)", ends, spans=[span]
        )
    text = f"{ends}: {manner} renewal by {_words(iso)} to {following}"
    if rolled:
        text += f", after {rolled} renewal{'s' if rolled > 1 else ''} since {expiry.day}"
    current = _Input(
        f"{ends} (end of the current term)", ends, spans=expiry.spans, computed=expiry.computed or rolled > 0
    )
    return _Input(text, ends, spans=[span, *expiry.spans]), current


def _renewal_period(document: Document, clause: Clause) -> Mention | None:
    """The renewal's duration: the one that repeats, else the first after a word of renewing."""
    mentions = _mentions(document, clause, find_durations)
    usable = [
        mention for mention in mentions
        if not _OTHER_PERIOD_AFTER.search(document.text[mention.end : clause.end][:40])
        and mention.value.unit != "business days"
    ]  # fmt: skip
    repeating = [mention for mention in usable if mention.value.unit]
    renews = _RENEWS.search(document.text, clause.start, clause.end)
    later = [mention for mention in usable if renews and mention.start > renews.start()]
    return next(iter([*repeating, *later, *usable]), None)


def _limit(period: Mention) -> int:
    """How many renewals are granted: ``"2 periods"`` says two, ``"successive"`` has no limit, else one."""
    unit = period.value.unit or ""
    if unit == "successive":
        return _MAX_RENEWALS
    count = unit.split(" ", 1)[0]
    return int(count) if count.isdigit() else _MAX_RENEWALS


def _notice(document: Document, clauses: list[Clause], end: _Input) -> _Input:
    for clause in clauses:
        periods = _mentions(document, clause, find_durations)
        notice = [
            m for m in periods
            if _OTHER_PERIOD_AFTER.search(document.text[m.end : m.end + 40]) or re.search(r"(?:least|than|days?)\b[^.;]{0,20}$", document.text[clause.start : m.start], re.I)
        ] or periods  # fmt: skip
        if not notice:
            continue
        opens = [
            m for m in notice if _NOT_MORE.search(document.text[max(clause.start, m.start - 30) : m.start])
        ]
        closes = [m for m in notice if m not in opens] or opens
        period = closes[0]
        spans = [(clause.start, clause.end), *end.spans]
        if end.day is None:
            return _Input(
                "",
                spans=spans,
                missing=f"notice of {_words(period.value.text)} before an unknown expiry ({end.missing})",
            )
        last = end.day - timedelta(days=1) if end.computed else end.day
        try:
            day = _before(last, period)
            opening = _before(last, opens[0]) if opens and opens != closes else None
        except (ValueError, OverflowError):
            return _Input(
                "",
                spans=spans,
                missing=f"the notice period of {_words(period.value.text)} leads past the calendar",
            )
        unit = (
            " (business days, public holidays not considered)" if period.value.unit == "business days" else ""
        )
        text = f"{last} (last day of the term) − {_words(period.value.text)}{unit} = {day}"
        if opening:
            text += f"; the notice may not be given before {opening}"
        return _Input(text, day, spans=spans)
    spans = [(clause.start, clause.end) for clause in clauses[:1]]
    return _Input("", spans=spans, missing="the clause states no length of the notice")


def _before(day: date, period: Mention) -> date:
    if period.value.unit != "business days":
        return day - parse(period.value.text)
    left = round(approximate_days(period.value.text))
    while left > 0:
        day -= timedelta(days=1)
        left -= day.weekday() < 5
    return day


def _mentions(document: Document, clause: Clause, find: Callable[[str], list[Mention]]) -> list[Mention]:
    """What ``find`` finds in the clause, with offsets into the document's text."""
    found = find(document.text[clause.start : clause.end])
    return [Mention(m.start + clause.start, m.end + clause.start, m.value) for m in found]


def _words(iso: str) -> str:
    """``P36M`` as ``36 months``."""
    names = {"Y": "year", "M": "month", "W": "week", "D": "day"}
    parts = re.findall(r"([\d.]+)([YMWD])", iso.split("T")[0])
    return " and ".join(f"{n} {names[unit]}{'' if n == '1' else 's'}" for n, unit in parts) or iso


def _full(mention: Mention) -> date | None:
    """The day of a mention that has day, month and year."""
    return date.fromisoformat(mention.value.text) if len(mention.value.text) == 10 else None


def _finding(document: Document, name: str, label: str, result: _Input) -> Finding:
    status: Status = "info" if result.day is not None and not result.missing else "needs_review"
    if result.day is None:
        message = f"Unknown: {result.missing}."
    elif result.missing:
        message = f"{result.text}; {result.missing}."
    else:
        message = f"{result.text}."
    spans = list(dict.fromkeys(result.spans))
    return Finding(
        id=f"date-{name}", kind="date", label=label, message=message, source=_SOURCE, status=status,
        value=Value(kind="date", text=result.day.isoformat()) if result.day else None,
        severity="medium" if name == "notice" and result.day else "note",
        evidence=[Evidence.of(document, *span) for span in spans[:1]],
        related=[Evidence.of(document, *span) for span in spans[1:]],
        details={"computation": result.text} if result.day else {"missing": result.missing},
    )  # fmt: skip
