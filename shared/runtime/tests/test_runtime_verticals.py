"""Finding verticals: lazily, each on its own."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from doyen_runtime import verticals
from doyen_runtime.verticals import Vertical
from doyen_schemas import DoyenError

GOOD = EntryPoint("testkit", "doyen_testkit.vertical:VERTICAL", verticals.GROUP)
BROKEN = EntryPoint("broken", "doyen_testkit.no_such_module:VERTICAL", verticals.GROUP)
WRONG = EntryPoint("wrong", "doyen_testkit.vertical:NAME", verticals.GROUP)
MISNAMED = EntryPoint("misnamed", "doyen_testkit.vertical:VERTICAL", verticals.GROUP)
TWICE = [
    EntryPoint("twice", f"doyen_testkit.vertical:{name}", verticals.GROUP) for name in ("VERTICAL", "NAME")
]


@pytest.fixture(autouse=True)
def _announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verticals, "entry_points", lambda group: [BROKEN, GOOD, *TWICE, WRONG, MISNAMED])


def code(name: str) -> str:
    with pytest.raises(DoyenError) as raised:
        verticals.load(name)
    assert repr(name) in raised.value.message
    return raised.value.code


def test_one_that_does_not_load_does_not_stop_the_others() -> None:
    assert code("broken") == "RUN-003"
    assert code("wrong") == "RUN-003"
    assert code("misnamed") == "RUN-003"
    assert code("twice") == "RUN-004"
    assert code("absent") == "RUN-002"
    assert verticals.load("testkit").name == "testkit"
    loaded, errors = verticals.load_all()
    assert set(loaded) == {"testkit"}
    assert set(errors) == {"broken", "wrong", "misnamed", "twice"}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Legal"},
        {"version": ""},
        {"pipeline_version": ""},
        {"suffixes": frozenset()},
        {"suffixes": frozenset({"PDF"})},
    ],
)
def test_a_vertical_checks_its_fields(change: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "name": "legal", "version": "1", "pipeline_version": "1", "suffixes": frozenset({".pdf"}),
        "adapter_digest": str, "review": lambda path, options: {},
    }  # fmt: skip
    assert Vertical(**fields).validate_options({}) == {}
    with pytest.raises(ValueError):
        Vertical(**fields | change)


def test_options_are_refused_by_a_vertical_without_any() -> None:
    with pytest.raises(DoyenError) as raised:
        verticals.no_options({"side": "buyer"})
    assert raised.value.code == "RUN-008"
