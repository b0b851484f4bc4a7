"""Classify a pair of texts with the sentence encoder: premise and hypothesis read together.

Trained weights ship as a low-rank delta on the pinned encoder: full fine-tuning of the upper layers trains faster on
a CPU than LoRA's many small products, and its difference to the base is cut to rank r afterwards (LoRA, Hu et al.
2021, arXiv 2106.09685, is the same form: W + B A).

Shapes: B pairs, T tokens, D encoder width, C labels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from doyen_modeling.distillation import soft_divergence
from doyen_modeling.encoder import (
    ENCODER_WIDTH,
    encoder_digests,
    has_bf16_units,
    load_encoder,
    load_tokenizer,
)  # fmt: skip
from doyen_modeling.low_rank import apply_change, encoder_change
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CLS, SEP = 101, 102  # of the encoder's vocabulary


class Pair(NamedTuple):
    """A premise, a hypothesis and the index of the label that holds between them."""

    first: str
    second: str
    label: int


@dataclass(frozen=True, slots=True)
class PairRecipe:
    """How a pair classifier is trained. ``class_weights`` multiply the loss of each label.

    With a teacher, ``distil_weight`` is the share of the loss that follows it, at ``temperature``.
    """

    labels: tuple[str, ...]
    class_weights: tuple[float, ...]
    max_tokens: int = 256
    frozen_layers: int = 2
    epochs: int = 4
    batch_pairs: int = 32
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.06
    label_smoothing: float = 0.05
    dropout: float = 0.1
    average: float = 0.99
    rank: int = 32
    distil_weight: float = 0.0
    temperature: float = 2.0

    def __post_init__(self) -> None:
        if len(self.class_weights) != len(self.labels):
            raise DoyenError(
                "MOD-031",
                f"{len(self.class_weights)} class weights for {len(self.labels)} labels: one each is needed.",
                "Give class_weights as many numbers as labels.",
            )
        if not 0 <= self.distil_weight <= 1 or self.temperature <= 0:
            raise DoyenError(
                "MOD-034",
                f"distil_weight {self.distil_weight} must lie in 0 to 1, temperature {self.temperature} above 0.",
                "Common are 0.5 and 2.0.",
            )


class PairClassifier(nn.Module):
    """The encoder over ``[CLS] first [SEP] second [SEP]`` and a linear head over its pooled states."""

    def __init__(self, labels: Sequence[str], max_tokens: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        self.labels = tuple(labels)
        self.max_tokens = max_tokens
        self.encoder = load_encoder()
        self.tokenizer: Tokenizer = load_tokenizer()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(3 * ENCODER_WIDTH, len(self.labels))

    def forward(self, ids_BT: Tensor, segments_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits [B, C]. The pooled vector joins the first state and the means of both segments."""
        h_BTD = self.encoder(
            input_ids=ids_BT, attention_mask=mask_BT, token_type_ids=segments_BT
        ).last_hidden_state.float()
        means = [h_BTD[:, 0]]
        for segment in (0, 1):
            weight_BT1 = ((segments_BT == segment) & mask_BT.bool()).float().unsqueeze(-1)
            means.append((h_BTD * weight_BT1).sum(1) / weight_BT1.sum(1).clamp(min=1.0))
        return cast(Tensor, self.head(self.dropout(torch.cat(means, dim=-1))))

    def encode(self, pairs: Sequence[Pair]) -> list[tuple[list[int], int]]:
        """Token ids of each pair and the length of its first segment; only the first text is ever cut."""
        first = self.tokenizer.encode_batch([p.first for p in pairs], add_special_tokens=False)
        second = self.tokenizer.encode_batch([p.second for p in pairs], add_special_tokens=False)
        encoded = []
        for a, b in zip(first, second, strict=True):
            tail = b.ids[: self.max_tokens // 2]
            head = a.ids[: self.max_tokens - len(tail) - 3]
            encoded.append(([CLS, *head, SEP, *tail, SEP], len(head) + 2))
        return encoded


def predict(model: PairClassifier, pairs: Sequence[Pair], batch_tokens: int = 8192) -> np.ndarray:
    """Probabilities [len(pairs), C], in the order given. Pairs of like length share a batch."""
    encoded = model.encode(pairs)
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i][0]))
    out = np.zeros((len(encoded), len(model.labels)), dtype=np.float32)
    model.eval()
    with torch.inference_mode(), _fast_products():
        for batch in _by_tokens(order, [len(ids) for ids, _ in encoded], batch_tokens):
            logits_BC = model(*_collate([encoded[i] for i in batch]))
            out[batch] = logits_BC.float().softmax(-1).numpy()
    return out


