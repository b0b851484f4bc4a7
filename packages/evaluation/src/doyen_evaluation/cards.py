"""Model cards (Mitchell et al. 2019, arXiv:1810.03993) rendered from the release and measured figures.

Nothing in a card is typed by hand twice: licences and data come from ``release.json``, figures from the
evaluation's JSON, and only the description, limits and commands are prose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from doyen_schemas import AdapterRelease, DoyenError


@dataclass(frozen=True)
class Figure:
    """A row of the card's table: a measured figure, its interval, the floor beside it and the aim."""

    name: str
    value: float | None
    ci95: tuple[float, float] | None = None
    floor: str = ""
    target: float | None = None

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or empty where there is no aim."""
        if self.target is None or self.value is None:
            return ""
        return "met" if self.value >= self.target else "missed"


@dataclass(frozen=True)
class CardText:
    """The card's prose: what the model is for, how it was measured, what it gets wrong, how to repeat it."""

    title: str
    summary: str
    intended_use: Sequence[str]
    out_of_scope: Sequence[str]
    protocol: Sequence[str]
    known_failures: Sequence[str]
    commands: Sequence[str]
    citations: Sequence[str] = field(default_factory=tuple)


_TEMPLATE: Final = """\
# {{ text.title }}

{{ text.summary }}

| | |
|---|---|
| version | {{ release.name }} {{ release.version }} |
| vertical | {{ release.vertical }} |
| needs | doyen-runtime {{ release.requires_runtime }} |
{% if release.seeds -%}
| seeds | {{ release.seeds | join(", ") }} |
{% endif -%}
{% for part, base in release.bases.items() -%}
| base of `{{ part }}` | `{{ base.source }}`, weights `{{ base.weights_sha256[:12] }}` |
{% endfor %}
## Use

{% for line in text.intended_use -%}
- {{ line }}
{% endfor %}
Not for:

{% for line in text.out_of_scope -%}
- {{ line }}
{% endfor %}
## Data and licences

| data | licence | sha256 or commit |
|---|---|---|
{% for name in names -%}
| {{ name | cell }} | {{ release.licences.get(name, "not stated") | cell }} | {{ release.data.get(name, "") | cell }} |
{% endfor %}
## Protocol

{% for line in text.protocol -%}
- {{ line }}
{% endfor %}
## Figures

{% for heading, rows in tables.items() -%}
### {{ heading }}

| figure | measured | 95 % interval | floor | aim | |
|---|---|---|---|---|---|
{% for row in rows -%}
| {{ row.name | cell }} | {{ row.value | number }} | {{ row.ci95 | interval }} | {{ row.floor | cell }} | {{ row.target | number }} | {{ row.verdict }} |
{% endfor %}
{% endfor -%}
{% if per_label -%}
### By label

| label | F1 | gold spans |
|---|---|---|
{% for name, row in per_label.items() -%}
| {{ name | cell }} | {{ row.f1 | number }} | {{ row.n }} |
{% endfor %}
{% endif -%}
## Known failures

{% for line in text.known_failures -%}
- {{ line }}
{% endfor %}
## Repeat it

```bash
{% for line in text.commands -%}
{{ line }}
{% endfor -%}
```
{% if text.citations %}
## Sources

{% for line in text.citations -%}
- {{ line }}
{% endfor -%}
{% endif %}"""


def figures_from(
    metrics: Mapping[str, Any],
    rows: Mapping[str, str],
    *,
    floors: Mapping[str, str] | None = None,
    targets: Mapping[str, float] | None = None,
) -> list[Figure]:
    """Rows of a table from an evaluation's JSON.

    Args:
        metrics: the JSON object that ``evaluate --json`` printed, with ``ci95`` inside.
        rows: the printed name of each key, in the table's order.
        floors: what a simple method reaches, by key.
        targets: the aim, by key.

    Raises EVA-008 when the metrics lack a key of ``rows``.
    """
    missing = [key for key in rows if key not in metrics]
    if missing:
        raise DoyenError(
            "EVA-008",
            f"the metrics have no {missing[0]!r}.",
            "Render the card from the output of evaluate --json.",
        )
    intervals = metrics.get("ci95") or {}
    return [
        Figure(
            name, metrics[key], tuple(intervals[key]) if intervals.get(key) else None,
            (floors or {}).get(key, ""), (targets or {}).get(key),
        )
        for key, name in rows.items()
    ]  # fmt: skip


def model_card(
    release: AdapterRelease,
    text: CardText,
    tables: Mapping[str, Sequence[Figure]],
    *,
    per_label: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    """The card as Markdown. Raises EVA-009 when no licence, protocol, known failure or command is given."""
    empty = [
        name
        for name, value in {
            "licences": release.licences, "protocol": text.protocol, "known failures": text.known_failures,
            "commands": text.commands, "figures": tables,
        }.items()
        if not value
    ]  # fmt: skip
    if empty:
        raise DoyenError("EVA-009", f"the card has no {empty[0]}.", "A released model states each of them.")
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters |= {"number": _number, "interval": _interval, "cell": _cell}
    names = sorted({*release.data, *release.licences})
    page = environment.from_string(_TEMPLATE).render(
        release=release, text=text, tables=tables, per_label=per_label, names=names
    )
    return page.rstrip("\n") + "\n"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _interval(value: tuple[float, float] | None) -> str:
    return "" if value is None else f"{value[0]:.3f} to {value[1]:.3f}"


def _cell(value: object) -> str:
    """Text that cannot break the table."""
    return " ".join(str(value).replace("|", "\\|").split())
