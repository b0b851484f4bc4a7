"""From records to token ids and labels: only what the assistant says is learned.

The chat template must mark the assistant's text (``{% generation %}``). Most templates do not, and then every
token would be masked, or none: so the marks are checked and the share of learned tokens is always reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from doyen_data import Record
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED: Final = -100
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
    """A tokenised record: ``labels`` equals ``input_ids`` where the token is learned, else -100."""

    id: str
    input_ids: list[int]
    labels: list[int]

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


def tokenize(records: Sequence[Record], tokenizer: PreTrainedTokenizerBase, max_length: int) -> list[Example]:
    """Token ids and labels of every record.

    Raises TRN-003 (template without marks), TRN-004 (records longer than ``max_length``: cutting would drop the
    answer) and TRN-005 (a record with nothing to learn).
    """
    template = training_template(tokenizer)
    examples = []
    for record in records:
        encoded: Any = tokenizer.apply_chat_template(
            [message.model_dump() for message in record.messages],
            chat_template=template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        ids, mask = encoded["input_ids"], encoded["assistant_masks"]
        labels = [token if learned else IGNORED for token, learned in zip(ids, mask, strict=True)]
        examples.append(Example(record.id, list(ids), labels))
    long = [example.id for example in examples if len(example.input_ids) > max_length]
    if long:
        raise DoyenError(
            "TRN-004",
            f"{len(long)} of {len(examples)} records exceed max_length = {max_length} tokens "
            f"(longest {max(len(e.input_ids) for e in examples)}; first: {', '.join(long[:3])}).",
            "Raise data.max_length or shorten the records.",
        )
    empty = [example.id for example in examples if example.learned == 0]
    if empty:
        raise DoyenError(
            "TRN-005",
            f"{len(empty)} of {len(examples)} records have no token to learn (first: {', '.join(empty[:3])}).",
            "Check the {% generation %} marks of the chat template.",
        )
    return examples


def show_mask(example: Example, tokenizer: PreTrainedTokenizerBase) -> str:
    """The rendered record with the learned stretches between ⟦ and ⟧."""
    parts: list[str] = []
    start = 0
    count = len(example.labels)
    while start < count:
        learned = example.labels[start] != IGNORED
        end = start
        while end < count and (example.labels[end] != IGNORED) == learned:
            end += 1
        text = str(tokenizer.decode(example.input_ids[start:end]))
        parts.append(f"⟦{text}⟧" if learned else text)
        start = end
    return "".join(parts)
