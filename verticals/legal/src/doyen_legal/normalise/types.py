"""What every finder returns."""

from __future__ import annotations

from typing import NamedTuple

from doyen_schemas import Value


class Mention(NamedTuple):
    """A normalised value and where it stands: ``text[start:end]`` is what was read."""

    start: int
    end: int
    value: Value
