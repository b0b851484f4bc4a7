from __future__ import annotations

import pytest

from doyen_data import Message, Record
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_tokenizer
from doyen_training.masking import (
    CHATML,
    CHATML_MARKED,
    IGNORED,
    Example,
    check_vocabulary,
    encode,
    fit,
    show_mask,
    tokenize,
    training_template,
)


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


def learned(example: Example) -> str:
    return str(tiny_tokenizer().decode([label for label in example.labels if label != IGNORED]))


def marked(*train: bool | None) -> Record:
    return Record(
        id="m",
        messages=tuple(
            message
            for number, mark in enumerate(train)
            for message in (
                Message(role="user", content=f"Q{number}"),
                Message(role="assistant", content=f"A{number}", train=mark),
            )
        ),
    )


def test_the_last_turn_alone_can_be_learned() -> None:
    (example,) = tokenize([CONVERSATION], tiny_tokenizer(), 512, learn="last-turn")
    assert learned(example) == "NONE<|im_end|>"
    (whole,) = tokenize([CONVERSATION], tiny_tokenizer(), 512)
    assert example.input_ids == whole.input_ids, "the context stays"


def test_marked_turns_alone_can_be_learned() -> None:
    (example,) = tokenize([marked(True, None, False, True)], tiny_tokenizer(), 512, learn="marked")
    assert learned(example) == "A0<|im_end|>A3<|im_end|>"
    with pytest.raises(DoyenError, match="TRN-005: 1 of 1 records have no token to learn"):
        encode([marked(None, False)], tiny_tokenizer(), learn="marked")


@pytest.mark.parametrize("learn", ["assistant", "last-turn"])
def test_marks_that_would_be_ignored_are_refused(learn: str) -> None:
    with pytest.raises(DoyenError, match="TRN-041: 1 of 2 records mark turns"):
        encode([CONVERSATION, marked(True)], tiny_tokenizer(), learn=learn)  # type: ignore[arg-type]


def test_turns_that_the_template_does_not_tell_apart_cannot_be_chosen() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}{% endgeneration %}"
        "{% endif %}{% endfor %}"
    )
    assert learned(encode([CONVERSATION], tokenizer)[0]) == "the laws of New YorkNONE"
    with pytest.raises(
        DoyenError, match="TRN-042: record r has 2 turns of the assistant, but the chat template marks 1"
    ):
        encode([CONVERSATION], tokenizer, learn="last-turn")


def test_a_cut_may_lose_no_more_than_the_recipe_allows() -> None:
    answer = [IGNORED] * 5 + list(range(5))
    examples = [Example("a", list(range(10)), answer), Example("b", list(range(6)), [IGNORED] * 5 + [5])]
    kept, cut = fit(examples, 9, truncation=0.2)
    assert [len(example.input_ids) for example in kept] == [9, 6]
    assert (cut.shortened, cut.dropped, cut.lost, cut.learned) == (1, 0, 1, 6)
    with pytest.raises(DoyenError, match=r"TRN-004: 1 of 2 records .* would lose 16\.7% .* allows 10\.0%"):
        fit(examples, 9, truncation=0.1)
    kept, cut = fit(
        [*examples * 5, Example("gone", list(range(12)), [IGNORED] * 11 + [11])], 10, truncation=0.05
    )
    assert (cut.dropped, len(kept)) == (1, 10), "a record without a learned token is left out"


def test_another_models_tokenizer_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    check_vocabulary(tokenizer, len(tokenizer))
    with pytest.raises(
        DoyenError, match=r"TRN-040: the tokenizer's ids go up to \d+, but the base has 200 rows"
    ):
        check_vocabulary(tokenizer, 200)
