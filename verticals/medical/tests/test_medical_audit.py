"""The audit log: appended, chained, forced to the disk; what is altered, removed or cut is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medical_report_fixtures import abstaining, report

from doyen_medical import audit
from doyen_schemas import DoyenError


def log_of(folder: Path, entries: int = 5) -> Path:
    file = folder / "audit.jsonl"
    for _ in range(entries):
        audit.record(report(), "ranked", who="a", file=file)
    return file


def test_an_entry_says_who_what_and_with_which_versions_but_no_text(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "audit.jsonl"
    entry = audit.record(abstaining(), "ranked", file=file)
    assert entry.number == 1
    assert entry.who == audit.this_person()
    assert entry.ranks == [("OMIM:300672", 0.62), ("ORPHA:778", 0.1)]
    assert (entry.abstained, entry.knowledge, entry.input_sha256) == (
        "out-of-reach",
        "hpo-2025-01-16+12345678",
        "b" * 64,
    )
    assert entry.versions["adapter_digest"] == "c" * 64
    text = file.read_text()
    for private in ("patient.json", "seizures", "deafness", "Seizure", "HP:"):
        assert private not in text
    assert file.stat().st_mode & 0o077 == 0
    assert audit.verify(file) == audit.Check(1, entry.hash, True)


def test_a_whole_log_is_verified(tmp_path: Path) -> None:
    file = log_of(tmp_path)
    check = audit.verify(file)
    assert check.entries == 5
    assert audit.verify(file, expect=check.last).entries == 5
    with pytest.raises(DoyenError, match=r"MED-071.*no entry has the digest"):
        audit.verify(file, expect="0" * 64)


def _remove(place: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: lines[:place] + lines[place + 1 :]


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "first removed": _remove(0),
    "middle removed": _remove(2),
    "last removed": _remove(4),
    "all removed": lambda lines: [],
    "two swapped": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "one doubled": lambda lines: [*lines[:3], lines[2], *lines[3:]],
    "altered": lambda lines: [lines[0].replace('"who":"a"', '"who":"b"'), *lines[1:]],
    "garbage": lambda lines: [*lines[:2], "{}\n", *lines[2:]],
    "half a line": lambda lines: [*lines[:4], lines[4][:50]],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_done_to_a_log_is_noticed(tmp_path: Path, change: str) -> None:
    file = log_of(tmp_path)
    file.write_text("".join(CHANGES[change](file.read_text().splitlines(keepends=True))))
    with pytest.raises(DoyenError, match="MED-071") as raised:
        audit.verify(file)
    assert "CDKL5" not in str(raised.value)


@pytest.mark.parametrize("change", ["last removed", "all removed", "half a line"])
def test_nothing_is_appended_behind_a_cut(tmp_path: Path, change: str) -> None:
    file = log_of(tmp_path)
    file.write_text("".join(CHANGES[change](file.read_text().splitlines(keepends=True))))
    before = file.read_bytes()
    with pytest.raises(DoyenError, match="MED-071"):
        audit.record(report(), "ranked", file=file)
    assert file.read_bytes() == before


def test_a_forged_digest_is_noticed_by_the_next_line(tmp_path: Path) -> None:
    file = log_of(tmp_path)
    lines = file.read_text().splitlines(keepends=True)
    forged = audit.Entry.model_validate_json(lines[1]).model_copy(update={"who": "b"})
    lines[1] = forged.model_copy(update={"hash": forged.digest()}).model_dump_json() + "\n"
    file.write_text("".join(lines))
    with pytest.raises(DoyenError, match="line 3 does not follow"):
        audit.verify(file)


def test_without_its_head_a_cut_end_is_said_to_go_unnoticed(tmp_path: Path) -> None:
    file = log_of(tmp_path)
    file.with_name("audit.jsonl.head").unlink()
    assert audit.verify(file).head is False
    file.with_name("audit.jsonl.head").write_text("what\n")
    with pytest.raises(DoyenError, match="head file is damaged"):
        audit.verify(file)


def test_a_log_that_outlived_a_crash_before_its_head_is_whole(tmp_path: Path) -> None:
    file = log_of(tmp_path, 2)
    head = file.with_name("audit.jsonl.head")
    kept = head.read_text()
    audit.record(report(), "ranked", who="a", file=file)
    head.write_text(kept)
    assert audit.verify(file).entries == 3
    audit.record(report(), "ranked", who="a", file=file)
    assert audit.verify(file).entries == 4


def test_several_processes_append_one_chain(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom doyen_medical import audit\nfrom medical_report_fixtures import report\n"
        f"for _ in range(15): audit.record(report(), 'ranked', file=Path({str(file)!r}))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert audit.verify(file).entries == 45


def test_a_log_that_cannot_be_used_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="MED-070"):
        audit.verify(tmp_path / "missing.jsonl")
    with pytest.raises(DoyenError, match="MED-070"):
        audit.record(report(), "ranked", file=tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.data())
def test_any_changed_byte_of_an_entry_is_noticed(tmp_path: Path, data: st.DataObject) -> None:
    file = tmp_path / "audit.jsonl"
    if not file.exists():
        log_of(tmp_path, 3)
        (tmp_path / "kept").write_bytes(file.read_bytes())
    content = bytearray((tmp_path / "kept").read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    content[place] = new
    file.write_bytes(content)
    with pytest.raises(DoyenError, match="MED-071"):
        audit.verify(file)


def test_every_line_is_json(tmp_path: Path) -> None:
    for line in log_of(tmp_path).read_text().splitlines():
        assert json.loads(line)["action"] == "ranked"


def test_a_torn_last_line_is_refused_and_once_cut_off_the_log_goes_on(tmp_path: Path) -> None:
    file = log_of(tmp_path, 3)
    whole = file.read_bytes()
    file.write_bytes(whole + whole.splitlines()[-1][:40])
    for use in (lambda: audit.verify(file), lambda: audit.record(report(), "ranked", file=file)):
        with pytest.raises(DoyenError, match=r"MED-071.*no whole entry"):
            use()
    subprocess.run(["sed", "-i", "$d", str(file)], check=True)
    assert file.read_bytes() == whole
    audit.record(report(), "ranked", file=file)
    assert audit.verify(file).entries == 4
