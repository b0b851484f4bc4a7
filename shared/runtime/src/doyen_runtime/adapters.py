"""Adapter folders: released weights with a signed ``release.json``, verified before anything reads them.

A folder holds ``release.json`` (:class:`doyen_schemas.AdapterRelease`) and exactly the files that it lists. Whatever
is not proved right is refused. An unsigned release loads only from below the folder that ``DOYEN_UNSIGNED_ADAPTERS``
names, which is for adapters under development; its files are checked all the same.
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

from doyen_runtime import signing
from doyen_schemas import AdapterFile, AdapterRelease, DoyenError, Promoted

RELEASE = "release.json"
CURRENT = "current.json"
ALLOWED_SUFFIXES = frozenset({".safetensors", ".json", ".md", ".txt", ".toml", ".yaml"})
_HINT = "Reinstall the package or get the adapter again; do not edit a released folder."
# A safetensors file begins with the length of its JSON header, which the format limits to 100 MB.
_MAX_HEADER = 100_000_000
_MAX_RELEASE = 10_000_000


@dataclass(frozen=True)
class Adapter:
    """A verified adapter: its folder, its release and the digest that names this exact set of weights."""

    folder: Path
    release: AdapterRelease
    digest: str

    def path(self, name: str) -> Path:
        """The verified file ``name``; KeyError when the release does not list it."""
        if name not in self.release.files:
            raise KeyError(name)
        return self.folder / name

    def check_base(self, part: str, *, weights_sha256: str, tokenizer_sha256: str) -> None:
        """DoyenError RUN-018 unless ``part`` was tuned on exactly this base (both digests in hex)."""
        base = self.release.bases.get(part)
        if base is None:
            raise DoyenError(
                "RUN-018",
                f"adapter {self.release.name} {self.release.version} names no base for the part {part!r}",
                _HINT,
            )
        for kind, wanted, found in (
            ("weights", base.weights_sha256, weights_sha256),
            ("tokenizer", base.tokenizer_sha256, tokenizer_sha256),
        ):
            if wanted != found:
                raise DoyenError(
                    "RUN-018",
                    f"adapter {self.release.name} {self.release.version}, part {part!r}, was tuned on the base"
                    f" {kind} {wanted}, but the loaded base has {found}",
                    f"Use the base {base.source}, or an adapter made for this base.",
                )


def load(folder: Path, *, vertical: str | None = None) -> Adapter:
    """Read and verify an adapter folder: signer, signature, vertical, runtime, every file.

    Raises:
        DoyenError: RUN-010 no readable release, RUN-011 release invalid, RUN-012 file missing, RUN-013 size or
            sha256 differs, RUN-014 a file that is not listed, RUN-015 a path outside the folder or a link,
            RUN-016 a kind of file that is not allowed or no safetensors, RUN-017 made for another runtime,
            RUN-019 made for another vertical, RUN-040 unsigned, RUN-041 key not trusted, RUN-042 bad signature,
            RUN-044 a trusted key that cannot be read.
    """
    release = read_release(folder)
    check_signature(folder, release)
    if vertical is not None and release.vertical != vertical:
        raise DoyenError(
            "RUN-019",
            f"the adapter in {folder} is for the vertical {release.vertical!r}, not {vertical!r}",
            "Name the folder of an adapter made for this vertical.",
        )
    _check_runtime(release)
    for name, listed in sorted(release.files.items()):
        _check_file(folder, name, listed)
    extra = sorted(set(_names(folder)) - set(release.files) - {RELEASE})
    if extra:
        raise DoyenError(
            "RUN-014", f"{folder} holds {', '.join(extra)}, which the release does not list", _HINT
        )
    return Adapter(folder, release, release_digest(release))


def in_use(name: str, shipped: Path) -> Path:
    """The folder of the adapter ``name``: the release promoted in the store ``DOYEN_RELEASES``, else ``shipped``.

    Raises RUN-045 when the store's pointer cannot be read or what it points to is not there, or is signed for another
    name or version.
    """
    from doyen_runtime.settings import get_settings

    store = get_settings().releases
    if store is None or not (store / name / CURRENT).exists():
        return shipped
    pointer = promoted(store / name)
    folder = store / name / pointer.version
    release = read_release(folder)
    if release_digest(release) != pointer.digest or (release.name, release.version) != (
        name,
        pointer.version,
    ):
        raise DoyenError(
            "RUN-045",
            f"{store / name / CURRENT} points to {name} {pointer.version}, but another release stands there",
            "Roll back to another release: doyen release rollback.",
        )
    return folder


def promoted(folder: Path) -> Promoted:
    """The pointer of an adapter's folder in a store. Raises RUN-045."""
    try:
        return Promoted.model_validate_json((folder / CURRENT).read_bytes())
    except (OSError, ValidationError) as error:
        raise DoyenError(
            "RUN-045",
            f"{folder / CURRENT} cannot be read ({type(error).__name__})",
            "Promote a release again: doyen release promote.",
        ) from error


