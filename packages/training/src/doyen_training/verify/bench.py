"""The bench that every trial works on: a small pre-trained model, clause records, a short training and two measures.

Shape suffixes: B rows, T tokens of a row, N learned positions, V vocabulary, D width.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_data import Record, sample
from doyen_training.masking import IGNORED, Example, tokenize
from doyen_training.verify.corpus import Contract, Split, class_names, clause_records, read_contracts
from doyen_training.verify.prepare import PREPARED, prepare

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from doyen_training.losses.term import Term

BATCH: Final = 16
MAX_LENGTH: Final = 192


class Bench:
    """Model, tokenizer, records, training and measures, all seeded and on the CPU.

    Attributes:
        folder: the model's folder; ``source`` names it as a base.
        tokenizer: its tokenizer, whose chat template marks the answers.
        classes: the answers of the task, which differ in their first token.
    """

    def __init__(self, data: Path | None, report: Callable[[str], None] = lambda _: None) -> None:
        """Read the contracts and prepare or load the model. Raises TRN-090 and TRN-091 (see ``read_contracts``)."""
        from transformers import AutoTokenizer

        self.contracts: list[Contract] = read_contracts(data)
        assert data is not None
        self.folder = prepare(self.contracts, hashlib.sha256(data.read_bytes()).hexdigest(), report=report)
        self.prepared: dict[str, Any] = json.loads((self.folder / PREPARED).read_text(encoding="utf-8"))
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            self.folder, local_files_only=True
        )
        labels = {clause.label for contract in self.contracts for clause in contract.clauses}
        self.first_token = {label: self._encode(label)[0] for label in labels}
        self.classes = class_names(self.contracts, self.first_token)

    @property
    def source(self) -> str:
        """The model as a base that ``doyen_modeling.base.load_base`` takes."""
        return f"path:{self.folder}"

    @cached_property
    def _pretrained(self) -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(self.folder, local_files_only=True, use_safetensors=True)

    @cached_property
    def _records(self) -> dict[Split, list[Record]]:
        return {
            "train": clause_records(self.contracts, self.classes, "train"),
            "dev": clause_records(self.contracts, self.classes, "dev"),
        }

    def model(self, seed: int) -> Any:
        """A fresh copy of the pre-trained causal LM, float32; torch is seeded for what a method adds to it."""
        import torch

        torch.manual_seed(seed)
        return copy.deepcopy(self._pretrained)

    def records(self, split: Split, count: int, seed: int) -> list[Record]:
        """``count`` records of a split drawn by ``seed``, fewer if there are fewer. Train and dev share no contract."""
        return sample(self._records[split], count, seed)

    def examples(self, records: Sequence[Record]) -> list[Example]:
        """Token ids, and labels at the answers only."""
        return tokenize(records, self.tokenizer, MAX_LENGTH)

    def texts(self, split: Split) -> list[str]:
        """The contracts' running text."""
        from doyen_training.verify.corpus import split_of

        return [contract.text for contract in self.contracts if split_of(contract) == split]

    def train(
        self,
        model: Any,
        examples: Sequence[Example],
        terms: Sequence[Term] | None = None,
        *,
        steps: int = 60,
        seed: int = 0,
        learning_rate: float = 1e-3,
        parameters: Iterable[Tensor] | None = None,
        batch_size: int = BATCH,
    ) -> None:
        """Train in place with AdamW, warm-up, cosine and clipping at 1.0; the order of the rows comes from ``seed``.

        ``terms`` is one cross-entropy unless given; ``parameters`` are those that require gradients unless given.
        """
        from doyen_training.verify.loop import fit

        fit(
            model,
            examples,
            self.tokenizer,
            terms=terms,
            steps=steps,
            seed=seed,
            learning_rate=learning_rate,
            parameters=parameters,
            batch_size=batch_size,
        )

    def nll(self, model: Any, examples: Sequence[Example]) -> float:
        """Mean negative log-likelihood of the learned tokens, in nats."""
        import torch

        total, count = 0.0, 0
        for rows in _batches(examples):
            logits_BTV, labels_BT = self._logits(model, rows)
            kept = labels_BT != IGNORED
            total += float(
                torch.nn.functional.cross_entropy(
                    logits_BTV[kept].float(), labels_BT[kept], reduction="sum"
                ).double()
            )
            count += int(kept.sum())
        return total / count

    def accuracy(self, model: Any, records: Sequence[Record]) -> float:
        """Share of records whose answer is the likeliest of ``classes``, ranked by its first token."""
        hits = sum(
            g == p
            for g, p in zip(
                (r.messages[-1].content for r in records), self.predict(model, records), strict=True
            )
        )
        return hits / len(records)

    def predict(self, model: Any, records: Sequence[Record]) -> list[str]:
        """The likeliest class for each record."""
        candidates = [self.first_token[name] for name in self.classes]
        found = []
        for rows in _batches(self.examples(records)):
            logits_BTV, labels_BT = self._logits(model, rows)
            first_B = (labels_BT != IGNORED).int().argmax(dim=1)
            for row, first in enumerate(first_B.tolist()):
                found.append(self.classes[int(logits_BTV[row, first, candidates].argmax())])
        return found

    def _logits(self, model: Any, rows: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, T-1, V) in evaluation mode, and the labels they are to predict (B, T-1)."""
        import torch

        inputs = pad(rows, pad_token=0)
        was_training = model.training
        model.eval()
        with torch.no_grad():
            logits_BTV = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).logits
        model.train(was_training)
        labels_BT = inputs["labels"][:, 1:]
        # Virtual tokens of a soft prompt stand before the row's own.
        return logits_BTV[:, -inputs["labels"].shape[1] : -1], labels_BT

    def _encode(self, text: str) -> list[int]:
        core: Any = self.tokenizer
        return list(core(text, add_special_tokens=False)["input_ids"])


def pad(rows: Sequence[Example], pad_token: int) -> dict[str, torch.Tensor]:
    """``input_ids``, ``attention_mask`` and ``labels`` (B, T), padded on the right."""
    import torch

    longest = max(len(row.input_ids) for row in rows)
    return {
        "input_ids": torch.tensor([r.input_ids + [pad_token] * (longest - len(r.input_ids)) for r in rows]),
        "attention_mask": torch.tensor(
            [[1] * len(r.input_ids) + [0] * (longest - len(r.input_ids)) for r in rows]
        ),
        "labels": torch.tensor([r.labels + [IGNORED] * (longest - len(r.labels)) for r in rows]),
    }


def _batches(examples: Sequence[Example], size: int = 32) -> list[list[Example]]:
    """Rows in their order, ``size`` at a time."""
    return [list(examples[start : start + size]) for start in range(0, len(examples), size)]
