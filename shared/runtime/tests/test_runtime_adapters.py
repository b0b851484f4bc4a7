"""Adapter folders: what is not proved right is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from doyen_runtime import adapters
from doyen_schemas import AdapterManifest, BaseRef, DoyenError

BASE = BaseRef(source="wheel:base==1", weights_sha256="w" * 64, tokenizer_sha256="t" * 64)
WEIGHTS = (2).to_bytes(8, "little") + b"{}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    (folder / "encoder").mkdir(parents=True)
    (folder / "encoder" / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "MODEL_CARD.md").write_text("# Card")
    write(folder)
    return folder


def write(folder: Path, **changes: object) -> None:
    (folder / "manifest.json").unlink(missing_ok=True)
    manifest = AdapterManifest(
        name="legal", version="1.0.0", vertical="legal", requires_runtime=">=0.1,<1",
        bases={"encoder": BASE}, files=adapters.describe(folder),
    )  # fmt: skip
    content = manifest.model_dump(mode="json") | changes
    (folder / "manifest.json").write_text(json.dumps(content, indent=3))


def edit(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    content = json.loads((folder / "manifest.json").read_text())
    change(content)
    (folder / "manifest.json").write_text(json.dumps(content))


def code(folder: Path, vertical: str = "legal") -> str:
    with pytest.raises(DoyenError) as raised:
        adapters.load(folder, vertical=vertical)
    assert raised.value.hint
    return raised.value.code


def test_a_sound_folder_loads_and_its_digest_is_of_the_content(folder: Path) -> None:
    adapter = adapters.load(folder, vertical="legal")
    assert adapter.path("encoder/model.safetensors").read_bytes() == WEIGHTS
    with pytest.raises(KeyError):
        adapter.path("other")
    before = adapters.digest(folder)
    assert adapter.digest == before
    edit(folder, lambda content: None)
    assert adapters.digest(folder) == before, "the layout of the JSON does not matter"
    edit(folder, lambda content: content.update(version="1.0.1"))
    assert adapters.digest(folder) != before


def test_the_base_must_be_the_one_it_was_tuned_on(folder: Path) -> None:
    adapter = adapters.load(folder)
    adapters.check_bases(adapter, {"encoder": ("w" * 64, "t" * 64)})
    for found in (("x" * 64, "t" * 64), ("w" * 64, "x" * 64)):
        with pytest.raises(DoyenError) as raised:
            adapters.check_bases(adapter, {"encoder": found})
        assert raised.value.code == "RUN-018"
        assert "x" * 64 in raised.value.message
    with pytest.raises(DoyenError) as raised:
        adapter.check_base("llm", weights_sha256="", tokenizer_sha256="")
    assert raised.value.code == "RUN-018"


def test_without_a_manifest(folder: Path, tmp_path: Path) -> None:
    assert code(tmp_path / "nowhere") == "RUN-010"
    (folder / "manifest.json").write_bytes(b"\xff\xfe")
    assert code(folder) == "RUN-010"


@pytest.mark.parametrize("changes", [{"surprise": 1}, {"schema_version": "9"}, {"requires_runtime": "soon"}])
def test_an_invalid_manifest(folder: Path, changes: dict[str, object]) -> None:
    write(folder, **changes)
    assert code(folder) == "RUN-011"


def test_a_missing_file(folder: Path) -> None:
    (folder / "MODEL_CARD.md").unlink()
    assert code(folder) == "RUN-012"


@pytest.mark.parametrize("content", ["# Care", "# Card and more"])
def test_a_changed_file(folder: Path, content: str) -> None:
    (folder / "MODEL_CARD.md").write_text(content)
    assert code(folder) == "RUN-013"


def test_a_file_that_is_not_listed(folder: Path) -> None:
    (folder / "encoder" / "extra.json").write_text("{}")
    assert code(folder) == "RUN-014"


@pytest.mark.parametrize(
    "name",
    ["../out.json", "/etc/x.json", "a/../b.json", "a//b.json", "./a.json", "a\\b.json", "c:x.json", ""],
)
def test_a_path_that_leads_out(folder: Path, name: str) -> None:
    edit(folder, lambda content: content["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    assert code(folder) == "RUN-015"


def test_links_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("# Card")
    (folder / "MODEL_CARD.md").unlink()
    (folder / "MODEL_CARD.md").symlink_to(tmp_path / "outside.md")
    assert code(folder) == "RUN-015"


def test_a_linked_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "encoder").rename(tmp_path / "encoder")
    (folder / "encoder").symlink_to(tmp_path / "encoder")
    assert code(folder) == "RUN-015"


@pytest.mark.parametrize("name", ["model.bin", "model.pt", "model.pkl", "setup.py", "model"])
def test_kinds_of_file_that_can_run_code(folder: Path, name: str) -> None:
    edit(folder, lambda content: content["files"].update({name: {"sha256": "0" * 64, "bytes": 1}}))
    assert code(folder) == "RUN-016"


@pytest.mark.parametrize("content", [b"", b"\x80\x04}q\x00.", (99).to_bytes(8, "little") + b"{}"])
def test_weights_that_are_not_safetensors(folder: Path, content: bytes) -> None:
    (folder / "encoder" / "model.safetensors").write_bytes(content)
    write(folder)
    assert code(folder) == "RUN-016"


def test_another_runtime_or_vertical(folder: Path) -> None:
    write(folder, requires_runtime=">=99")
    assert code(folder) == "RUN-017"
    write(folder)
    assert code(folder, "medical") == "RUN-019"
