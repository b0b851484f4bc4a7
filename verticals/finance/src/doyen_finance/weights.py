"""What is shipped in the adapter folder; each part is a subfolder that its own module reads."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from doyen_runtime import adapters
from doyen_schemas import DoyenError

NAME: Final = "doyen-finance"
SHIPPED: Final = Path(__file__).parent / "adapter"


@cache
def folder() -> Path:
    """The folder of the adapter in use: the one promoted in the store ``DOYEN_RELEASES``, else the shipped one.

    Its signature and every file are checked where it has a release. Raises RUN-01x, RUN-04x.
    """
    found = adapters.in_use(NAME, SHIPPED)
    if (found / adapters.RELEASE).is_file():
        adapters.load(found, vertical="finance")
    return found


def part(name: str) -> Path:
    """The subfolder of one part: ``sentiment``, ``forecaster``, ``risk``, ``questions``. Raises FIN-001 (not there)."""
    found = folder() / name
    if not found.is_dir():
        raise DoyenError(
            "FIN-001",
            f"the adapter in use has no part {name!r}.",
            "Reinstall doyen-finance or promote a whole release.",
        )
    return found


@cache
def release() -> tuple[str, str]:
    """Name with version, and digest; of weights that were never released, the digest of their files."""
    if (folder() / adapters.RELEASE).is_file():
        stated = adapters.read_release(folder())
        return f"{stated.name} {stated.version}", adapters.release_digest(stated)
    files = sorted(path for path in folder().rglob("*") if path.is_file())
    digest = hashlib.sha256("".join(adapters.file_sha256(path) for path in files).encode()).hexdigest()
    return f"{NAME} unreleased", digest
