"""Faults in references: to sections and exhibits that do not exist."""

from __future__ import annotations

import re
from random import Random

from doyen_legal.evaluate.sketch import Exhibit, Range, SectionRef, Sketch, loose
from doyen_legal.evaluate.voice import Edit, Plan, Voice, replaced

_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI",
          "XVII", "XVIII", "XIX", "XX", "XXI", "XXII", "XXIII", "XXIV", "XXV", "XXVI", "XXVII", "XXVIII", "XXIX",
          "XXX", "XXXI", "XXXII", "XXXIII", "XXXIV", "XXXV")  # fmt: skip
_EXHIBIT_WORDS = ("Exhibit", "Schedule", "Annex", "Appendix")

# --- dangling-section ---


def _absent_section(sketch: Sketch, rng: Random) -> int | None:
    """The number of a section that exists nowhere, not even in an exhibit's own numbering."""
    if not sketch.last_section or sketch.is_amendment:
        return None
    numbers = range(sketch.last_section + 2, sketch.last_section + 16)
    for number in rng.sample(numbers, len(numbers)):
        stands = (
            rf"(?<![\w$£€.,]){number}(?:[.)]|\s+[A-Z])|(?i:section|article|paragraph|clause)s?\s+{number}\b"
        )
        roman = rf"(?i:section|article)\s+{_ROMAN[number - 1]}\b" if number <= len(_ROMAN) else r"(?!)"
        if not re.search(stands, sketch.text) and not re.search(roman, sketch.text):
            return number
    return None


def _absent_subsection(sketch: Sketch, rng: Random, top: int | None = None) -> str | None:
    """``9.17`` where 9.1 and 9.2 exist and 9.17 does not stand anywhere."""
    if not sketch.last_section or sketch.is_amendment:
        return None
    have: dict[int, set[int]] = {}
    for heading in sketch.headings:
        if len(heading.parts) == 2:
            have.setdefault(heading.parts[0], set()).add(heading.parts[1])
    tops = [
        n
        for n, subs in have.items()
        if {1, 2} <= subs and n <= sketch.last_section and (top is None or n == top)
    ]
    if not tops:
        return None
    number = rng.choice(tops)
    new = f"{number}.{max(have[number]) + rng.randint(3, 9)}"
    return None if re.search(rf"(?<![\d.]){re.escape(new)}(?!\d)", sketch.text) else new


def _own_refs(sketch: Sketch) -> list[SectionRef]:
    if not sketch.last_section or sketch.is_amendment:
        return []
    return [r for r in sketch.section_refs if r.parts[0] <= sketch.last_section]


def section_number_too_high(sketch: Sketch, rng: Random) -> Plan | None:
    """The number in an existing reference changed to a section beyond the last"""
    refs, number = (
        [r for r in _own_refs(sketch) if len(r.parts) == 1 and not r.letter],
        _absent_section(sketch, rng),
    )
    if not refs or number is None:
        return None
    return Plan([_renumbered(rng.choice(refs), str(number))])


def subsection_number_too_high(sketch: Sketch, rng: Random) -> Plan | None:
    """The number in an existing reference changed to a subsection that its section lacks: 9.2 to 9.17"""
    refs = [r for r in _own_refs(sketch) if len(r.parts) == 2 and not r.letter]
    rng.shuffle(refs)
    for ref in refs:
        new = _absent_subsection(sketch, rng, ref.parts[0])
        if new is not None:
            return Plan([_renumbered(ref, new)])
    return None


def paragraph_letter_too_high(sketch: Sketch, rng: Random) -> Plan | None:
    """The letter in an existing reference changed to one that stands nowhere: 5(b) to 5(q)"""
    refs = [r for r in _own_refs(sketch) if r.letter]
    free = [c for c in "jklmnopqrstuwyz" if not re.search(rf"\({c}\)|\b{c}\)|\n\s*{c}\.\s", sketch.text)]
    if not refs or not free:
        return None
    ref = rng.choice(refs)
    at = ref.number.end - 2
    return Plan([Edit(at, at + 1, rng.choice(free[:6]), (Range(0, 1),))])


def _renumbered(ref: SectionRef, number: str) -> Edit:
    return replaced(ref.number, number)


def section_in_added_parenthesis(sketch: Sketch, rng: Random) -> Plan | None:
    """A bracketed reference put at the end of an existing sentence"""
    number, place = _absent_section(sketch, rng) or _absent_subsection(sketch, rng), sketch.sentence(rng)
    if number is None or place is None:
        return None
    ref = f"{sketch.reference_word} {number}"
    text = rng.choice(
        [" (as provided in {})", " (subject to {})", " (as further described in {} below)", ", subject to {}"]
    )
    return Plan([Voice(sketch, rng).inserted(place.end - 1, text.format(ref), ref)])


