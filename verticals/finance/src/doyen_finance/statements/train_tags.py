"""Training of the element memory on inline XBRL reports, and its accuracy on companies that it has not seen."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from doyen_finance.evaluate.ixbrl import KINDS, company_of, match_cells, reports
from doyen_finance.evaluate.ixbrl_truth import read_truth
from doyen_finance.evaluate.render import print_html
from doyen_finance.statements.model import Report
from doyen_finance.statements.parse import read_statements
from doyen_finance.statements.tags import RowText, build, has_interests, row_texts, save
from doyen_schemas import DoyenError

US_GAAP: Final = "us-gaap:"


@dataclass(frozen=True, slots=True)
class Example:
    """A row of a parsed report with the element of its facts, and how many facts it has."""

    company: str
    text: RowText
    tag: str
    count: int


def examples_of(name: str, content: bytes, report: Report) -> list[Example]:
    """The rows of a report whose cells were matched to facts."""
    truth = read_truth(content)
    company = company_of(name, content)
    found: dict[RowText, Counter[str]] = {}
    interests = has_interests(report.statements)
    for kind in KINDS:
        for statement in report.statements:
            if statement.kind != kind or statement.scope != "consolidated":
                continue
            texts = row_texts(statement, interests)
            facts = [fact for fact in truth.facts if fact.kind == kind]
            cells = [(statement.rows[value.row], value) for value in statement.values]
            for fact, row, value in match_cells(facts, cells):
                instant = value.period is not None and value.period.start is None
                found.setdefault(texts[row.index, value.unit, instant], Counter())[fact.tags[0]] += 1
    return [
        Example(company, text, tags.most_common(1)[0][0], sum(tags.values())) for text, tags in found.items()
    ]


def standard(examples: Sequence[Example]) -> tuple[list[RowText], list[str]]:
    """Rows and elements of us-gaap; a company's own elements mean nothing elsewhere."""
    kept = [e for e in examples if e.tag.startswith(US_GAAP)]
    return [e.text for e in kept], [e.tag.removeprefix(US_GAAP) for e in kept]


def accuracy_out_of_company(examples: Sequence[Example]) -> dict[str, float]:
    """Share of cells with the right element, each company told by the memory of the others."""
    right = total = known = 0
    for company in sorted({example.company for example in examples}):
        others = [e for e in examples if e.company != company]
        own = [e for e in examples if e.company == company]
        memory = build(*standard(others))
        for example, best in zip(own, memory.predict([e.text for e in own]), strict=True):
            total += example.count
            right += example.count * (best is not None and US_GAAP + best[0] == example.tag)
            known += example.count * (example.tag.removeprefix(US_GAAP) in memory.names)
    return {"accuracy": round(right / total, 4), "ceiling": round(known / total, 4)}


def train(data: Path, out: Path, command: str) -> dict[str, Any]:
    """Train the memory on a folder or tar of reports and write it; raises FIN-012 to FIN-015, FIN-019."""
    examples: list[Example] = []
    digest = hashlib.sha256()
    for name, content in reports(data):
        digest.update(hashlib.sha256(content).digest())
        examples += examples_of(name, content, read_statements(print_html(content)))
    if len({example.company for example in examples}) < 2:
        raise DoyenError(
            "FIN-019", "fewer than two companies were parsed.", "Name reports of several companies."
        )
    about = {
        "trained_on": "inline XBRL reports of the SEC, public records",
        "companies": sorted({example.company for example in examples}),
        "reports_sha256": digest.hexdigest(),
        "rows": len(examples),
        "command": command,
        "out_of_company": accuracy_out_of_company(examples),
    }
    save(build(*standard(examples)), out, about)
    return about
