"""The contract's dates and terms: their roles, their order and their arithmetic."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from doyen_legal.consistency.source import Source
from doyen_legal.consistency.types import Fault, Span
from doyen_legal.normalise import (
    Mention,
    add_duration,
    approximate_days,
    find_dates,
    spell_duration,
)
from doyen_legal.normalise.numbers import DIGITS, WORDS, parse_number
from doyen_legal.normalise.scan import scan

# What a date is, from the words before it. The last of them counts.
_ROLES: Final = (
    ("end", re.compile(r"\b(?:expir(?:e|es|ed|ing|ation|y)|terminat(?:e|es|ing|ion)|end(?:s|ed|ing)?|until|through|thru|conclud(?:e|es|ing)|continu(?:e|es|ing)\s+(?:in\s+\w+\s+(?:and\s+\w+\s+)?)?(?:until|through|to)|up\s+to|till|beyond|(?:not|no)\s+later\s+than|lapse[sd]?|remain(?:s|ing)?\s+in\s+(?:full\s+)?(?:force|effect)[\w\s]{0,30}(?:until|through|to)|end\s+date|final\s+day|last\s+day)\b", re.I)),
    ("start", re.compile(r"\b(?:effective(?:\s+date)?|commenc(?:e|es|ed|ing|ement)|begin(?:s|ning)?|start(?:s|ed|ing)?|from|starting\s+date|takes?\s+effect|in\s+force|inception|as\s+of|valid\s+from)\b", re.I)),
    ("made", re.compile(r"\b(?:made|entered\s+into|dated|executed|signed)\b", re.I)),
)  # fmt: skip
_TERM_WORDS: Final = re.compile(
    r"\b(?:(?:this|the|said)\s+(?:\w+\s+){0,2}(?:agreement|contract|lease|licen[cs]e|amendment|engagement|arrangement)|(?:initial\s+|original\s+|primary\s+)?term|period\s+of\s+this|hereof|engagement|appointment)\b",
    re.I,
)
_OTHER_PAPER: Final = re.compile(
    r"\b(?:that\s+certain|dated|fiscal|insurance|prior\s+agreement|previous|original\s+agreement|letter\s+of\s+intent|prospectus|registration|as\s+amended|patent|warrant|option|lease\s+dated|financial\s+statements?|audited|nda\b|supersede)",
    re.I,
)
_PAIR_BETWEEN: Final = re.compile(
    r"^[\s,)\"]*(?:\([^()]{0,60}\)\s*,?\s*)?(?:and\s+)?(?:(?:shall\s+|will\s+)?(?:remain\s+in\s+(?:full\s+)?(?:force|effect)\s+(?:and\s+effect\s+)?|continu(?:e|es|ing)\s+(?:in\s+(?:full\s+)?(?:force|effect)\s+(?:and\s+effect\s+)?)?|run(?:s|ning)?\s+|extend(?:s|ing)?\s+|last(?:s|ing)?\s+)?(?:up\s+)?(?:to|until|till|through|thru|ending|ends|end|expiring|expires?|terminating|terminates?|concluding|and\s+shall\s+(?:expire|end|terminate)|shall\s+(?:expire|end|terminate)|will\s+(?:expire|end|terminate)|-)(?:\s+(?:on|at|as\s+of|and\s+including|midnight|the\s+close\s+of\s+business|its\s+terms|upon|by)){0,3})[\s,]*(?:(?:the|midnight\s+on|11:59\s*p\.?m\.?[\w\s]{0,12})\s*)?$",
    re.I,
)
_START_BEFORE: Final = re.compile(
    r"\b(?:from|between|commenc\w*|begin\w*|start\w*|effective|period\s+of|period|for|dates?)\s*(?:on|as\s+of|of|date|is|the|and\s+including|shall\s+be|at|with|,|:|\"|\s)*$",
    re.I,
)


@dataclass(frozen=True)
class Dated:
    """A full date with its role: ``start``, ``end``, ``made`` or empty."""

    day: date
    start: int
    end: int
    role: str
    of_term: bool


def find_dated(source: Source) -> list[Dated]:
    """The full dates of the document with their roles."""
    text, found = source.text, []
    for mention in find_dates(text):
        if len(mention.value.text) != 10:
            continue
        sentence_start, sentence_end = source.sentence(mention.start)
        before = text[max(sentence_start, mention.start - 110) : mention.start]
        role, place = "", -1
        for name, pattern in _ROLES:
            last = max((match.end() for match in pattern.finditer(before)), default=-1)
            if last > place:
                role, place = name, last
        if place >= 0 and len(before) - place > 45:
            role = ""
        around = text[max(sentence_start, mention.start - 240) : min(sentence_end, mention.end + 60)]
        of_term = bool(_TERM_WORDS.search(around)) and not _OTHER_PAPER.search(
            around[: mention.start - max(sentence_start, mention.start - 240)][-90:]
        )
        found.append(Dated(date.fromisoformat(mention.value.text), mention.start, mention.end, role, of_term))
    return found


def _agreement_day(source: Source, dates: list[Dated]) -> Dated | None:
    """The date of the contract: that of its preamble, else that of its title, else that of its signatures."""
    if source.is_amendment:
        made = [dated for dated in dates if dated.start < _FRONT_CHARS and dated.role == "made"]
        if made:  # the paper that is amended is older
            return max(made, key=lambda dated: dated.day)
    for dated in dates:
        if dated.start > _FRONT_CHARS:
            break
        before = source.text[max(0, dated.start - 120) : dated.start]
        if dated.role in ("made", "start") or (
            dated.role != "end" and re.search(r"\bthis\b[^.]{0,110}$", before)
        ):
            return dated
    for dated in dates:
        titled = dated.start < _TITLE_CHARS and source.text[dated.start : dated.end].strip()[:3].isalpha()
        if titled and not dated.role:
            return dated
    for dated in dates:  # a preamble behind a notice, a cover or a table of contents
        if dated.start < _COVER_CHARS and _PREAMBLE.search(
            source.text[max(0, dated.start - 250) : dated.start]
        ):
            return dated
    for pattern in (_SAID, _WITNESS):
        for dated in dates:
            if pattern.search(source.text[max(0, dated.start - 200) : dated.start]):
                return dated
    signed = [dated for dated in dates if _SIGNED.search(source.text[max(0, dated.start - 12) : dated.start])]
    signed = signed or [dated for dated in dates if source.signed(dated.start) and dated.role in ("", "made")]
    return min(signed, key=lambda dated: dated.day, default=None)


_BETWEEN: Final = re.compile(r"\bbetween\s+(?:the\s+dates\s+of\s+)?\Z", re.I)
# "This Agreement is dated 29 April 2010" at its end, "IN WITNESS WHEREOF … as of 3 May 2004".
_SAID: Final = re.compile(
    r"\b(?:this|the)\s+(?:\w+\s+){0,2}(?:agreement|contract|lease|licen[cs]e)\s+(?:is|was|has\s+been)\s+(?:made|dated|entered\s+into|executed|signed)[^.;]{0,60}\Z",
    re.I,
)
_WITNESS: Final = re.compile(
    r"\bIN\s+WITNESS\b[^.;]{0,180}\b(?:as\s+of|on|dated|this|effective)\b[^.;]{0,20}\Z", re.I
)
_PREAMBLE: Final = re.compile(
    r"\bthis\s+(?:[\w,&/-]+\s+){0,9}(?:agreement|contract|lease|licen[cs]e)\b[^.;]{0,60}?\b(?:made|entered\s+into|dated|executed|effective|as\s+of)\b[^.;]{0,90}\Z",
    re.I,
)
_COVER_CHARS: Final = 12000
_FRONT_CHARS: Final = 2500
_TITLE_CHARS: Final = 500
_SIGNED: Final = re.compile(r"\b(?:Date|DATE|Dated|DATED):?[\s_]*\Z")


def date_order(source: Source, dates: list[Dated], *, deadlines: bool = True) -> Iterator[Fault]:
    """An end before its start: in one sentence, or the end of the term before the date of the contract."""
    text = source.text
    flagged: set[int] = set()
    for first, second in itertools.pairwise(dates):
        between = text[first.end : second.start]
        if len(between) > 160 or second.day >= first.day:
            continue
        begins = first.role == "start" or _START_BEFORE.search(text[max(0, first.start - 40) : first.start])
        joined = begins and (
            _PAIR_BETWEEN.match(between)
            or (
                re.fullmatch(r"[\s,]*and\s+", between)
                and _BETWEEN.search(text, max(0, first.start - 24), first.start)
            )
        )
        roles = (
            first.role == "start"
            and second.role == "end"
            and source.sentence(first.start) == source.sentence(second.start)
        )
        if joined or roles:
            flagged.add(second.start)
            yield _order_fault(second, first)
    # "shall expire on X, having commenced on Y"
    for first, second in itertools.pairwise(dates):
        if (
            first.role == "end" and second.role == "start" and first.day < second.day and first.start not in flagged
            and second.start - first.end < 120 and source.sentence(first.start) == source.sentence(second.start)
            and re.search(r"\b(?:commenc|beg[iau]n|start|effective)", text[first.end : second.start], re.I)
        ):  # fmt: skip
            flagged.add(first.start)
            yield _order_fault(first, second)
    anchor = _agreement_day(source, dates)
    starts = [
        dated
        for dated in dates
        if dated.role == "start" and dated.of_term and source.scope(dated.start) == ""
    ]
    for dated in dates:
        if dated.role != "end" or not dated.of_term or dated.start in flagged:
            continue
        for other in ([anchor] if anchor is not None else []) + starts[:3]:
            if other.start > dated.end and source.sentence(other.start) == source.sentence(dated.start):
                continue  # "to 31 January 2020, and 1 February 2020 to": the next period's start
            if dated.day < other.day:
                flagged.add(dated.start)
                # An exhibit may be an older paper with a term of its own.
                yield replace(_order_fault(dated, other), note=bool(source.scope(dated.start)))
                break
    if anchor is None or not deadlines:
        return
    for match in _DEADLINE.finditer(text):
        following = next((dated for dated in dates if match.end() <= dated.start <= match.end() + 3), None)
        if following is None or following.start in flagged:
            continue
        if following.day < anchor.day and not _OTHER_PAPER.search(
            text[max(source.sentence(match.start())[0], match.start() - 160) : match.start()]
        ):
            flagged.add(following.start)
            yield Fault(
                "date-order", following.start, following.end,
                f"The deadline {following.day} lies before the date of the agreement, {anchor.day}.",
                ((anchor.start, anchor.end),), note=bool(source.scope(following.start)),
            )  # fmt: skip


_DEADLINE: Final = re.compile(
    r"\b(?:shall|will|must|agrees?\s+to|(?:has|have|is|are)\s+not)\b[^.;]{0,160}?\b(?:on\s+or\s+before|no\s+later\s+than|not\s+later\s+than|by|prior\s+to)\s+(?:the\s+)?",
    re.I,
)


def _order_fault(end: Dated, start: Dated) -> Fault:
    return Fault(
        "date-order", end.start, end.end,
        f"The end, {end.day}, lies before the start, {start.day}.", ((start.start, start.end),),
    )  # fmt: skip


_EQUAL: Final = re.compile(
    rf"(?P<first>(?:{WORDS}(?:\s?\(\s?{DIGITS}\s?\))?|\d{{1,3}}(?:\.\d)?)[\s-]+(?P<first_unit>day|week|month|year)s?)\s*(?:,?\s*\(\s*(?:i\.e\.,?\s*|or\s+|being\s+|that\s+is,?\s*|equal\s+to\s+|equivalent\s+to\s+)?|,?\s+(?:i\.e\.,?|that\s+is,?|or|being|equivalent\s+to|equal\s+to)\s+)(?P<second>(?:{WORDS}(?:\s?\(\s?{DIGITS}\s?\))?|\d{{1,3}}(?:\.\d)?)[\s-]+(?P<second_unit>day|week|month|year)s?)\s*(?P<close>\))?",
    re.I,
)
_EQUAL_TRIGGER: Final = re.compile(
    r"\b(?:day|week|month|year)s?\s*(?:\(|,?\s+(?:i\.e|that\s+is|or|being|equi|equal))", re.I
)
_TERM_OF: Final = re.compile(
    r"\b(?:term|period|duration|initial\s+term|engagement)\b|\bfor\s+$|\blast\b|\bcontinue", re.I
)
_TOTAL: Final = re.compile(
    r"\b(?:total(?:ling|s)?|aggregate|combined|overall|maximum|in\s+all|altogether|entire|cumulative)\b", re.I
)
_NOTICE: Final = re.compile(r"\b(?:notice|notif(?:y|ies|ication)|advises?|informs?)\b", re.I)
_RENEWAL: Final = re.compile(r"\b(?:renew\w*|exten[ds]\w*|additional|successive|option)\b", re.I)
_TOLERANCE_DAYS: Final = 16  # a term "of five years to 31 December" may start in mid-month


def term_arithmetic(
    source: Source, dates: list[Dated], durations: list[Mention], *, notices: bool = True
) -> Iterator[Fault]:
    """Terms whose length does not fit their dates, their parts, their other unit, or the notice before their end."""
    yield from _length_against_dates(source, dates, durations)
    yield from _other_unit(source)
    yield from _instalments(source, durations)
    yield from _parts_against_total(source, durations)
    if notices:
        yield from _notice_against_term(source, durations)
    yield from _defined_lengths(source, dates, durations)


def _length_against_dates(source: Source, dates: list[Dated], durations: list[Mention]) -> Iterator[Fault]:
    """ "for five (5) years from 1 January 2010 to 31 December 2012"."""
    text = source.text
    for first, second in itertools.pairwise(dates):
        if not (second.day - first.day).days > 0 or second.start - first.end > 160:
            continue
        between = text[first.end : second.start]
        starts = first.role == "start" or _START_BEFORE.search(text[max(0, first.start - 40) : first.start])
        if not (starts and (_PAIR_BETWEEN.match(between) or second.role == "end")):
            continue
        near = [
            mention
            for mention in durations
            if first.start - 130 <= mention.start <= second.end + 90
            and source.sentence(mention.start) == source.sentence(first.start)
            and approximate_days(mention.value.text) >= 27
            and _is_term(text, mention)
        ]
        for mention in near[:1]:
            if _fits(first.day, second.day, mention.value.text):
                continue
            yield Fault(
                "term-arithmetic", mention.start, mention.end,
                f"The term is {spell_duration(mention.value.text)}, but {first.day} to {second.day} is not.",
                ((first.start, first.end), (second.start, second.end)),
            )  # fmt: skip


def _is_term(text: str, mention: Mention) -> bool:
    """Whether the duration is the length of a term, not a notice or a renewal."""
    before = text[max(0, mention.start - 70) : mention.start]
    after = text[mention.end : mention.end + 50]
    if (
        mention.value.unit is not None
        or _NOTICE.search(after)
        or re.search(
            r"\b(?:within|after|prior|least|every|renew\w*|additional|successive)\b[^,]{0,30}$", before, re.I
        )
    ):
        return False
    if re.match(
        r"\s*(?:period)?\s*(?:prior|before|after|notice|following\s+the\s+(?:exp|term))", after, re.I
    ):
        return False
    return bool(_TERM_OF.search(before)) or bool(re.match(r"[\s-]*(?:term|period|\()", after, re.I))


def _fits(first: date, second: date, iso: str) -> bool:
    try:
        expected = add_duration(first, iso)
    except (ValueError, OverflowError):
        return True
    return abs((expected - second).days) <= _TOLERANCE_DAYS


def _other_unit(source: Source) -> Iterator[Fault]:
    """ "thirty-six (36) months (two years)"."""
    for match in scan(_EQUAL, source.text, _EQUAL_TRIGGER, 60, 70):
        one, two = match["first_unit"].lower(), match["second_unit"].lower()
        joined = source.text[match.end("first") : match.start("second")].lower()
        if (
            one == two
            or ("or" in joined.split() and not match["close"])
            or ("(" in joined and not match["close"])
        ):
            continue
        values = []
        for part, unit in ((match["first"], one), (match["second"], two)):
            number = parse_number(re.sub(rf"[\s-]+{unit}s?$", "", part, flags=re.I))
            if number is None:
                break
            values.append(
                float(number.value) * {"day": 1, "week": 7, "month": 365.25 / 12, "year": 365.25}[unit]
            )
        if len(values) == 2 and abs(values[0] - values[1]) > 0.06 * max(values):
            yield Fault(
                "term-arithmetic", *match.span(),
                f"{' '.join(match['first'].split())} is not {' '.join(match['second'].split())}.",
            )  # fmt: skip


_INSTALMENTS: Final = re.compile(
    rf"(?<![\w-])(?P<count>{WORDS}(?:\s?\(\s?\d+\s?\))?|\d{{1,3}})\s+(?:(?:equal|consecutive|successive|substantially|approximately|level|fixed|regular)\s*,?\s*(?:and\s+)?){{0,3}}(?P<every>weekly|bi-?weekly|monthly|bi-?monthly|quarterly|semi-?annual|half-?yearly|annual|yearly)\s+(?:\w+\s+){{0,2}}?(?:instal+ments?|payments?)\b",
    re.I,
)
_INSTALMENT_TRIGGER: Final = re.compile(r"\b(?:instal+ments?|payments?)\b", re.I)
_EVERY_MONTHS: Final = {
    "weekly": 12 / 52, "biweekly": 24 / 52, "monthly": 1, "bimonthly": 2, "quarterly": 3, "semiannual": 6,
    "halfyearly": 6, "annual": 12, "yearly": 12,
}  # fmt: skip
_OVER: Final = re.compile(
    r"\b(?:over|during|for|within|in|throughout)\s+(?:the\s+course\s+of\s+)?(?:an?\s+|the\s+)?(?:(?:first|next|initial|following)\s+)?(?:(?:total\s+)?(?:period|term)\s+of\s+)?(?:the\s+)?$",
    re.I,
)


def _instalments(source: Source, durations: list[Mention]) -> Iterator[Fault]:
    """ "in thirty-six monthly instalments over two years"; the first may fall due at the period's start."""
    text = source.text
    for match in scan(_INSTALMENTS, text, _INSTALMENT_TRIGGER, 110, 16):
        count = parse_number(match["count"])
        if count is None or count.value < 2:
            continue
        every = _EVERY_MONTHS[match["every"].lower().replace("-", "")]
        sentence = source.sentence(match.start())
        for mention in durations:
            near = match.start() - 60 <= mention.start <= match.end() + 60
            if not near or mention.value.unit or source.sentence(mention.start) != sentence:
                continue
            if not _OVER.search(text[max(sentence[0], mention.start - 60) : mention.start]):
                continue
            period, number = _months(mention), float(count.value)
            if not (number - 1) * every - 0.6 <= period <= number * every + 0.6:
                yield Fault(
                    "term-arithmetic", *match.span(),
                    f"{number:g} {match['every'].lower()} payments do not fill {spell_duration(mention.value.text)}.",
                    ((mention.start, mention.end),),
                )  # fmt: skip
            break


