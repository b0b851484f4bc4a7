"""Adapter folders: shipped weights with a manifest, verified before anything reads them.

A folder holds ``manifest.json`` (:class:`doyen_schemas.AdapterManifest`) and exactly the files that it lists.
Whatever is not proved right is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from doyen_schemas import AdapterFile, AdapterManifest, DoyenError

MANIFEST = "manifest.json"
ALLOWED_SUFFIXES = frozenset({".safetensors", ".json", ".md", ".txt", ".toml", ".yaml"})
_HINT = "Reinstall the package or get the adapter again; do not edit a released folder."
# A safetensors file begins with the length of its JSON header, which the format limits to 100 MB.
_MAX_HEADER = 100_000_000


@dataclass(frozen=True)
class Adapter:
    """A verified adapter: its folder, its manifest and the digest that names this exact set of weights."""

    folder: Path
    manifest: AdapterManifest
    digest: str

    def path(self, name: str) -> Path:
        """The verified file ``name``; KeyError when the manifest does not list it."""
        if name not in self.manifest.files:
            raise KeyError(name)
        return self.folder / name

    def check_base(self, part: str, *, weights_sha256: str, tokenizer_sha256: str) -> None:
        """DoyenError RUN-018 unless ``part`` was tuned on exactly this base (both digests in hex)."""
        base = self.manifest.bases.get(part)
        if base is None:
            raise DoyenError(
                "RUN-018",
                f"adapter {self.manifest.name} {self.manifest.version} names no base for the part {part!r}",
                _HINT,
            )
        for kind, wanted, found in (
            ("weights", base.weights_sha256, weights_sha256),
            ("tokenizer", base.tokenizer_sha256, tokenizer_sha256),
        ):
            if wanted != found:
                raise DoyenError(
                    "RUN-018",
                    f"adapter {self.manifest.name} {self.manifest.version}, part {part!r}, was tuned on the base"
                    f" {kind} {wanted}, but the loaded base has {found}",
                    f"Use the base {base.source}, or an adapter made for this base.",
                )


def load(folder: Path, *, vertical: str | None = None) -> Adapter:
    """Read and verify an adapter folder.

    Raises:
        DoyenError: RUN-010 no readable manifest, RUN-011 manifest invalid, RUN-012 file missing, RUN-013 size or
            sha256 differs, RUN-014 a file that is not listed, RUN-015 a path outside the folder or a link,
            RUN-016 a kind of file that is not allowed or no safetensors, RUN-017 made for another runtime,
            RUN-019 made for another vertical.
    """
    manifest = read_manifest(folder)
    if vertical is not None and manifest.vertical != vertical:
        raise DoyenError(
            "RUN-019",
            f"the adapter in {folder} is for the vertical {manifest.vertical!r}, not {vertical!r}",
            "Name the folder of an adapter made for this vertical.",
        )
    _check_runtime(manifest)
    for name, listed in sorted(manifest.files.items()):
        _check_file(folder, name, listed)
    extra = sorted(set(_names(folder)) - set(manifest.files) - {MANIFEST})
    if extra:
        raise DoyenError(
            "RUN-014", f"{folder} holds {', '.join(extra)}, which the manifest does not list", _HINT
        )
    return Adapter(folder, manifest, manifest_digest(manifest))


def digest(folder: Path) -> str:
    """The sha256 (hex) of the folder's canonical manifest, without reading the weights: cheap, and as strong as
    the manifest's own digests once :func:`load` has checked the files. Raises RUN-010 and RUN-011."""
    return manifest_digest(read_manifest(folder))


