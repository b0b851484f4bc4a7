"""The adapter in use: the release that was promoted in the store ``DOYEN_RELEASES``, else the one that is shipped.

A process keeps the adapter that it began with: a promotion or roll-back counts from the next start, so that the digest
in a report is always that of the weights that wrote it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from doyen_runtime import adapters

NAME: Final = "doyen-legal-contracts"
SHIPPED: Final = Path(__file__).parent / "adapter"


@cache
def folder() -> Path:
    """The folder of the adapter in use. Raises RUN-045 when the store's pointer cannot be followed."""
    return adapters.in_use(NAME, SHIPPED)


@cache
def verified(folder: Path) -> adapters.Adapter:
    """The adapter of ``folder`` with its signature and every file checked, once a process. Raises RUN-01x, RUN-04x."""
    return adapters.load(folder, vertical="legal")
