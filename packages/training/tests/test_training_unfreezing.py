from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import TrainerCallback
from trl import SFTConfig

from doyen_modeling.base import load_base
from doyen_modeling.methods import Bottleneck, Full, Lora, MethodPart, Prefix, attach
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training.masking import Example
from doyen_training.trainer import Trainer
from doyen_training.unfreezing import UnfreezingPart, check_steps, group_names

PART = UnfreezingPart(every=2, groups=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base"))


def names(layers: int) -> list[str]:
    inner = [f"model.layers.{i}.mlp.up_proj.weight" for i in range(layers)]
    return ["model.embed_tokens.weight", *inner, "model.norm.weight", "lm_head.weight"]


def test_top_down_opens_the_head_first_and_the_embeddings_last() -> None:
    groups = group_names(UnfreezingPart(every=1, groups=3), names(6))
    assert [len(group) for group in groups] == [4, 2, 3]
    assert {"model.norm.weight", "lm_head.weight"} < set(groups[0])
    assert "model.layers.5.mlp.up_proj.weight" in groups[0]
    assert "model.embed_tokens.weight" in groups[-1]
    assert "model.layers.0.mlp.up_proj.weight" in groups[-1]


def test_bottom_up_opens_the_embeddings_first() -> None:
    groups = group_names(UnfreezingPart(every=1, groups=2, order="bottom-up"), names(4))
    assert "model.embed_tokens.weight" in groups[0]
    assert [name for name in groups[1] if "layers" in name] == [
        f"model.layers.{i}.mlp.up_proj.weight" for i in (2, 3)
    ]


@pytest.mark.parametrize("groups", [2, 3, 4, 5])
@pytest.mark.parametrize("layers", [5, 6, 7, 30])
def test_every_parameter_is_in_one_group_and_groups_differ_by_one_layer(groups: int, layers: int) -> None:
    found = group_names(UnfreezingPart(every=1, groups=groups), names(layers))
    assert sorted(name for group in found for name in group) == sorted(names(layers))
    sizes = [sum("layers" in name for name in group) for group in found]
    assert max(sizes) - min(sizes) <= 1


def test_the_stage_follows_from_the_step() -> None:
    part = UnfreezingPart(every=10, groups=3)
    assert [part.stage(step) for step in (0, 9, 10, 19, 20, 500)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("bad", [{}, {"every": 0}, {"every": 1, "groups": 1}, {"every": 1, "layers": 3}])
def test_a_wrong_table_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        UnfreezingPart.model_validate(bad)


def test_too_few_layers_or_steps_are_refused(folder: Path) -> None:
    with pytest.raises(DoyenError, match="TRN-070"):
        group_names(UnfreezingPart(every=1, groups=3), names(2))
    with pytest.raises(DoyenError, match="TRN-070"):
        check_steps(UnfreezingPart(every=10, groups=3), 20)
    check_steps(UnfreezingPart(every=10, groups=3), 21)
    prefix = attach(load_base(f"path:{folder}").model, Prefix(tokens=2))
    with pytest.raises(DoyenError, match="0 layer"):
        group_names(PART, [name for name, p in prefix.named_parameters() if p.requires_grad])


class Watch(TrainerCallback):
    """Copies every parameter at the end of each step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self.steps.append({name: p.detach().clone() for name, p in given["model"].named_parameters()})


class Keep(TrainerCallback):
    """Copies every checkpoint, before the trainer removes the older ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        name = f"checkpoint-{state.global_step}"
        shutil.copytree(Path(args.output_dir) / name, self.folder / name)


def run(
    folder: Path, out: Path, method: MethodPart, resume: Path | None = None, kept: Path | None = None
) -> tuple[dict[str, Tensor], list[dict[str, Tensor]], list[tuple[Any, ...]]]:
    """Five steps of two micro-batches; returns the start, each step's parameters, and the notes."""
    torch.manual_seed(3)
    model = attach(load_base(f"path:{folder}").model, method)
    draw = random.Random(0)
    rows = [[draw.randrange(3, 300) for _ in range(12)] for _ in range(20)]
    examples = [Example(f"r{i}", ids, ids) for i, ids in enumerate(rows)]
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    notes: list[tuple[Any, ...]] = []
    watch = Watch()
    config = SFTConfig(
        output_dir=str(out), per_device_train_batch_size=2, gradient_accumulation_steps=2, learning_rate=1e-3,
        weight_decay=0.1, max_steps=5, save_strategy="steps", save_steps=1, max_length=None, use_cpu=True, bf16=False,
        gradient_checkpointing=False, report_to="none", disable_tqdm=True, dataloader_pin_memory=False, seed=5,
    )  # fmt: skip
    trainer = Trainer(
        model,
        config,
        load_base(f"path:{folder}").tokenizer,
        examples,
        callbacks=[
            PART.callback(lambda *note, **facts: notes.append((*note, facts["trainable"]))),
            watch,
            *([Keep(kept)] if kept else []),
        ],
    )
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    assert all(p.requires_grad == method.owns(name) for name, p in model.named_parameters())
    return start, watch.steps, notes


@pytest.mark.parametrize("method", [Full(), Lora(rank=2), Bottleneck(rank=4)], ids=lambda m: m.kind)
def test_frozen_parameters_are_bitwise_equal_until_their_stage(
    folder: Path, tmp_path: Path, method: MethodPart
) -> None:
    start, steps, notes = run(folder, tmp_path / "run", method)
    late = [name for name in start if ".layers.0." in name or "embed_tokens" in name]
    early = [name for name in start if ".layers.1." in name]
    for name in late:
        assert torch.equal(steps[1][name], start[name]), name
    assert any(not torch.equal(steps[0][name], start[name]) for name in early)
    assert any(not torch.equal(steps[2][name], start[name]) for name in late)
    assert [(kind, step) for kind, step, *_ in notes] == [("unfreezing", 0), ("unfreezing", 2)]
    assert notes[1][3] == sum(p.numel() for name, p in start.items() if method.owns(name)) > notes[0][3]


@pytest.fixture(scope="module")
def uninterrupted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    out, kept = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("kept")
    _, steps, _ = run(folder, out, Full(), kept=kept)
    return kept, steps[-1]


@pytest.mark.parametrize("at", [1, 2, 3], ids=["mid-stage", "between-stages", "last-stage"])
def test_a_resumed_run_ends_bit_for_bit_like_one_that_was_not_stopped(
    folder: Path, tmp_path: Path, uninterrupted: tuple[Path, dict[str, Tensor]], at: int
) -> None:
    kept, end = uninterrupted
    _, resumed, _ = run(folder, tmp_path, Full(), kept / f"checkpoint-{at}")
    assert len(resumed) == 5 - at
    for name, tensor in end.items():
        assert torch.equal(resumed[-1][name], tensor), name
