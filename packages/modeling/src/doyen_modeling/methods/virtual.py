"""The modules of prefix and prompt tuning, hooked into the inner decoder.

B rows, T tokens, V virtual tokens, H key-value heads, K head width, D width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from doyen_schemas import DoyenError

# The positional order of every decoder's forward, of which a hook sees what was given.
_NAMES = ("input_ids", "attention_mask", "position_ids", "past_key_values", "inputs_embeds")


class VirtualPrefix(nn.Module):
    """Keys and values (H, V, K) for each layer."""

    def __init__(self, keys: list[Tensor], values: list[Tensor]) -> None:
        super().__init__()
        self.keys = nn.ParameterList(keys)
        self.values = nn.ParameterList(values)
        self.length = keys[0].shape[1]

    def fill(self, cache: Any, rows: int, dtype: torch.dtype) -> None:
        """Write the prefix into an empty cache, once for each row."""
        for layer, (key_HVK, value_HVK) in enumerate(zip(self.keys, self.values, strict=True)):
            cache.update(
                key_HVK.to(dtype).expand(rows, -1, -1, -1),
                value_HVK.to(dtype).expand(rows, -1, -1, -1),
                layer,
            )


class VirtualPrompt(nn.Module):
    """Embeddings (V, D)."""

    def __init__(self, embeddings_VD: Tensor) -> None:
        super().__init__()
        self.embeddings = nn.Parameter(embeddings_VD)
        self.length = embeddings_VD.shape[0]
        self.inside = False  # whether the running pass has the prompt in it


def add_prefix(model: Any, tokens: int, init: str, seed: int) -> None:
    """Hang a ``VirtualPrefix`` into the decoder of ``model``."""
    decoder = model.base_model
    generator = torch.Generator().manual_seed(seed)
    ids_BV = _draw(model, tokens, generator)[None]
    cache = DynamicCache(config=model.config)
    training = model.training
    with torch.no_grad():
        decoder.eval()(input_ids=ids_BV, past_key_values=cache, use_cache=True)
    decoder.train(training)
    layers: list[Any] = cache.layers
    keys = [layer.keys[0].float().clone() for layer in layers]
    values = [layer.values[0].float().clone() for layer in layers]
    if init == "random":
        for tensor in (*keys, *values):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.02)
    decoder.virtual_prefix = VirtualPrefix(keys, values)
    decoder.register_forward_pre_hook(_prepend_prefix, with_kwargs=True)


def add_prompt(model: Any, tokens: int, init: str, seed: int) -> None:
    """Hang a ``VirtualPrompt`` into the decoder of ``model``."""
    decoder = model.base_model
    generator = torch.Generator().manual_seed(seed)
    table_XD = model.get_input_embeddings().weight.detach()
    start_VD = table_XD[_draw(model, tokens, generator)].float().clone()
    if init == "random":
        start_VD.copy_(torch.randn(start_VD.shape, generator=generator) * table_XD.float().std())
    decoder.virtual_prompt = VirtualPrompt(start_VD)
    decoder.register_forward_pre_hook(_prepend_prompt, with_kwargs=True)
    decoder.register_forward_hook(_cut_prompt)


def _draw(model: Any, tokens: int, generator: torch.Generator) -> Tensor:
    table = model.get_input_embeddings().weight
    return torch.randint(table.shape[0], (tokens,), generator=generator).to(table.device)


def _prepend_prefix(
    decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    given = dict(zip(_NAMES, args, strict=False)) | kwargs
    prefix = decoder.virtual_prefix
    if decoder.training and getattr(decoder, "gradient_checkpointing", False):
        raise DoyenError(
            "MOD-045",
            "prefix tuning does not work with gradient checkpointing: a layer computed twice loses the prefix.",
            "Set run.gradient_checkpointing = false, or tune with prompt or lora.",
        )
    cache = given.get("past_key_values")
    if cache is None:
        cache = DynamicCache(config=decoder.config)
    rows, tokens = _shape(given)
    if cache.get_seq_length() == 0:
        prefix.fill(cache, rows, decoder.get_input_embeddings().weight.dtype)
    _shift(given, prefix.length, rows, tokens, "prefix")
    return (), given | {"past_key_values": cache}


def _prepend_prompt(
    decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    given = dict(zip(_NAMES, args, strict=False)) | kwargs
    prompt = decoder.virtual_prompt
    rows, tokens = _shape(given)
    cache = given.get("past_key_values")
    _shift(given, prompt.length, rows, tokens, "prompt")
    prompt.inside = cache is None or cache.get_seq_length() == 0
    if prompt.inside:
        own_BTD = given.get("inputs_embeds")
        if own_BTD is None:
            own_BTD = decoder.get_input_embeddings()(given["input_ids"])
        prompt_BVD = prompt.embeddings.to(own_BTD).expand(rows, -1, -1)
        given |= {"input_ids": None, "inputs_embeds": torch.cat([prompt_BVD, own_BTD], dim=1)}
        if given.get("position_ids") is not None:
            first = torch.arange(prompt.length, device=own_BTD.device).expand(rows, -1)
            given["position_ids"] = torch.cat([first, given["position_ids"].expand(rows, -1)], dim=1)
    return (), given


def _cut_prompt(decoder: Any, _: Any, output: Any) -> Any:
    prompt = decoder.virtual_prompt
    if not prompt.inside:
        return output
    prompt.inside = False
    output.last_hidden_state = output.last_hidden_state[:, prompt.length :]
    if output.get("hidden_states") is not None:
        output.hidden_states = tuple(states[:, prompt.length :] for states in output.hidden_states)
    if (
        output.get("attentions") is not None
    ):  # rows of the input only; the columns keep the prompt, as with a prefix
        output.attentions = tuple(weights[:, :, prompt.length :] for weights in output.attentions)
    return output


def _shape(given: dict[str, Any]) -> tuple[int, int]:
    tensor = given["input_ids"] if given.get("input_ids") is not None else given["inputs_embeds"]
    return tensor.shape[0], tensor.shape[1]


def _shift(given: dict[str, Any], length: int, rows: int, tokens: int, kind: str) -> None:
    """Make room for the virtual tokens in mask (B, T) and positions (B, T)."""
    mask, positions = given.get("attention_mask"), given.get("position_ids")
    if mask is not None and mask.ndim != 2:
        raise DoyenError(
            "MOD-045",
            f"{kind} tuning needs a mask of shape (rows, tokens), not one with {mask.ndim} dimensions.",
            "Leave out cache_implementation = 'static' and masks of your own.",
        )
    if mask is None and positions is not None and tokens > 1 and bool((positions.diff(dim=-1) != 1).any()):
        raise DoyenError(
            "MOD-045",
            f"{kind} tuning does not work on packed rows: the samples of a row would see each other.",
            "Set data.packing = false.",
        )
    if mask is not None:
        given["attention_mask"] = torch.cat([mask.new_ones(rows, length), mask], dim=1)
    if positions is not None:
        given["position_ids"] = positions + length