def _parts_against_total(source: Source, durations: list[Mention]) -> Iterator[Fault]:
    """ "an initial term of five years and two renewal terms of two years, ten years in all"."""
    text = source.text
    by_sentence: dict[Span, list[Mention]] = {}
    for mention in durations:
        by_sentence.setdefault(source.sentence(mention.start), []).append(mention)
    for (start, end), mentions in by_sentence.items():
        if end - start > 1200 or (
            len(mentions) < 3 and not any("period" in (m.value.unit or "") for m in mentions)
        ):
            continue
        total = next(
            (
                m
                for m in mentions
                if _TOTAL.search(text[max(start, m.start - 45) : m.start])
                or re.match(r"\s+in\s+(?:total|all|the\s+aggregate)\b", text[m.end : m.end + 24], re.I)
            ),
            None,
        )
        if total is None or len(mentions) < 2:
            continue
        parts = [
            m for m in mentions
            if m is not total and not _NOTICE.search(text[max(start, m.start - 30) : min(end, m.end + 45)])
        ]  # fmt: skip
        initial = [
            m
            for m in parts
            if re.search(
                r"\b(?:initial|first|original|primary|term)\b", text[max(start, m.start - 60) : m.start], re.I
            )
        ]
        renewal = [
            m
            for m in parts
            if _RENEWAL.search(text[max(start, m.start - 60) : min(end, m.end + 25)]) and m not in initial[:1]
        ]
        if not initial or not renewal or any(m.value.unit == "successive" for m in renewal):
            continue
        months = _months(initial[0]) + sum(_months(m) * _count(text, m, start) for m in renewal)
        if abs(months - _months(total)) > 0.6:
            yield Fault(
                "term-arithmetic", total.start, total.end,
                f"The parts add up to {months:g} months, the total says {spell_duration(total.value.text)}.",
                tuple((m.start, m.end) for m in [initial[0], *renewal]),
            )  # fmt: skip


