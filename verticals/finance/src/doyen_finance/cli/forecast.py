"""``doyen finance forecast``: the next steps of series with conformal intervals, repeat-last beside."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from doyen_finance.cli.backtest import Index


class Model(StrEnum):
    """``shipped``: the weights of the package. The others see the file alone."""

    shipped = "shipped"
    patch = "patch"
    dlinear = "dlinear"
    seasonal = "seasonal"
    repeat_last = "repeat-last"


def forecast(
    file: Annotated[Path | None, typer.Argument(help="CSV with unique_id, ds, y; or date, close.")] = None,
    index: Annotated[Index | None, typer.Option(help="Forecast this index instead of a file.")] = None,
    horizon: Annotated[int, typer.Option(min=1, help="Steps ahead; the shipped model gives up to 20.")] = 20,
    level: Annotated[
        list[float] | None, typer.Option(help="Interval in per cent; repeat it. Default: 80 and 95.")
    ] = None,
    model: Annotated[
        Model, typer.Option(help="The shipped weights, or a model of the file alone.")
    ] = Model.shipped,
    season: Annotated[
        int | None, typer.Option(min=1, help="Steps of a season, for --model seasonal.")
    ] = None,
    windows: Annotated[
        int, typer.Option(min=0, help="Past cutoffs that intervals are calibrated on; 95 needs 19.")
    ] = 60,
    out: Annotated[Path | None, typer.Option(help="Write a page with fan charts here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Forecast series with intervals, and say how the model did beside repeating the last value.

    The shipped weights were trained on the CSI 300 index, 2006 to 2017, and read daily prices. Missing steps and
    constant series are flagged; duplicated time stamps, missing and infinite values are errors.

    Examples:

        doyen finance forecast --index hs300 --horizon 20 --out fan.html

        doyen finance forecast prices.csv --horizon 5 --level 80 --level 95 --json
    """
    from doyen_finance.forecast.frame import read_csv
    from doyen_finance.forecast.run import forecast as run
    from doyen_finance.forecast.source import index_file
    from doyen_schemas import DoyenError

    if (file is None) == (index is None):
        raise DoyenError("FIN-057", "give one of FILE and --index.", "Write FILE, or --index hs300.")
    df = read_csv(file) if file is not None else read_csv(index_file()).assign(unique_id="hs300")
    result = run(df, horizon, choice=model.value, level=level or (80, 95), windows=windows, season=season)
    if out is not None:
        from doyen_finance.forecast.as_html import as_html

        out.write_bytes(as_html(result))
    if as_json:
        typer.echo(json.dumps(result.to_dict()))
        return
    for flag in result.flags:
        typer.echo(f"flag {flag.kind}: {flag.unique_id}: {flag.message}", err=True)
    for series in result.series:
        typer.echo(f"{series.unique_id}: {series.says}")
        for row in series.forecast:
            typer.echo("  " + "  ".join(f"{k} {v}" if k == "ds" else f"{k} {v:.6g}" for k, v in row.items()))
    typer.echo(result.note)
