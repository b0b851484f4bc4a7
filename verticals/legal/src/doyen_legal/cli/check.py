"""``doyen legal check``: the faults that a contract's own text proves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_schemas import Document, DoyenError

_EXCERPT_CHARS = 60


def check(
    files: Annotated[list[Path], typer.Argument(help="Contracts: PDF, DOCX, HTML or text.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    kinds: Annotated[str | None, typer.Option("--kinds", help="Only these kinds, divided by commas.")] = None,
    no_notes: Annotated[bool, typer.Option("--no-notes", help="Leave notes (unused terms) out.")] = False,
) -> None:
    """Undefined terms, dangling references, figures, dates, laws and caps that contradict each other.

    A file that cannot be read gets one error line; the others are checked, and the exit status is 2. With --json
    each fault has its file, kind, start and end (character offsets into the extracted text), message, related
    (a list of [start, end]) and note: true where it is worth knowing, but no one need act.
    """
    from doyen_documents import read
    from doyen_legal.consistency import check as check_document

    wanted = _kinds(kinds)
    faults: list[dict[str, Any]] = []
    failed = False
    for path in files:
        try:
            document = read(path)
            found = check_document(document)
        except DoyenError as error:
            typer.echo(f"{path}: {error}", err=True)
            failed = True
            continue
        chosen = [f for f in found if (wanted is None or f.kind in wanted) and not (no_notes and f.note)]
        if as_json:
            faults += [
                {
                    "file": str(path), "kind": fault.kind, "start": fault.start, "end": fault.end,
                    "message": fault.message, "related": [list(span) for span in fault.related],
                    "note": fault.note,
                }
                for fault in chosen
            ]  # fmt: skip
            continue
        notes = sum(fault.note for fault in chosen)
        typer.echo(f"{path}: {_count(len(chosen) - notes, 'fault')}, {_count(notes, 'note')}")
        for fault in chosen:
            typer.echo(f"  {_place(document, fault.start):12} {fault.kind:22} {fault.message}")
            typer.echo(f"  {'':12} {'':22} {_excerpt(document, fault.start, fault.end)}")
    if as_json:
        typer.echo(json.dumps({"faults": faults}, ensure_ascii=False))
    if failed:
        raise typer.Exit(2)


def _kinds(text: str | None) -> frozenset[str] | None:
    """The kinds of ``--kinds``; raises LEG-011 for one that does not exist."""
    from doyen_legal.consistency import KINDS

    if text is None:
        return None
    wanted = frozenset(kind.strip() for kind in text.split(",") if kind.strip())
    unknown = sorted(wanted - set(KINDS))
    if unknown or not wanted:
        raise DoyenError(
            "LEG-011",
            f"--kinds {text!r} names {unknown[0] if unknown else 'no kind'!r}, which is no kind of fault.",
            f"The kinds are {', '.join(KINDS)}.",
        )
    return wanted


def _place(document: Document, offset: int) -> str:
    page = document.page_at(offset)
    return f"page {page}" if page is not None else f"line {document.text.count(chr(10), 0, offset) + 1}"


def _excerpt(document: Document, start: int, end: int) -> str:
    text = document.text
    before = " ".join(text[max(0, start - _EXCERPT_CHARS) : start].split())
    after = " ".join(text[end : end + _EXCERPT_CHARS].split())
    return f"… {before} [{' '.join(text[start:end].split())}] {after} …"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
