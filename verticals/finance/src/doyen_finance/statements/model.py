"""What a parsed report is: statements of rows, columns and values, each value with its page and box."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from doyen_finance.statements.titles import Kind, Scope
from doyen_schemas.document import Box

Unit = Literal["currency", "currency_per_share", "shares", "percent"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Period(_Model):
    """An instant (``start`` None) or a duration, both days included. ``exact``: the days are printed as such.

    A start is worked out from the duration's months and so may be some days off in a calendar of 52 or 53 weeks.
    """

    start: date | None
    end: date
    exact: bool = True


class Column(_Model):
    """A column: its heading as printed, top to bottom, and its period where the heading gives one."""

    index: int
    label: str
    period: Period | None = None


class Row(_Model):
    """A row: label as printed, the labels that it stands under, level (0 outermost), and what it is.

    ``concept`` is of the small taxonomy, ``tag`` a us-gaap element with the probability that the model gives it;
    None where nothing fits.
    """

    index: int
    label: str
    path: tuple[str, ...] = ()
    level: int = 0
    box: Box
    concept: str | None = None
    tag: str | None = None
    tag_probability: float | None = None


class Value(_Model):
    """A number of the statement.

    ``value`` is the printed number with its sign, times ``scale`` (a percentage divided by 100); brackets are
    negative. ``is_nil``: printed as a dash, value 0. ``tag``: a us-gaap element; one row can have several (shares
    and their amount).
    """

    row: int
    column: int
    raw: str
    value: Decimal
    is_nil: bool
    unit: Unit
    scale: int
    currency: str | None
    period: Period | None
    box: Box
    tag: str | None = None


class Check(_Model):
    """An identity that the statement must hold: what was compared, by how much it fails, and what rounding allows."""

    name: str
    column: int
    row: int
    passed: bool
    expected: Decimal
    found: Decimal
    tolerance: Decimal


class Statement(_Model):
    """A statement, over one or more pages; ``flags`` name what a reader should look at."""

    kind: Kind
    scope: Scope
    title: str
    pages: tuple[int, ...]
    units: str = ""
    currency: str | None = None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    values: tuple[Value, ...]
    checks: tuple[Check, ...] = ()
    flags: tuple[str, ...] = ()


class PageSize(_Model):
    """Size of a page that a value stands on, in points."""

    number: int
    width: float
    height: float


class Report(_Model):
    """The statements of one file."""

    schema_version: Literal["1"] = "1"
    name: str
    sha256: str
    page_count: int
    statements: tuple[Statement, ...]
    pages: tuple[PageSize, ...]
    flags: tuple[str, ...] = ()
    seconds: float = Field(0.0, description="Wall clock of the parse.")
