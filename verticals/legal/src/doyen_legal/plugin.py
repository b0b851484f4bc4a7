"""How the queue sees the legal vertical; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from doyen_legal import weights
from doyen_legal.pipeline import PIPELINE_VERSION, Reviewer, review_file
from doyen_runtime import adapters
from doyen_runtime.verticals import Vertical
from doyen_schemas import DoyenError

_OPTIONS: Final = ("playbook", "side", "llm", "outcomes")
_DIGESTS: Final = {"playbook_sha256", "outcomes_sha256"}


def validate_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """``playbook``, ``side``, ``llm`` (true or false) and ``outcomes``, checked before a document is read.

    A file is named by its absolute path and its content's digest, so that an edited one reviews anew.
    Raises LEG-065 (unknown option or value), LEG-031 to LEG-033 (the playbook), LEG-036 (the outcome model).
    """
    unknown = sorted(set(options) - set(_OPTIONS) - _DIGESTS)
    if unknown:
        raise DoyenError("LEG-065", f"unknown option {unknown[0]!r}.", f"Options: {', '.join(_OPTIONS)}.")
    llm = str(options.get("llm", "true")).lower()
    if llm not in ("true", "false"):
        raise DoyenError(
            "LEG-065", f"option llm is {options['llm']!r}; it must be true or false.", "Write llm=false."
        )
    checked: dict[str, Any] = {"llm": llm == "true"}
    playbook = options.get("playbook")
    if playbook is not None:
        path = Path(playbook)
        if path.is_file():
            checked |= {"playbook": str(path.resolve()), "playbook_sha256": adapters.file_sha256(path)}
        else:
            checked["playbook"] = str(playbook)
    if options.get("outcomes") is not None:
        from doyen_legal.risk.outcomes import OutcomeModel

        model = Path(options["outcomes"])
        OutcomeModel.load(model)
        checked |= {"outcomes": str(model.resolve()), "outcomes_sha256": adapters.file_sha256(model)}
    if options.get("side") is not None:
        checked["side"] = str(options["side"])
    Reviewer(playbook=checked.get("playbook"), side=checked.get("side"))
    return checked


def bench() -> dict[str, Any]:
    """``doyen bench legal``."""
    from doyen_legal.bench import bench as run

    return run()


def probe(folder: Path) -> dict[str, float]:
    """Fixed answers of an adapter folder, for its release."""
    from doyen_legal.probe import probe as run

    return run(folder)


def review(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """One document of a batch."""
    return review_file(path, {key: value for key, value in options.items() if key not in _DIGESTS})


VERTICAL: Final = Vertical(
    name="legal",
    version=version("doyen-legal"),
    pipeline_version=PIPELINE_VERSION,
    suffixes=frozenset({".pdf", ".docx", ".html", ".htm", ".txt"}),
    adapter_digest=lambda: adapters.digest(weights.folder()),
    review=review,
    validate_options=validate_options,
    bench=bench,
    probe=probe,
)
