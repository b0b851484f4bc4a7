from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trl.data_utils import pack_dataset

from doyen_modeling.base import load_base
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training.collate import Collator, GroupedByLength, learned_tokens, pack
from doyen_training.forward import learned_forward
from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.losses.term import Term
from doyen_training.masking import IGNORED, Example


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_base(f"path:{tiny_llama(tmp_path_factory.mktemp('base'))}")


def examples(count: int, seed: int = 0) -> list[Example]:
    draw = random.Random(seed)
    found = []
    for i in range(count):
        ids = [draw.randrange(3, 300) for _ in range(draw.randrange(2, 25))]
        begin = draw.randrange(0, len(ids))
        found.append(Example(f"r{i}", ids, [IGNORED] * begin + ids[begin:]))
    return found


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(10, 60))
def test_packing_keeps_every_sample_once_and_whole(lengths: list[int], capacity: int) -> None:
    rows = pack(lengths, capacity)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    assert all(len(row) == 1 or sum(lengths[i] for i in row) <= capacity for row in rows)
    assert all(row == sorted(row) for row in rows)
    # No two rows would have fitted into one another completely empty: best fit never opens a row it does not need.
    sizes = sorted(sum(lengths[i] for i in row) for row in rows)
    assert len(sizes) < 2 or sizes[0] + sizes[1] > capacity or any(n > capacity for n in lengths)


def test_packing_is_as_tight_as_trls(base: Any) -> None:
    from datasets import Dataset

    draw = random.Random(1)
    lengths = [draw.randrange(5, 200) for _ in range(300)]
    reference = pack_dataset(
        Dataset.from_dict({"input_ids": [[1] * n for n in lengths]}), 256, strategy="bfd"
    )
    assert len(pack(lengths, 256)) <= len(reference)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("flat", [False, True])
def test_packed_samples_do_not_see_each_other(base: Any, flat: bool, attention: str) -> None:
    """Proven on logits: packed equals each sample alone, and the loss is the same."""
    samples = examples(9)
    rows = [{"indices": row} for row in pack([len(e.input_ids) for e in samples], 60)]
    assert 1 < len(rows) < 9
    before = base.model.config._attn_implementation
    base.model.set_attn_implementation(attention)
    model = base.model.eval()
    with torch.no_grad():
        packed, _ = learned_forward(model, Collator(samples, 2, packed=True, flat=flat)(rows))
        alone = [
            model(torch.tensor([samples[i].input_ids])).logits[0, :-1] for row in rows for i in row["indices"]
        ]
        apart, _ = learned_forward(model, Collator(samples, 2)([{"indices": [i]} for i in range(9)]))
    base.model.set_attn_implementation(before)
    labels = [torch.tensor(samples[i].labels[1:]) != IGNORED for row in rows for i in row["indices"]]
    expected = torch.cat([logits[learned] for logits, learned in zip(alone, labels, strict=True)])
    torch.testing.assert_close(packed.logits_NV, expected, atol=1e-5, rtol=0)
    count = len(packed.labels_N)
    both = [float(CrossEntropy().loss(forward, count)) for forward in (packed, apart)]
    assert both[0] == pytest.approx(both[1], abs=1e-5)
    assert packed.inputs["input_ids"].shape[0] == (1 if flat else len(rows))


class Marks(Term):
    name = "marks"

    def __init__(self, samples: list[Example], wrong: bool = False) -> None:
        super().__init__()
        self.samples = samples
        self.wrong = wrong

    def token_columns(self, index: int) -> Mapping[str, Tensor]:
        rows = learned_tokens(self.samples[index]) + self.wrong
        return {"token": torch.full((rows, 3), float(index))}

    def sample_columns(self, index: int) -> Mapping[str, Tensor]:
        return {"sample": torch.tensor([index, 7])}


@pytest.mark.parametrize("packed", [False, True])
def test_columns_line_up_with_tokens_and_samples(base: Any, packed: bool) -> None:
    samples = examples(8)
    rows = pack([len(e.input_ids) for e in samples], 60) if packed else [[3], [0], [7]]
    batch = Collator(samples, 2, [Marks(samples)], packed=packed)([{"indices": row} for row in rows])
    with torch.no_grad():
        forward, _ = learned_forward(base.model, batch)
    order = [i for row in rows for i in row]
    assert batch["index"].tolist() == order
    assert forward.extra["sample"].tolist() == [[i, 7] for i in order]
    assert forward.extra["token"].shape == (len(forward.labels_N), 3)
    assert torch.equal(forward.extra["token"][:, 0], forward.extra["sample"][forward.sample_N][:, 0].float())
    expected = [
        t
        for i in order
        for t, label in zip(samples[i].input_ids[1:], samples[i].labels[1:], strict=True)
        if label != IGNORED
    ]
    assert forward.labels_N.tolist() == expected
    assert batch["tokens"] == sum(len(samples[i].input_ids) for i in order)


def test_a_column_of_the_wrong_length_is_refused() -> None:
    samples = examples(2)
    with pytest.raises(DoyenError, match=r"TRN-022: token of marks has \d+ rows for record r0"):
        Collator(samples, 2, [Marks(samples, wrong=True)])([{"indices": [0]}])


def test_samples_for_evaluation_have_no_columns() -> None:
    samples = examples(4)
    collate = Collator(samples, 2, [Marks(samples[:2])], training=2)
    assert set(collate([{"indices": [1]}])["columns"]) == {"token", "sample"}
    assert "columns" not in collate([{"indices": [2]}, {"indices": [3]}])


def test_grouping_by_length_depends_on_seed_and_epoch_only() -> None:
    lengths = [random.Random(4).randrange(1, 500) for _ in range(40)]
    sampler = GroupedByLength(lengths, 4, seed=1)
    first = list(sampler)
    torch.rand(5)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert sorted(sampler) == list(range(40))
    assert list(sampler) != first


@pytest.mark.parametrize(
    ("family", "extra"), [("gemma2", {"sliding_window": 8}), ("granite", {"logits_scaling": 4.0})]
)
def test_what_a_model_does_behind_its_head_and_its_windows_is_kept(
    family: str, extra: dict[str, Any]
) -> None:
    """Gemma 2 caps its scores and attends in windows, Granite divides its scores: packed rows equal single ones."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    shape = {
        "vocab_size": 320, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8,
        "num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 2, "initializer_range": 0.5,
    }  # fmt: skip
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape, **extra)).eval()
    samples = examples(6)
    rows = [{"indices": row} for row in pack([len(e.input_ids) for e in samples], 60)]
    with torch.no_grad():
        forward, _ = learned_forward(model, Collator(samples, 2, packed=True)(rows))
        alone = [
            model(torch.tensor([samples[i].input_ids])).logits[0, :-1] for row in rows for i in row["indices"]
        ]
    labels = [torch.tensor(samples[i].labels[1:]) != IGNORED for row in rows for i in row["indices"]]
    expected = torch.cat([logits[learned] for logits, learned in zip(alone, labels, strict=True)])
    torch.testing.assert_close(forward.logits_NV, expected, atol=1e-4, rtol=1e-4)
