"""The text layer on disk, by content hash and reader version, so that a document is read once."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Final

import platformdirs

from doyen_schemas import Document

# Raise it whenever a reader's output changes: entries of another version are never looked at.
READER_VERSION: Final = "1"
MAX_BYTES: Final = 2**30


def folder() -> Path:
    """Where entries are kept: ``DOYEN_CACHE``/documents, else under the user's cache folder."""
    root = os.environ.get("DOYEN_CACHE")
    return (Path(root) if root else Path(platformdirs.user_cache_dir("doyen"))) / "documents"


def load(sha256: str, media_type: str) -> Document | None:
    """The cached document, or None where there is none or it cannot be used."""
    path = _path(sha256, media_type)
    try:
        data = path.read_bytes()
        document = Document.model_validate_json(data)
    except (OSError, ValueError):
        return None
    if document.sha256 != sha256 or document.media_type != media_type:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the least recently used go first
    return document


def store(document: Document) -> None:
    """Keep a document, readable by its owner alone. A cache that cannot be written is no error."""
    path = _path(document.sha256, document.media_type)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # mkstemp gives 0600
        with os.fdopen(descriptor, "wb") as file:
            file.write(document.model_dump_json().encode())
        os.replace(temporary, path)
        temporary = None
        _shrink(path.parent)
    except OSError:
        pass
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _path(sha256: str, media_type: str) -> Path:
    kind = media_type.rpartition("/")[2].rpartition(".")[2]
    return folder() / f"{sha256}.{kind}.v{READER_VERSION}.json"


def _shrink(parent: Path, limit: int = MAX_BYTES) -> None:
    """Remove the least recently used entries until the folder is within its limit."""
    entries: list[tuple[float, int, str]] = []
    with os.scandir(parent) as found:
        for entry in found:
            with contextlib.suppress(OSError):
                status = entry.stat()
                entries.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= limit:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
