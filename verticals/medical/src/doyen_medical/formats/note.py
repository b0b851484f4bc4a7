"""A clinical note: personal data out, findings recognised, their context judged; English, and Chinese by labels."""

from __future__ import annotations

import re
from typing import Final

from doyen_medical.cases import OLDEST, Sex
from doyen_medical.formats.record import MOST_CHARACTERS, PatientRecord, Quote, checked_count
from doyen_medical.text.chinese import ChineseRecogniser, has_chinese
from doyen_medical.text.concepts import Recogniser
from doyen_medical.text.context import Assertion, assess
from doyen_medical.text.deidentify import deidentify
from doyen_schemas import DoyenError

_LONGEST: Final = 1_000_000
_AGE: Final = re.compile(
    r"\b(\d{1,3})[ -]*(year|yr|month|week|day)s?[ -]*old\b|\b(\d{1,3}) ?(y)[./]?o\b|(\d{1,3}) ?(岁|个月|月龄|天)",
    re.I,
)
_YEARS: Final = {"year": 1.0, "yr": 1.0, "y": 1.0, "岁": 1.0, "month": 1 / 12, "个月": 1 / 12, "月龄": 1 / 12,
                 "week": 7 / 365.25, "day": 1 / 365.25, "天": 1 / 365.25}  # fmt: skip
_MALE: Final = re.compile(r"\b(?:boy|man|male|gentleman|he|his)\b|[，,\s]男", re.I)
_FEMALE: Final = re.compile(r"\b(?:girl|woman|female|lady|she|her)\b|[，,\s]女", re.I)


def from_note(text: str, recogniser: Recogniser, chinese: ChineseRecogniser | None = None) -> PatientRecord:
    """The findings of a note, of its patient alone; a finding seen once is observed though excluded elsewhere.

    Text in a note is data: it names findings and does nothing else. Raises MED-057 (empty, too long, or Chinese
    without the Chinese labels), MED-054 (nothing observed), MED-055.
    """
    if not text.strip() or len(text) > min(_LONGEST, MOST_CHARACTERS):
        raise DoyenError("MED-057", f"the note has {len(text)} characters.", f"It must have 1 to {_LONGEST}.")
    clean = deidentify(text)
    mentions = [mention for mention in recogniser.recognise(clean.text) if not mention.nested]
    if has_chinese(clean.text):
        if chinese is None:
            if not mentions:
                raise DoyenError(
                    "MED-057", "the note is Chinese and the Chinese HPO labels are absent.",
                    "Run doyen medical knowledge build --labels-zh FILE.",
                )  # fmt: skip
        else:
            mentions += chinese.recognise(clean.text)
    assertions = assess(clean.text, sorted(mentions))
    observed = [a.mention.id for a in assertions if a.status == "observed" and not a.family]
    excluded = [a.mention.id for a in assertions if a.status == "excluded" and not a.family]
    seen = set(observed)
    once = checked_count(
        observed,
        [id for id in excluded if id not in seen],
        [a.mention.id for a in assertions if a.status == "hypothetical" and not a.family],
    )
    return PatientRecord(
        id="",
        source="note",
        observed=once[0],
        excluded=once[1],
        sex=_sex(clean.text),
        age=_age(clean.text),
        quotes=tuple(
            _quote(a, clean.text, clean.original(a.mention.start), clean.original(a.mention.end))
            for a in assertions
        ),
        uncertain=once[2],
    )


def _quote(assertion: Assertion, text: str, start: int, end: int) -> Quote:
    mention = assertion.mention
    return Quote(
        id=mention.id, start=start, end=end, quote=text[mention.start : mention.end], status=assertion.status,
        family=assertion.family, historical=assertion.historical,
    )  # fmt: skip


def _age(text: str) -> float | None:
    """The first age that the note states, in years; what no person reaches (a 900-year-old church) is none."""
    for match in _AGE.finditer(text):
        number, unit = next((match[i], match[i + 1]) for i in (1, 3, 5) if match[i])
        age = int(number) * _YEARS[unit.lower()]
        if age <= OLDEST:
            return round(age, 2)
    return None


def _sex(text: str) -> Sex:
    """The sex that the first word for one names, in the first 400 characters."""
    male, female = _MALE.search(text[:400]), _FEMALE.search(text[:400])
    if male and (not female or male.start() < female.start()):
        return "M"
    return "F" if female else ""
