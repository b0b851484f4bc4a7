"""Adapter folders: what is not proved right is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doyen_runtime import adapters, signing
from doyen_runtime.settings import get_settings
from doyen_schemas import AdapterRelease, DoyenError, Measurement, Promoted, ReleaseBase

BASE = ReleaseBase(source="wheel:base==1", weights_sha256="a" * 64, tokenizer_sha256="b" * 64)
WEIGHTS = (2).to_bytes(8, "little") + b"{}"


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key pair of the test's own: the private half in the environment, the public half trusted."""
    private, public = signing.generate()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "test.pem").write_bytes(public)
    monkeypatch.setenv("DOYEN_TRUSTED_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv(signing.VARIABLE, private.decode())
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    (folder / "encoder").mkdir(parents=True)
    (folder / "encoder" / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "MODEL_CARD.md").write_text("# Card")
    write(folder)
    return folder


def write(folder: Path, *, signed: bool = True, **changes: object) -> AdapterRelease:
    """``release.json`` of what stands in ``folder``, signed again after ``changes``."""
    (folder / "release.json").unlink(missing_ok=True)
    key = signing.private_key()
    fields: dict[str, object] = {
        "name": "legal", "version": "1.0.0", "vertical": "legal", "requires_runtime": ">=0.1,<1",
        "bases": {"encoder": BASE}, "files": adapters.describe(folder),
        "evaluation": {"f1": Measurement(value=0.5, low=0.4, high=0.6, n=10, command="doyen legal evaluate")},
    }  # fmt: skip
    release = AdapterRelease.model_validate(fields | changes)
    if signed:
        release.key_id = signing.key_id(key.public_key())
        release.signature = signing.sign(adapters.canonical(release), key)
    (folder / "release.json").write_text(adapters.render(release))
    return release


def edit(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    """Change ``release.json`` and keep its layout and the old signature."""
    content = json.loads((folder / "release.json").read_text())
    change(content)
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    (folder / "release.json").write_text(text)


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
    assert adapter.digest == adapters.digest(folder)
    write(folder)
    assert adapters.digest(folder) == adapter.digest, "the same content and key"
    write(folder, version="1.0.1")
    assert adapters.digest(folder) != adapter.digest


def test_the_base_must_be_the_one_it_was_tuned_on(folder: Path) -> None:
    adapter = adapters.load(folder)
    adapters.check_bases(adapter, {"encoder": ("a" * 64, "b" * 64)})
    for found in (("x" * 64, "b" * 64), ("a" * 64, "x" * 64)):
        with pytest.raises(DoyenError) as raised:
            adapters.check_bases(adapter, {"encoder": found})
        assert raised.value.code == "RUN-018"
        assert "x" * 64 in raised.value.message
    with pytest.raises(DoyenError) as raised:
        adapter.check_base("llm", weights_sha256="", tokenizer_sha256="")
    assert raised.value.code == "RUN-018"


def test_without_a_release(folder: Path, tmp_path: Path) -> None:
    assert code(tmp_path / "nowhere") == "RUN-010"
    (folder / "release.json").write_bytes(b"\xff\xfe")
    assert code(folder) == "RUN-010"


def test_an_invalid_release(folder: Path) -> None:
    write(folder, requires_runtime="soon")
    assert code(folder) == "RUN-011"
    for changes in ({"surprise": 1}, {"schema_version": "9"}, {"version": "1.0"}, {"primary": ["speed"]}):
        write(folder)
        edit(folder, lambda content, changes=changes: content.update(changes))  # type: ignore[misc]
        assert code(folder) == "RUN-011"
    (folder / "release.json").write_text(" " * 10_000_001)
    assert code(folder) == "RUN-011"


def test_a_layout_of_its_own_is_refused(folder: Path) -> None:
    text = (folder / "release.json").read_text()
    repeated = text.replace(' "name": "legal",', ' "name": "legal",\n "name": "legal",')
    for other in (json.dumps(json.loads(text)), text + "\n", text.replace("0.5", "0.50"), repeated):
        assert other != text
        (folder / "release.json").write_text(other)
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
    [
        "../out.json",
        "/etc/x.json",
        "a/../b.json",
        "a//b.json",
        "./a.json",
        "a\\b.json",
        "c:x.json",
        "",
        "a\0.md",
    ],
)
def test_a_path_that_leads_out(folder: Path, name: str) -> None:
    write(folder, files={name: {"sha256": "0" * 64, "bytes": 1}})
    assert code(folder) == "RUN-015"


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "release.json"])
def test_links_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / "outside.md")
    (folder / name).symlink_to(tmp_path / "outside.md")
    assert code(folder) == "RUN-015"
    if name != "release.json":
        with pytest.raises(DoyenError, match="link") as raised:
            adapters.describe(folder)
        assert raised.value.code == "RUN-015"


