"""Faults between clauses: two governing laws, two caps on liability."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from doyen_legal.evaluate.sketch import Sketch
from doyen_legal.evaluate.voice import Edit, Plan, Voice

_STATES: Final = (
    "Alabama", "Arizona", "California", "Colorado", "Connecticut", "Delaware", "Florida", "Georgia", "Illinois",
    "Indiana", "Maryland", "Massachusetts", "Michigan", "Minnesota", "Missouri", "Nevada", "New Jersey", "New York",
    "North Carolina", "Ohio", "Oregon", "Pennsylvania", "Tennessee", "Texas", "Utah", "Virginia", "Washington",
    "Wisconsin",
)  # fmt: skip
_COUNTRIES: Final = (
    "England and Wales",
    "Ireland",
    "Switzerland",
    "Singapore",
    "Hong Kong",
    "Germany",
    "France",
    "Sweden",
)

# --- conflicting-law ---


def _other_place(sketch: Sketch, rng: Random) -> str | None:
    """``the State of Ohio`` or ``Ireland``: a place that no governing-law clause of the contract names."""
    if sketch.law is None:
        return None
    own = " ".join(sketch.text[at.start : at.end] for at in sketch.labelled("Governing Law")).lower()
    states = [f"the State of {s}" for s in _STATES if s.lower() not in own]
    countries = [c for c in _COUNTRIES if not any(word.lower() in own for word in c.split() if word != "and")]
    return rng.choice(states if rng.random() < 0.7 else countries)


def _second_law(sketch: Sketch, rng: Random, template: str, title: str) -> Plan | None:
    place, voice = _other_place(sketch, rng), Voice(sketch, rng)
    if place is None or sketch.law is None:
        return None
    edit = voice.added(voice.say(template, place=place), title=title)
    if edit is None or sketch.law[0].start < edit.start < sketch.law[0].end:
        return None
    return Plan([edit], [sketch.law[0]])


def law_full_clause(sketch: Sketch, rng: Random) -> Plan | None:
    """A second complete clause: governed by and construed in accordance with the laws of …"""
    verb = rng.choice(
        [
            "governed by and construed in accordance with",
            "governed by, and interpreted under,",
            "construed and enforced in accordance with",
        ]
    )
    tail = rng.choice(
        ["", ", without regard to its conflict of laws principles", ", excluding its choice of law rules"]
    )
    return _second_law(
        sketch, rng, f"This Agreement {{shall}} be {verb} the laws of {{place}}{tail}.", "Applicable Law"
    )


def law_active_clause(sketch: Sketch, rng: Random) -> Plan | None:
    """A second clause with the laws as subject: The laws of … shall govern this Agreement"""
    template = rng.choice(
        [
            "The laws of {place} {shall} govern this Agreement and all disputes arising under it.",
            "The law of {place} {shall} govern the validity, performance and enforcement of this Agreement.",
        ]
    )
    return _second_law(sketch, rng, template, "Law")


def law_made_under(sketch: Sketch, rng: Random) -> Plan | None:
    """A second law by the words: deemed to be a contract made under the laws of …"""
    template = "This Agreement {shall} be deemed to be a contract made under the laws of {place} and for all purposes {shall} be construed in accordance with those laws."
    return _second_law(sketch, rng, template, "Nature of Contract")


def law_for_arbitrators(sketch: Sketch, rng: Random) -> Plan | None:
    """A second law given to the arbitrators or the court as the substantive law"""
    template = rng.choice(
        [
            "In any arbitration under this Agreement the arbitrators {shall} apply the substantive law of {place}.",
            "Any dispute arising out of this Agreement {shall} be decided under the substantive laws of {place}.",
        ]
    )
    return _second_law(sketch, rng, template, "Disputes")


def law_agreed_by_parties(sketch: Sketch, rng: Random) -> Plan | None:
    """A second law in the parties' own words: the parties agree that …"""
    template = rng.choice(
        [
            "{parties} agree that this Agreement is subject to and governed by the laws of {place}.",
            "{parties} have chosen the laws of {place} as the law that governs their rights and obligations under this Agreement.",
        ]
    )
    return _second_law(sketch, rng, template, "Choice of Law")


