"""Inline XBRL reports printed to PDF, parsed, and compared with their facts cell by cell."""

from __future__ import annotations

import lzma
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_evaluation.resample import ratio_ci
from doyen_finance.evaluate.ixbrl_truth import Fact, Period, read_truth
from doyen_finance.evaluate.render import print_html
from doyen_finance.statements.model import Report, Row, Statement, Value
from doyen_schemas import DoyenError

KINDS: Final = ("balance", "income", "comprehensive", "cash_flow", "equity")
SUFFIXES: Final = (".htm", ".html", ".xhtml")
# A calendar of 52 or 53 weeks ends and begins up to a week off the month's end, which is all that some columns print.
DAYS: Final = 10
MAX_BYTES: Final = 64 * 2**20
# Errors of the installation, not of a report: no weights, no Chromium, no OCR. They end the run.
INSTALLATION: Final = ("FIN-001", "FIN-013", "DOC-018")

Key = tuple[Any, ...]


@dataclass(slots=True)
class Counts:
    """Cells of one report and kind: in the truth, predicted, and found by value, by cell, and by tag."""

    truth: int = 0
    predicted: int = 0
    values: int = 0
    cells: int = 0
    exact_periods: int = 0
    tags: int = 0

    def add(self, other: Counts) -> None:
        """Add another's counts to these."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(slots=True)
class Outcome:
    """A report's counts by kind, its checks, and time."""

    company: str
    by_kind: dict[str, Counts] = field(default_factory=dict)
    in_labels: int = 0
    balanced: int = 0
    balance_checks: int = 0
    pages: int = 0
    seconds: float = 0.0
    error: str = ""

    @property
    def total(self) -> Counts:
        """The sum over kinds."""
        total = Counts()
        for counts in self.by_kind.values():
            total.add(counts)
        return total


def evaluate_file(data: Path, limit: int | None = None) -> dict[str, Any]:
    """The protocol's figures over a folder or tar of reports. Raises FIN-012 (no report), FIN-001, FIN-013.

    A report that is no XML, or that cannot be printed or parsed, is counted in ``not_parsed`` and ``errors``.
    """
    from doyen_finance.statements import parse

    outcomes = [
        score(name, content, lambda html: parse(print_html(html))) for name, content in reports(data, limit)
    ]
    if not outcomes:
        raise DoyenError(
            "FIN-012", f"no inline XBRL report in {data}.", "Name a folder or tar of .htm or .html files."
        )
    return summary(outcomes)


