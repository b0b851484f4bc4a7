"""Hostile files: each fault has its code, and the message names the row and the rule."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from doyen_finance.risk import tables
from doyen_finance.risk.clients import read_clients
from doyen_finance.risk.transactions import read_transactions
from doyen_finance.risk.transfers import read_transfers
from doyen_schemas import DoyenError

HEAD = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD,TX_FRAUD_SCENARIO"
GOOD = "1,2024-01-01 10:00:00,7,9,12.50,0,0"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "file.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "code", "says"),
    [
        ([GOOD, GOOD], "FIN-073", "TRANSACTION_ID"),
        ([GOOD, "2,2024-01-01 10:00:00,7,9,nan,0,0"], "FIN-072", "row 2: TX_AMOUNT"),
        ([GOOD, "2,2024-01-01 10:00:00,7,9,,0,0"], "FIN-072", "row 2: TX_AMOUNT"),
        (["2,2024-01-01 10:00:00,7,9,-4,0,0"], "FIN-072", "not between 0"),
        (["2,2024-01-01 10:00:00,7,9,1e12,0,0"], "FIN-072", "not between 0"),
        (["2,2024-01-01 10:00:00,7,9,inf,0,0"], "FIN-072", "finite"),
        (["2,yesterday,7,9,4,0,0"], "FIN-072", "ISO 8601"),
        (["2,2024-01-01 10:00:00,,9,4,0,0"], "FIN-072", "CUSTOMER_ID is empty"),
        (["2,2024-01-01 10:00:00,7,9,4,2,0"], "FIN-072", "TX_FRAUD is none of"),
        (["2,2024-01-01 10:00:00,7,9,4,1,9"], "FIN-072", "TX_FRAUD_SCENARIO is none of"),
        (["2,2024-01-01 10:00:00,7,9,4,0.5,0"], "FIN-072", "whole number"),
        ([], "FIN-070", "no rows"),
    ],
)
def test_a_bad_row_is_named_with_its_rule(tmp_path: Path, rows: list[str], code: str, says: str) -> None:
    with pytest.raises(DoyenError) as caught:
        read_transactions(written(tmp_path, HEAD, *rows))
    assert caught.value.code == code
    assert says in caught.value.message


def test_the_row_is_counted_over_chunks_and_too_many_rows_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_CHUNK", 3)
    rows = [f"{n},2024-01-01 10:00:00,7,9,1.0,0,0" for n in range(7)]
    assert len(read_transactions(written(tmp_path, HEAD, *rows))) == 7
    with pytest.raises(DoyenError, match="row 8: TX_AMOUNT"):
        read_transactions(written(tmp_path, HEAD, *rows, "8,2024-01-01 10:00:00,7,9,-1,0,0"))
    with pytest.raises(DoyenError) as caught:
        tables.read_table(written(tmp_path, HEAD, *rows), [tables.Column("TX_AMOUNT", "amount")], max_rows=5)
    assert caught.value.code == "FIN-070"


def test_missing_and_doubled_columns_are_refused_and_unknown_ones_flagged(tmp_path: Path) -> None:
    with pytest.raises(DoyenError) as caught:
        read_transactions(written(tmp_path, "TRANSACTION_ID,TX_AMOUNT", "1,2"))
    assert caught.value.code == "FIN-071"
    with pytest.raises(DoyenError, match="FIN-071"):
        read_transactions(written(tmp_path, HEAD + ",TX_AMOUNT", GOOD + ",3"))
    data = read_transactions(written(tmp_path, HEAD + ",COLOUR", GOOD + ",red"))
    assert data.flags == ("ignored columns: 1",)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00\xff\xfe", b"\x1f\x8bnot gzip", b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 50, b"a" * 100_000],
)
def test_what_is_no_table_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "file.csv").write_bytes(raw)
    with pytest.raises(DoyenError) as caught:
        read_transactions(tmp_path / "file.csv")
    assert caught.value.code in {"FIN-070", "FIN-071"}
    with pytest.raises(DoyenError, match="FIN-070"):
        read_transactions(tmp_path / "absent.csv")


def test_a_truncated_gzip_is_refused(tmp_path: Path) -> None:
    lines = "\n".join([HEAD, *(f"{n},2024-01-01 10:00:00,{n},9,1.0,0,0" for n in range(20_000))])
    path = tmp_path / "file.csv.gz"
    path.write_bytes(gzip.compress(lines.encode())[:-2000])
    with pytest.raises(DoyenError, match="FIN-070"):
        read_transactions(path)


def test_rows_out_of_order_are_sorted_and_said_so(tmp_path: Path) -> None:
    late, early = "1,2024-01-02 00:00:00,7,9,5,0,0", "2,2024-01-01 00:00:00,7,9,6,1,2"
    data = read_transactions(written(tmp_path, HEAD, late, early))
    assert data.ids.tolist() == ["2", "1"]
    assert data.cents.tolist() == [600, 500]
    assert data.scenario is not None
    assert data.scenario.tolist() == [2, 0]
    assert "sorted" in data.flags[0]


def test_labels_may_be_absent(tmp_path: Path) -> None:
    data = read_transactions(written(tmp_path, HEAD.rsplit(",", 2)[0], GOOD.rsplit(",", 2)[0]))
    assert data.fraud.tolist() == [0]
    assert data.scenario is None
    assert "TX_FRAUD" in data.flags[0]


def test_transfers_to_oneself_are_left_out_and_flagged(tmp_path: Path) -> None:
    head = "TRANSFER_ID,DATETIME,FROM,TO,AMOUNT"
    data = read_transfers(written(tmp_path, head, "1,2024-01-01,A,A,5", "2,2024-01-01,A,B,6"))
    assert len(data) == 1
    assert data.typology is None
    assert "itself" in data.flags[0]
    with pytest.raises(DoyenError, match="FIN-072"):
        read_transfers(written(tmp_path, head, "1,2024-01-01,A,B,-5"))


def test_clients_without_a_limit_do_not_divide_by_nothing(tmp_path: Path) -> None:
    months = ["PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6"]
    bills, paid = [f"BILL_AMT{m}" for m in range(1, 7)], [f"PAY_AMT{m}" for m in range(1, 7)]
    head = ",".join(["ID", "LIMIT_BAL", *months, *bills, *paid])
    clients = read_clients(written(tmp_path, head, "1,0," + ",".join(["0"] * 18)))
    assert np.isfinite(clients.x_NF).all()
    assert clients.label is None
    assert clients.flags == ("credit limits of 0 count as 1",)
    with pytest.raises(DoyenError, match="FIN-072"):
        read_clients(written(tmp_path, head, "1,NaN," + ",".join(["0"] * 18)))
    for wrong in (["1e300"] + ["0"] * 17, ["0"] * 6 + ["-1e308"] + ["0"] * 11):
        with pytest.raises(DoyenError, match=r"FIN-072.*beyond"):
            read_clients(written(tmp_path, head, "1,100," + ",".join(wrong)))
