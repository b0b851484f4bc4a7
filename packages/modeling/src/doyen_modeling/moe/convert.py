"""Write a changed checkpoint, and prove on what was written that its output is the base's."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from doyen_modeling.base import load_base
from doyen_schemas import DoyenError

# The largest difference of logits over the largest logit. Half precision rounds every layer's sum of experts.
TOLERANCE: Final = {"float32": 1e-5, "bfloat16": 5e-2, "float16": 5e-3}


def convert(
    source: str,
    out: Path,
    change: Callable[[Any], Any],
    dtype: str = "float32",
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Load ``source``, ``change`` its model and write a checkpoint to ``out``, which appears in one rename.

    Raises MOD-001 to MOD-003, MOD-056 and MOD-057 (see ``change``), MOD-058 when ``out`` exists, MOD-059 when the
    checkpoint on disk does not give the base's output.
    """
    if out.exists():
        raise DoyenError("MOD-058", f"{out} exists already.", "Choose another --out, or remove it.")
    report(f"loading {source}")
    base = load_base(source, dtype)
    before = probe_logits(base.model)
    changed = change(base.model)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        folder = Path(scratch) / "checkpoint"
        report("writing")
        changed.save_pretrained(folder)
        base.tokenizer.save_pretrained(folder)
        base = changed = None  # type: ignore[assignment] # one model in memory at a time
        gc.collect()
        report("comparing what was written with the base")
        written = load_base(f"path:{folder}", dtype)
        difference = float(
            (probe_logits(written.model) - before).abs().max() / before.abs().max().clamp_min(1e-6)
        )
        if not difference <= TOLERANCE[dtype]:
            raise DoyenError(
                "MOD-059",
                f"the new model's logits differ from the base's by {difference:.1e} of the largest, more than "
                f"{TOLERANCE[dtype]:.0e}.",
                "Convert in float32, or report the base.",
            )
        made = {
            "out": str(out),
            "base": source,
            "architecture": type(written.model).__name__,
            "parameters": sum(p.numel() for p in written.model.parameters()),
            "active": active_parameters(written.model),
            "difference": difference,
            "weights_sha256": written.ref.weights_sha256,
        }
        folder.rename(out)
    return made


def probe_logits(model: Any, tokens: int = 64, seed: int = 17) -> Any:
    """Float32 logits on fixed random tokens."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, model.config.vocab_size, (2, tokens // 2), generator=generator)
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits.float()


def active_parameters(model: Any) -> int:
    """Parameters that one token passes through: all but the experts that are not chosen."""
    from doyen_modeling.moe.layers import FUSED, expert_count, expert_modules

    total = sum(p.numel() for p in model.parameters())
    top_k = model.config.num_experts_per_tok
    for module in expert_modules(model).values():
        fused = sum(getattr(module, name).numel() for name in FUSED)
        total -= fused * (expert_count(module) - top_k) // expert_count(module)
    return int(total)
