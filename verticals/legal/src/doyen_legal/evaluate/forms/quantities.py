"""Faults in numbers and time: word against digits, dates out of order, periods that do not add up."""

from __future__ import annotations

import re
from datetime import date, timedelta
from random import Random
from typing import Final

from doyen_legal.evaluate.sketch import DateMention, NumberWord, Range, Sketch, long_date, spell
from doyen_legal.evaluate.voice import Edit, Plan, Voice, replaced

_DAYS: Final = (10, 15, 20, 30, 45, 60, 90, 120, 180)

# --- number-word-mismatch ---


def _body_numbers(sketch: Sketch) -> list[NumberWord]:
    return [n for n in sketch.number_words if sketch.body.start < n.words.start < sketch.body.end]


def _near(number: int, rng: Random) -> int:
    """A number that a drafter could have meant instead."""
    pool = [
        n
        for n in (*_DAYS, 1, 2, 3, 5, 7, 12, 14, 18, 24, 36)
        if n != number and n <= 4 * number and number <= 4 * n
    ]
    return rng.choice(pool or [number + 1])


def digits_changed(sketch: Sketch, rng: Random) -> Plan | None:
    """The digits of an existing number changed: thirty (60) days"""
    numbers = _body_numbers(sketch)
    if not numbers:
        return None
    number = rng.choice(numbers)
    new = str(_near(number.value, rng))
    at = number.digits.start - number.words.start
    whole = sketch.text[number.words.start : number.digits.end]
    text = whole[:at] + new
    return Plan([Edit(number.words.start, number.digits.end, text, (Range(0, len(text)),))])


def words_changed(sketch: Sketch, rng: Random) -> Plan | None:
    """The words of an existing number changed: ninety (30) days"""
    numbers = _body_numbers(sketch)
    if not numbers:
        return None
    number = rng.choice(numbers)
    old = sketch.text[number.words.start : number.words.end]
    new = spell(_near(number.value, rng))
    new = new.upper() if old.isupper() else new.capitalize() if old[0].isupper() else new
    return Plan([_with_digits(sketch, number, new)])


def _with_digits(sketch: Sketch, number: NumberWord, words: str) -> Edit:
    text = words + sketch.text[number.words.end : number.digits.end]
    return replaced(Range(number.words.start, number.digits.end), text)


def digits_transposed(sketch: Sketch, rng: Random) -> Plan | None:
    """The digits of an existing number transposed or one dropped: forty-five (54), one hundred twenty (12)"""
    numbers = [n for n in _body_numbers(sketch) if n.value >= 12 and n.value % 11]
    if not numbers:
        return None
    number = rng.choice(numbers)
    digits = str(number.value)
    swapped = digits[1] + digits[0] + digits[2:]
    new = digits[:-1] if swapped.startswith("0") else swapped
    text = sketch.text[number.words.start : number.digits.start] + new
    return Plan([replaced(Range(number.words.start, number.digits.end), text)])


def _mismatch_sentence(sketch: Sketch, rng: Random, template: str, wrong: str) -> Plan | None:
    voice = Voice(sketch, rng)
    edit = voice.added(voice.say(template, n=wrong), wrong)
    return Plan([edit]) if edit else None


def mismatched_days_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence with a period whose words and digits differ"""
    number = rng.choice(_DAYS)
    wrong = f"{spell(number)} ({_near(number, rng)})"
    template = rng.choice(
        [
            "{a} {shall} acknowledge receipt of each notice within {n} days.",
            "{b} {shall} retain such records for at least {n} days after their creation.",
            "Any objection {shall} be made in writing within {n} days after receipt of the report concerned.",
        ]
    )
    return _mismatch_sentence(sketch, rng, template, wrong)


def mismatched_percent_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """A percentage whose words and digits differ"""
    number, other = rng.sample(
        rng.choice([(2, 3), (5, 15), (8, 10), (10, 15), (10, 20), (12, 15), (20, 25), (25, 50)]), 2
    )
    template = rng.choice(
        [
            "{a} {shall} allow {b} a discount of {n} on any order of replacement parts.",
            "Any late payment {shall} be increased by {n} of the amount overdue.",
            "{parties} {shall} review the arrangement if volumes fall by more than {n} in any year.",
        ]
    )
    return _mismatch_sentence(sketch, rng, template, f"{spell(number)} percent ({other}%)")


def mismatched_money_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """A sum of money whose words and figures differ"""
    number, other = rng.sample(
        rng.choice([(5, 50), (10, 15), (10, 100), (20, 25), (25, 250), (40, 50), (50, 75)]), 2
    )
    template = rng.choice(
        [
            "{a} {shall} reimburse {b} for relocation expenses in an amount of {n}.",
            "{a} {shall} pay {b} a handling charge of {n} for each returned shipment.",
            "{a} {shall} keep petty cash of {n} available for incidental expenses.",
        ]
    )
    return _mismatch_sentence(sketch, rng, template, f"{spell(number)} thousand dollars (${other},000)")


def digits_first_mismatch(sketch: Sketch, rng: Random) -> Plan | None:
    """Digits before words, and they differ: 30 (sixty) days"""
    number = rng.choice(_DAYS)
    template = rng.choice(
        [
            "{a} {shall} give {b} {n} days' notice of any planned interruption.",
            "{b} {shall} have {n} days to inspect each delivery.",
        ]
    )
    return _mismatch_sentence(sketch, rng, template, f"{number} ({spell(_near(number, rng))})")


# --- date-order ---


def _years(value: date, years: int, days: int = 0) -> date:
    month_end = min(value.day, 28)
    return value.replace(year=value.year + years, day=month_end) + timedelta(days=days)


def _expiry(sketch: Sketch) -> DateMention | None:
    """The stated expiration date, where it is the only date of its clause and lies after the agreement's."""
    made = sketch.made
    for at in sketch.labelled("Expiration Date"):
        inside = [d for d in sketch.dates if at.start <= d.start and d.end <= at.end]
        clause = sketch.text[at.start : at.end]
        ends = re.search(r"(?:expir|terminat|end|until|through|continue)", clause, re.IGNORECASE)
        if made and len(inside) == 1 and inside[0].value > made.value and (ends or len(clause) < 30):
            return inside[0]
    return None


