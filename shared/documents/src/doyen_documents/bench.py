"""How much of what lawyers marked is found again in the text read from PDFs, and how fast.

    python -m doyen_documents.bench --data DIR --answers FILE [--answers FILE …] [--limit N] [--json]

``DIR`` holds PDFs and ``index.json`` (file name → contract id); the answer files are CUAD JSON lines (gzipped or
not): ``{"id", "spans": [{"label", "text"}]}``. White space and punctuation are ignored on both sides.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
import unicodedata
from pathlib import Path
from statistics import mean, median
from typing import Any

from doyen_documents.reader import read
from doyen_schemas import DoyenError


def letters(text: str) -> str:
    """Letters and digits alone, case kept, compatibility forms (ligatures, full width) resolved."""
    return "".join(c for c in unicodedata.normalize("NFKC", text) if c.isalnum())


def measure(data: Path, answers: list[Path], limit: int | None = None) -> dict[str, Any]:
    """The share of answers found and the seconds a page over the PDFs of ``data``, without the cache.

    Raises DOC-020 when a file of the benchmark is missing or has another format.
    """
    try:
        index: dict[str, str] = json.loads((data / "index.json").read_text(encoding="utf-8"))
        spans = {row["id"]: row["spans"] for path in answers for row in _rows(path)}
        names = sorted(index)[:limit]
        wanted = {name: [(span["label"], span["text"]) for span in spans[index[name]]] for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DoyenError(
            "DOC-020",
            f"the benchmark's data cannot be used: {type(error).__name__} in {data} or the answer files.",
            "--data needs PDFs and index.json; --answers CUAD JSON lines that hold every contract of the index.",
        ) from error
    files: list[dict[str, Any]] = []
    before = os.times()
    for name in names:
        started = time.perf_counter()
        document = read(data / name, cache=False)
        seconds = time.perf_counter() - started
        found = letters(document.text)
        misses = [(label, text) for label, text in wanted[name] if letters(text) not in found]
        files.append(
            {
                "file": name, "pages": len(document.pages), "seconds": round(seconds, 3),
                "spans": len(wanted[name]), "found": len(wanted[name]) - len(misses),
                "missed": [{"label": label, "characters": len(text)} for label, text in misses],
                "needs_ocr": document.needs_ocr,
            }
        )  # fmt: skip
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    total = sum(file["spans"] for file in files)
    pages = sum(file["pages"] for file in files)
    rates = [file["seconds"] / file["pages"] for file in files]
    return {
        "files": len(files), "pages": pages, "spans": total,
        "found": sum(file["found"] for file in files),
        "share": round(sum(file["found"] for file in files) / total, 5) if total else None,
        "seconds": round(sum(file["seconds"] for file in files), 1),
        "seconds_per_page_mean": round(sum(file["seconds"] for file in files) / pages, 4) if pages else None,
        "seconds_per_page_median": round(median(rates), 4) if rates else None,
        "cpu_seconds_per_page": round(cpu / pages, 4) if pages else None,
        "seconds_per_file_mean": round(mean(file["seconds"] for file in files), 2) if files else None,
        "per_file": files,
    }  # fmt: skip


def _rows(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    return [json.loads(line) for line in text.split(b"\n") if line.strip()]


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 0, or 2 after an error."""
    parser = argparse.ArgumentParser(
        prog="python -m doyen_documents.bench", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="PDFs and index.json")
    parser.add_argument(
        "--answers", type=Path, nargs="+", required=True, metavar="FILE", help="CUAD JSON lines"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="read the first N files only")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parser.parse_args(arguments)
    try:
        result = measure(options.data, options.answers, options.limit)
    except DoyenError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result))
        return 0
    for file in result["per_file"]:
        missed = ", ".join(f"{miss['label']} ({miss['characters']})" for miss in file["missed"])
        print(
            f"{file['file']}  {file['pages']:4} pages {file['seconds']:7.2f} s  {file['found']}/{file['spans']}  {missed}"
        )
    print(
        f"{result['found']} of {result['spans']} answers found ({100 * (result['share'] or 0):.2f} %) in {result['files']} "
        f"files, {result['pages']} pages; {result['seconds_per_page_mean']} s a page (median of the files "
        f"{result['seconds_per_page_median']}; processor time {result['cpu_seconds_per_page']})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
