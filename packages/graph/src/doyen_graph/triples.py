"""Typed facts of a graph (head, relation, tail) and their split.

Shape legend: E facts, N entities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doyen_schemas import DoyenError

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Triples:
    """Facts over named entities and relations.

    Attributes:
        entities, relations: names by number.
        head_E, relation_E, tail_E: numbers.
        weight_E: strength of a fact, above 0.

    Raises GRA-001 when a number names nothing, a length differs or a weight is not above 0.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    head_E: Ints
    relation_E: Ints
    tail_E: Ints
    weight_E: Floats

    def __post_init__(self) -> None:
        numbers = {
            "head": (self.head_E, len(self.entities)),
            "tail": (self.tail_E, len(self.entities)),
            "relation": (self.relation_E, len(self.relations)),
        }
        for name, (found_E, size) in numbers.items():
            if len(found_E) and not 0 <= found_E.min() <= found_E.max() < size:
                raise _malformed(f"a {name} number lies outside 0 to {size - 1}")
        if len({len(found_E) for found_E, _ in numbers.values()} | {len(self.weight_E)}) > 1:
            raise _malformed("heads, relations, tails and weights differ in number")
        if not (self.weight_E > 0).all():
            raise _malformed("a weight is not above 0")

    def __len__(self) -> int:
        return len(self.head_E)

    @cached_property
    def number(self) -> dict[str, int]:
        """Entity name to number."""
        return {name: at for at, name in enumerate(self.entities)}

    def rows(self, at: NDArray[Any]) -> Triples:
        """The same entities and relations with some of the facts only; ``at`` is a mask or numbers."""
        return replace(
            self,
            head_E=self.head_E[at],
            relation_E=self.relation_E[at],
            tail_E=self.tail_E[at],
            weight_E=self.weight_E[at],
        )


def split(triples: Triples, held_out: int, seed: int) -> tuple[Triples, Triples]:
    """Train and test part: about ``held_out`` facts in the test part.

    All facts between the same two entities go to one side, whatever relation and direction they have, so that a fact
    is never told by its reverse (Toutanova & Chen 2015). A test fact's entities keep a fact in the train part where
    they have another one.
    """
    low_E = np.minimum(triples.head_E, triples.tail_E)
    high_E = np.maximum(triples.head_E, triples.tail_E)
    pairs, pair_E = np.unique(low_E * len(triples.entities) + high_E, return_inverse=True)
    size_P = np.bincount(pair_E, minlength=len(pairs))
    low_P, high_P = pairs // max(1, len(triples.entities)), pairs % max(1, len(triples.entities))
    ends_P = np.concatenate([low_P, high_P[high_P != low_P]])
    left_N = np.bincount(ends_P, minlength=len(triples.entities))
    chosen_P = np.zeros(len(pairs), bool)
    taken = 0
    for pair in np.random.default_rng(seed).permutation(len(pairs)):
        if taken >= held_out:
            break
        ends = [low_P[pair], high_P[pair]]
        if min(left_N[ends]) > 1:
            chosen_P[pair] = True
            left_N[ends] -= 1
            taken += size_P[pair]
    test_E = chosen_P[pair_E]
    return triples.rows(~test_E), triples.rows(test_E)


def _malformed(what: str) -> DoyenError:
    return DoyenError("GRA-001", f"malformed facts: {what}.", "Number heads, relations and tails from 0.")
