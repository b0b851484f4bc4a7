"""Training of the extractor's tagger: sentence heads and BiLSTM-CRF together, on CUAD's train part.

Needs only a CPU. A checkpoint of weights, averages and optimizer moments is written every few hundred steps, so a
killed run goes on where it stopped: batches are drawn from (seed, epoch) alone.
"""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from doyen_legal.corpora import Contract
from doyen_legal.extract.windows import (
    MASK,
    EncodedText,
    Ints,
    Window,
    collate,
    encode,
    label_layers,
    sentence_targets,
    tag_targets,
    windows_of,
)
from doyen_legal.labels import LABELS
from doyen_modeling.encoder import has_bf16_units, load_tokenizer
from doyen_modeling.tagger import SpanTagger, TaggerConfig
from doyen_schemas import DoyenError


class ExtractorRecipe(BaseModel):
    """``recipes/extractor.toml``, typed; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    layers: int = Field(ge=1, le=8)
    lstm_width: int = Field(ge=8)
    dropout: float = Field(ge=0, lt=1)
    window_subwords: int = Field(ge=64, le=512)
    epochs: int = Field(ge=1)
    batch_windows: int = Field(ge=1)
    keep_empty: float = Field(ge=0, le=1)
    encoder_rate: float = Field(gt=0)
    head_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup: float = Field(ge=0, lt=1)
    clip: float = Field(gt=0)
    crf_weight: float = Field(ge=0)
    mask_subwords: float = Field(ge=0, lt=1)
    average: float = Field(ge=0, lt=1)


def load_recipe(path: Path) -> ExtractorRecipe:
    """Read a recipe; LEG-060 names every wrong key and value at once."""
    try:
        return ExtractorRecipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DoyenError("LEG-060", f"recipe not found: {path}.", "Name an existing TOML file.") from error
    except tomllib.TOMLDecodeError as error:
        raise DoyenError(
            "LEG-060", f"{path.name} is not TOML: {error}.", "Compare it with the shipped one."
        ) from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DoyenError("LEG-060", f"{path.name}: {wrong}.", "Compare it with the shipped one.") from error


class TrainingText:
    """A contract ready for training: its windows with targets."""

    def __init__(
        self, contract: Contract, tokenizer: Any, recipe: ExtractorRecipe, layers: Sequence[Sequence[str]]
    ):
        spans = [(s.label, s.start, s.end) for s in contract.spans]
        self.text: EncodedText = encode(contract.text, tokenizer, recipe.window_subwords)
        begins = np.flatnonzero(self.text.word_T)
        ends = (
            np.concatenate([self.text.end_T[begins[1:] - 1], self.text.end_T[-1:]]) if len(begins) else begins
        )
        self.sentences_NC = sentence_targets(self.text.sentences_N2, spans, LABELS)
        self.tags_WL: Ints = tag_targets(self.text.start_T[begins], ends, spans, layers)
        self.word_before_T = np.concatenate([[0], np.cumsum(self.text.word_T)])

    def has_label(self, window: Window) -> bool:
        low, high = self.word_before_T[window.begin], self.word_before_T[window.end]
        return bool(self.sentences_NC[window.first : window.last].any() or self.tags_WL[low:high].any())

    def window_tags(self, window: Window) -> Ints:
        return self.tags_WL[self.word_before_T[window.begin] : self.word_before_T[window.end]]


Item = tuple[TrainingText, Window]


def epoch_batches(texts: Sequence[TrainingText], recipe: ExtractorRecipe, epoch: int) -> list[list[Item]]:
    """The epoch's batches: windows packed from a new offset, empty ones thinned, similar lengths together."""
    rng = np.random.default_rng([recipe.seed, epoch])
    items: list[Item] = []
    for text in texts:
        shift = int(rng.integers(0, recipe.window_subwords)) if epoch else 0
        for window in windows_of(text.text, recipe.window_subwords, shift):
            if text.has_label(window) or rng.random() < recipe.keep_empty:
                items.append((text, window))
    order = sorted(
        range(len(items)), key=lambda i: (items[i][1].end - items[i][1].begin) // 48 + rng.random()
    )
    size = recipe.batch_windows
    batches = [[items[i] for i in order[k : k + size]] for k in range(0, len(order), size)]
    rng.shuffle(batches)
    return batches


