"""Codes and names that the user builds from public files: MONDO mappings, ORPHA to OMIM, Chinese labels.

None of them is shipped. What was not built is named as absent in reports; ranking works without.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from doyen_schemas import DoyenError

NAME: Final = "maps.json"
_LIMIT: Final = 200_000_000
_SYSTEMS: Final = {
    "omim": "OMIM", "omimps": "OMIMPS", "orphanet": "ORPHA", "icd10cm": "ICD-10-CM", "icd10who": "ICD-10",
    "icd11.foundation": "ICD-11", "sctid": "SNOMED", "mesh": "MESH", "umls": "UMLS",
}  # fmt: skip
OUTPUT_SYSTEMS: Final = ("MONDO", "ORPHA", "ICD-10-CM", "ICD-11")
RELATIONS: Final = {"E": "exact", "NTBT": "broader", "BTNT": "narrower"}


class Code(NamedTuple):
    """A code of another system; ``relation`` is exact, broader or narrower, seen from the disease."""

    system: str
    code: str
    label: str
    relation: str


@dataclass(frozen=True)
class Maps:
    """What was built; empty parts are absent.

    Attributes:
        orpha_omim: ORPHA code to (OMIM code, ``exact``, ``broader`` or ``narrower``) pairs.
        mondo: MONDO id to its codes in other systems.
        labels_zh: HPO id to Chinese label.
        names_zh: disease code to Chinese name.
        digest: of the whole file; empty when nothing was built.
        systems: code systems whose files were given.
    """

    orpha_omim: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    mondo: dict[str, list[Code]] = field(default_factory=dict)
    labels_zh: dict[str, str] = field(default_factory=dict)
    names_zh: dict[str, str] = field(default_factory=dict)
    systems: tuple[str, ...] = ()
    digest: str = ""

    @property
    def absent(self) -> tuple[str, ...]:
        """The code systems that a report cannot give."""
        have = {"MONDO", *self.systems} if self.mondo else set()
        if self.orpha_omim:
            have.add("ORPHA")
        return tuple(system for system in OUTPUT_SYSTEMS if system not in have)

    @cached_property
    def mondo_of(self) -> dict[str, str]:
        """OMIM or ORPHA code to the MONDO id that is the same disease."""
        return {
            code.code: mondo
            for mondo, codes in self.mondo.items()
            for code in codes
            if code.system in ("OMIM", "ORPHA") and code.relation == "exact"
        }

    @cached_property
    def orpha_of(self) -> dict[str, list[tuple[str, str]]]:
        """OMIM code to (ORPHA code, relation seen from the OMIM disease) pairs."""
        turned = {"exact": "exact", "broader": "narrower", "narrower": "broader"}
        found: dict[str, list[tuple[str, str]]] = {}
        for orpha, pairs in sorted(self.orpha_omim.items()):
            for omim, relation in pairs:
                found.setdefault(omim, []).append((orpha, turned[relation]))
        return found

    def exact_orpha(self, omim: str) -> tuple[str, ...]:
        """The ORPHA codes that are the same disease: by Orphanet's own map, else through MONDO."""
        direct = tuple(orpha for orpha, relation in self.orpha_of.get(omim, ()) if relation == "exact")
        if direct or self.orpha_omim:
            return direct
        codes = self.mondo.get(self.mondo_of.get(omim, ""), ())
        return tuple(code.code for code in codes if code.system == "ORPHA" and code.relation == "exact")


