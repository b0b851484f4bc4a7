"""The review of one contract: document → extract → check → playbook → dates → priority → report.

Each stage is a plain function from typed input to typed output; a stage that cannot run is named in the report with
the reason. Nothing here imports torch until a contract is reviewed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from doyen_schemas import Document, DocumentInfo, DoyenError, Evidence, Finding, Report, Stage

if TYPE_CHECKING:
    from doyen_legal.consistency import Fault
    from doyen_legal.extract.extractor import Extractor
    from doyen_legal.extract.types import Clause, Extraction
    from doyen_legal.playbook import Playbook
    from doyen_legal.risk.outcomes import OutcomeModel

PIPELINE_VERSION: Final = "1"
# A label that may or may not be there, and has no span above the threshold, is shown for a person to look at.
_UNSURE: Final = (0.35, 0.85)
_FAULT_SEVERITY: Final = {
    "conflicting-law": "high", "conflicting-cap": "high", "date-order": "high", "number-word-mismatch": "high",
    "term-arithmetic": "medium", "duplicate-definition": "medium", "dangling-section": "medium",
    "dangling-exhibit": "medium", "undefined-term": "medium", "party-name-drift": "medium", "case-drift": "low",
    "unused-term": "note",
}  # fmt: skip

T = TypeVar("T")


@dataclass
class _Run:
    """The stages of one review as they happen."""

    stages: list[Stage] = field(default_factory=list)

    def stage(
        self, name: str, work: Callable[[], T], count: Callable[[T], Mapping[str, int]], version: str = ""
    ) -> T:
        began = time.perf_counter()
        result = work()
        self.stages.append(
            Stage(name=name, state="ran", version=version, seconds=round(time.perf_counter() - began, 3),
                  counts=dict(count(result)))
        )  # fmt: skip
        return result

    def optional(
        self, name: str, work: Callable[[], list[Finding]], unit: str, version: str = ""
    ) -> list[Finding]:
        """A stage whose fault must not cost the reader the others: it is named ``absent`` with the kind of error.

        Errors that the user can mend (DoyenError) still stop the review.
        """
        try:
            return self.stage(name, work, lambda found: {unit: len(found)}, version)
        except DoyenError:
            raise
        except Exception as error:
            if os.environ.get("DOYEN_DEBUG"):
                raise
            self.left_out(name, "absent", f"unexpected {type(error).__name__}; DOYEN_DEBUG=1 shows where")
            return []

    def left_out(self, name: str, state: str, reason: str) -> None:
        self.stages.append(Stage.model_validate({"name": name, "state": state, "reason": reason}))


class Reviewer:
    """Reviews contracts on a CPU, offline.

    Args:
        playbook: a shipped playbook's name, a YAML file, or None to choose by the contract's type.
        side: our side in the playbook's words; None takes the playbook's first.
        llm: ask the language model where the extractor is unsure, for the labels where it won on dev. Without the
            base (``doyen base pull``) the report says ``llm: absent``.
        adapter: another adapter folder than the shipped one.
        outcomes: a model that ``doyen legal fit-outcomes`` wrote from your own outcomes: the priority then carries
            a probability, and names what it was fitted to.

    Raises LEG-031 to LEG-033 for a playbook or side that is not valid, LEG-036 for such an outcome model.
    """

    def __init__(
        self, *, playbook: str | Path | None = None, side: str | None = None, llm: bool = True,
        adapter: Path | None = None, outcomes: str | Path | None = None,
    ) -> None:  # fmt: skip
        from doyen_legal.playbook import load_playbook

        self._playbook: Playbook | None = load_playbook(playbook) if playbook is not None else None
        self._side = side
        if side is not None and self._playbook is not None:
            self._playbook.check_side(side)
        self._llm = llm
        self._adapter = adapter
        self._outcomes: OutcomeModel | None = None
        if outcomes is not None:
            from doyen_legal.risk.outcomes import OutcomeModel

            self._outcomes = OutcomeModel.load(Path(outcomes))

    @cached_property
    def _extractor(self) -> Extractor:
        from doyen_legal.extract.extractor import Extractor

        return Extractor.shipped(self._adapter)

    def review(self, path: str | Path) -> Report:
        """Review the contract in a PDF, DOCX, HTML or text file.

        Raises DOC-… for a file that cannot be read, LEG-064 for one without text (a scan), RUN-01x for weights that
        are not the released ones.
        """
        from doyen_documents import read

        return self.review_document(read(path))

    def review_document(self, document: Document) -> Report:
        """Review a document that is already read."""
        if not document.text.strip():
            raise DoyenError(
                "LEG-064", f"{document.name} has no text layer ({len(document.pages)} pages).",
                "Run it through OCR first; Doyen does not review what it cannot read.",
            )  # fmt: skip
        run = _Run()
        extraction = run.stage(
            "extract",
            lambda: self._extractor.extract(document.text),
            lambda e: {"candidates": len(e.clauses)},
        )
        extraction = self._second_opinion(document, extraction, run)
        threshold = self._extractor.threshold
        shown = _distinct([clause for clause in extraction.clauses if clause.score > threshold])
        findings = clause_findings(document, shown, extraction, threshold)
        findings += run.optional("check", lambda: fault_findings(document), "faults")
        playbook, side = self._choose(document)
        if playbook is None:
            run.left_out("playbook", "skipped", "contract type unknown: name a playbook to apply one")
        else:
            chosen = playbook
            findings += run.optional(
                "playbook", lambda: _apply(document, shown, extraction, chosen, side), "findings",
                f"{playbook.name} {playbook.version}",
            )  # fmt: skip
        findings += run.optional("dates", lambda: _dates(document, shown), "dates")
        return self._report(document, findings, run, playbook, side)

    def _second_opinion(self, document: Document, extraction: Extraction, run: _Run) -> Extraction:
        from doyen_legal.llm.stage import availability, second_opinion

        if not self._llm:
            run.left_out("llm", "skipped", "switched off")
            return extraction
        available = availability()
        if available.state != "ready":
            run.left_out("llm", available.state, available.reason)
            return extraction
        opinion = run.stage(
            "llm", lambda: second_opinion(document.text, extraction),
            lambda o: {"windows": o.windows, "hallucinated_quotes": o.hallucinated},
        )  # fmt: skip
        return opinion.extraction

    def _choose(self, document: Document) -> tuple[Playbook | None, str]:
        from doyen_legal.playbook import detect

        playbook = self._playbook or detect(document)
        if playbook is None:
            return None, ""
        return playbook, self._side or playbook.sides[0]

    def _report(
        self, document: Document, findings: list[Finding], run: _Run, playbook: Playbook | None, side: str
    ) -> Report:
        from doyen_legal import weights
        from doyen_legal.risk import assess
        from doyen_runtime import adapters

        release = adapters.read_release(self._adapter or weights.folder())
        versions = {
            "doyen-legal": version("doyen-legal"),
            "pipeline": PIPELINE_VERSION,
            "adapter": f"{release.name} {release.version}",
            "adapter_digest": adapters.release_digest(release),
        }
        if playbook is not None:
            versions["playbook"] = f"{playbook.name} {playbook.version}"
        return Report(
            vertical="legal",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            document=DocumentInfo(
                name=document.name, sha256=document.sha256, media_type=document.media_type,
                pages=len(document.pages), characters=len(document.text), needs_ocr=document.needs_ocr,
            ),
            contract_type=playbook.contract_type if playbook else None,
            side=side or None,
            findings=_numbered(findings),
            priority=assess(findings, outcomes=self._outcomes),
            stages=run.stages,
            versions=versions,
        )  # fmt: skip


def clause_findings(
    document: Document, shown: Sequence[Clause], extraction: Extraction, threshold: float
) -> list[Finding]:
    """Findings for the spans above the threshold, in the text's order, and for labels that are in doubt."""
    findings = [_clause_finding(document, clause, "info", "") for clause in shown]
    present = {clause.label for clause in shown}
    for clause in extraction.clauses:  # best first within a label
        if clause.label in present:
            continue
        present.add(clause.label)
        if (
            _UNSURE[0] < extraction.presence.get(clause.label, 0.0) < _UNSURE[1]
            and clause.score > 0.5 * threshold
        ):
            findings.append(
                _clause_finding(document, clause, "needs_review", "possibly this clause: please read it")
            )
    return sorted(findings, key=lambda finding: finding.evidence[0].start)


