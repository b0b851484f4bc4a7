"""What a run has left: its record, its events and its samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doyen_schemas import DoyenError

Series = dict[int, float]


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its folder tells it. ``series`` holds every figure of the event log by step."""

    label: str
    record: dict[str, Any]
    series: dict[str, Series]
    notes: tuple[dict[str, Any], ...]
    samples: tuple[dict[str, Any], ...]

    def last(self, name: str) -> float | None:
        """The newest value of a figure."""
        values = self.series.get(name)
        return values[max(values)] if values else None

    def expert_load(self) -> dict[int, dict[int, float]]:
        """The newest share of choices of every expert: layer → expert → share; empty without a ``router`` term."""
        load: dict[int, dict[int, float]] = {}
        for name, values in self.series.items():
            parts = name.split("/")
            if parts[:2] == ["router", "load"] and len(parts) == 4:
                load.setdefault(int(parts[2]), {})[int(parts[3])] = values[max(values)]
        return load


def read_run(folder: Path) -> Run:
    """Read a run's folder, finished or not. Raises TRN-085 when it holds no readable run."""
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        lines = (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
        # A run that is being written to may end in half a line.
        events = [json.loads(line) for line in lines if line.endswith("}")]
        label, recipe = str(record["name"]), record["recipe"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DoyenError(
            "TRN-085",
            f"{folder} holds no run that can be read ({type(error).__name__}).",
            "Name the folder that doyen train wrote to (--out).",
        ) from error
    assert recipe is not None
    series: dict[str, Series] = {}
    for event in events:
        for name, value in event.items():
            if name not in ("time", "step", "steps") and isinstance(value, int | float):
                # A resumed run repeats the steps behind its checkpoint: the last word counts.
                series.setdefault(name, {})[int(event["step"])] = float(value)
    return Run(
        label=label,
        record=record,
        series=series,
        notes=tuple(event for event in events if "event" in event),
        samples=_samples(folder / "samples.json"),
    )


def label_apart(runs: list[Run], folders: list[Path]) -> list[Run]:
    """The runs with labels that differ: the folder's name where recipes share one."""
    names = [run.label for run in runs]
    labels = [
        f"{run.label} ({folder.name})" if names.count(run.label) > 1 else run.label
        for run, folder in zip(runs, folders, strict=True)
    ]
    if len(set(labels)) < len(labels):
        labels = [f"{label} #{number}" for number, label in enumerate(labels, start=1)]
    return [
        Run(label, run.record, run.series, run.notes, run.samples)
        for label, run in zip(labels, runs, strict=True)
    ]


def _samples(file: Path) -> tuple[dict[str, Any], ...]:
    try:
        return tuple(json.loads(file.read_text(encoding="utf-8"))["samples"])
    except (OSError, ValueError, KeyError):
        return ()
