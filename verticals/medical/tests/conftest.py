"""Lets the tests import the helpers beside them by name, which pytest's importlib mode does not; a home of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="class")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of Doyen for the tests of a class or one test: an audit log, and no maps of the person's who runs them."""
    from doyen_medical.knowledge.store import load
    from doyen_medical.pipeline import _production, diagnoser
    from doyen_runtime.settings import get_settings

    home = tmp_path_factory.mktemp("home")
    kept = (get_settings, load, _production, diagnoser)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOYEN_HOME", str(home))
        for each in kept:
            each.cache_clear()
        yield home
    for each in kept:
        each.cache_clear()
