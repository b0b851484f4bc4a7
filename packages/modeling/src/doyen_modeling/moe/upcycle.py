"""Dense → mixture of experts, and more experts for a mixture: the output is the same at the start.

Sparse upcycling (Komatsuzaki et al. 2023): every expert of a layer is a copy of its dense feed-forward, and gate values
that sum to 1 give the dense output back. Llama and Mistral become Mixtral, Qwen2 becomes Qwen2-MoE (normalised top-k,
silent shared expert), Qwen3 becomes Qwen3-MoE: released architectures, so any server reads the checkpoint.

Shape suffixes: E experts, I width of an expert, H width of the model.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from doyen_modeling.moe.layers import FUSED, expert_modules, routers
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch import Tensor

TARGETS: Final = {"llama": "mixtral", "mistral": "mixtral", "qwen2": "qwen2_moe", "qwen3": "qwen3_moe"}
# What a configuration says about the dense feed-forward or its own identity, and its target says anew.
_OWN: Final = {
    "model_type",
    "architectures",
    "intermediate_size",
    "mlp_bias",
    "attention_bias",
    "pretraining_tp",
}
# A shared expert that Qwen2-MoE cannot leave out: two channels whose way back is zero.
_SILENT: Final = 2
ROUTER_STD: Final = 0.02


def upcycle(model: Any, experts: int, top_k: int, seed: int = 17) -> Any:
    """A mixture of ``experts`` copies of each feed-forward of the dense ``model``, ``top_k`` of them per token.

    Routers are drawn from N(0, 0.02²), so tokens spread from the first step. Raises MOD-056 for an architecture
    without a counterpart and MOD-057 unless 1 ≤ ``top_k`` ≤ ``experts`` and ``experts`` ≥ 2.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = upcycled_config(model.config, experts, top_k)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        result = AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    state = {name: tensor for name, tensor in model.state_dict().items() if ".mlp." not in name}
    missing, unexpected = result.load_state_dict(state, strict=False)
    foreign = [name for name in missing if ".mlp." not in name]
    if unexpected or foreign:
        raise DoyenError(
            "MOD-056",
            f"{len(unexpected) + len(foreign)} tensors of this {model.config.model_type} model have no place in "
            f"{config.model_type}, the first is {(*unexpected, *foreign)[0]}.",
            "Upcycle a checkpoint without additions to its architecture.",
        )
    generator = torch.Generator().manual_seed(seed)
    dense = model.get_decoder().layers
    with torch.no_grad():
        for layer, module in expert_modules(result).items():
            mlp = dense[layer].mlp
            gate_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])
            module.gate_up_proj.copy_(gate_up.expand(experts, -1, -1))  # type: ignore[operator]
            module.down_proj.copy_(mlp.down_proj.weight.expand(experts, -1, -1))  # type: ignore[operator]
        for layer, router in routers(result).items():
            drawn = torch.randn(router.weight.shape, generator=generator) * ROUTER_STD  # type: ignore[arg-type]
            router.weight.copy_(drawn)  # type: ignore[operator]
            shared = getattr(result.get_decoder().layers[layer].mlp, "shared_expert", None)
            if shared is not None:
                shared.down_proj.weight.zero_()
    result.generation_config = copy.deepcopy(model.generation_config)
    return result.eval()


def upcycled_config(config: Any, experts: int, top_k: int) -> Any:
    """The configuration of the mixture. Raises MOD-056 and MOD-057."""
    from transformers import AutoConfig

    if not 1 <= top_k <= experts or experts < 2:
        raise DoyenError(
            "MOD-057",
            f"{experts} experts with {top_k} a token; at least 2 experts are needed, and 1 to all of them a token.",
            "For example --experts 8 --top-k 2.",
        )
    target = TARGETS.get(config.model_type)
    biased = getattr(config, "mlp_bias", False) or getattr(config, "attention_bias", False)
    if target is None or biased:
        raise DoyenError(
            "MOD-056",
            f"a {config.model_type} model{' with biases' if biased else ''} has no mixture of experts to become.",
            f"Dense models that have one: {', '.join(TARGETS)}.",
        )
    shared = {key: value for key, value in config.to_dict().items() if key not in _OWN}
    shared |= {"num_experts_per_tok": top_k, "output_router_logits": False}
    width = config.intermediate_size
    if target == "mixtral":
        shared |= {"num_local_experts": experts, "intermediate_size": width}
        shared |= {
            "head_dim": getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        }
        if config.model_type == "llama":
            shared["sliding_window"] = None
    else:
        shared |= {"num_experts": experts, "moe_intermediate_size": width, "intermediate_size": width}
        shared |= {"norm_topk_prob": True, "mlp_only_layers": [], "decoder_sparse_step": 1}
        if target == "qwen2_moe":
            shared |= {"shared_expert_intermediate_size": _SILENT, "qkv_bias": True}
    return AutoConfig.for_model(target, **shared)


