"""A teacher's answers, computed once and kept: for each learned token the k likeliest tokens and the mass of the rest.

A folder holds ``teacher.json`` (what was asked, of whom, digests) and shards ``rows-NNNNN.safetensors`` of
``SHARD`` samples each. Log-probabilities are those at temperature 1, so that a loss may apply any. A killed run goes
on with the shards that are whole.

Shape suffixes: N learned tokens, K cached tokens of each, V vocabulary.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch import Tensor

    from doyen_modeling.base import LoadedBase
    from doyen_training.masking import Example

META: Final = "teacher.json"
SHARD: Final = 256
HINT: Final = "Run doyen train teacher with this recipe again."


class TeacherCache:
    """A finished cache, read row by row from memory-mapped shards.

    Raises TRN-060 when ``folder`` holds none or it is not finished.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self.meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
            wanted = {name: digest for name, digest in self.meta["shards"].items()}
            self.counts: list[int] = list(self.meta["counts"])
            missing = [name for name in wanted if not (folder / name).is_file()]
            if missing or len(wanted) != -(-len(self.counts) // SHARD):
                raise ValueError(
                    f"{len(wanted) - len(missing)} of {-(-len(self.counts) // SHARD)} shards are there"
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DoyenError(
                "TRN-060", f"{folder} holds no finished cache of a teacher ({_short(error)}).", HINT
            ) from error
        self.folder = folder
        self._open: dict[int, Any] = {}

    @property
    def alignment(self) -> str:
        """``tokens`` where teacher and student share a tokenizer, ``text`` where rows are aligned by their text."""
        return str(self.meta["key"]["alignment"])

    def check(self, examples: Sequence[Example], tokenizer: Any) -> None:
        """Raises TRN-061 unless the cache is of these samples and of this tokenizer, TRN-060 for a changed shard."""
        found = {
            "examples_sha256": examples_digest(examples),
            "tokenizer_sha256": tokenizer_digest(tokenizer),
        }
        for what, digest in found.items():
            if self.meta["key"][what] != digest:
                raise DoyenError(
                    "TRN-061",
                    f"{self.folder} was made for {what} {self.meta['key'][what][:12]}, this run has {digest[:12]}.",
                    HINT,
                )
        for name, digest in self.meta["shards"].items():
            if _sha256(self.folder / name) != digest:
                raise DoyenError("TRN-060", f"{self.folder / name} was changed since it was written.", HINT)

    def check_teacher(self, source: str, adapter_sha256: str, top: int) -> None:
        """Raises TRN-061 unless the answers are those that a recipe asks for: whose they are, and how many a token."""
        key = self.meta["key"]
        # A teacher with fewer tokens than ``top`` gives all of them.
        kept = min(top, int(self.meta.get("vocabulary", key["k"])))
        wanted = {"teacher": source, "adapter": adapter_sha256[:12], "top": kept}
        found = {
            "teacher": key["teacher"]["source"], "adapter": key["teacher"]["adapter_sha256"][:12], "top": key["k"],
        }  # fmt: skip
        for what, value in wanted.items():
            if found[what] != value:
                raise DoyenError(
                    "TRN-061",
                    f"{self.folder} was made with {what} {found[what] or 'none'}, the recipe asks for {value or 'none'}.",
                    "Choose another cache folder in the recipe and run doyen train teacher, or correct the recipe.",
                )

    def rows(self, index: int) -> dict[str, Tensor]:
        """Sample ``index``: ``tokens`` int32 and ``top`` float16 (n, K), ``tail`` and ``gold`` float32 (n,); by text also
        ``aligned`` (n,). ``top`` falls from left to right, ``gold`` is the log-probability of the label.
        """
        from safetensors import safe_open

        shard, first = index // SHARD, index // SHARD * SHARD
        if shard not in self._open:
            self._open[shard] = safe_open(self.folder / _name(shard), framework="pt")
        file = self._open[shard]
        start = sum(self.counts[first:index])
        end = start + self.counts[index]
        return {key: file.get_slice(key)[start:end] for key in file.keys()}  # noqa: SIM118 (no mapping)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}


def cache_teacher(
    teacher: LoadedBase,
    examples: Sequence[Example],
    tokenizer: Any,
    out: Path,
    *,
    k: int = 64,
    batch_size: int = 8,
    adapter_sha256: str = "",
    own: Sequence[Example] = (),
    device: str | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Ask ``teacher`` at every learned token of ``examples``, which ``tokenizer`` (the student's) made.

    ``own`` are the same records in the teacher's own tokens; they are needed where its tokenizer differs, and rows are
    then aligned by their text (see ``align``). Returns the content of ``teacher.json``. Raises TRN-061 when ``out``
    holds the cache of something else, TRN-062 when the two tokenizations cannot be aligned.
    """
    import torch

    from doyen_training.collate import learned_tokens
    from doyen_training.distillation.align import aligned_rows

    same = tokenizer_digest(tokenizer) == tokenizer_digest(teacher.tokenizer)
    if not same and len(own) != len(examples):
        raise DoyenError(
            "TRN-062",
            f"the teacher's tokenizer is another one, and {len(own)} of {len(examples)} samples are in its tokens.",
            "Tokenise the same records with the teacher's tokenizer, without cutting any.",
        )
    asked = examples if same else own
    k = min(k, len(teacher.tokenizer))
    key = {
        "alignment": "tokens" if same else "text",
        "k": k,
        "examples_sha256": examples_digest(examples),
        "asked_sha256": examples_digest(asked),
        "tokenizer_sha256": tokenizer_digest(tokenizer),
        "teacher": teacher.ref.model_dump() | {"adapter_sha256": adapter_sha256},
    }
    counts = [learned_tokens(example) for example in examples]
    meta: dict[str, Any] = {"schema_version": "1", "key": key, "counts": counts, "shards": {}}
    meta["vocabulary"] = len(teacher.tokenizer)
    meta["shards"] = _whole_shards(out, key)
    out.mkdir(parents=True, exist_ok=True)
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model: Any = teacher.model
    model.to(place).eval()
    pad = teacher.tokenizer.pad_token_id or 0
    for shard in range(-(-len(examples) // SHARD)):
        if _name(shard) in meta["shards"]:
            continue
        part = range(shard * SHARD, min((shard + 1) * SHARD, len(examples)))
        rows = _ask(model, [asked[i] for i in part], pad, k, len(teacher.tokenizer), batch_size)
        if not same:
            pairs = [aligned_rows(examples[i], tokenizer, own[i], teacher.tokenizer) for i in part]
            rows = [_move(row, pair) for row, pair in zip(rows, pairs, strict=True)]
        meta["shards"][_name(shard)] = _write_shard(out / _name(shard), rows)
        _write_meta(out, meta)
        report(f"{part.stop} of {len(examples)} samples")
    return meta


def examples_digest(examples: Sequence[Example]) -> str:
    """sha256 over token ids and labels, in their order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.input_ids, example.labels]).encode())
    return digest.hexdigest()


def tokenizer_digest(tokenizer: Any) -> str:
    """sha256 over the vocabulary: equal where each id means the same token, whatever the embedding is padded to."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.get_vocab().items())).encode()).hexdigest()


def top_rows(logits_NV: Tensor, labels_N: Tensor, k: int) -> dict[str, Tensor]:
    """The rows of a cache from logits: the k likeliest tokens, their log-probabilities, the tail's, the label's."""
    import torch

    logp_NV = logits_NV.float().log_softmax(-1)
    top_NK, tokens_NK = logp_NV.topk(k, dim=-1)
    tail_N = logp_NV.scatter(1, tokens_NK, -torch.inf).logsumexp(-1)
    return {
        "tokens": tokens_NK.int().cpu(),
        "top": top_NK.half().cpu(),
        "tail": tail_N.clamp(min=-1e4).cpu(),
        "gold": logp_NV.gather(1, labels_N[:, None]).squeeze(1).cpu(),
    }


def _ask(
    model: Any, examples: Sequence[Example], pad: int, k: int, vocabulary: int, batch_size: int
) -> list[dict[str, Tensor]]:
    """The rows of each sample. Ids beyond the tokenizer's vocabulary are padding of the embedding and left out."""
    import torch

    from doyen_training.collate import Collator
    from doyen_training.forward import learned_forward

    collate = Collator(examples, pad)
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].input_ids))
    found: list[dict[str, Tensor]] = [{}] * len(examples)
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        batch = {
            key: value.to(model.device) if isinstance(value, torch.Tensor) else value
            for key, value in collate([{"indices": [i]} for i in chosen]).items()
        }
        with torch.inference_mode():
            forward, _ = learned_forward(model, batch)
            rows = top_rows(forward.logits_NV[:, :vocabulary], forward.labels_N, k)
        for place, index in enumerate(chosen):
            mine = (forward.sample_N == place).cpu()
            found[index] = {key: value[mine] for key, value in rows.items()}
    return found


