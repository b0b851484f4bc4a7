"""Edits to a contract, and sentences written in its own manner.

Templates name the parties ``{a}`` and ``{b}``, the modal verb ``{shall}``, ``{parties}``, ``{either}``, and
write periods as ``<30 days>``, which becomes ``thirty (30) days`` where the contract counts so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from doyen_legal.evaluate.sketch import Range, Sketch, loose, spell


@dataclass(frozen=True, slots=True)
class Edit:
    """Put ``text`` where ``[start, end)`` of the contract stands; ``marks`` are the faulty ranges inside ``text``."""

    start: int
    end: int
    text: str
    marks: tuple[Range, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """One fault: the edits that plant it, and ranges of the untouched text that they make faulty."""

    edits: list[Edit]
    made_faulty: list[Range] = field(default_factory=list)


@dataclass(frozen=True)
class Voice:
    """The manner of one contract."""

    sketch: Sketch
    rng: Random

    @cached_property
    def actors(self) -> tuple[str, str]:
        """Two parties as this contract names them, in either order; its own words for both where it has none."""
        named = self.sketch.named_roles
        if len(named) < 2:
            return f"each {self.sketch.party}", f"the other {self.sketch.party}"
        first, second = self.rng.sample(named, 2)
        return first, second

    def period(self, number: int, unit: str) -> str:
        """``thirty (30) days`` or ``30 days``, with the unit in the number's form."""
        unit = unit.rstrip("s") + ("" if number == 1 else "s")
        return f"{spell(number)} ({number}) {unit}" if self.sketch.number_words else f"{number} {unit}"

    def say(self, template: str, **names: str) -> str:
        """Fill a template and begin it with a capital."""
        a, b = self.actors
        party = self.sketch.party
        parties = "the Parties" if party == "Party" else "the parties"
        text = template.format(
            a=a, b=b, shall=self.sketch.modal, parties=parties, either=f"either {party}", **names
        )  # fmt: skip
        text = re.sub(r"<(\d+) (\w+)>", lambda m: self.period(int(m[1]), m[2]), text)
        return text[0].upper() + text[1:]

    def wrap(self, text: str) -> str:
        """Leave between words, about every 70 characters, the blanks that this contract's print lines left."""
        pad = self.sketch.padding
        if pad == " ":
            return text
        words, line, parts = text.split(" "), 0, []
        for word in words:
            if line and line + len(word) > 70:
                parts.append(pad)
                line = 0
            elif parts:
                parts.append(" ")
            parts.append(word)
            line += len(word) + 1
        return "".join(parts)

    def sentence_after(self, place: Range, sentence: str, *marked: str) -> Edit:
        """The sentence added after an existing one; marks every ``marked`` phrase, or all of it."""
        return self._marked(place.end, place.end, self.sketch.gap, self.wrap(sentence), marked)

    def added(self, sentence: str, *marked: str, title: str = "") -> Edit | None:
        """The sentence added somewhere in the body; under its own number when a title is given and half the time."""
        if title and self.rng.random() < 0.5:
            numbered = self._numbered(sentence, title, marked)
            if numbered is not None:
                return numbered
        place = self.sketch.sentence(self.rng)
        return None if place is None else self.sentence_after(place, sentence, *marked)

    def inserted(self, at: int, phrase: str, *marked: str) -> Edit:
        """A phrase put in at a place inside a sentence."""
        return self._marked(at, at, "", phrase, marked)

    def _numbered(self, sentence: str, title: str, marked: tuple[str, ...]) -> Edit | None:
        """A new last subsection ``4.6 Title. Sentence`` of a section whose last one is 4.5."""
        sketch = self.sketch
        seen = {h.parts for h in sketch.headings}
        places = []
        for last, after in zip(sketch.headings, sketch.headings[1:], strict=False):
            if len(last.parts) != 2 or not sketch.body.start < last.start < after.start < sketch.body.end:
                continue
            number = (last.parts[0], last.parts[1] + 1)
            before = sketch.text[max(0, last.start - 12) : last.start]
            space = before[len(before.rstrip()) :]
            ends_well = re.search(
                r"\.\s+(?:(?:ARTICLE|Article|SECTION|Section)\s+)?$", sketch.text[: after.start][-40:]
            )
            if (
                last.parts[1] >= 2
                and after.parts[0] == last.parts[0] + 1
                and number not in seen
                and space
                and ends_well
            ):
                end = after.start - len(ends_well[0]) + 1
                places.append((number, space, last, end))
        if not places:
            return None
        number, space, last, end = self.rng.choice(places)
        titled = re.match(r"[A-Z][A-Za-z ,'/-]{2,50}\.\s", sketch.text[last.body : last.body + 60])
        lead = f"{space}{number[0]}.{number[1]} " + (f"{title}. " if titled else "")
        return self._marked(end, end, lead, self.wrap(sentence), marked)

    def _marked(self, start: int, end: int, lead: str, text: str, marked: tuple[str, ...]) -> Edit:
        ranges = [Range(0, len(text))] if not marked else []
        for phrase in marked:
            ranges += [Range(m.start(), m.end()) for m in re.finditer(loose(phrase), text)]
        return Edit(
            start, end, lead + text, tuple(Range(r.start + len(lead), r.end + len(lead)) for r in ranges)
        )


def replaced(place: Range, text: str) -> Edit:
    """A range replaced by text, all of which is the fault."""
    return Edit(place.start, place.end, text, (Range(0, len(text)),))
