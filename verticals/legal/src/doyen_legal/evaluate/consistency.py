"""The consistency protocol: known faults planted in real contracts, and the same contracts left alone.

Definitions:

- A *report* is a fault that the checker returns. It is *known* when the untouched text already has a report of
  the same kind whose range, moved by the edits, overlaps its range, unless it touches text that the edits wrote;
  else it is *new*.
- A planted fault is *found* when a new report of the same kind overlaps one of the faulty spans, with its own range
  or with a related one. Recall is the share of planted faults that are found.
- Precision is taken over the new reports in the texts with a planted fault, notes and ``unused-term`` left out:
  a planted fault that is found counts once as true however many reports find it, and every new report that
  does not match it counts as false. ``precision_raw`` takes all reports instead of the new ones.
- ``false_alarms_per_contract`` counts reports on untouched texts, notes and ``unused-term`` left out. What the
  untouched contract really has wrong counts as a false alarm too: the figure is an upper bound.
- ``per_kind`` precision goes by the kind of the *report*, over all texts with a planted fault.
- ``ci95`` are percentile intervals from 1,000 draws of contracts.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Final, Protocol, TypedDict

from doyen_legal.corpora import Contract
from doyen_legal.evaluate.forms import FORMS
from doyen_legal.evaluate.inject import KINDS, Injection, inject
from doyen_legal.evaluate.sketch import Range, Sketch
from doyen_schemas import Document, DoyenError

NOTE_KIND: Final = "unused-term"


class Reported(Protocol):
    """What a checker reports; ``doyen_legal.consistency.Fault`` is one."""

    @property
    def kind(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def related(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def note(self) -> bool: ...


Check = Callable[[Document], Sequence[Reported]]


class FormFigures(TypedDict):
    recall: float
    n: int


class KindFigures(TypedDict):
    """``precision`` is None when the kind is never reported anew."""

    recall: float
    precision: float | None
    n: int
    by_form: dict[str, FormFigures]


class ConsistencyFigures(TypedDict):
    n_contracts: int
    n_faults: int
    recall: float
    recall_beyond_notes: float
    precision: float
    precision_raw: float
    false_alarms_per_contract: float
    per_kind: dict[str, KindFigures]
    ci95: dict[str, tuple[float, float]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the checker made of one planted fault; ``alarmed``: by more than a note; ``false`` counts new reports by kind, ``raw`` all false ones."""

    kind: str
    form: str
    found: bool
    alarmed: bool
    false: Counter[str]
    raw: int


@dataclass(slots=True)
class _Tally:
    outcomes: list[Outcome] = field(default_factory=list)
    alarms: int = 0


def evaluate(
    contracts: Iterable[Contract],
    *,
    seed: int = 0,
    limit: int | None = None,
    per_kind: int = 50,
    check: Check | None = None,
) -> ConsistencyFigures:
    """Measure a checker on up to ``per_kind`` planted faults of each kind and on the untouched texts.

    Args:
        contracts: CUAD contracts with their labels.
        seed: the same seed plants the same faults.
        limit: take only the first contracts.
        per_kind: planted faults a kind; fewer where the contracts do not offer so many places.
        check: the checker, by default ``doyen_legal.consistency.check``.

    Raises LEG-020 (no contract) and LEG-023 (``per_kind`` below 1).
    """
    from doyen_documents import from_text

    if per_kind < 1:
        raise DoyenError(
            "LEG-023", f"per_kind is {per_kind}; it must be at least 1.", "Plant at least one fault a kind."
        )
    chosen = list(islice(contracts, limit))
    if not chosen:
        raise DoyenError(
            "LEG-020", "no contract to evaluate.", "Give a data file with at least one, and a limit above 0."
        )
    checker = check or _default_check()

    started = time.perf_counter()
    sketches = [Sketch(contract) for contract in chosen]
    tallies = [_Tally() for _ in chosen]
    planted: dict[int, list[Injection]] = defaultdict(list)
    for kind in KINDS:
        for index, injection in plant(sketches, kind, per_kind, seed):
            planted[index].append(injection)
    for index, (contract, tally) in enumerate(zip(chosen, tallies, strict=True)):
        untouched = checker(from_text(contract.text, name=contract.id))
        tally.alarms = sum(_counted(report) for report in untouched)
        for injection in planted[index]:
            reports = checker(from_text(injection.text, name=contract.id))
            tally.outcomes.append(judge(injection, reports, untouched))
    return _figures(tallies, time.perf_counter() - started)


def _default_check() -> Check:
    from doyen_legal.consistency import check

    return check


