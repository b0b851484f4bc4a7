"""What a vertical offers to the runtime, and how installed verticals are found.

A distribution announces its vertical in its metadata::

    [project.entry-points."doyen.verticals"]
    legal = "doyen_legal.plugin:VERTICAL"

Nothing of it is imported until the vertical is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from doyen_schemas import DoyenError

GROUP = "doyen.verticals"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_SUFFIX = re.compile(r"\.[a-z0-9]+")


def no_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The ``validate_options`` of a vertical that takes none; DoyenError RUN-008 when there are any."""
    if options:
        raise DoyenError(
            "RUN-008",
            f"unknown option(s) {', '.join(sorted(options))}: this vertical takes none",
            "Leave --option out.",
        )
    return {}


@dataclass(frozen=True, kw_only=True)
class Vertical:
    """A profession's pipeline as the queue and the command line see it.

    Attributes:
        name: lower-case name, the same as its entry point.
        version: version of the distribution.
        pipeline_version: changes whenever the same document and options may give another report; documents
            reviewed under another pipeline version are reviewed again.
        suffixes: the file suffixes that it reads, lower case with the dot.
        adapter_digest: digest of the weights in use (``doyen_runtime.adapters.digest``); called at submission
            and by every worker, so it must not load the weights.
        review: one document and its validated options to a JSON-able report. It may load models, and keeps
            them for the life of the process. Bad input raises DoyenError; any other exception counts as a
            failed attempt and is tried again.
        validate_options: ``--option`` pairs to the complete, JSON-able options, in which files are named by
            their content's digest too if the content matters; raises DoyenError.
        bench: runs the vertical's benchmark and returns its JSON-able figures.
        probe: answers of the weights in an adapter folder to an input that never changes, as numbers by name. A
            release records them, and the gate compares them again before a promotion.
    """

    name: str
    version: str
    pipeline_version: str
    suffixes: frozenset[str]
    adapter_digest: Callable[[], str]
    review: Callable[[Path, Mapping[str, Any]], dict[str, Any]]
    validate_options: Callable[[Mapping[str, Any]], dict[str, Any]] = no_options
    bench: Callable[[], dict[str, Any]] | None = None
    probe: Callable[[Path], dict[str, float]] | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"the name {self.name!r} must match {_NAME.pattern}")
        if not self.version or not self.pipeline_version:
            raise ValueError(f"{self.name}: version and pipeline_version must not be empty")
        wrong = sorted(suffix for suffix in self.suffixes if not _SUFFIX.fullmatch(suffix))
        if wrong or not self.suffixes:
            raise ValueError(f"{self.name}: suffixes {wrong} must be like '.pdf', and there must be one")


def installed() -> dict[str, list[EntryPoint]]:
    """The announced verticals by name, in order of name; importing nothing. Two under a name are a conflict."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        found.setdefault(entry.name, []).append(entry)
    return found


def load(name: str) -> Vertical:
    """The vertical called ``name``; the others are not touched.

    Raises:
        DoyenError: RUN-002 not installed, RUN-003 it does not load or is not a vertical, RUN-004 two
            distributions announce the name.
    """
    found = installed()
    if name not in found:
        raise DoyenError(
            "RUN-002",
            f"no vertical {name!r} is installed (installed: {', '.join(found) or 'none'})",
            f"Install it, for example pip install doyen-{name}.",
        )
    entries = found[name]
    if len(entries) > 1:
        owners = ", ".join(sorted(owner(entry) for entry in entries))
        raise DoyenError(
            "RUN-004",
            f"the vertical {name!r} is announced {len(entries)} times ({owners})",
            "Uninstall all but one.",
        )
    entry = entries[0]
    try:
        vertical = entry.load()
    except DoyenError:
        raise
    except Exception as error:
        raise DoyenError(
            "RUN-003",
            f"the vertical {name!r} of {owner(entry)} does not load: {type(error).__name__}: {error}",
            f"Reinstall {owner(entry)}; other verticals are not affected.",
        ) from error
    if not isinstance(vertical, Vertical) or vertical.name != name:
        raise DoyenError(
            "RUN-003",
            f"{entry.value} of {owner(entry)} is {type(vertical).__name__}"
            f" {getattr(vertical, 'name', '')!r}, not the Vertical {name!r}",
            f"Reinstall {owner(entry)}; other verticals are not affected.",
        )
    return vertical


def load_all() -> tuple[dict[str, Vertical], dict[str, DoyenError]]:
    """Every vertical that loads, and the error of every one that does not, by name."""
    verticals: dict[str, Vertical] = {}
    errors: dict[str, DoyenError] = {}
    for name in installed():
        try:
            verticals[name] = load(name)
        except DoyenError as error:
            errors[name] = error
    return verticals, errors


def owner(entry: EntryPoint) -> str:
    """The distribution that announces ``entry``."""
    return entry.dist.name if entry.dist else entry.value.partition(":")[0]
