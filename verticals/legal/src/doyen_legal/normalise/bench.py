"""How often the normalisers agree with CUAD's reviewers: ``python -m doyen_legal.normalise.bench --data DIR``.

CUAD's answer columns hold the reviewers' own normalised values beside the quoted text. Each field is read from
the quotes alone; the reviewers also looked elsewhere in the contract, so the ceiling is below one.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from doyen_legal.corpora import open_text
from doyen_legal.normalise import (
    add_duration,
    approximate_days,
    find_dates,
    find_durations,
    find_governing_laws,
    find_jurisdictions,
)
from doyen_schemas import DoyenError

Row = dict[str, Any]
_FILE: Final = Path("legal/cuad/answers_train_dev.jsonl.gz")
_PERPETUAL = "perpetual"


def bench(data: Path) -> dict[str, dict[str, Any]]:
    """Agreement per field over the rows whose answer can be normalised and that quote something.

    ``data`` is the data folder or the answers file. Each field has ``n``, ``agree``, ``agreement`` and
    ``differences`` (contract id, gold and read value). Raises LEG-001 where the file is not there, LEG-010
    where a line is no answers row.
    """
    path = data / _FILE if data.is_dir() else data
    with open_text(path) as file:
        rows = [_row(line, number, path) for number, line in enumerate(file, start=1) if line.strip()]
    return {field: _compare(rows, field, *readers) for field, readers in _FIELDS.items()}


def _row(line: str, number: int, path: Path) -> Row:
    try:
        row = json.loads(line)
        missing = [field for field in _FIELDS if field not in row or _answer_column(field) not in row]
    except (ValueError, TypeError):
        row, missing = {}, ["JSON object"]
    if missing:
        raise DoyenError(
            "LEG-010",
            f"line {number} of {path.name} has no {missing[0]!r}.",
            "Give the file of CUAD's answers, one JSON object a line with its columns.",
        )
    return dict(row)


def _compare(
    rows: list[Row], field: str, gold_of: Callable[[str], str | None], read: Callable[[Row, str], str | None]
) -> dict[str, Any]:
    agree, differences = 0, []
    for row in rows:
        gold, quotes = gold_of(row[_answer_column(field)]), _quotes(row, field)
        if gold is None or not quotes:
            continue
        value = read(row, quotes)
        if _same(field, gold, value):
            agree += 1
        else:
            differences.append({"id": row.get("id", ""), "gold": gold, "read": value})
    n = agree + len(differences)
    return {
        "n": n,
        "agree": agree,
        "agreement": round(agree / n, 4) if n else None,
        "differences": differences,
    }


def _same(field: str, gold: str, value: str | None) -> bool:
    if value is None:
        return False
    if field == "Expiration Date" and _PERPETUAL not in (gold, value):
        # Reviewers count "one year from 1 May" to 30 April or to 1 May.
        first, second = (find_dates(text) for text in (gold, value))
        days = [int(m[0].value.text.replace("-", "")) for m in (first, second) if m]
        return gold == value or (len(days) == 2 and _days_apart(gold, value) <= 1)
    if field in ("Renewal Term", "Notice Period To Terminate Renewal"):
        # "12 months" is "1 year".
        return any(
            abs(approximate_days(g) - approximate_days(v)) < 0.5
            for g in gold.split(";")
            for v in value.split(";")
        )
    return gold == value


def _days_apart(first: str, second: str) -> int:
    from datetime import date

    try:
        return abs((date.fromisoformat(first) - date.fromisoformat(second)).days)
    except ValueError:
        return 9999


def _answer_column(field: str) -> str:
    return f"{field}- Answer" if field.startswith("Notice") else f"{field}-Answer"


def _quotes(row: Row, field: str) -> str:
    return "\n".join(str(quote) for quote in ast.literal_eval(row[field] or "[]"))


def _gold_date(answer: str) -> str | None:
    if answer.strip().lower() == _PERPETUAL:
        return _PERPETUAL
    dates = find_dates(answer)
    return dates[0].value.text if dates else None


def _gold_day(answer: str) -> str | None:
    value = _gold_date(answer)
    return None if value == _PERPETUAL else value


def _gold_duration(answer: str) -> str | None:
    # "succesive 5 year", "2 5 years", "60) days": the reviewers' free hand.
    durations = find_durations(re.sub(r"succ?e?s+ive", "successive", answer, flags=re.I))
    return ";".join(mention.value.text for mention in durations) or None


def _gold_law(answer: str) -> str | None:
    laws = find_jurisdictions(answer)
    return laws[0].value.text if laws else None


def _read_date(_row: Row, quotes: str) -> str | None:
    dates = find_dates(quotes)
    return max(dates, key=lambda mention: len(mention.value.text)).value.text if dates else None


def _read_expiration(row: Row, quotes: str) -> str | None:
    """The last date of the clause, else its first duration counted from the effective or agreement date."""
    start = next(
        (
            found
            for field in ("Effective Date", "Agreement Date")
            if (found := _read_date(row, _quotes(row, field))) and len(found) == 10
        ),
        None,
    )
    days = [m.value.text for m in find_dates(quotes) if len(m.value.text) == 10]
    later = [day for day in days if start is None or day > start]
    if later:
        return later[-1]
    durations = [m for m in find_durations(quotes) if approximate_days(m.value.text) >= 28]
    if durations:
        base = days[0] if days else start
        if base is None:
            return None
        from datetime import date

        return add_duration(date.fromisoformat(base), durations[0].value.text).isoformat()
    return _PERPETUAL if start or not days else None


def _read_durations(_row: Row, quotes: str) -> str | None:
    return ";".join(mention.value.text for mention in find_durations(quotes)) or None


def _read_law(_row: Row, quotes: str) -> str | None:
    laws = find_governing_laws(quotes) or find_jurisdictions(quotes)
    return laws[0].value.text if laws else None


_FIELDS: Final[dict[str, tuple[Callable[[str], str | None], Callable[[Row, str], str | None]]]] = {
    "Agreement Date": (_gold_day, _read_date),
    "Effective Date": (_gold_day, _read_date),
    "Expiration Date": (_gold_date, _read_expiration),
    "Renewal Term": (_gold_duration, _read_durations),
    "Notice Period To Terminate Renewal": (_gold_duration, _read_durations),
    "Governing Law": (_gold_law, _read_law),
}


def main(arguments: list[str] | None = None) -> int:
    """Print the agreement per field, as a table or as one JSON object; 2 where the data cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m doyen_legal.normalise.bench", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder, or the answers file")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--differences", action="store_true", help="list the rows that disagree")
    options = parser.parse_args(arguments)
    try:
        result = bench(options.data)
    except DoyenError as error:
        print(error, file=sys.stderr)
        return 2
    if not options.differences:
        for figures in result.values():
            del figures["differences"]
    if options.json:
        print(json.dumps(result))
        return 0
    for field, figures in result.items():
        print(f"{field:36} {figures['agree']:4d} of {figures['n']:4d}  {figures['agreement']:.3f}")
        for difference in figures.get("differences", ()):
            print(f"    {difference['gold']!s:28} read {difference['read']!s:28} {difference['id'][:60]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
