"""The bases of a release against those on this machine."""

from __future__ import annotations

from doyen_runtime.adapters import Adapter
from doyen_schemas import DoyenError


def check_bases(adapter: Adapter) -> dict[str, str]:
    """``verified`` or ``not on this machine`` by part. Raises RUN-018 for a base with other weights or tokenizer,
    MOD-003 for one whose files were changed."""
    return {part: _check(adapter, part) for part in adapter.release.bases}


def _check(adapter: Adapter, part: str) -> str:
    from doyen_modeling.base import base_path, verify
    from doyen_modeling.encoder import ENCODER_SOURCE, encoder_digests, encoder_folder

    source = adapter.release.bases[part].source
    try:
        _ = encoder_folder() if source == ENCODER_SOURCE else base_path(source)
    except DoyenError:
        return "not on this machine"
    if source == ENCODER_SOURCE:
        weights, tokenizer = encoder_digests()
    else:
        record = verify(source)
        weights, tokenizer = record.weights_sha256, record.tokenizer_sha256
    adapter.check_base(part, weights_sha256=weights, tokenizer_sha256=tokenizer)
    return "verified"
