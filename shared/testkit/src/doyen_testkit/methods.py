"""The suite that every tuning method passes. Subclass it and name the method and what it should have.

class TestLora(MethodConformance):
    method = Lora(rank=2)
    trainable = 2 * 2 * (32 + 32)
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from doyen_modeling.base import LoadedBase, load_base
from doyen_modeling.methods import (
    CONFIG,
    WEIGHTS,
    Method,
    MethodPart,
    attach,
    bare,
    load_adapter,
    load_state,
    merge,
    method_of,
    save_adapter,
    state,
)
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama

# Two rows of six tokens, all of them learned.
IDS = torch.tensor([[1, 40, 41, 42, 43, 44], [1, 90, 91, 92, 93, 94]])
BATCH = {"input_ids": IDS, "labels": IDS}


class MethodConformance:
    """What trainer, releases and serving rely on, whatever the method."""

    method: ClassVar[MethodPart]
    # Parameters that require a gradient after attaching, from the method's formula.
    trainable: ClassVar[int]
    # How far the start may be from ``start_logits``.
    start_tolerance: ClassVar[float] = 0.0
    # Whether the parameters that are not tuned keep their bits: PiSSA moves a part of them into the adapter.
    keeps_base: ClassVar[bool] = True

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A base on disk."""
        return tiny_llama(tmp_path_factory.mktemp("base"))

    @pytest.fixture(scope="class")
    @classmethod
    def pristine(cls, folder: Path) -> LoadedBase:
        """The base, loaded once; tests take copies."""
        return load_base(f"path:{folder}")

    @pytest.fixture
    def base(self, pristine: LoadedBase) -> LoadedBase:
        """A base of its own for a test."""
        return pristine._replace(model=copy.deepcopy(pristine.model))

    @pytest.fixture(scope="class")
    @classmethod
    def tuned(cls, pristine: LoadedBase) -> Any:
        """The method after three steps, in eval mode."""
        model = cls._attach(copy.deepcopy(pristine.model))
        train(model)
        return model.eval()

    @classmethod
    def _attach(cls, model: Any) -> Any:
        return attach(model, cls.method, [BATCH] if cls.method.scored else None)

    def start_logits(self, base: Any, attached: Any) -> Tensor:  # noqa: ARG002
        """What the attached model gives before its first step: by default what the base gives."""
        return logits(base)

    def test_a_recipe_can_say_it(self) -> None:
        adapter: TypeAdapter[Any] = TypeAdapter(Method)
        assert adapter.validate_python(self.method.model_dump(mode="json")) == self.method
        with pytest.raises(ValueError, match="no_such_key"):
            adapter.validate_python(self.method.model_dump(mode="json") | {"no_such_key": 1})

    def test_it_starts_as_it_says(self, base: LoadedBase, pristine: LoadedBase) -> None:
        attached = self._attach(base.model).eval()
        wanted = self.start_logits(pristine.model, attached)
        assert (logits(attached) - wanted).abs().max() <= self.start_tolerance

    def test_the_trainable_parameters_are_those_of_the_formula(self, base: LoadedBase) -> None:
        model = self._attach(base.model)
        assert sum(p.numel() for p in model.parameters() if p.requires_grad) == self.trainable
        assert all(self.method.owns(name) for name, p in model.named_parameters() if p.requires_grad)
        assert set(map(id, model.parameters())) >= {id(p) for p in bare(model).parameters()}

    def test_only_its_own_parameters_move(self, base: LoadedBase) -> None:
        """Three steps of AdamW with weight decay, which moves whatever is in the optimizer."""
        model = self._attach(base.model)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        trainable = {name for name, p in model.named_parameters() if p.requires_grad}
        losses = train(model)
        moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert moved
        assert moved <= trainable
        assert losses[-1] < losses[0]

    def test_the_base_stays_bitwise(self, tuned: Any, pristine: LoadedBase) -> None:
        if not self.keeps_base:
            pytest.skip("a part of the base moved into the adapter")
        now = {name.replace(".base_layer", ""): p for name, p in bare(tuned).named_parameters()}
        for name, parameter in pristine.model.named_parameters():
            if not self.method.owns(name):
                found = [tensor for other, tensor in now.items() if plain(other) == name]
                assert len(found) == 1, name
                assert torch.equal(found[0], parameter), name

    def test_a_saved_adapter_gives_the_same_logits(
        self, tuned: Any, base: LoadedBase, tmp_path: Path
    ) -> None:
        save_adapter(tuned, tmp_path / "adapter", base.ref, dtype="own")
        loaded = load_adapter(base, tmp_path / "adapter")
        assert not loaded.training
        assert not any(p.requires_grad for p in loaded.parameters())
        assert (logits(loaded) - logits(tuned)).abs().max() <= (0.0 if self.keeps_base else 1e-5)
        assert {file.suffix for file in (tmp_path / "adapter").iterdir()} == {".safetensors", ".json"}

    def test_the_default_file_is_close_and_can_be_trained_on(
        self, tuned: Any, base: LoadedBase, tmp_path: Path
    ) -> None:
        save_adapter(tuned, tmp_path / "adapter", base.ref)
        loaded = load_adapter(base, tmp_path / "adapter", trainable=True)
        assert loaded.training
        assert sum(p.numel() for p in loaded.parameters() if p.requires_grad) == self.trainable
        assert (logits(loaded.eval()) - logits(tuned)).abs().max() < 5e-3
        before = logits(loaded)
        train(loaded)
        assert (logits(loaded.eval()) - before).abs().max() > 1e-4

    @pytest.mark.parametrize("dtype", [None, "own"])
    def test_going_on_keeps_method_type_and_bytes(
        self, tuned: Any, base: LoadedBase, pristine: LoadedBase, tmp_path: Path, dtype: Any
    ) -> None:
        save_adapter(tuned, tmp_path / "first", base.ref, dtype)
        loaded = load_adapter(base, tmp_path / "first", trainable=True)
        method: Any = method_of(loaded)
        assert (method.kind, method.file_dtype()) == (self.method.kind, self.method.file_dtype())  # type: ignore[attr-defined]
        save_adapter(loaded, tmp_path / "again", base.ref)
        for name in (CONFIG, WEIGHTS):
            assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "first" / name).read_bytes(), name

        train(loaded)
        save_adapter(loaded, tmp_path / "on", base.ref, dtype="own")
        fresh = pristine._replace(model=copy.deepcopy(pristine.model))
        found = load_adapter(fresh, tmp_path / "on")
        assert (logits(found) - logits(loaded.eval())).abs().max() <= (0.0 if self.keeps_base else 1e-5)

    def test_another_base_is_refused(self, tuned: Any, base: LoadedBase, tmp_path: Path) -> None:
        save_adapter(tuned, tmp_path / "adapter", base.ref)
        other = base._replace(ref=base.ref.model_copy(update={"weights_sha256": "0" * 64}))
        with pytest.raises(DoyenError, match="MOD-011"):
            load_adapter(other, tmp_path / "adapter")

    def test_its_state_restores_it_exactly(self, tuned: Any, base: LoadedBase) -> None:
        kept = {name: tensor.clone() for name, tensor in state(tuned).items()}
        model = self._attach(base.model).eval()
        load_state(model, kept)
        assert torch.equal(logits(model), logits(tuned))
        with pytest.raises(DoyenError, match="MOD-012"):
            load_state(model, dict(list(kept.items())[1:]))

    def test_it_merges_exactly_or_not_at_all(self, tuned: Any) -> None:
        model = copy.deepcopy(tuned)
        if not self.method.mergeable:
            with pytest.raises(DoyenError, match="MOD-043"):
                merge(model)
            return
        merged = merge(model)
        assert not any("lora" in name or "default" in name for name, _ in merged.named_parameters())
        assert (logits(merged) - logits(tuned)).abs().max() <= 1e-5

    def test_a_second_method_is_refused(self, tuned: Any) -> None:
        with pytest.raises(DoyenError, match="MOD-047"):
            attach(tuned, self.method)

    def test_gradient_checkpointing_gives_the_same_gradients_or_is_refused(self, tuned: Any) -> None:
        plain, again = copy.deepcopy(tuned).train(), copy.deepcopy(tuned).train()
        bare(again).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        plain(**BATCH, use_cache=False).loss.backward()
        if not self.method.checkpointing:
            with pytest.raises(DoyenError, match="MOD-045"):
                again(**BATCH, use_cache=False)
            return
        again(**BATCH, use_cache=False).loss.backward()
        for (name, one), (_, two) in zip(plain.named_parameters(), again.named_parameters(), strict=True):
            assert (one.grad is None) == (two.grad is None), name
            assert one.grad is None or torch.allclose(one.grad, two.grad, atol=1e-6), name

    def test_padding_on_the_left_changes_nothing(self, tuned: Any) -> None:
        """As in a batch of prompts of different lengths."""
        mask = torch.ones(2, 9, dtype=torch.long)
        mask[:, :3] = 0
        padded = torch.cat([torch.full((2, 3), 2), IDS], dim=1)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        with torch.no_grad():
            found = tuned(input_ids=padded, attention_mask=mask, position_ids=positions).logits[:, 3:]
        assert torch.allclose(found, logits(tuned), atol=1e-5)

    def test_generating_with_a_cache_equals_generating_without(self, tuned: Any) -> None:
        whole = IDS
        with torch.no_grad():
            for _ in range(3):
                following = tuned(input_ids=whole, use_cache=False).logits[:, -1].argmax(-1)
                whole = torch.cat([whole, following[:, None]], dim=1)
            found = tuned.generate(
                input_ids=IDS,
                attention_mask=torch.ones_like(IDS),
                do_sample=False,
                max_new_tokens=3,
                min_new_tokens=3,
                eos_token_id=None,
            )
        assert torch.equal(found, whole)

    def test_packed_samples_are_apart_or_refused(self, tuned: Any) -> None:
        packed = {
            "input_ids": IDS.reshape(1, -1),
            "position_ids": torch.arange(IDS.shape[1]).repeat(IDS.shape[0])[None],
        }
        if not self.method.packing:
            with pytest.raises(DoyenError, match="MOD-045"):
                tuned(**packed, use_cache=False)
            return
        with torch.no_grad():
            found = tuned(**packed, use_cache=False).logits.reshape(*IDS.shape, -1)
        assert torch.allclose(found, logits(tuned), atol=1e-5)


def logits(model: Any) -> Tensor:
    """Logits (2, 6, V) of ``IDS``."""
    with torch.no_grad():
        found: Tensor = model(input_ids=IDS, use_cache=False).logits
    return found


def train(model: Any, steps: int = 3) -> list[float]:
    """AdamW with weight decay over what is trainable; the loss before each step and after the last."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.1)
    model.train()
    losses = []
    for _ in range(steps):
        loss = model(**BATCH, use_cache=False).loss
        losses.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        losses.append(float(model(**BATCH, use_cache=False).loss))
    return losses


def plain(name: str) -> str:
    """A parameter's name without what parametrisations put into it."""
    return name.replace(".parametrizations", "").removesuffix(".original")