def batch_loss(
    model: SpanTagger, items: Sequence[Item], recipe: ExtractorRecipe, rng: np.random.Generator
) -> tuple[Tensor, float, float]:
    """The joint loss of one batch, and its two parts as numbers."""
    batch = collate([(text.text, window) for text, window in items])
    if recipe.mask_subwords:
        hide = torch.from_numpy(rng.random(batch.ids_BS.shape) < recipe.mask_subwords)
        batch = batch._replace(ids_BS=batch.ids_BS.masked_fill(hide & (batch.sentence_of_BS > 0), MASK))
    sentences = torch.from_numpy(np.concatenate([t.sentences_NC[w.first : w.last] for t, w in items]))
    tags = torch.zeros(*batch.word_mask_BW.shape, recipe.layers, dtype=torch.long)
    for b, (text, window) in enumerate(items):
        gold = text.window_tags(window)
        tags[b, : len(gold)] = torch.from_numpy(gold)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16_units()):
        output = model(batch)
    sentence_loss = torch.nn.functional.binary_cross_entropy_with_logits(
        output.sentence_NC.float(), sentences, reduction="sum"
    ) / len(sentences)
    crf_loss = model.crf.loss(output.emissions_BWLK, tags, batch.word_mask_BW)
    loss = sentence_loss + recipe.crf_weight * crf_loss
    return loss, float(sentence_loss.detach()), float(crf_loss.detach())


def train(
    contracts: Sequence[Contract], recipe: ExtractorRecipe, out: Path, *, checkpoint_every: int = 200
) -> SpanTagger:
    """Train the tagger, going on from ``out/checkpoint.safetensors`` if it is there. Events go to ``out/events.jsonl``.

    Returns the model with averaged weights, also saved as ``out/tagger.safetensors`` and ``out/tagger.json``.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    tokenizer = load_tokenizer()
    spans = [[(s.label, s.start, s.end) for s in contract.spans] for contract in contracts]
    layers = label_layers(spans, LABELS, recipe.layers)
    texts = [TrainingText(contract, tokenizer, recipe, layers) for contract in contracts]
    config = TaggerConfig(LABELS, layers, recipe.lstm_width, recipe.dropout, recipe.window_subwords)
    model = SpanTagger(config)
    _start_from_frequencies(model, texts)
    optimizer, scheduler, steps = _optimizer(model, texts, recipe)
    average = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    begin = _resume(out, model, average, optimizer, scheduler)
    model.train()
    clock, seen = time.monotonic(), 0
    for step, items in _steps(texts, recipe, begin):
        rng = np.random.default_rng([recipe.seed, 1, step])
        torch.manual_seed(recipe.seed + step)
        loss, sentence_loss, crf_loss = batch_loss(model, items, recipe, rng)
        if not torch.isfinite(loss):
            raise DoyenError(
                "LEG-061", f"the loss is {float(loss)} at step {step}.", "Lower the learning rates."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = _clip(optimizer, recipe.clip)
        optimizer.step()
        scheduler.step()
        # The average forgets the first steps quickly: its decay grows to the recipe's.
        decay = min(recipe.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in average:
                    average[name].lerp_(parameter, 1 - decay)
        seen += sum(window.end - window.begin for _, window in items)
        if (step + 1) % 20 == 0:
            rate = seen / (time.monotonic() - clock)
            _log(out, step=step + 1, steps=steps, loss=loss.item(), sentence=sentence_loss, crf=crf_loss,
                 norm=float(norm), rate=scheduler.get_last_lr()[0], tokens_per_s=round(rate))  # fmt: skip
        if (step + 1) % checkpoint_every == 0:
            _checkpoint(out, model, average, optimizer, step + 1)
    model.load_state_dict(average, strict=False)
    save_tagger(model, out)
    return model


def save_tagger(model: SpanTagger, out: Path) -> None:
    """Write ``tagger.safetensors`` (fp16, without embedding tables) and ``tagger.json``."""
    save_file(model.shipped_state(), out / "tagger.safetensors")
    (out / "tagger.json").write_text(json.dumps(model.config.to_dict(), indent=1) + "\n", encoding="utf-8")


def load_trained(out: Path) -> SpanTagger:
    """The tagger that ``save_tagger`` wrote."""
    model = SpanTagger(TaggerConfig.from_dict(json.loads((out / "tagger.json").read_text(encoding="utf-8"))))
    model.load_shipped(load_file(out / "tagger.safetensors"))
    return model.eval()


def _steps(
    texts: Sequence[TrainingText], recipe: ExtractorRecipe, begin: int
) -> Iterator[tuple[int, list[Item]]]:
    step = 0
    for epoch in range(recipe.epochs):
        for items in epoch_batches(texts, recipe, epoch):
            if step >= begin:
                yield step, items
            step += 1


def _start_from_frequencies(model: SpanTagger, texts: Sequence[TrainingText]) -> None:
    """Set the sentence heads' bias to the log odds of each label, so that training starts from the base rate."""
    counts = np.sum([text.sentences_NC.sum(0) for text in texts], axis=0)
    total = sum(len(text.sentences_NC) for text in texts)
    odds = (counts + 1) / (total - counts + 1)
    head = model.sentence[-1]
    assert isinstance(head, torch.nn.Linear)
    with torch.no_grad():
        head.bias.copy_(torch.from_numpy(np.log(odds)))
        head.weight.mul_(0.5)


