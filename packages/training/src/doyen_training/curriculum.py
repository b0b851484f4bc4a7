"""Curriculum: from easy to hard samples (Bengio et al. 2009), paced by competence (Platanios et al. 2019).

Each sample has a difficulty; after a share ``t`` of the training, the easiest share ``c(t)`` of the samples is open
(arXiv:1903.09848, eq. 7). Within what is open every sample is seen once before one is seen again; a sample that
opens joins the pass under way. Over the whole training the samples that open early are seen more often.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_training.masking import Example

SCORED_AT_ONCE: Final = 8


class CurriculumPart(BaseModel):
    """The ``[curriculum]`` table.

    Attributes:
        difficulty: "length" in tokens, "loss" of the base on the learned tokens, or "given" in the file ``scores``.
        scores: JSON, record id to number, for "given"; relative to the data.
        order: "easy-first"; "hard-first" turns it round, and "shuffled" paces a random order, both to compare with.
        start: the share of the samples that is open at the first step.
        until: the share of the training after which all are open.
        pacing: "root" opens more in the beginning, as Platanios et al. propose, "linear" evenly.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    difficulty: Literal["length", "loss", "given"]
    scores: str | None = None
    order: Literal["easy-first", "hard-first", "shuffled"] = "easy-first"
    start: Annotated[float, Field(gt=0, le=1)] = 0.2
    until: Annotated[float, Field(gt=0, le=1)] = 0.5
    pacing: Literal["root", "linear"] = "root"

    @model_validator(mode="after")
    def _scores(self) -> CurriculumPart:
        if (self.difficulty == "given") != (self.scores is not None):
            raise ValueError('scores names the file of difficulty = "given", and of that alone')
        return self

    def open_share(self, done: float) -> float:
        """``c(t)``: the share of the samples that is open after the share ``done`` of the training."""
        power = 2 if self.pacing == "root" else 1
        rise = min(done / self.until, 1.0)
        return float(min(1.0, (rise * (1 - self.start**power) + self.start**power) ** (1 / power)))


class CurriculumSampler:
    """The order of the rows, epoch by epoch; a sampler of torch.

    The order of the whole training follows from difficulties, seed and size alone, so a resumed run goes on with it.
    """

    def __init__(
        self, difficulties: Sequence[float], part: CurriculumPart, *, epochs: float, batch: int, seed: int
    ) -> None:
        self.difficulties = list(difficulties)
        self.part = part
        self.batch = batch
        self.seed = seed
        self.epoch = 0
        self._total = max(1, round(epochs * len(self.difficulties)))
        self._order: list[int] = []

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.difficulties)

    def __iter__(self) -> Iterator[int]:
        count = len(self)
        needed = (self.epoch + 1) * count
        if len(self._order) < needed:
            self._order = self.schedule(needed)
        return iter(self._order[self.epoch * count : needed])

    def schedule(self, needed: int) -> list[int]:
        """The first ``needed`` rows of the training."""
        shuffle = random.Random(self.seed)
        ranked = rank(self.difficulties, self.part.order, shuffle)
        order: list[int] = []
        opened = 0
        waiting: list[int] = []
        while len(order) < needed:
            share = self.part.open_share(len(order) / self._total)
            now = max(opened, min(len(ranked), max(self.batch, round(share * len(ranked)))))
            waiting += ranked[opened:now]
            opened = now
            for _ in range(self.batch):
                if not waiting:
                    waiting = ranked[:opened]
                place = shuffle.randrange(len(waiting))
                waiting[place], waiting[-1] = waiting[-1], waiting[place]
                order.append(waiting.pop())
        return order[:needed]


def rank(difficulties: Sequence[float], order: str, shuffle: random.Random) -> list[int]:
    """Row numbers in the order in which they open; equal difficulties in random order."""
    rows = list(range(len(difficulties)))
    shuffle.shuffle(rows)
    if order != "shuffled":
        rows.sort(key=lambda row: difficulties[row], reverse=order == "hard-first")
    return rows


def difficulties(
    part: CurriculumPart, examples: Sequence[Example], folder: Path, model: Any = None, pad_token_id: int = 0
) -> list[float]:
    """The difficulty of each sample. ``model`` is the base before training, for "loss".

    Raises TRN-067 when the file of "given" cannot be read or has no number for a record.
    """
    if part.difficulty == "length":
        return [float(len(example.input_ids)) for example in examples]
    if part.difficulty == "loss":
        return base_losses(model, examples, pad_token_id)
    file = folder / str(part.scores)
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
        missing = [e.id for e in examples if not isinstance(given.get(e.id), int | float)]
    except (OSError, ValueError, AttributeError) as error:
        raise DoyenError(
            "TRN-067",
            f"{file} holds no difficulties ({type(error).__name__}).",
            "Write JSON: {record id: number}.",
        ) from error
    if missing:
        raise DoyenError(
            "TRN-067",
            f"{file.name} has no number for {len(missing)} of {len(examples)} records (first: {', '.join(missing[:3])}).",
            "Write JSON: {record id: number}.",
        )
    return [float(given[example.id]) for example in examples]


def base_losses(model: Any, examples: Sequence[Example], pad_token_id: int = 0) -> list[float]:
    """The mean negative log-likelihood that ``model`` gives the learned tokens of each sample, in nats."""
    import torch
    from torch.nn.functional import cross_entropy

    from doyen_training.collate import Collator
    from doyen_training.forward import learned_forward

    collate = Collator(examples, pad_token_id)
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].input_ids))
    found = [0.0] * len(examples)
    was_training = model.training
    model.eval()
    for start in range(0, len(order), SCORED_AT_ONCE):
        chosen = order[start : start + SCORED_AT_ONCE]
        batch = {
            key: value.to(model.device) if isinstance(value, torch.Tensor) else value
            for key, value in collate([{"indices": [i]} for i in chosen]).items()
        }
        with torch.inference_mode():
            forward, _ = learned_forward(model, batch)
            nll_N = cross_entropy(forward.logits_NV, forward.labels_N, reduction="none")
        for place, index in enumerate(chosen):
            mine = forward.sample_N == place
            found[index] = float(nll_N[mine].mean()) if bool(mine.any()) else 0.0
    model.train(was_training)
    return found


def row_difficulties(samples: Sequence[float], rows: Sequence[Sequence[int]]) -> list[float]:
    """The mean difficulty of the samples of each row, for packed rows."""
    return [sum(samples[i] for i in row) / len(row) for row in rows]
