"""The manifest that binds a vertical's shipped weights to their files, base and recipe."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class AdapterFile(BaseModel):
    """A file of the adapter folder with its sha256 and size in bytes."""

    model_config = ConfigDict(extra="forbid")

    sha256: str
    bytes: int


class BaseRef(BaseModel):
    """The base weights that an adapter part needs, by source string and digests."""

    model_config = ConfigDict(extra="forbid")

    source: str
    weights_sha256: str
    tokenizer_sha256: str


class AdapterManifest(BaseModel):
    """``manifest.json`` of an adapter folder.

    ``requires_runtime`` is a version range for ``doyen-runtime``. ``bases`` maps a part's name (``encoder``,
    ``llm``) to the base that it was tuned on. ``metrics`` holds what the card states, with the command.
    """

    model_config = ConfigDict(extra="forbid")

    schema_version: Literal["1"] = "1"
    name: str
    version: str
    vertical: str
    requires_runtime: str
    bases: dict[str, BaseRef]
    files: dict[str, AdapterFile]
    recipes: dict[str, str] = Field(default_factory=dict)
    data: dict[str, str] = Field(default_factory=dict)
    licences: dict[str, str] = Field(default_factory=dict)
    seeds: list[int] = Field(default_factory=list)
    metrics: dict[str, Any] = Field(default_factory=dict)
