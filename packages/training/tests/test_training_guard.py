from __future__ import annotations

import copy
import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import TrainerCallback
from trl import SFTConfig

from doyen_modeling.base import load_base
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training.guard import Guard
from doyen_training.journal import Journal, mend
from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.losses.term import Forward
from doyen_training.masking import Example
from doyen_training.trainer import Trainer


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_base(f"path:{tiny_llama(tmp_path_factory.mktemp('base'))}")


class Poison(CrossEntropy):
    """Cross-entropy that is NaN in the given steps."""

    def __init__(self, steps: set[int]) -> None:
        super().__init__()
        self.steps = steps

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        return super().loss(forward, count) * (float("nan") if self.step + 1 in self.steps else 1.0)


class Watch(TrainerCallback):
    """Weights and rate after each step; does ``act`` at the end of a step."""

    def __init__(self, act: Any = None) -> None:
        self.weights: list[Tensor] = []
        self.rates: list[float] = []
        self.act = act

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        self.weights.append(torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad]))
        if self.act:
            self.act(state.global_step, model)

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any
    ) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])


def build(base: Any, out: Path, term: Any = None, act: Any = None, **changes: Any) -> tuple[Trainer, Watch]:
    draw = random.Random(0)
    rows = [[draw.randrange(3, 300) for _ in range(draw.randrange(4, 12))] for _ in range(24)]
    torch.manual_seed(1)
    model = get_peft_model(
        copy.deepcopy(base.model),
        LoraConfig(r=2, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
    )
    watch = Watch(act)
    settings = {
        "output_dir": str(out / "checkpoints"), "max_steps": 8, "per_device_train_batch_size": 2,
        "learning_rate": 1e-3, "lr_scheduler_type": "constant", "logging_steps": 1, "save_strategy": "steps",
        "save_steps": 2, "max_length": None, "use_cpu": True, "bf16": False, "report_to": "none",
        "gradient_checkpointing": False, "disable_tqdm": True, "dataloader_pin_memory": False, "weight_decay": 0.1,
    }  # fmt: skip
    trainer = Trainer(
        model,
        SFTConfig(**(settings | changes)),
        base.tokenizer,
        [Example(f"r{i}", ids, list(ids)) for i, ids in enumerate(rows)],
        terms=[term] if term else [],
        callbacks=[Journal(out / "events.jsonl", lambda _: None, bar=False), watch],
    )
    return trainer, watch


def events(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("weights", "trainable", "checkpoint", "expected"),
    [
        (None, False, "a", ["skip", "skip", "restore", "skip", "skip", "stop"]),
        (None, False, None, ["skip", "skip", "stop"]),
        ("w", True, "a", ["restore", "stop"]),
        ("w", False, "a", ["stop"]),
    ],
)
def test_skip_then_restore_once_then_stop(
    weights: str | None, trainable: bool, checkpoint: str | None, expected: list[str]
) -> None:
    guard = Guard(skips=2)
    assert [guard.decide(weights, trainable, checkpoint) for _ in expected] == expected
    guard.good()
    if weights is None and checkpoint:  # a newer checkpoint is progress
        assert [guard.decide(None, False, "b") for _ in range(3)] == ["skip", "skip", "restore"]


def test_a_nan_step_is_skipped_and_changes_nothing(base: Any, tmp_path: Path) -> None:
    trainer, watch = build(base, tmp_path, Poison({4}))
    result = trainer.train()
    assert torch.equal(watch.weights[3], watch.weights[2])  # weight decay included
    assert not torch.equal(watch.weights[4], watch.weights[3])
    assert trainer.state.global_step == 8
    assert 0 < result.training_loss < 10
    notes = [e for e in events(tmp_path) if "event" in e]
    assert [(e["event"], e["step"], e["figure"]) for e in notes] == [("skipped", 4, "loss")]
    assert len(notes[0]["records"]) == 2
    assert all(id_.startswith("r") for id_ in notes[0]["records"])
    assert [e["step"] for e in events(tmp_path) if "loss" in e] == [1, 2, 3, 5, 6, 7, 8]
    # While a step is skipped no checkpoint is written.
    assert not (tmp_path / "checkpoints" / "checkpoint-4").exists()


def test_too_many_nan_steps_restore_the_checkpoint_with_half_the_rate(base: Any, tmp_path: Path) -> None:
    trainer, watch = build(base, tmp_path, Poison({4, 5}))
    trainer.guard.skips = 1
    trainer.train()
    # Step 3 moved on from checkpoint 2; step 4 was skipped, step 5 went back.
    assert torch.equal(watch.weights[4], watch.weights[1])
    assert watch.rates[3:] == pytest.approx([1e-3, 5e-4, 5e-4, 5e-4, 5e-4])
    assert [e["event"] for e in events(tmp_path) if "event" in e] == ["skipped", "restored"]
    # A resumed run keeps the halved rate.
    again, later = build(base, tmp_path, max_steps=10)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoints" / "checkpoint-8"))
    assert later.rates == pytest.approx([5e-4, 5e-4])
    assert again.guard.restored == "checkpoint-2"


def test_a_nan_that_stays_stops_after_one_restore(base: Any, tmp_path: Path) -> None:
    trainer, _ = build(base, tmp_path, Poison(set(range(4, 20))), max_steps=16, save_steps=1)
    trainer.guard.skips = 1
    with pytest.raises(DoyenError, match="TRN-006: loss is nan at step 7") as error:
        trainer.train()
    assert "checkpoint-3 was restored already" in error.value.message
    assert [e["event"] for e in events(tmp_path) if "event" in e] == [
        "skipped", "restored", "skipped", "not-finite",
    ]  # fmt: skip
    saved = sorted(p.name for p in (tmp_path / "checkpoints").glob("checkpoint-*"))
    assert saved == ["checkpoint-2", "checkpoint-3"], "the restored weights are not saved anew"


def test_broken_weights_are_restored_at_once(base: Any, tmp_path: Path) -> None:
    def harm(step: int, model: Any) -> None:
        if step == 5:
            next(p for p in model.parameters() if p.requires_grad).data.fill_(float("inf"))

    trainer, watch = build(base, tmp_path, act=harm)
    trainer.train()
    assert torch.equal(watch.weights[5], watch.weights[3])
    assert [(e["event"], e["step"]) for e in events(tmp_path) if "event" in e] == [("restored", 6)]
    assert all(bool(torch.isfinite(p).all()) for p in trainer.model.parameters())


def test_without_a_way_out_it_stops_and_says_why(base: Any, tmp_path: Path) -> None:
    trainer, _ = build(base, tmp_path, Poison(set(range(1, 9))))
    with pytest.raises(
        DoyenError, match=r"TRN-006: loss is nan at step 4 \(3 step\(s\) skipped before; no checkpoint"
    ) as error:
        trainer.train()
    message = error.value.message
    assert "First not finite: loss of the term cross_entropy." in message
    assert "Learning rate 0.001" in message
    assert [e["event"] for e in events(tmp_path) if "event" in e] == ["skipped"] * 3 + ["not-finite"]


def test_the_diagnosis_names_the_layer_where_it_began(base: Any, tmp_path: Path) -> None:
    trainer, _ = build(base, tmp_path)
    layer = trainer.model.get_submodule("base_model.model.model.layers.1.mlp.act_fn")
    layer.register_forward_hook(lambda _m, _a, output: output * float("inf"))
    with pytest.raises(DoyenError, match=r"First not finite: output of \S*layers\.1\.mlp\.act_fn\."):
        trainer.train()


def test_the_diagnosis_names_the_gradient_where_only_that_breaks(base: Any, tmp_path: Path) -> None:
    trainer, _ = build(base, tmp_path)
    name, parameter = next((n, p) for n, p in trainer.model.named_parameters() if p.requires_grad)
    parameter.register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(DoyenError, match="TRN-006: gradient norm is nan at step 4") as error:
        trainer.train()
    assert f"First not finite: gradient of {name}." in error.value.message


def test_sigterm_ends_the_step_writes_a_checkpoint_and_can_be_resumed(base: Any, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    (tmp_path / "whole").mkdir()
    whole, watch = build(base, tmp_path / "whole")
    whole.train()

    def stop(step: int, _: Any) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    (tmp_path / "parts").mkdir()
    trainer, _ = build(base, tmp_path / "parts", act=stop)
    trainer.train()
    assert trainer.outcome == "stopped"
    assert 3 <= trainer.state.global_step <= 4
    assert signal.getsignal(signal.SIGTERM) is before
    checkpoint = tmp_path / "parts" / "checkpoints" / f"checkpoint-{trainer.state.global_step}"
    resumed, later = build(base, tmp_path / "parts")
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert resumed.outcome == whole.outcome == "finished"
    assert torch.equal(later.weights[-1], watch.weights[-1])


def test_a_full_disk_in_training_leaves_the_last_checkpoint(
    base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(step: int, _: Any) -> None:
        if step == 4:
            monkeypatch.setattr("safetensors.torch.save_file", refuse)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    trainer, _ = build(base, tmp_path, act=fill_up)
    with pytest.raises(
        DoyenError, match="TRN-020: checkpoint checkpoint-4 could not be written: No space left"
    ):
        trainer.train()
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["LATEST", "checkpoint-2"]


def test_the_bar_shows_progress_on_a_terminal(
    base: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, _ = build(base, tmp_path, max_steps=2)
    assert trainer.journal is not None
    trainer.journal.bar_wanted = True
    trainer.train()
    shown = capsys.readouterr().err
    assert "2/2" in shown
    assert "tokens_per_s" in shown


def test_a_torn_last_line_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text('{"step": 1}\n{"st')
    mend(file)
    mend(file)
    assert file.read_text() == '{"step": 1}\n'
    mend(tmp_path / "none")


def test_a_journal_that_cannot_be_written_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match=r"TRN-020: events\.jsonl could not be written"):
        Journal(tmp_path / "no" / "events.jsonl", lambda _: None).write({"step": 1})
