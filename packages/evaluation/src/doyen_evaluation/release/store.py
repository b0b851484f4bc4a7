"""A folder of releases: ``STORE/NAME/VERSION`` with a pointer to the promoted one, the gate's results and a log.

``current.json`` holds the promoted release and those promoted before it, so a promotion or a roll-back is the
replacement of one file. ``VERSION.gate.json`` stands beside a release, whose own files never change. ``audit.jsonl``
is only ever appended to.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from doyen_evaluation.release.gate import MAX_FORGETTING, GateResult, run_gate
from doyen_runtime import adapters
from doyen_schemas import AdapterRelease, DoyenError, Promoted, ReleaseId

AUDIT: Final = "audit.jsonl"
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def release_folder(store: Path, name: str, version: str) -> Path:
    """Where a release stands. Raises EVA-024 when there is none, or when it is signed for another name or version."""
    folder = store / name / version
    valid = _NAME.fullmatch(name) and _VERSION.fullmatch(version)
    if not valid or not (folder / adapters.RELEASE).is_file():
        raise DoyenError(
            "EVA-024",
            f"{store} holds no release {name} {version}.",
            "doyen release list shows what is there.",
        )
    release = adapters.read_release(folder)
    if (release.name, release.version) != (name, version):
        raise DoyenError(
            "EVA-024",
            f"{name}/{version} in {store} holds the release {release.name} {release.version}.",
            "Put it under its own name and version.",
        )
    return folder


def versions(store: Path, name: str) -> list[str]:
    """The versions of an adapter, lowest first."""
    found = [
        path.name for path in (store / name).glob("*") if path.is_dir() and _VERSION.fullmatch(path.name)
    ]
    return sorted(found, key=lambda version: tuple(map(int, version.split("."))))


def latest(store: Path, name: str) -> AdapterRelease | None:
    """The release of the highest version, promoted or not: what the next version follows."""
    there = versions(store, name)
    return adapters.read_release(store / name / there[-1]) if there else None


def signed_release(folder: Path) -> AdapterRelease:
    """The release of ``folder`` with its signature checked, but not its files."""
    release = adapters.read_release(folder)
    adapters.check_signature(folder, release)
    return release


def current(store: Path, name: str) -> Promoted | None:
    """The pointer; None when nothing was promoted yet. Raises RUN-045."""
    return adapters.promoted(store / name) if (store / name / adapters.CURRENT).exists() else None


def promote(
    store: Path, name: str, version: str, *, max_forgetting: float = MAX_FORGETTING, dry_run: bool = False
) -> GateResult:
    """Run the gate, write its result beside the release, and point to the release if it passed.

    Raises EVA-024 (no such release), EVA-028 (the gate refused; the result is written and logged all the same).
    """
    folder = release_folder(store, name, version)
    with _locked(store / name):
        before = current(store, name)
        if before is not None and before.version == version:
            raise DoyenError("EVA-024", f"{name} {version} is promoted already.", "There is nothing to do.")
        before_folder = None if before is None else release_folder(store, name, before.version)
        result = run_gate(
            folder,
            before=signed_release(before_folder) if before_folder else None,
            before_folder=before_folder,
            max_forgetting=max_forgetting,
        )
        gate_sha256 = write_gate(folder, result)
        if dry_run:
            return result
        entry = _entry("promote", name, before, result.candidate) | {"gate_sha256": gate_sha256}
        if not result.passed:
            reasons = [f"{check.name}: {check.reason}" for check in result.failures]
            _log(store / name, entry | {"decision": "refused", "reasons": reasons})
            refuse(result)
        earlier = (
            []
            if before is None
            else [*before.earlier, ReleaseId(version=before.version, digest=before.digest)]
        )
        _point(store / name, Promoted(**result.candidate.model_dump(), earlier=earlier))
        _log(store / name, entry | {"decision": "promoted"})
    return result


def refuse(result: GateResult) -> None:
    """Raise EVA-028 with every failed check; nothing when the gate passed."""
    if not result.passed:
        reasons = "; ".join(f"{check.name}: {check.reason}" for check in result.failures)
        raise DoyenError(
            "EVA-028",
            f"the gate refuses {result.name} {result.candidate.version}: {reasons}.",
            "Train or measure again and release the next version; there is no way round the gate.",
        )


def rollback(store: Path, name: str, version: str | None = None) -> tuple[Promoted, Promoted]:
    """Point to the release promoted before (or to ``version``, if it ever was); the pointers before and after.

    The release that is rolled back to must still verify; the one that is left need not. Raises EVA-024, EVA-025.
    """
    if not _NAME.fullmatch(name) or not (store / name).is_dir():
        raise DoyenError(
            "EVA-024", f"{store} holds no adapter {name}.", "doyen release list shows what is there."
        )
    with _locked(store / name):
        before = current(store, name)
        there = [] if before is None else [earlier.version for earlier in before.earlier]
        if before is None or not there or (version is not None and version not in there):
            wanted = f"no release {version}" if version and there else "nothing"
            raise DoyenError(
                "EVA-025",
                f"{wanted} of {name} was promoted before {before.version if before else 'now'}.",
                f"Promoted before: {', '.join(there) or 'none'}.",
            )
        # The last time that it was promoted.
        place = len(there) - 1 - (there[::-1].index(version) if version else 0)
        target = before.earlier[place]
        found = adapters.load(release_folder(store, name, target.version))
        if found.digest != target.digest:
            raise DoyenError(
                "EVA-025",
                f"{name} {target.version} is not the release that was promoted under this version.",
                "Roll back to another one, or restore its folder.",
            )
        after = Promoted(**target.model_dump(), earlier=before.earlier[:place])
        _point(store / name, after)
        _log(store / name, _entry("rollback", name, before, target) | {"decision": "rolled back"})
    return before, after


def rows(store: Path) -> list[dict[str, Any]]:
    """Every release of the store with its state: ``current``, ``earlier`` or ``built``, and ``broken`` with the code.

    Reads releases and signatures, not the weights: ``doyen release verify`` does that. Raises EVA-024.
    """
    if not store.is_dir():
        raise DoyenError("EVA-024", f"{store} is not a folder.", "Build a release into it first.")
    return [
        _row(folder, version)
        for folder in sorted(store.iterdir())
        if folder.is_dir() and _NAME.fullmatch(folder.name)
        for version in versions(store, folder.name)
    ]


def _row(folder: Path, version: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": folder.name,
        "version": version,
        "state": "built",
        "gate": _gate_state(folder, version),
    }
    try:
        pointer = current(folder.parent, folder.name)
        if pointer is not None:
            earlier = {release.version for release in pointer.earlier}
            row["state"] = (
                "current" if version == pointer.version else "earlier" if version in earlier else "built"
            )
        release = signed_release(folder / version)
    except DoyenError as error:
        return row | {"state": "broken", "problem": error.code}
    figures = {name: release.evaluation[name].value for name in release.primary}
    return row | {
        "digest": adapters.release_digest(release), "key_id": release.key_id, "vertical": release.vertical,
        "primary": figures,
    }  # fmt: skip


def write_gate(folder: Path, result: GateResult) -> str:
    """Write the result beside the release (``VERSION.gate.json``); the sha256 of what was written."""
    content = (json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n").encode()
    _replace(gate_file(folder), content)
    return hashlib.sha256(content).hexdigest()


def gate_file(folder: Path) -> Path:
    """Where the gate's result of the release in ``folder`` stands."""
    return folder.parent / f"{folder.name}.gate.json"


def _gate_state(folder: Path, version: str) -> str:
    try:
        passed = GateResult.model_validate_json(gate_file(folder / version).read_bytes()).passed
    except (OSError, ValueError):
        return "not run"
    return "passed" if passed else "refused"


def _point(folder: Path, pointer: Promoted) -> None:
    _replace(folder / adapters.CURRENT, (pointer.model_dump_json(indent=1) + "\n").encode())


def _replace(path: Path, content: bytes) -> None:
    """The whole content or the old one, whatever happens in between."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(scratch, path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _entry(action: str, name: str, before: ReleaseId | None, after: ReleaseId) -> dict[str, Any]:
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "who": f"{getpass.getuser()}@{platform.node()}",
        "action": action,
        "name": name,
        "from": None if before is None else {"version": before.version, "digest": before.digest},
        "to": {"version": after.version, "digest": after.digest},
    }


def _log(folder: Path, entry: dict[str, Any]) -> None:
    with (folder / AUDIT).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One promotion or roll-back of an adapter at a time."""
    import fcntl

    with (folder / ".lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
