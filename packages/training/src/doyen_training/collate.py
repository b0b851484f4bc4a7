"""Rows and batches: one sample a row, or several packed into a row without seeing each other.

Shape suffixes: B rows, T tokens of a row, N learned positions of the batch in row-major order, S samples.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Sampler

from doyen_schemas import DoyenError
from doyen_training.losses.term import Term
from doyen_training.masking import IGNORED, Example


def learned_tokens(example: Example) -> int:
    """The rows of a token column: labels behind the first token, which nothing predicts."""
    return sum(label != IGNORED for label in example.labels[1:])


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Put samples of ``lengths`` tokens into rows of at most ``capacity``: best fit, longest first.

    Returns the samples of each row in ascending order, the rows by their first sample. A sample longer than
    ``capacity`` has a row of its own. Best-fit decreasing packing keeps samples whole (Ding et al. 2024,
    arXiv:2404.10830).
    """
    rows: list[list[int]] = []
    space: list[tuple[int, int]] = []  # (tokens left, row), ascending
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        place = bisect.bisect_left(space, (lengths[index], -1))
        if place < len(space):
            left, row = space.pop(place)
            rows[row].append(index)
        else:
            left, row = max(capacity, lengths[index]), len(rows)
            rows.append([index])
        bisect.insort(space, (left - lengths[index], row))
    return sorted((sorted(row) for row in rows), key=lambda row: row[0])


def rows(examples: Sequence[Example], pack_to: int | None) -> list[list[int]]:
    """The samples of each row: one, or as many as ``pack_to`` tokens hold."""
    if pack_to is None:
        return [[index] for index in range(len(examples))]
    return pack([len(example.input_ids) for example in examples], pack_to)


class Collator:
    """Rows of sample numbers to tensors.

    A batch holds ``input_ids`` and ``labels`` (B, T); ``attention_mask`` (B, T), or ``position_ids`` (B, T) when rows
    are packed: transformers keeps packed samples apart only where the mask is absent and the positions start anew.
    ``sample`` (B, T) numbers the samples of the batch, ``index`` (S,) says which examples they are, ``tokens`` counts
    what is not padding, ``columns`` holds the terms' columns, and ``false`` (B, T), where a term asks, the false tokens. With ``flat`` the rows of a packed batch are joined
    to one, as FlashAttention wants them.

    Only the first ``training`` examples have columns: the rest are for evaluation. Raises TRN-022 when a token column
    does not have one row for each learned token.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        pad_token_id: int,
        terms: Sequence[Term] = (),
        *,
        training: int | None = None,
        packed: bool = False,
        flat: bool = False,
    ) -> None:
        self.examples = examples
        self.pad_token_id = pad_token_id
        self.terms = terms
        self.training = len(examples) if training is None else training
        self.packed = packed
        self.flat = packed and flat

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Join ``rows``, each with ``indices``: the numbers of its samples."""
        packs: list[list[int]] = [list(row["indices"]) for row in rows]
        if self.flat:
            packs = [[index for indices in packs for index in indices]]
        width = max(sum(len(self.examples[i].input_ids) for i in indices) for indices in packs)
        shape = (len(packs), width)
        ids_BT = torch.full(shape, self.pad_token_id)
        labels_BT = torch.full(shape, IGNORED)
        # Padding behind packed samples is one more sample: its positions start anew, so nothing sees it.
        positions_BT = torch.arange(width).repeat(len(packs), 1)
        mask_BT = torch.zeros(shape, dtype=torch.long)
        sample_BT = torch.full(shape, -1)
        false_BT = torch.zeros(shape, dtype=torch.bool)
        order: list[int] = []
        for row, indices in enumerate(packs):
            end = 0
            for index in indices:
                start, end = end, end + len(self.examples[index].input_ids)
                ids_BT[row, start:end] = torch.tensor(self.examples[index].input_ids)
                labels_BT[row, start:end] = torch.tensor(self.examples[index].labels)
                positions_BT[row, start:end] = torch.arange(end - start)
                sample_BT[row, start:end] = len(order)
                false_BT[row, [start + place for place in self.examples[index].false]] = True
                # Nothing of its own sample predicts the first token.
                labels_BT[row, start] = IGNORED
                false_BT[row, start] = False
                order.append(index)
            positions_BT[row, end:] = torch.arange(width - end)
            mask_BT[row, :end] = 1
        batch: dict[str, Any] = {"input_ids": ids_BT, "labels": labels_BT, "sample": sample_BT}
        batch |= {"position_ids": positions_BT} if self.packed else {"attention_mask": mask_BT}
        batch |= {"index": torch.tensor(order), "tokens": int(mask_BT.sum())}
        if all(index < self.training for index in order):
            if any(term.falsehoods for term in self.terms):
                batch["false"] = false_BT
            batch["columns"] = self._columns(order)
        return batch

    def _columns(self, order: Sequence[int]) -> dict[str, Tensor]:
        columns: dict[str, Tensor] = {}
        for term in self.terms:
            tokens = [self._checked(term, index) for index in order]
            samples = [term.sample_columns(index) for index in order]
            for name in tokens[0]:
                columns[name] = torch.cat([column[name] for column in tokens])
            for name in samples[0]:
                columns[name] = torch.stack([column[name] for column in samples])
        return columns

    def _checked(self, term: Term, index: int) -> Mapping[str, Tensor]:
        columns = term.token_columns(index)
        wanted = learned_tokens(self.examples[index])
        for name, column in columns.items():
            if len(column) != wanted:
                raise DoyenError(
                    "TRN-022",
                    f"{name} of {term.name} has {len(column)} rows for record {self.examples[index].id}, "
                    f"which learns {wanted} tokens.",
                    "Compute the term's data anew from these records.",
                )
        return columns


class GroupedByLength(Sampler[int]):
    """Rows of like length together, shuffled by seed and epoch alone.

    transformers' LengthGroupedSampler draws from the global generator, so that a run resumed in its second epoch sees
    another order than one that was not stopped.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self.lengths = list(lengths)
        self.batch = batch
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        from transformers.trainer_pt_utils import get_length_grouped_indices

        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch, generator=generator))
