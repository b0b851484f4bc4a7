"""``doyen bench legal``: speed on the sample contracts, and the protocols where the data is at hand."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, Final

_PAGES: Final = 50


def bench() -> dict[str, Any]:
    """Figures as measured on this machine.

    ``seconds_50_pages``: reading (no cache) and reviewing 50 PDF pages without the language model, models loaded
    before; ``first_seconds``: the first contract with everything loaded from disk; ``sentences_per_second``: decoding
    alone; ``import_seconds``: ``import doyen_legal`` in a new process. The protocols run on the dev files of
    ``DOYEN_DATA`` where they exist.
    """
    return {**speed(), **protocols()}


def speed() -> dict[str, Any]:
    """The speed figures."""
    from doyen_documents import read
    from doyen_legal.extract.extractor import Extractor
    from doyen_legal.pipeline import Reviewer
    from doyen_legal.samples import contracts

    files = [path for path in contracts() if path.suffix == ".pdf"]
    reviewer = Reviewer(llm=False)
    began = time.monotonic()
    reviewer.review_document(read(files[0], cache=False))
    first = time.monotonic() - began
    pages, turn = 0, 0
    began = time.monotonic()
    while pages < _PAGES:
        document = read(files[turn % len(files)], cache=False)
        reviewer.review_document(document)
        pages += len(document.pages)
        turn += 1
    seconds = time.monotonic() - began
    extractor = Extractor.shipped()
    text = "\n\n".join(read(path).text for path in files) * 3
    began = time.monotonic()
    scores = extractor.score(text)
    decoding = time.monotonic() - began
    return {
        "first_seconds": round(first, 2),
        "pages": pages,
        "seconds_50_pages": round(seconds * _PAGES / pages, 2),
        "sentences_per_second": round(len(scores.sentences_N2) / decoding, 1),
        "import_seconds": round(_import_seconds(), 3),
    }


def protocols() -> dict[str, Any]:
    """The quality figures on the dev files, or the note that there is no data."""
    from doyen_runtime.settings import get_settings

    data = get_settings().data / "legal"
    cuad, pairs = data / "cuad" / "dev.jsonl.gz", data / "contract-nli" / "pairs_dev.csv.gz"
    if not (cuad.is_file() and pairs.is_file()):
        return {"protocols": f"skipped: no data in {data} (set DOYEN_DATA)"}
    from doyen_legal.evaluate.cuad import evaluate_cuad
    from doyen_legal.evaluate.nli import evaluate_pairs

    names = ("aupr", "p_at_80r", "p_at_90r", "micro_f1", "macro_f1", "presence_auroc_macro")
    extraction, verdicts = evaluate_cuad(cuad).figures, evaluate_pairs(pairs)
    return {
        **{f"cuad_dev_{name}": extraction[name] for name in names},
        **{f"contract_nli_dev_{name}": verdicts[name] for name in ("accuracy", "contradiction_f1")},
    }


def _import_seconds() -> float:
    """The best of five: a cold disk is not the package's."""
    code = "import time; began = time.perf_counter(); import doyen_legal; print(time.perf_counter() - began)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return min(float(run.stdout) for run in runs)
