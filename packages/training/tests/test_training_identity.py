"""Files that a recipe names beside its records belong to the run: another one is another run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel
from test_training_recipe import models

from doyen_data import Message, Record, write_records
from doyen_modeling.base import load_base
from doyen_modeling.methods import Lora, attach, save_adapter
from doyen_modeling.moe.select import save_selection
from doyen_runtime.ledger import Ledger
from doyen_runtime.settings import Settings
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_llama
from doyen_training import queue
from doyen_training.distillation.teacher import cache_for
from doyen_training.inputs import input_digests, input_files
from doyen_training.losses import DistillationPart
from doyen_training.masking import tokenize
from doyen_training.recipe import Recipe
from doyen_training.run import train


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    tiny_llama(folder / "base")
    write_records(folder / "train.jsonl", records())
    return folder


def records() -> list[Record]:
    return [
        Record(
            id=f"r{i}",
            messages=(Message(role="user", content=f"Law {i}?"), Message(role="assistant", content="NONE")),
        )
        for i in range(6)
    ]


def recipe(folder: Path, **tables: Any) -> Recipe:
    given: dict[str, Any] = {
        "name": "tiny",
        "base": {"source": f"path:{folder / 'base'}"},
        "data": {"train": "train.jsonl", "max_length": 64},
        "run": {"max_steps": 3, "batch_size": 2, "save_steps": 1, "precision": "float32"},
    }
    for name, table in tables.items():
        given[name] = given.get(name, {}) | table if isinstance(table, dict) else table
    return Recipe.model_validate(given)


def write_scores(folder: Path, sign: int) -> None:
    (folder / "scores.json").write_text(json.dumps({f"r{i}": sign * i for i in range(6)}))


def write_adapter(folder: Path, rank: int) -> None:
    torch.manual_seed(0)
    base = load_base(f"path:{folder / 'base'}")
    save_adapter(attach(base.model, Lora(rank=rank)), folder / "before", base.ref)


def write_cache(folder: Path, seed: int) -> None:
    shutil.rmtree(folder / "answers", ignore_errors=True)
    shutil.rmtree(folder / "teacher", ignore_errors=True)
    tiny_llama(folder / "teacher", seed)
    part = distillation(folder).loss[0]
    assert isinstance(part, DistillationPart)
    tokenizer = load_base(f"path:{folder / 'base'}").tokenizer
    cache_for(part, records(), tokenize(records(), tokenizer, 64), tokenizer, folder)


def distillation(folder: Path) -> Recipe:
    part = {"kind": "distillation", "teacher": f"path:{folder / 'teacher'}", "cache": "answers", "top": 4}
    return recipe(folder, loss=[part])


def on_policy(folder: Path) -> Recipe:
    part = {"kind": "on-policy", "teacher": f"path:{folder / 'teacher'}", "answer_tokens": 2}
    return recipe(folder, loss=[part])


def write_teacher(folder: Path, seed: int) -> None:
    shutil.rmtree(folder / "teacher", ignore_errors=True)
    tiny_llama(folder / "teacher", seed)


CASES: dict[str, tuple[Callable[[Path], Recipe], Callable[[Path, int], None], str]] = {
    "scores": (
        lambda f: recipe(f, curriculum={"difficulty": "given", "scores": "scores.json"}),
        write_scores,
        r"curriculum\.scores \(scores\.json\)",
    ),
    "adapter": (
        lambda f: recipe(f, base={"adapter": "before"}),
        write_adapter,
        r"base\.adapter \(before\)",
    ),
    "cache": (distillation, write_cache, r"loss\.distillation\.cache \(answers\)"),
    "teacher": (on_policy, write_teacher, r"loss\.on-policy\.teacher \(path:.*teacher\)"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_does_not_go_on_with_another_file(data: Path, tmp_path: Path, case: str) -> None:
    make, write, named = CASES[case]
    write(data, 1)
    settings, out = make(data), tmp_path / "run"
    assert train(settings, data, out, minutes=0)["state"] == "stopped"
    before = (out / "run.json").read_bytes()
    write(data, 2)
    with pytest.raises(DoyenError, match=rf"TRN-007: .* another {named}; a resumed run must"):
        train(settings, data, out, resume=True)
    assert (out / "run.json").read_bytes() == before
    write(data, 1)
    assert train(settings, data, out, resume=True)["state"] == "finished"


def test_a_selection_of_experts_is_an_input(tmp_path: Path) -> None:
    settings = recipe(tmp_path, method={"kind": "experts", "experts": "experts.json"})
    digests = []
    for expert in (0, 1):
        save_selection({0: (expert,)}, tmp_path / "experts.json")
        digests.append(input_digests(settings, tmp_path)["method.experts (experts.json)"])
    assert digests[0] != digests[1]


def test_a_file_that_is_not_there_is_left_to_what_reads_it(data: Path, tmp_path: Path) -> None:
    settings = recipe(data, curriculum={"difficulty": "given", "scores": "nowhere.json"})
    assert input_digests(settings, data) == {"curriculum.scores (nowhere.json)": ""}
    with pytest.raises(DoyenError, match="TRN-067"):
        train(settings, data, tmp_path / "run")


def test_a_queued_training_with_another_file_is_another_training(data: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/home/ledger.db"
    settings = Settings(home=tmp_path / "home", ledger_url=url, broker_url="filesystem://", queue_prefix="t")
    ledger = Ledger(url)
    write_scores(data, 1)
    asked = recipe(data, curriculum={"difficulty": "given", "scores": "scores.json"})
    first = queue.enqueue(asked, data, tmp_path / "one", settings, ledger)
    assert not queue.enqueue(asked, data, tmp_path / "two", settings, ledger)["submitted"]
    write_scores(data, -1)
    other = queue.enqueue(asked, data, tmp_path / "two", settings, ledger)
    assert other["submitted"]
    assert other["batch"] != first["batch"]
    # The worker finds under the old name what was not submitted.
    with pytest.raises(DoyenError, match=r"TRN-007: .* another curriculum\.scores"):
        queue.review(tmp_path / "one" / "recipe.json", {})
    ledger.close()


def test_a_queued_training_with_another_chat_template_is_another_training(data: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/home/ledger.db"
    settings = Settings(home=tmp_path / "home", ledger_url=url, broker_url="filesystem://", queue_prefix="t")
    ledger = Ledger(url)
    first = queue.enqueue(recipe(data), data, tmp_path / "one", settings, ledger)
    assert not queue.enqueue(recipe(data), data, tmp_path / "two", settings, ledger)["submitted"]
    (data / "base" / "chat_template.jinja").write_text("{{ messages }}")  # the weights stay
    other = queue.enqueue(recipe(data), data, tmp_path / "two", settings, ledger)
    assert other["submitted"]
    assert other["batch"] != first["batch"]
    ledger.close()


def test_a_job_of_an_older_version_is_refused(data: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/home/ledger.db"
    settings = Settings(home=tmp_path / "home", ledger_url=url, broker_url="filesystem://", queue_prefix="t")
    ledger = Ledger(url)
    queue.enqueue(recipe(data), data, tmp_path / "one", settings, ledger)
    job = json.loads((tmp_path / "one" / "job.json").read_text())
    del job["base"], job["inputs_sha256"]
    (tmp_path / "one" / "job.json").write_text(json.dumps(job))
    with pytest.raises(DoyenError, match=r"TRN-007: .* was written by an older version"):
        queue.review(tmp_path / "one" / "recipe.json", {})
    ledger.close()


def test_a_folder_with_a_run_is_not_queued_for_another_file(data: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/home/ledger.db"
    settings = Settings(home=tmp_path / "home", ledger_url=url, broker_url="filesystem://", queue_prefix="t")
    ledger = Ledger(url)
    write_scores(data, 1)
    asked = recipe(data, curriculum={"difficulty": "given", "scores": "scores.json"})
    train(asked, data, tmp_path / "run", minutes=0)
    write_scores(data, -1)
    with pytest.raises(DoyenError, match=r"TRN-007: .* another curriculum\.scores"):
        queue.enqueue(asked, data, tmp_path / "run", settings, ledger)
    assert not (tmp_path / "run" / "job.json").exists()
    ledger.close()


# Keys that hold text of their own or a base's source; every other text key must be an input file.
NO_FILES = {
    "name", "base.source", "data.train", "data.dev", "method.targets", "balance.shared", "method.feedforward",
    "method.parameters", "loss.teacher",
}  # fmt: skip
FILES = {
    "base.adapter",
    "method.experts",
    "curriculum.scores",
    "loss.adapter",
    "loss.cache",
    "loss.statements",
    "loss.rules",
}


def test_no_key_of_a_recipe_names_a_file_that_is_forgotten() -> None:
    found = {name for name, field in Recipe.model_fields.items() if field.annotation is str}
    for name, field in Recipe.model_fields.items():
        for part in models(field.annotation):
            found |= {f"{name}.{key}" for key in text_keys(part)}
    assert found == NO_FILES | FILES


def text_keys(part: type[BaseModel]) -> set[str]:
    def text(annotation: Any) -> bool:
        from typing import Literal, get_args, get_origin

        if get_origin(annotation) is Literal:
            return False
        return annotation is str or any(text(inner) for inner in get_args(annotation))

    return {key for key, field in part.model_fields.items() if text(field.annotation)}


def test_every_file_key_is_digested(data: Path) -> None:
    full = recipe(
        data,
        base={"adapter": "a"},
        curriculum={"difficulty": "given", "scores": "s"},
        loss=[
            {"kind": "distillation", "teacher": "path:t", "adapter": "b", "cache": "c"},
            {"kind": "on-policy", "teacher": "path:t", "adapter": "d"},
            {"kind": "attention", "teacher": "path:t", "adapter": "e", "switch": 1},
            {"kind": "consistency", "statements": "f", "rules": "g"},
        ],
    )
    assert set(input_files(full).values()) == set("asbcdefg")
