"""Measured figures as a release states them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from doyen_schemas import Measurement


def measurements(
    metrics: Mapping[str, Any],
    figures: Mapping[str, tuple[str, Collection[str], str, str]],
    lower_is_better: Collection[str] = (),
) -> dict[str, Measurement]:
    """Value, interval, number of items and command of each figure that was measured.

    ``metrics`` maps a protocol to the JSON of its evaluation; ``figures`` maps a protocol to its short name, its
    figures, the key of its number of items and the command.
    """
    found = {}
    for protocol, (short, names, items, command) in figures.items():
        measured = metrics.get(protocol, {})
        for name in names:
            if measured.get(name) is None:
                continue
            low, high = (measured.get("ci95") or {}).get(name) or (None, None)
            found[f"{short}.{name}"] = Measurement(
                value=measured[name], low=low, high=high, n=measured.get(items), command=command,
                higher_is_better=name not in lower_is_better,
            )  # fmt: skip
    return found
