"""What a worker offers to reviews that take hours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from doyen_runtime.batches import describe
from doyen_runtime.ledger import Ledger, Work
from doyen_runtime.verticals import Vertical
from doyen_runtime.worker import WorkStopped, lift_time_limit, note, run_item

WORK = Work("long", "1", "1", "a" * 64, {})


def test_a_long_review_notes_its_progress_and_may_be_given_back(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    ledger = Ledger(f"sqlite:///{tmp_path}/l.db")
    batch = ledger.submit(WORK, [describe([tmp_path / "a.txt"])])
    stopping = [True, False]

    def review(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
        lift_time_limit()
        time.sleep(0.3)  # longer than the limit below
        note({"step": 2})
        if stopping.pop(0):
            raise WorkStopped
        return {"done": True}

    vertical = Vertical(
        name="long", version="1", pipeline_version="1", suffixes=frozenset({".txt"}),
        adapter_digest=lambda: "a" * 64, review=review,
    )  # fmt: skip
    for state in ("released", "done"):
        claim = ledger.claim(batch, 0, "w")
        assert claim is not None
        assert claim.attempt == 1
        assert run_item(ledger, claim, document_seconds=0.2, load=lambda _: (vertical, "a" * 64)) == state
        assert ledger.noted(claim.key) == {"step": 2}
    assert ledger.report(claim.key) == {"done": True}
    ledger.close()
