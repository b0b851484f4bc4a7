"""The training curve of a run, drawn from its event log."""

from __future__ import annotations

import json
from pathlib import Path


def draw_curve(events: Path, picture: Path, title: str) -> None:
    """Draw the losses of an ``events.jsonl`` over the steps. A resumed run's repeated steps count once, the last."""
    from matplotlib.figure import Figure

    train: dict[int, float] = {}
    dev: dict[int, float] = {}
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if "loss" in event:
            train[event["step"]] = event["loss"]
        if "eval_loss" in event:
            dev[event["step"]] = event["eval_loss"]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(*_line(train), color="#9db8d9", linewidth=1, label="train, each log step")
    axes.plot(*_line(_smooth(train)), color="#1f4e8c", linewidth=2, label="train, moving average")
    if dev:
        axes.plot(*_line(dev), color="#c2571a", marker="o", label="dev")
    axes.set(title=title, xlabel="step", ylabel="cross-entropy of a learned token (nats)")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=120)


def _line(points: dict[int, float]) -> tuple[list[int], list[float]]:
    steps = sorted(points)
    return steps, [points[step] for step in steps]


def _smooth(points: dict[int, float], weight: float = 0.9) -> dict[int, float]:
    """Exponential moving average with the start-up bias removed."""
    smooth: dict[int, float] = {}
    mean, mass = 0.0, 0.0
    for step in sorted(points):
        mean = weight * mean + (1 - weight) * points[step]
        mass = weight * mass + (1 - weight)
        smooth[step] = mean / mass
    return smooth
