from __future__ import annotations

import json
from pathlib import Path

import pytest

from doyen_data import Message, Record, dataset_digest, read_records, sample, split_groups, write_records
from doyen_schemas import DoyenError


def record(number: int, group: str = "") -> Record:
    return Record(
        id=f"r{number}",
        group=group,
        messages=(
            Message(role="user", content=f"question {number}"),
            Message(role="assistant", content="§ answer"),
        ),
    )


def test_records_survive_a_file(tmp_path: Path) -> None:
    records = [record(1, "a"), record(2)]
    write_records(tmp_path / "sub" / "r.jsonl", records)
    assert read_records(tmp_path / "sub" / "r.jsonl") == records
    assert [p.name for p in (tmp_path / "sub").iterdir()] == ["r.jsonl"]


def test_every_wrong_line_is_named_without_its_text(tmp_path: Path) -> None:
    good = record(1).model_dump()
    lines = [
        json.dumps(good),
        "not json",
        json.dumps(good | {"id": "r2", "extra": "secret"}),
        "",
        json.dumps(good | {"id": "r3", "messages": list(reversed(good["messages"]))}),
        json.dumps(good),
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    with pytest.raises(DoyenError) as raised:
        read_records(tmp_path / "r.jsonl")
    assert raised.value.code == "DAT-002"
    message = raised.value.message
    assert "4 wrong line(s)" in message
    assert "line 3: extra: Extra inputs are not permitted" in message
    assert "line 5: Value error, the last message is the assistant's, found 'user'" in message
    assert "line 6: id 'r1' is that of line 1" in message
    assert "secret" not in message


@pytest.mark.parametrize("content", [b"\xff\xfe", b'{"id": "a"}'])
def test_undecodable_and_incomplete_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.jsonl").write_bytes(content)
    with pytest.raises(DoyenError, match="DAT-002"):
        read_records(tmp_path / "r.jsonl")


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="DAT-001"):
        read_records(tmp_path / "r.jsonl")
    (tmp_path / "r.jsonl").write_text("\n")
    with pytest.raises(DoyenError, match="DAT-003"):
        read_records(tmp_path / "r.jsonl")


def test_a_system_message_stands_first_only() -> None:
    with pytest.raises(ValueError, match="stands first"):
        Record(
            id="x",
            messages=(
                Message(role="user", content="a"),
                Message(role="system", content="b"),
                Message(role="assistant", content="c"),
            ),
        )


def test_digest_depends_on_content_and_order_not_on_formatting(tmp_path: Path) -> None:
    a, b = record(1), record(2)
    assert dataset_digest([a, b]) != dataset_digest([b, a])
    spaced = json.dumps(a.model_dump(), indent=None, separators=(" , ", " : "))
    (tmp_path / "r.jsonl").write_text(spaced + "\n\n")
    assert dataset_digest(read_records(tmp_path / "r.jsonl")) == dataset_digest([a])


def test_sample_is_seeded_and_keeps_order() -> None:
    records = [record(i) for i in range(50)]
    drawn = sample(records, 10, seed=3)
    assert drawn == sample(records, 10, seed=3) != sample(records, 10, seed=4)
    numbers = [int(r.id[1:]) for r in drawn]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 10
    assert sample(records, 99, seed=3) == records


def test_groups_stay_whole_and_adding_records_moves_none() -> None:
    records = [record(i, group=f"g{i % 40}") for i in range(200)]
    rest, held = split_groups(records, 0.25, seed=1)
    assert {r.group for r in rest}.isdisjoint(r.group for r in held)
    assert 4 <= len({r.group for r in held}) <= 17
    more_rest, more_held = split_groups([*records, record(999, "new")], 0.25, seed=1)
    assert set(held) <= set(more_held)
    assert set(rest) <= set(more_rest)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_split_needs_a_share_between_0_and_1(share: float) -> None:
    with pytest.raises(DoyenError, match="DAT-004"):
        split_groups([record(1)], share, seed=0)


def test_a_file_of_mixed_encodings_is_refused_with_its_line(tmp_path: Path) -> None:
    lines = [record(1).model_dump_json().encode(), record(2).model_dump_json().encode("latin-1")]
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(lines))
    with pytest.raises(DoyenError, match=r"DAT-002: r\.jsonl is not UTF-8 \(line 2, byte"):
        read_records(tmp_path / "r.jsonl")


def test_separators_inside_a_text_do_not_end_a_line(tmp_path: Path) -> None:
    text = "one\u2028two\x85three"
    odd = Record(
        id="odd", messages=(Message(role="user", content=text), Message(role="assistant", content="a"))
    )
    write_records(tmp_path / "r.jsonl", [odd])
    assert read_records(tmp_path / "r.jsonl") == [odd]


def test_marks_are_for_assistants_and_do_not_change_the_digest_of_unmarked_records(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only an assistant's turn"):
        Message(role="user", content="q", train=True)
    marked = Record(
        id="r1",
        messages=(Message(role="user", content="q"), Message(role="assistant", content="a", train=True)),
    )
    write_records(tmp_path / "r.jsonl", [marked])
    assert read_records(tmp_path / "r.jsonl") == [marked]
    write_records(tmp_path / "plain.jsonl", [record(1)])
    assert "train" not in (tmp_path / "plain.jsonl").read_text()
    assert dataset_digest([record(1)]) == "404a2fbdf71f60d80e2deb1ffe4cfec1a38da475e88ca0e809d728ea107f5745"


@pytest.mark.parametrize(
    ("false", "rule"),
    [
        ([[0, 5]], "lie within the turn's 4 characters"),
        ([[2, 2]], "stretches rise"),
        ([[2, 3], [1, 2]], "stretches rise"),
        ([], "at least 1 item"),
    ],
)
def test_false_stretches_lie_within_an_answer(false: list[list[int]], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Message(role="assistant", content="four", false=false)  # type: ignore[arg-type]
    marked = Message(role="assistant", content="four", false=((0, 2), (2, 4)))
    assert marked.turn == {"role": "assistant", "content": "four"}
    with pytest.raises(ValueError, match="the user's"):
        Message(role="user", content="four", false=((0, 1),))
