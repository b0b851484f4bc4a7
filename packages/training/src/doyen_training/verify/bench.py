"""The bench that every trial works on: a small pre-trained model, clause records, a short training and two measures.

Shape suffixes: B rows, T tokens of a row, N learned positions, V vocabulary.
"""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from doyen_data import Record, sample
from doyen_training.masking import IGNORED, Example, tokenize
from doyen_training.verify.corpus import (
    Contract,
    Split,
    class_names,
    clause_records,
    in_split,
    read_contracts,
)
from doyen_training.verify.prepare import PREPARED, first_tokens, other_records, prepare, text_loss
from doyen_training.verify.rates import RATES

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from doyen_training.losses.term import Term
    from doyen_training.trainer import Trainer

BATCH: Final = 16
STEPS: Final = 120
TRAIN: Final = 512
DEV: Final = 440
MAX_LENGTH: Final = 192


Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Task:
    """Clause types to learn: tokenised training records, and records to measure on from other contracts.

    Attributes:
        split: where the training records were drawn from.
        train, dev_examples: tokenised records to learn from and to measure on.
        dev: the records behind ``dev_examples``.
    """

    split: Split
    train: list[Example]
    dev: list[Record]
    dev_examples: list[Example]


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
        self.first_token = first_tokens(self.tokenizer, labels)
        self._done: dict[Hashable, Any] = {}
        self._tokenised: dict[Record, Example] = {}
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
    def used_loss(self) -> float:
        """Loss of the model that is used on the text of ``dev_loss``, which was taken before the format stage."""
        found = text_loss(self._pretrained, self.tokenizer, self.contracts, self.prepared["recipe"])
        return round(found, 4)

    @cached_property
    def _records(self) -> dict[Split, list[Record]]:
        splits: tuple[Split, ...] = ("train", "dev", "fit", "hold")
        return {split: clause_records(self.contracts, self.classes, split) for split in splits}

    def model(self, seed: int) -> Any:
        """A fresh copy of the pre-trained causal LM, float32; torch is seeded for what a method adds to it."""
        import torch

        torch.manual_seed(seed)
        return copy.deepcopy(self._pretrained)

    def records(self, split: Split, count: int, seed: int) -> list[Record]:
        """``count`` records of a split drawn by ``seed``, fewer if there are fewer.

        Train and dev share no contract; fit and hold are the two parts of train and share none.
        """
        return sample(self._records[split], count, seed)

    def examples(self, records: Sequence[Record]) -> list[Example]:
        """Token ids, and labels at the answers only. Each record is tokenised once: the template is the slow part."""
        new = [record for record in dict.fromkeys(records) if record not in self._tokenised]
        if new:
            self._tokenised |= zip(new, tokenize(new, self.tokenizer, MAX_LENGTH), strict=True)
        return [self._tokenised[record] for record in records]

    def other_types(self) -> list[Example]:
        """Clauses of the train contracts with types that are not of the task."""
        return self.examples(other_records(self.contracts, self.tokenizer))

    def task(
        self,
        seed: int,
        train: int = TRAIN,
        dev: int = DEV,
        splits: tuple[Split, Split] = ("train", "dev"),
    ) -> Task:
        """The usual task with data drawn by ``seed``, measured on the shortest record first.

        Both arms of a trial should take the same.
        """
        held = self.records(splits[1], dev, seed)
        # Rows of like length together: half of a measuring pass would be padding.
        lengths = [len(example.input_ids) for example in self.examples(held)]
        held = [held[i] for i in sorted(range(len(held)), key=lengths.__getitem__)]
        return Task(
            split=splits[0],
            train=self.examples(self.records(splits[0], train, seed)),
            dev=held,
            dev_examples=self.examples(held),
        )

    def once(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """What ``work`` gives, done once for each ``key``: several trials have the same baseline."""
        if key not in self._done:
            self._done[key] = work()
        found: Value = self._done[key]
        return found

    def texts(self, split: Split) -> list[str]:
        """The contracts' running text."""
        return [contract.text for contract in self.contracts if in_split(contract, split)]

    def running_text(self, split: Split, count: int, length: int = 64) -> list[Example]:
        """``count`` windows of ``length`` tokens, spread over the contracts, of which every token is learned."""
        core: Any = self.tokenizer
        texts = self.texts(split)
        windows = []
        for number in range(count):
            text = texts[number % len(texts)]
            start = (number // len(texts)) * 8 * length % max(1, len(text) // 2)
            ids = core(text[start : start + 16 * length], add_special_tokens=False)["input_ids"][:length]
            windows.append(Example(f"text-{number}", list(ids), list(ids)))
        return windows

    def train(
        self,
        model: Any,
        examples: Sequence[Example],
        terms: Sequence[Term] | None = None,
        *,
        steps: int = STEPS,
        seed: int = 0,
        learning_rate: float = RATES["full"],
        parameters: Iterable[Tensor] | None = None,
        batch_size: int = BATCH,
        settings: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Trainer:
        """Train in place with the product's trainer: AdamW, a tenth of the steps warm-up, cosine, clipping at 1.0.

        ``terms`` is one cross-entropy unless given; ``parameters`` are those that require gradients unless given.
        ``settings`` are further fields of SFTConfig, ``options`` further arguments of Trainer. The order of the rows
        comes from ``seed``. Returns the trainer, whose ``state`` holds what was logged.
        """
        import torch
        from transformers import PrinterCallback
        from trl import SFTConfig

        from doyen_training.trainer import Trainer

        if parameters is not None:
            wanted = {id(parameter) for parameter in parameters}
            for parameter in model.parameters():
                parameter.requires_grad_(id(parameter) in wanted)
        torch.manual_seed(seed)
        with tempfile.TemporaryDirectory() as scratch:
            fields: dict[str, Any] = {
                "output_dir": scratch,
                "seed": seed,
                "data_seed": seed,
                "max_steps": steps,
                "per_device_train_batch_size": batch_size,
                "per_device_eval_batch_size": 2 * batch_size,
                "learning_rate": learning_rate,
                "lr_scheduler_type": "cosine",
                "warmup_steps": steps // 10,
                "train_sampling_strategy": "group_by_length",
                "gradient_checkpointing": False,
                "bf16": False,
                "use_cpu": True,
                "logging_steps": 10,
                "save_strategy": "no",
                "max_length": None,
                "disable_tqdm": True,
                "report_to": "none",
                "dataloader_pin_memory": False,
            }
            trainer = Trainer(
                model,
                SFTConfig(**fields | dict(settings or {})),
                self.tokenizer,
                examples,
                terms=list(terms or ()),
                **options,
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        model.eval()
        return trainer

    def nll(self, model: Any, examples: Sequence[Example]) -> float:
        """Mean negative log-likelihood of the learned tokens, in nats."""
        import torch

        total, count = 0.0, 0
        for batch in self.batches(examples):
            rows_N = _learned_rows(batch["labels"])
            logits_NV = _scores(model, batch, rows_N)
            labels_N = batch["labels"].flatten()[rows_N + 1]
            total += float(torch.nn.functional.cross_entropy(logits_NV, labels_N, reduction="sum"))
            count += len(labels_N)
        return total / count

    def accuracy(self, model: Any, records: Sequence[Record]) -> float:
        """Share of records whose answer is the likeliest of ``classes``, ranked by its first token."""
        found = self.predict(model, records)
        right = [record.messages[-1].content == name for record, name in zip(records, found, strict=True)]
        return sum(right) / len(right)

    def predict(self, model: Any, records: Sequence[Record]) -> list[str]:
        """The likeliest class for each record."""
        candidates = [self.first_token[name] for name in self.classes]
        found: list[str] = []
        for batch in self.batches(self.examples(records)):
            labels_BT = batch["labels"]
            first_B = (labels_BT != IGNORED).int().argmax(dim=1) - 1
            rows_B = first_B + labels_BT.shape[1] * first_B.new_tensor(range(len(labels_BT)))
            best_B = _scores(model, batch, rows_B)[:, candidates].argmax(dim=1)
            found += [self.classes[i] for i in best_B.tolist()]
        return found

    def batches(self, examples: Sequence[Example], size: int = 32) -> Iterator[dict[str, Any]]:
        """Batches of the product's collator, in order."""
        from doyen_training.collate import Collator

        collate = Collator(examples, pad_token_id=0)
        for start in range(0, len(examples), size):
            yield collate([{"indices": [i]} for i in range(start, min(start + size, len(examples)))])

    def summary(self) -> dict[str, Any]:
        """What the results rest on: the model's digest, size and losses, and the task's classes and majority share."""
        answers = Counter(record.messages[-1].content for record in self._records["dev"])
        kept = ("weights_sha256", "parameters", "dev_loss", "chance_loss")
        return {key: self.prepared[key] for key in kept} | {
            "used_loss": self.used_loss,
            "classes": len(self.classes),
            "majority": round(max(answers.values()) / answers.total(), 4),
            "train_records": len(self._records["train"]),
            "dev_records": answers.total(),
        }


def _learned_rows(labels_BT: Tensor) -> Tensor:
    """Numbers of the positions in the flattened (B, T) batch whose next token is learned."""
    import torch

    learned_BT = torch.zeros_like(labels_BT, dtype=torch.bool)
    learned_BT[:, :-1] = labels_BT[:, 1:] != IGNORED
    return learned_BT.flatten().nonzero().squeeze(1)


def _scores(model: Any, batch: Mapping[str, Any], rows_N: Tensor) -> Tensor:
    """Logits (N, V) at ``rows_N`` in evaluation mode, float32."""
    import torch

    from doyen_training.forward import score

    was_training = model.training
    model.eval()
    with torch.no_grad():
        logits_NV = score(model, {key: batch[key] for key in ("input_ids", "attention_mask")}, rows_N)[2]
    model.train(was_training)
    return logits_NV
