"""``read``: any supported file into one ``Document``."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from doyen_documents import cache as store
from doyen_documents import sniff
from doyen_documents.plain import decode, from_text
from doyen_schemas import Document, DoyenError

MAX_FILE_BYTES: Final = 256 * 2**20


def read(path: str | os.PathLike[str], *, name: str | None = None, cache: bool = True) -> Document:
    """Read a PDF, DOCX, HTML or plain text file; what it is is told by its content, not its name.

    ``name`` replaces the file's name in the result. With ``cache`` the text layer of a file that was read before
    is taken from the cache (by content; see ``doyen_documents.cache``). Raises DOC-001 to DOC-014 (README).
    """
    path = Path(path)
    data = file_bytes(path)
    kind = sniff.media_type(data, path.suffix.lower())
    digest = hashlib.sha256(data).hexdigest()
    name = name or path.name
    # Decoding plain text is quicker than reading the cache.
    cached = store.load(digest, kind) if cache and kind != sniff.TEXT else None
    if cached is not None:
        return cached.model_copy(update={"name": name})
    document = _read(kind, data, digest, name)
    if cache and kind != sniff.TEXT:
        store.store(document)
    return document


def _read(kind: str, data: bytes, digest: str, name: str) -> Document:
    # Each reader's library is loaded for its own format only.
    if kind == sniff.PDF:
        from doyen_documents.pdf import read_pdf

        return read_pdf(data, digest, name)
    if kind == sniff.DOCX:
        from doyen_documents.word import read_docx

        return read_docx(data, digest, name)
    if kind == sniff.HTML:
        from doyen_documents.web import read_html

        return read_html(data, digest, name)
    return from_text(decode(data), name).model_copy(update={"sha256": digest})


def file_bytes(path: Path) -> bytes:
    """The file's content; raises DOC-001 to DOC-005."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise DoyenError("DOC-001", f"no such file: {path}.", "Check the path.") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise DoyenError(
            "DOC-002", f"{path} is {what}; a document is a single file.", "Name the files in it."
        )
    if status.st_size == 0:
        raise DoyenError("DOC-004", f"{path} is empty (0 bytes).", "Fetch or save the file again.")
    if status.st_size > MAX_FILE_BYTES:
        found, most = status.st_size // 2**20, MAX_FILE_BYTES // 2**20
        raise DoyenError(
            "DOC-005", f"{path} has {found} MiB; at most {most} MiB are read.", "Split the file."
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DoyenError:
    reason = getattr(error, "strerror", None) or "the path is not valid"
    return DoyenError("DOC-003", f"{path} cannot be read: {reason}.", "Check the file's permissions.")
