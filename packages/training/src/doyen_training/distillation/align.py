"""Positions at which two tokenizers have read the same text.

A model's distribution over the next token can be compared with another's only where both have seen the same text so
far: at the borders of tokens that the two tokenizations share (aligned prefixes, as in TRL's GOLD).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from doyen_schemas import DoyenError
from doyen_training.masking import IGNORED

if TYPE_CHECKING:
    from doyen_training.masking import Example


def aligned_rows(
    student: Example, student_tokenizer: Any, teacher: Example, teacher_tokenizer: Any
) -> list[int]:
    """For each learned token of ``student`` the number of the teacher's learned token with the same text before, or -1.

    The text is compared within each learned stretch (an answer), so the two chat templates may differ. Raises TRN-062
    when the numbers of stretches differ.
    """
    ours, theirs = _stretches(student), _stretches(teacher)
    if len(ours) != len(theirs):
        raise DoyenError(
            "TRN-062",
            f"record {student.id} has {len(ours)} learned stretches in the student's tokens and {len(theirs)} in the "
            "teacher's.",
            "Both chat templates must mark every turn of the assistant once.",
        )
    pairs: list[int] = []
    before = 0
    for mine, other in zip(ours, theirs, strict=True):
        places: dict[str, int] = {}
        for number, prefix in enumerate(_prefixes(other, teacher_tokenizer)):
            places.setdefault(prefix, before + number)
        seen: set[str] = set()
        for prefix in _prefixes(mine, student_tokenizer):
            # A character may be cut between tokens; control tokens add no text, only the first of them is compared.
            fits = prefix not in seen and not prefix.endswith("\ufffd")
            pairs.append(places.get(prefix, -1) if fits else -1)
            seen.add(prefix)
        before += len(other)
    return pairs


def _stretches(example: Example) -> list[list[int]]:
    """Runs of learned tokens; the first token of a sample is predicted by nothing."""
    runs: list[list[int]] = []
    inside = False
    for label in example.labels[1:]:
        if label == IGNORED:
            inside = False
            continue
        if not inside:
            runs.append([])
        runs[-1].append(label)
        inside = True
    return runs


def _prefixes(ids: list[int], tokenizer: Any) -> list[str]:
    """The text before each token."""
    return [str(tokenizer.decode(ids[:end], skip_special_tokens=True)) for end in range(len(ids))]
