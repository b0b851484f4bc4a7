import json
import math
import random
from importlib import import_module

import pytest
from typer.testing import CliRunner

from doyen_schemas import DoyenError
from doyen_training.losses.cross_entropy import CrossEntropy
from doyen_training.masking import Example
from doyen_training.verify import discover, prepare
from doyen_training.verify.bench import Bench
from doyen_training.verify.cli import app

TINY = prepare.RECIPE | {
    "vocabulary": 400,
    "width": 32,
    "feed_forward": 48,
    "layers": 2,
    "heads": 2,
    "kv_heads": 1,
    "steps": 20,
    "format_steps": 5,
}
SENTENCES = {
    "Governing Law": "This agreement is governed by the laws of the State of {}, whatever its rules on conflict.",
    "Insurance": "The contractor shall keep insurance of at least {} dollars for each claim at its own cost.",
    "Termination": "Either party may terminate this agreement for convenience on {} days of written notice.",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    draw = random.Random(5)
    file = tmp_path_factory.mktemp("bench") / "contracts.jsonl"
    with file.open("w") as stream:
        for number in range(24):
            text, spans = f"Contract {number}.", []
            for _ in range(6):
                label = draw.choice(sorted(SENTENCES))
                clause = SENTENCES[label].format(draw.randrange(10**6))
                spans.append({"label": label, "start": len(text) + 2, "end": len(text) + 2 + len(clause)})
                text += f"\n\n{clause}"
            stream.write(json.dumps({"id": f"c{number}", "text": text, "spans": spans}) + "\n")
    return file


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    from doyen_runtime.settings import get_settings

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOYEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(prepare, "RECIPE", TINY)
        getattr(get_settings, "cache_clear", lambda: None)()
        yield
    getattr(get_settings, "cache_clear", lambda: None)()


@pytest.fixture(scope="module")
def bench(data, cache):
    return Bench(data)


def test_the_model_is_learned_once_and_the_same_each_time(bench, data, monkeypatch, tmp_path):
    said = []
    again = Bench(data, report=said.append)
    assert said == []
    assert again.folder == bench.folder
    assert bench.prepared["dev_loss"] < bench.prepared["chance_loss"]
    prepare._pretrain(bench.contracts, TINY, tmp_path / "model", said.append)
    found = json.loads((tmp_path / "model" / prepare.PREPARED).read_text())
    assert found["weights_sha256"] == bench.prepared["weights_sha256"]
    assert "loss" in said[-1]


def test_the_loss_on_running_text_is_that_of_the_model_that_is_used(bench, data):
    held = prepare._windows(bench.tokenizer, bench.texts("dev"), TINY["window"]).tolist()[: 8 * TINY["batch"]]
    rows = [Example(str(number), ids, ids) for number, ids in enumerate(held)]
    assert bench.summary()["used_loss"] == pytest.approx(bench.nll(bench.model(0), rows), abs=0.02)
    blank = Bench(data)
    for weight in blank._pretrained.parameters():
        weight.data.zero_()
    assert blank.summary()["used_loss"] == blank.prepared["chance_loss"]


def test_records_are_drawn_by_seed_and_labels_stand_at_the_answers(bench):
    assert bench.records("train", 10, 1) == bench.records("train", 10, 1)
    assert bench.records("train", 10, 1) != bench.records("train", 10, 2)
    task = bench.task(0, train=8, dev=5)
    assert len(task.train) == 8
    assert len(task.dev) == 5
    for record, example in zip(task.dev, task.dev_examples, strict=True):
        learned = [token for token in example.labels if token != -100]
        assert bench.tokenizer.decode(learned) == f"{record.messages[-1].content}<|im_end|>"


def test_training_learns_the_task_and_repeats_exactly(bench):
    task = bench.task(0)
    before = bench.model(0)
    chance = bench.accuracy(before, task.dev)
    weights = []
    for _ in range(2):
        model = bench.model(0)
        trainer = bench.train(model, task.train, steps=40, seed=3, learning_rate=5e-3)
        weights.append(model.get_input_embeddings().weight.detach().clone())
    assert trainer.state.global_step == 40
    assert bool((weights[0] == weights[1]).all())
    assert bench.nll(model, task.dev_examples) < 0.5 * bench.nll(before, task.dev_examples)
    assert bench.accuracy(model, task.dev) > max(0.9, chance)
    fresh = bench.model(0)
    assert all(bool((a == b).all()) for a, b in zip(fresh.parameters(), before.parameters(), strict=True))


def test_only_the_given_parameters_move_and_terms_are_used(bench):
    class Doubled(CrossEntropy):
        name = "doubled"
        seen = 0

        def loss(self, forward, count):
            Doubled.seen += 1
            return super().loss(forward, count)

    task = bench.task(0, train=16)
    model, old = bench.model(0), bench.model(0)
    norm = model.get_decoder().norm.weight
    bench.train(model, task.train, terms=[Doubled(2.0)], steps=3, parameters=[norm])
    assert Doubled.seen == 3
    moved = {
        name
        for (name, a), (_, b) in zip(model.named_parameters(), old.named_parameters(), strict=True)
        if bool((a != b).any())
    }
    assert moved == {"model.norm.weight"}


def test_work_is_done_once_for_a_key(bench):
    drawn = iter(range(9))
    assert [bench.once(("x", seed), lambda: next(drawn)) for seed in (0, 1, 0)] == [0, 1, 0]


def test_the_likelihood_is_that_of_the_whole_model(bench):
    import torch

    task = bench.task(0, dev=3)
    model = bench.model(0)
    total = count = 0.0
    for example in task.dev_examples:
        ids = torch.tensor([example.input_ids])
        loss = model(input_ids=ids, labels=torch.tensor([example.labels])).loss
        total += float(loss) * example.learned
        count += example.learned
    assert bench.nll(model, task.dev_examples) == pytest.approx(total / count, abs=1e-5)


def test_every_module_is_a_trial_of_its_own_name():
    trials = discover()
    assert {"masks", "schedule", "early-stopping", "packing", "answer-head"} <= trials.keys()
    for name, trial in trials.items():
        module = import_module(f"doyen_training.verify.{name.replace('-', '_')}")
        assert module.TRIAL is trial
        assert trial.rows
        assert all(1 <= row <= 69 for row in trial.rows)
        assert trial.metric
        assert trial.title


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["answer-head", "masks"]
)  # the others are run by `doyen verify --all`, not by CI
def test_a_trial_gives_finite_figures_for_both_arms(bench, name):
    arms = discover()[name].run(bench, 0)
    assert {"baseline", "technique"} <= arms.keys()
    assert all(math.isfinite(value) for value in arms.values())
    if name == "answer-head":
        (apart,) = (value for arm, value in arms.items() if arm.startswith("largest"))
        assert apart < 1e-4


