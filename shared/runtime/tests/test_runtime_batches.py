"""Finding documents, cutting shards, and a worker that does not start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from doyen_runtime import batches
from doyen_runtime.broker import transport_options
from doyen_runtime.commands.batch import work_now
from doyen_runtime.ledger import Ledger, Submission, Work
from doyen_runtime.settings import Settings
from doyen_schemas import DoyenError

SUFFIXES = frozenset({".txt", ".pdf"})


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / ".hidden").mkdir()
    for name in ("b.txt", "a.TXT", "c.jpg", ".d.txt", "sub/e.pdf", ".hidden/f.txt"):
        (tmp_path / "docs" / name).write_text(name)
    return tmp_path / "docs"


def test_folders_are_searched_in_order_and_files_count_once(docs: Path) -> None:
    found = batches.collect([docs / "b.txt", docs], SUFFIXES)
    assert [path.relative_to(docs).as_posix() for path in found] == ["b.txt", "a.TXT", "sub/e.pdf"]
    assert all(path.is_absolute() for path in found)


@pytest.mark.parametrize(
    ("names", "code"),
    [(["missing", "b.txt"], "RUN-024"), (["c.jpg"], "RUN-025"), (["empty"], "RUN-023"), ([], "RUN-023")],
)
def test_what_cannot_be_submitted(docs: Path, names: list[str], code: str) -> None:
    (docs / "empty").mkdir()
    with pytest.raises(DoyenError) as raised:
        batches.collect([docs / name for name in names], SUFFIXES)
    assert raised.value.code == code
    assert all(name in raised.value.message for name in names[:1])


def test_a_file_that_vanishes_is_named(docs: Path) -> None:
    with pytest.raises(DoyenError) as raised:
        batches.describe([docs / "b.txt", docs / "gone.txt"])
    assert raised.value.code == "RUN-024"
    assert "gone.txt" in raised.value.message


def test_shards_hold_about_equal_work_and_every_document_once() -> None:
    pages = [1.0] * 100 + [400.0] + [5.0] * 60
    submissions = [Submission(f"/{n}", str(n), 1, size) for n, size in enumerate(pages)]
    shards = batches.cut(submissions, 50)
    assert [s for shard in shards for s in shard] == submissions
    assert all(sum(s.pages for s in shard) <= 50 or len(shard) == 1 for shard in shards)
    assert len(shards) <= 2 * sum(pages) / 50 + 1
    small = batches.cut(submissions[:8], 50)
    assert [len(shard) for shard in small] == [1] * 8, "a few documents are shared out among the workers"


def test_a_worker_that_ends_early_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path / "home")
    ledger = Ledger(settings.ledger)
    work = Work("testkit", "0.1.0", "1", "a" * 64, {})
    batch = ledger.submit(work, [[Submission("/a", "0" * 64, 1, 1.0)]])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(DoyenError) as raised:
        work_now(settings, ledger, batch)
    assert raised.value.code == "RUN-029"
    assert ledger.progress(batch).counts["queued"] == 1
    ledger.close()


def test_the_brokers_folders_are_private(tmp_path: Path) -> None:
    options = transport_options(tmp_path / "broker")
    for name in ("data_folder_in", "control_folder"):
        assert Path(options[name]).stat().st_mode & 0o777 == 0o700
    assert options["data_folder_in"] == options["data_folder_out"]