def _move(rows: dict[str, Tensor], pairs: Sequence[int]) -> dict[str, Tensor]:
    """The teacher's rows at the student's positions: ``pairs`` gives for each the teacher's row, or -1."""
    import torch

    places = torch.tensor(pairs, dtype=torch.long)
    aligned = places >= 0
    moved = {key: value[places.clamp(min=0)] for key, value in rows.items()}
    return moved | {"aligned": aligned}


def _write_shard(file: Path, rows: Sequence[dict[str, Tensor]]) -> str:
    """Write beside, rename, and return the digest."""
    import torch
    from safetensors.torch import save_file

    scratch = file.with_name(file.name + ".part")
    save_file({key: torch.cat([row[key] for row in rows]).contiguous() for key in rows[0]}, scratch)
    os.replace(scratch, file)
    return _sha256(file)


def _write_meta(out: Path, meta: dict[str, Any]) -> None:
    scratch = out / (META + ".part")
    scratch.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    os.replace(scratch, out / META)


def _whole_shards(out: Path, key: dict[str, Any]) -> dict[str, str]:
    """The shards of an earlier run that are whole. Raises TRN-061 when they answer another question."""
    if not (out / META).is_file():
        return {}
    before = json.loads((out / META).read_text(encoding="utf-8"))
    changed = [name for name in key if before["key"].get(name) != key[name]]
    if changed:
        raise DoyenError(
            "TRN-061",
            f"{out} holds a teacher's answers with another {', '.join(changed)}.",
            "Choose another cache folder in the recipe, or remove this one.",
        )
    return {
        name: digest
        for name, digest in before["shards"].items()
        if (out / name).is_file() and _sha256(out / name) == digest
    }


def _name(shard: int) -> str:
    return f"rows-{shard:05d}.safetensors"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _short(error: Exception) -> str:
    return str(error) if type(error) is ValueError else type(error).__name__
