"""The index folder: what is written is read back, and nothing else is read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from doyen_retrieval.index import MANIFEST, Passage, build, load, unit
from doyen_retrieval.search import search
from doyen_retrieval.words import content_words
from doyen_schemas import DoyenError

PASSAGES = [
    Passage("a", "Seizures are a sudden burst of electrical activity.", "page", "https://example.org/a"),
    Passage("b", "Ataxia is a lack of coordination.", "page", "https://example.org/b"),
    Passage("c", "A convulsion, often with fever.", "page", "https://example.org/c"),
]


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """Two directions: fits, and everything else; not of length 1."""
    fits = ("seizure", "convulsion", "epilep")
    return np.array(
        [[3.0, 0.1] if any(word in text.casefold() for word in fits) else [0.1, 2.0] for text in texts],
        np.float32,
    )


def test_what_is_built_is_read_back(tmp_path: Path) -> None:
    build(PASSAGES, tmp_path / "index", encode)
    index = load(tmp_path / "index")
    assert list(index.passages) == PASSAGES
    assert index.position == {"a": 0, "b": 1, "c": 2}
    assert np.allclose(np.linalg.norm(index.vectors.reconstruct_n(0, 3), axis=1), 1)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".pkl", ".pickle"}]


def test_the_same_passages_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two", "one"):
        build(PASSAGES, tmp_path / name, encode)
    assert (tmp_path / "one" / MANIFEST).read_bytes() == (tmp_path / "two" / MANIFEST).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


@pytest.mark.parametrize(
    "bad", [[], [PASSAGES[0]] * 2, [Passage("", "x", "", "")], [Passage("a", " ... ", "", "")]]
)
def test_passages_that_cannot_be_indexed_are_refused(tmp_path: Path, bad: list[Passage]) -> None:
    with pytest.raises(DoyenError, match="RET-001"):
        build(bad, tmp_path / "index")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "vectors", [np.zeros((2, 4)), np.zeros((3, 0)), np.full((3, 2), np.nan), np.zeros(3)]
)
def test_an_encoder_that_does_not_fit_is_refused(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    with pytest.raises(DoyenError, match="RET-002"):
        build(PASSAGES, tmp_path / "index", lambda texts: vectors)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", '{"format": 9, "files": {}, "passages": 0}', '{"format": 1}']
)
def test_a_folder_without_an_index_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(DoyenError, match="RET-003"):
        load(tmp_path)


def test_every_changed_or_missing_file_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build(PASSAGES, folder, encode)
    for path in sorted(folder.iterdir()):
        if path.name == MANIFEST:
            continue
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(DoyenError, match=f"RET-004.*{path.name}"):
            load(folder)
        path.unlink()
        with pytest.raises(DoyenError, match=f"RET-004.*{path.name}"):
            load(folder)
        path.write_bytes(content)
    load(folder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("passages.jsonl", b"[1]\n"),
        ("passages.jsonl", b'["a", "b", "c", 4]\n'),
        ("passages.jsonl", b'["a", "one alone", "", ""]\n'),
        ("vectors.faiss", b"IxFInonsense"),
        ("data.csc.index.npy", b"\x93NUMPY nonsense"),
        ("params.index.json", b"{"),
    ],
)
def test_files_with_a_right_digest_and_another_content_are_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    folder = tmp_path / "index"
    build(PASSAGES, folder, encode)
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DoyenError, match="RET-004"):
        load(folder)


@pytest.mark.parametrize("name", ["../secret", "corpus.pkl"])
def test_a_manifest_names_no_other_files(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "index"
    build(PASSAGES, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = "0" * 64
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DoyenError, match="RET-004"):
        load(folder)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_any_texts_are_indexed_and_found_by_their_words(tmp_path: Path, texts: list[str]) -> None:
    passages = [Passage(str(at), text, "", "") for at, text in enumerate(texts)]
    if not any(content_words(text) for text in texts):
        with pytest.raises(DoyenError, match="RET-001"):
            build(passages, tmp_path / "any")
        return
    build(passages, tmp_path / "any")
    index = load(tmp_path / "any")
    assert list(index.passages) == passages
    for passage in passages:
        hits = {hit.passage.id for hit in search(index, passage.text).hits}
        assert (passage.id in hits) == bool(content_words(passage.text))


def test_a_row_of_zeros_stays_zero() -> None:
    assert unit(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [
        [0.0, 0.0],
        [pytest.approx(0.6), pytest.approx(0.8)],
    ]


def test_a_build_beside_another_one_leaves_one_whole_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process finishes between our last look and our rename."""
    build(PASSAGES, tmp_path / "other")
    replace = os.replace

    def late(part: Path, target: Path) -> None:
        replace(tmp_path / "other", target)
        replace(part, target)

    monkeypatch.setattr(os, "replace", late)
    build(PASSAGES, tmp_path / "index")
    assert list(load(tmp_path / "index").passages) == PASSAGES
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
