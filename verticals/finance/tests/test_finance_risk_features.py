"""Features see nothing after the transaction, and agree with a plain reference that looks at every pair."""

from dataclasses import replace

import numpy as np
import pytest

from doyen_finance.risk.features import DELAY, GROUPS, NAMES, features
from doyen_finance.risk.simulate import CardWorld, simulate_cards
from doyen_finance.risk.transactions import Transactions, from_table
from doyen_finance.risk.windows import DAY, Past

AT = {name: number for number, name in enumerate(NAMES)}


def world(seed: int = 0, cards: int = 25, days: int = 50) -> Transactions:
    table = simulate_cards(CardWorld(cards=cards, terminals=12, days=days), seed)
    data = from_table(table.astype({"TRANSACTION_ID": str, "CUSTOMER_ID": str, "TERMINAL_ID": str}))
    # Frauds in plenty, and pairs of the same second, which is where windows go wrong.
    fraud = (np.random.default_rng(seed).uniform(size=len(data)) < 0.1).astype(np.int64)
    seconds = data.seconds.copy()
    seconds[1::7] = seconds[0::7][: len(seconds[1::7])]
    return replace(data, fraud=fraud, seconds=np.sort(seconds))


def reference(data: Transactions, row: int) -> dict[str, float]:
    """The definitions of the features, one row at a time, over all rows."""
    now = data.seconds[row]

    def inside(same: np.ndarray, days: int, delay: int = 0) -> np.ndarray:
        return same & (data.seconds <= now - delay) & (data.seconds > now - delay - days * DAY)

    card, terminal = data.customer == data.customer[row], data.terminal == data.terminal[row]
    found: dict[str, float] = {"amount": data.cents[row] / 100}
    when = np.datetime64(int(now), "s").astype("datetime64[s]").item()
    found["weekend"], found["night"] = float(when.weekday() >= 5), float(when.hour <= 6)
    for days in (1, 7, 30):
        own, shop = inside(card, days), inside(terminal, days, DELAY)
        found[f"customer_count_{days}d"] = own.sum()
        found[f"customer_mean_amount_{days}d"] = data.cents[own].mean() / 100
        found[f"terminal_count_{days}d"] = shop.sum()
        found[f"terminal_risk_{days}d"] = data.fraud[shop].mean() if shop.any() else 0.0
    known = terminal & (data.seconds <= now - DELAY)
    frauds = data.seconds[known & (data.fraud == 1)]
    found["terminal_since_fraud"] = min((now - DELAY - frauds.max()) / DAY, 60) if len(frauds) else 60
    recent = data.seconds[inside(terminal, 30, DELAY) & (data.fraud == 1)]
    found["terminal_since_first_fraud"] = (now - DELAY - recent.min()) / DAY if len(recent) else 60
    last = np.flatnonzero(known)[-5:]
    found["terminal_last_5_risk"] = data.fraud[last].mean() if len(last) else 0.0
    month = inside(card, 30)
    month[row] = False
    usual = data.cents[month].mean() if month.any() else np.nan
    found["amount_to_mean_30d"] = data.cents[row] / max(usual, 100) if month.any() else 1.0
    return found


def test_the_windows_agree_with_a_reference_that_looks_at_every_pair() -> None:
    data = world()
    x_NF = features(data)
    for row in range(0, len(data), 17):
        for name, value in reference(data, row).items():
            assert x_NF[row, AT[name]] == pytest.approx(value, abs=1e-9), (row, name)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_happens_after_t_changes_no_feature_up_to_t(seed: int) -> None:
    data = world(seed)
    x_NF, rng = features(data), np.random.default_rng(seed)
    cut = data.seconds[len(data) // 2]
    past, future = np.flatnonzero(data.seconds <= cut), np.flatnonzero(data.seconds > cut)
    assert np.array_equal(features(data.rows(data.seconds <= cut)), x_NF[past])
    columns = {}
    for name in ("customer", "terminal", "cents", "fraud"):
        values = getattr(data, name).copy()
        values[future] = rng.permutation(values[future])
        columns[name] = values
    columns["cents"][future] *= 3
    columns["fraud"][future] = 1 - columns["fraud"][future]
    assert np.array_equal(features(replace(data, **columns))[past], x_NF[past])


def test_a_planted_look_ahead_would_be_seen() -> None:
    """The test above has teeth: a count that also sees tomorrow changes when tomorrow is cut off."""
    data = world(4)
    early = data.seconds <= data.seconds[len(data) // 2]
    tomorrow = Past(data.customer, data.seconds).window(2 * DAY, data.cents, -DAY).count
    cut = Past(data.customer[early], data.seconds[early]).window(2 * DAY, data.cents[early], -DAY).count
    assert not np.array_equal(tomorrow[early], cut)


def test_a_fraud_counts_for_its_terminal_a_week_later_and_not_before() -> None:
    data = world(5)
    quiet = replace(data, fraud=np.zeros(len(data), np.int64))
    at = len(data) // 3
    fraud = quiet.fraud.copy()
    fraud[at] = 1
    changed = (features(replace(quiet, fraud=fraud)) != features(quiet)).any(1)
    assert changed.any()
    assert (data.seconds[changed] >= data.seconds[at] + DELAY).all()
    assert (data.terminal[changed] == data.terminal[at]).all()


def test_every_feature_stands_in_one_group() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(NAMES)
