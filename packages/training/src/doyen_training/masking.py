"""From records to token ids and labels: only what the assistant says is learned.

The chat template must mark the assistant's text (``{% generation %}``). Most templates do not, and then every
token would be masked, or none: so the marks are checked and the share of learned tokens is always reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from doyen_data import Record
from doyen_schemas import DoyenError
from doyen_training.falsehood import false_ranges, false_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED: Final = -100
Learn = Literal["assistant", "last-turn", "marked"]
# SmolLM2's template as its GGUF carries it, and the same text with the assistant's turn marked. The end-of-turn
# token is inside the mark: a model that is never taught to stop does not stop.
CHATML: Final = """\
{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""
CHATML_MARKED: Final = """\
{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
'}}{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""


@dataclass(frozen=True, slots=True)
class Example:
    """A tokenised record: ``labels`` equals ``input_ids`` where the token is learned, else -100.

    ``false`` are the positions of tokens in the learned turns that say something false; their labels are -100.
    """

    id: str
    input_ids: list[int]
    labels: list[int]
    false: tuple[int, ...] = ()

    @property
    def learned(self) -> int:
        """The number of tokens that count in the loss."""
        return sum(label != IGNORED for label in self.labels)


def training_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's chat template with the assistant's turns marked. Raises TRN-003 when there is none."""
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    template = tokenizer.chat_template
    if isinstance(template, str) and has_generation_markers(template):
        return template
    if isinstance(template, str) and template.strip() == CHATML.strip():
        return CHATML_MARKED
    try:
        marked = get_training_chat_template(tokenizer) if template else None
    except ValueError:
        marked = None
    if marked is None:
        raise DoyenError(
            "TRN-003",
            "the base's chat template does not mark the assistant's turns ({% generation %}), "
            "so the tokens to learn cannot be told from the rest.",
            "Add the marks to the tokenizer's chat_template.jinja, or choose a base that TRL has a template for.",
        )
    return marked


@dataclass(frozen=True, slots=True)
class Cut:
    """What ``max_length`` cut off: records shortened, records left without a learned token, learned tokens lost."""

    shortened: int
    dropped: int
    lost: int
    learned: int

    @property
    def share(self) -> float:
        """The share of the learned tokens that was lost."""
        return self.lost / self.learned if self.learned else 0.0


def tokenize(
    records: Sequence[Record],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    learn: Learn = "assistant",
    truncation: float = 0.0,
    figures: bool = False,
) -> list[Example]:
    """Token ids and labels of every record, at most ``max_length`` long: ``encode``, then ``fit``."""
    return fit(encode(records, tokenizer, learn, figures), max_length, truncation)[0]


def encode(
    records: Sequence[Record],
    tokenizer: PreTrainedTokenizerBase,
    learn: Learn = "assistant",
    figures: bool = False,
) -> list[Example]:
    """Token ids and labels of every record at its full length.

    ``learn`` chooses the turns: every assistant's, the last one's, or those marked with ``train``. Stretches of them
    that are marked as false, and with ``figures`` numbers that the questions do not hold, are not learned. Raises
    TRN-003 (template without marks), TRN-005 (a record with nothing to learn), TRN-023 (a false stretch is not in the
    rendered text), TRN-041 (turns are marked but the recipe does not say to learn marked turns) and TRN-042 (the
    template's marks do not fit the turns).
    """
    template = training_template(tokenizer)
    if learn != "marked":
        _no_marks(records, learn)
    examples = []
    for record in records:
        encoded: Any = tokenizer.apply_chat_template(
            _turns(record),
            chat_template=template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
            tokenizer_kwargs={"return_offsets_mapping": True},
        )
        ids = list(encoded["input_ids"])
        mask = whole = encoded["assistant_masks"]
        if learn != "assistant":
            mask = _chosen(record, mask, learn)
        false: tuple[int, ...] = ()
        if any(ranges := false_ranges(record, figures)):
            text = str(tokenizer.apply_chat_template(_turns(record), chat_template=template, tokenize=False))
            found = false_tokens(
                record, ranges, text, encoded["offset_mapping"], _stretches(record, whole, learn)
            )
            false = tuple(position for position in found if mask[position])
        labels = [token if learned else IGNORED for token, learned in zip(ids, mask, strict=True)]
        for position in false:
            labels[position] = IGNORED
        examples.append(Example(record.id, ids, labels, false))
    empty = [example.id for example in examples if example.learned == 0]
    if empty:
        raise DoyenError(
            "TRN-005",
            f"{len(empty)} of {len(examples)} records have no token to learn (first: {', '.join(empty[:3])}).",
            'Mark a turn with "train": true in each.'
            if learn == "marked"
            else "Check the {% generation %} marks of the chat template.",
        )
    return examples


def fit(examples: Sequence[Example], max_length: int, truncation: float) -> tuple[list[Example], Cut]:
    """Cut the ends off longer examples where no more than the share ``truncation`` of the learned tokens is lost.

    Raises TRN-004: a cut drops the answer's end, so the default share is 0.
    """
    long = [example for example in examples if len(example.input_ids) > max_length]
    learned = sum(example.learned for example in examples)
    short = [
        Example(
            e.id, e.input_ids[:max_length], e.labels[:max_length], tuple(i for i in e.false if i < max_length)
        )
        if len(e.input_ids) > max_length
        else e
        for e in examples
    ]
    kept = [example for example in short if example.learned]
    lost = learned - sum(example.learned for example in kept)
    cut = Cut(shortened=len(long), dropped=len(short) - len(kept), lost=lost, learned=learned)
    if long and (truncation == 0 or cut.share > truncation):
        raise DoyenError(
            "TRN-004",
            f"{len(long)} of {len(examples)} records exceed max_length = {max_length} tokens "
            f"(longest {max(len(e.input_ids) for e in long)}; first: {', '.join(e.id for e in long[:3])}); cutting "
            f"them would lose {cut.share:.1%} of the learned tokens, and data.truncation allows {truncation:.1%}.",
            "Raise data.max_length or shorten the records.",
        )
    return kept, cut


def check_vocabulary(tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    """Refuse a tokenizer with ids beyond the model's ``rows`` of embeddings: TRN-040."""
    top = max(tokenizer.get_vocab().values())
    if top >= rows:
        raise DoyenError(
            "TRN-040",
            f"the tokenizer's ids go up to {top}, but the base has {rows} rows of embeddings: it is another model's.",
            "Take tokenizer and weights from one checkpoint.",
        )


def _no_marks(records: Sequence[Record], learn: str) -> None:
    marked = [r.id for r in records if any(message.train is not None for message in r.messages)]
    if marked:
        raise DoyenError(
            "TRN-041",
            f"{len(marked)} of {len(records)} records mark turns with train (first: {', '.join(marked[:3])}), "
            f"but data.learn = {learn!r} would not look at the marks.",
            'Set data.learn = "marked", or take the marks out.',
        )


def _turns(record: Record) -> list[dict[str, str]]:
    return [message.turn for message in record.messages]


def _stretches(record: Record, mask: Sequence[int], learn: str) -> list[range]:
    """The tokens of each of the assistant's turns: the template marks one stretch for each, or it is TRN-042."""
    turns = [message for message in record.messages if message.role == "assistant"]
    starts = [i for i, on in enumerate(mask) if on and (i == 0 or not mask[i - 1])]
    if len(starts) != len(turns):
        raise DoyenError(
            "TRN-042",
            f"record {record.id} has {len(turns)} turns of the assistant, but the chat template marks {len(starts)}, "
            f"so data.learn = {learn!r} or a false stretch cannot choose among them.",
            'Use data.learn = "assistant" without false stretches, or mark each turn once in the template.',
        )
    ends = [next((i for i in range(start, len(mask)) if not mask[i]), len(mask)) for start in starts]
    return [range(start, end) for start, end in zip(starts, ends, strict=True)]


def _chosen(record: Record, mask: Sequence[int], learn: str) -> list[int]:
    """The mask of the chosen turns alone."""
    stretches = _stretches(record, mask, learn)
    turns = [message for message in record.messages if message.role == "assistant"]
    wanted = (
        [turn.train is True for turn in turns] if learn == "marked" else [False] * (len(turns) - 1) + [True]
    )
    chosen = [0] * len(mask)
    for stretch, take in zip(stretches, wanted, strict=True):
        if take:
            for position in stretch:
                chosen[position] = 1
    return chosen


def show_mask(example: Example, tokenizer: PreTrainedTokenizerBase, colour: bool = False) -> str:
    """The rendered record with the learned stretches between ⟦ and ⟧, or in green on a terminal."""
    before, after = ("\x1b[32m", "\x1b[0m") if colour else ("⟦", "⟧")
    return "".join(
        f"{before}{text}{after}" if learned else text for text, learned in stretches(example, tokenizer)
    )


def stretches(example: Example, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, bool]]:
    """The rendered record cut where learning begins and ends: text, and whether it is learned."""
    parts: list[tuple[str, bool]] = []
    start = 0
    count = len(example.labels)
    while start < count:
        learned = example.labels[start] != IGNORED
        end = start
        while end < count and (example.labels[end] != IGNORED) == learned:
            end += 1
        parts.append((str(tokenizer.decode(example.input_ids[start:end])), learned))
        start = end
    return parts
