"""The building blocks of the scores against plain loops; names and kin; the fuser's arithmetic and file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from medical_fixtures import SMALL

from doyen_medical.knowledge import ontology as obo
from doyen_medical.knowledge.maps import Maps
from doyen_medical.rank import fuser as fusers
from doyen_medical.rank import tables
from doyen_medical.rank.align import same_disease, series, words

ONTOLOGY = obo.parse(SMALL)
ANCESTORS = tables.ancestor_matrix(ONTOLOGY)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([2, 3, 4]), st.floats(0.125, 1, width=32)),
        min_size=1,
        max_size=12,
    )
)
def test_the_highest_value_at_or_below_each_term(rows: list[tuple[int, int, float]]) -> None:
    disease, term, value = (np.array(column) for column in zip(*rows, strict=True))
    found = tables.highest(ANCESTORS, disease, term, value.astype(np.float32), 3).toarray()
    expected = np.zeros_like(found)
    for d, t, v in rows:
        for a in ONTOLOGY.ancestors(t):
            expected[a, d] = max(expected[a, d], np.float32(v))
    assert np.allclose(found, expected, atol=1e-5)


def test_the_best_ancestor_of_a_term() -> None:
    """Seizure (3) is annotated to disease 0, Phenotypic abnormality (2) to disease 1; spasm (4) backs off to both."""
    values = sp.csr_matrix((np.array([5.0, 1.0], np.float32), ([3, 2], [0, 1])), shape=(5, 3))
    best = tables.BestAncestor(values, ANCESTORS, -1.0)
    assert best([4]).tolist() == [[5.0, 1.0, -1.0]]
    assert best([2]).tolist() == [[-1.0, 1.0, -1.0]]


def test_content_is_zero_at_the_top() -> None:
    content = tables.information(np.array([1, 1, 1, 0.5, 0.0]), ONTOLOGY, 0.01)
    assert content[2] == 0
    assert content[3] == pytest.approx(np.log(2))
    assert content[4] == pytest.approx(np.log(100))


def test_names_of_one_disease() -> None:
    assert words("Noonan syndrome, type II") == {"noonan", "2"}
    assert series("Noonan syndrome 3") == series("Noonan syndrome 10") == "noonan"
    assert (
        series("Developmental and epileptic encephalopathy 96")
        == "developmental and epileptic encephalopathy"
    )
    names = {
        "OMIM:1": "Noonan syndrome 1", "ORPHA:1": "Noonan syndrome type 1", "ORPHA:2": "Noonan syndrome type 2",
        "OMIM:3": "Marfan syndrome", "ORPHA:3": "Marfan syndrome", "OMIM:4": "Alpha disease", "ORPHA:4": "Alpha disease",
    }  # fmt: skip
    genes = {"OMIM:4": ("A",), "ORPHA:4": ("B",)}
    assert same_disease(names, genes, Maps()) == {"OMIM:1": ("ORPHA:1",), "OMIM:3": ("ORPHA:3",)}


def test_the_users_map_goes_before_names() -> None:
    maps = Maps(orpha_omim={"ORPHA:9": [("OMIM:3", "exact")], "ORPHA:3": [("OMIM:3", "broader")]})
    assert same_disease({"OMIM:3": "Marfan", "ORPHA:3": "Marfan"}, {}, maps) == {"OMIM:3": ("ORPHA:9",)}


def small_fuser() -> fusers.Fuser:
    rng = np.random.default_rng(0)
    names = ("resK", "nbK", "xl")
    x, q, h = 5, 4 + 3 * 2, 3
    shapes = {
        "in_x": (h, x), "in_q": (h, q), "in_b": (h,), "mid": (h, h), "mid_b": (h,), "out": (h,), "linear": (x,),
        "none_in": (2, q), "none_in_b": (2,), "none_out": (2,), "none_b": (1,),
    }  # fmt: skip
    arrays = {f"0.{key}": rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}
    arrays |= {"x_mean": np.zeros(x), "x_scale": np.ones(x), "q_mean": np.zeros(q), "q_scale": np.ones(q)}
    return fusers.Fuser(
        names, {k: np.asarray(v, np.float32) for k, v in arrays.items()}, 1, 1.5, 0.2, (), 0.4, "x"
    )


def test_probabilities_and_none_add_up_and_survive_the_file(tmp_path: Path) -> None:
    fuser, matrix = small_fuser(), np.random.default_rng(1).normal(size=(7, 3)).astype(np.float32)
    query = np.array([3, 2, 4, 6], np.float32)
    judged = fuser.judge(matrix, query)
    assert judged.chance_N.sum() + judged.none == pytest.approx(1)
    fusers.save(fuser, tmp_path, "f")
    again = fusers.load(tmp_path, "f")
    assert np.array_equal(again.judge(matrix, query).chance_N, judged.chance_N)
    assert again.limit == 0.4
    turned = fuser.judge(matrix[::-1], query)
    assert np.allclose(turned.chance_N[::-1], judged.chance_N)
    alone = fuser.judge(matrix[:1], query)
    assert len(alone.chance_N) == 1


def test_a_higher_none_shift_lowers_every_candidate() -> None:
    from dataclasses import replace

    matrix, query = np.ones((2, 3), np.float32), np.ones(4, np.float32)
    low, high = (replace(small_fuser(), none_shift=shift).judge(matrix, query) for shift in (-3, 3))
    assert (high.chance_N < low.chance_N).all()
