"""Facts and their split."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doyen_graph.triples import Triples, split
from doyen_schemas import DoyenError


def triples(facts: list[tuple[int, int, int]], entities: int, relations: int = 2) -> Triples:
    h, r, t = np.array(facts, np.int64).reshape(-1, 3).T
    names = tuple(f"e{n}" for n in range(entities))
    return Triples(names, tuple(f"r{n}" for n in range(relations)), h, r, t, np.ones(len(h), np.float32))


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=60),
    st.integers(0, 5),
    st.integers(0, 20),
)
def test_split_keeps_what_joins_two_entities_together(
    facts: list[tuple[int, int, int]], seed: int, held_out: int
) -> None:
    train, test = split(triples(facts, 9), held_out, seed)
    pairs = [
        {frozenset((int(h), int(t))) for h, t in zip(part.head_E, part.tail_E, strict=True)}
        for part in (train, test)
    ]
    assert not pairs[0] & pairs[1]
    assert len(train) + len(test) == len(facts)
    # Every entity of a test fact keeps a train fact.
    seen = {*train.head_E.tolist(), *train.tail_E.tolist()}
    assert {*test.head_E.tolist(), *test.tail_E.tolist()} <= seen


def test_reverse_and_other_relation_go_to_the_same_side() -> None:
    forth = [(n, 0, n + 1) for n in range(200)]
    back = [(n + 1, 1, n) for n in range(200)]
    train, test = split(triples(forth + back, 201), 100, 0)
    assert 100 <= len(test) <= 101
    for part in (train, test):
        facts = set(zip(part.head_E.tolist(), part.relation_E.tolist(), part.tail_E.tolist(), strict=True))
        assert all((t, 1 - r, h) in facts for h, r, t in facts)


def test_split_depends_on_the_seed_alone() -> None:
    facts = triples([(n, 0, (n * 7 + 1) % 50) for n in range(50)], 50)
    first, again, other = (split(facts, 10, seed)[1].head_E.tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("fact", [(9, 0, 1), (0, 2, 1), (0, 0, -1)])
def test_numbers_without_a_name_are_refused(fact: tuple[int, int, int]) -> None:
    with pytest.raises(DoyenError, match="GRA-001"):
        triples([fact], 9)


def test_lengths_and_weights_are_checked() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(DoyenError, match=r"GRA-001.*differ"):
        Triples(("a",), ("r",), one, one, np.zeros(2, np.int64), np.ones(1, np.float32))
    with pytest.raises(DoyenError, match=r"GRA-001.*weight"):
        Triples(("a",), ("r",), one, one, one, np.zeros(1, np.float32))
