"""``doyen finance backtest``: walk-forward over stocks or over the index, with a report that says what it found."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Index(StrEnum):
    """Indices whose bars are at hand."""

    hs300 = "hs300"


def backtest(
    data: Annotated[Path | None, typer.Option(help="Daily bars of stocks: CSV or .csv.gz.")] = None,
    index: Annotated[
        Index | None, typer.Option(help="Benchmark of the stocks; alone, the index is timed instead.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for backtest.html, backtest.json and daily.csv.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, help="Seeds of the network.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Backtest without look-ahead: quarterly refits, an embargo, costs, price limits, two benchmarks.

    With --data: stocks of the CSI 300, point-in-time members, top 50 drop 5, by a ridge regression and a network
    (minutes a seed). Columns: trade_date, ts_code, open, high, low, close, pre_close, volume_lots, amount_kcny, and
    factors of your own, whose names begin with x_. With --index alone: the index held or not, 2006 to 2025, by a ridge regression.

    Examples:

        doyen finance backtest --data bars.csv.gz --out report

        doyen finance backtest --index hs300 --json
    """
    from doyen_finance.backtest.write import write
    from doyen_schemas import DoyenError

    def say(line: str) -> None:
        typer.echo(line, err=True)

    if data is not None:
        from doyen_finance.backtest.stocks import backtest_stocks

        result = backtest_stocks(data, (index or Index.hs300).value, seeds, say)
    elif index is not None:
        from doyen_finance.backtest.timing import backtest_index

        result = backtest_index(index.value, say)
    else:
        raise DoyenError(
            "FIN-069", "neither bars nor an index were given.", "Give --data FILE or --index hs300."
        )
    written = write(result, out) if out is not None else {}
    if as_json:
        typer.echo(json.dumps(result.as_json()))
        return
    typer.echo(result.verdict)
    for model in result.models:
        typer.echo(f"{model.name}: {model.verdict}")
        for warning in model.warnings:
            typer.echo(f"  warning: {warning}")
        for name, value in model.mean.figures.items():
            bounds = model.mean.ci95.get(name)
            typer.echo(
                f"  {name:34} {value:9.4f}" + (f"  ({bounds.low:.4f} to {bounds.high:.4f})" if bounds else "")
            )
    for path in written.values():
        typer.echo(path)