def replicate(model: Any, copies: int, noise: float = 0.01, seed: int = 17) -> Any:
    """The mixture with every expert ``copies`` times and as many choices more per token; the same output.

    Equal router rows tie, so all copies of a chosen expert are chosen and share its gate value. To let copies part in
    training, the ways back differ by ``noise`` (relative, random) that sums to zero over the copies. Raises MOD-056
    for routers in groups and MOD-057 for fewer than two copies.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(model.config)
    if copies < 2 or not 0 <= noise < 1:
        raise DoyenError(
            "MOD-057",
            f"{copies} copies with noise {noise}; at least 2 copies, and noise from 0 to below 1.",
            "For example --copies 2.",
        )
    if (getattr(config, "n_group", None) or 1) > 1:
        raise DoyenError(
            "MOD-056",
            f"the routers of this {config.model_type} model choose within {config.n_group} groups of experts.",
            "Copies would change the groups; extend its shared expert instead: --shared.",
        )
    for key in ("num_experts", "num_local_experts", "n_routed_experts"):
        if isinstance(getattr(config, key, None), int):
            setattr(config, key, getattr(model.config, key) * copies)
    config.num_experts_per_tok *= copies
    if config.model_type == "deepseek_v3" and not config.norm_topk_prob:
        config.routed_scaling_factor /= copies  # its gate values are sigmoids, which copies do not share
    state = dict(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if name.endswith(
            (".mlp.gate.weight", ".mlp.gate.e_score_correction_bias", *(f".experts.{f}" for f in FUSED))
        ):
            state[name] = tensor.repeat_interleave(copies, dim=0)
        if name.endswith(".experts.down_proj") and noise:
            state[name] += _cancelling(tensor, copies, noise, generator)
    result = AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    result.load_state_dict(state)
    result.generation_config = copy.deepcopy(model.generation_config)
    return result.eval()


def _cancelling(weight_EHI: Tensor, copies: int, noise: float, generator: Any) -> Tensor:
    """Noise for each copy, (E·copies, H, I), that sums to zero over the copies of an expert."""
    import torch

    drawn = torch.randn(len(weight_EHI), copies, *weight_EHI.shape[1:], generator=generator)
    drawn -= drawn.mean(1, keepdim=True)
    scale = noise * weight_EHI.float().square().mean((1, 2)).sqrt()[:, None, None, None]
    return (drawn * scale).flatten(0, 1).to(weight_EHI)


def widen_shared(model: Any, width: int, seed: int = 17) -> Any:
    """The mixture with a shared expert wider by ``width`` channels whose way back is zero; the same output.

    Every token passes through them and they learn from the first step, so this adds an expert that is always on.
    Raises MOD-056 for an architecture without shared experts and MOD-057 unless the width fits.
    """
    import torch
    from transformers import AutoModelForCausalLM

    config = copy.deepcopy(model.config)
    unit = 1
    if hasattr(config, "shared_expert_intermediate_size"):
        config.shared_expert_intermediate_size += width
    elif getattr(config, "n_shared_experts", None):
        unit = config.moe_intermediate_size  # DeepSeek counts shared experts of the routed experts' width
        config.n_shared_experts += width // unit
    else:
        raise DoyenError(
            "MOD-056",
            f"{config.model_type} has no shared expert that could be widened.",
            "Add routed experts instead: --copies.",
        )
    if width < 1 or width % unit:
        raise DoyenError(
            "MOD-057",
            f"the shared expert cannot grow by {width} channels; this model takes multiples of {unit}.",
            f"For example --shared {unit}.",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        result = AutoModelForCausalLM.from_config(config, dtype=model.dtype)
    fresh, state = result.state_dict(), dict(model.state_dict())
    for name, tensor in state.items():
        if fresh[name].shape != tensor.shape:
            grown = (
                fresh[name].clone()
                if not name.endswith("down_proj.weight")
                else torch.zeros_like(fresh[name])
            )
            grown[tuple(slice(size) for size in tensor.shape)] = tensor
            state[name] = grown
    result.load_state_dict(state)
    result.generation_config = copy.deepcopy(model.generation_config)
    return result.eval()
