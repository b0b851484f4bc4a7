"""``parse``: a report's PDF into its statements, checked."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from doyen_documents import sniff
from doyen_documents.pdf import ERRORS, page_records
from doyen_documents.reader import file_bytes
from doyen_documents.tables.model import Word
from doyen_finance import weights
from doyen_finance.statements.assemble import draft, fill_years, known_days, statement_of
from doyen_finance.statements.checks import checked
from doyen_finance.statements.layout import Rule, find_lines
from doyen_finance.statements.model import PageSize, Report, Statement
from doyen_finance.statements.page_text import page_texts
from doyen_finance.statements.periods import ColumnTime, phrases
from doyen_finance.statements.segments import PageLines, Segment, find_segments
from doyen_finance.statements.tags import PART, load, tagged
from doyen_finance.statements.titles import Kind, title_of
from doyen_schemas import DoyenError

MAX_PAGES: Final = 120
# A statement may go on over so many pages after its title's.
FOLLOWING: Final = 6
# A page with fewer characters has no text layer to speak of.
MIN_TEXT: Final = 10
MANY_AMOUNTS: Final = 6
_AMOUNT: Final = re.compile(r"(?<![\w.,])\(?\d[\d,.]*\d\)?(?![\w,])")
_OPEN_TITLE: Final = re.compile(r"statements?(?: of)?(?: \w+){0,5}\s*$", re.IGNORECASE)
MIN_ROWS: Final = 4
# Primary statements stand together; what repeats their titles in notes and discussion stands apart.
NEAR_PAGES: Final = 4
_SIGNATURES: Final[dict[Kind, re.Pattern[str]]] = {
    "balance": re.compile(r"total (?:assets|liabilities|equity)|liabilities and|(?:stock|share)\w+['’]? ?equity|资产总计|资产合计|负债合计|负债和", re.IGNORECASE),
    "cash_flow": re.compile(r"operating activities|operations|investing activities|financing activities|经营活动|投资活动|筹资活动", re.IGNORECASE),
    "income": re.compile(r"net (?:income|loss|earnings|\(loss\)|profit)|profit|revenue|earnings|净利润|营业收入", re.IGNORECASE),
    "comprehensive": re.compile(r"comprehensive|综合收益", re.IGNORECASE),
    "equity": re.compile(r"balances?|equity|dividend|comprehensive|余额|权益", re.IGNORECASE),
}  # fmt: skip
_PARENT: Final = re.compile(r"parent(?: company)?(?:[ -]only)?|registrant|schedule i\b", re.IGNORECASE)
_PERIOD_END: Final = re.compile(
    r"(?:fiscal year|year|quarterly period|quarter|period)\s+(?:ended|ending):?\s*(?P<day>.{6,30}?\b(?:19|20)\d\d)",
    re.IGNORECASE,
)


def parse(path: str | Path) -> Report:
    """The primary statements of a report, with the us-gaap element of each value.

    Raises FIN-001 (no weights), FIN-010 (not a PDF), FIN-011 (no statement found), DOC-001 to DOC-005, and DOC-007
    (password), DOC-008, DOC-012 to DOC-014 (a PDF that cannot be read).
    """
    report = read_statements(path)
    started = time.monotonic()
    statements = tagged(report.statements, load(weights.part(PART)))
    seconds = round(report.seconds + time.monotonic() - started, 2)
    return report.model_copy(update={"statements": statements, "seconds": seconds})


def read_statements(path: str | Path) -> Report:
    """The primary statements without elements; raises as ``parse``, less FIN-001."""
    started = time.monotonic()
    data = file_bytes(Path(path))
    if sniff.media_type(data, Path(path).suffix.lower()) != sniff.PDF:
        raise DoyenError("FIN-010", "the file is no PDF.", "Print the report to PDF.")
    # PDFium mends a file that is cut short by dropping its last pages without a word.
    if b"%%EOF" not in data[-16_384:]:
        raise DoyenError(*ERRORS["truncated"])
    texts = page_texts(data)
    numbers = statement_pages(texts)
    pages = read_pages(data, numbers) if numbers else []
    statements = find_statements(pages, report_end(texts))
    if not statements:
        without_text = sum(len(text.strip()) < MIN_TEXT for text in texts)
        raise DoyenError(
            "FIN-011",
            f"no statement was found on {len(texts)} pages, {without_text} of them without text.",
            "Pages without text need OCR; a statement needs its title on a line of its own.",
        )
    used = {page for statement in statements for page in statement.pages}
    return Report(
        name=Path(path).name, sha256=hashlib.sha256(data).hexdigest(), page_count=len(texts), statements=statements,
        pages=tuple(PageSize(number=p.number, width=p.width, height=p.height) for p in pages if p.number in used),
        seconds=round(time.monotonic() - started, 2),
    )  # fmt: skip


def statement_pages(texts: Sequence[str]) -> list[int]:
    """Numbers (from 1) of the pages that may hold statements: with a title on a line, and those of numbers after it."""
    wanted: set[int] = set()
    for index, text in enumerate(texts):
        lines = text.splitlines()
        pairs = [f"{a} {b}" for a, b in pairwise(lines) if _OPEN_TITLE.search(a)]
        if not any(title_of(line) for line in [*lines, *pairs]):
            continue
        wanted.add(index + 1)
        for following in range(index + 1, min(index + 1 + FOLLOWING, len(texts))):
            if following > index + 1 and len(_AMOUNT.findall(texts[following])) < MANY_AMOUNTS:
                break
            wanted.add(following + 1)
    return sorted(wanted)[:MAX_PAGES]


def read_pages(data: bytes, numbers: Sequence[int]) -> list[PageLines]:
    """The lines of pages, in the direction that most of their text has."""
    return [_page(record) for record in page_records(data, "--rules", "--pages", ",".join(map(str, numbers)))]


def _page(record: dict[str, Any]) -> PageLines:
    frames = record["words"]
    turn = max(frames, key=lambda name: len(frames[name]), default="0")
    words = [Word(*word) for word in frames.get(turn, [])]
    level = () if turn != "0" else _level_rules(record["rules"])
    return PageLines(record["number"], find_lines(words), int(turn), record["width"], record["height"], level)


def _level_rules(rules: Sequence[Sequence[float]]) -> tuple[Rule, ...]:
    return tuple(Rule(x0, x1, top) for x0, top, x1, bottom, _ in rules if bottom - top < 1)


def report_end(texts: Sequence[str]) -> date | None:
    """The last day of the period that the cover names."""
    for text in texts[:3]:
        for found in _PERIOD_END.finditer(" ".join(text.split())):
            for phrase in phrases(found["day"]):
                if end := ColumnTime(month=phrase.month, day=phrase.day, year=phrase.year).end:
                    return end
    return None


def find_statements(pages: Sequence[PageLines], end: date | None) -> tuple[Statement, ...]:
    """The primary statements on pages; ``end`` is the report's last day, for columns that say a fiscal year only."""
    segments = [_with_scope(segment) for segment in find_segments(pages) if is_statement(segment)]
    drafts = fill_years([draft(segment) for segment in primary(segments)], end)
    scales = Counter(d.units for d in drafts if d.units)
    fallback = scales.most_common(1)[0][0] if scales else None
    known = known_days(drafts)
    return tuple(checked(statement_of(d, fallback, known)) for d in drafts)