def load_maps(folder: Path) -> Maps:
    """The maps built in ``folder``; empty when there are none. Raises MED-003 when the file is damaged."""
    path = folder / NAME
    if not path.is_file():
        return Maps()
    content = path.read_bytes()
    try:
        parts = json.loads(content)
        return Maps(
            orpha_omim={key: [(a, b) for a, b in pairs] for key, pairs in parts["orpha_omim"].items()},
            mondo={key: [Code(*code) for code in codes] for key, codes in parts["mondo"].items()},
            labels_zh=dict(parts["labels_zh"]),
            names_zh=dict(parts["names_zh"]),
            systems=tuple(parts["systems"]),
            digest=hashlib.sha256(content).hexdigest(),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DoyenError(
            "MED-003", f"{NAME} in the knowledge folder is damaged ({type(error).__name__}).",
            "Run doyen medical knowledge build again.",
        ) from error  # fmt: skip


def build_maps(
    *, mondo: Path | None, orpha_map: Path | None, labels_zh: Path | None, names_zh: Iterable[Path] = ()
) -> Maps:
    """Read the public files, each plain or gzipped.

    Args:
        mondo: folder of MONDO's SSSOM files (``mondo_exactmatch_omim.sssom.tsv`` and so on).
        orpha_map: JSON ``{"ORPHA:…": [["OMIM:…", "E" | "NTBT" | "BTNT"], …]}``.
        labels_zh: JSON lines with ``subject_id`` and ``translation_value``.
        names_zh: JSON files ``{"OMIM:…": {"CNS_NAME": …}}``.

    Raises MED-003 for a missing file or another format.
    """
    codes: dict[str, list[Code]] = {}
    systems: list[str] = []
    if mondo is not None:
        codes, systems = _mondo(mondo)
    return Maps(
        orpha_omim=_read(orpha_map, _orpha) if orpha_map else {},
        mondo=codes,
        labels_zh=_read(labels_zh, _labels) if labels_zh else {},
        names_zh={code: name for path in names_zh for code, name in _read(path, _names).items()},
        systems=tuple(systems),
    )


def save_maps(maps: Maps, folder: Path) -> None:
    """Write the maps into the user's knowledge folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = asdict(maps)
    del parts["digest"]
    part = folder / f"{NAME}.part"
    part.write_text(json.dumps(parts, ensure_ascii=False), encoding="utf-8")
    part.replace(folder / NAME)


def _mondo(folder: Path) -> tuple[dict[str, list[Code]], list[str]]:
    files = sorted(folder.glob("mondo_*match_*.sssom.tsv*")) if folder.is_dir() else []
    if not files:
        raise DoyenError(
            "MED-003", f"{folder} has no mondo_*match_*.sssom.tsv file.",
            "Name the folder of MONDO's SSSOM mappings.",
        )  # fmt: skip
    found: dict[str, list[Code]] = {}
    systems: dict[str, None] = {}
    for path in files:
        match = re.match(r"mondo_(exact|broad|narrow)match_(.+?)\.sssom", path.name)
        system = _SYSTEMS.get(match[2]) if match else None
        if match is None or system is None:
            continue
        systems[system] = None
        relation = {"exact": "exact", "broad": "broader", "narrow": "narrower"}[match[1]]
        for mondo, code, label in _read(path, _sssom):
            local = code.partition(":")[2]
            written = f"{system}:{local}" if system in ("OMIM", "OMIMPS", "ORPHA") else local
            found.setdefault(mondo, []).append(Code(system, written, label, relation))
    return found, list(systems)


def _sssom(text: str) -> list[tuple[str, str, str]]:
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    mondo, code = (lines[0].index(name) for name in ("subject_id", "object_id"))
    label = lines[0].index("object_label") if "object_label" in lines[0] else None  # MeSH's file has none
    return [
        (row[mondo], row[code], row[label] if label is not None else "")
        for row in lines[1:]
        if len(row) == len(lines[0])
    ]


def _orpha(text: str) -> dict[str, list[tuple[str, str]]]:
    return {
        orpha: [(omim, RELATIONS[kind]) for omim, kind in pairs if kind in RELATIONS]
        for orpha, pairs in json.loads(text).items()
    }


def _labels(text: str) -> dict[str, str]:
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    return {row["subject_id"]: row["translation_value"] for row in rows}


def _names(text: str) -> dict[str, str]:
    return {code: row["CNS_NAME"] for code, row in json.loads(text).items()}


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    """Parse a plain or gzipped text file; every failure is a MED-003 that names the file."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            with gzip.open(path) as file:
                content = file.read(_LIMIT)
        return parse(content.decode("utf-8"))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DoyenError(
            "MED-003", f"{path.name} cannot be read as the format it should have ({type(error).__name__}).",
            "doyen medical knowledge build --help names the formats.",
        ) from error  # fmt: skip
