"""``doyen finance risk``: fraud alerts, default scores and laundering alerts, each with its reasons."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Fraud, credit default and laundering: scores with reasons.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Out = Annotated[Path | None, typer.Option(help="Also write the rows to this CSV.")]


@app.command()
def transactions(
    file: Annotated[
        Path, typer.Argument(help="Card transactions, CSV (Fraud Detection Handbook's columns).")
    ],
    budget: Annotated[int, typer.Option(min=1, help="Cards that can be looked at a day.")] = 100,
    days: Annotated[int, typer.Option(min=1, help="Alerts of the last days only; all rows are history.")] = 1,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Score transactions and list each day's most suspicious cards. The weights come from simulated payments.

    Confirmed frauds (TX_FRAUD) count for their terminal a week later; the day's own labels are never read.

    Example: doyen finance risk transactions payments.csv --budget 50 --json
    """
    from doyen_finance import weights
    from doyen_finance.risk.features import features
    from doyen_finance.risk.fraud import alerts, load_fraud
    from doyen_finance.risk.transactions import read_transactions

    data, model = read_transactions(file), load_fraud(weights.part("risk"))
    rows = data.day > data.day[-1] - days
    x_NF = features(data)[rows]
    scores = model.scores(x_NF)
    found = alerts(data.rows(rows), x_NF, scores, model, budget)
    items = [{**a._asdict(), "reasons": [r._asdict() for r in a.reasons]} for a in found]
    result = {
        "weights": weights.release()[0], "simulated_weights": True, "transactions": len(data),
        "scored": int(rows.sum()), "budget": budget, "flags": list(data.flags), "alerts": items,
    }  # fmt: skip
    if out:
        _write(out, ({**item, "reasons": "; ".join(r["text"] for r in item["reasons"])} for item in items))
    if as_json:
        typer.echo(json.dumps(result))
        return
    for alert in found:
        typer.echo(
            f"{alert.time}  card {alert.card}  {alert.amount:.2f}  risk {alert.risk:.3f}  {alert.scenario}"
        )
        for reason in alert.reasons:
            typer.echo(f"    {reason.text}")
    _flags(data.flags)


@app.command()
def credit(
    file: Annotated[Path, typer.Argument(help="Clients, CSV (UCI's columns).")],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """The probability of default next month of each client, with at most four reasons that raise it.

    Sex, age, marital status and education are not used.

    Example: doyen finance risk credit clients.csv --out scores.csv
    """
    from doyen_finance import weights
    from doyen_finance.risk.clients import read_clients
    from doyen_finance.risk.credit import load_credit

    clients, model = read_clients(file), load_credit(weights.part("risk"))
    scores = model.scores(clients.x_NF, clients.digests)
    reasons = model.reasons(clients.x_NF, clients.digests)
    items: list[dict[str, Any]] = [
        {"client": str(name), "risk": round(float(risk), 4), "reasons": [r._asdict() for r in why]}
        for name, risk, why in zip(clients.ids, scores.risk, reasons, strict=True)
    ]
    if out:
        _write(out, ({**item, "reasons": "; ".join(r["text"] for r in item["reasons"])} for item in items))
    if as_json:
        typer.echo(json.dumps({
            "weights": weights.release()[0], "seen_rows": int(scores.seen.sum()), "flags": list(clients.flags),
            "clients": items,
        }))  # fmt: skip
        return
    for item in sorted(items, key=lambda i: -i["risk"])[:20]:
        typer.echo(f"client {item['client']}  risk {item['risk']:.3f}")
        for reason in item["reasons"]:
            typer.echo(f"    {reason['text']}")
    _flags(clients.flags)


@app.command()
def aml(
    file: Annotated[Path, typer.Argument(help="Transfers, CSV: TRANSFER_ID, DATETIME, FROM, TO, AMOUNT.")],
    least: Annotated[float, typer.Option(min=0, max=1, help="Lowest score of an alert.")] = 0.5,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Laundering patterns in transfers: fan-in, fan-out, cycles, scatter-gather. The weights come from simulated banks.

    Example: doyen finance risk aml transfers.csv --json
    """
    from doyen_finance import weights
    from doyen_finance.risk.aml import aml_alerts, load_aml
    from doyen_finance.risk.transfers import read_transfers

    data, model = read_transfers(file), load_aml(weights.part("risk"))
    found, limits = aml_alerts(data, model, least)
    flags = [*data.flags, *limits]
    items = [{**a._asdict(), "hops": [h._asdict() for h in a.hops]} for a in found]
    if out:
        kept = ("typology", "score", "account", "accounts", "transfers", "total")
        _write(out, ({**{k: i[k] for k in kept}, "reasons": "; ".join(i["reasons"])} for i in items))
    if as_json:
        typer.echo(json.dumps({
            "weights": weights.release()[0], "simulated_weights": True, "transfers": len(data), "flags": flags,
            "alerts": items,
        }))  # fmt: skip
        return
    for alert in found:
        typer.echo(f"{alert.typology}  account {alert.account}  {alert.total:,.2f}  score {alert.score:.3f}")
        for reason in alert.reasons:
            typer.echo(f"    {reason}")
    _flags(flags)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for transactions.csv and transfers.csv.")],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    cards: Annotated[int, typer.Option(min=10, max=100_000)] = 500,
    accounts: Annotated[int, typer.Option(min=1000, max=100_000)] = 1000,
    days: Annotated[int, typer.Option(min=22, max=366)] = 40,
    as_json: Json = False,
) -> None:
    """Simulated card payments with frauds and transfers with laundering patterns, to try the other commands on.

    Example: doyen finance risk simulate --out simulated --seed 1
    """
    from doyen_finance.risk.simulate import CardWorld, simulate_cards
    from doyen_finance.risk.simulate_transfers import TransferWorld, simulate_transfers

    out.mkdir(parents=True, exist_ok=True)
    payments = simulate_cards(CardWorld(cards=cards, terminals=2 * cards, days=days), seed)
    bank = simulate_transfers(
        TransferWorld(accounts=accounts, days=days, patterns=max(accounts // 66, 4)), seed
    )
    payments.to_csv(out / "transactions.csv", index=False)
    bank.to_csv(out / "transfers.csv", index=False)
    made = {
        "simulated": True, "seed": seed, "transactions": len(payments), "frauds": int(payments["TX_FRAUD"].sum()),
        "transfers": len(bank), "laundering_transfers": int((bank["TYPOLOGY"] != "").sum()),
    }  # fmt: skip
    typer.echo(json.dumps(made) if as_json else ", ".join(f"{name} {value}" for name, value in made.items()))


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """A CSV whose cells no spreadsheet takes for a formula."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow({name: _plain(value) for name, value in row.items()})


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _flags(flags: Iterable[str]) -> None:
    for flag in flags:
        typer.echo(f"note: {flag}", err=True)
