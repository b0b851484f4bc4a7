"""Faults in defined terms: undefined, unused, defined twice, written in another case."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from doyen_legal.evaluate.sketch import Range, Sketch, Term, loose
from doyen_legal.evaluate.voice import Edit, Plan, Voice, replaced

# Terms that another contract would define; each is used only where the text does not know it.
_FOREIGN_DOCUMENTS: Final = (
    "Acceptance Criteria", "Transition Plan", "Change Procedure", "Quality Standards", "Project Timetable",
    "Security Requirements", "Brand Guidelines", "Annual Operating Plan", "Minimum Service Levels",
    "Disaster Recovery Plan", "Delivery Protocol", "Training Program", "Recall Procedure", "Escalation Procedure",
    "Staffing Plan", "Inspection Rules",
)  # fmt: skip
_FOREIGN_THINGS: Final = (
    "Escrow Materials", "Key Personnel", "Approved Subcontractors", "Baseline Price", "Retained Records",
    "Holdback Amount", "Qualifying Customers", "Background Materials", "Deferred Fees", "Notified Defects",
    "Excluded Assets", "Benchmark Reports", "Authorized Representatives", "Reserved Inventory",
)  # fmt: skip

_SENTENCES_WITH_DOCUMENT: Final = (
    "{parties} {shall} review the {term} at least once in each calendar year, and any change to the {term} {shall} be agreed in writing.",
    "{a} {shall} not depart from the {term} without the prior written consent of {b}.",
    "Any failure to comply with the {term} {shall} be remedied by {a} at its own expense within <10 days> after notice from {b}.",
    "Upon request, {a} {shall} provide {b} with a current copy of the {term}.",
)  # fmt: skip
_SENTENCES_WITH_THING: Final = (
    "{a} {shall} give {b} a written statement of the {term} within <30 days> after the end of each calendar quarter.",
    "{a} {shall} bear all costs associated with the {term} and {shall} promptly inform {b} of any change in the {term}.",
    "{a} {shall} not substitute or withdraw any of the {term} without the prior written consent of {b}.",
)  # fmt: skip

# Ordinary phrases that a careless drafter capitalises as if they were defined.
_PROMOTABLE: Final = (
    "purchase orders", "purchase order", "business plan", "annual budget", "marketing materials",
    "promotional materials", "advertising materials", "gross revenues", "net revenues", "gross sales",
    "technical information", "trade secrets", "customer list", "sales forecast", "delivery date", "purchase price",
    "training materials", "raw materials", "spare parts", "operating costs", "source code", "user data",
    "customer data", "marketing plan", "sales literature", "technical assistance", "technical support",
    "regulatory approvals", "clinical trials", "work product", "quarterly report", "quarterly reports",
    "annual report", "insurance proceeds", "bank account", "service fees", "customer service", "web pages",
    "press release", "financial statements", "business records", "written notice", "third parties", "cure period",
    "notice period", "real property", "interest rate", "due date", "invoice amount", "independent contractor",
    "personal information", "support services", "net proceeds", "outstanding shares", "reasonable expenses",
)  # fmt: skip

# (sentence without its end, noun phrase that ends it, term)
_FRESH_DEFINITIONS: Final = (
    ("{a} {shall} keep complete and accurate records of", "all complaints received from customers", "Complaint Records"),
    ("{a} {shall} appoint", "an employee with suitable experience to coordinate its performance", "Coordinator"),
    ("{a} {shall} prepare and deliver to {b}", "a written summary of the work done in each month", "Monthly Summary"),
    ("{parties} {shall} hold", "a meeting of their senior officers in each calendar year", "Annual Review Meeting"),
    ("{a} {shall} maintain", "a secure facility for the storage of returned goods", "Returns Facility"),
    ("{a} {shall} pay", "the reasonable cost of packing, freight and insurance", "Carriage Costs"),
    ("{a} {shall} use", "the procedures that {b} notifies to it from time to time", "Operating Procedures"),
    ("{a} {shall} retain", "the original of each signed acknowledgement of receipt", "Receipt Originals"),
)  # fmt: skip

_FRESH_MEANINGS: Final = (
    ("Accounting Standards", "the accounting principles generally accepted in the United States, consistently applied"),
    ("Prior Dealings", "all transactions between {parties} that were completed before the date of this Agreement"),
    ("Working Hours", "the hours between 9:00 a.m. and 5:00 p.m. on any day on which banks are open for business"),
    ("Governmental Levy", "any tax, duty, charge or assessment imposed by a public authority"),
    ("Loss Event", "any occurrence that causes physical damage to goods while in transit"),
    ("Written Form", "a document signed by hand or sent by registered mail"),
    ("Successor Business", "any enterprise to which substantially all of the assets of {a} are transferred"),
    ("Storage Charges", "the amounts payable to a warehouse for the keeping of goods"),
)  # fmt: skip

_PERIOD_TERMS: Final = (
    "Response Window", "Grace Interval", "Remedial Period", "Consultation Period", "Objection Period",
    "Verification Period", "Standstill Interval", "Action Window",
)  # fmt: skip

# Another meaning for a term, by its last word; the last entry serves any other.
_OTHER_MEANINGS: Final[dict[str, tuple[str, ...]]] = {
    "territory": ("the United States of America and Canada", "the member states of the European Union"),
    "product": ("the goods listed in the then-current price list of {a}", "all items offered for sale by {a} under its own brand"),
    "service": ("the support services that {a} offers generally to its customers", "such work as {b} may request by written order"),
    "term": ("the period of <18 months> that begins on the first delivery", "the period from the first payment until the close of the following calendar year"),
    "period": ("the period of <45 days> that begins on the first business day of each quarter", "each period of <14 months> that ends on June 30"),
    "date": ("the first day of the month that follows the last signature", "the date on which {a} receives the first payment"),
    "fee": ("the charges stated in the then-current tariff of {a}", "all sums invoiced by {a} in any calendar month"),
    "price": ("the list price published by {a} less a discount agreed in writing", "the amount stated on the face of each invoice"),
    "information": ("all data that is marked proprietary when it is disclosed", "the reports and statistics that {a} compiles for its own use"),
    "affiliate": ("any company that holds at least ten percent of the shares of a party", "any person that is under contract with {a}"),
    "property": ("the registered patents and trademarks of {a} only", "all tangible goods held by {a} for {b}"),
    "software": ("the object code of the programs that {a} distributes by download", "the operating system installed at the premises of {b}"),
    "mark": ("the logo used by {a} on its letterhead", "any word registered by {b} as a trade name"),
    "site": ("the premises of {a} at its registered address", "each location at which {b} keeps a store"),
    "": ("such matters as {parties} may designate in writing from time to time", "the items that {a} identifies by notice to {b}"),
}  # fmt: skip


def _free(sketch: Sketch, rng: Random, terms: tuple[str, ...]) -> str | None:
    """One of the terms that the contract does not know in any case or number."""
    for term in rng.sample(terms, len(terms)):
        if not sketch.has(term) and not sketch.has(term.rstrip("s")):
            return term
    return None


def _body_uses(sketch: Sketch, term: Term) -> list[Range]:
    """Uses inside sentences of prose, not in headings or signature blocks."""
    return [u for u in term.uses if any(s.start < u.start and u.end < s.end for s in sketch.sentences)]


# --- undefined-term ---


def undefined_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """A sentence from another template, with a term of that template"""
    terms, sentences = rng.choice(
        [(_FOREIGN_DOCUMENTS, _SENTENCES_WITH_DOCUMENT), (_FOREIGN_THINGS, _SENTENCES_WITH_THING)]
    )
    term, voice = _free(sketch, rng, terms), Voice(sketch, rng)
    if term is None:
        return None
    edit = voice.added(voice.say(rng.choice(sentences), term=term), term, title="General")
    return Plan([edit]) if edit else None


def undefined_in_added_proviso(sketch: Sketch, rng: Random) -> Plan | None:
    """A proviso that names an undefined term, put at the end of an existing sentence"""
    term, place = _free(sketch, rng, _FOREIGN_DOCUMENTS), sketch.sentence(rng)
    if term is None or place is None:
        return None
    proviso = rng.choice(
        [
            ", subject in each case to the {}", ", in accordance with the {}",
            ", except to the extent otherwise provided in the {}", ", as further specified in the {}",
        ]
    ).format(term)  # fmt: skip
    return Plan([Voice(sketch, rng).inserted(place.end - 1, proviso, term)])


def ordinary_phrase_capitalised(sketch: Sketch, rng: Random) -> Plan | None:
    """An ordinary phrase of an existing sentence capitalised as if it were defined"""
    places = []
    for phrase in _PROMOTABLE:
        capital = phrase.title()
        if (
            not sketch.has(phrase)
            or sketch.has(capital, ignore_case=False)
            or capital.rstrip("s") in sketch.quoted
        ):
            continue
        pattern = re.compile(rf"\b(?:the|such|any|each|all|its)\s+({loose(phrase)})\b(?=[\s,.;])")
        found = [Range(m.start(1), m.end(1)) for m in pattern.finditer(sketch.text)]
        places += [at for at in found if any(s.start <= at.start < s.end for s in sketch.sentences)]
    if not places:
        return None
    place = rng.choice(places)
    return Plan([replaced(place, sketch.text[place.start : place.end].title())])


def definition_deleted(sketch: Sketch, rng: Random) -> Plan | None:
    """The bracketed definition of a term taken out, its uses left"""
    terms = [t for t in sketch.terms if t.inline and len(t.uses) >= 2 and " " in t.name and sketch.alone(t)]
    if not terms:
        return None
    term = rng.choice(terms)
    start = term.whole.start
    while sketch.text[start - 1] == " ":
        start -= 1
    return Plan([Edit(start, term.whole.end, "")], list(term.uses))


def entry_deleted(sketch: Sketch, rng: Random) -> Plan | None:
    """The sentence that defines a term taken out, its uses left"""
    terms = []
    for term in sketch.terms:
        before = sketch.text[max(0, term.whole.start - 3) : term.whole.start]
        whole = sketch.text[term.whole.start : term.whole.end]
        own_sentence = re.search(r"(?:\.\s+|\n\s*)$", before) and whole.endswith(".")
        if (
            not term.inline
            and len(term.uses) >= 2
            and own_sentence
            and whole.count('"') == 2
            and sketch.alone(term)
        ):
            terms.append(term)
    if not terms:
        return None
    term = rng.choice(terms)
    end = term.whole.end
    while sketch.text[end : end + 1] == " ":
        end += 1
    return Plan([Edit(term.whole.start, end, "")], list(term.uses))


def term_renamed_at_definition(sketch: Sketch, rng: Random) -> Plan | None:
    """The term renamed where it is defined, its uses left under the old name"""
    terms = [t for t in sketch.terms if len(t.uses) >= 2 and " " in t.name and sketch.alone(t)]
    rng.shuffle(terms)
    for term in terms:
        new = _free(sketch, rng, _renamed(term.name))
        if new is not None:
            return Plan([Edit(term.start, term.end, new)], list(term.uses))
    return None


def use_replaced_by_foreign_term(sketch: Sketch, rng: Random) -> Plan | None:
    """One use of a defined term under another template's name for the thing: the Approved Product"""
    uses = [u for t in sketch.terms if " " in t.name and len(t.uses) >= 3 for u in _body_uses(sketch, t)]
    uses = [u for u in uses if re.search(r"\bthe\s+$", sketch.text[u.start - 6 : u.start])]
    if not uses:
        return None
    use = rng.choice(uses)
    foreign = _free(sketch, rng, _renamed(sketch.text[use.start : use.end]))
    return Plan([replaced(use, foreign)]) if foreign else None


