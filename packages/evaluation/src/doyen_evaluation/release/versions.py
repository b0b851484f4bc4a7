"""The version that a release must have after the one before it: MAJOR base or template, MINOR data, recipe, seeds or
weights, PATCH everything else. Semantic Versioning 2.0.0, read for weights."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final, Literal

from doyen_schemas import AdapterRelease, DoyenError

Level = Literal["major", "minor", "patch"]
_PROSE: Final = frozenset({".md", ".txt"})
# What does not make a release another one: its own version, who signed it, and what its weights were seen to answer.
_OWN: Final = {"version", "key_id", "signature", "probes"}


def level(previous: AdapterRelease, release: AdapterRelease) -> tuple[Level, str] | None:
    """The kind of change from ``previous`` and what shows it; None when nothing changed."""
    if _bases(previous) != _bases(release):
        return "major", "a base's weights, tokenizer or chat template changed"
    for what in ("recipes", "data", "seeds"):
        if getattr(previous, what) != getattr(release, what):
            return "minor", f"{what} changed"
    if _weights(previous) != _weights(release):
        return "minor", "the weights changed"
    if previous.model_dump(exclude=_OWN) != release.model_dump(exclude=_OWN):
        return "patch", "only metadata changed"
    return None


def right_version(previous: AdapterRelease, release: AdapterRelease) -> tuple[str, str]:
    """The one version that may follow ``previous``, and the reason. Raises EVA-022 when nothing changed."""
    found = level(previous, release)
    if found is None:
        raise DoyenError(
            "EVA-022",
            f"nothing changed since {previous.name} {previous.version}.",
            "There is nothing to release.",
        )
    major, minor, patch = map(int, previous.version.split("."))
    kind, reason = found
    match kind:
        case "major":
            return f"{major + 1}.0.0", reason
        case "minor":
            return f"{major}.{minor + 1}.0", reason
        case "patch":
            return f"{major}.{minor}.{patch + 1}", reason


def check_version(previous: AdapterRelease, release: AdapterRelease) -> None:
    """DoyenError EVA-022 unless ``release`` has the version that follows ``previous``."""
    if previous.name != release.name:
        raise DoyenError(
            "EVA-022",
            f"the previous release is of {previous.name}, not of {release.name}.",
            "Name a previous release of the same adapter, or --first.",
        )
    right, reason = right_version(previous, release)
    if release.version != right:
        raise DoyenError(
            "EVA-022",
            f"{release.version} does not follow {previous.version}: {reason}, so the version is {right}.",
            f"Set the version to {right}.",
        )


def _bases(release: AdapterRelease) -> dict[str, tuple[str, str, str]]:
    return {
        part: (base.weights_sha256, base.tokenizer_sha256, base.template_sha256)
        for part, base in release.bases.items()
    }


def _weights(release: AdapterRelease) -> dict[str, str]:
    """Files that decide answers: all but prose and the evaluation's own record."""
    records = {"evaluation.json", *(figure.items for figure in release.evaluation.values())}
    return {
        name: file.sha256
        for name, file in release.files.items()
        if PurePosixPath(name).suffix not in _PROSE and name not in records
    }
