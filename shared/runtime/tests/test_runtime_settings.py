"""Settings: environment over file over defaults, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from doyen_runtime.settings import Settings, get_settings
from doyen_schemas import DoyenError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*Settings.model_fields, "config"]:
        monkeypatch.delenv(f"DOYEN_{name.upper()}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    get_settings.cache_clear()


def test_defaults_need_nothing() -> None:
    settings = get_settings()
    assert settings.embedded_broker
    assert settings.ledger == f"sqlite:///{settings.home}/ledger.db"
    assert settings.data == Path("../shared/data")


def test_environment_over_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "doyen.toml"
    file.write_text('lease_seconds = 30\nmax_attempts = 5\nhome = "~/x"\n')
    monkeypatch.setenv("DOYEN_CONFIG", str(file))
    monkeypatch.setenv("DOYEN_MAX_ATTEMPTS", "7")
    settings = get_settings()
    assert (settings.lease_seconds, settings.max_attempts) == (30, 7)
    assert settings.home == Path.home() / "x"


def test_all_mistakes_at_once_without_passwords(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "doyen.toml"
    file.write_text("leese_seconds = 30\n")
    monkeypatch.setenv("DOYEN_CONFIG", str(file))
    monkeypatch.setenv("DOYEN_MAX_ATTEMPTS", "none")
    monkeypatch.setenv("DOYEN_LEDGER_URL", "mysql://user:secret@host/db")
    monkeypatch.setenv("DOYEN_BROKER_URL", "sqs://user:secret@host")
    with pytest.raises(DoyenError) as raised:
        get_settings()
    assert raised.value.code == "RUN-001"
    for part in ("leese_seconds is not a setting", "max_attempts", "'none'", "ledger_url", "broker_url"):
        assert part in raised.value.message
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("content", [None, "not toml ="])
def test_a_file_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "doyen.toml"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("DOYEN_CONFIG", str(file))
    with pytest.raises(DoyenError) as raised:
        get_settings()
    assert raised.value.code == "RUN-001"


def test_urls_are_not_shown() -> None:
    assert "secret" not in repr(Settings(broker_url="redis://:secret@host/0"))
