"""One way in for every format: a file is a phenopacket, a FHIR bundle, a term list or a note, told by its content."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from doyen_medical.formats.fhir_in import from_fhir_bundle, is_fhir
from doyen_medical.formats.note import from_note
from doyen_medical.formats.phenopacket import from_phenopacket, is_phenopacket
from doyen_medical.formats.record import MOST_CHARACTERS, PatientRecord, read_json
from doyen_medical.formats.terms import from_terms
from doyen_medical.knowledge.store import Knowledge
from doyen_medical.text.chinese import ChineseRecogniser
from doyen_medical.text.concepts import Recogniser
from doyen_schemas import DoyenError

_TERM_LINE: Final = re.compile(r"\s*[!-]?\s*HPO?[:_]\d{7}\b", re.I)
_LISTS: Final = (".tsv", ".csv")
_LONGEST_NAME: Final = 300


def read_file(path: Path, knowledge: Knowledge, recogniser: Recogniser | None = None) -> PatientRecord:
    """The patient of a file; of JSON by its content, of ``.tsv`` and ``.csv`` as a list, of other text as a list when
    every line begins with an HPO id, else as a note. ``recogniser`` is made when a note needs one.

    Raises MED-059 (no such file, not readable, no UTF-8 text, JSON of another kind) and what the format raises.
    """
    text = _text(path)
    if text.lstrip()[:1] in ("{", "["):
        value = read_json(text)
        if is_fhir(value):
            return from_fhir_bundle(text)
        if is_phenopacket(value):
            return from_phenopacket(text)
        raise DoyenError(
            "MED-059", f"{shown(path)} is JSON but neither a phenopacket nor a FHIR resource.",
            "A phenopacket has phenotypicFeatures, a FHIR bundle resourceType.",
        )  # fmt: skip
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if path.suffix.lower() in _LISTS or (lines and all(_TERM_LINE.match(line) for line in lines)):
        return from_terms(text, knowledge.ontology, knowledge.maps.labels_zh)
    return read_note(text, knowledge, recogniser)


def read_note(text: str, knowledge: Knowledge, recogniser: Recogniser | None = None) -> PatientRecord:
    """``from_note`` with this knowledge's names and, where they were built, its Chinese labels."""
    english, chinese = _recognisers(knowledge)
    return from_note(text, recogniser or english, chinese)


_MADE: dict[str, tuple[Recogniser, ChineseRecogniser | None]] = {}


def _recognisers(knowledge: Knowledge) -> tuple[Recogniser, ChineseRecogniser | None]:
    """The recognisers of a knowledge version, made once a process: they take seconds."""
    if knowledge.version not in _MADE:
        labels = knowledge.maps.labels_zh
        chinese = ChineseRecogniser.of(knowledge.ontology, labels) if labels else None
        _MADE[knowledge.version] = (Recogniser.of(knowledge.ontology), chinese)
    return _MADE[knowledge.version]


def shown(path: Path) -> str:
    """A path as text that can be printed: a name need not be UTF-8, and a hostile one may be long."""
    name = os.fsencode(path).decode("utf-8", errors="replace")
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise DoyenError("MED-059", f"file not found: {shown(path)}.", "Name an existing file.")
        size = path.stat().st_size
        if size > 4 * MOST_CHARACTERS:
            raise DoyenError("MED-059", f"{shown(path)} has {size} bytes.", "Give one patient a file.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DoyenError("MED-059", f"{shown(path)} is no UTF-8 text.", "Save it as UTF-8.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise DoyenError(
            "MED-059", f"{shown(path)} cannot be read ({reason}).", "Name a file that may be read."
        ) from error
