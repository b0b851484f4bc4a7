"""Tiny models built from nothing: real architectures with a few thousand weights, no download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIAL: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CORPUS: Final = (
    "This agreement is governed by the laws of the State of New York.",
    "Either party may terminate this agreement upon thirty (30) days written notice.",
    "Neither party may assign this agreement without the prior written consent of the other party. NONE",
)


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """A byte-level BPE of 320 tokens trained on three sentences, with SmolLM2's control tokens (ids 0, 1, 2)."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        unk_token=SPECIAL[0],
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[2],
        model_max_length=512,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def tiny_llama(folder: Path, seed: int = 0) -> Path:
    """Write a two-layer Llama (32 wide, grouped-query attention, tied) with ``tiny_tokenizer`` to ``folder``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=512,
                tie_word_embeddings=True,
                bos_token_id=1,
                eos_token_id=2,
                pad_token_id=2,
            )
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


MOE_FAMILIES: Final = ("qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3", "mixtral")


def tiny_moe(
    folder: Path, family: str = "qwen2_moe", seed: int = 0, experts: int = 8, top_k: int = 2
) -> Path:
    """Write a two-layer mixture of experts of one of ``MOE_FAMILIES`` with ``tiny_tokenizer`` to ``folder``.

    DeepSeek's first layer is dense, as in the released models.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tiny_tokenizer()
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "num_experts_per_tok": top_k,
        "initializer_range": 0.2,
    }  # fmt: skip
    if family.startswith("deepseek"):
        shape |= {
            "n_routed_experts": experts, "moe_intermediate_size": 16, "n_shared_experts": 1, "first_k_dense_replace": 1,
            "n_group": 1, "topk_group": 1, "q_lora_rank": None, "kv_lora_rank": 8, "qk_rope_head_dim": 8,
            "qk_nope_head_dim": 8, "v_head_dim": 8, "num_key_value_heads": 4,
        }  # fmt: skip
    elif family == "mixtral":
        shape |= {"num_local_experts": experts, "intermediate_size": 16}
    else:
        shape |= {"num_experts": experts, "moe_intermediate_size": 16}
        shape |= {"shared_expert_intermediate_size": 16} if family == "qwen2_moe" else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape))  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            if name.endswith("mlp.gate.weight"):  # transformers leaves some routers at zero: all ties
                torch.nn.init.normal_(parameter)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_gguf(file: Path, seed: int = 0) -> Path:
    """Write the model of ``tiny_llama`` as a GGUF file with Q4_1 matrices, as llama.cpp lays it out."""
    import tempfile

    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    with tempfile.TemporaryDirectory() as folder:
        state = load_file(tiny_llama(Path(folder), seed) / "model.safetensors")
    tokenizer = tiny_tokenizer()
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_name("tiny")
    writer.add_vocab_size(len(tokenizer))
    writer.add_context_length(512)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(8)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([str(tokenizer.convert_ids_to_tokens(i)) for i in range(len(tokenizer))])
    writer.add_token_types([3 if i < len(SPECIAL) else 1 for i in range(len(tokenizer))])
    writer.add_token_merges(_merges(tokenizer))
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(CHAT_TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, tensor in state.items():
        target = names.get_name(name, try_suffixes=(".weight",)) or name
        data = tensor.astype(np.float32)
        heads = 4 if "q_proj" in name else 2 if "k_proj" in name else 0
        if heads:  # llama.cpp interleaves the two halves of the rotary dimensions
            data = data.reshape(heads, 2, -1, data.shape[1]).swapaxes(1, 2).reshape(data.shape)
        if data.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(target, gguf.quants.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(target, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _merges(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    import json

    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    return [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
