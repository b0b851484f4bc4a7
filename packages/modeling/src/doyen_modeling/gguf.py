"""One-time conversion of a GGUF file into a plain safetensors checkpoint.

transformers dequantises GGUF itself, but in Python and at every load (20 to 45 s for 135M parameters); the
converted copy loads in a second and gives the same numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from doyen_schemas import DoyenError


def dequantise(gguf: Path, folder: Path) -> None:
    """Write model (float32) and tokenizer of ``gguf`` to ``folder``. Raises MOD-006 when it cannot be read."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source: dict[str, Any] = {
        "pretrained_model_name_or_path": str(gguf.parent),
        "gguf_file": gguf.name,
        "local_files_only": True,
    }
    try:
        with (
            quiet(),
            redirect_stderr(io.StringIO()),
        ):  # the converter's own progress bar cannot be switched off
            tokenizer = AutoTokenizer.from_pretrained(**source)
            model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    except Exception as error:  # the reader raises anything from struct.error to KeyError on a damaged file
        raise DoyenError(
            "MOD-006",
            f"{gguf.name} cannot be read as a GGUF model ({type(error).__name__}); "
            "the architecture and quantisation must be ones that transformers dequantises.",
            "Fetch the file again, or name a source with safetensors weights.",
        ) from error
    # Left as they are, both make save_pretrained treat the now dense weights as quantised, and refuse.
    model.hf_quantizer = None  # type: ignore[assignment]
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.config._name_or_path = gguf.stem
    tokenizer.model_max_length = model.config.max_position_embeddings
    with quiet():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars: they take seconds at most, and clutter logs."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if bars:
            logging.enable_progress_bar()