def test_a_linked_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "encoder").rename(tmp_path / "encoder")
    (folder / "encoder").symlink_to(tmp_path / "encoder")
    assert code(folder) == "RUN-015"


@pytest.mark.parametrize("name", ["model.bin", "model.pt", "model.pkl", "setup.py", "model"])
def test_kinds_of_file_that_can_run_code(folder: Path, name: str) -> None:
    write(folder, files={name: {"sha256": "0" * 64, "bytes": 1}})
    assert code(folder) == "RUN-016"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04}q\x00.", (99).to_bytes(8, "little") + b"{}", (2**63).to_bytes(8, "little") + b"{}"],
)
def test_weights_that_are_not_safetensors(folder: Path, content: bytes) -> None:
    (folder / "encoder" / "model.safetensors").write_bytes(content)
    write(folder)
    assert code(folder) == "RUN-016"


def test_another_runtime_or_vertical(folder: Path) -> None:
    write(folder, requires_runtime=">=99")
    assert code(folder) == "RUN-017"
    write(folder)
    assert code(folder, "medical") == "RUN-019"


def test_an_unsigned_release_loads_only_where_the_user_allows_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, signed=False)
    assert code(folder) == "RUN-040"
    for allowed, expected in ((tmp_path / "other", "RUN-040"), (folder.parent, None), (folder, None)):
        monkeypatch.setenv("DOYEN_UNSIGNED_ADAPTERS", str(allowed))
        get_settings.cache_clear()
        if expected:
            assert code(folder) == expected
        else:
            assert adapters.load(folder).release.key_id == ""
    (folder / "MODEL_CARD.md").write_text("# Care")
    assert code(folder) == "RUN-013", "the files of an unsigned release are checked all the same"
    (folder / "MODEL_CARD.md").write_text("# Card")
    write(folder)
    edit(folder, lambda content: content.update(version="2.0.0"))
    assert code(folder) == "RUN-042", "a wrong signature is worse than none"


def test_a_key_that_is_not_trusted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(signing.VARIABLE, signing.generate()[0].decode())
    write(folder)
    assert code(folder) == "RUN-041"
    monkeypatch.delenv("DOYEN_TRUSTED_KEYS")
    get_settings.cache_clear()
    assert code(folder) == "RUN-041", "the shipped keys alone"
    assert signing.trusted(), "a public key is shipped"


def test_half_a_signature_is_invalid(folder: Path) -> None:
    edit(folder, lambda content: content.update(signature=""))
    assert code(folder) == "RUN-011"


@pytest.mark.parametrize("field", ["version", "files", "evaluation", "licences", "bases", "requires_runtime"])
def test_the_signature_covers_every_field(folder: Path, field: str) -> None:
    changes = {
        "version": "1.0.1", "files": {}, "evaluation": {}, "licences": {"x": "MIT"}, "bases": {},
        "requires_runtime": ">=0.1",
    }  # fmt: skip
    edit(folder, lambda content: content.update({field: changes[field]}))
    assert code(folder) == "RUN-042"


def test_an_old_signature_does_not_fit_other_files(folder: Path) -> None:
    old = json.loads((folder / "release.json").read_text())
    (folder / "encoder" / "model.safetensors").write_bytes(WEIGHTS + b" ")
    new = json.loads(adapters.render(write(folder)))
    assert adapters.load(folder)
    edit(folder, lambda content: content.update(signature=old["signature"]))
    assert code(folder) == "RUN-042"
    edit(folder, lambda content: content.update(old | {"files": new["files"]}))
    assert code(folder) == "RUN-042"
    edit(folder, lambda content: content.update(old))
    assert code(folder) == "RUN-013", "the whole old release beside new weights"


def test_a_signature_made_for_something_else_does_not_count(folder: Path) -> None:
    release = adapters.read_release(folder)
    bare = signing.private_key().sign(adapters.canonical(release)).hex()
    edit(folder, lambda content: content.update(signature=bare))
    assert code(folder) == "RUN-042"


