"""What the ranker sees of a candidate: how its rows, columns, years, operation and text meet the question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np

from doyen_finance.questions.candidates import FAMILIES, is_total, wanted_years
from doyen_finance.questions.model import Column, Context, Program, Row
from doyen_finance.questions.numbers import read_number, years_of
from doyen_finance.questions.spans import Sentence
from doyen_finance.questions.words import ASKING, Question, content, words

_NAMES: Final = (
    "row_recall", "row_share", "row_wide_recall", "row_phrase", "row_best", "row_margin", "row_path", "row_count",
    "row_signal", "row_signal_margin", "row_signal_worst", "total", "total_asked", "unlabelled",
    "column_recall", "column_words", "column_signal", "column_count", "column_unasked",
    "years_equal", "years_missing", "years_extra", "years_none_asked", "years_whole_series", "year_latest", "years_ordered",
    "first_newer", "first_named_earlier", "first_larger", "second_total", "uncovered", "percent", "percent_asked",
    "change_column", "change_column_asked", "zero", "many", "same_row", "same_column", "named_all",
    "label_is_year", "asks_year", "asks_many", "respectively", "selector_family", "extreme_agrees", "extreme_disagrees", "over_rows",
    "heading_met", "group_all", "group_has_total", "threshold", "both", "years_word",
    "text_score", "text_rank", "text_first", "text_whole", "text_number", "text_from_start", "text_to_end", "text_words",
    "text_log_words", "text_overlap", "text_before", "text_year", "text_signal", "text_signal_least", "text_signal_margin",
    "asks_why", "asks_when", "asks_how_much", "asks_how_many", "text_cue", "text_starts_capital", "from_text",
)  # fmt: skip
NAMES: Final = (*(f"is_{name}" for name in FAMILIES), "family", *_NAMES)
_CHANGE: Final = re.compile(
    r"change|%|percent|variance|difference|increase|decrease| vs\.? | over |growth", re.IGNORECASE
)
_HIGH: Final = re.compile(
    r"\b(?:highest|largest|greatest|most|higher|larger|greater|biggest|maximum|more)\b", re.IGNORECASE
)
_LOW: Final = re.compile(
    r"\b(?:lowest|smallest|least|lower|smaller|fewer|fewest|minimum|less)\b", re.IGNORECASE
)
_CUE: Final = re.compile(
    r"(?:is|are|was|were|due to|because(?: of)?|represents?|includes?|including|of|comprises?|by|as|to|refers to|means|at|using|on|that|was|totaled)\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Signals:
    """What the tuned encoder says: a score a row, a column (by index), and of spans and sentences of the text."""

    families: Mapping[str, float] = field(default_factory=dict)
    rows: Mapping[int, float] = field(default_factory=dict)
    columns: Mapping[int, float] = field(default_factory=dict)
    starts: Mapping[tuple[int, int], float] = field(default_factory=dict)
    ends: Mapping[tuple[int, int], float] = field(default_factory=dict)


_years = lru_cache(maxsize=16384)(years_of)


@lru_cache(maxsize=65536)
def _find(phrase: tuple[str, ...], text: tuple[str, ...]) -> int:
    """Where ``phrase`` begins in ``text``, in words; -1 when it does not stand there."""
    size = len(phrase)
    return next((i for i in range(len(text) - size + 1) if text[i : i + size] == phrase), -1) if size else -1


class Reader:
    """The features of all candidates of one question; rows and columns are looked at once."""

    def __init__(
        self,
        question: Question,
        context: Context,
        scores: Mapping[int, float],
        sentences: Sequence[Sentence],
        families: Mapping[str, float],
        signals: Signals,
    ) -> None:
        self.question, self.context, self.scores, self.signals = question, context, scores, signals
        self.families = families
        self.table = context.table
        self.sentences = sentences
        self.words = words(question.text)
        self.low = question.text.lower()
        self.row_of = {row.index: row for row in self.table.rows}
        self.column_of = {column.index: column for column in self.table.columns}
        self.best_row = max(scores.values(), default=0.0)
        self.top_signal = max(signals.rows.values(), default=0.0)
        self.all_years = sorted(
            {y for c in self.table.columns for y in c.years} | {y for r in self.table.rows for y in r.years}
        )
        self.asked = wanted_years(question)
        self.wanted = question.content - ASKING
        self.rows = {row.index: self._row(row) for row in self.table.rows}
        self.columns = {column.index: self._column(column) for column in self.table.columns}
        self.row_parts: dict[tuple[int, ...], dict[str, float]] = {}
        self.column_parts: dict[tuple[int, ...], dict[str, float]] = {}
        self.year_parts: dict[tuple[tuple[int, ...], tuple[int, ...]], dict[str, float]] = {}
        self.seen: dict[tuple[tuple[int, ...], tuple[int, ...]], frozenset[str]] = {}
        self.asks_change = float(bool(_CHANGE.search(self.low)))
        self.high, self.low_asked = bool(_HIGH.search(self.low)), bool(_LOW.search(self.low))
        self.constant = self._constant()
        self.silent = -12.0 if signals.starts else 0.0
        self.best_span = max(signals.starts.values(), default=0.0) + max(signals.ends.values(), default=0.0)

    def matrix(self, programs: Sequence[Program]) -> np.ndarray:
        """Features [len(programs), len(NAMES)], float32."""
        out = np.zeros((len(programs), len(NAMES)), dtype=np.float32)
        for name, value in self.constant.items():
            out[:, _INDEX[name]] = value
        for row, program in zip(out, programs, strict=True):
            named = self._features(program)
            row[[_INDEX[name] for name in named]] = list(named.values())
        return out

    def _row(self, row: Row) -> dict[str, float]:
        own, wide = content(row.label), content(row.label) | content(" ".join(row.path))
        asked = self.question.content
        phrase = tuple(w for w in words(row.label) if not w.isdigit())
        return {
            "recall": len(own & asked) / max(1, len(own)),
            "share": len(own & asked) / max(1, len(self.wanted)),
            "wide": len(wide & asked) / max(1, len(wide)),
            "phrase": float(_find(phrase, self.words) >= 0),
            "position": float(_find(phrase, self.words)),
            "score": self.scores[row.index],
            "path": len(content(" ".join(row.path)) & asked) / max(1, len(content(" ".join(row.path)))),
            "total": float(is_total(row)),
            "unlabelled": float(not row.label),
            "signal": self.signals.rows.get(row.index, 0.0),
        }

    def _column(self, column: Column) -> dict[str, float]:
        own = content(column.header)
        return {
            "recall": len(own & self.question.content) / max(1, len(own)) if own else 0.0,
            "words": float(len(own)),
            "unasked": float(len(own - self.question.content)),
            "change": float(bool(_CHANGE.search(column.header))),
            "signal": self.signals.columns.get(column.index, 0.0),
        }

    def _constant(self) -> dict[str, float]:
        text = self.low
        return {
            "years_none_asked": float(not self.asked),
            "percent_asked": float("percent" in text or "%" in text or "proportion" in text),
            "asks_year": float(bool(re.search(r"\b(?:which|what|in) (?:fy|year|fiscal year)\b", text))),
            "asks_many": float(
                bool(re.search(r"\b(?:years|items|components|types|which .*s are|what are)\b", text))
            ),
            "respectively": float("respective" in text),
            "both": float("both" in text or " and " in text),
            "years_word": float(bool(re.search(r"\byears\b", text))),
            "threshold": float(self.question.above is not None or self.question.below is not None),
            "asks_why": float(bool(re.search(r"\bwhy\b|reason|caus|due to|drive|led to|factor", text))),
            "asks_when": float(bool(re.search(r"\bwhen\b|what date", text))),
            "asks_how_much": float(
                bool(re.search(r"how much|amount|what (?:is|was) the (?:total|value)", text))
            ),
            "asks_how_many": float("how many" in text),
        }

    def _features(self, program: Program) -> dict[str, float]:
        if program.cells and program.cells[0].span is not None:
            named = self._text_numbers(program)
        elif program.spans:
            named = self._text(program)
        else:
            named = self._table(program)
        named[f"is_{program.operation}"] = 1.0
        named["family"] = self.families.get(program.operation, 0.0)
        named["selector_family"] = self.signals.families.get(program.operation, 0.0)
        return named

    def _table(self, program: Program) -> dict[str, float]:
        cells = (
            program.cells
            if program.operation not in ("extreme", "filter", "count")
            else program.basis or program.cells
        )
        rows = tuple(dict.fromkeys(cell.row for cell in cells))
        columns = tuple(dict.fromkeys(cell.column for cell in cells))
        across = len(rows) <= 1
        if not cells and program.labels:
            rows = tuple(r for r, c in program.labels if c == 0 and r in self.rows)
            columns = tuple(c for _, c in program.labels if c in self.columns)
        named = (
            self._rows_part(rows)
            | self._columns_part(columns)
            | self._years(rows, columns)
            | self._order(program)
        )
        named["many"] = len(program.parts) - 1.0
        named["same_row"], named["same_column"] = float(across), float(len(columns) <= 1)
        seen = self._seen(rows, columns)
        if program.labels:
            seen = seen.union(*(content(self.table.grid[r][c]) for r, c in program.labels))
        named["uncovered"] = len(self.wanted - seen) / max(1, len(self.wanted))
        if cells:
            named["percent"] = sum(cell.number.percent for cell in cells) / len(cells)
            named["zero"] = float(any(not cell.number.value for cell in cells))
        if program.detail:
            named |= self._direction(program.detail.split()[0])
        named["over_rows"] = float(not across)
        named["label_is_year"] = float(all(len(_years(part)) == 1 for part in program.parts))
        if program.operation in ("labels", "count", "label") and program.labels:
            named |= self._group(program)
        return named

    def _rows_part(self, rows: tuple[int, ...]) -> dict[str, float]:
        if not rows:
            return {}
        if rows not in self.row_parts:
            rated = [self.rows[r] for r in rows]
            mean = {key: sum(row[key] for row in rated) / len(rated) for key in rated[0]}
            signals = [row["signal"] for row in rated]
            self.row_parts[rows] = {
                "row_recall": mean["recall"], "row_share": mean["share"], "row_wide_recall": mean["wide"],
                "row_phrase": mean["phrase"], "row_best": float(max(row["score"] for row in rated) >= self.best_row),
                "row_margin": self.best_row - mean["score"], "row_path": mean["path"], "row_count": float(min(len(rows), 8)),
                "row_signal": mean["signal"], "row_signal_worst": min(signals),
                "row_signal_margin": self.top_signal - max(signals), "total": mean["total"],
                "total_asked": mean["total"] * float("total" in self.low), "unlabelled": mean["unlabelled"],
                "named_all": float(all(row["phrase"] for row in rated)),
            }  # fmt: skip
        return self.row_parts[rows]

    def _columns_part(self, columns: tuple[int, ...]) -> dict[str, float]:
        if not columns:
            return {}
        if columns not in self.column_parts:
            over = [self.columns[c] for c in columns]
            mean = {key: sum(column[key] for column in over) / len(over) for key in over[0]}
            self.column_parts[columns] = {
                "column_recall": mean["recall"], "column_words": mean["words"], "column_unasked": mean["unasked"],
                "column_signal": mean["signal"], "column_count": float(min(len(columns), 8)),
                "change_column": mean["change"], "change_column_asked": mean["change"] * self.asks_change,
            }  # fmt: skip
        return self.column_parts[columns]

    def _seen(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> frozenset[str]:
        """The words that the rows' labels and headings and the columns' headers have."""
        if (rows, columns) not in self.seen:
            texts = [text for r in rows for text in (self.row_of[r].label, *self.row_of[r].path)]
            texts += [self.column_of[c].header for c in columns]
            self.seen[rows, columns] = frozenset().union(*map(content, texts))
        return self.seen[rows, columns]

    def _direction(self, meant: str) -> dict[str, float]:
        if meant == "second":
            asked = "second" in self.low
            return {"extreme_agrees": 2.0 * asked, "extreme_disagrees": 2.0 * (not asked)}
        agrees = (meant == "highest" and self.high) or (meant == "lowest" and self.low_asked)
        disagrees = (meant == "highest" and self.low_asked) or (meant == "lowest" and self.high)
        return {"extreme_agrees": float(agrees), "extreme_disagrees": float(disagrees)}

    def _group(self, program: Program) -> dict[str, float]:
        places = [r for r, c in program.labels if c == 0]
        paths = {self.row_of[r].path for r in places if r in self.row_of}
        met = 0.0
        if len(paths) == 1:
            heading = content(" ".join(next(iter(paths))))
            met = len(heading & self.question.content) / max(1, len(heading))
        return {
            "heading_met": met,
            "group_all": float(bool(places) and len(places) >= len(self.table.rows) - 1),
            "group_has_total": float(any(is_total(self.row_of[r]) for r in places if r in self.row_of)),
        }

    def _years(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> dict[str, float]:
        if (rows, columns) in self.year_parts:
            return self.year_parts[rows, columns]
        chosen = [y for c in columns for y in self.column_of[c].years[:1]] or [
            y for r in rows for y in self.row_of[r].years[:1]
        ]
        have, asked = set(chosen), set(self.asked)
        known = asked & set(self.all_years)
        part = {
            "years_equal": float(bool(asked) and have == known),
            "years_missing": float(len(known - have)),
            "years_extra": float(len(have - asked)) if asked else 0.0,
            "years_whole_series": float(not asked and len(have) >= 2 and have == set(self.all_years)),
            "year_latest": float(bool(have) and not asked and max(have) == max(self.all_years, default=0)),
            "years_ordered": float(len(chosen) >= 2 and chosen == self.asked),
        }
        self.year_parts[rows, columns] = part
        return part

    def _order(self, program: Program) -> dict[str, float]:
        if len(program.cells) != 2 or program.value is None:
            return {}
        a, b = program.cells
        named = {"first_larger": float(a.number.value > b.number.value)}
        first = self._year_at(a.row, a.column)
        second = self._year_at(b.row, b.column)
        if first and second:
            named["first_newer"] = float(np.sign(first - second))
        if a.row != b.row and a.row in self.rows and b.row in self.rows:
            x, y = self.rows[a.row]["position"], self.rows[b.row]["position"]
            if x >= 0 and y >= 0:
                named["first_named_earlier"] = float(np.sign(y - x))
            named["second_total"] = self.rows[b.row]["total"] - self.rows[a.row]["total"]
        return named

    def _year_at(self, row: int, column: int) -> int:
        years = self.column_of[column].years if column in self.column_of else ()
        years = years or (self.row_of[row].years if row in self.row_of else ())
        return years[0] if years else 0

    def _text_numbers(self, program: Program) -> dict[str, float]:
        ranks = []
        for cell in program.cells:
            assert cell.span is not None
            ranks.append(
                next(
                    (i for i, s in enumerate(self.sentences)
                     if s.paragraph == cell.span.paragraph and s.start <= cell.span.start < s.end), 9,
                )
            )  # fmt: skip
        a, b = program.cells[0], program.cells[-1]
        return {
            "from_text": 1.0, "text_rank": float(np.mean(ranks)), "many": len(program.parts) - 1.0, "same_row": float(ranks[0] == ranks[-1]),
            "first_larger": float(a.number.value > b.number.value), "percent": float(a.number.percent),
            "both": float(len(program.cells) == len(self.asked)), "row_count": float(len(program.cells)),
            "text_score": sum(self.sentences[r].score for r in ranks if r < len(self.sentences)) / len(ranks),
            "text_signal": sum(
                max(self.signals.starts.get((s.paragraph, s.start), self.silent) for s in (cell.span,) if s)
                for cell in program.cells
            ) / len(program.cells),
        }  # fmt: skip

    def _text(self, program: Program) -> dict[str, float]:
        span = program.spans[0]
        rank, sentence = next(
            (i, s)
            for i, s in enumerate(self.sentences)
            if s.paragraph == span.paragraph and s.start <= span.start < s.end
        )
        text = self.context.paragraphs[span.paragraph]
        inside, line = text[span.start : span.end], text[sentence.start : sentence.end]
        before, after = text[sentence.start : span.start], text[span.end : sentence.end].strip(" .;")
        own = content(inside)
        count = len(inside.split())
        start = self.signals.starts.get((span.paragraph, span.start), self.silent)
        end = self.signals.ends.get((span.paragraph, span.end), self.silent)
        return {
            "text_score": sentence.score, "text_rank": float(rank), "text_first": float(rank == 0),
            "text_whole": float(not before.strip() and not after), "text_number": float(read_number(inside) is not None),
            "text_from_start": float(not before.strip()), "text_to_end": float(not after),
            "text_words": count / 20, "text_log_words": float(np.log1p(count)),
            "text_overlap": len(own & self.wanted) / max(1, len(own)),
            "text_before": len(content(before) & self.wanted) / max(1, len(self.wanted)),
            "text_year": float(any(str(y) in line for y in self.question.years)),
            "text_cue": float(bool(_CUE.search(before))), "text_starts_capital": float(inside[:1].isupper()),
            "text_signal": start + end, "text_signal_least": min(start, end),
            "text_signal_margin": self.best_span - start - end,
            "uncovered": len(self.wanted - content(line)) / max(1, len(self.wanted)),
        }  # fmt: skip


_INDEX: Final = {name: i for i, name in enumerate(NAMES)}
