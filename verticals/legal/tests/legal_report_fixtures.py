"""A hand-made report of a sample contract, for the tests of the report writers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from doyen_documents import read
from doyen_legal import samples
from doyen_legal.dates import key_dates
from doyen_legal.extract.types import Clause
from doyen_legal.playbook.deviation import compare
from doyen_schemas import (
    Document,
    DocumentInfo,
    Evidence,
    Finding,
    Priority,
    PriorityReason,
    Report,
    Stage,
    Value,
)

CREATED = "2026-11-22T09:30:00+00:00"
PREFERRED = (
    "Either Party may terminate this Agreement or any Order Form for convenience at any time upon ninety (90) "
    "days’ written notice."
)


def sample(name: str) -> tuple[Path, Document]:
    """A sample contract and its document."""
    path = samples.FOLDER / name
    return path, read(path, cache=False)


def plain(text: str, name: str = "contract.txt") -> Document:
    """A document of bare text."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(sha256=digest, name=name, media_type="text/plain", text=text)


def evidence(document: Document, quote: str) -> Evidence:
    """Evidence for the first occurrence of ``quote``."""
    start = document.text.index(quote)
    return Evidence.of(document, start, start + len(quote))


def finding(document: Document | None, quote: str, **fields: Any) -> Finding:
    """A finding with evidence for ``quote`` (none if empty)."""
    fields = {"id": "f1", "kind": "clause", "label": "Label", "source": "test"} | fields
    if document is not None and quote:
        fields["evidence"] = [evidence(document, quote)]
    return Finding.model_validate(fields)


def report_of(document: Document, findings: list[Finding], **fields: Any) -> Report:
    """A report on ``document``."""
    info = DocumentInfo(
        name=document.name, sha256=document.sha256, media_type=document.media_type,
        pages=len(document.pages), characters=len(document.text),
    )  # fmt: skip
    return Report(vertical="legal", created=CREATED, document=info, findings=findings, **fields)


def saas_report(document: Document) -> Report:
    """What a review of the sample SaaS agreement finds, every kind of finding once at least."""
    convenience = (
        "Provider may terminate this Agreement or any Order Form for convenience at any time upon thirty (30) "
        "days’ written notice. Customer has no corresponding right."
    )
    renewal = "this Agreement renews automatically for successive periods of thirty-six (36) months"
    notice = "not more than one hundred twenty (120) days and not less than one hundred ten (110) days before the end"
    term = "This Agreement begins on the Effective Date and continues for an initial term of three (3) years, expiring on March 31, 2027"
    cap = "shall not exceed the Fees paid by Customer in the twelve (12) months before the event"
    clauses = {
        "Effective Date": "entered into as of April 1, 2025", "Expiration Date": term, "Renewal Term": renewal,
        "Notice Period To Terminate Renewal": notice,
    }  # fmt: skip
    spans = [
        Clause(label, e.start, e.end, 0.9) for label, q in clauses.items() for e in [evidence(document, q)]
    ]
    planted = [p for p in samples.planted() if p.file == "saas-agreement.pdf" and p.kind != "playbook"]
    faults = [
        finding(
            document, p.quote, id=f"fault-{n}", kind="fault", label=p.kind, message=p.why, source="consistency",
            severity="note" if p.kind == "unused-term" else "medium",
            status="info" if p.kind == "unused-term" else "needs_review",
            related=[evidence(document, cap)] if p.kind == "conflicting-cap" else [],
        )
        for n, p in enumerate(planted, start=1)
    ]  # fmt: skip
    diff = compare(convenience, PREFERRED)
    findings = [
        finding(document, "Brightquay Software, Inc.", id="entity-1", kind="entity", label="Parties", score=0.97,
                value=Value(kind="party", text="Brightquay Software, Inc."), source="extractor"),
        finding(document, "the laws of the State of Washington", id="clause-1", label="Governing Law", score=0.93,
                value=Value(kind="jurisdiction", text="Washington, US"), source="extractor"),
        finding(document, cap, id="clause-2", label="Cap On Liability", score=0.88, source="extractor", status="ok"),
        finding(document, "The aggregate liability of Provider arising out of or in connection with this Agreement, "
                "whether in contract, tort or otherwise, " + cap, id="clause-3", label="Cap On Liability", score=0.61, source="extractor"),
        finding(document, convenience, id="rule-1", kind="rule", label="Termination For Convenience", score=0.91,
                status="reject", severity="high", rule="saas.termination", source="playbook",
                message="Only the provider may terminate for convenience.",
                details={"preferred": PREFERRED, "fallback": "Either Party may terminate on sixty (60) days’ notice."}),
        finding(document, "Provider may increase the Fees at any time upon fifteen (15) days’ notice to Customer.",
                id="rule-2", kind="rule", label="Price Restrictions", status="risk", severity="medium",
                rule="saas.price", source="playbook", message="Increases have no limit.",
                details={"preferred": "Provider may increase the Fees once in each Contract Year by not more than three percent (3%)."}),
        finding(document, convenience, id="deviation-1", kind="deviation", label="Termination For Convenience",
                status="risk", severity="medium", rule="saas.termination", source="playbook",
                message=f"Differs from the standard clause: similarity {diff.similarity:.2f}.",
                details={"similarity": diff.similarity, "ops": [list(op) for op in diff.ops], "preferred": PREFERRED}),
        finding(None, "", id="missing-1", kind="missing", label="Source Code Escrow", status="risk", severity="low",
                rule="saas.escrow", source="playbook", message="No clause on escrow was found.",
                details={"preferred": "Provider shall deposit the source code of the Service with an escrow agent."}),
        *faults,
        *key_dates(document, spans),
    ]  # fmt: skip
    reasons = [
        PriorityReason(name="Clauses to reject", weight=18, value=1, points=18, findings=["rule-1"]),
        PriorityReason(
            name="Consistency faults", weight=6, value=4, points=24, findings=["fault-1", "fault-3"]
        ),
        PriorityReason(name="Short notice window", weight=14, value=1, points=14, findings=["date-notice"]),
    ]
    return report_of(
        document, findings, contract_type="SaaS agreement", side="customer",
        priority=Priority(score=56, level="high", weights_version="1", reasons=reasons),
        stages=[
            Stage(name="documents", state="ran", version="0.1.0", seconds=1.42, counts={"pages": 9}),
            Stage(name="extract", state="ran", version="0.1.0", seconds=3.1, counts={"clauses": 3}),
            Stage(name="llm", state="absent", reason="the base model is not installed"),
        ],
        versions={"doyen-legal": "0.1.0", "playbook": "saas 1.0", "adapter": "sha256:3f9a"},
    )  # fmt: skip


