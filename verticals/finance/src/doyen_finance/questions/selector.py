"""The tuned selector: the sentence encoder with low-rank changes reads a question with labels, and with paragraphs.

Over ``[CLS] question [SEP] headers and labels [SEP]`` it scores operations (first state), columns and rows (mean of
their states); over ``[CLS] question [SEP] paragraph [SEP]`` the first and last token of an answer, the first state
standing for none (as SQuAD 2 models do, Devlin et al. 2019, arXiv:1810.04805).

The upper layers are tuned in full and their change is cut to rank r afterwards: the form of LoRA (Hu et al. 2021,
arXiv:2106.09685), W + B A. Shapes: T tokens, D encoder width, L labels (rows or columns), B sequences.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from doyen_finance.questions.candidates import FAMILIES
from doyen_finance.questions.features import Signals
from doyen_finance.questions.model import Context
from doyen_modeling.encoder import ENCODER_WIDTH, encoder_digests, load_encoder, load_tokenizer
from doyen_modeling.low_rank import apply_change, encoder_change
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CLS: Final = 101
SEP: Final = 102
MAX_TOKENS: Final = 256
MAX_LABEL_TOKENS: Final = 20
STRIDE: Final = 64
NO_SIGNAL: Final = -12.0


@dataclass(frozen=True, slots=True)
class SelectorRecipe:
    """How the selector is tuned. ``label_share`` of the questions over labels, the many, are drawn in each epoch."""

    epochs: int = 5
    label_share: float = 0.4
    batch: int = 16
    frozen_layers: int = 3
    learning_rate: float = 2e-4
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.1
    average: float = 0.99
    rank: int = 32


@dataclass(frozen=True, slots=True)
class TableExample:
    """A question over a table: indices of the right rows and columns (may be empty) and the family's index, -1 unknown."""

    question: str
    context: Context
    rows: frozenset[int]
    columns: frozenset[int]
    family: int


