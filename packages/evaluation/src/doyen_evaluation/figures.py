"""Pictures for people: precision–recall by label, training curves, reliability. Each is written as SVG and PNG."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from doyen_evaluation.classification import ReliabilityBin
    from doyen_evaluation.spans import Curve

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8A8A8A"


class FigureFiles(NamedTuple):
    svg: Path
    png: Path


def _new(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> FigureFiles:
    """Write ``path`` with the suffixes .svg and .png; the SVG holds no date, so that equal data gives equal bytes."""
    import matplotlib

    path.parent.mkdir(parents=True, exist_ok=True)
    files = FigureFiles(path.with_suffix(".svg"), path.with_suffix(".png"))
    with matplotlib.rc_context({"svg.hashsalt": "doyen", "svg.fonttype": "none"}):
        figure.savefig(files.svg, metadata={"Date": None})
        figure.savefig(files.png, dpi=120)
    return files


def precision_recall_grid(
    curves: Mapping[str, Curve],
    path: Path,
    *,
    counts: Mapping[str, int] | None = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
    columns: int = 6,
) -> FigureFiles:
    """One small precision–recall plot a label.

    Args:
        curves: by label, as ``doyen_evaluation.spans.curve`` gives them.
        path: where to write, without suffix.
        counts: gold spans by label, shown in the titles.
        marks: (recall, precision) at the shipped threshold by label, shown as a dot.
        columns: plots in a row.

    Raises EVA-006 when there is no curve.
    """
    if not curves:
        raise DoyenError("EVA-006", "no curve to draw.", "Evaluate at least one label.")
    columns = min(columns, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = _new(2.1 * columns, 2.0 * rows + 0.4)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis, (label, curve) in zip(axes, curves.items(), strict=False):
        axis.plot(curve.recall, curve.precision, color=BLUE, linewidth=1.6)
        axis.fill_between(curve.recall, curve.precision, color=BLUE, alpha=0.12, linewidth=0)
        if marks and label in marks:
            recall, precision = marks[label]
            axis.plot([recall], [precision], marker="o", markersize=5, color=ORANGE)
        count = f" ({counts[label]})" if counts and label in counts else ""
        axis.set_title(_shortened(label) + count, fontsize=7.5)
        axis.set_xlim(0, 1.02)
        axis.set_ylim(0, 1.05)
        axis.grid(color="#DDDDDD", linewidth=0.5)
        axis.tick_params(labelsize=6.5)
    for axis in axes[len(curves) :]:
        axis.set_axis_off()
    figure.supxlabel("recall", fontsize=9)
    figure.supylabel("precision (best at this recall or higher)", fontsize=9)
    return _save(figure, path)


def _shortened(label: str, width: int = 27) -> str:
    return label if len(label) <= width else label[: width - 1] + "…"


def read_events(path: Path) -> list[dict[str, Any]]:
    """The events of a training log: one JSON object a line.

    Raises EVA-007 when the file is missing or a line is no object.
    """
    if not path.is_file():
        raise DoyenError(
            "EVA-007", f"event log not found: {path}.", "Name the JSONL file that training wrote."
        )
    events = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            event = None
        if not isinstance(event, dict):
            raise DoyenError(
                "EVA-007",
                f"line {number} of {path.name} is no JSON object.",
                "Each line is one event of the log.",
            )
        events.append(event)
    return events


def training_curves(
    events: Sequence[Mapping[str, Any]], path: Path, *, x: str = "step", series: Sequence[str] | None = None
) -> FigureFiles:
    """One panel a measure (loss, learning rate, dev figures) over ``x``.

    Args:
        events: rows such as ``{"step": 100, "loss": 1.2, "dev_f1": 0.5}``; a row may hold only some measures.
        path: where to write, without suffix.
        x: the key of the horizontal axis.
        series: the measures, in order; by default every numeric key but ``x`` and times.

    Raises EVA-006 when no event has a measure to draw.
    """
    rows = [event for event in events if _is_number(event.get(x))]
    keys = list(
        series
        or dict.fromkeys(
            k for e in rows for k, v in e.items() if _is_number(v) and k not in {x, "time", "seconds"}
        )
    )
    keys = [key for key in keys if any(_is_number(row.get(key)) for row in rows)]
    if not keys:
        raise DoyenError(
            "EVA-006", f"no event has a number beside {x!r}.", f"Log numbers together with {x!r}."
        )
    columns = min(3, len(keys))
    figure = _new(4.2 * columns, 2.9 * math.ceil(len(keys) / columns))
    axes = figure.subplots(math.ceil(len(keys) / columns), columns, squeeze=False).ravel()
    for axis, key in zip(axes, keys, strict=False):
        points = [(row[x], row[key]) for row in rows if _is_number(row.get(key))]
        xs, ys = zip(*points, strict=True)
        many = len(points) > 40
        axis.plot(
            xs,
            ys,
            color=BLUE,
            linewidth=0.8 if many else 1.6,
            alpha=0.35 if many else 1,
            marker="" if many else ".",
        )
        if many:
            axis.plot(xs, _smoothed(ys, len(points) // 20), color=BLUE, linewidth=1.8)
        axis.set_title(key, fontsize=10)
        axis.set_xlabel(x, fontsize=8)
        axis.grid(color="#DDDDDD", linewidth=0.5)
        axis.tick_params(labelsize=8)
    for axis in axes[len(keys) :]:
        axis.set_axis_off()
    return _save(figure, path)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _smoothed(values: Sequence[float], width: int) -> list[float]:
    """The mean of the values within half of ``width`` on either side of each point."""
    half = max(1, width // 2)
    windows = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]


def reliability_diagram(bins: Sequence[ReliabilityBin], path: Path, *, title: str = "") -> FigureFiles:
    """Accuracy against confidence, with the number of items below. Raises EVA-006 when no bin has an item."""
    filled = [b for b in bins if b.n]
    if not filled:
        raise DoyenError("EVA-006", "no bin has an item.", "Give at least one prediction.")
    figure = _new(4.2, 4.8)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    width = bins[0].high - bins[0].low
    middles = [(b.low + b.high) / 2 for b in filled]
    top.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfectly calibrated")
    top.bar(
        middles, [b.accuracy for b in filled], width=width * 0.92, color=BLUE, alpha=0.75, label="accuracy"
    )
    top.plot(
        [b.confidence for b in filled],
        [b.accuracy for b in filled],
        "o",
        color=ORANGE,
        markersize=4,
        label="mean confidence",
    )
    top.set_ylabel("accuracy")
    top.set_xlim(0, 1)
    top.set_ylim(0, 1.02)
    top.legend(fontsize=8, loc="upper left")
    total = sum(b.n for b in filled)
    gap = sum(b.n * abs(b.confidence - b.accuracy) for b in filled) / total
    top.set_title(f"{title} ECE {gap:.3f}, n = {total}".strip(), fontsize=10)
    bottom.bar(middles, [b.n for b in filled], width=width * 0.92, color=GREY)
    bottom.set_ylabel("items", fontsize=9)
    bottom.set_xlabel("confidence")
    return _save(figure, path)
