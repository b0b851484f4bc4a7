"""Line charts and heat maps as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 36
POINTS = 400  # more are averaged: a page must not grow with the length of a run
# Told apart by people who see few colours, on light and dark ground (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; ``dots`` marks single measurements, ``faint`` what another line smooths."""

    label: str
    values: Mapping[int, float]
    colour: str
    dots: bool = False
    faint: bool = False


def line_chart(title: str, unit: str, lines: Sequence[Line]) -> str:
    """The lines over the steps; a logarithmic scale where the values span more than two decades."""
    values = [v for line in lines for v in line.values.values() if math.isfinite(v)]
    steps = [s for line in lines for s in line.values]
    if not values:
        return ""
    logarithmic = min(values) > 0 and max(values) / min(values) > 100
    ticks = log_ticks(min(values), max(values)) if logarithmic else ticks_of(min(0.0, *values), max(values))
    low, high = ticks[0], ticks[-1]
    first, last = min(steps), max(max(steps), min(steps) + 1)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step - first) / (last - first)

    def y(value: float) -> float:
        share = math.log(value / low) / math.log(high / low) if logarithmic else (value - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
    ]
    for tick in ticks:
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>'
        )
    for tick in ticks_of(first, last):
        if first <= tick <= last and tick == int(tick):
            parts.append(
                f'<text class="tick" x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
                f"{int(tick):,}</text>"
            )
    for line in lines:
        points = _thin(sorted((s, v) for s, v in line.values.items() if math.isfinite(v)))
        path = " ".join(f"{x(s):.1f},{y(v):.1f}" for s, v in points)
        opacity = ' opacity="0.35"' if line.faint else ""
        dash = ' stroke-dasharray="5 3"' if line.dots else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="1.8"{opacity}{dash}/>'
        )
        if line.dots or len(points) == 1:
            parts += [
                f'<circle cx="{x(s):.1f}" cy="{y(v):.1f}" r="3" fill="{line.colour}">'
                f"<title>{escape(line.label)}, step {s:g}: {short(v)}</title></circle>"
                for s, v in points
            ]
    parts.append(
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">step</text>'
        f'<text class="tick" x="4" y="{HEIGHT - 4}">{escape(unit)}{", logarithmic" if logarithmic else ""}</text></svg>'
    )
    return "".join(parts)


def heat_map(title: str, load: Mapping[int, Mapping[int, float]]) -> str:
    """Share of choices by layer (down) and expert (across): white for none, full colour for the most."""
    layers = sorted(load)
    experts = sorted({expert for row in load.values() for expert in row})
    cell = max(4.0, min(22.0, (WIDTH - LEFT - RIGHT) / max(1, len(experts))))
    rows = 14
    width, height = max(WIDTH, LEFT + cell * len(experts) + RIGHT), TOP + rows * len(layers) + 22
    top = max((share for row in load.values() for share in row.values()), default=0.0) or 1.0
    parts = [
        f'<svg viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{escape(title, quote=True)}">',
        f"<title>{escape(title)}</title>",
    ]
    for down, layer in enumerate(layers):
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{TOP + rows * down + 11}" text-anchor="end">layer {layer}</text>'
        )
        for across, expert in enumerate(experts):
            share = load[layer].get(expert, 0.0)
            parts.append(
                f'<rect x="{LEFT + cell * across:.1f}" y="{TOP + rows * down}" width="{cell - 0.5:.1f}" '
                f'height="{rows - 1}" fill="{COLOURS[0]}" fill-opacity="{share / top:.3f}">'
                f"<title>layer {layer}, expert {expert}: {share:.2%} of the choices</title></rect>"
            )
    parts.append(
        f'<text class="tick" x="{LEFT}" y="{height - 6}">experts {experts[0]} to {experts[-1]}; the darkest takes '
        f"{top:.1%} of its layer's choices, an even share is {1 / len(experts):.1%}</text></svg>"
        if experts
        else "</svg>"
    )
    return "".join(parts)


def smooth(values: Mapping[int, float], weight: float = 0.9) -> dict[int, float]:
    """Exponential moving average with the start-up bias removed."""
    found: dict[int, float] = {}
    mean, mass = 0.0, 0.0
    for step in sorted(values):
        mean = weight * mean + (1 - weight) * values[step]
        mass = weight * mass + (1 - weight)
        found[step] = mean / mass
    return found


def ticks_of(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from at most ``low`` to at least ``high``."""
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-300):  # flat
        high = low + (abs(low) if abs(low) > 1e-300 else 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(begin, end + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten around the values."""
    begin, end = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(begin, max(end, begin + 1) + 1)]


def short(value: float) -> str:
    """A number for an axis: 0.0002, 1.5, 12,000."""
    if value and abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _thin(points: list[tuple[int, float]]) -> list[tuple[float, float]]:
    """At most ``POINTS`` points: means over equal stretches."""
    size = -(-len(points) // POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)] if size else []
    return [(sum(s for s, _ in g) / len(g), sum(v for _, v in g) / len(g)) for g in groups]