def law_clause_copied(sketch: Sketch, rng: Random) -> Plan | None:
    """The contract's own clause copied to another place with another state in it"""
    if sketch.law is None:
        return None
    at, _ = sketch.law
    clause = " ".join(sketch.text[at.start : at.end].split())
    places = re.findall(
        r"(?:State|Commonwealth|STATE|COMMONWEALTH) (?:of|OF) ([A-Z][A-Za-z]+(?: (?:York|Jersey|Carolina|Hampshire|Mexico|Dakota|YORK|JERSEY|CAROLINA))?)",
        clause,
    )
    free = [s for s in _STATES if s.lower() not in clause.lower()]
    if (
        len({p.lower() for p in places}) != 1
        or not clause.startswith(("This", "THIS", "The"))
        or len(clause) > 450
    ):
        return None
    new = rng.choice(free)
    clause = re.sub(re.escape(places[0]), new.upper() if places[0].isupper() else new, clause)
    clause = re.sub(r"(?i)commonwealth", "State", clause).rstrip(" ,;.") + "."
    voice = Voice(sketch, rng)
    place = sketch.sentence(rng)
    if place is None or at.start <= place.end <= at.end + 5:
        return None
    return Plan([voice.sentence_after(place, clause)], [at])


# --- conflicting-cap ---

_AMOUNTS: Final = (
    "$50,000",
    "$100,000",
    "$250,000",
    "$500,000",
    "$750,000",
    "$1,500,000",
    "$2,000,000",
    "$5,000,000",
)


def _other_amount(sketch: Sketch, rng: Random) -> str:
    return rng.choice([a for a in _AMOUNTS if a not in sketch.text])


def _second_cap(sketch: Sketch, rng: Random, template: str, title: str) -> Plan | None:
    """The sentence beside the contract's one cap; both are at fault."""
    if not sketch.caps:
        return None
    voice = Voice(sketch, rng)
    edit = voice.added(voice.say(template), title=title)
    if edit is None or any(at.start < edit.start < at.end for at in sketch.caps):
        return None
    return Plan([edit], list(sketch.caps))


def cap_total_liability(sketch: Sketch, rng: Random) -> Plan | None:
    """A second cap: in no event shall the total liability exceed $…"""
    amount = _other_amount(sketch, rng)
    lead = rng.choice(
        [
            "In no event {shall} the total liability of {either} under this Agreement exceed",
            "The aggregate liability of {either} arising out of or relating to this Agreement {shall} not exceed",
        ]
    )
    return _second_cap(sketch, rng, f"{lead} {amount}.", "Limitation of Liability")


def cap_limited_to(sketch: Sketch, rng: Random) -> Plan | None:
    """A second cap: maximum liability is limited to $…"""
    amount = _other_amount(sketch, rng)
    template = rng.choice(
        [
            "The maximum liability of {either} for all claims under this Agreement {shall} be limited to",
            "{either}'s liability for damages of any kind under this Agreement is limited to",
        ]
    )
    return _second_cap(sketch, rng, f"{template} {amount}.", "Maximum Liability")


def cap_by_fees(sketch: Sketch, rng: Random) -> Plan | None:
    """A second cap by the fees of a period that no existing cap names"""
    own = " ".join(sketch.text[at.start : at.end].lower() for at in sketch.caps)
    months = [m for m in (3, 6, 9, 18, 24) if f"({m})" not in own and f"{m} month" not in own]
    template = "In no event {shall} the liability of {either} under this Agreement exceed the amounts paid by the other during the <M months> before the claim arose."
    return _second_cap(sketch, rng, template.replace("<M", f"<{rng.choice(months)}"), "Limit on Damages")


