"""Building a release: what it holds, what it refuses, and that nothing can be changed afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from release_fixtures import CODES, adapter, figure, spec, use_keys, weightless

from doyen_evaluation.release.bases import check_bases
from doyen_evaluation.release.build import build
from doyen_evaluation.release.spec import assemble, read_spec
from doyen_evaluation.release.versions import check_version, right_version
from doyen_modeling.base import load_base, template_digest
from doyen_runtime import adapters, signing
from doyen_runtime.settings import get_settings
from doyen_schemas import AdapterRelease, DoyenError
from doyen_testkit.models import tiny_llama


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_keys(tmp_path / "keys", monkeypatch)
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("base") / "base")


def code(function: object, *arguments: object, **options: object) -> tuple[str, str]:
    with pytest.raises(DoyenError) as raised:
        function(*arguments, **options)  # type: ignore[operator]
    assert raised.value.hint
    return raised.value.code, raised.value.message


def test_a_release_of_a_language_models_adapter(base: Path, tmp_path: Path) -> None:
    weights = adapter(tmp_path / "weights", base, 0.05)
    release = assemble(weights, spec(tmp_path, base=base, data={"train": "recipe.toml"}), tmp_path)
    built = build(weights, release, tmp_path / "bundle", previous=None)
    loaded = adapters.load(tmp_path / "bundle", vertical="demo")
    assert loaded.release == built
    ref = load_base(f"path:{base}").ref
    part = built.bases["llm"]
    assert (part.weights_sha256, part.tokenizer_sha256) == (ref.weights_sha256, ref.tokenizer_sha256)
    assert part.template_sha256 == template_digest(base) != ""
    assert built.recipes["recipe.toml"] == built.data["train"]
    assert built.packages["doyen-evaluation"]
    assert built.packages["torch"]
    probe = built.probes["llm"]
    assert len(probe.values) == 32
    assert max(abs(probe.values[token] - probe.base[token]) for token in probe.values) > 0.01
    assert check_bases(loaded) == {"llm": "verified"}
    assert not (weights / "release.json").exists(), "the folder of weights is left as it was"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    build(weights, release, tmp_path / "again", previous=None)
    assert (tmp_path / "again" / "release.json").read_bytes() == (
        tmp_path / "bundle" / "release.json"
    ).read_bytes(), "equal content, equal bytes"


def test_an_adapter_that_does_nothing_is_not_released(base: Path, tmp_path: Path) -> None:
    weights = adapter(tmp_path / "weights", base, 0.0)
    release = assemble(weights, spec(tmp_path, base=base), tmp_path)
    found, message = code(build, weights, release, tmp_path / "bundle", previous=None)
    assert found == "EVA-027"
    assert "logit" in message
    assert not (tmp_path / "bundle").exists()


def test_another_base_than_the_one_it_is_bound_to(base: Path, tmp_path: Path) -> None:
    weights = adapter(tmp_path / "weights", base, 0.05)
    other = tiny_llama(tmp_path / "other", seed=1)
    assert code(assemble, weights, spec(tmp_path, base=other), tmp_path)[0] == "EVA-026"
    assert code(assemble, weights, spec(tmp_path, base=tmp_path / "nowhere"), tmp_path)[0] == "EVA-026"


def test_a_base_that_changed_under_a_release(tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "base")
    weights = adapter(tmp_path / "weights", base, 0.05)
    build(weights, assemble(weights, spec(tmp_path, base=base), tmp_path), tmp_path / "bundle", previous=None)
    loaded = adapters.load(tmp_path / "bundle")
    tiny_llama(base, seed=1)
    assert code(check_bases, loaded)[0] == "RUN-018"
    shutil.rmtree(base)
    assert check_bases(loaded) == {"llm": "not on this machine"}


def test_in_place_only_the_release_is_written(tmp_path: Path) -> None:
    weights = weightless(tmp_path / "weights")
    release = build(weights, assemble(weights, spec(tmp_path), tmp_path), weights, previous=None)
    assert sorted(path.name for path in weights.iterdir()) == ["MODEL_CARD.md", "config.json", "release.json"]
    assert release.probes["vertical"].values == {"answer": 0.5}
    assert adapters.load(weights, vertical="testkit").release == release


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    weights = weightless(tmp_path / "weights")
    release = assemble(weights, spec(tmp_path), tmp_path)
    build(weights, release, tmp_path / "bundle", previous=None)
    assert code(build, weights, release, tmp_path / "bundle", previous=None)[0] == "EVA-023"


def test_a_key_that_nobody_here_trusts_makes_no_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = weightless(tmp_path / "weights")
    release = assemble(weights, spec(tmp_path), tmp_path)
    monkeypatch.setenv(signing.VARIABLE, signing.generate()[0].decode())
    assert code(build, weights, release, tmp_path / "bundle", previous=None)[0] == "RUN-041"
    monkeypatch.delenv(signing.VARIABLE)
    assert code(build, weights, release, tmp_path / "bundle", previous=None)[0] == "RUN-043"
    assert code(build, weights, release, tmp_path / "bundle", previous=None, signed=False)[0] == "RUN-040"
    monkeypatch.setenv("DOYEN_UNSIGNED_ADAPTERS", str(tmp_path))
    get_settings.cache_clear()
    assert build(weights, release, tmp_path / "bundle", previous=None, signed=False).signature == ""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": "1.0"}, "EVA-020"),
        ({"name": "../demo"}, "EVA-020"),
        ({"primary": ["speed"]}, "EVA-020"),
        ({"recipes": ["nowhere.toml"]}, "EVA-021"),
        ({"data": {"train": "nowhere.jsonl"}}, "EVA-021"),
        ({"evaluation": "nowhere.json"}, "EVA-021"),
        ({"evaluation": {"f1": figure(0.5, items="nowhere.json")}}, "EVA-021"),
    ],
)
def test_a_spec_that_does_not_hold(tmp_path: Path, changes: dict, expected: str) -> None:  # type: ignore[type-arg]
    weights = weightless(tmp_path / "weights")
    assert code(assemble, weights, spec(tmp_path).model_copy(update=changes), tmp_path)[0] == expected


def test_specs_are_read_with_every_error_at_once(tmp_path: Path) -> None:
    path = tmp_path / "release.toml"
    assert code(read_spec, path)[0] == "EVA-020"
    path.write_text("name = [")
    assert code(read_spec, path)[0] == "EVA-020"
    path.write_text('name = "demo"\nsurprise = 1\nseeds = "17"\n')
    found, message = code(read_spec, path)
    assert found == "EVA-020"
    for key in ("surprise", "seeds", "version", "primary"):
        assert key in message
    (tmp_path / "figures.json").write_text('{"f1": {"value": 0.5, "low": 0.6}}')
    weights = weightless(tmp_path / "weights")
    wrong = spec(tmp_path).model_copy(update={"evaluation": "figures.json"})
    assert code(assemble, weights, wrong, tmp_path)[0] == "EVA-020"


def test_what_a_bundle_may_not_hold(tmp_path: Path) -> None:
    weights = weightless(tmp_path / "weights")
    (weights / "model.bin").write_bytes(b"\x80")
    assert code(assemble, weights, spec(tmp_path), tmp_path)[0] == "RUN-016"
    (weights / "model.bin").unlink()
    (weights / "link.json").symlink_to(weights / "config.json")
    assert code(assemble, weights, spec(tmp_path), tmp_path)[0] == "RUN-015"


@pytest.fixture(scope="module")
def bundle(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    root = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        use_keys(root / "keys", patch)
        weights = adapter(root / "weights", base, 0.05)
        build(weights, assemble(weights, spec(root, base=base), root), root / "bundle", previous=None)
        yield root / "bundle", {"DOYEN_TRUSTED_KEYS": str(root / "keys")}


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_byte_of_any_file_is_refused(
    bundle: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    folder, environment = bundle
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    sound = path.read_bytes()
    position = data.draw(st.integers(0, len(sound) - 1))
    broken = bytearray(sound)
    broken[position] ^= data.draw(st.integers(1, 255))
    try:
        path.write_bytes(broken)
        assert code(adapters.load, folder)[0] in CODES
    finally:
        path.write_bytes(sound)
    assert adapters.load(folder)


def release_of(**changes: object) -> AdapterRelease:
    fields: dict[str, object] = {
        "name": "demo", "version": "1.2.3", "vertical": "demo", "requires_runtime": ">=0.1",
        "bases": {"llm": {"source": "wheel:a==1", "weights_sha256": "a", "tokenizer_sha256": "b"}},
        "files": {"model.safetensors": {"sha256": "c", "bytes": 1}, "MODEL_CARD.md": {"sha256": "d", "bytes": 1}},
        "recipes": {"recipe.toml": "e"}, "data": {"train": "f"}, "seeds": [1],
    }  # fmt: skip
    return AdapterRelease.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({"bases": {"llm": {"source": "wheel:a==1", "weights_sha256": "x", "tokenizer_sha256": "b"}}}, "2.0.0"),
        ({"bases": {"llm": {"source": "wheel:a==1", "weights_sha256": "a", "tokenizer_sha256": "x"}}}, "2.0.0"),
        (
            {"bases": {"llm": {
                "source": "wheel:a==1", "weights_sha256": "a", "tokenizer_sha256": "b", "template_sha256": "x"}}},
            "2.0.0",
        ),
        ({"bases": {}}, "2.0.0"),
        ({"bases": {}, "data": {}}, "2.0.0"),
        ({"recipes": {"recipe.toml": "x"}}, "1.3.0"),
        ({"data": {"train": "f", "more": "x"}}, "1.3.0"),
        ({"seeds": [2]}, "1.3.0"),
        ({"files": {"model.safetensors": {"sha256": "x", "bytes": 1}, "MODEL_CARD.md": {"sha256": "d", "bytes": 1}}},
         "1.3.0"),
        ({"files": {"model.safetensors": {"sha256": "c", "bytes": 1}, "MODEL_CARD.md": {"sha256": "x", "bytes": 1}}},
         "1.2.4"),
        ({"licences": {"train": "MIT"}}, "1.2.4"),
        ({"requires_runtime": ">=0.2"}, "1.2.4"),
        ({"bases": {"llm": {"source": "hub:a/b@c", "weights_sha256": "a", "tokenizer_sha256": "b"}}}, "1.2.4"),
    ],
)  # fmt: skip
def test_the_version_says_what_changed(changes: dict, right: str) -> None:  # type: ignore[type-arg]
    before = release_of()
    assert right_version(before, release_of(**changes))[0] == right
    check_version(before, release_of(version=right, **changes))
    for wrong in {"1.2.3", "1.2.4", "1.3.0", "2.0.0", "1.2.5", "1.4.0", "3.0.0", "2.0.1"} - {right}:
        found, message = code(check_version, before, release_of(version=wrong, **changes))
        assert found == "EVA-022"
        assert f"the version is {right}" in message


def test_nothing_changed_and_another_adapter() -> None:
    before = release_of()
    assert code(check_version, before, release_of(version="1.2.4"))[0] == "EVA-022"
    assert code(check_version, before, release_of(name="other"))[0] == "EVA-022"


def test_build_refuses_the_wrong_version(tmp_path: Path) -> None:
    weights = weightless(tmp_path / "weights")
    first = build(weights, assemble(weights, spec(tmp_path), tmp_path), tmp_path / "1", previous=None)
    (weights / "config.json").write_text(json.dumps({"answer": 0.7}))
    patch = assemble(weights, spec(tmp_path, "1.0.1"), tmp_path)
    found, message = code(build, weights, patch, tmp_path / "2", previous=first)
    assert found == "EVA-022"
    assert "the weights changed, so the version is 1.1.0" in message
    assert not (tmp_path / "2").exists()
