"""A vertical without a model, for tests of the queue: the document says what happens to its reviewer.

The first word of the file's text is the behaviour:

=============  ============================================================================
``ok``         a report at once
``sleep S``    a report after S seconds
``error``      DoyenError, the document's fault
``bug``        an unforeseen exception
``flaky N``    an unforeseen exception in the first N runs, then a report
``crash``      SIGKILL to the process that reads it
``crash N``    the same in the first N runs, then a report
``stuck``      a loop in C that never returns to Python, which no signal ends
``nan``        a report that is not JSON
=============  ============================================================================

``DOYEN_TESTKIT_RUNS`` names a file to which every review adds a line, begun before the behaviour and ended after
it, so that tests can count what ran. ``DOYEN_TESTKIT_ADAPTER`` names the adapter folder; without it the digest is
that of an empty adapter.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import time
from collections import deque
from collections.abc import Mapping
from itertools import repeat
from pathlib import Path
from typing import Any

from doyen_runtime import adapters
from doyen_runtime.verticals import Vertical
from doyen_schemas import DocumentInfo, DoyenError, Evidence, Finding, Report, Stage

NAME = "testkit"
OPTIONS = {"side": "buyer"}


def review(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """A report with one finding that quotes the first word, after the behaviour that the word names."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DoyenError("RUN-902", "the file is not UTF-8 text", "Save it as UTF-8.") from error
    if not text.strip():
        raise DoyenError("RUN-902", f"the file holds no text ({len(data)} bytes)", "Submit a file with text.")
    sha256 = hashlib.sha256(data).hexdigest()
    runs = _log("begin", sha256)
    word, argument = [*text.split(), ""][:2]
    number = float(argument) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", argument) else None
    match word:
        case "sleep":
            time.sleep(number or 0.0)
        case "error":
            raise DoyenError("RUN-901", "the test document asks for an error", "Nothing to do.")
        case "bug":
            raise ValueError(f"never log this: {text}")
        case "flaky" if runs <= (number or 0):
            raise RuntimeError(f"never log this: {text}")
        case "crash" if number is None or runs <= number:
            os.kill(os.getpid(), signal.SIGKILL)
        case "stuck":
            deque(repeat(None), maxlen=0)
    start = text.index(word)
    report = Report(
        vertical=NAME,
        created="1970-01-01T00:00:00Z",
        document=DocumentInfo(
            name=path.name, sha256=sha256, media_type="text/plain", pages=0, characters=len(text)
        ),
        side=options["side"],
        findings=[
            Finding(
                id="F1", kind="clause", label="Behaviour", source="testkit",
                evidence=[Evidence(quote=word, start=start, end=start + len(word))],
            )
        ],
        stages=[Stage(name="behave", state="ran")],
    ).model_dump(mode="json")  # fmt: skip
    if word == "nan":
        report["findings"][0]["score"] = float("nan")
    _log("end", sha256)
    return report


def validate_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """``side``: buyer or seller."""
    unknown = sorted(set(options) - set(OPTIONS))
    side = options.get("side", OPTIONS["side"])
    if unknown or side not in ("buyer", "seller"):
        raise DoyenError(
            "RUN-008",
            f"options {dict(options)}: side must be buyer or seller, and there is no other option",
            "--option side=seller",
        )
    return {"side": side}


def adapter_digest() -> str:
    """The digest of the folder that ``DOYEN_TESTKIT_ADAPTER`` names."""
    folder = os.environ.get("DOYEN_TESTKIT_ADAPTER")
    return adapters.digest(Path(folder)) if folder else hashlib.sha256(b"").hexdigest()


def probe(folder: Path) -> dict[str, float]:
    """The number ``answer`` in the adapter folder's ``config.json``."""
    return {"answer": float(json.loads((folder / "config.json").read_text())["answer"])}


def bench() -> dict[str, Any]:
    """Nothing is measured."""
    return {"documents_per_second": 1.0}


def _log(event: str, sha256: str) -> int:
    """Add a line to the log of runs; how often this document has begun, this time included."""
    file = os.environ.get("DOYEN_TESTKIT_RUNS")
    if not file:
        return 1
    # One write of one short line in append mode is atomic between processes.
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as stream:
        stream.write(f"{event} {sha256} {os.getpid()}\n")
    return Path(file).read_text().count(f"begin {sha256}")


VERTICAL = Vertical(
    name=NAME,
    version="0.1.0",
    pipeline_version="1",
    suffixes=frozenset({".txt"}),
    adapter_digest=adapter_digest,
    review=review,
    validate_options=validate_options,
    bench=bench,
    probe=probe,
)
