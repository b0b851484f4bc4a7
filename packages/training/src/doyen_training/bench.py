# ruff: noqa: ARG002 (the signatures are those of transformers' callbacks)
"""``doyen bench training``: tokens a second of our trainer against TRL's SFTTrainer, pair by pair.

Both train the same LoRA adapter on the same random weights and tokens, in the same batches and order, on the same
device, with gradient accumulation off; the pairs alternate who goes first, and the ratio is the median of the pairs.
The model has SmolLM2-135M's shape in small: its output layer is a quarter of its weights, as there.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import random
import re
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import SFTConfig, SFTTrainer

from doyen_training.masking import IGNORED, Example
from doyen_training.trainer import Trainer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PAIRS: Final = 5
STEPS: Final = 3  # measured in each run, behind one to warm up
BATCH: Final = 4
LENGTHS: Final = (96, 192)  # tokens of a sample, from and to
SHORT: Final = 0.1  # the learned share where answers are short
SHAPE: Final[dict[str, Any]] = {
    "vocab_size": 8192,
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}


def throughput(pairs: int = PAIRS, steps: int = STEPS) -> dict[str, Any]:
    """Figures for ``plain`` (every token learned) and ``short`` (one in ten): rates, ratio and peak memory.

    ``ratio_vs_trl`` is of the clock; ``cpu_ratio_vs_trl`` of this process's CPU time, which other work on the machine
    leaves alone. ``peak_mb`` is the growth of resident memory in a run (on a GPU: the most allocated), the median of the pairs.
    Raises RuntimeError when the two trainers do not see the same loss: then they would not do the same work.
    """
    model = _model()
    return {
        "plain": _compare(model, 1.0, pairs, steps),
        "short": _compare(model, SHORT, pairs, steps),
        "pairs": pairs,
        "device": str(next(model.parameters()).device),
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _compare(model: Any, learned: float, pairs: int, steps: int) -> dict[str, Any]:
    samples = random_samples((steps + 1) * BATCH, learned)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for pair in range(pairs):
        for mine in (True, False) if pair % 2 == 0 else (False, True):
            (ours if mine else theirs).append(_run(model, samples, mine, steps))
    if any(abs(a["loss"] - b["loss"]) > 1e-4 for a, b in zip(ours, theirs, strict=True)):
        raise RuntimeError(f"the trainers' losses differ: {ours[0]['loss']} and {theirs[0]['loss']}")
    ratios = {
        key: [round(a[key] / b[key], 3) for a, b in zip(ours, theirs, strict=True)]
        for key in ("tokens_per_s", "tokens_per_cpu_s")
    }
    return {
        "ratio_vs_trl": median(ratios["tokens_per_s"]),
        "ratios": ratios["tokens_per_s"],
        "cpu_ratio_vs_trl": median(ratios["tokens_per_cpu_s"]),
        "tokens_per_s": round(median(run["tokens_per_s"] for run in ours), 1),
        "trl_tokens_per_s": round(median(run["tokens_per_s"] for run in theirs), 1),
        "peak_mb": round(median(run["peak_mb"] for run in ours), 1),
        "trl_peak_mb": round(median(run["peak_mb"] for run in theirs), 1),
        "learned_share": round(sum(e.learned for e in samples) / sum(len(e.input_ids) for e in samples), 3),
    }


class _Clock(TrainerCallback):
    """The end of every step, in seconds of the clock and of this process."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.cpu: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())
        self.cpu.append(time.process_time())


def _run(model: Any, samples: list[Example], mine: bool, steps: int) -> dict[str, float]:
    copied = copy.deepcopy(model)
    clock = _Clock()
    with tempfile.TemporaryDirectory() as scratch:
        settings = SFTConfig(
            output_dir=scratch,
            per_device_train_batch_size=BATCH,
            max_steps=steps + 1,
            learning_rate=1e-3,
            gradient_checkpointing=False,
            bf16=torch.cuda.is_available(),
            use_cpu=not torch.cuda.is_available(),
            train_sampling_strategy="sequential",
            save_strategy="no",
            max_length=None,
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer: Any = (
            Trainer(copied, settings, random_tokenizer(), samples, callbacks=[clock])
            if mine
            else SFTTrainer(
                copied,
                args=settings,
                train_dataset=Dataset.from_list(
                    [{"input_ids": e.input_ids, "labels": e.labels} for e in samples]
                ),
                processing_class=random_tokenizer(),
                callbacks=[clock],
            )
        )
        trainer.remove_callback(PrinterCallback)
        gc.collect()
        before = _memory(reset=True)
        trainer.train()
        peak = _memory() - before
    tokens = sum(len(e.input_ids) for e in samples[BATCH:])
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {
        "tokens_per_s": tokens / (clock.times[-1] - clock.times[0]),
        "tokens_per_cpu_s": tokens / (clock.cpu[-1] - clock.cpu[0]),
        "peak_mb": peak / 2**20,
        "loss": logged[-1],
    }


def _model() -> Any:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(LlamaConfig(**SHAPE, pad_token_id=0, bos_token_id=1, eos_token_id=1))
        return get_peft_model(
            model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        )


def random_samples(
    count: int, learned: float, vocabulary: int = SHAPE["vocab_size"], lengths: tuple[int, int] = LENGTHS
) -> list[Example]:
    """Samples of random tokens whose last ``learned`` share is to be learned."""
    draw = random.Random(0)
    found = []
    for i in range(count):
        ids = [draw.randrange(2, vocabulary) for _ in range(draw.randint(*lengths))]
        begin = round(len(ids) * (1 - learned))
        found.append(Example(f"s{i}", ids, [IGNORED] * begin + ids[begin:]))
    return found


def random_tokenizer() -> PreTrainedTokenizerBase:
    """A tokenizer of two control tokens: the benches' tokens stand for nothing."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<end>"))
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<end>")


def _memory(reset: bool = False) -> int:
    """Bytes: what is held now with ``reset``, which also forgets earlier peaks; else the peak since then."""
    if torch.cuda.is_available():
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() if reset else torch.cuda.max_memory_allocated()
    if not Path("/proc/self/clear_refs").exists():
        return 0  # only Linux tells
    if reset:
        ctypes.CDLL(None).malloc_trim(0)  # freed memory that the allocator keeps would hide a peak
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM (proc(5))
    field = "VmRSS" if reset else "VmHWM"
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0