def test_any_changed_byte_of_the_release_is_refused(folder: Path) -> None:
    path = folder / "release.json"
    sound = path.read_bytes()
    for position in range(len(sound)):
        broken = bytearray(sound)
        broken[position] ^= (0x01, 0x20, 0x80)[position % 3]
        path.write_bytes(broken)
        assert code(folder) in {
            "RUN-010", "RUN-011", "RUN-012", "RUN-013", "RUN-014", "RUN-015", "RUN-016", "RUN-041", "RUN-042",
        }  # fmt: skip
    path.write_bytes(sound)
    assert adapters.load(folder)


def test_any_changed_or_cut_byte_of_a_file_is_refused(folder: Path) -> None:
    for name in ("MODEL_CARD.md", "encoder/model.safetensors"):
        sound = (folder / name).read_bytes()
        for position in range(len(sound)):
            for broken in (
                sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :],
                sound[:position],
            ):
                (folder / name).write_bytes(broken)
                assert code(folder) == "RUN-013"
        (folder / name).write_bytes(sound)
    assert adapters.load(folder)


@pytest.mark.parametrize("value", ["", "short", "AAAA", "-----BEGIN PRIVATE KEY-----\nnonsense"])
def test_the_signing_key_is_read_from_the_environment_and_never_shown(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(signing.VARIABLE, value)
    with pytest.raises(DoyenError) as raised:
        signing.private_key()
    assert raised.value.code == "RUN-043"
    assert not value or value not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_seed_in_base64_is_the_same_key(monkeypatch: pytest.MonkeyPatch) -> None:
    import base64

    pem = signing.private_key()
    monkeypatch.setenv(signing.VARIABLE, base64.b64encode(pem.private_bytes_raw()).decode())
    assert signing.private_key().private_bytes_raw() == pem.private_bytes_raw()


def test_trusted_keys_that_cannot_be_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys" / "broken.pem").write_text("-----BEGIN PUBLIC KEY-----")
    assert code(folder) == "RUN-044"
    monkeypatch.setenv("DOYEN_TRUSTED_KEYS", str(tmp_path / "nowhere"))
    get_settings.cache_clear()
    assert code(folder) == "RUN-044"


def test_the_promoted_release_of_a_store_is_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert adapters.in_use("legal", folder) == folder, "no store"
    store = tmp_path / "store"
    monkeypatch.setenv("DOYEN_RELEASES", str(store))
    get_settings.cache_clear()
    assert adapters.in_use("legal", folder) == folder, "nothing promoted"
    shutil.copytree(folder, store / "legal" / "1.0.0")
    pointer = Promoted(version="1.0.0", digest=adapters.digest(folder))
    (store / "legal" / "current.json").write_text(pointer.model_dump_json())
    assert adapters.in_use("legal", folder) == store / "legal" / "1.0.0"
    wrong = pointer.model_copy(update={"digest": "0" * 64})
    for content in (wrong.model_dump_json(), "{}", "", '{"version": "../../x", "digest": ""}'):
        (store / "legal" / "current.json").write_text(content)
        with pytest.raises(DoyenError) as raised:
            adapters.in_use("legal", folder)
        assert raised.value.code == "RUN-045"


@pytest.mark.parametrize(("name", "version"), [("legal", "9.0.0"), ("other", "1.0.0")])
def test_a_promoted_release_signed_for_another_name_or_version_is_not_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, version: str
) -> None:
    monkeypatch.setenv("DOYEN_RELEASES", str(tmp_path / "store"))
    get_settings.cache_clear()
    shutil.copytree(folder, tmp_path / "store" / name / version)
    pointer = Promoted(version=version, digest=adapters.digest(folder))
    (tmp_path / "store" / name / "current.json").write_text(pointer.model_dump_json())
    with pytest.raises(DoyenError, match="RUN-045"):
        adapters.in_use(name, folder)


def test_loading_costs_little(folder: Path) -> None:
    """No torch, and cryptography only when a signature is checked."""
    import subprocess
    import sys

    script = (
        "import sys, doyen_runtime.adapters as a\n"
        "assert not {'cryptography', 'torch'} & set(sys.modules)\n"
        f"a.digest(a.Path({str(folder)!r}))\nassert 'cryptography' not in sys.modules\n"
        f"a.load(a.Path({str(folder)!r}))\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=dict(os.environ))