def plant(sketches: Sequence[Sketch], kind: str, count: int, seed: int) -> list[tuple[int, Injection]]:
    """Up to ``count`` faults of a kind with the index of their contract.

    Contracts are taken in a random order, each once before any is taken again; the form that was planted least
    is tried first, so that forms with few places still get their share.
    """
    rng = Random(f"{seed}|{kind}")
    forms = [form.__name__ for form in FORMS[kind]]
    rng.shuffle(forms)
    used: Counter[str] = Counter()
    done: list[tuple[int, Injection]] = []
    taken: set[tuple[int, str]] = set()
    for round_ in range(len(forms)):
        for index in rng.sample(range(len(sketches)), len(sketches)):
            if len(done) == count:
                return done
            for form in sorted(forms, key=lambda name: used[name]):
                if (index, form) in taken:
                    continue
                injection = inject(sketches[index], kind, seed + round_, form)
                if injection is not None:
                    used[form] += 1
                    taken.add((index, form))
                    done.append((index, injection))
                    break
    return done


def judge(injection: Injection, reports: Sequence[Reported], untouched: Sequence[Reported]) -> Outcome:
    """Compare the reports on a text with a planted fault with the fault and with those on the untouched text."""
    before = [(report.kind, injection.to_new(report.start, report.end)) for report in untouched]
    found, alarmed, raw, false = False, False, 0, Counter[str]()
    for report in reports:
        places = [Range(report.start, report.end), *(Range(*at) for at in report.related)]
        written = any(_overlap(place, at) for place in places for at in injection.added)
        known = not written and any(kind == report.kind and _overlap(places[0], at) for kind, at in before)
        matches = report.kind == injection.kind and any(
            _overlap(place, span) for place in places for span in injection.spans
        )
        if matches and not known:
            found, alarmed = True, alarmed or not report.note
        elif not known and not report.note:
            false[report.kind] += 1
        raw += not matches and _counted(report)
    return Outcome(injection.kind, injection.form, found, alarmed, false, raw)


def _counted(report: Reported) -> bool:
    return not report.note and report.kind != NOTE_KIND


def _overlap(first: Range, second: Range) -> bool:
    return first.start < second.end and second.start < first.end


def _figures(tallies: list[_Tally], seconds: float) -> ConsistencyFigures:
    import numpy as np

    from doyen_evaluation.resample import ratio_ci

    outcomes = [outcome for tally in tallies for outcome in tally.outcomes]
    per_kind: dict[str, KindFigures] = {}
    for kind in KINDS:
        mine = [o for o in outcomes if o.kind == kind]
        hits = sum(o.found for o in mine)
        reported = hits + sum(o.false[kind] for o in outcomes)
        by_form: dict[str, FormFigures] = {}
        for form in FORMS[kind]:
            own = [o.found for o in mine if o.form == form.__name__]
            if own:
                by_form[form.__name__] = {"recall": sum(own) / len(own), "n": len(own)}
        if mine:
            per_kind[kind] = {
                "recall": hits / len(mine), "precision": hits / reported if reported else None,
                "n": len(mine), "by_form": by_form,
            }  # fmt: skip

    ones = np.ones(len(tallies))
    planted = np.array([len(t.outcomes) for t in tallies], float)
    found = np.array([sum(o.found for o in t.outcomes) for t in tallies], float)
    true = np.array([sum(o.found and o.kind != NOTE_KIND for o in t.outcomes) for t in tallies], float)
    false = np.array(
        [sum(n for o in t.outcomes for k, n in o.false.items() if k != NOTE_KIND) for t in tallies], float
    )
    raw = np.array([sum(o.raw for o in t.outcomes) for t in tallies], float)
    alarms = np.array([t.alarms for t in tallies], float)
    intervals = {
        "recall": ratio_ci(found, planted),
        "precision": ratio_ci(true, true + false),
        "false_alarms_per_contract": ratio_ci(alarms, ones),
    }

    def share(part: float, whole: float) -> float:
        return float(part / whole) if whole else 0.0

    return {
        "n_contracts": len(tallies),
        "n_faults": len(outcomes),
        "recall": share(found.sum(), planted.sum()),
        "recall_beyond_notes": share(sum(outcome.alarmed for outcome in outcomes), len(outcomes)),
        "precision": share(true.sum(), true.sum() + false.sum()),
        "precision_raw": share(true.sum(), true.sum() + raw.sum()),
        "false_alarms_per_contract": float(alarms.mean()),
        "per_kind": per_kind,
        "ci95": {name: bounds for name, bounds in intervals.items() if bounds is not None},
        "seconds": seconds,
    }