def cap_clause_copied(sketch: Sketch, rng: Random) -> Plan | None:
    """The contract's own cap copied to another place with another amount in it"""
    clauses = []
    for at in sketch.caps:
        text = " ".join(sketch.text[at.start : at.end].split())
        own = re.search(r"this\s+(?:section|article|paragraph|clause)|foregoing", text, re.IGNORECASE)
        if (
            len(re.findall(r"\$\s?[\d,.]*\d", text)) == 1
            and re.match(r"[A-Z]", text)
            and len(text) < 700
            and not own
        ):
            clauses.append((at, text))
    place = sketch.sentence(rng)
    if not clauses or place is None:
        return None
    at, text = rng.choice(clauses)
    if at.start <= place.end <= at.end + 5:
        return None
    # The words of the old amount go with its figures: "two million dollars ($2,000,000)".
    text = re.sub(
        r"(?:\b[A-Za-z-]+\s+)?\b(?i:hundred|thousand|million)\b(?:\s+(?i:thousand|million))?(?:\s+(?i:u\.?s\.?\s+)?(?i:dollars?))?\s*\((\$\s?[\d,.]*\d)\)",
        r"\1",
        text,
    )
    amount = _other_amount(sketch, rng)
    text = re.sub(r"\$\s?[\d,.]*\d(?:\s+(?i:million|thousand))?", lambda _: amount, text).rstrip(" ,;.") + "."
    return Plan([Voice(sketch, rng).sentence_after(place, text)], [at])


def cap_on_one_party(sketch: Sketch, rng: Random) -> Plan | None:
    """A second cap on the liability of one named party"""
    template = rng.choice(
        [
            "{a}'s liability to {b} under this Agreement {shall} in no circumstances exceed {amount}.",
            "Notwithstanding any other provision, {a} {shall} not be liable to {b} for more than {amount} in the aggregate.",
        ]
    )
    return _both_parties_capped(sketch, rng, template)


def _both_parties_capped(sketch: Sketch, rng: Random, template: str) -> Plan | None:
    # Only a cap on both parties is sure to conflict with a new one on either of them.
    mutual = [
        at
        for at in sketch.caps
        if re.search(
            r"(?:either|neither|each|no)\s+part(?:y|ies)", sketch.text[at.start : at.end], re.IGNORECASE
        )
    ]
    if not mutual:
        return None
    voice = Voice(sketch, rng)
    edit = voice.added(voice.say(template, amount=_other_amount(sketch, rng)), title="Liability")
    return Plan([edit], mutual) if edit else None


def two_caps_added(sketch: Sketch, rng: Random) -> Plan | None:
    """Two caps with different amounts, far apart, in a contract that has none"""
    spoken = re.search(
        r"liab\w+[^.]{0,120}(?:exceed|limited\s+to)|(?:exceed|limited\s+to)[^.]{0,80}liab",
        sketch.text,
        re.IGNORECASE,
    )
    if sketch.labelled("Cap On Liability") or spoken or len(sketch.sentences) < 12:
        return None
    voice = Voice(sketch, rng)
    count = len(sketch.sentences)
    first, second = (
        sketch.sentences[rng.randrange(count // 2)],
        sketch.sentences[rng.randrange(count // 2 + 5, count)],
    )
    amounts = rng.sample(_AMOUNTS, 2)
    one = "In no event {shall} the total liability of {either} under this Agreement exceed {amount}."
    two = rng.choice(
        [
            "The aggregate liability of {either} under this Agreement {shall} be limited to {amount}.",
            "{either} {shall} be liable under this Agreement for no more than {amount} in total.",
        ]
    )
    edits: list[Edit] = [
        voice.sentence_after(first, voice.say(one, amount=amounts[0])),
        voice.sentence_after(second, voice.say(two, amount=amounts[1])),
    ]
    return Plan(edits)
