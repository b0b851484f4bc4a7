"""Finds what could be a laundering pattern on a transfer graph: bursts at one account, cycles, scatter and gather.

The search is generous; the score (``aml``) tells the suspicious from the ordinary. Retrospective: a month's file is
searched as a whole. Definitions after Altman et al. 2023 (arXiv:2306.16424).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_finance.risk.transfers import Transfers

Ints = NDArray[np.int64]
DAY: Final = 86_400
FEATURES: Final = (
    "accounts", "transfers", "log_total", "amount_spread", "new_pairs", "span_days", "near_limit", "passed_on",
    "opposite_accounts", "share_of_hub", "least_kept", "log_typical",
)  # fmt: skip

_BURST: Final = 4 * DAY
_BURST_ACCOUNTS: Final = 4
_HOP: Final = 3 * DAY
_KEPT: Final = (0.7, 1.02)
"""What a hop passes on, as a share of what it got."""
_LONGEST_CYCLE: Final = 6
_MULES: Final = 3
_MAX_STEPS: Final = 5_000_000
_LIMIT: Final = 10_000.0
"""The reporting limit of cash and transfers in many jurisdictions; sums of 80 to 100 % of it are near it."""


class Candidate(NamedTuple):
    """Transfers that may form one pattern, in time order; ``hub`` is the account that it is about."""

    typology: str
    hub: int
    transfers: Ints
    features: tuple[float, ...]


def candidates(data: Transfers) -> tuple[list[Candidate], bool]:
    """All candidates, and whether the search for cycles stopped at its limit of steps."""
    found = [*_bursts(data, "fan_in"), *_bursts(data, "fan_out"), *_scatter_gather(data)]
    cycles, stopped = _cycles(data)
    return found + cycles, stopped


def _windows(data: Transfers, own: Ints, other: Ints, least: int) -> Iterator[Ints]:
    """The windows of four days with the most different counterparties, none overlapping, best first."""
    if len(np.unique(other[own])) < least:
        return
    times = data.seconds[own]
    ends = np.searchsorted(times, times + _BURST, side="right")
    inside: dict[int, int] = {}
    distinct, end = np.zeros(len(own), np.int64), 0
    for start in range(len(own)):
        while end < ends[start]:
            inside[other[own[end]]] = inside.get(other[own[end]], 0) + 1
            end += 1
        distinct[start] = len(inside)
        first = other[own[start]]
        inside[first] -= 1
        if not inside[first]:
            del inside[first]
    taken = np.zeros(len(own), bool)
    for start in np.argsort(-distinct, kind="stable"):
        if distinct[start] < least:
            return
        if not taken[start : ends[start]].any():
            taken[start : ends[start]] = True
            yield own[start : ends[start]]


def _bursts(data: Transfers, typology: str) -> Iterator[Candidate]:
    incoming = typology == "fan_in"
    near, far = (data.into, data.out) if incoming else (data.out, data.into)
    other, other_far = (data.source, data.target) if incoming else (data.target, data.source)
    for hub in range(len(data.accounts)):
        for burst in _windows(data, near[hub], other, _BURST_ACCOUNTS):
            begin, end = data.seconds[burst[0]], data.seconds[burst[-1]]
            low, high = (begin, end + _HOP) if incoming else (begin - _HOP, end)
            times = data.seconds[far[hub]]
            opposite = far[hub][(times >= low) & (times <= high)]
            # The sum that came in before a fan-out, or left after a fan-in, belongs to the pattern.
            total = data.amount[burst].sum()
            large = opposite[data.amount[opposite] >= 0.5 * total]
            passed = min(float(data.amount[opposite].sum() / max(total, 1.0)), 3.0)
            rest = data.amount[near[hub]].sum()
            share = float(total / max(rest, 1.0))
            yield Candidate(
                typology, hub, np.sort(np.concatenate([burst, large])),
                _features(data, burst, other[burst], passed, len(np.unique(other_far[opposite])), share, passed),
            )  # fmt: skip


def _scatter_gather(data: Transfers) -> Iterator[Candidate]:
    low, high = _KEPT
    for source in range(len(data.accounts)):
        for scatter in _windows(data, data.out[source], data.target, _MULES):
            by_target: dict[int, list[tuple[int, int, float]]] = {}
            for given in scatter:
                mule, amount, when = data.target[given], data.amount[given], data.seconds[given]
                times = data.seconds[data.out[mule]]
                first, last = np.searchsorted(times, [when, when + 2 * _HOP])
                for taken in data.out[mule][first:last]:
                    kept = data.amount[taken] / max(amount, 1.0)
                    if low - 0.1 <= kept <= high and data.target[taken] != source:
                        by_target.setdefault(int(data.target[taken]), []).append(
                            (int(given), int(taken), kept)
                        )
            for paths in by_target.values():
                mules = {int(data.target[given]) for given, _, _ in paths}
                if len(mules) < _MULES:
                    continue
                gathered = np.unique([taken for _, taken, _ in paths])
                scattered = np.unique([given for given, _, _ in paths])
                rows = np.union1d(scattered, gathered)
                kept = [kept for _, _, kept in paths]
                share = float(data.amount[scattered].sum() / max(data.amount[data.out[source]].sum(), 1.0))
                yield Candidate(
                    "scatter_gather", source, rows,
                    _features(data, rows, data.target[scattered], float(np.mean(kept)), 1, share, min(kept)),
                )  # fmt: skip


def _cycles(data: Transfers) -> tuple[list[Candidate], bool]:
    """Temporal cycles of two to six hops, each within three days of the one before and with nearly its amount."""
    low, high = _KEPT
    found: list[Candidate] = []
    steps = 0
    times = [data.seconds[rows] for rows in data.out]
    for first in range(len(data)):
        home = int(data.source[first])
        if not len(data.into[home]):
            continue
        stack: list[tuple[int, ...]] = [(first,)]
        while stack:
            path = stack.pop()
            at, amount, when = int(data.target[path[-1]]), data.amount[path[-1]], data.seconds[path[-1]]
            begin, end = np.searchsorted(times[at], [when + 1, when + _HOP + 1])
            visited = {int(data.source[row]) for row in path}
            for row in data.out[at][begin:end]:
                steps += 1
                target = int(data.target[row])
                if not low * amount <= data.amount[row] <= high * amount:
                    continue
                if target == home:
                    found.append(_cycle(data, np.array([*path, row]), home))
                elif len(path) + 1 < _LONGEST_CYCLE and target not in visited:
                    stack.append((*path, int(row)))
            if steps > _MAX_STEPS:
                return found, True
    return found, False


def _cycle(data: Transfers, rows: Ints, home: int) -> Candidate:
    kept = data.amount[rows[1:]] / np.maximum(data.amount[rows[:-1]], 1.0)
    share = float(data.amount[rows[0]] / max(data.amount[data.out[home]].sum(), 1.0))
    features = _features(
        data, rows, data.target[rows], float(kept.mean()), len(rows), share, float(kept.min())
    )
    return Candidate("cycle", home, rows, features)


def _features(
    data: Transfers, rows: Ints, others: Ints, passed: float, opposite: int, share: float, least: float
) -> tuple[float, ...]:
    amounts = data.amount[rows]
    mean = float(amounts.mean())
    return (
        float(len(np.unique(others))),
        float(len(rows)),
        float(np.log1p(amounts.sum())),
        float(amounts.std() / max(mean, 1.0)),
        float((data.pair_count[rows] == 1).mean()),
        float(data.seconds[rows].max() - data.seconds[rows].min()) / DAY,
        float(((amounts >= 0.8 * _LIMIT) & (amounts < _LIMIT)).mean()),
        passed,
        float(opposite),
        share,
        least,
        float(np.log1p(np.median(amounts))),
    )
