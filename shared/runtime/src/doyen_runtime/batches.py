"""Batches from the submitter's side: finding files, cutting shards, ringing, following, fetching results."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from doyen_runtime.adapters import file_sha256
from doyen_runtime.ledger import Ledger, Submission, Work
from doyen_runtime.settings import Settings
from doyen_runtime.verticals import Vertical
from doyen_schemas import DoyenError

# Rough bytes per page, to size shards by work: a page of text is about 3 kB, in a PDF about 30 kB.
BYTES_PER_PAGE = {".txt": 3_000, ".md": 3_000, ".html": 6_000, ".htm": 6_000, ".docx": 10_000}
PDF_BYTES_PER_PAGE = 30_000
# A small batch is still cut into this many shards, or all its documents would go to one worker.
MIN_SHARDS = 16
_SHOWN = 5


def open_ledger(settings: Settings) -> Ledger:
    """The ledger that ``settings`` name. Raises RUN-020 and RUN-021."""
    return Ledger(settings.ledger, lease_seconds=settings.lease_seconds, max_attempts=settings.max_attempts)


def collect(paths: Sequence[Path], suffixes: frozenset[str]) -> list[Path]:
    """The files to review: those named, and in folders (recursively, sorted) those with one of ``suffixes``.

    Hidden files and folders are left out; a file that is reached twice counts once.

    Raises:
        DoyenError: RUN-024 paths that cannot be read, RUN-025 a named file of another kind, RUN-023 nothing found.
    """
    unreadable = [str(path) for path in paths if not os.access(path, os.R_OK)]
    if unreadable:
        raise DoyenError(
            "RUN-024",
            f"{len(unreadable)} path(s) missing or not readable: {_some(unreadable)}",
            "Check the paths.",
        )
    wrong = [str(path) for path in paths if path.is_file() and path.suffix.lower() not in suffixes]
    if wrong:
        raise DoyenError(
            "RUN-025",
            f"{len(wrong)} file(s) of a kind that this vertical does not read: {_some(wrong)}",
            f"It reads {', '.join(sorted(suffixes))}.",
        )
    found: dict[Path, None] = {}
    for path in paths:
        for file in _walk(path) if path.is_dir() else [path]:
            if file.suffix.lower() in suffixes:
                found[Path(os.path.abspath(file))] = None
    if not found:
        raise DoyenError(
            "RUN-023",
            f"no document in {_some([str(path) for path in paths]) or 'an empty list of paths'}",
            f"This vertical reads {', '.join(sorted(suffixes))}.",
        )
    return list(found)


def _walk(folder: Path) -> Iterable[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root) / name
            if not name.startswith(".") and path.is_file():
                yield path


def describe(files: Iterable[Path]) -> list[Submission]:
    """Hash and measure the files.

    Raises:
        DoyenError: RUN-024 with the files that cannot be read.
    """
    submissions, unreadable = [], []
    for file in files:
        try:
            size = file.stat().st_size
            digest = file_sha256(file)
        except OSError:
            unreadable.append(str(file))
            continue
        pages = max(1.0, size / BYTES_PER_PAGE.get(file.suffix.lower(), PDF_BYTES_PER_PAGE))
        submissions.append(Submission(str(file), digest, size, pages))
    if unreadable:
        raise DoyenError(
            "RUN-024",
            f"{len(unreadable)} file(s) not readable: {_some(unreadable)}",
            "Nothing was submitted.",
        )
    return submissions


def cut(submissions: Sequence[Submission], shard_pages: float) -> list[list[Submission]]:
    """Shards of consecutive documents with about equal work: at most ``shard_pages``, or one document each."""
    limit = min(shard_pages, sum(submission.pages for submission in submissions) / MIN_SHARDS)
    shards: list[list[Submission]] = []
    pages = 0.0
    for submission in submissions:
        if not shards or pages + submission.pages > limit:
            shards.append([])
            pages = 0.0
        shards[-1].append(submission)
        pages += submission.pages
    return shards


def submit(
    settings: Settings, ledger: Ledger, vertical: Vertical, paths: Sequence[Path], options: Mapping[str, Any]
) -> str:
    """Record a batch for ``paths``, ring for its work, and return its id.

    Raises:
        DoyenError: what :func:`collect`, :func:`describe`, the vertical's options and adapter, and
            :func:`doyen_runtime.queue.ring` raise; after RUN-027 (no broker) the batch is recorded all the same.
    """
    work = Work(
        vertical.name,
        vertical.version,
        vertical.pipeline_version,
        vertical.adapter_digest(),
        vertical.validate_options(options),
    )
    submissions = describe(collect(paths, vertical.suffixes))
    batch_id = ledger.submit(work, cut(submissions, settings.shard_pages))
    ring_batch(settings, ledger, batch_id)
    return batch_id


def ring_batch(settings: Settings, ledger: Ledger, batch_id: str) -> None:
    """Ring for the shards of a batch that have had no message yet. Raises RUN-022 and RUN-027."""
    from doyen_runtime.queue import create_app, ring  # Celery takes a while to import; --help must not

    vertical = ledger.progress(batch_id).vertical
    shards = [shard for shard in ledger.waiting(vertical).unrung if shard[0] == batch_id]
    ring(create_app(settings, [vertical]), settings, ledger, vertical, shards)


def write_results(ledger: Ledger, batch_id: str, folder: Path) -> dict[str, Any]:
    """Write every finished report to ``folder`` as JSON, private to the user, and ``index.json`` over all documents.

    Returns:
        The index: ``batch``, ``vertical``, ``state``, ``documents`` with path, state, error and report file.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows = []
    for row in list(ledger.documents(batch_id)):
        name = None
        if row["state"] == "done":
            stem = re.sub(r"[^\w.-]+", "_", Path(row["path"]).stem)[:80]
            name = f"{row['position'] + 1:05d}-{stem}.json"
            _write_private(folder / name, ledger.report(row["key"]))
        rows.append({**_document(row), "file": name})
    index = {**_head(ledger, batch_id), "documents": rows}
    _write_private(folder / "index.json", index)
    return index


def results(ledger: Ledger, batch_id: str) -> dict[str, Any]:
    """The index of a batch with every finished report inside. Raises RUN-022."""
    rows = [
        {**_document(row), "report": ledger.report(row["key"]) if row["state"] == "done" else None}
        for row in list(ledger.documents(batch_id))
    ]
    return {**_head(ledger, batch_id), "documents": rows}


def summary(ledger: Ledger, batch_id: str) -> dict[str, Any]:
    """State and counts of a batch, with the documents that failed. Raises RUN-022."""
    wrong = [_document(row) for row in list(ledger.documents(batch_id)) if row["error_code"]]
    return {**_head(ledger, batch_id), "problems": wrong}


def _head(ledger: Ledger, batch_id: str) -> dict[str, Any]:
    progress = ledger.progress(batch_id)
    return {
        "batch": batch_id,
        "vertical": progress.vertical,
        "state": progress.state,
        "documents_total": progress.documents,
        "items": progress.counts,
    }


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "path": row["path"],
        "sha256": row["document_sha256"],
        "state": row["state"],
        "attempts": row["attempts"],
        "error": f"{row['error_code']}: {row['error_message']}" if row["error_code"] else None,
        "seconds": row["seconds"],
    }


def _write_private(path: Path, value: Any) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        json.dump(value, stream, ensure_ascii=False, indent=1)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
