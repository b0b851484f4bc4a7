"""How the queue sees the medical vertical; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from doyen_medical import weights
from doyen_medical.pipeline import MOST_CANDIDATES, PIPELINE_VERSION, PROFILES, Diagnoser
from doyen_runtime.verticals import Vertical
from doyen_schemas import DoyenError

_OPTIONS: Final = ("top", "profile", "evidence", "llm")


def validate_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """``top`` (1 to 50), ``profile``, ``evidence`` and ``llm`` (true or false); the knowledge's version is added, so that newer knowledge ranks anew.

    Raises MED-020 (unknown option or value).
    """
    from doyen_medical.knowledge.store import load

    unknown = sorted(set(options) - {*_OPTIONS, "knowledge"})
    if unknown:
        raise DoyenError("MED-020", f"unknown option {unknown[0]!r}.", f"Options: {', '.join(_OPTIONS)}.")
    top = str(options.get("top", 10))
    if not top.isdecimal():
        raise DoyenError(
            "MED-020", f"option top is {top!r}; it must be 1 to {MOST_CANDIDATES}.", "Write top=10."
        )
    profile = str(options.get("profile", "fix"))
    if profile not in PROFILES:
        raise DoyenError("MED-020", f"option profile is {profile!r}.", f"Write one of {', '.join(PROFILES)}.")
    switches = {}
    for name, default in (("evidence", "false"), ("llm", "true")):
        value = str(options.get(name, default)).lower()
        if value not in ("true", "false"):
            raise DoyenError("MED-020", f"option {name} is {value!r}.", f"Write {name}=true or {name}=false.")
        switches[name] = value == "true"
    Diagnoser(top=int(top))
    return {
        "top": int(top), "profile": profile, **switches, "knowledge": load().version,
    }  # fmt: skip


def probe(folder: Path) -> dict[str, float]:
    """Fixed answers of an adapter folder, for its release."""
    from doyen_medical.probe import probe as run

    return run(folder)


def bench() -> dict[str, Any]:
    """``doyen bench medical``."""
    from doyen_medical.bench import bench as run

    return run()


def review(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """One patient of a batch."""
    from doyen_medical.tasks import diagnose_file

    return diagnose_file(path, options)


VERTICAL: Final = Vertical(
    name="medical",
    version=version("doyen-medical"),
    pipeline_version=PIPELINE_VERSION,
    suffixes=frozenset({".json", ".txt", ".tsv", ".csv"}),
    adapter_digest=lambda: weights.release()[1],
    review=review,
    validate_options=validate_options,
    bench=bench,
    probe=probe,
)
