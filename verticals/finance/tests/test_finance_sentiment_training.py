"""Training of the sentiment encoder in small, and the cut to low rank."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from doyen_finance.sentiment import linear, llm
from doyen_finance.sentiment.adapter import low_rank, restore
from doyen_finance.sentiment.corpora import Headline, Target, located
from doyen_finance.sentiment.model import (
    BEGIN,
    INSIDE,
    MAX_TOKENS,
    OUTSIDE,
    SentimentModel,
    collate,
    entity_spans,
    sentiment_logits,
)
from doyen_finance.sentiment.training import Settings, fit, gold_tags

UP, DOWN = "jumps on strong profit", "drops on weak profit"


def _headlines() -> list[Headline]:
    names = ("Acme", "Bolt Ltd", "Core Mining", "Dyne", "Echo", "Fox Bank", "Gulf Oil", "Hale")
    made = []
    for name in names:
        for news, label in ((UP, 2), (DOWN, 0)):
            title = f"{name} {news}"
            made.append(Headline(title, (Target(title, located(title, name), label),)))
    return made


def test_one_encoder_learns_both_heads_and_survives_the_cut() -> None:
    headlines = _headlines()
    tweets = [Target("markets calm", (), 1), Target("shares plunge", (), 0)] * 2
    settings = Settings(epochs=14, batch=8, learning_rate=4e-4, tag_share=1.0, average=0.5, frozen_layers=4)
    model = fit(settings, tweets, headlines, seed=3)
    targets = [*tweets, *(t for h in headlines for t in h.targets)]
    gold = np.array([t.label for t in targets])
    logits = sentiment_logits(model, targets)
    assert (logits.argmax(1) == gold).mean() > 0.9
    spans = entity_spans(model, [h.title for h in headlines])
    hits = sum(
        {s for t in h.targets for s in t.spans} == {*found} for h, found in zip(headlines, spans, strict=True)
    )
    assert hits >= 12
    cut = restore(low_rank(model, 32))
    assert np.abs(sentiment_logits(cut, targets) - logits).max() < 0.35
    assert (sentiment_logits(cut, targets).argmax(1) == gold).mean() > 0.9


def test_marks_and_tags_follow_the_words() -> None:
    title = "Core Mining's profit up, Dyne flat"
    headline = Headline(
        title, (Target(title, located(title, "Core Mining"), 2), Target(title, located(title, "Dyne"), 1))
    )
    encoded = SentimentModel().encode([headline.targets[0], Target("x" * 4000), Target("a " * 500)])
    tags = gold_tags(encoded[0], headline)
    assert tags[:2] == [BEGIN, INSIDE]
    assert [w.text for w, tag in zip(encoded[0].words, tags, strict=True) if tag == BEGIN] == ["core", "dyne"]
    assert tags.count(OUTSIDE) == len(tags) - 3
    assert sum(encoded[0].marks) >= 2
    batch = collate(encoded)
    assert batch.ids_BT.shape[1] == MAX_TOKENS
    # Without a mark the whole text is the target.
    assert (batch.target_BT[1] == batch.mask_BT[1]).all()


def test_missing_tensors_are_noticed() -> None:
    with pytest.raises(ValueError, match="missing"):
        restore({})


def test_the_linear_floor_reads_around_the_target(tmp_path: Path) -> None:
    targets = [t for h in _headlines() for t in h.targets] + [Target("calm", (), 1)] * 2
    model = linear.fit(targets, keep=400)
    model.save(tmp_path / "linear.safetensors")
    loaded = linear.load(tmp_path / "linear.safetensors")
    assert np.abs(loaded.logits(targets) - model.logits(targets)).max() < 0.02
    assert (tmp_path / "linear.safetensors").stat().st_size < 10_000
    assert linear.masked(targets[0]).startswith(linear.MASK)
    assert loaded.logits([]).shape == (0, 3)
    with pytest.raises(ValueError, match="sentiments"):
        linear.fit([t._replace(label=0) for t in targets[:2]] + [targets[1]._replace(label=2)], keep=10)


def test_prompts_keep_control_tokens_and_links_out() -> None:
    item = Target("Acme <|im_end|> up https://t.co/x", ((0, 4),), 2)
    turns = llm.prompt(item)
    assert "<" not in turns[1]["content"]
    assert "t.co" not in turns[1]["content"]
    assert turns[1]["content"].endswith("Sentiment for Acme?")
    made = llm.record(item, "headline-0")
    assert made.messages[-1].content == "positive"
    assert json.loads(made.model_dump_json())["messages"][0]["role"] == "system"
    assert len({llm.prompt(item, wording)[1]["content"] for wording in range(len(llm.WORDINGS))}) == 3


class _Bytes:
    """A tokenizer of bytes, for a tiny random model."""

    pad_token_id = 0

    def apply_chat_template(self, turns: list[dict[str, str]], **_: object) -> list[int]:
        return [byte % 199 + 1 for turn in turns for byte in turn["content"].encode()]


def test_answers_of_the_language_model_do_not_depend_on_the_batch() -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    asked = llm.AskedModel(LlamaForCausalLM(config).eval(), _Bytes(), (5, 6, 7))
    targets = [
        Target("Acme up", ((0, 4),)),
        Target("a much longer text about the markets today"),
        Target("x"),
    ]
    together = llm.logits(asked, targets)
    alone = np.concatenate([llm.logits(asked, [t]) for t in targets])
    assert together.shape == (3, 3)
    assert np.abs(together - alone).max() < 1e-4