def _optimizer(
    model: SpanTagger, texts: Sequence[TrainingText], recipe: ExtractorRecipe
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR, int]:
    parts: dict[str, list[torch.nn.Parameter]] = {"encoder": [], "sentence": [], "tagger": []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            head = name.partition(".")[0]
            parts[head if head in parts else "tagger"].append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": parts["encoder"], "lr": recipe.encoder_rate},
            {"params": parts["sentence"], "lr": recipe.head_rate},
            {"params": parts["tagger"], "lr": recipe.head_rate},
        ],
        weight_decay=recipe.weight_decay,
        betas=(0.9, 0.98),
    )
    steps = sum(len(epoch_batches(texts, recipe, epoch)) for epoch in range(recipe.epochs))
    warm = max(1, round(recipe.warmup * steps))
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))
    )
    return optimizer, scheduler, steps


def _clip(optimizer: torch.optim.AdamW, limit: float) -> float:
    """Clip each group's gradient by itself and return the encoder's norm.

    Together, the CRF's large first gradients would scale the other heads' to nothing; when they shrank, Adam's small
    second moments would blow those heads up (seen: no learning at all).
    """
    norms = [torch.nn.utils.clip_grad_norm_(group["params"], limit) for group in optimizer.param_groups]
    return float(norms[0])


def _checkpoint(
    out: Path, model: SpanTagger, average: dict[str, Tensor], optimizer: torch.optim.AdamW, step: int
) -> None:
    tensors: dict[str, Tensor] = {"step": torch.tensor(step)}
    for name, parameter in model.named_parameters():
        if name in average:
            state = optimizer.state[parameter]
            tensors |= {
                f"weight.{name}": parameter.detach(), f"average.{name}": average[name],
                f"first.{name}": state["exp_avg"], f"second.{name}": state["exp_avg_sq"],
            }  # fmt: skip
    temporary = out / "checkpoint.tmp"
    save_file(tensors, temporary)
    os.replace(temporary, out / "checkpoint.safetensors")


def _resume(
    out: Path, model: SpanTagger, average: dict[str, Tensor], optimizer: torch.optim.AdamW,
    scheduler: torch.optim.lr_scheduler.LambdaLR,
) -> int:  # fmt: skip
    path = out / "checkpoint.safetensors"
    if not path.exists():
        return 0
    tensors = load_file(path)
    step = int(tensors["step"])
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in average:
                parameter.copy_(tensors[f"weight.{name}"])
                average[name].copy_(tensors[f"average.{name}"])
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": tensors[f"first.{name}"],
                    "exp_avg_sq": tensors[f"second.{name}"],
                }
    scheduler.last_epoch = step
    for group, base, rule in zip(
        optimizer.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True
    ):
        group["lr"] = base * rule(step)
    _log(out, resumed=step)
    return step


def _log(out: Path, **event: Any) -> None:
    with (out / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")
