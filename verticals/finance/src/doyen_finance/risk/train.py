"""The shipped weights: fraud and laundering from own simulated worlds, credit default from UCI's clients (CC BY 4.0)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_finance.risk import simulate, simulate_transfers, transactions, transfers
from doyen_finance.risk.aml import fit_aml
from doyen_finance.risk.clients import read_clients
from doyen_finance.risk.credit import fit_credit
from doyen_finance.risk.features import features
from doyen_finance.risk.fraud import fit_fraud
from doyen_finance.risk.measure import measure_aml, measure_fraud
from doyen_finance.risk.simulate import CardWorld
from doyen_finance.risk.simulate_transfers import TransferWorld
from doyen_finance.risk.transactions import Transactions
from doyen_finance.risk.transfers import Transfers
from doyen_finance.risk.weeks import WEEK

SEED: Final = 0
FRAUD_WORLDS: Final = (0, 1, 2)
FRAUD_TEST: Final = (100, 101)
AML_WORLDS: Final = (0, 1)
AML_TEST: Final = (0, 100, 101)
"""Seed 0 is trained on too: there the test has the other half of the accounts."""
COMMAND: Final = "doyen finance train risk --out DIR --data clients.csv.gz"


def train_risk(out: Path, clients: Path | None, *, cards: CardWorld, bank: TransferWorld) -> dict[str, Any]:
    """Write the three models to ``out``; the credit model only where ``clients`` is given. Raises FIN-070 to FIN-074."""
    figures: dict[str, Any] = {"fraud": train_fraud(out, cards), "aml": train_aml(out, bank)}
    if clients is not None:
        figures["credit"] = train_credit(out, clients)
    return figures


def train_fraud(out: Path, world: CardWorld) -> dict[str, Any]:
    """Fit on the second last week of each training world, measure on worlds of other seeds."""
    parts = []
    for seed in FRAUD_WORLDS:
        data = card_world(world, seed)
        rows = np.flatnonzero((data.day > data.day[-1] - 2 * WEEK) & (data.day <= data.day[-1] - WEEK))
        assert data.scenario is not None
        parts.append((features(data)[rows], data.fraud[rows], data.scenario[rows]))
    x_NF, fraud, scenario = (np.concatenate(part) for part in zip(*parts, strict=True))
    model = fit_fraud(x_NF, fraud, scenario, seed=SEED, trees=50, leaf=8)
    model.trained.update(
        data="simulated", worlds=list(FRAUD_WORLDS), cards=world.cards, days=world.days, rows=len(x_NF), seed=SEED,
        command=COMMAND, figures={str(seed): measure_fraud(model, card_world(world, seed)) for seed in FRAUD_TEST},
    )  # fmt: skip
    model.save(out)
    return dict(model.trained["figures"])


def train_aml(out: Path, world: TransferWorld) -> dict[str, Any]:
    """Fit on the even accounts of the training worlds, measure on the odd accounts, also of worlds of other seeds."""
    model = fit_aml([bank_half(world, seed, 0) for seed in AML_WORLDS], seed=SEED)
    model.trained.update(
        data="simulated", worlds=list(AML_WORLDS), accounts=world.accounts, days=world.days, seed=SEED, command=COMMAND,
        split="accounts with even numbers train, with odd numbers test; transfers between the halves are left out",
        figures={str(seed): measure_aml(model, bank_half(world, seed, 1)) for seed in AML_TEST},
    )  # fmt: skip
    model.save(out)
    return dict(model.trained["figures"])


def train_credit(out: Path, path: Path) -> dict[str, Any]:
    """Five folds of the clients; the figures are those of the folds held out."""
    from doyen_finance.evaluate.credit_default import figures

    clients = read_clients(path)
    model = fit_credit(clients, seed=SEED)
    model.trained.update(
        data="UCI default of credit card clients, CC BY 4.0", sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        rows=len(clients.ids), seed=SEED, command=COMMAND, left_out=["SEX", "AGE", "MARRIAGE", "EDUCATION"],
        figures=figures(clients, model),
    )  # fmt: skip
    model.save(out)
    return dict(model.trained["figures"])


def card_world(world: CardWorld, seed: int) -> Transactions:
    """A simulated world as it would be read from a file."""
    table = simulate.simulate_cards(world, seed)
    names = ("TRANSACTION_ID", "CUSTOMER_ID", "TERMINAL_ID")
    table = table.astype(dict.fromkeys(names, str))
    return transactions.from_table(table)


def bank_half(world: TransferWorld, seed: int, parity: int) -> Transfers:
    """The transfers among the accounts of even (0) or odd (1) number of a simulated bank."""
    table = simulate_transfers.simulate_transfers(world, seed)
    table = table[(table["FROM"] % 2 == parity) & (table["TO"] % 2 == parity)]
    return transfers.from_table(table.astype({"TRANSFER_ID": str, "FROM": str, "TO": str}))
