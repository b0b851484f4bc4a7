"""How many bytes a training needs, from the model's configuration alone: nothing is loaded, nothing is downloaded.

The weights exist on the meta device only, so a model of any size is counted in seconds. What the formula cannot know
(the allocator, the attention kernel, fragmentation) is measured by ``doyen train --dry-run`` on one real step.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from doyen_schemas import DoyenError

Kind = Literal["full", "lora", "qlora"]
FLOAT32: Final = 4
BFLOAT16: Final = 2
# NF4 with doubly quantised scales: 4.127 bits a weight (Dettmers et al. 2023, section 3).
NF4: Final = 4.127 / 8
# AdamW keeps two moments a trained parameter, in float32.
MOMENTS: Final = 2 * FLOAT32


@dataclass(frozen=True, slots=True)
class Shape:
    """What a training's memory follows from.

    Attributes:
        model_type: the architecture, as transformers names it.
        parameters: all weights; ``linear`` those of the linear layers but the output layer, as (inputs, outputs).
        per_rank: what LoRA on all of them adds for a rank of one.
        experts: weights in routed experts, which are one fused tensor a layer and no linear layers.
        width, layers, vocabulary, positions: of the decoder; ``positions`` is the longest input, 0 if not stated.
        saved: elements that one token of one layer keeps for the backward pass.
    """

    model_type: str
    parameters: int
    linear: tuple[tuple[int, int], ...]
    per_rank: int
    experts: int
    width: int
    layers: int
    vocabulary: int
    positions: int
    saved: int

    def trainable(self, kind: Kind, rank: int = 0) -> int:
        """The trained parameters: all, or what LoRA adds to the linear layers and routed experts at this rank."""
        return self.parameters if kind == "full" else rank * self.per_rank


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes of a training step at its peak."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def as_dict(self) -> dict[str, int]:
        """The parts and their sum."""
        return asdict(self) | {"total": self.total}


def read_config(path: Path) -> Any:
    """A model's ``config.json``. Raises TRN-050 when it is none that transformers knows."""
    from transformers import AutoConfig

    try:
        json.loads(path.read_text(encoding="utf-8"))
        return AutoConfig.from_pretrained(str(path), local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise DoyenError(
            "TRN-050",
            f"{path} is no configuration of a model that transformers knows ({type(error).__name__}).",
            "Give the config.json of a causal language model.",
        ) from error


def shape_of(config: Any) -> Shape:
    """Build the model of ``config`` on the meta device and count. Raises TRN-050 when it is no causal model."""
    import torch
    from torch import nn
    from transformers import AutoModelForCausalLM

    from doyen_modeling.methods import Lora, attach

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DoyenError(
            "TRN-050",
            f"no causal language model can be built from the configuration of a {config.model_type} model "
            f"({type(error).__name__}).",
            "Give the config.json of a causal language model.",
        ) from error
    head = model.get_output_embeddings()
    linear = tuple(
        (module.in_features, module.out_features)
        for module in model.modules()
        if isinstance(module, nn.Linear) and module is not head
    )
    experts = sum(p.numel() for name, p in model.named_parameters() if ".experts." in name and p.dim() == 3)
    parameters = sum(p.numel() for p in model.parameters())
    text = config.get_text_config()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about patterns for other architectures
        adapted = attach(model, Lora(rank=1, alpha=1))
    return Shape(
        model_type=config.model_type,
        parameters=parameters,
        linear=linear,
        per_rank=sum(p.numel() for p in adapted.parameters() if p.requires_grad),
        experts=experts,
        width=text.hidden_size,
        layers=text.num_hidden_layers,
        vocabulary=text.vocab_size,
        positions=int(getattr(text, "max_position_embeddings", 0) or 0),
        saved=_saved(text, linear, experts),
    )


def step_bytes(
    shape: Shape,
    kind: Kind,
    *,
    trained: int,
    batch: int,
    length: int,
    learned: float,
    checkpointing: bool,
    narrow: bool,
) -> Bytes:
    """Bytes of a step on ``batch`` rows of ``length`` tokens, of which the share ``learned`` reaches the output layer.

    ``trained`` parameters are trained beside frozen weights, or are the weights themselves (``full``).
    ``narrow`` computes in bfloat16. Frozen weights are then loaded in bfloat16 too; trained ones stay in float32.
    """
    frozen = shape.parameters if kind != "full" else 0
    wide = BFLOAT16 if narrow else FLOAT32
    if kind == "qlora":
        quantised = sum(i * o for i, o in shape.linear)
        weights = quantised * NF4 + (frozen - quantised) * BFLOAT16 + trained * FLOAT32
    else:
        weights = frozen * wide + trained * FLOAT32
    tokens = batch * length
    layer = shape.saved * wide
    kept = shape.layers * shape.width * wide + layer if checkpointing else shape.layers * layer
    # Logits in float32, their log-softmax and its gradient, where a token is learned.
    scored = 3 * FLOAT32 * learned * shape.vocabulary
    return Bytes(
        weights=round(weights),
        gradients=trained * FLOAT32,
        optimizer=trained * MOMENTS,
        activations=round(tokens * (kept + scored)),
    )


def _saved(config: Any, linear: tuple[tuple[int, int], ...], experts: int) -> int:
    """Elements that a token keeps in a layer: the inputs and outputs of its linear layers, norms and gates.

    Counted, not fitted: each linear layer keeps its input (for its own gradient or its adapter's) and its output
    (for what follows); a gated feed-forward also keeps the activated gate and the product; two norms keep their input
    in float32 and the normalised states.
    """
    layers = config.num_hidden_layers
    through = sum(i + o for i, o in linear) // max(layers, 1)
    inner = int(getattr(config, "intermediate_size", 0) or 0)
    if experts:
        chosen = int(getattr(config, "num_experts_per_tok", 0) or 0)
        moe = int(getattr(config, "moe_intermediate_size", inner) or inner)
        through += chosen * (2 * config.hidden_size + 3 * moe)
        inner = chosen * moe
    return int(through + 2 * inner + 6 * config.hidden_size)
