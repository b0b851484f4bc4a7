from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch import Tensor
from transformers import EarlyStoppingCallback, PrinterCallback
from trl import SFTConfig, SFTTrainer

from doyen_modeling.base import load_base
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama, tiny_moe
from doyen_training.collate import Collator
from doyen_training.forward import learned_forward
from doyen_training.journal import Journal
from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.losses.term import Forward, Start, Term
from doyen_training.masking import IGNORED, Example
from doyen_training.trainer import Trainer


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_base(f"path:{tiny_llama(tmp_path_factory.mktemp('base'))}")


def examples(count: int = 16, seed: int = 0) -> list[Example]:
    """Samples of 4 to 30 tokens with a third to all of them learned."""
    draw = random.Random(seed)
    found = []
    for i in range(count):
        ids = [draw.randrange(3, 300) for _ in range(draw.randrange(4, 31))]
        begin = draw.randrange(0, 2 * len(ids) // 3)
        found.append(Example(f"r{i}", ids, [IGNORED] * begin + ids[begin:]))
    return found


def settings(out: Path, **changes: Any) -> SFTConfig:
    return SFTConfig(
        **{
            "output_dir": str(out),
            "per_device_train_batch_size": 2,
            "per_device_eval_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "gradient_checkpointing": False,
            "learning_rate": 1e-3,
            "max_steps": 6,
            "logging_steps": 1,
            "save_strategy": "no",
            "max_length": None,
            "use_cpu": True,
            "bf16": False,
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
            "prediction_loss_only": True,
            "seed": 5,
        }
        | changes
    )


def losses(trainer: Any) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def lora(model: Any) -> Any:
    torch.manual_seed(3)
    return get_peft_model(
        copy.deepcopy(model), LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    )


@pytest.mark.parametrize("wrap", [copy.deepcopy, lora], ids=["full", "lora"])
def test_with_cross_entropy_alone_it_equals_trl_step_for_step(base: Any, tmp_path: Path, wrap: Any) -> None:
    """Golden test: gradient accumulation, batches of different lengths, an epoch's end in between."""
    samples = examples(10)
    theirs = wrap(base.model)
    reference = SFTTrainer(
        theirs,
        args=settings(tmp_path / "theirs"),
        train_dataset=Dataset.from_list([{"input_ids": e.input_ids, "labels": e.labels} for e in samples]),
        processing_class=base.tokenizer,
    )
    reference.train()
    ours = wrap(base.model)
    trainer = Trainer(ours, settings(tmp_path / "ours"), base.tokenizer, samples)
    trainer.train()

    assert len(losses(trainer)) == 6
    assert losses(trainer) == pytest.approx(losses(reference), abs=2e-6)
    norms = [[e["grad_norm"] for e in t.state.log_history if "grad_norm" in e] for t in (trainer, reference)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    moved = 0.0
    start = dict(wrap(base.model).named_parameters())
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, expected[name], atol=2e-6, rtol=1e-5)
        moved = max(moved, float((parameter - start[name]).abs().max()))
    assert moved > 1e-3


def test_a_mixture_of_experts_learns_its_balance_as_with_trl(tmp_path: Path) -> None:
    """The router's auxiliary loss comes on top of the terms, as in TRL."""
    moe = load_base(f"path:{tiny_moe(tmp_path / 'moe', 'qwen3_moe')}")
    samples = examples(4)
    settings_ = {"max_steps": 2, "router_aux_loss_coef": 0.5, "gradient_accumulation_steps": 2}
    reference = SFTTrainer(
        copy.deepcopy(moe.model),
        args=settings(tmp_path / "theirs", **settings_),
        train_dataset=Dataset.from_list([{"input_ids": e.input_ids, "labels": e.labels} for e in samples]),
        processing_class=moe.tokenizer,
    )
    reference.train()
    trainer = Trainer(
        copy.deepcopy(moe.model), settings(tmp_path / "ours", **settings_), moe.tokenizer, samples
    )
    trainer.train()
    assert losses(trainer) == pytest.approx(losses(reference), abs=2e-6)
    assert losses(trainer)[0] > trainer.state.log_history[0]["cross_entropy/loss"] + 0.1


WRAPS = {
    "plain": copy.deepcopy,
    "lora": lora,
    "prompt": lambda m: get_peft_model(
        copy.deepcopy(m), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    ),
    "prefix": lambda m: get_peft_model(
        copy.deepcopy(m), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    ),
}


@pytest.mark.parametrize("kind", WRAPS)
def test_the_head_sees_only_learned_positions_whatever_wraps_the_model(base: Any, kind: str) -> None:
    torch.manual_seed(0)
    model = WRAPS[kind](base.model).eval()
    samples = examples(3)
    batch = Collator(samples, 2)([{"indices": [i]} for i in range(3)])
    seen: list[int] = []
    hook = model.get_output_embeddings().register_forward_hook(
        lambda _m, args, _o: seen.append(args[0].shape[0])
    )
    with torch.no_grad():
        forward, _ = learned_forward(model, batch)
    hook.remove()
    learned = int((batch["labels"][:, 1:] != IGNORED).sum())
    assert seen == [learned] == [forward.logits_NV.shape[0]]
    with torch.no_grad():
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    full = logits[:, -batch["input_ids"].shape[1] :][forward.learned_BT]
    torch.testing.assert_close(forward.logits_NV, full, atol=1e-5, rtol=1e-4)
    assert forward.states_BTD.shape[:2] == batch["input_ids"].shape
    expected = [i for i, e in enumerate(samples) for label in e.labels[1:] if label != IGNORED]
    assert forward.sample_N.tolist() == expected


class Distance(Term):
    """A stateful term with a column of each kind: pulls the score of each token towards a drifting target."""

    name = "distance"
    hidden_states = True

    def __init__(self, weight: float = 0.1) -> None:
        super().__init__(weight)
        self.mean = torch.zeros(())
        self.begun: Start | None = None

    def begin(self, start: Start) -> None:
        self.begun = start

    def token_columns(self, index: int) -> Mapping[str, Tensor]:
        assert self.begun is not None
        labels = self.begun.examples[index].labels[1:]
        return {"target": torch.tensor([label / 300 for label in labels if label != IGNORED])}

    def sample_columns(self, index: int) -> Mapping[str, Tensor]:
        return {"number": torch.tensor(float(index))}

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        target, number = forward.extra["target"], forward.extra["number"]
        assert target.shape == forward.labels_N.shape
        torch.testing.assert_close(target, forward.labels_N / 300)
        assert len(number) == int(forward.sample_N.max()) + 1
        assert forward.outputs.hidden_states[-1].shape == forward.states_BTD.shape
        score = forward.logits_NV.mean(-1) - target - self.mean + 0.01 * number[forward.sample_N]
        self.mean = 0.9 * self.mean + 0.1 * forward.logits_NV.detach().mean()
        return score.square().sum() / count

    def metrics(self) -> dict[str, float]:
        return {"mean": float(self.mean)}

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean = state["mean"]


class Drift:
    """A balance with state: each step weighs the second term more."""

    def __init__(self) -> None:
        self.steps = 0

    def combine(self, losses: dict[str, Tensor], model: Any) -> Tensor:
        self.steps += 1
        return losses["cross_entropy"] + losses["distance"] * self.steps

    def metrics(self) -> dict[str, float]:
        return {"steps": self.steps}

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = state["steps"]


def events(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("pack_to", [None, 64])
def test_terms_share_one_pass_and_their_figures_are_logged(
    base: Any, tmp_path: Path, pack_to: int | None
) -> None:
    model = lora(base.model)
    calls = []
    model.get_base_model().model.register_forward_hook(lambda *_: calls.append(1))
    journal = Journal(tmp_path / "events.jsonl", lambda _: None)
    distance = Distance()
    trainer = Trainer(
        model,
        settings(tmp_path, max_steps=1),
        base.tokenizer,
        examples(),
        terms=[CrossEntropy(), distance],
        pack_to=pack_to,
        callbacks=[journal],
    )
    trainer.train()
    assert len(calls) == 2  # as many as micro-batches
    last = events(tmp_path / "events.jsonl")[-1]
    assert last["loss"] == pytest.approx(last["cross_entropy/loss"] + last["distance/loss"], abs=1e-5)
    assert {
        "distance/mean",
        "tokens",
        "tokens_per_s",
        "peak_rss_mb",
        "eta_s",
        "grad_norm",
        "learning_rate",
    } <= set(last)
    assert last["tokens"] == trainer.tokens_seen > 0
    assert distance.step == 0


@pytest.mark.parametrize("strategy", ["random", "group_by_length"])
@pytest.mark.parametrize("at", [2, 5])
def test_a_resumed_run_is_bit_for_bit_the_run_that_never_stopped(
    base: Any, tmp_path: Path, strategy: str, at: int
) -> None:
    """Also in the second epoch (step 5), with a stateful term and a stateful balance."""

    def run(out: Path, stop: int, resume: bool) -> Trainer:
        trainer = Trainer(
            lora(base.model),
            settings(
                out, max_steps=8, save_strategy="steps", save_steps=stop, train_sampling_strategy=strategy
            ),
            base.tokenizer,
            examples(),
            terms=[CrossEntropy(), Distance()],
            balance=Drift(),
        )
        if not resume:
            trainer.args.max_steps = 8
        if stop < 8 and not resume:
            trainer.add_callback(StopAt(stop))
        trainer.train(resume_from_checkpoint=str(out / f"checkpoint-{stop}") if resume else None)
        return trainer

    whole = run(tmp_path / "whole", 8, False)
    run(tmp_path / "parts", at, False)
    resumed = run(tmp_path / "parts", at, True)
    expected = dict(whole.model.named_parameters())
    assert all(torch.equal(p, expected[name]) for name, p in resumed.model.named_parameters())
    assert resumed.tokens_seen == whole.tokens_seen
    assert resumed.state.global_step == 8


class StopAt(PrinterCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            control.should_save = control.should_training_stop = True


def test_packing_with_virtual_tokens_is_refused(base: Any, tmp_path: Path) -> None:
    with pytest.raises(DoyenError, match="TRN-021"):
        Trainer(WRAPS["prompt"](base.model), settings(tmp_path), base.tokenizer, examples(), pack_to=64)


def test_two_terms_of_one_name_are_refused(base: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one name"):
        Trainer(
            base.model, settings(tmp_path), base.tokenizer, examples(), terms=[CrossEntropy(), CrossEntropy()]
        )


def test_early_stopping_ends_with_the_weights_of_the_best_step(base: Any, tmp_path: Path) -> None:
    """A planted plateau: the domain figure rises until step 2, then falls."""
    scores = iter([0.2, 0.5, 0.4, 0.3, 0.9])
    kept: dict[str, Tensor] = {}
    calls = 0

    def evaluate(model: Any) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 2:
            kept.update({n: p.detach().clone() for n, p in model.named_parameters()})
        return {"f1": next(scores)}

    trainer = Trainer(
        lora(base.model),
        settings(
            tmp_path, save_strategy="steps", save_steps=1, eval_strategy="steps", eval_steps=1,
            metric_for_best_model="f1",
        ),
        base.tokenizer,
        examples(),
        examples(2, seed=9),
        evaluate=evaluate,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2), Journal(tmp_path / "e.jsonl", lambda _: None)],
    )  # fmt: skip
    trainer.train()
    assert trainer.state.global_step == 4
    assert trainer.outcome == "finished"
    assert trainer.state.best_metric == 0.5
    assert all(torch.equal(p, kept[n]) for n, p in trainer.model.named_parameters())
    assert sorted(p.name for p in tmp_path.glob("checkpoint-*")) == [
        "checkpoint-2",
        "checkpoint-3",
        "checkpoint-4",
    ]
    assert [e["eval_f1"] for e in events(tmp_path / "e.jsonl") if "eval_f1" in e] == [0.2, 0.5, 0.4, 0.3]


def test_patience_and_the_best_step_outlive_a_resume_in_another_place(base: Any, tmp_path: Path) -> None:
    """The figure falls from step 1 on; with patience 3 the run ends at step 4, stopped in between or not."""
    best: dict[str, Tensor] = {}

    def run(out: Path, scores: list[float], stop: bool) -> Trainer:
        found = iter(scores)

        def evaluate(model: Any) -> dict[str, float]:
            if not best:
                best.update({n: p.detach().clone() for n, p in model.named_parameters()})
            return {"f1": next(found)}

        trainer = Trainer(
            lora(base.model),
            settings(
                out, save_strategy="steps", save_steps=1, eval_strategy="steps", eval_steps=1,
                metric_for_best_model="f1",
            ),
            base.tokenizer,
            examples(),
            examples(2, seed=9),
            evaluate=evaluate,
            callbacks=[EarlyStoppingCallback(early_stopping_patience=3), *([StopAt(2)] if stop else [])],
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=None if stop else str(out / "checkpoint-2"))
        return trainer

    run(tmp_path / "here", [0.5, 0.4], stop=True)
    (tmp_path / "here").rename(tmp_path / "there")
    resumed = run(tmp_path / "there", [0.3, 0.2, 0.1, 0.0], stop=False)
    assert resumed.state.global_step == 4
    assert resumed.state.best_model_checkpoint == str(tmp_path / "there" / "checkpoint-1")
    assert all(torch.equal(p, best[n]) for n, p in resumed.model.named_parameters())
