"""The release that binds an adapter's weights to their files, bases, recipes, data, figures and signer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

Semver = Annotated[str, StringConstraints(pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$")]
ReleaseName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class AdapterFile(BaseModel):
    """A file of the adapter folder with its sha256 and size in bytes."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    sha256: str
    bytes: int


class BaseRef(BaseModel):
    """The base weights that an adapter part needs, by source string and digests."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    source: str
    weights_sha256: str
    tokenizer_sha256: str


class ReleaseBase(BaseRef):
    """The base of one part of a release.

    ``template_sha256`` is the chat template's digest, empty where the base has none. ``language_model`` is the folder
    in the bundle (``.`` for the bundle itself) that holds an adapter of this causal language model, empty for any
    other kind of part; a plain relative path, since it is joined to the bundle's.
    """

    template_sha256: str = ""
    language_model: str = ""

    @field_validator("language_model")
    @classmethod
    def _inside(cls, value: str) -> str:
        if value.startswith("/") or ".." in value.split("/") or any(sign in value for sign in "\\:\0"):
            raise ValueError(f"{value!r} is not a plain path inside the bundle")
        return value


class Measurement(BaseModel):
    """A figure of the evaluation: 95 % interval, number of items and the command that measured it.

    ``items`` names a JSON file of the bundle with one score an item, ``{"id": score}``, whose mean is ``value``: two
    releases that have it for the same items are compared pair by pair.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    value: Finite
    low: Finite | None = None
    high: Finite | None = None
    n: int | None = Field(default=None, ge=1)
    command: str = Field(min_length=1)
    higher_is_better: bool = True
    items: str = ""

    @model_validator(mode="after")
    def _interval(self) -> Measurement:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends: give low and high, or neither")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the interval's low end {self.low} is above its high end {self.high}")
        return self


class Probe(BaseModel):
    """What the weights answered to a fixed input when the release was built.

    For a language model ``values`` are logits by token id and ``base`` those of the base alone; for other parts
    ``values`` are the numbers of the vertical's own probe and ``base`` is empty.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    values: dict[str, Finite] = Field(min_length=1)
    base: dict[str, Finite] = Field(default_factory=dict)


class AdapterRelease(BaseModel):
    """``release.json`` of an adapter folder.

    Attributes:
        requires_runtime: version range of ``doyen-runtime`` that can load it.
        bases: the base of each part by the part's name (``encoder``, ``llm``).
        files: every other file of the folder.
        recipes: sha256 by name of the recipe.
        data: sha256 by name of the data; empty where only the source is named.
        licences: licence by name of the data or base.
        packages: versions of the packages that the release was built with.
        evaluation: the measured figures by name.
        primary: the figures of ``evaluation`` that a promotion must not make worse.
        probes: reference answers by part (``vertical`` for the vertical's own probe).
        key_id: the signer's key, empty when unsigned.
        signature: Ed25519 over the canonical JSON of all other fields, hex; empty when unsigned.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    schema_version: Literal["1"] = "1"
    name: ReleaseName
    version: Semver
    vertical: str
    requires_runtime: str
    bases: dict[str, ReleaseBase]
    files: dict[str, AdapterFile]
    recipes: dict[str, str] = Field(default_factory=dict)
    data: dict[str, str] = Field(default_factory=dict)
    licences: dict[str, str] = Field(default_factory=dict)
    seeds: list[int] = Field(default_factory=list)
    packages: dict[str, str] = Field(default_factory=dict)
    evaluation: dict[str, Measurement] = Field(default_factory=dict)
    primary: list[str] = Field(default_factory=list)
    probes: dict[str, Probe] = Field(default_factory=dict)
    key_id: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{16})?$")] = ""
    signature: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{128})?$")] = ""

    @model_validator(mode="after")
    def _consistent(self) -> AdapterRelease:
        unknown = sorted(set(self.primary) - set(self.evaluation))
        if unknown:
            raise ValueError(f"primary names {', '.join(unknown)}, which evaluation does not have")
        if bool(self.key_id) != bool(self.signature):
            raise ValueError("key_id and signature stand together or not at all")
        return self


class ReleaseId(BaseModel):
    """A release by version and digest."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    version: Semver
    digest: str


class Promoted(ReleaseId):
    """``current.json`` of a store: the promoted release of an adapter, and those promoted before it, oldest first."""

    earlier: list[ReleaseId] = Field(default_factory=list)