def embed(texts: Sequence[str], batch_tokens: int = 8192) -> np.ndarray:
    """Unit vectors [len(texts), D] of the untuned encoder (mean of the token states), cut at 256 tokens."""
    encoder, tokenizer = _embedder()
    encoded = [
        [CLS, *e.ids[:254], SEP] for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)
    ]
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    out = np.zeros((len(encoded), ENCODER_WIDTH), dtype=np.float32)
    with torch.inference_mode(), _fast_products():
        for batch in _by_tokens(order, [len(ids) for ids in encoded], batch_tokens):
            ids_BT, _, mask_BT = _collate([(encoded[i], len(encoded[i])) for i in batch])
            h_BTD = encoder(input_ids=ids_BT, attention_mask=mask_BT).last_hidden_state.float()
            mean_BD = (h_BTD * mask_BT.unsqueeze(-1)).sum(1) / mask_BT.sum(1, keepdim=True)
            out[batch] = nn.functional.normalize(mean_BD, dim=-1).numpy()
    return out


@cache
def _embedder() -> tuple[Any, Tokenizer]:
    encoder: Any = load_encoder()
    return encoder.eval(), load_tokenizer()


def fit(
    recipe: PairRecipe,
    epoch_pairs: Callable[[int], Sequence[Pair]],
    seed: int,
    on_epoch: Callable[[int, float, PairClassifier], None] | None = None,
    teacher_NC: np.ndarray | None = None,
    start: PairClassifier | None = None,
) -> PairClassifier:
    """Train on ``epoch_pairs(epoch)``, and return the model with its weights averaged over the steps.

    ``on_epoch`` gets the epoch, its mean loss and the averaged model. ``teacher_NC`` are a teacher's probabilities of
    the pairs, in the order of ``epoch_pairs``; they may be of easier texts than the student reads (Lopez-Paz et al.
    2016, arXiv:1511.03643). ``start`` gives the first weights instead of the untuned encoder. Same seed, threads and
    processor: same weights. Raises MOD-034 when there is a teacher for another number of pairs.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    if teacher_NC is not None and teacher_NC.shape != (len(epoch_pairs(0)), len(recipe.labels)):
        raise DoyenError(
            "MOD-034",
            f"the teacher's probabilities are {teacher_NC.shape}, not {(len(epoch_pairs(0)), len(recipe.labels))}.",
            "Take them of the pairs that are trained on, one row each.",
        )
    model = PairClassifier(recipe.labels, recipe.max_tokens, recipe.dropout)
    if start is not None:
        model.load_state_dict(start.state_dict())
    layers: Any = model.encoder.encoder.layer
    for layer in layers[: recipe.frozen_layers]:
        layer.requires_grad_(False)
    average = PairClassifier(recipe.labels, recipe.max_tokens, recipe.dropout)
    average.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(_groups(model, recipe), betas=(0.9, 0.98))
    peak = [group["lr"] for group in optimizer.param_groups]
    steps_per_epoch = math.ceil(len(epoch_pairs(0)) / recipe.batch_pairs)
    total, step = steps_per_epoch * recipe.epochs, 0
    loss_of = nn.CrossEntropyLoss(
        weight=torch.tensor(recipe.class_weights, dtype=torch.float32), label_smoothing=recipe.label_smoothing
    )
    for epoch in range(recipe.epochs):
        pairs = epoch_pairs(epoch)
        encoded = model.encode(pairs)
        lengths = [len(ids) for ids, _ in encoded]
        model.train()
        losses = []
        for batch in _like_lengths(lengths, recipe.batch_pairs, rng):
            scale = _schedule(step, total, recipe.warmup)
            for group, rate in zip(optimizer.param_groups, peak, strict=True):
                group["lr"] = rate * scale
            with _fast_products():
                logits_BC = model(*_collate([encoded[i] for i in batch]))
            loss = loss_of(logits_BC.float(), torch.tensor([pairs[i].label for i in batch]))
            if teacher_NC is not None:
                soft = soft_divergence(
                    torch.from_numpy(teacher_NC[batch]).clamp(min=1e-12).log(),
                    logits_BC.float(),
                    recipe.temperature,
                ).mean()
                loss = (1 - recipe.distil_weight) * loss + recipe.distil_weight * soft
            loss.backward()
            nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            # The young average follows closely, or it would hold on to the untrained head.
            _average(average, model, min(recipe.average, (1 + step) / (10 + step)))
            losses.append(loss.item())
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)), average)
    return average


def save_delta(model: PairClassifier, path: Path, rank: int, extra: dict[str, Any]) -> dict[str, Any]:
    """Write ``path`` (safetensors, fp16) and its configuration beside it as ``.json``.

    Matrices of the encoder that changed are stored as the best rank-``rank`` factors of their change (truncated
    SVD), vectors as their change, the head whole. ``extra`` joins the configuration, which is returned.
    """
    from safetensors.torch import save_file

    tensors = encoder_change(model.encoder, rank)
    tensors |= {f"head.{name}": value.half() for name, value in model.head.state_dict().items()}
    weights, tokenizer = encoder_digests()
    config = {
        "labels": list(model.labels),
        "max_tokens": model.max_tokens,
        "rank": rank,
        "encoder_sha256": weights,
        "tokenizer_sha256": tokenizer,
        **extra,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    path.with_suffix(".json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return config


def load_delta(path: Path) -> tuple[PairClassifier, dict[str, Any]]:
    """The classifier that ``save_delta`` wrote, and its configuration.

    Raises MOD-032 when a file is missing or unreadable, MOD-033 when the weights belong to another encoder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        tensors = load_file(path)
        model = PairClassifier(config["labels"], int(config["max_tokens"]))
        bound = (config["encoder_sha256"], config["tokenizer_sha256"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise DoyenError(
            "MOD-032",
            f"pair classifier {path.name} cannot be read ({type(error).__name__}).",
            "Reinstall the package, or train the classifier again.",
        ) from error
    if bound != encoder_digests():
        raise DoyenError(
            "MOD-033",
            f"pair classifier {path.name} was tuned on encoder {bound[0][:12]}, "
            f"but {encoder_digests()[0][:12]} is installed: digests must agree.",
            "Install the encoder version that the package pins.",
        )
    apply_change(model.encoder, {key: value for key, value in tensors.items() if not key.startswith("head.")})
    with torch.no_grad():
        model.head.weight.copy_(tensors["head.weight"].float())
        model.head.bias.copy_(tensors["head.bias"].float())
    model.requires_grad_(False)
    return model.eval(), config


def recipe_settings(recipe: PairRecipe) -> dict[str, Any]:
    """The recipe as JSON has it, for the figures file."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(recipe).items()}


def _groups(model: PairClassifier, recipe: PairRecipe) -> list[dict[str, Any]]:
    """Parameter groups: the head at its own rate, each layer below the top at a rate ``layer_decay`` smaller."""
    layers: Any = model.encoder.encoder.layer
    groups: list[dict[str, Any]] = [
        {"params": list(model.head.parameters()), "lr": recipe.head_learning_rate, "weight_decay": 0.0}
    ]
    for depth, layer in enumerate(layers[recipe.frozen_layers :], start=recipe.frozen_layers):
        rate = recipe.learning_rate * recipe.layer_decay ** (len(layers) - 1 - depth)
        for vectors in (True, False):
            chosen = [p for p in layer.parameters() if (p.ndim == 1) == vectors]
            decay = 0.0 if vectors else recipe.weight_decay
            groups.append({"params": chosen, "lr": rate, "weight_decay": decay})
    return groups


def _schedule(step: int, total: int, warmup: float) -> float:
    """Linear warm-up, then linear decay to zero."""
    rise = max(1, int(total * warmup))
    return (step + 1) / rise if step < rise else max(0.0, (total - step) / max(1, total - rise))


def _average(average: PairClassifier, model: PairClassifier, decay: float) -> None:
    with torch.no_grad():
        for mean, value in zip(average.parameters(), model.parameters(), strict=True):
            if value.requires_grad:
                mean.lerp_(value, 1 - decay)


def _fast_products() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16_units())


def _collate(items: Sequence[tuple[list[int], int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, segments (0 first, 1 second) and mask, each [B, T], padded to the longest, in steps of 16.

    The products' kernels are compiled and cached for each shape: few shapes save time and gigabytes.
    """
    longest = -(-max(len(ids) for ids, _ in items) // 16) * 16
    ids_BT = torch.zeros(len(items), longest, dtype=torch.long)
    segments_BT, mask_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT)
    for row, (ids, first) in enumerate(items):
        ids_BT[row, : len(ids)] = torch.tensor(ids)
        segments_BT[row, first : len(ids)] = 1
        mask_BT[row, : len(ids)] = 1
    return ids_BT, segments_BT, mask_BT


def _like_lengths(lengths: Sequence[int], size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Random batches of ``size`` whose lengths are alike, so that little is padded: sorted within pools of 16."""
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), 16 * size):
        pool = sorted(order[start : start + 16 * size].tolist(), key=lambda i: lengths[i])
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    for index in rng.permutation(len(batches)):
        yield batches[index]


def _by_tokens(order: Sequence[int], lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Batches of at most ``limit`` padded tokens, in an order of rising length."""
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > limit:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
