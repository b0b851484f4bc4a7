"""Leak tests for any strategy: what may not matter is changed, and no score up to that day may change.

A strategy is a function from the long panel (``panel.PANEL_COLUMNS``) to scores by (trade_date, ts_code). It is run
again on panels whose days after a cut are shuffled, blown up or cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from doyen_finance.backtest.figures import daily_ic, ic_figures
from doyen_finance.backtest.panel import KEY, PANEL_COLUMNS, Panel, wide, wide_scores
from doyen_finance.backtest.result import TOO_GOOD
from doyen_schemas import DoyenError

Strategy = Callable[[pd.DataFrame], pd.Series]
Check = Literal[
    "duplicated_rows", "members_only", "point_in_time", "future_permuted", "scaler", "embargo", "label_free", "rank_ic",
    "columns", "planted_future",
]  # fmt: skip

_AHEAD: Final = 40
"""Trading days that are kept after a cut: enough for any label to reach into."""
_TOLERANCE: Final = 1e-6
"""Of the scores' deviation: rounding, not knowledge."""


@dataclass(frozen=True)
class Finding:
    """One check: what was found, what is allowed, and one sentence."""

    check: Check
    passed: bool
    value: float
    limit: float
    note: str


def audit(
    predict: Strategy, panel: pd.DataFrame, spells: pd.DataFrame | None = None, seed: int = 0
) -> list[Finding]:
    """Check a strategy for leaks; about nine runs of it.

    ``panel`` as ``panel_frame`` makes it, with own factors in columns that begin with ``x_``. ``spells``: membership to
    hold the panel against. Raises FIN-067 (no panel, or the strategy gives no scores by date and stock).
    """
    _check_panel(panel)
    twice = int(panel.duplicated(KEY).sum())
    findings = [Finding("duplicated_rows", twice == 0, twice, 0, "rows of the panel that are there twice.")]
    if twice:
        return findings
    panel = panel.sort_values(KEY, ignore_index=True)
    made = wide(panel)
    base = _scores(predict, panel)
    days = pd.DatetimeIndex(np.unique(base.index.get_level_values(0)))
    if len(days) < 4:
        raise DoyenError(
            "FIN-067", f"the strategy scored {len(days)} days, at least 4 needed.", "Give a longer panel."
        )
    findings += [
        _members_only(base, made),
        *_point_in_time(panel, spells),
        _rank_ic(base, made),
        _columns(made),
    ]
    inside, refit = _cuts(days)
    findings += [
        _unchanged("future_permuted", base, predict, [(permuted(panel, inside, seed), inside)],
                   "everything after a day shuffled: scores up to that day that changed or went missing."),
        _unchanged("scaler", base, predict, [(blown_up(panel, cut, seed), cut) for cut in (inside, refit)],
                   "later prices and volumes blown up: a scaler that saw them would change earlier scores."),
        _unchanged("embargo", base, predict, [(permuted(panel, refit, seed), refit)],
                   "everything after the first day of a quarter shuffled: a refit whose labels reach past it would change."),
        _unchanged("label_free", base, predict, [(panel[panel["trade_date"] <= refit], refit)],
                   "the file cut off at a day, so that its label is unknown: its rows must be scored all the same."),
        _planted(predict, base, panel, made, inside, seed),
    ]  # fmt: skip
    return findings


def permuted(panel: pd.DataFrame, cut: pd.Timestamp, seed: int) -> pd.DataFrame:
    """The panel up to some days after ``cut``; later rows of each stock, membership included, in random order."""
    kept, later = _around(panel, cut)
    rng = np.random.default_rng(seed)
    stock = pd.factorize(kept.loc[later, "ts_code"])[0]
    place = np.lexsort((np.arange(len(stock)), stock))
    source = np.lexsort((rng.random(len(stock)), stock))
    rows = np.flatnonzero(later)
    order = np.arange(len(kept))
    order[rows[place]] = rows[source]
    shuffled = kept.iloc[order].reset_index(drop=True)
    return shuffled.assign(**{name: kept[name] for name in KEY})


def blown_up(panel: pd.DataFrame, cut: pd.Timestamp, seed: int) -> pd.DataFrame:
    """The panel up to some days after ``cut``; later prices times random factors, later volumes times ten."""
    kept, later = _around(panel, cut)
    rng = np.random.default_rng(seed)
    factor = np.exp(rng.normal(0, 0.5, int(later.sum())))
    changed = kept.copy()
    for name in ("open", "high", "low", "close"):
        changed.loc[later, name] = kept.loc[later, name] * factor
    for name in ("volume_lots", "amount_kcny"):
        changed.loc[later, name] = kept.loc[later, name] * 10
    return changed


def _around(panel: pd.DataFrame, cut: pd.Timestamp) -> tuple[pd.DataFrame, np.ndarray]:
    days = np.unique(panel["trade_date"].to_numpy())
    last = days[min(np.searchsorted(days, cut.to_datetime64()) + _AHEAD, len(days) - 1)]
    kept = panel[panel["trade_date"] <= last].reset_index(drop=True)
    return kept, (kept["trade_date"] > cut).to_numpy()


def _check_panel(panel: pd.DataFrame) -> None:
    absent = [name for name in PANEL_COLUMNS if name not in panel.columns]
    if absent or panel.empty:
        raise DoyenError(
            "FIN-067",
            f"the panel lacks {absent[0] if absent else 'rows'}.",
            "Make it with panel_frame(bars, spells).",
        )


