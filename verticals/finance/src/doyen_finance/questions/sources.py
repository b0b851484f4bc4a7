"""What a question may be asked of: a report that was parsed or is a PDF, or a table with paragraphs as JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_finance.questions.model import Context, Place
from doyen_finance.questions.tables import read_table, whole
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.statements.model import Report, Statement

MAX_BYTES: Final = 50_000_000
MAX_PARAGRAPHS: Final = 200
MAX_CHARACTERS: Final = 20_000


def read_contexts(path: Path) -> list[Context]:
    """The tables of a file with values in them: statements of a report, or one table with its paragraphs.

    Raises FIN-086 (unreadable or of no known form), FIN-087 (no table with values), and for a PDF what the parser raises.
    """
    if path.suffix.lower() == ".pdf":
        from doyen_finance.statements.parse import parse

        contexts = of_report(parse(path))
    else:
        contexts = _of_file(path)
    contexts = [context for context in contexts if context.table.rows]
    if not contexts:
        raise DoyenError(
            "FIN-087",
            f"{path.name} has no table with values to ask about.",
            "Give a report with statements, or a table whose first column holds the labels.",
        )
    return contexts


def of_report(report: Report) -> list[Context]:
    """One context for each statement of a parsed report."""
    return [of_statement(statement) for statement in report.statements if statement.rows and statement.values]


def of_statement(statement: Statement) -> Context:
    """A statement as a table: its units in the corner, column headings above, each value as printed with its box."""
    position = {column.index: n for n, column in enumerate(statement.columns, start=1)}
    line = {row.index: n for n, row in enumerate(statement.rows, start=1)}
    grid = [["" for _ in range(len(position) + 1)] for _ in range(len(line) + 1)]
    boxes: dict[tuple[int, int], tuple[int, tuple[float, float, float, float]]] = {}
    grid[0][0] = f"({statement.units})" if statement.units else ""
    for column in statement.columns:
        period = str(column.period.end.year) if column.period else ""
        grid[0][position[column.index]] = (
            column.label if period in column.label else f"{column.label} {period}".strip()
        )
    for row in statement.rows:
        grid[line[row.index]][0] = row.label
        boxes[line[row.index], 0] = (row.box.page, (row.box.x0, row.box.top, row.box.x1, row.box.bottom))
    for value in statement.values:
        if value.row in line and value.column in position:
            place = (line[value.row], position[value.column])
            grid[place[0]][place[1]] = value.raw
            boxes[place] = (value.box.page, (value.box.x0, value.box.top, value.box.x1, value.box.bottom))
    return Context(read_table(grid, Place(boxes)), (statement.title,) if statement.title else ())


def _of_file(path: Path) -> list[Context]:
    try:
        raw = path.read_bytes()[: MAX_BYTES + 1]
        if len(raw) > MAX_BYTES:
            raise ValueError("size")
        text = raw.decode("utf-8-sig")
        if path.suffix.lower() == ".csv":
            return [Context(read_table(list(csv.reader(io.StringIO(text)))), ())]
        return _of_json(json.loads(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise DoyenError(
            "FIN-086",
            f"{path.name} cannot be read as a report or a table ({type(error).__name__}).",
            'Give a PDF, the JSON of "doyen finance parse", a CSV, or {"table": [[…]], "paragraphs": […]}.',
        ) from error


def _of_json(content: Any) -> list[Context]:
    if isinstance(content, dict) and "statements" in content:
        from doyen_finance.statements.model import Report

        return of_report(Report.model_validate(content))
    paragraphs: Any = []
    if isinstance(content, dict):
        paragraphs, content = content.get("paragraphs", []), content["table"]
        content = content["table"] if isinstance(content, dict) else content
    if not isinstance(content, list) or not all(isinstance(row, list) for row in content):
        raise ValueError("no rows")
    texts = [str(p["text"]) if isinstance(p, dict) else str(p) for p in paragraphs[:MAX_PARAGRAPHS]]
    grid = [["" if cell is None else str(cell) for cell in row] for row in content]
    return [Context(read_table(grid), tuple(whole(text[:MAX_CHARACTERS]) for text in texts))]
