"""Doyen's settings: environment variables first, then one optional TOML file, then the defaults."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from doyen_schemas import DoyenError

BROKER_SCHEMES = ("filesystem", "redis", "rediss", "amqp", "amqps")
LEDGER_SCHEMES = ("sqlite", "postgresql+psycopg")


def config_file() -> Path:
    """The TOML file that is read if it exists: ``DOYEN_CONFIG``, else ``doyen.toml`` in the user's config folder."""
    named = os.environ.get("DOYEN_CONFIG")
    return Path(named).expanduser() if named else platformdirs.user_config_path("doyen") / "doyen.toml"


def _expanded(value: Any) -> Any:
    return os.path.expanduser(value) if isinstance(value, str) else value


Folder = Annotated[Path, BeforeValidator(_expanded)]


class Settings(BaseSettings):
    """Every setting, with its unit in the name. ``DOYEN_<NAME>`` in the environment wins over the file.

    The URLs may carry passwords: they are left out of ``repr`` and of error messages.
    """

    model_config = SettingsConfigDict(env_prefix="DOYEN_", extra="forbid", frozen=True)

    home: Folder = Field(default_factory=lambda: platformdirs.user_state_path("doyen"))
    cache: Folder = Field(default_factory=lambda: platformdirs.user_cache_path("doyen"))
    data: Folder = Path("../shared/data")
    releases: Folder | None = None
    trusted_keys: Folder | None = None
    unsigned_adapters: Folder | None = None

    ledger_url: str = Field(default="", repr=False)
    broker_url: str = Field(default="filesystem://", repr=False)
    queue_prefix: str = Field(default="doyen", pattern=r"^[a-z][a-z0-9-]{0,40}$")

    concurrency: int | None = Field(default=None, ge=1, le=256)
    start_method: Literal["fork", "spawn"] = "fork"
    max_memory_mb: int | None = Field(default=None, ge=64)
    lease_seconds: float = Field(default=60.0, ge=0.5, le=3600)
    sweep_seconds: float = Field(default=15.0, ge=0.2, le=3600)
    ring_again_seconds: float = Field(default=30.0, ge=0.2, le=86400)
    document_seconds: float = Field(default=600.0, ge=0.1, le=86400)
    max_attempts: int = Field(default=3, ge=1, le=100)
    shard_pages: float = Field(default=50.0, gt=0)
    retention_days: float | None = Field(default=None, gt=0)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = False

    @field_validator("ledger_url")
    @classmethod
    def _known_ledger(cls, value: str) -> str:
        if value and value.partition("://")[0] not in LEDGER_SCHEMES:
            raise ValueError(f"the URL must begin with one of {', '.join(f'{s}://' for s in LEDGER_SCHEMES)}")
        return value

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: str) -> str:
        if value.partition("://")[0] not in BROKER_SCHEMES or "://" not in value:
            raise ValueError(f"the URL must begin with one of {', '.join(f'{s}://' for s in BROKER_SCHEMES)}")
        return value

    @property
    def ledger(self) -> str:
        """The ledger's SQLAlchemy URL: the one that is set, else an SQLite file in ``home``."""
        return self.ledger_url or f"sqlite:///{self.home.absolute() / 'ledger.db'}"

    @property
    def embedded_broker(self) -> bool:
        """True when messages are files below ``home`` and no broker is running."""
        return self.broker_url.startswith("filesystem://")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


@cache
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        DoyenError: RUN-001 with every wrong setting at once.
    """
    file = config_file()
    hint = f"Correct the DOYEN_… variables or {file}; the README of doyen-runtime lists the settings."
    if os.environ.get("DOYEN_CONFIG") and not file.is_file():
        raise DoyenError("RUN-001", f"DOYEN_CONFIG names {file}, which is not a file", hint)
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(_problem(dict(entry)) for entry in error.errors())
        raise DoyenError("RUN-001", f"{error.error_count()} wrong setting(s): {problems}", hint) from error
    except (OSError, ValueError) as error:
        raise DoyenError("RUN-001", f"{file} cannot be read as TOML: {error}", hint) from error


def _problem(entry: dict[str, Any]) -> str:
    name = str(entry["loc"][0]).removeprefix("DOYEN_").lower() if entry["loc"] else "settings"
    if entry["type"] == "extra_forbidden":
        return f"{name} is not a setting"
    found = "" if name.endswith("_url") else f" (found {entry['input']!r})"
    return f"{name}: {entry['msg']}{found}"
