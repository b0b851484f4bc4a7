"""The heads that find evidence: what they learn, their file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from doyen_legal.corpora import NliPair
from doyen_legal.risk import evidence
from doyen_schemas import DoyenError

SURVIVAL = "Some obligations of Agreement may survive termination of Agreement."
LICENSE = "Agreement shall not grant Receiving Party any right to Confidential Information."
PAIRS = [
    NliPair("The duties of secrecy survive the end of this Agreement.", SURVIVAL, 0),
    NliPair("Confidentiality obligations continue for five years after termination.\nThey survive.", SURVIVAL, 0),
    NliPair("No license to the Confidential Information is granted.", LICENSE, 0),
    NliPair("Nothing herein gives the Recipient a right in patents or copyrights.", LICENSE, 0),
    NliPair("Notices must be sent by registered mail.", SURVIVAL, 2),
    NliPair("This Agreement may be signed in counterparts.", LICENSE, 2),
]  # fmt: skip


@pytest.fixture(scope="module")
def heads() -> evidence.EvidenceHeads:
    return evidence.fit_evidence(PAIRS)


def test_unseen_sentences_are_ranked_by_what_they_bear_on(heads: evidence.EvidenceHeads) -> None:
    from doyen_modeling.pairs import embed

    sentences = [
        "Each party bears its own costs.",
        "No right or license is conveyed to the Receiving Party.",
        "The obligations shall survive expiration of this Agreement for three years.",
    ]
    vectors = embed(sentences)
    assert heads.best(vectors, SURVIVAL, 1) == [2]
    assert heads.best(vectors, LICENSE, 1) == [1]
    assert sorted(heads.best(vectors, SURVIVAL, 9)) == [0, 1, 2]


def test_saved_heads_are_the_same_and_equal_runs_write_equal_files(
    heads: evidence.EvidenceHeads, tmp_path: Path
) -> None:
    evidence.save(heads, tmp_path / "a" / "evidence.safetensors")
    evidence.save(heads, tmp_path / "b.safetensors")
    again = evidence.load(tmp_path / "b.safetensors")
    assert again.hypotheses == heads.hypotheses == (LICENSE, SURVIVAL)
    assert np.array_equal(again.weights, heads.weights)
    assert (tmp_path / "a" / "evidence.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_hypothesis_that_nothing_decides_is_refused() -> None:
    with pytest.raises(DoyenError, match="LEG-039"):
        evidence.fit_evidence([PAIRS[0], PAIRS[5]])


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"no tensors at all"])
def test_a_damaged_file_is_a_coded_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.safetensors"
    path.write_bytes(content)
    with pytest.raises(DoyenError, match="LEG-047"):
        evidence.load(path)
    with pytest.raises(DoyenError, match="LEG-047"):
        evidence.load(tmp_path / "none.safetensors")
