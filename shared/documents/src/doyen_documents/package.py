"""The parts of a DOCX package, read within limits: a small zip file can unpack to petabytes.

Sizes are checked from the directory before anything is inflated, and again while reading, because headers lie.
"""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Final

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_ENTRIES: Final = 10_000
MAX_TOTAL_BYTES: Final = 1 * 2**30
MAX_PART_BYTES: Final = 64 * 2**20
# XML of real documents shrinks 5 to 50 times; deflate's most is 1,032.
MAX_RATIO: Final = 250
RATIO_COUNTS_FROM: Final = 2**20

_MAIN = "main+xml"


class Package:
    """A DOCX file's parts by role: ``main``, ``numbering``, ``styles``, ``footnotes``, ``endnotes``.

    Raises DOC-007 (encrypted), DOC-009 (damaged), DOC-010 (beyond the limits), DOC-011 (a DTD).
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._archive = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise _damaged("its directory cannot be read") from error
        entries = self._archive.infolist()
        _check_limits(entries, len(data))
        self._names = {entry.filename.lower(): entry for entry in entries}
        self._roles = self._read_roles()

    def part(self, role: str) -> _Element | None:
        """The root element of a part, or None where the package has none."""
        name = self._roles.get(role)
        return self._xml(name) if name else None

    def _read_roles(self) -> dict[str, str]:
        roles: dict[str, str] = {}
        types = self._xml("[content_types].xml")
        for override in types if types is not None else []:
            kind, name = override.get("ContentType", ""), override.get("PartName", "").lstrip("/").lower()
            role = "main" if kind.endswith(_MAIN) else kind.rpartition(".")[2].removesuffix("+xml")
            if name in self._names:
                roles.setdefault(role, name)
        if "main" not in roles:
            if "word/document.xml" not in self._names:
                raise _damaged("it has no main document part")
            roles["main"] = "word/document.xml"
        return roles

    def _xml(self, name: str) -> _Element | None:
        from lxml import etree

        entry = self._names.get(name)
        if entry is None:
            return None
        # No network, no entities, and libxml2's own limits on depth and text length stay on.
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False
        )
        try:
            root = etree.fromstring(self._bytes(entry), parser)
        except etree.XMLSyntaxError as error:
            raise _damaged(f"the XML of a part is broken at line {error.lineno or 0}") from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise DoyenError(
                "DOC-011",
                "the DOCX file declares a document type or entities, which DOCX forbids.",
                "Save the file again in Word.",
            )
        return root

    def _bytes(self, entry: zipfile.ZipInfo) -> bytes:
        if entry.flag_bits & 1:
            raise DoyenError(
                "DOC-007", "the DOCX file's parts are encrypted.", "Save a copy without the password."
            )
        if entry.file_size > MAX_PART_BYTES:
            raise _too_big(f"a part has {entry.file_size // 2**20} MiB", f"{MAX_PART_BYTES // 2**20} MiB")
        try:
            with self._archive.open(entry) as file:
                data = file.read(MAX_PART_BYTES + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise _damaged("a part cannot be unpacked") from error
        if len(data) > MAX_PART_BYTES:
            raise _too_big("a part is larger than its header says", f"{MAX_PART_BYTES // 2**20} MiB")
        return data


def _check_limits(entries: list[zipfile.ZipInfo], packed: int) -> None:
    if len(entries) > MAX_ENTRIES:
        raise _too_big(f"it has {len(entries)} entries", str(MAX_ENTRIES))
    total = sum(entry.file_size for entry in entries)
    if total > MAX_TOTAL_BYTES:
        raise _too_big(f"it unpacks to {total // 2**20} MiB", f"{MAX_TOTAL_BYTES // 2**20} MiB")
    for entry in entries:
        if entry.file_size > RATIO_COUNTS_FROM and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise _too_big(
                f"an entry unpacks to {entry.file_size // max(entry.compress_size, 1)} times its size",
                str(MAX_RATIO),
            )
    # Entries that share their packed bytes add up to more than the file.
    if sum(entry.compress_size for entry in entries) > packed:
        raise _too_big("its entries overlap", "the file's own size")


def _too_big(found: str, limit: str) -> DoyenError:
    return DoyenError(
        "DOC-010",
        f"the DOCX file is refused as a zip bomb: {found}; the limit is {limit}.",
        "Save the file again in Word.",
    )


def _damaged(what: str) -> DoyenError:
    return DoyenError(
        "DOC-009", f"the DOCX file is damaged: {what}.", "Open and save it in Word, or export it to PDF."
    )
