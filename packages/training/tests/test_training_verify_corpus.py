import gzip
import json

import pytest

from doyen_schemas import DoyenError
from doyen_training.verify.corpus import (
    Clause,
    Contract,
    class_names,
    clause_records,
    in_split,
    read_contracts,
)

LAW = "This agreement is governed by and construed under the laws of the State of New York, number"
ASSIGN = "Neither party may assign this agreement without prior written consent of the other, number"


def row(number: int) -> dict[str, object]:
    law, assign = f"{LAW} {number}.", f"{ASSIGN} {number}."
    text = f"{law}\n\n{assign}"
    return {
        "id": f"c{number}",
        "text": text,
        "spans": [
            {"label": "Governing Law", "start": 0, "end": len(law), "text": law},
            {"label": "Anti-Assignment", "start": len(text) - len(assign), "end": len(text)},
            {"label": "Parties", "start": 0, "end": 4},
        ],
    }


def write(path, rows, zipped=False):
    content = "".join(json.dumps(r) + "\n" for r in rows).encode()
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_clauses_are_cut_by_their_places_and_short_spans_are_left_out(tmp_path, zipped):
    contracts = read_contracts(write(tmp_path / "cuad", [row(1), row(2)], zipped))
    assert [c.id for c in contracts] == ["c1", "c2"]
    assert contracts[0].clauses == (
        Clause("Governing Law", f"{LAW} 1."),
        Clause("Anti-Assignment", f"{ASSIGN} 1."),
    )


def test_without_data_the_way_out_is_named(tmp_path):
    with pytest.raises(DoyenError, match="no data file was named") as found:
        read_contracts(None)
    assert found.value.code == "TRN-090"
    assert "--data" in found.value.hint
    with pytest.raises(DoyenError, match="TRN-090"):
        read_contracts(tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"not json\n", "line 1"),
        (b'{"id": 1, "text": "t", "spans": []}\n{"id": 2}\n', "line 2"),
        (b'{"id": 1, "text": "t", "spans": [{"label": "A"}]}\n', "line 1"),
        (b'{"id": 1, "text": 3, "spans": []}\n', "line 1"),
        (b"\xff\xfe\n", "line 1"),
        (b"", "fewer than two types"),
    ],
)
def test_a_line_that_breaks_the_format_is_named_by_its_number(tmp_path, content, line):
    file = tmp_path / "cuad.jsonl"
    file.write_bytes(content)
    with pytest.raises(DoyenError, match=line) as found:
        read_contracts(file)
    assert found.value.code == "TRN-091"


def test_truncated_gzip_is_refused(tmp_path):
    file = write(tmp_path / "cuad.gz", [row(n) for n in range(50)], zipped=True)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(DoyenError, match="TRN-091"):
        read_contracts(file)


def test_train_and_dev_share_no_contract_and_no_text():
    contracts = [
        Contract(f"c{n}", "", (Clause("A", f"text {n % 60}"), Clause("B", f"other {n}"))) for n in range(200)
    ]
    train = clause_records(contracts, ["A", "B"], "train")
    dev = clause_records(contracts, ["A", "B"], "dev")
    assert {r.group for r in train}.isdisjoint(r.group for r in dev)
    assert {r.messages[0].content for r in train}.isdisjoint(r.messages[0].content for r in dev)
    assert 20 < len({r.group for r in dev}) < 80
    assert all(in_split(c, "dev") for c in contracts if c.id in {r.group for r in dev})


def test_fit_and_hold_are_the_two_parts_of_train():
    contracts = [Contract(f"c{n}", "", ()) for n in range(400)]
    parts = {
        split: {c.id for c in contracts if in_split(c, split)} for split in ("train", "dev", "fit", "hold")
    }
    assert parts["train"] | parts["dev"] == {c.id for c in contracts}
    assert parts["train"].isdisjoint(parts["dev"])
    assert parts["fit"] | parts["hold"] == parts["train"]
    assert parts["fit"].isdisjoint(parts["hold"])
    assert 0.2 < len(parts["hold"]) / len(parts["train"]) < 0.4


def test_a_text_with_two_types_and_a_type_outside_the_task_are_left_out():
    contracts = [
        Contract(
            f"c{n}",
            "",
            (Clause("A", "same"), Clause("B", "same"), Clause("A", f"a {n}"), Clause("C", f"c {n}")),
        )
        for n in range(8)
    ]
    records = [r for split in ("train", "dev") for r in clause_records(contracts, ["A", "B"], split)]
    assert sorted(r.messages[0].content for r in records) == sorted(f"a {n}" for n in range(8))
    assert {r.messages[1].content for r in records} == {"A"}


def test_classes_are_frequent_and_differ_in_their_first_token():
    clauses = [Clause("Cap", "x")] * 3 + [Clause("Non-Compete", "y")] * 2 + [Clause("Non-Solicit", "z")]
    names = class_names([Contract("c", "", tuple(clauses))], {"Cap": 1, "Non-Compete": 2, "Non-Solicit": 2})
    assert names == ["Cap", "Non-Compete"]