@dataclass(frozen=True, slots=True)
class TextExample:
    """A question over a paragraph: the answer's range of characters, None when it does not stand there."""

    question: str
    paragraph: str
    span: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Labelled:
    """A tokenised question over labels: which label each token belongs to (-1 none), and the labels' places."""

    ids: list[int]
    segments: list[int]
    owner: list[int]
    places: list[tuple[str, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Windowed:
    """A tokenised question over a window of a paragraph; ``offsets`` are the characters of each token, (-1, -1) outside."""

    ids: list[int]
    segments: list[int]
    offsets: list[tuple[int, int]]


class Selector(nn.Module):
    """The encoder with four heads: operations (C), rows and columns (one score a label), starts and ends (a token)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = load_encoder()
        self.tokenizer: Tokenizer = load_tokenizer()
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.ModuleDict(
            {
                "families": nn.Linear(ENCODER_WIDTH, len(FAMILIES)),
                "rows": nn.Linear(2 * ENCODER_WIDTH, 1),
                "columns": nn.Linear(2 * ENCODER_WIDTH, 1),
                "spans": nn.Linear(ENCODER_WIDTH, 2),
            }
        )

    def states(self, items: Sequence[Labelled | Windowed]) -> Tensor:
        """Last states [B, T, D] of padded sequences."""
        longest = -(-max(len(item.ids) for item in items) // 16) * 16
        ids_BT = torch.zeros(len(items), longest, dtype=torch.long)
        segments_BT, mask_BT = torch.zeros_like(ids_BT), torch.zeros_like(ids_BT)
        for b, item in enumerate(items):
            ids_BT[b, : len(item.ids)] = torch.tensor(item.ids)
            segments_BT[b, : len(item.ids)] = torch.tensor(item.segments)
            mask_BT[b, : len(item.ids)] = 1
        h_BTD: Tensor = self.encoder(
            input_ids=ids_BT, attention_mask=mask_BT, token_type_ids=segments_BT
        ).last_hidden_state
        return self.dropout(h_BTD)

    def labels(self, items: Sequence[Labelled]) -> list[tuple[Tensor, Tensor]]:
        """Family logits [C] and label logits [L] of each item."""
        h_BTD = self.states(items)
        out = []
        for h_TD, item in zip(h_BTD, items, strict=True):
            owner_T = torch.tensor(item.owner)
            member_LT = (owner_T[None] == torch.arange(len(item.places))[:, None]).float()
            means_LD = (member_LT @ h_TD[: len(item.ids)]) / member_LT.sum(1, keepdim=True).clamp(min=1.0)
            joined = torch.cat([means_LD, h_TD[0].expand(len(item.places), -1)], dim=-1)
            by_row = torch.tensor([kind == "row" for kind, _ in item.places], dtype=torch.bool)
            logits_L = torch.where(
                by_row, self.heads["rows"](joined).squeeze(-1), self.heads["columns"](joined).squeeze(-1)
            )
            out.append((self.heads["families"](h_TD[0]), logits_L))
        return out

    def spans(self, items: Sequence[Windowed]) -> list[Tensor]:
        """Start and end logits [T, 2] of each item; tokens of the question are out of the running."""
        logits_BT2 = self.heads["spans"](self.states(items))
        out = []
        for logits_T2, item in zip(logits_BT2, items, strict=True):
            allowed_T = torch.tensor([i == 0 or offset[0] >= 0 for i, offset in enumerate(item.offsets)])
            out.append(logits_T2[: len(item.ids)].masked_fill(~allowed_T[:, None], -1e4))
        return out

    def read_labels(self, question: str, context: Context) -> Labelled:
        """Tokens of the question, then the headers, then the rows with the heading they stand under."""
        table = context.table
        places = [("column", c.index) for c in table.columns] + [("row", r.index) for r in table.rows]
        texts = [c.header for c in table.columns] + [" ".join((*r.path[-1:], r.label)) for r in table.rows]
        encoded = self.tokenizer.encode_batch([question, *texts], add_special_tokens=False)
        head = encoded[0].ids[: MAX_TOKENS // 3]
        ids, owner = [CLS, *head, SEP], [-1] * (len(head) + 2)
        kept: list[tuple[str, int]] = []
        for place, tokens in zip(places, encoded[1:], strict=True):
            part = tokens.ids[:MAX_LABEL_TOKENS]
            if len(ids) + len(part) + 1 > MAX_TOKENS:
                break
            ids += [*part, SEP]
            owner += [len(kept)] * len(part) + [len(kept)]
            kept.append(place)
        segments = [0] * (len(head) + 2) + [1] * (len(ids) - len(head) - 2)
        return Labelled(ids, segments, owner, kept)

    def read_windows(self, question: str, paragraph: str) -> list[Windowed]:
        """Windows over a paragraph, overlapping by ``STRIDE`` tokens, each after the question."""
        head = self.tokenizer.encode(question, add_special_tokens=False).ids[: MAX_TOKENS // 3]
        tokens = self.tokenizer.encode(paragraph, add_special_tokens=False)
        room = MAX_TOKENS - len(head) - 3
        windows = []
        for start in range(0, max(1, len(tokens.ids) - STRIDE), room - STRIDE):
            part = tokens.ids[start : start + room]
            ids = [CLS, *head, SEP, *part, SEP]
            outside = [(-1, -1)] * (len(head) + 2)
            offsets = [*outside, *tokens.offsets[start : start + room], (-1, -1)]
            windows.append(Windowed(ids, [0] * len(outside) + [1] * (len(part) + 1), offsets))
        return windows


@torch.inference_mode()
def select(model: Selector, asked: Sequence[tuple[str, Context, Sequence[int]]]) -> list[Signals]:
    """What the model says of each question: logarithms of probabilities, and scores of spans over that of no span.

    The third of each item are the numbers of the paragraphs to read; reading costs far more than the labels do.
    """
    model.eval()
    out = []
    for question, context, paragraphs in asked:
        labelled = model.read_labels(question, context)
        families_C, logits_L = model.labels([labelled])[0]
        rows: dict[int, float] = {}
        columns: dict[int, float] = {}
        for kind, target in (("row", rows), ("column", columns)):
            chosen = [i for i, place in enumerate(labelled.places) if place[0] == kind]
            if chosen:
                logs = logits_L[chosen].log_softmax(0).tolist()
                target.update({labelled.places[i][1]: value for i, value in zip(chosen, logs, strict=True)})
        starts: dict[tuple[int, int], float] = {}
        ends: dict[tuple[int, int], float] = {}
        windows = [(p, w) for p in paragraphs for w in model.read_windows(question, context.paragraphs[p])]
        windows.sort(key=lambda pair: len(pair[1].ids))
        for begin in range(0, len(windows), 8):
            batch = windows[begin : begin + 8]
            for (p, window), logits_T2 in zip(batch, model.spans([w for _, w in batch]), strict=True):
                relative = (logits_T2 - logits_T2[0]).tolist()
                for (a, b), (start, end) in zip(window.offsets, relative, strict=True):
                    if a >= 0:
                        starts[p, a] = max(start, starts.get((p, a), NO_SIGNAL))
                        ends[p, b] = max(end, ends.get((p, b), NO_SIGNAL))
        logs = families_C.log_softmax(0).clamp(min=-8.0).tolist()
        out.append(Signals(dict(zip(FAMILIES, logs, strict=True)), rows, columns, starts, ends))
    return out


def fit_selector(
    recipe: SelectorRecipe,
    tables: Sequence[TableExample],
    texts: Callable[[int], Sequence[TextExample]],
    seed: int,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Selector:
    """Tune on both kinds of example in turn; ``texts(epoch)`` may draw other paragraphs each time.

    Returned are the weights averaged over the steps, with the encoder's change cut to ``recipe.rank``.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, smooth = Selector(), Selector()
    smooth.load_state_dict(model.state_dict())
    layers: Any = model.encoder.encoder.layer
    for layer in layers[: recipe.frozen_layers]:
        layer.requires_grad_(False)
    groups = [
        {"params": list(model.heads.parameters()), "lr": recipe.head_learning_rate, "weight_decay": 0.0}
    ]
    for depth, layer in enumerate(layers[recipe.frozen_layers :], start=recipe.frozen_layers):
        rate = recipe.learning_rate * recipe.layer_decay ** (len(layers) - 1 - depth)
        groups.append({"params": list(layer.parameters()), "lr": rate, "weight_decay": recipe.weight_decay})
    optimizer = torch.optim.AdamW(groups)
    labelled = [(e, model.read_labels(e.question, e.context)) for e in tables]
    shown = max(1, round(recipe.label_share * len(labelled)))
    per_epoch = -(-shown // recipe.batch) + -(-len(texts(0)) // recipe.batch)
    total = per_epoch * recipe.epochs
    rise = max(1, int(total * recipe.warmup))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: (n + 1) / rise if n < rise else max(0.02, (total - n) / max(1, total - rise))
    )
    step = 0
    for epoch in range(recipe.epochs):
        windows = [(e, w) for e in texts(epoch) for w in _aimed(model, e)]
        batches: list[tuple[str, list[int]]] = []
        drawn = rng.permutation(len(labelled))[:shown].tolist()
        for kind, chosen, lengths in (
            ("labels", drawn, [len(labelled[i][1].ids) for i in drawn]),
            ("spans", list(range(len(windows))), [len(item.ids) for _, item in windows]),
        ):
            batches += [
                (kind, [chosen[i] for i in batch]) for batch in _like_lengths(lengths, recipe.batch, rng)
            ]
        model.train()
        losses = []
        for number in rng.permutation(len(batches)):
            kind, batch = batches[number]
            if kind == "labels":
                loss = _label_loss(model, [labelled[i] for i in batch])
            else:
                loss = _span_loss(model, [windows[i] for i in batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            decay = min(recipe.average, (1 + step) / (10 + step))
            with torch.no_grad():
                for mean, value in zip(smooth.parameters(), model.parameters(), strict=True):
                    if value.requires_grad:
                        mean.lerp_(value, 1 - decay)
            losses.append(loss.item())
        if on_epoch is not None:
            on_epoch(epoch, float(np.mean(losses)))
    return from_tensors(delta(smooth, recipe.rank))


def _aimed(model: Selector, example: TextExample) -> list[Windowed]:
    """The windows that hold the whole answer, or the first when there is none."""
    windows = model.read_windows(example.question, example.paragraph)
    if example.span is None:
        return windows[:1]
    start, end = example.span
    return [
        w
        for w in windows
        if any(a <= start < b for a, b in w.offsets) and any(a < end <= b for a, b in w.offsets)
    ][:1]


def _label_loss(model: Selector, batch: Sequence[tuple[TableExample, Labelled]]) -> Tensor:
    loss = torch.zeros(())
    for (example, item), (families_C, logits_L) in zip(
        batch, model.labels([i for _, i in batch]), strict=True
    ):
        if example.family >= 0:
            loss = loss - families_C.log_softmax(0)[example.family]
        for kind, right in (("row", example.rows), ("column", example.columns)):
            among = [i for i, place in enumerate(item.places) if place[0] == kind]
            hits = [n for n, i in enumerate(among) if item.places[i][1] in right]
            if hits:
                loss = loss - logits_L[among].log_softmax(0)[hits].mean()
    return loss / len(batch)


def _span_loss(model: Selector, batch: Sequence[tuple[TextExample, Windowed]]) -> Tensor:
    loss = torch.zeros(())
    for (example, item), logits_T2 in zip(batch, model.spans([i for _, i in batch]), strict=True):
        start = end = 0
        if example.span is not None:
            start = next(i for i, (a, b) in enumerate(item.offsets) if a <= example.span[0] < b)
            end = next(i for i, (a, b) in enumerate(item.offsets) if a < example.span[1] <= b)
        logs_T2 = logits_T2.log_softmax(0)
        loss = loss - logs_T2[start, 0] - logs_T2[end, 1]
    return loss / len(batch)


def _like_lengths(lengths: Sequence[int], size: int, rng: np.random.Generator) -> list[list[int]]:
    """Random batches of like length: sorted within pools of eight batches."""
    order = rng.permutation(len(lengths))
    batches = []
    for start in range(0, len(order), 8 * size):
        pool = sorted(order[start : start + 8 * size].tolist(), key=lambda i: lengths[i])
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    return batches


def average(models: Sequence[Selector]) -> Selector:
    """The mean of models that were tuned from the same start (a model soup, Wortsman et al. 2022, arXiv:2203.05482)."""
    mean = Selector()
    states = [model.state_dict() for model in models]
    mean.load_state_dict({name: sum(state[name] for state in states) / len(states) for name in states[0]})
    return mean


def delta(model: Selector, rank: int) -> dict[str, Tensor]:
    """What ships, in fp16: for each changed matrix its best rank-``rank`` factors B and A, changed vectors, the heads."""
    tensors = encoder_change(model.encoder, rank)
    return tensors | {f"heads.{name}": value.half() for name, value in model.heads.state_dict().items()}


def from_tensors(tensors: dict[str, Tensor]) -> Selector:
    """The selector that ``delta`` took apart."""
    model = Selector()
    apply_change(
        model.encoder, {key: value for key, value in tensors.items() if not key.startswith("heads.")}
    )
    with torch.no_grad():
        model.heads.load_state_dict(
            {key.removeprefix("heads."): v.float() for key, v in tensors.items() if key.startswith("heads.")}
        )
    model.requires_grad_(False)
    return model.eval()


def save(model: Selector, rank: int, recipe: SelectorRecipe, path: Path) -> None:
    """Write ``path`` (safetensors) and beside it the recipe and the encoder it belongs to, as JSON."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(delta(model, rank), path)
    path.chmod(0o644)  # safetensors leaves 0600, which a package would carry to other users
    weights, tokenizer = encoder_digests()
    config = {"encoder_sha256": weights, "tokenizer_sha256": tokenizer, "recipe": asdict(recipe)}
    path.with_suffix(".json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Selector:
    """Read a selector. Raises FIN-084 (missing or unreadable, or tuned on another encoder)."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        bound = (config["encoder_sha256"], config["tokenizer_sha256"])
        if bound != encoder_digests():
            raise ValueError("another encoder")
        return from_tensors(load_file(path))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise DoyenError(
            "FIN-084",
            f"the question selector {path.name} cannot be used ({type(error).__name__}).",
            "Reinstall doyen-finance with the encoder that it pins, or run: doyen finance train questions.",
        ) from error