def digest(folder: Path) -> str:
    """The sha256 (hex) of the folder's canonical release, without reading the weights: cheap, and as strong as
    the release's own digests once :func:`load` has checked the files. Raises RUN-010, RUN-011, RUN-015, RUN-016."""
    return release_digest(read_release(folder))


def release_digest(release: AdapterRelease) -> str:
    """The sha256 (hex) of what is signed."""
    return hashlib.sha256(canonical(release)).hexdigest()


def canonical(release: AdapterRelease) -> bytes:
    """What is signed: ``release`` without its signature as sorted, compact JSON in UTF-8."""
    return json.dumps(
        release.model_dump(mode="json", exclude={"signature"}),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    ).encode()


def render(release: AdapterRelease) -> str:
    """The text of ``release.json``: sorted and indented. The loader accepts no other layout, so that every byte of
    the file is fixed by what was signed."""
    content = release.model_dump(mode="json")
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def check_signature(folder: Path, release: AdapterRelease) -> None:
    """DoyenError RUN-040 unless signed (or allowed unsigned), RUN-041 unless the key is trusted, RUN-042 unless the
    signature fits."""
    if release.signature:
        signing.check(canonical(release), release.key_id, release.signature)
        return
    from doyen_runtime.settings import get_settings

    allowed = get_settings().unsigned_adapters
    if allowed is None or not folder.resolve().is_relative_to(allowed.resolve()):
        raise DoyenError(
            "RUN-040",
            f"the adapter {release.name} {release.version} in {folder} is not signed",
            "Get a signed release; for an adapter of your own under development set DOYEN_UNSIGNED_ADAPTERS to a"
            " folder above it.",
        )


def read_release(folder: Path) -> AdapterRelease:
    """The release of ``folder``, its paths checked but neither its signature nor its files.

    Raises RUN-010, RUN-011, RUN-015, RUN-016.
    """
    path = folder / RELEASE
    try:
        if path.is_symlink():
            raise DoyenError("RUN-015", f"{RELEASE} in {folder} is a link", _HINT)
        with path.open("rb") as stream:
            content = stream.read(_MAX_RELEASE + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DoyenError(
            "RUN-010", f"no readable {RELEASE} in {folder} ({type(error).__name__})", _HINT
        ) from error
    if len(content) > _MAX_RELEASE:
        raise DoyenError("RUN-011", f"{path} is longer than {_MAX_RELEASE} bytes", _HINT)
    try:
        release = AdapterRelease.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise DoyenError("RUN-011", f"{path} is not a valid release: {problems}", _HINT) from error
    for name in release.files:
        _check_name(folder, name)
    if text != render(release):
        raise DoyenError("RUN-011", f"{path} is not laid out as a release is written", _HINT)
    return release


def describe(folder: Path) -> dict[str, AdapterFile]:
    """The ``files`` of a release for ``folder``: every file but the release, with sha256 and size.

    Raises RUN-015 and RUN-016 for what a release may not hold.
    """
    files = {}
    for name in _names(folder):
        if name != RELEASE:
            _check_name(folder, name)
            path = folder / name
            if path.is_symlink():
                raise DoyenError("RUN-015", f"{name} in {folder} is a link", "Put the file itself there.")
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
        or "\0" in name
        or str(path) != name
    ):
        raise DoyenError(
            "RUN-015", f"the release in {folder} lists {name!r}, which is not a plain relative path", _HINT
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
        raise DoyenError("RUN-012", f"{name} is listed in the release but not in {folder}", _HINT)
    size = path.stat().st_size
    if size != listed.bytes:
        raise DoyenError("RUN-013", f"{name} has {size} bytes; the release says {listed.bytes}", _HINT)
    found = file_sha256(path)
    if found != listed.sha256:
        raise DoyenError("RUN-013", f"{name} has the sha256 {found}; the release says {listed.sha256}", _HINT)
    if path.suffix == ".safetensors":
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            brace = stream.read(1)
        if not 2 <= length <= min(_MAX_HEADER, size - 8) or brace != b"{":
            raise DoyenError("RUN-016", f"{name} is not a safetensors file: it has no valid header", _HINT)


def _check_runtime(release: AdapterRelease) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    found = version("doyen-runtime")
    try:
        wanted = SpecifierSet(release.requires_runtime)
    except InvalidSpecifier as error:
        raise DoyenError(
            "RUN-011", f"requires_runtime {release.requires_runtime!r} is not a version range", _HINT
        ) from error
    if not wanted.contains(found, prereleases=True):
        raise DoyenError(
            "RUN-017",
            f"adapter {release.name} {release.version} needs doyen-runtime {release.requires_runtime};"
            f" installed is {found}",
            f'Install "doyen-runtime{release.requires_runtime}" or an adapter made for {found}.',
        )
