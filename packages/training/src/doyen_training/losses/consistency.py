"""Logic consistency: what the model believes of statements must not break the rules that link them.

A statement is a record, its truth the probability of its last answer. A rule says that some statements imply another.
As in Li et al. 2019 (arXiv:1909.00126) a rule becomes a loss through the product t-norm: the premises hold together
with the product of their probabilities, and the conclusion must not be less likely than that. Symmetry is two rules,
transitivity one with two premises. No label is needed.

Shape suffixes: S statements of a pass, R rules of it, N learned positions.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from doyen_schemas import DoyenError
from doyen_training.losses.part import LossBase
from doyen_training.losses.term import Forward, Start, Term

if TYPE_CHECKING:
    from torch import Tensor

    from doyen_data import Record


class ConsistencyPart(LossBase):
    """``kind = "consistency"``: hold rules between the answers to statements.

    Attributes:
        statements: record file, relative to the data; the last answer of each is what is true or not.
        rules: JSON lines, ``{"if": [record ids], "then": record id}``.
        batch: rules at each forward pass; their statements are a pass of their own.
    """

    kind: Literal["consistency"]
    statements: Annotated[str, Field(min_length=1)]
    rules: Annotated[str, Field(min_length=1)]
    batch: Annotated[int, Field(ge=1, le=1024)] = 4

    def build(self, folder: Path) -> Term:
        """The term. Raises DAT-… for the statements and TRN-069 for the rules."""
        from doyen_data import read_records

        records = read_records(folder / self.statements)
        places = {record.id: place for place, record in enumerate(records)}
        return Consistency(records, read_rules(folder / self.rules, places), self.weight, self.batch)


class Rule(BaseModel):
    """A line of the rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    premises: Annotated[tuple[str, ...], Field(min_length=1, alias="if")]
    conclusion: Annotated[str, Field(alias="then")]


Places = tuple[tuple[int, ...], int]


def read_rules(file: Path, places: Mapping[str, int]) -> list[Places]:
    """The rules as numbers of statements: premises and conclusion. Raises TRN-069 with every wrong line and why."""
    rules: list[Places] = []
    problems: list[str] = []
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(file, f"cannot be read ({type(error).__name__})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            rule = Rule.model_validate_json(line)
        except ValidationError as error:
            problems.append(f"line {number}: {error.errors()[0]['msg']}")
            continue
        unknown = [name for name in (*rule.premises, rule.conclusion) if name not in places]
        if unknown:
            problems.append(f"line {number}: no statement has the id {unknown[0]!r}")
        else:
            rules.append((tuple(places[name] for name in rule.premises), places[rule.conclusion]))
    if problems:
        raise _wrong(file, f"has {len(problems)} wrong line(s): {'; '.join(problems[:20])}")
    if not rules:
        raise _wrong(file, "holds no rule")
    return rules


def _wrong(file: Path, what: str) -> DoyenError:
    return DoyenError(
        "TRN-069", f"{file.name} {what}.", 'A line is {"if": [ids of statements], "then": id of a statement}.'
    )


class Consistency(Term):
    """Mean violation of the rules, in nats, weighed like the learned tokens of the batch."""

    name = "consistency"

    def __init__(
        self, records: Sequence[Record], rules: Sequence[Places], weight: float = 1.0, batch: int = 4
    ) -> None:
        super().__init__(weight)
        self.records = list(records)
        self.rules = list(rules)
        self.batch = min(batch, len(self.rules))
        self._place = 0
        self._seed = 0
        self._round = -1
        self._order: list[int] = []  # of the round
        self._collate: Any = None
        self._seen = [0.0, 0, 0]  # nats, rules that are broken, rules

    def begin(self, start: Start) -> None:
        """Tokenise the statements. Raises TRN-003, TRN-004, TRN-005, TRN-023, TRN-041 and TRN-042."""
        from doyen_training.collate import Collator
        from doyen_training.masking import encode

        tokenizer = start.tokenizer
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        examples = encode(self.records, tokenizer, "last-turn")
        limit = start.max_length
        long = [e for e in examples if limit is not None and len(e.input_ids) > limit]
        if long:  # not cut, whatever data.truncation allows: the statement would be another one
            raise DoyenError(
                "TRN-004",
                f"{len(long)} of {len(examples)} statements exceed max_length = {limit} tokens "
                f"(longest {max(len(e.input_ids) for e in long)}; first: {', '.join(e.id for e in long[:3])}).",
                "Raise data.max_length or shorten the statements.",
            )
        self._collate = Collator(examples, pad)
        self._seed, self._round = start.seed, -1

    def loss(self, forward: Forward, count: Tensor | int) -> Tensor:
        """A pass over the statements of the next rules; their mean violation times N, divided by ``count``."""
        import torch

        from doyen_training.forward import learned_forward

        rules = [self._rule(self._place + i) for i in range(self.batch)]
        self._place += self.batch
        used = sorted({place for premises, conclusion in rules for place in (*premises, conclusion)})
        device = forward.inputs["input_ids"].device
        batch = {
            key: value.to(device) if isinstance(value, torch.Tensor) else value
            for key, value in self._collate([{"indices": [place]} for place in used]).items()
        }
        log_S = answer_logs(learned_forward(forward.model, batch)[0], len(used))
        row = {place: number for number, place in enumerate(used)}
        broken_R = torch.stack(
            [implication(log_S[[row[i] for i in premises]], log_S[row[then]]) for premises, then in rules]
        )
        found_R = broken_R.detach()
        self._seen[0] += float(found_R.sum())
        self._seen[1] += int((found_R > 0).sum())
        self._seen[2] += len(rules)
        return broken_R.mean() * len(forward.labels_N) / count

    def _rule(self, place: int) -> Places:
        """All rules once a round, each round in an order of its own."""
        number, step = divmod(place, len(self.rules))
        if number != self._round:
            self._round, self._order = number, list(range(len(self.rules)))
            random.Random(self._seed * 1_000_003 + number).shuffle(self._order)
        return self.rules[self._order[step]]

    def metrics(self) -> dict[str, float]:
        """``violation``: mean nats of a rule; ``broken``: the share of rules with a conclusion below its premises."""
        nats, broken, rules = self._seen
        self._seen = [0.0, 0, 0]
        return {"violation": nats / rules, "broken": broken / rules} if rules else {}

    def state_dict(self) -> dict[str, Any]:
        """The place in the rules."""
        return {"place": self._place}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._place = int(state["place"])


def answer_logs(forward: Forward, samples: int) -> Tensor:
    """The log-probability (S,) of each sample's learned tokens together, in nats."""
    from torch.nn.functional import cross_entropy

    nll_N = cross_entropy(forward.logits_NV, forward.labels_N, reduction="none")
    return -nll_N.new_zeros(samples).index_add(0, forward.sample_N, nll_N)


def implication(premises: Tensor, conclusion: Tensor) -> Tensor:
    """``max(0, Σ log p(premises) - log p(conclusion))``, from log-probabilities: zero where the rule holds."""
    return (premises.sum() - conclusion).clamp(min=0)