def expiry_before_agreement(sketch: Sketch, rng: Random) -> Plan | None:
    """The stated expiration date moved to before the agreement's date"""
    made, expiry = sketch.made, _expiry(sketch)
    if made is None or expiry is None:
        return None
    return Plan([_redated(sketch, expiry, _years(made.value, -rng.randint(1, 4), -rng.randint(10, 200)))])


def agreement_after_expiry(sketch: Sketch, rng: Random) -> Plan | None:
    """The agreement's date, where it is stated once, moved to after the stated expiration date"""
    made, expiry = sketch.made, _expiry(sketch)
    if made is None or expiry is None or not sketch.made_on_one_day or made.end > expiry.start:
        return None
    if sum(d.value == made.value for d in sketch.dates) != 1:
        return None
    return Plan([_redated(sketch, made, _years(expiry.value, rng.randint(1, 3), rng.randint(10, 200)))])


def _redated(sketch: Sketch, mention: DateMention, value: date) -> Edit:
    """The date changed, in the form in which it stands: ``3rd day of May, 2004``, ``3 May 2004``, ``May 3, 2004``."""
    old, new = sketch.text[mention.start : mention.end], long_date(value)
    if old[0].isdigit():
        ending = "th" if 11 <= value.day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(value.day % 10, "th")
        month = new.split()[0]
        new = (
            f"{value.day}{ending} day of {month}, {value.year}"
            if "day" in old
            else f"{value.day} {month} {value.year}"
        )
    return replaced(Range(mention.start, mention.end), new)


def range_reversed(sketch: Sketch, rng: Random) -> Plan | None:
    """The two dates of an existing range exchanged: from D2 through D1"""
    link = re.compile(
        r"\s*(?:,|and|to|through|until|ending(?:\s+on)?|and\s+ending(?:\s+on)?|and\s+continu\w+\s+(?:until|through)|and\s+expir\w+(?:\s+on)?)\s*(?:and\s+ending\s+(?:on\s+)?)?",
        re.IGNORECASE,
    )
    lead = re.compile(
        r"(?:from|beginning|commenc\w+|begin|starting|between|period)(?:\s+\w+){0,3}\s*$", re.IGNORECASE
    )
    pairs = [
        (first, second) for first, second in zip(sketch.dates, sketch.dates[1:], strict=False)
        if first.value < second.value and link.fullmatch(sketch.text[first.end : second.start])
        and lead.search(sketch.text[max(0, first.start - 45) : first.start])
    ]  # fmt: skip
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    text = sketch.text
    swapped = text[second.start : second.end] + text[first.end : second.start] + text[first.start : first.end]
    return Plan([replaced(Range(first.start, second.end), swapped)])