def _scores(predict: Strategy, panel: pd.DataFrame) -> pd.Series:
    scores = predict(panel.copy())
    if not isinstance(scores, pd.Series) or scores.index.nlevels != 2 or scores.index.has_duplicates:
        raise DoyenError(
            "FIN-067", "the strategy gave no scores by trade_date and ts_code, one a row.",
            "Return a pandas Series with that index.",
        )  # fmt: skip
    known = pd.MultiIndex.from_frame(panel[KEY])
    if not scores.index.isin(known).all():
        raise DoyenError(
            "FIN-067",
            "the strategy scored rows that the panel does not have.",
            "Score the panel's rows only.",
        )
    return scores[np.isfinite(scores.to_numpy(float))].astype(float).sort_index()


def _cuts(days: pd.DatetimeIndex) -> tuple[pd.Timestamp, pd.Timestamp]:
    """A day within the first scored quarter, and the first day of the next (or a later day where there is none)."""
    quarter = days.year * 4 + days.quarter
    later = np.flatnonzero(np.diff(quarter)) + 1
    refit = int(later[0]) if len(later) else len(days) // 2
    return days[max(refit // 2, 1)], days[min(refit, len(days) - 2)]


def _changes(base: pd.Series, other: pd.Series, cut: pd.Timestamp) -> int:
    """Rows up to ``cut`` whose score differs or that only one of both has."""
    base = base[base.index.get_level_values(0) <= cut]
    other = other[other.index.get_level_values(0) <= cut]
    both = base.index.intersection(other.index)
    allowed = _TOLERANCE * max(float(base.std()), np.finfo(float).tiny)
    differing = int(((base.loc[both] - other.loc[both]).abs() > allowed).sum())
    return differing + len(base) + len(other) - 2 * len(both)


def _unchanged(
    check: Check,
    base: pd.Series,
    predict: Strategy,
    panels: list[tuple[pd.DataFrame, pd.Timestamp]],
    note: str,
) -> Finding:
    changed = sum(_changes(base, _scores(predict, panel), cut) for panel, cut in panels)
    return Finding(check, changed == 0, changed, 0, note)


def _members_only(base: pd.Series, panel: Panel) -> Finding:
    scored_TN = np.isfinite(wide_scores(panel, base))
    outside = int((scored_TN & ~panel.member).sum())
    return Finding(
        "members_only", outside == 0, outside, 0, "scores of stocks that were not members on that day."
    )


def _point_in_time(panel: pd.DataFrame, spells: pd.DataFrame | None) -> list[Finding]:
    if spells is None:
        return []
    from doyen_finance.backtest.membership import members

    made = wide(panel)
    wrong = int((made.member & ~members(spells, made.dates, made.symbols)).sum())
    return [
        Finding(
            "point_in_time", wrong == 0, wrong, 0, "rows marked as members outside their spell of membership."
        )
    ]


def _rank_ic(base: pd.Series, panel: Panel) -> Finding:
    found = _mean_rank_ic(base, panel)
    return Finding(
        "rank_ic", not found > TOO_GOOD, found, TOO_GOOD, "mean daily rank IC: above this, treat as a bug."
    )


def _mean_rank_ic(scores: pd.Series, panel: Panel) -> float:
    return ic_figures(daily_ic(wide_scores(panel, scores), panel.labels, rank=True))["mean"]


def _columns(panel: Panel) -> Finding:
    """The caller's own columns: each alone must not know the label."""
    known = {
        name: abs(ic_figures(daily_ic(values, panel.labels, rank=True))["mean"])
        for name, values in panel.extra.items()
    }
    if not known:
        return Finding(
            "columns", True, 0.0, TOO_GOOD, "own columns (x_…) by absolute rank IC: there are none."
        )
    worst = max(known, key=lambda name: np.nan_to_num(known[name]))
    note = f"own columns by absolute rank IC with the label, the highest: {worst}."
    return Finding("columns", not known[worst] > TOO_GOOD, known[worst], TOO_GOOD, note)


def with_planted_future(predict: Strategy) -> Strategy:
    """The strategy with a column ``x_planted`` that holds the label: a leak on purpose."""

    def leaky(frame: pd.DataFrame) -> pd.Series:
        panel = wide(frame)
        planted = pd.DataFrame(panel.labels, index=panel.dates, columns=panel.symbols).stack(
            future_stack=True
        )
        values = planted.reindex(pd.MultiIndex.from_frame(frame[KEY])).to_numpy()
        return predict(frame.assign(x_planted=values))

    return leaky


def with_added_future(predict: Strategy) -> Strategy:
    """The strategy with the ranked label added to its scores, for one that reads no further columns."""

    def leaky(frame: pd.DataFrame) -> pd.Series:
        panel = wide(frame)
        scores = predict(frame)
        label = pd.Series(
            panel.labels[
                panel.dates.get_indexer(scores.index.get_level_values(0)),
                pd.Index(panel.symbols).get_indexer(scores.index.get_level_values(1)),
            ],
            index=scores.index,
        )
        return (scores / scores.std()).add((label / label.std()).fillna(0.0))

    return leaky


def _planted(
    predict: Strategy, base: pd.Series, panel: pd.DataFrame, made: Panel, cut: pd.Timestamp, seed: int
) -> Finding:
    """The audit's own test: with the future planted, rank IC must jump and the shuffle must be noticed."""
    leaky = with_planted_future(predict)
    scores = _scores(leaky, panel)
    if _changes(base, scores, cut) == 0:
        leaky = with_added_future(predict)
        scores = _scores(leaky, panel)
    found = _mean_rank_ic(scores, made)
    noticed = _changes(scores, _scores(leaky, permuted(panel, cut, seed)), cut)
    return Finding(
        "planted_future", found > TOO_GOOD and noticed > 0, found, TOO_GOOD,
        f"rank IC with the future planted on purpose must be above this, and the shuffle notice it ({noticed} scores changed).",
    )  # fmt: skip
