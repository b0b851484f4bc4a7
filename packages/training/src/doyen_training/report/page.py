"""The page: summary table, charts over all runs, masks, expert load, settings that differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any, Final

from doyen_training.report.chart import COLOURS, Line, heat_map, line_chart, smooth
from doyen_training.report.read import Run, label_apart, read_run

CHARTS: Final = (
    ("learning_rate", "Learning rate", "rate"),
    ("grad_norm", "Gradient norm", "norm before clipping"),
    ("peak_rss_mb", "Peak memory of the process", "MiB"),
    ("peak_gpu_mb", "Peak memory of the GPU", "MiB"),
    ("tokens_per_s", "Speed", "tokens a second"),
)
SHOWN_SEPARATELY: Final = {"loss", "eval_loss", "tokens", "eta_s", *(name for name, _, _ in CHARTS)}
STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c1c1c;--soft:#5f6368;--line:#dadce0;--ground:#fff;--learn:#d7f0dd}
@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--soft:#a5a9ae;--line:#3c4043;--ground:#16181b;--learn:#1f4d2c}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);margin:2rem auto;max-width:1360px;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:.95rem;margin:.5rem 0}
p{color:var(--soft);margin:.25rem 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1.25rem}
figure{margin:0}figcaption{font-weight:600;font-size:.9rem}
svg{width:100%;height:auto}.grid{stroke:var(--line);stroke-width:1}.tick{fill:var(--soft);font-size:11px}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.runs{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:1.25rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--line);border-radius:6px;padding:.6rem;font-size:.82rem;margin:.4rem 0}
mark{background:var(--learn);color:inherit}
""".replace("\n", "")


def write_report(folders: Sequence[Path], out: Path) -> None:
    """Write one page over the runs in ``folders``. Raises TRN-085 (no run), TRN-086 (the page cannot be written)."""
    from doyen_schemas import DoyenError

    page = render(label_apart([read_run(folder) for folder in folders], list(folders)))
    scratch = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_text(page, encoding="utf-8")
        os.replace(scratch, out)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise DoyenError(
            "TRN-086", f"{out} cannot be written: {error.strerror}.", "Choose another --out."
        ) from error


def render(runs: Sequence[Run]) -> str:
    """The page as HTML; nothing in it is fetched."""
    title = "Training report: " + ", ".join(run.label for run in runs)
    sections = [
        f"<h1>{escape(title)}</h1>",
        _summary(runs),
        f'<h2>Curves</h2><div class="charts">{"".join(_charts(runs))}</div>',
        _experts(runs),
        _notes(runs),
        f"<h2>What is learned</h2><p>Marked text counts in the loss, the rest is context.</p>{_masks(runs)}",
        _settings(runs),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        # Nothing may be loaded or run, whatever the records hold.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _key(number: int, run: Run) -> str:
    return f'<span class="key" style="background:{_colour(number)}"></span>{escape(run.label)}'


def _summary(runs: Sequence[Run]) -> str:
    heads = (
        "run",
        "state",
        "steps",
        "train loss",
        "dev loss, last",
        "dev loss, best",
        "learned",
        "base",
        "recipe",
    )
    rows = []
    for number, run in enumerate(runs):
        record, dev = run.record, run.series.get("eval_loss", {})
        cells = [
            str(record.get("state", "running")),
            _number(record.get("steps") or max(run.series.get("loss", {0: 0.0}))),
            _number(record.get("train_loss") or run.last("loss")),
            _number(run.last("eval_loss")),
            _number(min(dev.values(), default=None)),
            f"{record['learned_share']:.1%}" if "learned_share" in record else "",
            str(record.get("base", {}).get("source", "")),
            str(record.get("recipe_sha256", ""))[:12],
        ]
        rows.append(
            f"<tr><td>{_key(number, run)}</td>"
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _charts(runs: Sequence[Run]) -> list[str]:
    loss = []
    for number, run in enumerate(runs):
        train, dev = run.series.get("loss", {}), run.series.get("eval_loss", {})
        loss.append(Line(run.label, train, _colour(number), faint=True))
        loss.append(Line(f"{run.label}, moving average", smooth(train), _colour(number)))
        if dev:
            loss.append(Line(f"{run.label}, dev", dev, _colour(number), dots=True))
    found = [_figure("Loss: train (line), dev (dashed)", line_chart("Loss", "nats a learned token", loss))]
    for name, title, unit in CHARTS:
        found.append(_figure(title, line_chart(title, unit, _lines(runs, name))))
    others = sorted({n for run in runs for n in run.series} - SHOWN_SEPARATELY)
    for name in others:
        if not name.startswith("router/load/"):
            found.append(_figure(name, line_chart(name, "", _lines(runs, name))))
    return [figure for figure in found if figure]


def _lines(runs: Sequence[Run], name: str) -> list[Line]:
    return [
        Line(run.label, run.series[name], _colour(number), dots=name.startswith("eval_"))
        for number, run in enumerate(runs)
        if name in run.series
    ]


def _figure(title: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{svg}</figure>" if svg else ""


def _experts(runs: Sequence[Run]) -> str:
    maps = [
        _figure(f"{run.label}: share of choices", heat_map(f"Expert load of {run.label}", load))
        for run in runs
        if (load := run.expert_load())
    ]
    return f'<h2>Expert load</h2><div class="runs">{"".join(maps)}</div>' if maps else ""


def _notes(runs: Sequence[Run]) -> str:
    rows = [
        f"<tr><td>{_key(number, run)}</td><td>{note['step']}</td><td>{escape(str(note['event']))}</td>"
        f"<td>{escape(', '.join(f'{k} {v}' for k, v in note.items() if k not in ('time', 'step', 'event')))}</td></tr>"
        for number, run in enumerate(runs)
        for note in run.notes
    ]
    if not rows:
        return ""
    return (
        "<h2>Out of the ordinary</h2><table><thead><tr><th>run</th><th>step</th><th>event</th><th></th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _masks(runs: Sequence[Run]) -> str:
    columns = []
    for number, run in enumerate(runs):
        samples = "".join(
            f"<h3>{escape(str(sample['id']))}</h3><pre>"
            + "".join(
                f"<mark>{escape(text)}</mark>" if learned else escape(text)
                for text, learned in sample["stretches"]
            )
            + "</pre>"
            for sample in run.samples
        )
        columns.append(f"<div><h3>{_key(number, run)}</h3>{samples or '<p>no samples</p>'}</div>")
    return f'<div class="runs">{"".join(columns)}</div>'


def _settings(runs: Sequence[Run]) -> str:
    flat = [_flatten(run.record["recipe"]) for run in runs]
    names = list(dict.fromkeys(name for values in flat for name in values))
    rows = []
    for name in names:
        values = [str(settings.get(name, "")) for settings in flat]
        differ = len(set(values)) > 1
        cells = "".join(f"<td>{f'<b>{escape(v)}</b>' if differ else escape(v)}</td>" for v in values)
        rows.append(f"<tr><td>{escape(name)}</td>{cells}</tr>")
    heads = "".join(f"<th>{_key(number, run)}</th>" for number, run in enumerate(runs))
    note = "<p>What differs is bold.</p>" if len(runs) > 1 else ""
    return f"<h2>Recipe</h2>{note}<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _flatten(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        pairs = enumerate(value)  # type: ignore[assignment]
    else:
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in pairs:
        found |= _flatten(inner, f"{name}.{key}" if name else str(key))
    return found


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
