"""A file scored from end to end: what the commands print and the queue stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from doyen_finance import weights


def transaction_alerts(file: Path, budget: int = 100, days: int = 1) -> dict[str, Any]:
    """The most suspicious cards of each of the last ``days``, at most ``budget`` a day; all rows are history.

    Raises FIN-001, FIN-070 to FIN-073.
    """
    from doyen_finance.risk.features import features
    from doyen_finance.risk.fraud import alerts, load_fraud
    from doyen_finance.risk.transactions import read_transactions

    data, model = read_transactions(file), load_fraud(weights.part("risk"))
    rows = data.day > data.day[-1] - days
    x_NF = features(data)[rows]
    found = alerts(data.rows(rows), x_NF, model.scores(x_NF), model, budget)
    return {
        "weights": weights.release()[0], "simulated_weights": model.trained.get("data") == "simulated",
        "transactions": len(data),
        "scored": int(rows.sum()), "budget": budget, "flags": list(data.flags),
        "alerts": [{**a._asdict(), "reasons": [r._asdict() for r in a.reasons]} for a in found],
    }  # fmt: skip


def client_scores(file: Path) -> dict[str, Any]:
    """The probability of default next month of each client, with reasons. Raises FIN-001, FIN-070 to FIN-073."""
    from doyen_finance.risk.clients import read_clients
    from doyen_finance.risk.credit import load_credit

    clients, model = read_clients(file), load_credit(weights.part("risk"))
    scores = model.scores(clients.x_NF, clients.digests)
    reasons = model.reasons(clients.x_NF, clients.digests)
    return {
        "weights": weights.release()[0], "seen_rows": int(scores.seen.sum()), "flags": list(clients.flags),
        "clients": [
            {"client": str(name), "risk": round(float(risk), 4), "reasons": [r._asdict() for r in why]}
            for name, risk, why in zip(clients.ids, scores.risk, reasons, strict=True)
        ],
    }  # fmt: skip


def transfer_alerts(file: Path, least: float = 0.5) -> dict[str, Any]:
    """Laundering patterns with a score of at least ``least``. Raises FIN-001, FIN-070 to FIN-073."""
    from doyen_finance.risk.aml import aml_alerts, load_aml
    from doyen_finance.risk.transfers import read_transfers

    data, model = read_transfers(file), load_aml(weights.part("risk"))
    found, limits = aml_alerts(data, model, least)
    return {
        "weights": weights.release()[0], "simulated_weights": model.trained.get("data") == "simulated",
        "transfers": len(data),
        "flags": [*data.flags, *limits],
        "alerts": [{**a._asdict(), "hops": [h._asdict() for h in a.hops]} for a in found],
    }  # fmt: skip