def reversed_range_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence with a period that ends before it begins"""
    base = (
        sketch.made.value if sketch.made else max((d.value for d in sketch.dates), default=date(2010, 3, 1))
    )
    start = _years(base, rng.randint(1, 3), rng.randint(0, 300))
    end = start - timedelta(days=rng.randint(40, 700))
    end = max(end, base + timedelta(days=10))
    template = rng.choice(
        [
            "{a} {shall} make the facility available to {b} from {d1} through {d2}.",
            "The pilot phase {shall} begin on {d1} and end on {d2}.",
            "The first reporting period {shall} be the period commencing on {d1} and ending on {d2}.",
        ]
    )
    return _dates_sentence(sketch, rng, template, start, end)


def _dates_sentence(
    sketch: Sketch, rng: Random, template: str, first: date, second: date | None = None
) -> Plan | None:
    voice = Voice(sketch, rng)
    d1, d2 = long_date(first), long_date(second) if second else ""
    edit = voice.added(voice.say(template, d1=d1, d2=d2), *([d1, d2] if d2 else [d1]))
    return Plan([edit]) if edit else None


def expiry_sentence_before_agreement(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence by which the agreement expires before it was made"""
    if sketch.made is None:
        return None
    day = _years(sketch.made.value, -rng.randint(1, 5), rng.randint(-200, 200))
    template = rng.choice(
        [
            "Unless terminated earlier, this Agreement {shall} expire on {d1}.",
            "This Agreement {shall} in any event terminate on {d1}.",
            "The term of this Agreement {shall} not extend beyond {d1}.",
        ]
    )
    return _dates_sentence(sketch, rng, template, day)


def deadline_before_agreement(sketch: Sketch, rng: Random) -> Plan | None:
    """An added duty to be performed before the agreement was made"""
    if sketch.made is None:
        return None
    day = _years(sketch.made.value, -rng.randint(1, 3), rng.randint(-100, 100))
    template = rng.choice(
        [
            "{a} {shall} deliver its first report to {b} no later than {d1}.",
            "{a} {shall} complete the installation on or before {d1}.",
            "{b} {shall} make the first payment by {d1}.",
        ]
    )
    return _dates_sentence(sketch, rng, template, day)


# --- term-arithmetic ---


