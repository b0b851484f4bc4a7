"""Every method of the union runs the same suite on a two-layer Llama: 32 wide, 2 of 4 heads for keys and values."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch

from doyen_modeling.methods import IA3, Bottleneck, Full, Lora, Masked, Method, Prefix, Prompt
from doyen_testkit.methods import IDS, MethodConformance

# m + n of the seven matrices of a layer: q, k, v, o, gate, up, down.
SIDES = (32 + 32) + (16 + 32) + (16 + 32) + (32 + 32) + 3 * (64 + 32)
LAYERS = 2


class TestLora(MethodConformance):
    method = Lora(rank=2)
    trainable = LAYERS * 2 * SIDES


class TestLoraDoraRankStabilised(MethodConformance):
    """DoRA adds one magnitude for each output channel."""

    method = Lora(rank=2, dora=True, rslora=True, targets=("q_proj", "down_proj"))
    trainable = LAYERS * (2 * (32 + 32) + 32 + 2 * (64 + 32) + 32)


class TestLoraPissa(MethodConformance):
    method = Lora(rank=2, init="pissa")
    trainable = LAYERS * 2 * SIDES
    start_tolerance = 1e-5
    keeps_base = False


class TestIA3(MethodConformance):
    """PEFT's map of Llama: keys, values and the feed-forward's inner channels."""

    method = IA3()
    trainable = LAYERS * (16 + 16 + 64)


class StartsBehindTokens(MethodConformance):
    """At the start the virtual tokens are real ones."""

    def start_logits(self, base: Any, attached: Any) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.method.seed)  # type: ignore[attr-defined]
        drawn = torch.randint(320, (3,), generator=generator).expand(2, -1)
        with torch.no_grad():
            logits: torch.Tensor = base(input_ids=torch.cat([drawn, IDS], dim=1)).logits[:, 3:]
        return logits


class TestPrefix(StartsBehindTokens):
    method = Prefix(tokens=3)
    trainable = LAYERS * 2 * 3 * 2 * 8  # keys and values, 3 tokens, 2 heads of 8
    start_tolerance = 1e-6


class TestPrompt(StartsBehindTokens):
    method = Prompt(tokens=3)
    trainable = 3 * 32
    start_tolerance = 1e-6


class TestBottleneck(MethodConformance):
    method = Bottleneck(rank=4)
    trainable = LAYERS * 2 * (2 * 32 * 4 + 4 + 32)


class TestBottleneckFeedforwardOnly(MethodConformance):
    method = Bottleneck(rank=3, sites=("feedforward",))
    trainable = LAYERS * (2 * 32 * 3 + 3 + 32)


class TestFull(MethodConformance):
    method = Full()
    trainable = 320 * 32 + LAYERS * (32 * 32 * 2 + 16 * 32 * 2 + 3 * 64 * 32 + 2 * 32) + 32


class TestFullOneLayer(MethodConformance):
    method = Full(parameters=("model.layers.1.*",))
    trainable = 32 * 32 * 2 + 16 * 32 * 2 + 3 * 64 * 32 + 2 * 32


class TestMasked(MethodConformance):
    """As many weights as a LoRA of the rank has."""

    method = Masked(rank=2)
    trainable = LAYERS * 2 * SIDES


def test_every_kind_of_the_union_is_tested() -> None:
    """qlora needs a GPU for the suite; experts and router need a mixture, and run it in their own file."""
    kinds = {part.model_fields["kind"].default for part in get_args(get_args(Method)[0])}
    tested = {
        value.method.kind
        for value in globals().values()
        if isinstance(value, type) and hasattr(value, "method")
    }
    assert kinds - tested <= {"qlora", "experts", "router"}


@pytest.mark.parametrize("kind", ["adalora", "prefix-tuning"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    from pydantic import TypeAdapter

    with pytest.raises(ValueError, match="kind"):
        TypeAdapter(Method).validate_python({"kind": kind})
