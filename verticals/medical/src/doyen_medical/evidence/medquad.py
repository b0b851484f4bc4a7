"""MedQuAD (Ben Abacha and Demner-Fushman 2019), where the user has it: questions and answers of NIH pages.

It is read once into the user's knowledge folder and is not shipped.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tempfile
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from doyen_medical.cases import rows
from doyen_schemas import DoyenError

NAME: Final = "medquad.jsonl.gz"
_FILES: Final = ("qa.jsonl.gz", "qa.jsonl")
_URL: Final = re.compile(r"https?://[^\s\"'<>]{1,500}")


class Answer(NamedTuple):
    """An answer of a page about ``focus``; ``id`` is ``source:document:line``."""

    id: str
    source: str
    url: str
    focus: str
    text: str


def build(path: Path, folder: Path) -> int:
    """Read ``path``, a file or a folder with ``qa.jsonl.gz``, into the knowledge folder; how many answers there are.

    Rows without an answer, and a page's answers that repeat, are left out. Raises MED-010, MED-011 (unreadable) and
    MED-060 (no such file in the folder, a row of another form, or no answer at all).
    """
    if path.is_dir():
        found = [path / name for name in _FILES if (path / name).is_file()]
        if not found:
            raise DoyenError(
                "MED-060", f"{path} has no {' or '.join(_FILES)}.", "Name MedQuAD's file or its folder."
            )
        path = found[0]
    kept: dict[tuple[str, str], Answer] = {}
    for number, row in rows(path):
        fields = row if isinstance(row, dict) else {}
        parts = [fields.get(name) for name in ("source", "url", "focus")]
        parts += [fields.get("doc_id") or "", fields.get("answer") or ""]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) != len(parts) or not _URL.fullmatch(texts[1]):
            raise DoyenError(
                "MED-060", f"line {number} of {path.name} is no MedQuAD answer.",
                "Each line is a JSON object with source, doc_id, url, focus, question and answer.",
            )  # fmt: skip
        source, url, focus, document, text = texts
        if text.strip() and focus.strip():
            kept.setdefault((url, text), Answer(f"{source}:{document}:{number}", source, url, focus, text))
    if not kept:
        raise DoyenError("MED-060", f"{path.name} holds no answer.", "Name MedQuAD's file or its folder.")
    folder.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=folder, suffix=".part")
    # Without the time of writing, so that the same answers have the same digest.
    with os.fdopen(handle, "wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped:
        for answer in kept.values():
            zipped.write((json.dumps(list(answer), ensure_ascii=False) + "\n").encode())
    os.replace(part, folder / NAME)
    return len(kept)


def load(folder: Path) -> tuple[list[Answer], str]:
    """The answers and the digest of their file; none and empty where it was not built. Raises MED-060 when damaged."""
    path = folder / NAME
    if not path.is_file():
        return [], ""
    try:
        content = path.read_bytes()
        answers = [
            Answer(*json.loads(line)) for line in gzip.decompress(content).decode().split("\n") if line
        ]
    except (OSError, EOFError, zlib.error, ValueError, TypeError, RecursionError) as error:
        raise DoyenError(
            "MED-060", f"{NAME} in the knowledge folder is damaged ({type(error).__name__}).",
            "Run doyen medical knowledge build --medquad again.",
        ) from error  # fmt: skip
    return answers, hashlib.sha256(content).hexdigest()
