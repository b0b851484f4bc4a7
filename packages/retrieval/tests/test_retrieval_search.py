"""Hybrid search: BM25 by hand, fusion by hand, restriction, reranking, queries of every kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from doyen_retrieval.index import Index, Passage, build, load
from doyen_retrieval.search import search
from doyen_schemas import DoyenError

TEXTS = ("Seizures and seizures.", "Ataxia with seizures, gait.", "A convulsion with fever.", "Fever.")


def encode(texts: Sequence[str]) -> NDArray[np.float32]:
    fits = ("seizure", "convulsion", "epilep")
    return np.array(
        [[1.0, 0.0] if any(word in text.casefold() for word in fits) else [0.0, 1.0] for text in texts],
        np.float32,
    )


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("search") / "index"
    build([Passage(f"p{at}", text, "", "") for at, text in enumerate(TEXTS)], folder, encode)
    return load(folder)


def test_bm25_by_hand(index: Index) -> None:
    """Lucene's form with k1 1.2 and b 0.75, lengths 2, 3, 2 and 1."""
    idf = math.log(1 + (4 - 2 + 0.5) / (2 + 0.5))
    weight = [tf / (tf + 1.2 * (1 - 0.75 + 0.75 * length / 2)) for tf, length in ((2, 2), (1, 3))]
    assert index.bm25.get_scores(["seizure"])[:2] == pytest.approx([idf * w for w in weight], rel=1e-5)


def test_without_an_encoder_it_is_bm25_alone_and_says_so(index: Index) -> None:
    result = search(index, "seizure")
    assert [hit.passage.id for hit in result.hits] == ["p0", "p1"]
    assert result.methods == ("bm25",)
    assert result.hits[0].ranks == {"bm25": 1}


def test_fusion_by_hand(index: Index) -> None:
    result = search(index, "Seizure", encode=encode)
    assert result.methods == ("bm25", "dense")
    scores = {hit.passage.id: hit.score for hit in result.hits}
    assert scores["p0"] == pytest.approx(2 / 61)
    assert scores["p1"] == pytest.approx(2 / 62)
    assert scores["p2"] == pytest.approx(1 / 63)
    assert result.hits[2].ranks == {"dense": 3}


def test_words_that_no_passage_has_find_nothing_without_vectors(index: Index) -> None:
    assert search(index, "epilepsy").hits == ()
    assert search(index, "epilepsy", 1, encode=encode).hits[0].passage.id == "p0"


def test_only_the_allowed_passages_are_found(index: Index) -> None:
    for among in ([], [1], [1, 3]):
        hits = search(index, "seizures fever", encode=encode, among=among).hits
        assert {hit.passage.id for hit in hits} == {f"p{at}" for at in among}


def test_a_reranker_orders_the_candidates(index: Index) -> None:
    result = search(index, "seizures", rerank=lambda query, passages: [len(p.text) for p in passages])
    assert [(hit.passage.id, hit.score) for hit in result.hits] == [
        ("p1", len(TEXTS[1])),
        ("p0", len(TEXTS[0])),
    ]
    assert result.methods == ("bm25", "rerank")


@pytest.mark.parametrize("scores", [[1.0], [math.nan, 1.0], [[1.0], [2.0]]])
def test_a_reranker_that_does_not_fit_is_refused(index: Index, scores: list[float]) -> None:
    with pytest.raises(DoyenError, match="RET-005"):
        search(index, "seizures", rerank=lambda query, passages: scores)


def test_another_encoder_is_refused(index: Index) -> None:
    with pytest.raises(DoyenError, match="RET-005"):
        search(index, "seizures", encode=lambda texts: np.zeros((1, 3), np.float32))


@given(st.text(max_size=60), st.integers(1, 5))
def test_any_query_gives_at_most_top_hits_in_order_twice_the_same(index: Index, query: str, top: int) -> None:
    result = search(index, query, top, encode=encode)
    assert len(result.hits) <= top
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert search(index, query, top, encode=encode) == result


def test_many_equal_passages_keep_their_order(tmp_path: Path) -> None:
    build([Passage(str(at), "same words", "", "") for at in range(300)], tmp_path / "index")
    hits = search(load(tmp_path / "index"), "words", 120).hits
    assert [hit.passage.id for hit in hits] == [str(at) for at in range(120)]