def section_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence that refers to a section that does not exist"""
    number = (_absent_subsection(sketch, rng) if rng.random() < 0.5 else None) or _absent_section(sketch, rng)
    if number is None:
        return None
    ref, voice = f"{sketch.reference_word} {number}", Voice(sketch, rng)
    sentence = rng.choice(
        [
            "Nothing in {ref} {shall} limit the rights of {b} under this paragraph.",
            "The procedure set forth in {ref} {shall} apply to any notice given by {a} to {b}.",
            "Any amount not paid when due {shall} bear interest as provided in {ref}.",
            "The obligations of {a} under {ref} {shall} survive the termination of this Agreement.",
            "In the event of any such delay, {b} {shall} have the remedies stated in {ref} of this Agreement.",
        ]
    )
    if not ref[0].isupper() and sentence.startswith("{ref}"):
        return None
    edit = voice.added(voice.say(sentence, ref=ref), ref)
    return Plan([edit]) if edit else None


def section_in_list(sketch: Sketch, rng: Random) -> Plan | None:
    """One number of an existing list of sections changed, or a number added: Sections 4, 7 and 31"""
    number = _absent_section(sketch, rng)
    if number is None:
        return None
    lists = re.compile(
        r"\b(?:Sections|Articles|Paragraphs|Clauses|sections|paragraphs)\s+\d{1,2}(?:\.\d{1,2})?(?:,\s+\d{1,2}(?:\.\d{1,2})?)*,?\s+(?:and|or)\s+(\d{1,2}(?:\.\d{1,2})?)(?![\d(.]*\d|\()"
    )
    places = [
        Range(m.start(1), m.end(1)) for m in lists.finditer(sketch.text, sketch.body.start, sketch.body.end)
        if not re.match(r"\s+(?:of|to|in)\s+(?!this)", sketch.text[m.end() : m.end() + 12])
    ]  # fmt: skip
    if places:
        return Plan([replaced(rng.choice(places), str(number))])
    refs = [
        r
        for r in _own_refs(sketch)
        if not r.letter and r.word in ("Section", "Article", "Paragraph", "paragraph", "section")
    ]
    if not refs:
        return None
    ref = rng.choice(refs)
    old = sketch.text[ref.number.start : ref.number.end]
    text = f"{ref.word}s {old} and {number}"
    at = len(text) - len(str(number))
    return Plan([Edit(ref.start, ref.number.end, text, (Range(at, len(text)),))])


def section_deleted(sketch: Sketch, rng: Random) -> Plan | None:
    """A subsection that is referred to elsewhere taken out"""
    if sketch.is_amendment:
        return None
    plans = []
    for heading, after in zip(sketch.headings, sketch.headings[1:], strict=False):
        same_level = len(heading.parts) == 2 and after.parts[0] in (heading.parts[0], heading.parts[0] + 1)
        in_order = after.parts > heading.parts and sum(h.parts == heading.parts for h in sketch.headings) == 1
        block = sketch.text[heading.start : after.start]
        number = ".".join(map(str, heading.parts))
        if (
            not (same_level and in_order and 40 < len(block) < 1500)
            or '"' in block
            or re.search(r"ARTICLE|Article|SECTION", block[-12:])
        ):
            continue
        refs = [Range(r.start, r.number.end) for r in sketch.section_refs if r.parts == heading.parts]
        everywhere = len(re.findall(rf"(?<![\d.]){re.escape(number)}(?![\d.]*\d)", sketch.text))
        if (
            refs
            and everywhere == len(refs) + 1
            and not any(heading.start - 12 <= r.start < after.start for r in refs)
        ):
            plans.append(Plan([Edit(heading.start, after.start, "")], refs))
    return rng.choice(plans) if plans else None


# --- dangling-exhibit ---


def _exhibit_word(sketch: Sketch) -> str | None:
    """The word for attachments, where some are attached or none is spoken of at all; None otherwise.

    Where exhibits are spoken of and none is attached, the file leaves them out as a whole.
    """
    if sketch.attachments:
        words = [e.word for e in sketch.attachments]
        return max(set(words), key=words.count)
    spoken = re.search(
        r"\b(?:Exhibit|Schedule|Annex|Appendix|Attachment)s?\b", sketch.text[200:], re.IGNORECASE
    )
    return None if spoken else "Exhibit"


def _absent_mark(sketch: Sketch, rng: Random, word: str) -> str | None:
    marks = [e.mark for e in [*sketch.attachments, *sketch.exhibit_refs] if e.word == word]
    pool = (
        [str(n) for n in range(1, 20)]
        if marks and all(m.isdigit() for m in marks)
        else list("ABCDEFGHJKLMNPQ")
    )
    used = sum(mark in marks for mark in pool)
    free = [mark for mark in pool[used:] if not re.search(rf"\b{word}s?\s+[\"']?{mark}\b", sketch.text, re.IGNORECASE)
            and not re.search(rf"(?i:{word}s)\s[^.]{{0,40}}\b{mark}\b", sketch.text)]  # fmt: skip
    return rng.choice(free[: 5 if marks else 1]) if free else None


def _new_exhibit(sketch: Sketch, rng: Random) -> str | None:
    word = _exhibit_word(sketch)
    mark = _absent_mark(sketch, rng, word) if word else None
    return f"{word} {mark}" if mark else None


def _attached_refs(sketch: Sketch) -> list[Exhibit]:
    """References to exhibits that are attached, and not of another document."""
    attached = {(e.word, e.mark) for e in sketch.attachments}
    return [
        e for e in sketch.exhibit_refs
        if (e.word, e.mark) in attached and not re.match(r"\s+(?:of|to)\s+(?!this)", sketch.text[e.end : e.end + 9])
    ]  # fmt: skip


def exhibit_mark_changed(sketch: Sketch, rng: Random) -> Plan | None:
    """The letter or number of an existing reference changed to an exhibit that is not attached"""
    refs = _attached_refs(sketch)
    rng.shuffle(refs)
    for ref in refs:
        mark = _absent_mark(sketch, rng, ref.word)
        if mark is not None:
            text = sketch.text[ref.start : ref.end]
            at = text.rindex(ref.mark)
            new = text[:at] + mark + text[at + len(ref.mark) :]
            return Plan([replaced(Range(ref.start, ref.end), new)])
    return None


def exhibit_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence that refers to an exhibit that is not attached"""
    exhibit, voice = _new_exhibit(sketch, rng), Voice(sketch, rng)
    if exhibit is None:
        return None
    sentence = rng.choice(
        [
            "{a} {shall} use the form of report attached hereto as {exhibit}.",
            "The rates set forth in {exhibit} {shall} apply to any additional work requested by {b}.",
            "{a} {shall} maintain the personnel listed on {exhibit} throughout the term of this Agreement.",
            "A form of the certificate to be given by {a} is attached to this Agreement as {exhibit}.",
            "{a} {shall} follow the procedures described in {exhibit} to this Agreement.",
        ]
    )
    edit = voice.added(voice.say(sentence, exhibit=exhibit), exhibit)
    return Plan([edit]) if edit else None