def is_statement(segment: Segment) -> bool:
    """Whether a segment's rows are those of its kind of statement."""
    rows = [row for part in segment.parts for row in part.rows]
    labels = " \n".join(row.label for row in rows)
    return (
        sum(bool(row.cells) for row in rows) >= MIN_ROWS
        and _SIGNATURES[segment.title.kind].search(labels) is not None
    )


def _with_scope(segment: Segment) -> Segment:
    about = " ".join([*segment.titles, segment.text, *(line.text for line in segment.parts[0].headings[:3])])
    if _PARENT.search(about) and segment.title.kind != "equity":
        segment.title = segment.title._replace(scope="parent")
    return segment


def primary(segments: Sequence[Segment]) -> list[Segment]:
    """The run of neighbouring segments with the most kinds of statement, then rows; parent-only ones stay too."""
    runs: list[list[Segment]] = []
    for segment in segments:
        if runs and segment.parts[0].page.number - runs[-1][-1].parts[-1].page.number <= NEAR_PAGES:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    if not runs:
        return []

    def weight(run: Sequence[Segment]) -> tuple[int, int]:
        kinds = {s.title.kind for s in run if s.title.scope == "consolidated"}
        return len(kinds), sum(len(part.rows) for s in run for part in s.parts)

    best = max(runs, key=weight)
    others = [[s for s in run if s.title.scope == "parent"] for run in runs if run is not best]
    return [*best, *(s for run in others if len({s.title.kind for s in run}) > 1 for s in run)]
