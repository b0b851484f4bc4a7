"""``doyen finance train risk``: fraud and laundering weights from simulated worlds, credit weights from clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def train_risk(
    out: Annotated[Path, typer.Option(help="Where to write the weights.")],
    data: Annotated[
        Path | None,
        typer.Option(help="UCI's clients (CSV) for the credit model; without it, that is left out."),
    ] = None,
    cards: Annotated[int, typer.Option(min=200, help="Cards of each simulated world.")] = 2000,
    accounts: Annotated[int, typer.Option(min=1000, help="Accounts of each simulated bank.")] = 4000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train the risk models; the same command writes the same weights. Fraud and laundering are simulated.

    Example: doyen finance train risk --out runs/risk --data ../shared/data/finance/credit-default/clients.csv.gz
    """
    from doyen_finance.risk import train
    from doyen_finance.risk.simulate import CardWorld
    from doyen_finance.risk.simulate_transfers import TransferWorld

    figures = train.train_risk(
        out, data, cards=CardWorld(cards=cards, terminals=2 * cards, days=52),
        bank=TransferWorld(accounts=accounts, patterns=max(accounts // 66, 4)),
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(figures))
        return
    for seed, found in figures["fraud"].items():
        typer.echo(f"fraud, simulated world {seed}: AUC {found['auc']:.3f}, AP {found['ap']:.3f}")
    for seed, found in figures["aml"].items():
        shown = ", ".join(
            f"{name} {value['pr_auc']:.3f}" for name, value in found.items() if isinstance(value, dict)
        )
        typer.echo(f"laundering, simulated bank {seed}, PR-AUC: {shown}")
    if "credit" in figures:
        typer.echo(
            f"credit, five folds: AUC {figures['credit']['auc']:.4f}, ECE {figures['credit']['ece']:.4f}"
        )