def exhibit_in_added_parenthesis(sketch: Sketch, rng: Random) -> Plan | None:
    """A bracketed reference to an exhibit put at the end of an existing sentence"""
    exhibit, place = _new_exhibit(sketch, rng), sketch.sentence(rng)
    if exhibit is None or place is None:
        return None
    text = rng.choice(
        [
            " (as more fully described in {} attached hereto)",
            " (see {})",
            ", as set forth in {} hereto",
            " (in the form of {})",
        ]
    )
    return Plan([Voice(sketch, rng).inserted(place.end - 1, text.format(exhibit), exhibit)])


def exhibit_added_to_reference(sketch: Sketch, rng: Random) -> Plan | None:
    """A second exhibit added to an existing reference: Exhibit A and Exhibit F"""
    refs = _attached_refs(sketch)
    if not refs:
        return None
    ref = rng.choice(refs)
    mark = _absent_mark(sketch, rng, ref.word)
    if mark is None:
        return None
    new = f"{ref.word} {mark}"
    return Plan([Voice(sketch, rng).inserted(ref.end, f" and {new}", new)])


def exhibit_called_otherwise(sketch: Sketch, rng: Random) -> Plan | None:
    """An existing reference under a word that no attachment bears: Exhibit B as Schedule B"""
    refs = _attached_refs(sketch)
    free = [w for w in _EXHIBIT_WORDS if not re.search(rf"\b{w}s?\b", sketch.text, re.IGNORECASE)]
    if not refs or not free:
        return None
    ref, word = rng.choice(refs), rng.choice(free)
    return Plan([replaced(Range(ref.start, ref.end), f"{word} {ref.mark}")])


def attachment_missing(sketch: Sketch, _rng: Random) -> Plan | None:
    """The last attachment left off the end of the file, the references to it kept"""
    if not sketch.attachments:
        return None
    last = sketch.attachments[-1]
    block = sketch.text[last.start :]
    same = [e for e in sketch.attachments if (e.word, e.mark) == (last.word, last.mark)]
    refs = [
        Range(e.start, e.end) for e in _attached_refs(sketch) if (e.word, e.mark) == (last.word, last.mark)
    ]
    elsewhere = re.findall(
        rf"\b{last.word}\s+[\"']?{last.mark}\b", sketch.text[sketch.body.end : last.start], re.IGNORECASE
    )
    terms_inside = any(term.start > last.start for term in sketch.terms)
    refers_back = any(
        re.search(rf"\b{loose(f'{e.word} {e.mark}')}\b", block[20:], re.IGNORECASE)
        for e in sketch.attachments
    )
    if (
        len(same) > 1
        or not refs
        or elsewhere
        or terms_inside
        or refers_back
        or len(block) > len(sketch.text) // 3
    ):
        return None
    start = len(sketch.text[: last.start].rstrip())
    return Plan([Edit(start, len(sketch.text), "\n")], refs)