def _renamed(name: str) -> tuple[str, ...]:
    """Other names for the same thing: another first word before the same last one."""
    return tuple(
        f"{word} {name.split()[-1]}"
        for word in ("Contract", "Relevant", "Specified", "Designated", "Approved")
    )


# --- unused-term ---


def _fresh_inline(sketch: Sketch, rng: Random, definer: str) -> Plan | None:
    voice = Voice(sketch, rng)
    fresh = [d for d in _FRESH_DEFINITIONS if not sketch.has(d[2])]
    if not fresh:
        return None
    lead, phrase, term = rng.choice(fresh)
    edit = voice.added(voice.say(f"{lead} {phrase} ({definer.format(term)})."), f'"{term}"')
    return Plan([edit]) if edit else None


def unused_inline(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence that defines a term in brackets: (the "X")"""
    return _fresh_inline(sketch, rng, 'the "{}"')


def unused_hereinafter(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence that defines a term by "hereinafter referred to as" """
    return _fresh_inline(sketch, rng, 'hereinafter referred to as the "{}"')


def unused_collectively(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence that defines a collective term for a list"""
    voice = Voice(sketch, rng)
    lists = [
        ("{a} {shall} furnish to {b} copies of all invoices, bills of lading and customs declarations", "Shipping Papers"),
        ("{a} {shall} comply with its own rules on safety, conduct and working hours", "House Rules"),
        ("{a} {shall} return all keys, passes and access cards", "Access Devices"),
        ("{a} {shall} at its own cost provide desks, telephones and computers", "Office Equipment"),
    ]  # fmt: skip
    lists = [(text, term) for text, term in lists if not sketch.has(term)]
    if not lists:
        return None
    text, term = rng.choice(lists)
    edit = voice.added(voice.say(f'{text} (collectively, the "{term}").'), f'"{term}"')
    return Plan([edit]) if edit else None


def unused_entry(sketch: Sketch, rng: Random) -> Plan | None:
    """An entry among the definitions, in the manner of its neighbour"""
    neighbours = [
        t for t in sketch.terms
        if not t.inline and sketch.text[t.whole.end - 1] == "."
        and re.search(r"(?:\.\s+|\n\s*)$", sketch.text[max(0, t.whole.start - 3) : t.whole.start])
    ]  # fmt: skip
    fresh = [d for d in _FRESH_MEANINGS if not sketch.has(d[0])]
    if not neighbours or not fresh:
        return None
    place, (term, meaning), voice = rng.choice(neighbours), rng.choice(fresh), Voice(sketch, rng)
    text = sketch.text[place.whole.start : place.whole.end]
    verb = "shall mean" if re.match(r"\"[^\"]+\"\s+shall", text) else "means"
    before = sketch.text[max(0, place.whole.start - 12) : place.whole.start]
    gap = before[len(before.rstrip()) :] or sketch.gap
    entry = voice.say(f'"{term}" {verb} {meaning}.')
    return Plan(
        [Edit(place.whole.end, place.whole.end, gap + entry, (Range(len(gap), len(gap) + len(term) + 2),))]
    )


def unused_for_purposes(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence 'For purposes of this Agreement, "X" means …'"""
    fresh, voice = [d for d in _FRESH_MEANINGS if not sketch.has(d[0])], Voice(sketch, rng)
    if not fresh:
        return None
    term, meaning = rng.choice(fresh)
    lead = rng.choice(
        ['For purposes of this Agreement, "{0}" {1}', 'The term "{0}" {1}', 'As used herein, "{0}" {1}']
    )
    sentence = voice.say(lead.format(term, rng.choice(["means", "shall mean"])) + f" {meaning}.")
    edit = voice.added(sentence, f'"{term}"')
    return Plan([edit]) if edit else None


def unused_period_name(sketch: Sketch, rng: Random) -> Plan | None:
    """A name in brackets given to a period of an existing sentence"""
    fresh = [t for t in _PERIOD_TERMS if not sketch.has(t)]
    period = re.compile(r"\bwithin\s+[a-z-]+\s+\(\d+\)\s+(?:business\s+|calendar\s+)?days(?=[\s,.;])")
    places = [m.end() for s in sketch.sentences for m in period.finditer(sketch.text, s.start, s.end)]
    if not fresh or not places:
        return None
    term = rng.choice(fresh)
    return Plan([Voice(sketch, rng).inserted(rng.choice(places), f' (the "{term}")', f'"{term}"')])


def only_use_deleted(sketch: Sketch, rng: Random) -> Plan | None:
    """The only sentence that uses a term taken out, its definition left"""
    plans = []
    for term in sketch.terms:
        if not term.uses or not sketch.alone(term):
            continue
        homes = [s for s in sketch.sentences if s.start <= term.uses[0].start and term.uses[-1].end <= s.end]
        whole = sketch.text[homes[0].start : homes[0].end] if homes else ""
        if (
            homes
            and '"' not in whole
            and whole[0].isupper()
            and not term.whole.start - 400 < homes[0].start < term.whole.end
        ):
            plans.append((term, homes[0]))
    if not plans:
        return None
    term, home = rng.choice(plans)
    end = home.end
    while sketch.text[end : end + 1] == " ":
        end += 1
    return Plan([Edit(home.start, end, "")], [Range(term.start - 1, term.end + 1)])


# --- duplicate-definition ---


def _known_term(sketch: Sketch, rng: Random) -> Term | None:
    known = [t for t in sketch.terms if t.uses]
    return rng.choice(known) if known else None


def _other_meaning(term: Term, rng: Random) -> str:
    last = term.name.split()[-1].lower()
    singular = last[:-3] + "y" if last.endswith("ies") else last[:-1] if last.endswith("s") else last
    return rng.choice(_OTHER_MEANINGS.get(singular, _OTHER_MEANINGS[""]))


def _second_definition(sketch: Sketch, rng: Random, template: str) -> Plan | None:
    term, voice = _known_term(sketch, rng), Voice(sketch, rng)
    if term is None:
        return None
    meaning = _other_meaning(term, rng)
    edit = voice.added(
        voice.say(template.format(name=term.name, meaning=meaning)), f'"{term.name}"', title=term.name
    )
    return Plan([edit], [Range(term.start - 1, term.end + 1)]) if edit else None


def defined_again_by_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """A sentence elsewhere gives the term another meaning"""
    lead = rng.choice(
        [
            'As used in this Agreement, the term "{name}"',
            'For purposes of this Agreement, "{name}"',
            'The term "{name}"',
        ]
    )
    return _second_definition(sketch, rng, lead + rng.choice([" means", " shall mean"]) + " {meaning}.")


def defined_again_inline(sketch: Sketch, rng: Random) -> Plan | None:
    """A bracket elsewhere gives the name to something else: (the "X")"""
    lead = rng.choice(
        [
            "{{a}} {{shall}} promptly notify {{b}} of any change to",
            "{{a}} {{shall}} inform {{b}} in advance of",
            "{{parties}} {{shall}} discuss in good faith",
        ]
    )
    return _second_definition(sketch, rng, lead + ' {meaning} (the "{name}").')


def defined_again_hereinafter(sketch: Sketch, rng: Random) -> Plan | None:
    """A second definition by "hereinafter" """
    lead = rng.choice(["{{a}} {{shall}} keep {{b}} informed of", "{{a}} {{shall}} be responsible for"])
    return _second_definition(sketch, rng, lead + ' {meaning} (hereinafter referred to as the "{name}").')


def defined_again_collectively(sketch: Sketch, rng: Random) -> Plan | None:
    """A second definition as a collective name"""
    lead = "{{a}} {{shall}} take proper account of {meaning} and of any related matter"
    return _second_definition(sketch, rng, lead + ' (collectively, the "{name}").')


def entry_repeated(sketch: Sketch, rng: Random) -> Plan | None:
    """The entry of a term copied to another place with another meaning"""
    entries = [t for t in sketch.terms if not t.inline and t.uses]
    place = sketch.sentence(rng)
    if not entries or place is None:
        return None
    term, voice = rng.choice(entries), Voice(sketch, rng)
    verb = re.match(
        r"\"[^\"]+\"\s+(shall\s+mean|means|mean|is\s+defined\s+as)",
        sketch.text[term.start - 1 : term.whole.end],
    )
    if verb is None or term.whole.start <= place.start < term.whole.end:
        return None
    entry = voice.say(f'"{term.name}" {" ".join(verb[1].split())} {_other_meaning(term, rng)}.')
    return Plan([voice.sentence_after(place, entry, f'"{term.name}"')], [Range(term.start - 1, term.end + 1)])


# --- case-drift ---

_TITLE_CASE: Final = re.compile(r"[A-Z][a-z'-]+(?:\s[A-Z][a-z'-]+)*")


def _drift(sketch: Sketch, rng: Random, change: str, count: int = 1) -> Plan | None:
    """Change the case of ``count`` uses of a term that is everywhere else in its own case."""
    terms = []
    for term in sketch.terms:
        if " " in term.name and _TITLE_CASE.fullmatch(term.name):
            uses = _body_uses(sketch, term)
            if (
                len(term.uses) >= 2 + count
                and len(uses) >= count
                and not sketch.has(term.name.lower(), ignore_case=False)
            ):
                terms.append((term, uses))
    if not terms:
        return None
    _, uses = rng.choice(terms)
    return Plan(
        [
            replaced(use, _recase(sketch.text[use.start : use.end], change))
            for use in sorted(rng.sample(uses, count))
        ]
    )


def _recase(text: str, change: str) -> str:
    if change == "lower":
        return text.lower()
    if change == "upper":
        return text.upper()
    head, tail = re.match(r"(.*\s)(\S+)$", text, re.DOTALL).groups()  # type: ignore[union-attr]
    return head.lower() + tail if change == "head" else head + tail.lower()


def use_in_lower_case(sketch: Sketch, rng: Random) -> Plan | None:
    """One use in lower case: licensed products"""
    return _drift(sketch, rng, "lower")


def first_words_in_lower_case(sketch: Sketch, rng: Random) -> Plan | None:
    """One use with its first words in lower case: licensed Products"""
    return _drift(sketch, rng, "head")


def last_word_in_lower_case(sketch: Sketch, rng: Random) -> Plan | None:
    """One use with its last word in lower case: Licensed products"""
    return _drift(sketch, rng, "tail")


def use_in_upper_case(sketch: Sketch, rng: Random) -> Plan | None:
    """One use in capitals within ordinary prose"""
    return _drift(sketch, rng, "upper")


def two_uses_in_lower_case(sketch: Sketch, rng: Random) -> Plan | None:
    """Two uses in lower case"""
    return _drift(sketch, rng, "lower", count=2)


def lower_case_in_added_sentence(sketch: Sketch, rng: Random) -> Plan | None:
    """An added sentence that writes the term in lower case"""
    voice = Voice(sketch, rng)
    terms = [
        t.name for t in sketch.terms
        if " " in t.name and _TITLE_CASE.fullmatch(t.name) and len(t.uses) >= 3 and not sketch.has(t.name.lower(), ignore_case=False)
    ]  # fmt: skip
    if not terms:
        return None
    term = rng.choice(terms).lower()
    template = rng.choice(
        [
            "{a} {shall} promptly inform {b} of any matter that may affect the {term}.",
            "{a} {shall} bear its own costs relating to the {term}.",
        ]
    )
    edit = voice.added(voice.say(template, term=term), term)
    return Plan([edit]) if edit else None
