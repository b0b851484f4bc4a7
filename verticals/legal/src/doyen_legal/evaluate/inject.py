"""Plant one known fault in a real contract, as sloppy drafting would have left it.

The generator shares no code with the consistency checker that is measured with it. It plants a fault only where
the contract's own text and labels leave no doubt that it is one (the section number stands nowhere, the term is
defined nowhere, the second law differs), and returns None where a contract offers no place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from doyen_legal.corpora import Contract
from doyen_legal.evaluate.forms import FORMS
from doyen_legal.evaluate.sketch import Range, Sketch
from doyen_legal.evaluate.voice import Edit, Plan
from doyen_schemas import DoyenError

KINDS: Final[tuple[str, ...]] = tuple(FORMS)


@dataclass(frozen=True, slots=True)
class Injection:
    """A contract with one fault in it.

    ``spans`` are the faulty ranges ``[start, end)`` of ``text``: each use of the term whose definition is gone,
    both definitions, the sentence with the second law and the clause that it contradicts. ``edits`` lead from
    the untouched text to this one.
    """

    contract: str
    text: str
    kind: str
    form: str
    spans: tuple[Range, ...]
    edits: tuple[Edit, ...]

    def to_new(self, start: int, end: int) -> Range:
        """Where a range of the untouched text stands now; what an edit replaced becomes the replacement."""
        shift = 0
        new_start, new_end = start, end
        for edit in self.edits:
            grown = len(edit.text) - (edit.end - edit.start)
            if edit.end <= start:  # before the range: both ends move
                shift += grown
                new_start, new_end = start + shift, end + shift
            elif edit.start < end:  # inside or across it
                new_start = min(new_start, edit.start + shift)
                shift += grown
                new_end = max(end, edit.end) + shift
        return Range(new_start, new_end)

    @property
    def added(self) -> tuple[Range, ...]:
        """The ranges of the new text that the edits wrote."""
        ranges, shift = [], 0
        for edit in self.edits:
            if edit.text:
                ranges.append(Range(edit.start + shift, edit.start + shift + len(edit.text)))
            shift += len(edit.text) - (edit.end - edit.start)
        return tuple(ranges)


def inject(contract: Contract | Sketch, kind: str, seed: int, form: str | None = None) -> Injection | None:
    """Plant a fault of ``kind``; the same contract, kind, form and seed always give the same text.

    Without a form, the forms are tried in a random order until one finds a place. Raises LEG-021 (no such kind)
    and LEG-022 (no such form of the kind).
    """
    if kind not in FORMS:
        raise DoyenError(
            "LEG-021", f"fault kind {kind!r} is none of {', '.join(KINDS)}.", "Name one of them."
        )
    forms = {function.__name__: function for function in FORMS[kind]}
    if form is not None and form not in forms:
        raise DoyenError(
            "LEG-022", f"form {form!r} is none of {', '.join(forms)}.", f"Name a form of {kind}."
        )
    sketch = contract if isinstance(contract, Sketch) else Sketch(contract)
    digest = hashlib.sha256(f"{seed}|{sketch.contract.id}|{kind}|{form}".encode()).digest()
    rng = Random(int.from_bytes(digest[:8], "big"))
    names = [form] if form is not None else rng.sample(list(forms), len(forms))
    for name in names:
        plan = forms[name](sketch, rng)
        if plan is not None:
            return _apply(sketch, kind, name, plan)
    return None


def _apply(sketch: Sketch, kind: str, form: str, plan: Plan) -> Injection:
    edits = sorted(plan.edits, key=lambda edit: edit.start)
    parts: list[str] = []
    spans: list[Range] = []
    position = length = 0
    for edit in edits:
        kept = sketch.text[position : edit.start]
        length += len(kept)
        spans += [Range(length + mark.start, length + mark.end) for mark in edit.marks]
        parts += [kept, edit.text]
        length += len(edit.text)
        position = edit.end
    parts.append(sketch.text[position:])
    done = Injection(sketch.contract.id, "".join(parts), kind, form, (), tuple(edits))
    spans += [done.to_new(at.start, at.end) for at in plan.made_faulty]
    return replace(done, spans=tuple(spans))


def forms_table() -> str:
    """The kinds and their forms as a Markdown document: what ``infra/docs/legal/injected-faults.md`` holds."""
    lines = [
        "# Injected faults",
        "",
        "The consistency protocol plants these in real contracts, one at a time. Generated from "
        "`doyen_legal.evaluate.forms`; a test holds the two together.",
    ]
    for kind, forms in FORMS.items():
        lines += ["", f"## {kind}", ""]
        lines += [f"- `{form.__name__}`: {(form.__doc__ or '').strip()}." for form in forms]
    return "\n".join(lines) + "\n"
