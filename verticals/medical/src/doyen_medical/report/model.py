"""The report of one patient: ranked diseases with their evidence, or a refusal with its reason.

Everything in it is computed or quoted; a person signs it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from doyen_schemas import DocumentInfo, Stage

INTENDED_USE = (
    "Decision support for clinicians who can review the findings and sources behind each proposal. Not for use by"
    " patients, not for emergencies, no diagnosis: a qualified person decides."
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", defer_build=True)


class Term(_Part):
    """An HPO term; ``label_zh`` where the Chinese labels were built."""

    id: str
    label: str
    label_zh: str | None = None


class Notice(_Part):
    """What was wrong with an id of the input and what was done."""

    kind: Literal["obsolete", "unknown", "not-a-finding", "contradiction"]
    id: str
    other: str
    done: Literal["replaced", "left out", "kept"]


class Quote(_Part):
    """Where a note names a finding; personal data are placeholders."""

    id: str
    start: int
    end: int
    quote: str
    status: Literal["observed", "excluded", "hypothetical"]
    family: bool
    historical: bool


class Patient(_Part):
    """What was read. ``excluded`` findings are explained and never ranked.

    ``uncertain`` findings (unknown, suspected, without a readable value) and ``foreign`` entries of somebody else (a
    count) take no part.
    """

    source: Literal["phenopacket", "fhir", "terms", "note"]
    sex: Literal["M", "F", ""]
    age_years: float | None
    observed: list[Term]
    excluded: list[Term]
    uncertain: list[Term] = Field(default_factory=list)
    foreign: int = 0
    notices: list[Notice]
    quotes: list[Quote]


class Weight(_Part):
    """A finding's weight for a disease, computed from annotations and published patients.

    ``log10_ratio``: likelihood ratio of the observation (of the absence where ``observed`` is false). ``by``: the
    annotated finding that matched. ``share``: annotated share of patients; ``patients`` of ``examined`` published
    patients had it.
    """

    finding: Term
    observed: bool
    role: Literal["supports", "contradicts", "unexplained", "neutral"]
    log10_ratio: float
    by: Term | None
    share: float | None
    patients: int
    examined: int
    sources: list[str]


class Code(_Part):
    """The disease in another system; ``relation`` is exact, broader (the code is wider than the disease) or narrower."""

    system: str
    code: str
    label: str
    relation: Literal["exact", "broader", "narrower"]


class Candidate(_Part):
    """A disease. ``basis`` says what it is known from; ``unexplained`` are observed findings that it does not explain."""

    rank: int
    code: str
    name: str
    name_zh: str | None = None
    probability: float
    basis: Literal["patients-and-literature", "patients", "literature"]
    published_patients: int
    annotated_findings: int
    genes: list[str]
    codes: list[Code]
    evidence: list[Weight]
    unexplained: list[Term]


class Question(_Part):
    """A finding to look for next: expected information gain in bits; disease codes it would raise or lower."""

    finding: Term
    gain_bits: float
    raises: list[str]
    lowers: list[str]


class Abstention(_Part):
    """Why no diagnosis is proposed. The ranking stays beside it, for the reader alone."""

    reason: str
    message: str


class Citation(_Part):
    """A source that the report names, such as ``PMID:123`` or ``OMIM:300672``; ``url`` opens it."""

    key: str
    url: str | None


class Statement(_Part):
    """A sentence on a candidate and the passages that say so; one whose passages were not retrieved is never here."""

    candidate: str
    text: str
    citations: list[str]
    passages: list[str] = Field(default_factory=list)


class Reasoning(_Part):
    """The language model's part. ``before``: codes of the first candidates as the ranker had them; it may only have
    changed their order, within a bound, and only where ``asked``. ``sentences`` are its own and passed the check of
    candidates, findings and numbers; ``dropped`` did not."""

    asked: bool
    before: list[str]
    sentences: list[Statement]
    dropped: int


class SignOff(_Part):
    """A person's decision on exactly this report; ``audit`` is the hash of its entry in the audit log."""

    by: str
    decision: Literal["accept", "reject"]
    time: str
    note: str = ""
    report_sha256: str
    audit: str


class MedicalReport(_Part):
    """The result for one patient.

    Attributes:
        document: the file that was read; None where findings were given directly.
        input_sha256: of what was read from it.
        other_probability: the disease is none of the candidates.
        unexplained: observed findings that none of the first five candidates explains.
        statements: sentences with their sources, where evidence was retrieved.
        llm: ``absent`` (its base is not on this machine), ``off`` (by its gate or switched off), or ``on``.
        reasoning: what the language model did, where it was on.
        excluded_terms_used: excluded findings that took part in the ranking: none, ever.
    """

    schema_version: Literal["1"] = "1"
    vertical: Literal["medical"] = "medical"
    created: str
    document: DocumentInfo | None = None
    input_sha256: str
    patient: Patient
    abstained: Abstention | None
    candidates: list[Candidate]
    other_probability: float
    unexplained: list[Term] = Field(default_factory=list)
    questions: list[Question]
    statements: list[Statement] = Field(default_factory=list)
    citations: list[Citation] = Field(default_factory=list)
    absent_code_systems: list[str]
    llm: Literal["absent", "off", "on"] = "absent"
    reasoning: Reasoning | None = None
    stages: list[Stage] = Field(default_factory=list)
    knowledge_version: str
    versions: dict[str, str] = Field(default_factory=dict)
    excluded_terms_used: Literal[0] = 0
    intended_use: str = INTENDED_USE
    sign_off: SignOff | None = None

    def sha256(self) -> str:
        """Digest of the report without its sign-off: what a signature and the audit log stand for."""
        content = self.model_dump(mode="json", exclude={"sign_off"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()
