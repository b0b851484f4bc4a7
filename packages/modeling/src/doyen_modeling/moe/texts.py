"""The text that scores are measured on: JSON lines with ``messages`` (a conversation) or ``text``."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_HINT: Final = 'A line is {"messages": [{"role", "content"}, …]} or {"text": "…"}; other keys are ignored.'


def read_samples(file: Path) -> list[Any]:
    """The conversations and texts of a file, gzipped or not. Raises MOD-051 with the number of a wrong line."""
    if not file.is_file():
        raise DoyenError("MOD-051", f"record file not found: {file}.", _HINT)
    with file.open("rb") as probe:
        zipped = probe.read(2) == b"\x1f\x8b"
    samples = []
    try:
        with gzip.open(file, "rt", encoding="utf-8") if zipped else file.open(encoding="utf-8") as lines:
            samples = [_sample(line, number) for number, line in enumerate(lines, start=1) if line.strip()]
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise DoyenError(
            "MOD-051", f"{file.name} cannot be read as UTF-8 text ({type(error).__name__}).", _HINT
        ) from error
    if not samples:
        raise DoyenError("MOD-051", f"{file.name} holds no record.", _HINT)
    return samples


def _sample(line: str, number: int) -> Any:
    try:
        content = json.loads(line)
        if "messages" not in content:
            return str(content["text"])
        return [{"role": str(turn["role"]), "content": str(turn["content"])} for turn in content["messages"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DoyenError(
            "MOD-051", f"line {number} is no conversation or text ({type(error).__name__}).", _HINT
        ) from error


def sample_tokens(
    samples: list[Any], tokenizer: PreTrainedTokenizerBase, *, limit: int, max_length: int, seed: int
) -> Iterator[list[int]]:
    """Token ids of samples in a random order, cut to ``max_length``, until ``limit`` tokens have been given.

    A conversation goes through the chat template, answers included; without a template its contents are joined.
    """
    order = random.Random(seed).sample(samples, len(samples))
    given = 0
    for sample in order:
        if given >= limit:
            return
        ids = _encode(sample, tokenizer)[:max_length]
        given += len(ids)
        yield ids


def _encode(sample: Any, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    if isinstance(sample, str):
        return list(tokenizer(sample)["input_ids"])
    if tokenizer.chat_template is None:
        return list(tokenizer("\n\n".join(turn["content"] for turn in sample))["input_ids"])
    encoded: Any = tokenizer.apply_chat_template(sample, tokenize=True, return_dict=True)
    return list(encoded["input_ids"])
