from __future__ import annotations

import pytest

from doyen_data import Message, Record
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_tokenizer
from doyen_training.masking import CHATML, CHATML_MARKED, IGNORED, show_mask, tokenize, training_template


def record(*contents: str, id: str = "r") -> Record:
    roles = ("user", "assistant") * len(contents)
    return Record(
        id=id,
        messages=tuple(Message(role=role, content=text) for role, text in zip(roles, contents, strict=False)),  # type: ignore[arg-type]
    )


CONVERSATION = record("Which law?", "the laws of New York", "Is it exclusive?", "NONE")


@pytest.mark.parametrize("template", [None, CHATML])
def test_the_golden_mask_is_the_assistants_words_and_its_stop_token(template: str | None) -> None:
    tokenizer = tiny_tokenizer()
    if template:
        tokenizer.chat_template = template
    (example,) = tokenize([CONVERSATION], tokenizer, 512)
    learned = [token for token in example.labels if token != IGNORED]
    assert tokenizer.decode(learned) == "the laws of New York<|im_end|>NONE<|im_end|>"
    assert example.learned == len(learned)
    assert all(
        label in (IGNORED, token) for label, token in zip(example.labels, example.input_ids, strict=True)
    )
    shown = show_mask(example, tokenizer)
    assert (
        "<|im_start|>assistant\n⟦the laws of New York<|im_end|>⟧\n<|im_start|>user\nIs it exclusive?" in shown
    )
    assert shown.count("⟦") == 2


def test_the_marked_template_renders_the_same_text_as_the_bases_own() -> None:
    tokenizer = tiny_tokenizer()
    for messages in (
        [m.model_dump() for m in CONVERSATION.messages],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
    ):
        for prompt in (True, False):
            plain, marked = (
                tokenizer.apply_chat_template(
                    messages, chat_template=template, tokenize=False, add_generation_prompt=prompt
                )
                for template in (CHATML, CHATML_MARKED)
            )
            assert plain == marked


@pytest.mark.parametrize("template", ["{% for m in messages %}{{ m['content'] }}{% endfor %}", None])
def test_a_template_without_marks_is_refused(template: str | None) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(DoyenError, match="TRN-003"):
        training_template(tokenizer)


def test_a_mark_around_nothing_leaves_nothing_to_learn() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] }}{% generation %}{% endgeneration %}{% endfor %}"
    )
    with pytest.raises(DoyenError) as raised:
        tokenize([CONVERSATION], tokenizer, 512)
    assert raised.value.code == "TRN-005"
    assert "1 of 1 records" in raised.value.message


def test_long_records_are_refused_not_cut() -> None:
    records = [CONVERSATION, record("q " * 100, "a", id="long")]
    with pytest.raises(DoyenError) as raised:
        tokenize(records, tiny_tokenizer(), 100)
    assert raised.value.code == "TRN-004"
    assert "1 of 2 records" in raised.value.message
    assert "first: long" in raised.value.message
