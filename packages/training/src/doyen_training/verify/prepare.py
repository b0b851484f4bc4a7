"""The bench's model: a Llama of about one million parameters and its tokenizer, both learned from the contracts.

Made once and kept in the cache, under a name that depends on the data and on this recipe.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_data import Record
from doyen_runtime.settings import get_settings
from doyen_training.masking import tokenize
from doyen_training.verify.corpus import (
    CLASSES,
    CLAUSE_CHARACTERS,
    Contract,
    class_names,
    clause_records,
    in_split,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Changing any of these makes another model under another name.
RECIPE: Final[dict[str, Any]] = {
    "vocabulary": 2048,
    "width": 128,
    "feed_forward": 384,
    "layers": 4,
    "heads": 4,
    "kv_heads": 2,
    "context": 512,
    "window": 64,
    "batch": 16,
    "steps": 2400,
    "warmup": 40,
    "learning_rate": 3e-3,
    "format_steps": 240,
    "format_rate": 2e-3,
    "classes": CLASSES,  # which types are of the task and which of the pre-training
    "characters": [CLAUSE_CHARACTERS.start, CLAUSE_CHARACTERS.stop],
    "seed": 17,
}
PREPARED: Final = "prepared.json"


def folder_for(data_sha256: str, recipe: dict[str, Any] | None = None) -> Path:
    """Where the model learned from this data with this recipe is kept."""
    content = json.dumps([data_sha256, RECIPE if recipe is None else recipe, TEMPLATE], sort_keys=True)
    return get_settings().cache / "verify" / hashlib.sha256(content.encode()).hexdigest()[:16]


def prepare(
    contracts: Sequence[Contract],
    data_sha256: str,
    recipe: dict[str, Any] | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Path:
    """Pre-train the model unless it is in the cache; returns its folder. ``prepared.json`` holds digest and losses.

    Learns from the train split's contracts only, so the dev contracts are new to the model in every respect.
    """
    recipe = RECIPE if recipe is None else recipe
    folder = folder_for(data_sha256, recipe)
    if (folder / PREPARED).is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".prepare-") as scratch:
        target = Path(scratch) / "model"
        _pretrain(contracts, recipe, target, report)
        try:
            os.rename(target, folder)
        except OSError:
            if not (folder / PREPARED).is_file():  # else another process was first, with the same bytes
                raise
    return folder


def learn_tokenizer(texts: Sequence[str], vocabulary: int) -> PreTrainedTokenizerBase:
    """A byte-level BPE with the chat's control tokens as ids 0, 1, 2 and a template that marks the answers."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token=SPECIAL[0],
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _pretrain(
    contracts: Sequence[Contract], recipe: dict[str, Any], target: Path, report: Callable[[str], None]
) -> None:
    """Write the model, its tokenizer and ``prepared.json`` to ``target``."""
    start = time.monotonic()
    texts = [contract.text for contract in contracts if in_split(contract, "train")]
    tokenizer = learn_tokenizer(texts, recipe["vocabulary"])
    model = _new_model(tokenizer, recipe)
    _learn_language(model, _windows(tokenizer, texts, recipe["window"]), recipe, report)
    dev_loss = text_loss(
        model, tokenizer, contracts, recipe
    )  # of the language stage: the next one forgets some of it
    _learn_format(model, tokenizer, contracts, recipe, report)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    prepared = {
        "weights_sha256": hashlib.sha256((target / "model.safetensors").read_bytes()).hexdigest(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "dev_loss": round(dev_loss, 4),
        "chance_loss": round(math.log(len(tokenizer)), 4),
        "seconds": round(time.monotonic() - start, 1),
        "recipe": recipe,
    }
    (target / PREPARED).write_text(json.dumps(prepared, indent=2) + "\n", encoding="utf-8")


def text_loss(model: Any, tokenizer: Any, contracts: Sequence[Contract], recipe: dict[str, Any]) -> float:
    """Mean loss on running text of the dev contracts, in nats a token."""
    import torch

    held = [contract.text for contract in contracts if in_split(contract, "dev")]
    held_NT = _windows(tokenizer, held, recipe["window"])[: 8 * recipe["batch"]]
    model.eval()
    with torch.inference_mode():
        parts = held_NT.split(recipe["batch"])
        losses = [float(model(input_ids=part, labels=part, use_cache=False).loss) for part in parts]
    return sum(losses) / len(losses)


def _new_model(tokenizer: PreTrainedTokenizerBase, recipe: dict[str, Any]) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe["seed"])
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=recipe["width"],
                intermediate_size=recipe["feed_forward"],
                num_hidden_layers=recipe["layers"],
                num_attention_heads=recipe["heads"],
                num_key_value_heads=recipe["kv_heads"],
                max_position_embeddings=recipe["context"],
                tie_word_embeddings=True,
                bos_token_id=1,
                eos_token_id=2,
                pad_token_id=0,
            )
        )


