"""The text of an argument: the words themselves, or the file that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from doyen_schemas import DoyenError

_SUFFIXES: Final = {".txt", ".html", ".htm", ".pdf", ".docx", ".md"}


def text_of(argument: str) -> str:
    """``argument``, or the text of the file of that name. Raises FIN-040 (no such file), DOC-0xx (cannot be read)."""
    if len(argument) > 1024 or "\n" in argument:
        return argument
    path = Path(argument)
    if path.suffix.lower() not in _SUFFIXES:
        return argument
    if not path.is_file():
        if " " in argument:
            return argument
        raise DoyenError(
            "FIN-040",
            f"{path.name} cannot be read (no such file).",
            "Name an existing file, or give the text itself.",
        )
    from doyen_documents import read

    return read(path).text