def period_against_dates(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence whose period differs from its two dates"""
    base = sketch.made.value if sketch.made else date(2012, 1, 1)
    start = date(base.year + rng.randint(0, 2), rng.choice([1, 4, 7, 10]), 1)
    stated, real = rng.sample([1, 2, 3, 4, 5], 2)
    end = start.replace(year=start.year + real) - timedelta(days=1)
    template = rng.choice(
        [
            "The trial period {shall} be {n}, commencing on {d1} and ending on {d2}.",
            "{a} {shall} provide storage for a period of {n}, from {d1} to {d2}.",
            "The support commitment of {a} {shall} run for {n} beginning {d1} and expiring {d2}.",
        ]
    )
    voice = Voice(sketch, rng)
    n, d1, d2 = voice.period(stated, "year"), long_date(start), long_date(end)
    edit = voice.added(voice.say(template, n=n, d1=d1, d2=d2), n, d1, d2)
    return Plan([edit]) if edit else None


_TERM_LENGTH: Final = re.compile(
    r"(?P<lead>(?:period|term|effect|force|duration)\s+(?:of|for|is)\s+(?:a\s+(?:period|term)\s+of\s+)?)"
    r"(?P<words>[a-z]+)\s+\((?P<digits>\d{1,2})\)\s+(?P<unit>years?|months?)(?P<tail>[^.;]{0,80}?(?:Effective\s+Date|date\s+hereof|date\s+of\s+this\s+Agreement))",
    re.IGNORECASE,
)


def _stated_term(sketch: Sketch) -> tuple[re.Match[str], int] | None:
    """The clause that states the term as a period from the agreement's date, and its months."""
    for at in sketch.labelled("Expiration Date"):
        match = _TERM_LENGTH.search(sketch.text, at.start, at.end)
        if match:
            return match, int(match["digits"]) * (12 if match["unit"].lower().startswith("y") else 1)
    return None


def end_date_against_term(sketch: Sketch, rng: Random) -> Plan | None:
    """A wrong end date added to the clause that states the term: for five years from the Effective Date, that is, until …"""
    stated, made = _stated_term(sketch), sketch.made
    if stated is None or made is None or not sketch.made_on_one_day:
        return None
    match, months = stated
    wrong = months + rng.choice([12, 24, -6 if months > 12 else 18, 36])
    end = date(
        made.value.year + (made.value.month - 1 + wrong) // 12,
        (made.value.month - 1 + wrong) % 12 + 1,
        min(made.value.day, 28),
    )
    phrase = long_date(end)
    lead = rng.choice([", that is, until {}", " (ending on {})", ", ending on {},"])
    edit = Voice(sketch, rng).inserted(match.end(), lead.format(phrase), phrase)
    return Plan([edit], [Range(match.start("words"), match.end("unit"))])


def initial_term_restated(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence that restates the initial term with another length"""
    stated = _stated_term(sketch)
    if stated is None:
        return None
    match, months = stated
    number = int(match["digits"])
    other = rng.choice(
        [n for n in (1, 2, 3, 4, 5, 7, 10) if n != number and n * 12 != months and n != months]
    )
    voice = Voice(sketch, rng)
    unit = match["unit"].lower().rstrip("s")
    n = f"{spell(other)} ({other}) {unit}"
    template = rng.choice(
        [
            "Upon the expiration of the initial {n} term of this Agreement, {parties} {shall} discuss its extension in good faith.",
            "{a} {shall} maintain such records throughout the {n} term of this Agreement.",
        ]
    )
    edit = voice.added(voice.say(template, n=n), f"{n} term")
    return Plan([edit], [Range(match.start("words"), match.end("unit"))]) if edit else None


_RENEWAL: Final = re.compile(
    r"(?P<n>[a-z]+)\s*\((?P<d>\d{1,2})\)[\s-]+(?P<u>years?|months?)[\s-]+(?:terms?|periods?|renewals?|extensions?)",
    re.IGNORECASE,
)
_NOTICE: Final = re.compile(
    r"(?P<n>[a-z]+(?:\s+hundred(?:\s+and)?(?:\s+[a-z]+)?)?)\s*\((?P<d>\d{1,3})\)\s+(?P<u>days?|months?)(?='?\s+(?:\w+\s+){0,3}(?:prior|before|notice|advance|written))",
    re.IGNORECASE,
)


def notice_longer_than_renewal(sketch: Sketch, _rng: Random) -> Plan | None:
    """The notice against renewal in the existing clause made longer than the renewal itself"""
    for label in ("Notice Period To Terminate Renewal", "Renewal Term"):
        for at in sketch.labelled(label):
            renewal, notice = (
                _RENEWAL.search(sketch.text, at.start, at.end),
                _NOTICE.search(sketch.text, at.start, at.end),
            )
            if renewal and notice and renewal.end() < notice.start():
                months = int(renewal["d"]) * (12 if renewal["u"].lower().startswith("y") else 1)
                if months <= 36:
                    new = f"{spell(months + 6)} ({months + 6}) months"
                    return Plan(
                        [replaced(Range(notice.start(), notice.end()), new)],
                        [Range(renewal.start(), renewal.end())],
                    )
    return None


def renewal_shorter_than_notice(sketch: Sketch, rng: Random) -> Plan | None:
    """An added renewal clause whose notice is longer than its period"""
    months, days = rng.choice([(1, 60), (1, 90), (2, 90), (3, 120), (3, 180)])
    voice = Voice(sketch, rng)
    template = rng.choice(
        [
            "The support services {shall} renew automatically for successive periods of {m} each unless {either} gives written notice of non-renewal at least {d} before the end of the then current period.",
            "Each storage order {shall} renew for further terms of {m} unless {either} gives the other at least {d} prior written notice of non-renewal.",
        ]
    )
    m, d = voice.period(months, "month"), voice.period(days, "day")
    if "prior" in template:
        d += "'"
    edit = voice.added(voice.say(template, m=m, d=d), m, d)
    return Plan([edit]) if edit else None


def total_of_terms(sketch: Sketch, rng: Random) -> Plan | None:
    """An initial period and renewals whose stated total is wrong"""
    voice = Voice(sketch, rng)
    initial, count, each = rng.choice([2, 3, 5]), rng.choice([2, 3]), rng.choice([1, 2])
    total = initial + count * each + rng.choice([-2, -1, 1, 2, 3])
    i, e, t = voice.period(initial, "year"), voice.period(each, "year"), voice.period(total, "year")
    template = rng.choice(
        [
            "The maintenance commitment {shall} consist of an initial term of {i} and {c} renewal terms of {e} each, for a total of {t}.",
            "The warehouse lease {shall} have an initial term of {i} and may be extended for {c} further terms of {e} each, so that its aggregate term is {t}.",
        ]
    )
    edit = voice.added(voice.say(template, i=i, e=e, t=t, c=f"{spell(count)} ({count})"), t)
    return Plan([edit]) if edit else None


def instalments_against_period(sketch: Sketch, rng: Random) -> Plan | None:
    """Instalments whose number and interval do not fill the stated period"""
    count, interval, per_year = rng.choice(
        [
            (12, "monthly", 12),
            (24, "monthly", 12),
            (36, "monthly", 12),
            (8, "quarterly", 4),
            (12, "quarterly", 4),
        ]
    )
    real = count // per_year
    stated = rng.choice([n for n in (1, 2, 3, 4, 5) if n != real])
    voice = Voice(sketch, rng)
    n, p = f"{spell(count)} ({count}) equal {interval} installments", voice.period(stated, "year")
    template = rng.choice(
        [
            "{a} {shall} repay the advance in {n} over a period of {p}.",
            "The deferred amount {shall} be payable in {n} during a period of {p} after delivery.",
        ]
    )
    edit = voice.added(voice.say(template, n=n, p=p), n, p)
    return Plan([edit]) if edit else None