def _learn_language(
    model: Any, windows_NT: Any, recipe: dict[str, Any], report: Callable[[str], None]
) -> None:
    """The contracts' running text."""
    import torch

    generator = torch.Generator().manual_seed(recipe["seed"])

    def batches() -> Iterator[dict[str, Any]]:
        for _ in range(recipe["steps"]):
            ids_BT = windows_NT[torch.randint(len(windows_NT), (recipe["batch"],), generator=generator)]
            yield {"input_ids": ids_BT, "labels": ids_BT}

    _fit(model, batches(), recipe["steps"], recipe["warmup"], recipe["learning_rate"], "text", report)


def other_records(contracts: Sequence[Contract], tokenizer: Any) -> list[Record]:
    """Clauses of the train contracts whose types are not of the task."""
    labels = {clause.label for contract in contracts for clause in contract.clauses}
    others = labels - set(class_names(contracts, first_tokens(tokenizer, labels)))
    return clause_records(contracts, sorted(others), "train")


def _learn_format(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    contracts: Sequence[Contract],
    recipe: dict[str, Any],
    report: Callable[[str], None],
) -> None:
    """Clause in, type out, on the types that are not of the task: what an instruction-tuned base knows already."""
    import torch

    from doyen_training.collate import Collator

    records = other_records(contracts, tokenizer)
    if not records:
        return
    examples = tokenize(records, tokenizer, recipe["context"])
    collate = Collator(examples, 0)
    generator = torch.Generator().manual_seed(recipe["seed"])
    steps = recipe["format_steps"]

    def batches() -> Iterator[dict[str, Any]]:
        for _ in range(steps):
            drawn = torch.randint(len(examples), (recipe["batch"],), generator=generator)
            batch = collate([{"indices": [i]} for i in drawn.tolist()])
            yield {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}

    _fit(model, batches(), steps, recipe["warmup"], recipe["format_rate"], "format", report)


def first_tokens(tokenizer: Any, labels: Iterable[str]) -> dict[str, int]:
    """The first token of each answer."""
    return {label: int(tokenizer(label, add_special_tokens=False)["input_ids"][0]) for label in labels}


def _fit(
    model: Any,
    batches: Iterable[dict[str, Any]],
    steps: int,
    warmup: int,
    learning_rate: float,
    what: str,
    report: Callable[[str], None],
) -> None:
    import torch

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps, warmup))
    start, tokens, losses = time.monotonic(), 0, []
    for step, batch in enumerate(batches, start=1):
        loss = model(**batch, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        tokens += batch["input_ids"].numel()
        if step % 50 == 0 or step == steps:
            speed = tokens / (time.monotonic() - start)
            mean = sum(losses[-50:]) / len(losses[-50:])
            report(f"pre-training on {what}, step {step}/{steps}: loss {mean:.3f}, {speed:.0f} tokens/s")


def _windows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], length: int) -> Any:
    """All texts as one run of tokens, cut into windows (N, T)."""
    import torch

    core: Any = tokenizer
    ids = [token for encoded in core(list(texts))["input_ids"] for token in (*encoded, 0)]
    count = len(ids) // length
    return torch.tensor(ids[: count * length]).view(count, length)


def rate(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then cosine to a tenth."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