def test_the_command_prepares_compares_and_prints_the_page(bench, data, tmp_path, monkeypatch):
    from doyen_training.verify import trial as trials

    fake = trials.Trial(
        "fake",
        "x",
        (1,),
        "m",
        True,
        lambda b, seed: {"baseline": 0.0, "technique": 1.0 + seed},
        arms={"steady": lambda b, task, seed, rate: b.model(seed)},
    )
    monkeypatch.setattr("doyen_training.verify.discover", lambda: {"fake": fake})
    run = CliRunner()
    shown = run.invoke(app, ["--prepare", "--data", str(data), "--json"])
    assert json.loads(shown.stdout)["weights_sha256"] == bench.prepared["weights_sha256"]
    out = tmp_path / "verify.json"
    done = run.invoke(app, ["fake", "--data", str(data), "--out", str(out), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["trials"]["fake"]["arms"]["technique"] == [1.0, 2.0, 3.0]
    page = run.invoke(app, ["--table", str(out)])
    assert page.stdout.startswith("# What the techniques gain")
    assert "| `fake` |" in page.stdout
    chosen = run.invoke(app, ["--rates", "--data", str(data), "--out", str(out), "--json"])
    assert json.loads(chosen.stdout)["rates"].keys() == {"steady"}
    assert "| steady |" in run.invoke(app, ["--table", str(out)]).stdout
    listed = run.invoke(app, ["--list", "--json"])
    assert json.loads(listed.stdout) == {"trials": [{"name": "fake", "title": "x", "rows": "1"}]}
    table = run.invoke(app, ["fake", "--data", str(data), "--seeds", "2"])
    assert "fake" in table.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "TRN-092"),
        (["no-such"], "TRN-092"),
        (["masks"], "TRN-090"),
        (["--table", "absent.json"], "TRN-094"),
    ],
)
def test_bad_input_is_coded(arguments, code):
    found = CliRunner().invoke(app, arguments).exception
    assert isinstance(found, DoyenError)
    assert found.code == code