def nda_report(document: Document) -> Report:
    """Findings on the sample NDA that a redline must show: replacement, insertion, comments, a missing clause."""
    start = document.text.index("is or becomes generally available")
    end = document.text.index("free to disclose it without restriction; or") + 20
    exclusions = Finding(
        id="rule-3", kind="rule", label="Exclusions", status="reject", severity="medium", source="playbook",
        message="The exclusions are too wide.", evidence=[Evidence.of(document, start, end)],
        details={"preferred": "is public other than by breach of this Agreement;"},
    )  # fmt: skip
    faults = [
        finding(document, p.quote, id=f"fault-{n}", kind="fault", label=p.kind, message=p.why, source="consistency",
                status="needs_review", severity="medium")
        for n, p in enumerate(samples.planted(), start=1) if p.file == "mutual-nda.docx" and p.kind != "playbook"
    ]  # fmt: skip
    return report_of(
        document,
        [
            finding(document, "Northmere shall indemnify, defend and hold harmless Calloway from and against any and all losses, "
                    "damages, liabilities, costs and expenses (including reasonable attorneys’ fees) arising out of any breach of "
                    "this Agreement by Northmere or its Representatives, without limitation as to amount.",
                    id="rule-1", kind="rule", label="Uncapped Liability", status="reject", severity="high", rule="nda.indemnity",
                    source="playbook", score=0.9, message="A one-sided, uncapped indemnity.",
                    details={"preferred": "Each Party shall indemnify, defend and hold harmless the other Party from and against "
                             "any and all direct losses and damages arising out of any breach of this Agreement by it or its "
                             "Representatives, up to one hundred thousand dollars ($100,000)."}),
            finding(document, "for a period of five (5) years", id="rule-2", kind="rule", label="Survival", status="risk", severity="low",
                    rule="nda.term", source="playbook", message="Longer than usual.", details={"preferred": "for a period of three (3) years"}),
            exclusions,
            finding(None, "", id="missing-1", kind="missing", label="No partnership", status="risk", severity="low", rule="nda.partnership",
                    source="playbook", message="No such clause was found.", details={"preferred": "The Parties are independent contractors."}),
            finding(document, "Mutual Non-Disclosure Agreement", id="entity-1", kind="entity", label="Document Name", source="extractor"),
            *faults,
        ],
        contract_type="NDA", side="northmere",
    )  # fmt: skip
