"""Faults in party names: another corporate form, a word dropped, a letter wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Final

from doyen_legal.evaluate.sketch import Range, Sketch
from doyen_legal.evaluate.voice import Plan, Voice, replaced

_FORMS: Final = ("Inc.", "Corp.", "Corporation", "LLC", "Ltd.", "Limited", "Company", "L.P.")
_UNSEPARATED: Final = ("Corporation", "Limited", "Company")
_FORM_AT_END: Final = re.compile(
    r"(?P<comma>,?)\s+(?P<form>Inc|Incorporated|Corp|Corporation|LLC|L\.L\.C|Ltd|Limited|L\.P|LP|Company|Co)(?P<dot>\.?)$",
    re.IGNORECASE,
)
_KIND: Final = {
    "inc": "corporation", "incorporated": "corporation", "corp": "corporation", "corporation": "corporation",
    "company": "company", "co": "company", "llc": "llc", "l.l.c": "llc", "ltd": "limited", "limited": "limited",
    "l.p": "partnership", "lp": "partnership",
}  # fmt: skip


def _changed_mention(sketch: Sketch, rng: Random, change: Callable[[str], str | None]) -> Plan | None:
    """Change one later mention of a full party name, to a name that stands nowhere."""
    places = []
    for name in sketch.party_names:
        for at in sketch.occurrences(name)[1:]:
            places.append(at)
    rng.shuffle(places)
    for at in places:
        old = sketch.text[at.start : at.end]
        new = change(" ".join(old.split()))
        if new and new.lower() != " ".join(old.lower().split()) and not sketch.has(new):
            if old.isupper():
                new = new.upper()
            return Plan([replaced(at, new)])
    return None


def _other_form(name: str, rng: Random) -> str | None:
    match = _FORM_AT_END.search(name)
    if match is None:
        return None
    kind = _KIND[match["form"].lower()]
    # "Inc." for "Corporation" is an abbreviation's slip; another kind of company is another company.
    others = [
        f
        for f in _FORMS
        if _KIND[f.rstrip(".").lower()] != kind and not (match["comma"] and f in _UNSEPARATED)
    ]
    return name[: match.start()] + match["comma"] + " " + rng.choice(others)


def corporate_form_changed(sketch: Sketch, rng: Random) -> Plan | None:
    """A later mention with another corporate form: Acme Foods, LLC for Acme Foods, Inc."""
    return _changed_mention(sketch, rng, lambda name: _other_form(name, rng))


def word_dropped(sketch: Sketch, rng: Random) -> Plan | None:
    """A later mention with a word of the name left out"""

    def change(name: str) -> str | None:
        words = name.split()
        if len(words) < 4:
            return None
        at = rng.randrange(1, len(words) - 1)
        return (
            None
            if words[at].endswith(",") or not words[at][0].isalpha()
            else " ".join(words[:at] + words[at + 1 :])
        )

    return _changed_mention(sketch, rng, change)


def _misspelt(word: str, rng: Random) -> str | None:
    """Two inner letters exchanged, one doubled or one dropped; the first letter stays."""
    at = rng.randrange(1, len(word) - 2)
    if not word[at : at + 2].isalpha() or word[at] == word[at + 1]:
        return None
    return rng.choice(
        [
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at] * 2 + word[at + 1 :],
            word[:at] + word[at + 1 :],
        ]
    )


def letter_wrong(sketch: Sketch, rng: Random) -> Plan | None:
    """A later mention with a letter exchanged, doubled or dropped"""

    def change(name: str) -> str | None:
        words = name.split()
        long = [i for i, word in enumerate(words[:-1]) if len(word) >= 6 and word.isalpha()]
        if not long:
            return None
        at = rng.choice(long)
        new = _misspelt(words[at], rng)
        return " ".join([*words[:at], new, *words[at + 1 :]]) if new else None

    return _changed_mention(sketch, rng, change)


def plural_changed(sketch: Sketch, rng: Random) -> Plan | None:
    """A later mention with a word in the other number: Acme Holding, Inc. for Acme Holdings, Inc."""

    def change(name: str) -> str | None:
        words = name.split()
        for at in rng.sample(range(len(words) - 1), len(words) - 1):
            core, comma = words[at].rstrip(","), "," * words[at].endswith(",")
            if len(core) >= 5 and core.isalpha() and not core.lower().endswith(("ss", "us", "is")):
                new = core[:-1] if core.lower().endswith("s") else core + "s"
                return " ".join([*words[:at], new + comma, *words[at + 1 :]])
        return None

    return _changed_mention(sketch, rng, change)


def _added_with_name(sketch: Sketch, rng: Random, template: str) -> Plan | None:
    names = [name for name in sketch.party_names if sketch.occurrences(name)]
    rng.shuffle(names)
    voice = Voice(sketch, rng)
    for name in names:
        new = _other_form(name, rng) if rng.random() < 0.5 else None
        if new is None:
            words = name.split()
            long = [i for i, word in enumerate(words[:-1]) if len(word) >= 6 and word.isalpha()]
            spelt = _misspelt(words[long[0]], rng) if long else None
            new = " ".join([*words[: long[0]], spelt, *words[long[0] + 1 :]]) if spelt else None
        if new and not sketch.has(new.rstrip(".")):
            edit = voice.added(voice.say(template, name=new), new)
            return Plan([edit]) if edit else None
    return None


def wrong_name_in_notice_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence on notices with the name in a wrong form"""
    template = rng.choice(
        [
            "Copies of all notices under this Agreement {shall} be sent to {name} at its principal office.",
            "Notices to {name} {shall} be marked for the attention of its General Counsel.",
        ]
    )
    return _added_with_name(sketch, rng, template)


def wrong_name_in_duty_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence on a duty with the name in a wrong form"""
    template = rng.choice(
        [
            "All payments under this Agreement {shall} be made to the account designated by {name} in writing.",
            "The insurance policies {shall} name {name} as an additional insured.",
            "This Agreement {shall} be binding upon {name} and its successors and permitted assigns.",
        ]
    )
    return _added_with_name(sketch, rng, template)


def short_name_misspelt(sketch: Sketch, rng: Random) -> Plan | None:
    """One use of a party's short name misspelt: ConvregTV for ConvergTV"""
    uses = []
    for role in sketch.roles[:4]:
        words = role.split()
        if len(words[0]) >= 6 and words[0].isalpha():
            pattern = re.compile(rf"(?<![\w\"]){re.escape(role)}(?![\w\"])")
            for s in sketch.sentences:
                uses += [
                    (role, Range(m.start(), m.end())) for m in pattern.finditer(sketch.text, s.start, s.end)
                ]
    rng.shuffle(uses)
    for role, at in uses[:20]:
        first, *rest = role.split()
        spelt = _misspelt(first, rng)
        if spelt and not sketch.has(spelt):
            return Plan([replaced(at, " ".join([spelt, *rest]))])
    return None