def _months(mention: Mention) -> float:
    return round(approximate_days(mention.value.text) * 12 / 365.25, 2)


def _count(text: str, mention: Mention, start: int) -> int:
    if mention.value.unit and (match := re.match(r"(\d+) period", mention.value.unit)):
        return int(match[1])
    before = re.search(
        rf"({WORDS}(?:\s?\(\d+\))?|\d+)\s+(?:\w+\s+){{0,3}}(?:terms?|periods?|options?|renewals?|extensions?)\s+(?:of|for)?\s*(?:up\s+to\s+)?$",
        text[max(start, mention.start - 70) : mention.start], re.I,
    )  # fmt: skip
    number = parse_number(before[1]) if before else None
    return int(number.value) if number is not None else 1


def _notice_against_term(source: Source, durations: list[Mention]) -> Iterator[Fault]:
    """A notice before the end of a term that is as long as the term itself, in one sentence."""
    text = source.text
    for index, mention in enumerate(durations):
        sentence = source.sentence(mention.start)
        after = text[mention.end : min(sentence[1], mention.end + 140)]
        before = text[max(sentence[0], mention.start - 90) : mention.start]
        prior = re.match(
            r"['\s]*(?:prior\s+|advance\s+)?(?:written\s+)?(?:notice\s+)?(?:in\s+writing\s+)?(?:prior\s+to|before|in\s+advance\s+of|preceding)\s+(?:the\s+)?(?:\w+\s+){0,3}?(?:end|expir\w+|conclusion|termination|completion|renewal|anniversary)", after, re.I,
        )  # fmt: skip
        against = _AGAINST_RENEWAL.match(after)
        if not (against or prior) or not (_NOTICE.search(before) or _NOTICE.search(after)):
            continue
        renewed = against or re.search(
            r"\b(?:each|any|then|current|renewal|initial|such)\b",
            after[: prior.end() + 60] if prior else "",
            re.I,
        )
        terms = [
            other
            for other in durations[max(0, index - 4) : index + 4]
            if other is not mention and source.sentence(other.start) == sentence and other.start < mention.start
            and not _NOTICE.search(text[other.end : other.end + 40])
            and re.search(r"\b(?:term|period|renew\w*|extend\w*|successive)\b", text[max(0, other.start - 60) : other.end + 30], re.I)
        ]  # fmt: skip
        for other in terms:
            if (
                renewed is not None
                and approximate_days(mention.value.text) > approximate_days(other.value.text) + 1
            ):
                yield Fault(
                    "term-arithmetic", mention.start, mention.end,
                    f"Notice of {spell_duration(mention.value.text)} before the end of a term of {spell_duration(other.value.text)} cannot be given.",
                    ((other.start, other.end),),
                )  # fmt: skip
                break