def _clause_finding(document: Document, clause: Clause, status: str, message: str) -> Finding:
    from doyen_legal.labels import ENTITY_LABELS
    from doyen_legal.values import value_of

    evidence = Evidence.of(document, clause.start, clause.end)
    return Finding.model_validate(
        {
            "id": "", "kind": "entity" if clause.label in ENTITY_LABELS else "clause", "label": clause.label,
            "message": message, "value": value_of(clause.label, evidence.quote), "evidence": [evidence],
            "score": round(clause.score, 4), "status": status, "source": "extractor",
        }
    )  # fmt: skip


def fault_findings(document: Document) -> list[Finding]:
    """The consistency checker's faults as findings."""
    from doyen_legal.consistency import check

    def finding(fault: Fault) -> Finding:
        return Finding.model_validate(
            {
                "id": "", "kind": "fault", "label": fault.kind, "message": fault.message,
                "evidence": [Evidence.of(document, fault.start, fault.end)],
                "related": [Evidence.of(document, start, end) for start, end in fault.related],
                "severity": "note" if fault.note else _FAULT_SEVERITY[fault.kind],
                "status": "info" if fault.note else "risk", "source": "consistency",
            }
        )  # fmt: skip

    return [finding(fault) for fault in check(document)]


def _apply(
    document: Document, shown: Sequence[Clause], extraction: Extraction, playbook: Playbook, side: str
) -> list[Finding]:
    from doyen_legal.playbook import apply

    return apply(document, shown, extraction.presence, playbook, side)


def _dates(document: Document, shown: Sequence[Clause]) -> list[Finding]:
    from doyen_legal.dates import key_dates

    return key_dates(document, shown, on=datetime.now(UTC).date())


def _distinct(clauses: Sequence[Clause]) -> list[Clause]:
    """Of overlapping spans of one label only the best stays: a reader wants each clause once."""
    kept: list[Clause] = []
    for clause in sorted(clauses, key=lambda c: -c.score):
        if not any(k.label == clause.label and k.start < clause.end and clause.start < k.end for k in kept):
            kept.append(clause)
    return sorted(kept, key=lambda c: (c.start, c.label))


def _numbered(findings: Sequence[Finding]) -> list[Finding]:
    return [finding.model_copy(update={"id": f"F{n:03d}"}) for n, finding in enumerate(findings, start=1)]


def review_file(path: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """One document of a batch: its report as JSON-able data. The reviewer is kept for the process."""
    key = tuple(sorted(options.items()))
    if key not in _REVIEWERS:
        _REVIEWERS[key] = Reviewer(**options)
    return _REVIEWERS[key].review(path).model_dump(mode="json")


_REVIEWERS: dict[tuple[tuple[str, Any], ...], Reviewer] = {}
