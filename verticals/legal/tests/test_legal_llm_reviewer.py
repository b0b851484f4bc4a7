from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from doyen_legal.corpora import Contract, GoldSpan
from doyen_legal.extract.types import Clause, Extraction
from doyen_legal.labels import LABELS
from doyen_legal.llm import measure, reviewer, stage
from doyen_legal.llm.measure import Asked, decide_labels, evaluate_reviewer, measure_reviewer, write_labels
from doyen_legal.llm.prompt import Checked, context, cut_window, question
from doyen_legal.llm.reviewer import ADAPTER, Answer, Request, Reviewer, load_reviewer, review_windows
from doyen_legal.llm.stage import Band, Decision, second_opinion, unsure_clauses
from doyen_modeling.base import load_base
from doyen_modeling.methods import adapter_base, save_adapter
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama

TEXT = "Recital. " * 30 + "Neither party may assign this Agreement. " + "Filler words. " * 30
CLAUSE = "Neither party may assign this Agreement."
AT = TEXT.index(CLAUSE)
BAND = Band(0.2, 0.6)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Reviewer:
    base = load_base(f"path:{tiny_llama(tmp_path_factory.mktemp('base'))}")
    return Reviewer(base.model, base.tokenizer)


def test_batched_answers_equal_generate_one_by_one(tiny: Reviewer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop drops finished rows of a padded batch; transformers' own generation is the reference."""
    monkeypatch.setattr(reviewer, "LONGEST", 12)
    seen: list[str] = []
    monkeypatch.setattr(reviewer, "check_answer", lambda text, window: seen.append(text) or Checked((), 0))  # type: ignore[func-returns-value]
    # Push the stop token's logit up, so that rows end at different steps.
    head = tiny.model.get_output_embeddings()
    bias = torch.zeros(head.out_features)
    bias[tiny.tokenizer.eos_token_id] = 0.05
    hook = head.register_forward_hook(lambda module, args, output: output + bias)
    try:
        lengths = set()
        for start in range(0, 160, 40):
            windows = [cut_window(TEXT, start, start + 20 * n) for n in (1, 2, 3)]
            requests = [Request(label, w) for w, label in zip(windows, LABELS, strict=False)]
            answers: dict[int, str] = {}
            for number, request in enumerate(requests):
                ids = tiny.tokenizer.apply_chat_template(
                    [*context(request.window), question(request.label)],
                    add_generation_prompt=True, return_tensors="pt", return_dict=True,
                )  # fmt: skip
                out = tiny.model.generate(**ids, do_sample=False, max_new_tokens=12)
                answers[number] = tiny.tokenizer.decode(
                    out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True
                )
                lengths.add(out.shape[1] - ids["input_ids"].shape[1])
            seen.clear()
            scored = review_windows(requests, tiny, batch_size=3)
            assert sorted(seen) == sorted(answers.values())
            assert all(0 <= answer[2] <= 1 for answer in scored)
    finally:
        hook.remove()


def test_answers_come_back_in_the_order_of_the_requests(
    tiny: Reviewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewer, "LONGEST", 1)
    monkeypatch.setattr(reviewer, "_generate", lambda prompts, _: [(CLAUSE, 0.9)] * len(prompts))
    requests = [
        Request("Anti-Assignment", cut_window(TEXT, AT - 100, AT + 100)),
        Request("Anti-Assignment", cut_window(TEXT, 0, 60)),
        Request("Anti-Assignment", cut_window(TEXT, AT, AT + 60)),
    ]
    found = [(a.spans, a.rejected) for a in review_windows(requests, tiny, batch_size=2)]
    assert found == [(((AT, AT + len(CLAUSE)),), 0), ((), 1), (((AT, AT + len(CLAUSE)),), 0)]


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    base = load_base(f"path:{tiny_llama(tmp_path / 'base')}")
    model = get_peft_model(base.model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.ones_like(parameter)
    save_adapter(model, tmp_path / "adapter", base.ref)
    return tmp_path / "adapter"


def test_the_adapter_is_loaded_merged_onto_the_base_it_names(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doyen_modeling.encoder.has_bf16_units", lambda: False)
    loaded = load_reviewer(adapter)
    plain = load_reviewer(None, base=adapter_base(adapter).source)
    ids = torch.tensor([[1, 50, 60]])
    with torch.inference_mode():
        assert not torch.allclose(loaded.model(ids).logits, plain.model(ids).logits, atol=1e-3)
    assert not any("lora" in name for name, _ in loaded.model.named_parameters())


def test_a_missing_base_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path))
    get_settings.cache_clear()
    with pytest.raises(DoyenError) as raised:
        load_reviewer(None)
    assert raised.value.code == "MOD-002"
    monkeypatch.setattr(stage, "shipped_decision", lambda: Decision(frozenset({"Insurance"}), BAND))
    assert stage.availability().state == "absent"
    assert "doyen base pull" in stage.availability().reason
    get_settings.cache_clear()


def test_with_the_base_the_stage_is_ready_once_a_label_is_decided(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "ADAPTER", adapter)
    for labels, state in ((frozenset({"Insurance"}), "ready"), (frozenset[str](), "skipped")):
        monkeypatch.setattr(stage, "shipped_decision", lambda labels=labels: Decision(labels, BAND))
        assert stage.availability().state == state


def test_the_shipped_adapter_names_the_default_base_and_is_small() -> None:
    from doyen_modeling.base import DEFAULT_BASE

    assert adapter_base(ADAPTER).source == DEFAULT_BASE
    assert sorted(file.name for file in ADAPTER.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert 1_000_000 < sum(file.stat().st_size for file in ADAPTER.iterdir()) < 6_000_000


def test_the_shipped_decision_is_well_formed() -> None:
    labels, band = stage.shipped_decision()
    assert labels <= set(LABELS)
    assert 0 <= band.low < band.high <= 1


CLAUSES = [
    Clause("Anti-Assignment", AT, AT + len(CLAUSE), 0.9),
    Clause("Anti-Assignment", 0, 8, 0.5),
    Clause("Anti-Assignment", 9, 16, 0.3),
    Clause("Anti-Assignment", 18, 25, 0.1),
    Clause("Insurance", 0, 8, 0.4),
]


def test_only_the_band_of_the_decided_labels_is_asked_about() -> None:
    assert unsure_clauses(CLAUSES, {"Anti-Assignment"}, BAND) == CLAUSES[1:3]
    many = [Clause("Insurance", n, n + 1, 0.5 - n / 100) for n in range(25)]
    assert unsure_clauses(many, {"Insurance"}, BAND) == many[: stage.WINDOWS_PER_LABEL]


def test_a_second_opinion_moves_clauses_across_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    quoted = (AT + 8, AT + 20)
    answers = [Answer((), 2, 0.1), Answer((quoted,), 0, 0.8)]
    monkeypatch.setattr(stage, "review_windows", lambda requests, _: answers)
    opinion = second_opinion(
        TEXT,
        Extraction(CLAUSES, {"Anti-Assignment": 0.9}),
        decision=Decision(frozenset({"Anti-Assignment"}), BAND),
        reviewer=object(),  # type: ignore[arg-type]
    )
    after = {(c.label, c.start, c.end): c.score for c in opinion.extraction.clauses}
    assert after["Anti-Assignment", 0, 8] < BAND.low
    assert after["Anti-Assignment", *quoted] >= BAND.high
    assert ("Anti-Assignment", 9, 16) not in after
    assert after["Anti-Assignment", 18, 25] == 0.1
    assert after["Insurance", 0, 8] == 0.4
    assert (opinion.windows, opinion.hallucinated) == (2, 2)
    assert opinion.extraction.presence == {"Anti-Assignment": 0.9}


def test_without_a_decided_label_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "load_reviewer", lambda: pytest.fail("a model was loaded"))
    extraction = Extraction(CLAUSES)
    assert second_opinion(TEXT, extraction, decision=Decision(frozenset(), BAND)) == (extraction, 0, 0)


GOLD = GoldSpan("Anti-Assignment", AT, AT + len(CLAUSE), CLAUSE)
CONTRACT = Contract("c", TEXT, (GOLD,))


def asked(label: str, gold: tuple[GoldSpan, ...]) -> Asked:
    return Asked(CONTRACT, label, cut_window(TEXT, AT - 100, AT + 100), gold)


def test_measured_rates_count_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [
        asked("Anti-Assignment", (GOLD,)),
        asked("Anti-Assignment", (GOLD,)),
        *[asked("Insurance", ())] * 2,
    ]
    answers = [
        Answer(((GOLD.start, GOLD.end),), 0, 0.9),
        Answer((), 0, 0.1),  # a false NONE
        Answer(((0, 8),), 1, 0.9),  # a false quote and a hallucinated one
        Answer((), 0, 0.1),
    ]
    monkeypatch.setattr(measure, "review_windows", lambda requests, _: answers)
    figures = measure_reviewer(questions, reviewer=None)  # type: ignore[arg-type]
    assert (figures["questions"], figures["with_answer"]) == (4, 2)
    assert (figures["precision"], figures["recall"], figures["f1"]) == (0.5, 0.5, 0.5)
    assert (figures["false_none_rate"], figures["false_quote_rate"]) == (0.5, 0.5)
    assert figures["hallucinated_before"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["per_label"]["Anti-Assignment"] == {"f1": pytest.approx(0.6667), "n": 2}


def test_a_label_is_decided_by_a_clear_win_over_the_extractor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The extractor's unsure candidate is wrong; the model quotes the gold clause beside it."""
    wrong = Clause("Anti-Assignment", AT - 40, AT - 32, 0.5)
    monkeypatch.setattr(
        measure,
        "review_windows",
        lambda requests, _: [Answer(((GOLD.start, GOLD.end),), 0, 0.9) for _ in requests],
    )
    contracts = [Contract(f"c{n}", TEXT, (GOLD,)) for n in range(25)]
    result = evaluate_reviewer(
        contracts, lambda contract: Extraction([wrong]), reviewer=None,  # type: ignore[arg-type]
        band=BAND, threshold=0.4, per_label=24, seed=0,
    )  # fmt: skip
    row = result["per_label"]["Anti-Assignment"]
    assert row == {"n": 24, "windows": 24, "f1_reviewer": 1.0, "f1_extractor": 0.0}
    assert decide_labels(result) == ["Anti-Assignment"]
    assert decide_labels(result, min_spans=25) == []
    assert decide_labels({"per_label": {"Insurance": row | {"n": 40, "f1_extractor": 0.96}}}) == []
    write_labels(result, tmp_path / "labels.json")
    written: dict[str, Any] = json.loads((tmp_path / "labels.json").read_text())
    assert (written["labels"], written["band"]) == (["Anti-Assignment"], list(BAND))