def reports(data: Path, limit: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and content of each inline XBRL report of a folder or tar, by name."""
    for count, item in enumerate(sorted(_files(data), key=lambda item: item[0])):
        if limit is not None and count >= limit:
            return
        name, read = item
        yield name, read()


def _files(data: Path) -> list[tuple[str, Callable[[], bytes]]]:
    if data.is_dir():
        found = [p for p in data.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()]
        return [(str(p.relative_to(data)), p.read_bytes) for p in found if b"nonFraction" in p.read_bytes()]
    if not data.is_file():
        raise DoyenError(
            "FIN-012", f"no such folder or file: {data}.", "Name a folder or tar of .htm or .html files."
        )
    contents: list[tuple[str, Callable[[], bytes]]] = []
    try:
        with tarfile.open(data) as archive:
            for member in archive:
                if (
                    member.isfile()
                    and Path(member.name).suffix.lower() in SUFFIXES
                    and member.size <= MAX_BYTES
                ):
                    file = archive.extractfile(member)
                    content = file.read() if file else b""
                    if b"nonFraction" in content:
                        contents.append((member.name, lambda content=content: content))  # type: ignore[misc]
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DoyenError("FIN-012", f"{data} is neither a folder nor a tar.", "Name one of them.") from error
    return contents


def score(name: str, content: bytes, parse: Callable[[bytes], Report]) -> Outcome:
    """One report's outcome. One that cannot be parsed finds nothing; what the installation lacks is raised."""
    outcome = Outcome(company_of(name, content))
    try:
        truth = read_truth(content)
    except DoyenError as error:
        outcome.error = error.code
        return outcome
    outcome.in_labels = truth.in_labels
    report: Report | None = None
    try:
        report = parse(content)
    except DoyenError as error:
        if error.code in INSTALLATION:
            raise
        outcome.error = error.code
    except Exception as error:  # a fault of the parser costs its report, not the run
        outcome.error = type(error).__name__
    for kind in KINDS:
        outcome.by_kind[kind] = compare(
            [fact for fact in truth.facts if fact.kind == kind],
            [
                s
                for s in (report.statements if report else ())
                if s.kind == kind and s.scope == "consolidated"
            ],
        )
    if report is not None:
        outcome.pages, outcome.seconds = report.page_count, report.seconds
        checks = [
            c for s in report.statements if s.scope == "consolidated" for c in s.checks if c.name == "balance"
        ]
        outcome.balance_checks, outcome.balanced = len(checks), sum(check.passed for check in checks)
    return outcome


def company_of(name: str, content: bytes) -> str:
    """The filer: its central index key, else the file's name up to the first separator."""
    found = re.search(rb'EntityCentralIndexKey"[^>]*>\s*(?:<[^>]*>)*\s*(\d+)', content)
    return found[1].decode() if found else re.split(r"[-_/.]", name)[0]


def compare(facts: Sequence[Fact], statements: Sequence[Statement]) -> Counts:
    """The counts of one kind: truth and prediction matched as multisets, by value, then by label, period and value.

    A dash that no fact is tagged on is no prediction: it says that there is no number.
    """
    cells = [(s.rows[v.row], v) for s in statements for v in s.values]
    values = _matched((fact.value.normalize() for fact in facts), (v.value.normalize() for _, v in cells))
    pairs = match_cells(facts, cells)
    nils = sum(v.is_nil for _, v in cells)
    zeros = min(nils, sum(fact.value == 0 for fact in facts))
    return Counts(
        truth=len(facts), predicted=len(cells) - nils + zeros, values=values, cells=len(pairs),
        exact_periods=sum(_exact(fact.period, value) for fact, _, value in pairs),
        tags=sum(f"us-gaap:{value.tag}" in fact.tags for fact, _, value in pairs),
    )  # fmt: skip


def _matched(truth: Iterable[Any], predicted: Iterable[Any]) -> int:
    return sum((Counter(truth) & Counter(predicted)).values())


def match_cells(facts: Sequence[Fact], cells: Sequence[tuple[Row, Value]]) -> list[tuple[Fact, Row, Value]]:
    """Facts with the cell of equal label, value and period, one to one."""
    by_key: dict[Key, list[tuple[Row, Value]]] = {}
    for row, value in cells:
        by_key.setdefault((bare(row.label), value.value.normalize()), []).append((row, value))
    pairs = []
    for fact in facts:
        waiting = by_key.get((bare(fact.label), fact.value.normalize()), [])
        for place, (row, value) in enumerate(waiting):
            if same_period(fact.period, value):
                pairs.append((fact, row, value))
                del waiting[place]
                break
    return pairs


def bare(label: str) -> str:
    """A label for comparison: letters and digits in lower case, notes' marks at its end left out."""
    return re.sub(r"[\W_]", "", re.sub(r"(?:\s*\(\w\)|[¹²³*†])+$", "", label).lower())


def same_period(truth: Period, value: Value) -> bool:
    """Whether a value's period is the fact's: both instants or both durations, first and last days within ten days."""
    found = value.period
    if found is None or (found.start is None) != (truth.start is None):
        return False
    if abs((found.end - truth.end).days) > DAYS:
        return False
    return found.start is None or truth.start is None or abs((found.start - truth.start).days) <= DAYS


def _exact(truth: Period, value: Value) -> bool:
    return value.period is not None and (value.period.start, value.period.end) == (truth.start, truth.end)


def figures(counts: Counts) -> dict[str, float | int | None]:
    """Recall and precision of values, F1 of cells, share of exact days among them, accuracy of tags on them."""
    return {
        "value_recall": _ratio(counts.values, counts.truth),
        "value_precision": _ratio(min(counts.values, counts.predicted), counts.predicted),
        "cell_f1": _ratio(2 * counts.cells, counts.truth + counts.predicted),
        "exact_period_rate": _ratio(counts.exact_periods, counts.cells),
        "tag_accuracy": _ratio(counts.tags, counts.cells),
        "facts": counts.truth,
    }


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures over all reports, intervals by drawing companies, and the same by kind of statement."""
    total = Counts()
    kinds = {kind: Counts() for kind in KINDS}
    for outcome in outcomes:
        for kind, counts in outcome.by_kind.items():
            kinds[kind].add(counts)
            total.add(counts)
    checks = sum(o.balance_checks for o in outcomes)
    pages = sum(o.pages for o in outcomes)
    result: dict[str, Any] = {
        **figures(total),
        "balance_pass_rate": _ratio(sum(o.balanced for o in outcomes), checks),
        "balance_checks": checks,
        "seconds_per_page": _ratio(sum(o.seconds for o in outcomes), pages),
        "pages": pages,
        "n": len(outcomes),
        "companies": len({o.company for o in outcomes}),
        "facts_in_labels_left_out": sum(o.in_labels for o in outcomes),
        "not_parsed": sum(bool(o.error) for o in outcomes),
        "errors": dict(Counter(o.error for o in outcomes if o.error)),
        "by_kind": {kind: figures(counts) for kind, counts in kinds.items()},
    }
    result["ci95"] = _intervals(outcomes)
    return result


def _intervals(outcomes: Sequence[Outcome]) -> dict[str, tuple[float, float] | None]:
    names = sorted({outcome.company for outcome in outcomes})
    groups = {name: Counts() for name in names}
    checks = {name: [0, 0] for name in names}
    for outcome in outcomes:
        groups[outcome.company].add(outcome.total)
        checks[outcome.company][0] += outcome.balanced
        checks[outcome.company][1] += outcome.balance_checks

    def interval(parts: Iterable[float], wholes: Iterable[float]) -> tuple[float, float] | None:
        found = ratio_ci(np.array(list(parts), float), np.array(list(wholes), float))
        return (round(found[0], 4), round(found[1], 4)) if found else None

    by_name = [groups[name] for name in names]
    return {
        "value_recall": interval((c.values for c in by_name), (c.truth for c in by_name)),
        "value_precision": interval(
            (min(c.values, c.predicted) for c in by_name), (c.predicted for c in by_name)
        ),
        "cell_f1": interval((2 * c.cells for c in by_name), (c.truth + c.predicted for c in by_name)),
        "tag_accuracy": interval((c.tags for c in by_name), (c.cells for c in by_name)),
        "balance_pass_rate": interval((checks[n][0] for n in names), (checks[n][1] for n in names)),
    }
