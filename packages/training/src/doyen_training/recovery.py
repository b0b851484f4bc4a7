"""``doyen bench recovery``: a training killed with SIGKILL again and again ends as if it had never been.

A child process trains a tiny model with a stateful loss term and writes a checkpoint every other step. It is killed at
random moments, half of them aimed at the writing of a checkpoint, and started again each time. The figures say how
often the newest checkpoint verified, and whether the last weights are bit-identical to those of a run left alone.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_training.checkpoints import MANIFEST, checkpoints, latest_checkpoint, problems, step_of
from doyen_training.losses.term import Forward, Term

if TYPE_CHECKING:
    from torch import Tensor

KILLS: Final = 20
STEPS_A_KILL: Final = 6
PATIENCE_S: Final = 300.0
EVENTS: Final = "events.jsonl"
REPORTS: Final = "reports.txt"


def recovery(kills: int = KILLS, seed: int = 0) -> dict[str, Any]:
    """Kill a training ``kills`` times. Raises RuntimeError when a child fails by itself or makes no progress."""
    steps = STEPS_A_KILL * (kills + 1)
    draw = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["doyen_training.trainer"])  # the child starts in a second instead of ten
    with tempfile.TemporaryDirectory() as scratch:
        whole, broken = Path(scratch) / "whole", Path(scratch) / "broken"
        begun = time.monotonic()
        _finish(context, whole, steps)
        verified = writing = 0
        for kill in range(kills):
            target = STEPS_A_KILL * kill + draw.randint(1, STEPS_A_KILL)
            writing += _kill_at(context, broken, steps, target, draw, aimed=kill % 2 == 1)
            found = checkpoints(broken / "checkpoints")
            verified += not found or problems(found[-1]) == []
        _finish(context, broken, steps)
        reports = broken / REPORTS
        return {
            "kills": kills,
            "kills_while_writing": writing,
            "resumes_verified": verified,
            "damaged_reports": len(reports.read_text().splitlines()) if reports.is_file() else 0,
            "steps": steps,
            "bit_identical": _digests(whole, steps) == _digests(broken, steps),
            "seconds": round(time.monotonic() - begun, 1),
        }


class _Drift(Term):
    """Pulls the mean score to its own running mean: state that must survive a kill."""

    name = "drift"

    def __init__(self) -> None:
        super().__init__(0.1)
        self.mean = 0.0

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        mean = forward.logits_NV.mean()
        self.mean = 0.9 * self.mean + 0.1 * float(mean.detach())
        return (mean - self.mean).square() * len(forward.labels_N) / count

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean = state["mean"]


def _train(out: Path, steps: int) -> None:
    """The child: train from the newest checkpoint that verifies to the end."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig

    from doyen_training.bench import random_samples, random_tokenizer
    from doyen_training.journal import Journal
    from doyen_training.losses.cross_entropy import CrossEntropy
    from doyen_training.trainer import Trainer

    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": 320,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
    }
    model = get_peft_model(
        LlamaForCausalLM(LlamaConfig(**shape, num_attention_heads=4, num_key_value_heads=2, pad_token_id=0)),
        LoraConfig(r=4, lora_dropout=0.1, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    settings = SFTConfig(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        max_steps=steps,
        learning_rate=1e-2,
        lr_scheduler_type="cosine",
        train_sampling_strategy="group_by_length",
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        logging_steps=1,
        save_steps=2,
        max_length=None,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )

    def report(line: str) -> None:
        with (out / REPORTS).open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    checkpoint = latest_checkpoint(out / "checkpoints", report)
    trainer = Trainer(
        model,
        settings,
        random_tokenizer(),
        random_samples(40, 0.5, vocabulary=320, lengths=(8, 24)),
        terms=[CrossEntropy(), _Drift()],
        callbacks=[Journal(out / EVENTS, lambda _: None, bar=False)],
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _finish(context: Any, out: Path, steps: int) -> None:
    child = context.Process(target=_train, args=(out, steps))
    child.start()
    child.join(PATIENCE_S)
    if child.exitcode != 0:
        child.kill()
        raise RuntimeError(f"a training that was left alone ended with {child.exitcode}")


def _kill_at(context: Any, out: Path, steps: int, target: int, draw: random.Random, aimed: bool) -> bool:
    """Kill a child behind step ``target``; ``aimed`` waits for a checkpoint under way. True when one was."""
    folder = out / "checkpoints"
    child = context.Process(target=_train, args=(out, steps))
    child.start()
    deadline = time.monotonic() + PATIENCE_S
    while _step(out / EVENTS) < target or (aimed and not _writing(folder)):
        if child.exitcode is not None or time.monotonic() > deadline:
            child.kill()
            raise RuntimeError(f"the training ended with {child.exitcode} before step {target}")
        if not aimed:
            time.sleep(0.001)
    time.sleep(draw.uniform(0.0, 0.004 if aimed else 0.1))
    child.kill()
    child.join()
    if child.exitcode != -9:
        raise RuntimeError(f"the training ended with {child.exitcode} before it was killed")
    return _writing(folder)


def _writing(folder: Path) -> bool:
    return any(folder.glob(".checkpoint-*"))


def _step(events: Path) -> int:
    """The last step in the log of a run under way, whose last line may be half written."""
    if not events.is_file():
        return 0
    lines = events.read_text(encoding="utf-8").split("\n")[:-1]
    return int(json.loads(lines[-1])["step"]) if lines else 0


def _digests(out: Path, steps: int) -> dict[str, str]:
    """sha256 of the trained weights and of the terms' state in the checkpoint of the last step."""
    last = checkpoints(out / "checkpoints")[-1]
    if step_of(last) != steps:
        raise RuntimeError(f"the training ended at step {step_of(last)} of {steps}")
    files = json.loads((last / MANIFEST).read_text(encoding="utf-8"))["files"]
    return {name: files[name]["sha256"] for name in ("trainable.safetensors", "state.pt", "optimizer.pt")}