# "ninety days' prior written notice of non-renewal", "notice that it does not wish to renew"
_AGAINST_RENEWAL: Final = re.compile(
    r"['\s]*(?:prior\s+|advance\s+|previous\s+)?(?:written\s+)?(?:notice|notification)\s+(?:in\s+writing\s+)?(?:to\s+the\s+other(?:\s+party)?\s+)?(?:of|that|stating|to|not)\b[^.;]{0,50}?\b(?:non-?\s?renew\w*|not\s+(?:\w+\s+){0,3}(?:renew\w*|extend\w*|be\s+renewed)|prevent\w*|against\s+renewal)",
    re.I,
)


def _defined_lengths(source: Source, dates: list[Dated], durations: list[Mention]) -> Iterator[Fault]:
    """The initial term's length against its start and an explicit end elsewhere; two lengths of one initial term."""
    text = source.text
    lengths = []
    for mention in durations:
        if source.scope(mention.start) or approximate_days(mention.value.text) < 85 or mention.value.unit:
            continue
        before = text[max(source.sentence(mention.start)[0], mention.start - 150) : mention.start]
        if re.search(
            r"\b(?:initial|original|primary)\s+term\b(?:[^.;]{0,60}?\b(?:shall|will|is|means|of|be|for)\b)[^.;]{0,50}$|\bterm\s+of\s+this\s+\w+\s+(?:shall|will|is)\b[^.;]{0,90}\b(?:for|of|be|is)\s+(?:a\s+)?(?:(?:initial\s+)?(?:period|term)\s+of\s+)?$|\bagreement\s+(?:shall|will)\s+(?:be\s+(?:for|effective)|continue|remain|have|commence)[^.;]{0,100}\b(?:for|of)\s+(?:an?\s+)?(?:initial\s+)?(?:(?:period|term)\s+of\s+)?$",
            before, re.I,
        ) and _is_term(text, mention) and not re.search(r"\b(?:after|following|extend\w*|renew\w*|surviv\w*|within)\b[^,;]{0,40}$", before, re.I):  # fmt: skip
            lengths.append(mention)
    if not lengths:
        return
    first = lengths[0]
    initial = [
        m for m in lengths if re.search(r"\binitial\s+term\b", text[max(0, m.start - 120) : m.start], re.I)
    ]
    for other in initial[1:]:
        if abs(_months(other) - _months(initial[0])) > 0.6:
            yield Fault(
                "term-arithmetic", other.start, other.end,
                f"The initial term is {spell_duration(other.value.text)} here, but {spell_duration(initial[0].value.text)} elsewhere.",
                ((initial[0].start, initial[0].end),),
            )  # fmt: skip
    start = next((d for d in dates if d.role == "start" and d.of_term and not source.scope(d.start)), None)
    start = start or _agreement_day(source, dates)
    if start is None:
        return
    for dated in dates:
        if dated.role != "end" or not dated.of_term or source.scope(dated.start) or dated.day <= start.day:
            continue
        if abs(dated.start - first.start) > 700 or _RENEWAL.search(
            text[max(0, dated.start - 120) : dated.start]
        ):
            continue
        if source.sentence(dated.start) == source.sentence(start.start) == source.sentence(first.start):
            continue  # looked at above
        if (
            not _fits(start.day, dated.day, first.value.text)
            and abs((add_duration(start.day, first.value.text) - dated.day).days) > _FAR_DAYS
        ):
            yield Fault(
                "term-arithmetic", first.start, first.end,
                f"The term is {spell_duration(first.value.text)} from {start.day}, but its end is given as {dated.day}.",
                ((start.start, start.end), (dated.start, dated.end)),
            )  # fmt: skip
            return


_FAR_DAYS: Final = 45