def manifest_digest(manifest: AdapterManifest) -> str:
    """The sha256 (hex) of ``manifest`` as sorted, compact JSON: independent of how the file is laid out."""
    canonical = json.dumps(
        manifest.model_dump(mode="json"),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_manifest(folder: Path) -> AdapterManifest:
    """The manifest of ``folder``, its paths checked but not its files. Raises RUN-010, RUN-011, RUN-015, RUN-016."""
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DoyenError(
            "RUN-010", f"no readable {MANIFEST} in {folder} ({type(error).__name__})", _HINT
        ) from error
    try:
        manifest = AdapterManifest.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise DoyenError(
            "RUN-011", f"{folder / MANIFEST} is not a valid manifest: {problems}", _HINT
        ) from error
    for name in manifest.files:
        _check_name(folder, name)
    return manifest


def describe(folder: Path) -> dict[str, AdapterFile]:
    """The ``files`` of a manifest for ``folder``: every file but the manifest, with sha256 and size."""
    files = {}
    for name in _names(folder):
        if name != MANIFEST:
            _check_name(folder, name)
            path = folder / name
            files[name] = AdapterFile(sha256=file_sha256(path), bytes=path.stat().st_size)
    return files


def check_bases(adapter: Adapter, bases: Mapping[str, tuple[str, str]]) -> None:
    """Check several parts at once: ``part -> (weights sha256, tokenizer sha256)``. Raises RUN-018."""
    for part, (weights, tokenizer) in bases.items():
        adapter.check_base(part, weights_sha256=weights, tokenizer_sha256=tokenizer)


def file_sha256(path: Path) -> str:
    """The sha256 (hex) of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _names(folder: Path) -> list[str]:
    return sorted(
        (Path(root) / name).relative_to(folder).as_posix()
        for root, folders, names in os.walk(folder)
        for name in [*names, *(link for link in folders if (Path(root) / link).is_symlink())]
    )


def _check_name(folder: Path, name: str) -> None:
    path = PurePosixPath(name)
    if (
        not name
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or ":" in name
        or str(path) != name
    ):
        raise DoyenError(
            "RUN-015", f"the manifest in {folder} lists {name!r}, which is not a plain relative path", _HINT
        )
    if path.suffix not in ALLOWED_SUFFIXES:
        raise DoyenError(
            "RUN-016",
            f"the adapter in {folder} holds {name!r}; allowed are {', '.join(sorted(ALLOWED_SUFFIXES))}",
            "Weights must be safetensors: pickled files can run code.",
        )


def _check_file(folder: Path, name: str, listed: AdapterFile) -> None:
    path = folder / name
    inside = path.parent.resolve().is_relative_to(folder.resolve())
    if path.is_symlink() or not inside:
        raise DoyenError("RUN-015", f"{name} in {folder} is a link or leads out of the folder", _HINT)
    if not path.is_file():
        raise DoyenError("RUN-012", f"{name} is listed in the manifest but not in {folder}", _HINT)
    size = path.stat().st_size
    if size != listed.bytes:
        raise DoyenError("RUN-013", f"{name} has {size} bytes; the manifest says {listed.bytes}", _HINT)
    found = file_sha256(path)
    if found != listed.sha256:
        raise DoyenError(
            "RUN-013", f"{name} has the sha256 {found}; the manifest says {listed.sha256}", _HINT
        )
    if path.suffix == ".safetensors":
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            brace = stream.read(1)
        if not 2 <= length <= min(_MAX_HEADER, size - 8) or brace != b"{":
            raise DoyenError("RUN-016", f"{name} is not a safetensors file: it has no valid header", _HINT)


def _check_runtime(manifest: AdapterManifest) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    found = version("doyen-runtime")
    try:
        wanted = SpecifierSet(manifest.requires_runtime)
    except InvalidSpecifier as error:
        raise DoyenError(
            "RUN-011", f"requires_runtime {manifest.requires_runtime!r} is not a version range", _HINT
        ) from error
    if not wanted.contains(found, prereleases=True):
        raise DoyenError(
            "RUN-017",
            f"adapter {manifest.name} {manifest.version} needs doyen-runtime {manifest.requires_runtime};"
            f" installed is {found}",
            f'Install "doyen-runtime{manifest.requires_runtime}" or an adapter made for {found}.',
        )
