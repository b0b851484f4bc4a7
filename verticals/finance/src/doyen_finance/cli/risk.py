"""``doyen finance risk``: fraud alerts, default scores and laundering alerts, each with its reasons."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_schemas import DoyenError

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
    from doyen_finance.risk.run import transaction_alerts

    result = transaction_alerts(file, budget, days)
    items = result["alerts"]
    if out:
        _write(out, ({**item, "reasons": "; ".join(r["text"] for r in item["reasons"])} for item in items))
    if as_json:
        typer.echo(json.dumps(result))
        return
    for item in items:
        typer.echo(
            f"{item['time']}  card {item['card']}  {item['amount']:.2f}  risk {item['risk']:.3f}  {item['scenario']}"
        )
        for reason in item["reasons"]:
            typer.echo(f"    {reason['text']}")
    _flags(result["flags"])


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
    from doyen_finance.risk.run import client_scores

    result = client_scores(file)
    items = result["clients"]
    if out:
        _write(out, ({**item, "reasons": "; ".join(r["text"] for r in item["reasons"])} for item in items))
    if as_json:
        typer.echo(json.dumps(result))
        return
    for item in sorted(items, key=lambda i: -i["risk"])[:20]:
        typer.echo(f"client {item['client']}  risk {item['risk']:.3f}")
        for reason in item["reasons"]:
            typer.echo(f"    {reason['text']}")
    _flags(result["flags"])


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
    from doyen_finance.risk.run import transfer_alerts

    result = transfer_alerts(file, least)
    items = result["alerts"]
    if out:
        kept = ("typology", "score", "account", "accounts", "transfers", "total")
        _write(out, ({**{k: i[k] for k in kept}, "reasons": "; ".join(i["reasons"])} for i in items))
    if as_json:
        typer.echo(json.dumps(result))
        return
    for item in items:
        typer.echo(
            f"{item['typology']}  account {item['account']}  {item['total']:,.2f}  score {item['score']:.3f}"
        )
        for reason in item["reasons"]:
            typer.echo(f"    {reason}")
    _flags(result["flags"])


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

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DoyenError(
            "FIN-077",
            f"{out.name} cannot be written ({error.strerror}).",
            "Choose another folder with --out.",
        ) from None
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
    """A CSV whose cells no spreadsheet takes for a formula. Raises FIN-077 (cannot be written)."""
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer: csv.DictWriter[str] | None = None
            for row in rows:
                if writer is None:
                    writer = csv.DictWriter(file, list(row))
                    writer.writeheader()
                writer.writerow({name: _plain(value) for name, value in row.items()})
    except OSError as error:
        raise DoyenError(
            "FIN-077", f"{path.name} cannot be written ({error.strerror}).", "Choose another file with --out."
        ) from None


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" else value


def _flags(flags: Iterable[str]) -> None:
    for flag in flags:
        typer.echo(f"note: {flag}", err=True)
