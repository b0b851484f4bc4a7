"""Loss terms: each a class over the one forward pass of a step; a recipe lists them in order.

```toml
[[loss]]
kind = "cross-entropy"

[[loss]]
kind = "distillation"
teacher = "hub:Qwen/Qwen2.5-7B-Instruct@…"
gate = 4.0
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from doyen_training.losses.attention import AttentionPart
from doyen_training.losses.consistency import ConsistencyPart
from doyen_training.losses.cross_entropy import CrossEntropyPart
from doyen_training.losses.distillation import DistillationPart
from doyen_training.losses.factuality import FactualityPart
from doyen_training.losses.on_policy import OnPolicyPart
from doyen_training.losses.pgd import PgdPart
from doyen_training.losses.router import RouterPart
from doyen_training.losses.term import Forward, Start, Term

# What a ``[[loss]]`` table may be.
LossPart = Annotated[
    CrossEntropyPart
    | DistillationPart
    | AttentionPart
    | OnPolicyPart
    | PgdPart
    | RouterPart
    | FactualityPart
    | ConsistencyPart,
    Field(discriminator="kind"),
]


def build(part: LossPart, folder: Path) -> Term:
    """The term of a ``[[loss]]`` table. ``folder`` is what the paths of the recipe are relative to.

    Raises TRN-060 and TRN-061 when the cache of a teacher is absent or damaged, TRN-069 for rules that are wrong,
    MOD-… for a teacher in memory.
    """
    return part.build(folder)


__all__ = [
    "AttentionPart",
    "ConsistencyPart",
    "CrossEntropyPart",
    "DistillationPart",
    "FactualityPart",
    "Forward",
    "LossPart",
    "OnPolicyPart",
    "PgdPart",
    "RouterPart",
    "Start",
    "Term",
    "build",
]
