"""Progressive unfreezing (Howard & Ruder 2018): layers are opened to training in stages.

With bottleneck adapters, which do nothing until they are trained, this is their staged activation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import TrainerCallback

_LAYER: Final = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.")
_EMBEDDING: Final = re.compile(r"\.(?:embed_tokens|embed_in|wte|word_embeddings)\.")


class UnfreezingPart(BaseModel):
    """The ``[unfreezing]`` table.

    Attributes:
        every: steps from one stage to the next.
        groups: the layers that have trainable parameters are cut into so many groups of equal size.
        order: ``top-down`` opens the layers next to the output first, as in the article; ``bottom-up`` the others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: Annotated[int, Field(ge=1)]
    groups: Annotated[int, Field(ge=2)] = 4
    order: Literal["top-down", "bottom-up"] = "top-down"

    def stage(self, step: int) -> int:
        """The stage of the step after ``step`` finished ones: groups 0 … stage are open."""
        return min(step // self.every, self.groups - 1)

    def callback(self, note: Callable[..., None] | None = None) -> TrainerCallback:
        """What opens the groups during a run. ``note(kind, step, text, **facts)`` is told of each stage."""
        from doyen_training.unfreezing_callback import Unfreezing

        return Unfreezing(self, note)


def group_names(part: UnfreezingPart, names: Iterable[str]) -> list[list[str]]:
    """The trainable parameters' names by group.

    Input embeddings belong to the lowest layers; whatever else stands outside the layers (last norm, output layer)
    is open from the start. Raises TRN-070 with fewer layers than groups.
    """
    names = list(names)
    numbers = sorted({int(match[1]) for name in names if (match := _LAYER.search(name))})
    if len(numbers) < part.groups:
        raise DoyenError(
            "TRN-070",
            f"unfreezing.groups = {part.groups}, but {len(numbers)} layer(s) have trainable parameters.",
            "Ask for fewer groups, or tune with a method that has parameters in every layer.",
        )
    ordered = numbers[::-1] if part.order == "top-down" else numbers
    group_of = {number: i * part.groups // len(ordered) for i, number in enumerate(ordered)}
    groups: list[list[str]] = [[] for _ in range(part.groups)]
    for name in names:
        if match := _LAYER.search(name):
            groups[group_of[int(match[1])]].append(name)
        else:
            groups[group_of[numbers[0]] if _EMBEDDING.search(name) else 0].append(name)
    return groups


def check_steps(part: UnfreezingPart, steps: int) -> None:
    """Raise TRN-070 when a run of ``steps`` ends before the last group is open."""
    last = part.every * (part.groups - 1)
    if steps <= last:
        raise DoyenError(
            "TRN-070",
            f"the last of {part.groups} groups would open after step {last}, but the run has {steps} step(s).",
            "Choose a smaller unfreezing.every or fewer groups, or a longer run.",
        )
