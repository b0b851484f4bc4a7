"""Headings above columns: which piece of heading belongs to which columns, and the time that each column means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from doyen_finance.statements.layout import Column, Line, Piece
from doyen_finance.statements.periods import ColumnTime, Phrase, phrases


@dataclass(frozen=True, slots=True)
class _Placed:
    phrase: Phrase
    x0: float
    x1: float

    @property
    def center(self) -> float:
        return (self.x0 + self.x1) / 2


def column_times(lines: Sequence[Line], columns: Sequence[Column]) -> list[ColumnTime]:
    """The time of each column by the heading lines above it, top to bottom.

    A line with as many phrases of a sort as there are columns gives one to each; with fewer, each column takes the
    nearest, for a banner is centred over the columns that it spans. What stands left of the columns, as in "Years
    ended December 31", holds for all of them.
    """
    default = ColumnTime()
    times = [ColumnTime() for _ in columns]
    if not columns:
        return times
    single = _one_date_each(lines, columns)
    for index, phrase in single.items():
        times[index] = times[index].with_phrase(phrase)
    for line in lines:
        for sort in ("months", "date", "year", "relative"):
            if sort == "date" and single:
                continue
            placed = [p for p in _place(line) if _sort(p.phrase) == sort]
            inside = [p for p in placed if p.x1 > columns[0].left - 4]
            title = _is_title(line, columns)
            if not inside or title:
                for p in placed:
                    if sort in ("months", "date"):
                        default = default.with_phrase(p.phrase)
                        if title and sort == "date":
                            default = replace(default, year=None)
                continue
            if sort == "year":
                _give_years(inside, columns, times)
            else:
                for index, column in enumerate(columns):
                    times[index] = times[index].with_phrase(
                        _for_column(inside, column, index, len(columns)).phrase
                    )
    if len(columns) == 1 and times[0].year is None:
        times = [times[0].or_default(_with_year(lines, default))]
    years = [phrase.year for line in lines for phrase in phrases(line.text) if phrase.year]
    return [_resolved(time.or_default(default), years[0] if years else None) for time in times]


def _resolved(time: ColumnTime, year: int | None) -> ColumnTime:
    """With the year, and the day, of "期末余额" or "上期发生额", counted from the year that the headings name."""
    if time.relative is None or time.year is not None or year is None:
        return time
    if time.months is None and time.relative < 0:  # an opening balance is that of the last year's end
        return replace(time, year=year - 1, month=12, day=31)
    month, day = (time.month, time.day) if time.month else (time.months or 12, 31)
    return replace(time, year=year + time.relative, month=month, day=day)


def _one_date_each(lines: Sequence[Line], columns: Sequence[Column]) -> dict[int, Phrase]:
    """Dates that stand one above each column, if on lines of their own ("At December 31," breaks, its neighbour not)."""
    dates = [p for line in lines for p in _place(line) if p.phrase.month and p.x1 > columns[0].left - 4]
    if len(dates) != len(columns) or len(columns) < 2:
        return {}
    nearest = {
        min(range(len(columns)), key=lambda i: abs(columns[i].center - p.center)): p.phrase for p in dates
    }
    return nearest if len(nearest) == len(columns) else {}


def _with_year(lines: Sequence[Line], default: ColumnTime) -> ColumnTime:
    years = [p.year for line in lines for p in phrases(line.text) if p.year]
    return replace(default, year=years[0]) if years else default


def _is_title(line: Line, columns: Sequence[Column]) -> bool:
    """Whether a line is centred over the page and not over its columns: it begins left of them and runs into them."""
    return line.words[0].x0 < columns[0].left - 12 and len(columns) > 0 and _gapless(line)


def _gapless(line: Line) -> bool:
    words = line.words
    return all(b.x0 - a.x1 < 0.8 * (a.bottom - a.top) for a, b in pairwise(words))


def _sort(phrase: Phrase) -> str:
    if phrase.months is not None:
        return "months"
    if phrase.month is not None:
        return "date"
    return "relative" if phrase.relative is not None else "year"


def _place(line: Line) -> list[_Placed]:
    """The phrases of a line with where they stand; words apart by more than a space never make one phrase."""
    placed: list[_Placed] = []
    for run in _runs(line.words):
        text, starts = "", []
        for word in run:
            text += " " if text else ""
            starts.append(len(text))
            text += word.text
        for phrase in phrases(text):
            first = max(i for i, start in enumerate(starts) if start <= phrase.start)
            last = max(i for i, start in enumerate(starts) if start < phrase.end)
            placed.append(_Placed(phrase, run[first].x0, run[last].x1))
    return placed


def _runs(words: Sequence[Piece]) -> list[list[Piece]]:
    runs: list[list[Piece]] = []
    for word in words:
        if runs and word.x0 - runs[-1][-1].x1 < 0.9 * (word.bottom - word.top):
            runs[-1].append(word)
        else:
            runs.append([word])
    return runs


def _for_column(placed: Sequence[_Placed], column: Column, index: int, count: int) -> _Placed:
    if count % len(placed) == 0:
        return placed[index * len(placed) // count]
    return min(placed, key=lambda p: abs(p.center - column.center))


def _give_years(placed: Sequence[_Placed], columns: Sequence[Column], times: list[ColumnTime]) -> None:
    """Years to columns: one each where the numbers match, else the year right above a column, else the nearest."""
    if len(placed) == len(columns):
        for index, p in enumerate(placed):
            times[index] = times[index].with_phrase(p.phrase)
        return
    lacking = [i for i, time in enumerate(times) if time.year is None]
    if len(placed) == len(lacking):
        for index, p in zip(lacking, placed, strict=True):
            times[index] = times[index].with_phrase(p.phrase)
        return
    for index in lacking:
        nearest = min(placed, key=lambda p: abs(p.center - columns[index].center))
        times[index] = times[index].with_phrase(nearest.phrase)


def column_labels(lines: Sequence[Line], columns: Sequence[Column]) -> list[str]:
    """The words of the headings above each column, top to bottom; a word over two columns goes to the nearest."""
    labels: list[list[str]] = [[] for _ in columns]
    for line in lines:
        for run in _runs(line.words):
            x0, x1 = run[0].x0, run[-1].x1
            if not columns or x1 < columns[0].left - 4 or (x0 < columns[0].left - 40 and len(columns) > 1):
                continue
            over = [i for i, c in enumerate(columns) if x0 < c.edge + 2 and x1 > c.left - 2]
            if not over:
                over = [min(range(len(columns)), key=lambda i: abs(columns[i].center - (x0 + x1) / 2))]
            for index in over:
                labels[index].append(" ".join(word.text for word in run))
    return [" ".join(parts) for parts in labels]
