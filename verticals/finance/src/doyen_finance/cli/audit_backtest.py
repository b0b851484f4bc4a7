"""``doyen finance audit-backtest``: leak tests on the built-in strategies over the user's own bars."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Model(StrEnum):
    """The strategies that the backtest runs."""

    ridge = "ridge"
    network = "network"


def audit_backtest(
    data: Annotated[Path, typer.Option(help="Daily bars of stocks: CSV or .csv.gz.")],
    model: Annotated[Model, typer.Option(help="Which strategy.")] = Model.ridge,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prove that no score knows the future; exit status 1 where a check fails.

    Days after a cut are shuffled, blown up and cut off: no earlier score may change. A column that holds the future is
    planted: the audit must notice. The network runs with one seed and one epoch. For a strategy of your own, call
    doyen_finance.backtest.audit.audit.

    Example:

        doyen finance audit-backtest --data bars.csv.gz --model ridge --json
    """
    from doyen_finance.backtest.audit import audit
    from doyen_finance.backtest.bars import read_bars
    from doyen_finance.backtest.membership import csi300_spells
    from doyen_finance.backtest.panel import panel_frame
    from doyen_finance.backtest.result import rounded
    from doyen_finance.backtest.stocks import strategy

    bars, flags, sha256 = read_bars(data)
    spells = csi300_spells()
    findings = audit(strategy(model.value), panel_frame(bars, spells), spells)
    passed = all(finding.passed for finding in findings)
    if as_json:
        found = [{**asdict(finding), "value": rounded(finding.value)} for finding in findings]
        shown = {
            "model": model.value,
            "passed": passed,
            "findings": found,
            "flags": [asdict(flag) for flag in flags],
        }
        typer.echo(json.dumps({**shown, "data_sha256": sha256}))
    else:
        for finding in findings:
            mark = "passed" if finding.passed else "FAILED"
            typer.echo(
                f"{mark}  {finding.check:16} {finding.value:10.4g}  (limit {finding.limit:g})  {finding.note}"
            )
        for flag in flags:
            typer.echo(f"flag    {flag.kind:16} {flag.count:10}  {flag.note}")
    if not passed:
        raise typer.Exit(1)
