"""An index folder: passages, their words in BM25 and, where an encoder is given, their vectors in FAISS.

Shapes: N passages, D vector width.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_retrieval.words import content_words
from doyen_schemas import DoyenError

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to vectors [N, D]; they are normalised here."""

MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_PASSAGES: Final = "passages.jsonl"
_VECTORS: Final = "vectors.faiss"
_BM25: Final = (
    "data.csc.index.npy", "indices.csc.index.npy", "indptr.csc.index.npy", "vocab.index.json", "params.index.json",
)  # fmt: skip
_K1, _B = 1.2, 0.75


class Passage(NamedTuple):
    """What can be cited: ``id`` is unique in an index; ``source`` names the work, ``url`` where to read it."""

    id: str
    text: str
    source: str
    url: str


@dataclass(frozen=True)
class Index:
    """A loaded index. ``vectors`` is a FAISS inner-product index of N unit vectors, or None: BM25 alone."""

    passages: tuple[Passage, ...]
    bm25: Any
    vectors: Any
    digest: str

    @cached_property
    def position(self) -> dict[str, int]:
        """Passage id to position."""
        return {passage.id: at for at, passage in enumerate(self.passages)}


def build(passages: Iterable[Passage], folder: Path, encode: Encode | None = None) -> None:
    """Write the index of the passages to ``folder``, which appears whole or not at all.

    BM25 as in Lucene (Robertson and Zaragoza 2009) with k1 1.2 and b 0.75. Raises RET-001 (no passage, an id twice,
    a passage without words in its text) and RET-002 (vectors of another shape, or not finite).
    """
    listed = list(passages)
    _check(listed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        with (part / _PASSAGES).open("w", encoding="utf-8") as file:
            for passage in listed:
                file.write(json.dumps(list(passage), ensure_ascii=False) + "\n")
        _bm25(listed).save(part, show_progress=False)
        if encode is not None:
            _write_vectors(encode([passage.text for passage in listed]), len(listed), part / _VECTORS)
        files = {path.name: _sha256(path) for path in sorted(part.iterdir())}
        manifest = {"format": _FORMAT, "passages": len(listed), "files": files}
        (part / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
        try:
            os.replace(part, folder)
        except OSError:
            # Another process built it meanwhile: its index is of the same passages.
            if not (folder / MANIFEST).is_file():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load(folder: Path) -> Index:
    """The index in ``folder``; no file is parsed before its digest is checked.

    Raises RET-003 (no index there, or one of another format) and RET-004 (a file is missing, changed or damaged).
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        manifest = json.loads(content)
        known = manifest["format"] == _FORMAT
        files, count = dict(manifest["files"]), int(manifest["passages"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DoyenError(
            "RET-003", f"{folder.name} holds no readable {MANIFEST} ({type(error).__name__}).", "Build the index."
        ) from error  # fmt: skip
    if not known:
        raise DoyenError(
            "RET-003", f"{folder.name} is of another format than {_FORMAT}.", "Build the index again."
        )
    if not {_PASSAGES, *_BM25} <= set(files) <= {_PASSAGES, _VECTORS, *_BM25}:
        raise _damaged("the manifest lists other files than an index has")
    for name, digest in files.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise _damaged(f"{name} is missing or not the file that was built")
    passages = _read_passages(folder / _PASSAGES)
    bm25 = _read_bm25(folder)
    vectors = _read_vectors(folder / _VECTORS) if _VECTORS in files else None
    held = {len(passages), bm25.scores["num_docs"], len(passages) if vectors is None else vectors.ntotal}
    if held != {count}:
        raise _damaged(f"{count} passages are announced, the files hold {sorted(held)}")
    return Index(passages, bm25, vectors, hashlib.sha256(content).hexdigest())


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Rows of length 1; rows of zeros stay."""
    found = np.ascontiguousarray(vectors, dtype=np.float32)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, length, out=np.zeros_like(found), where=length > 0)


def _check(passages: Sequence[Passage]) -> None:
    seen: set[str] = set()
    for passage in passages:
        if passage.id in seen or not passage.id:
            raise DoyenError(
                "RET-001",
                f"the passage id {passage.id!r} is empty or stands twice.",
                "Give each passage its own id.",
            )
        seen.add(passage.id)
    if not any(content_words(passage.text) for passage in passages):
        raise DoyenError(
            "RET-001",
            f"{len(passages)} passages hold no word: there is nothing to index.",
            "Give texts with words.",
        )


def _bm25(passages: Sequence[Passage]) -> Any:
    import bm25s

    index = bm25s.BM25(k1=_K1, b=_B, method="lucene", backend="numpy", csc_backend="numpy")
    index.index([content_words(passage.text) for passage in passages], show_progress=False)
    return index


def _write_vectors(vectors: NDArray[np.float32], count: int, path: Path) -> None:
    import faiss

    if vectors.ndim != 2 or len(vectors) != count or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise DoyenError(
            "RET-002", f"the encoder gave {vectors.shape} for {count} texts, or numbers that are not finite.",
            "It must return one finite vector for each text.",
        )  # fmt: skip
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(unit(vectors))
    faiss.write_index(index, str(path))


def _read_passages(path: Path) -> tuple[Passage, ...]:
    try:
        with path.open(encoding="utf-8") as file:
            found = tuple(Passage(*json.loads(line)) for line in file)
    except (ValueError, TypeError) as error:
        raise _damaged(f"{path.name} is no list of passages") from error
    if not all(isinstance(part, str) for passage in found for part in passage):
        raise _damaged(f"{path.name} is no list of passages")
    return found


def _read_bm25(folder: Path) -> Any:
    import bm25s

    try:
        return bm25s.BM25.load(folder, allow_pickle=False, show_progress=False)
    except (ValueError, KeyError, TypeError, OSError, EOFError) as error:
        raise _damaged(f"the BM25 files cannot be read ({type(error).__name__})") from error


def _read_vectors(path: Path) -> Any:
    import faiss

    try:
        index = faiss.read_index(str(path))
    except RuntimeError as error:
        raise _damaged(f"{path.name} is no FAISS index") from error
    if not isinstance(index, faiss.IndexFlatIP):
        raise _damaged(f"{path.name} is a {type(index).__name__}, not the inner-product index that was built")
    return index


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(what: str) -> DoyenError:
    return DoyenError(
        "RET-004", f"the index is damaged: {what}.", "Delete the folder and build the index again."
    )
