"""The report on one patient: typed, as JSON with a published schema, and as an offline page in English or Chinese."""

from doyen_medical.report.model import (
    INTENDED_USE,
    Abstention,
    Candidate,
    Citation,
    Code,
    MedicalReport,
    Notice,
    Patient,
    Question,
    Quote,
    Reasoning,
    SignOff,
    Statement,
    Term,
    Weight,
)

__all__ = [
    "INTENDED_USE", "Abstention", "Candidate", "Citation", "Code", "MedicalReport", "Notice", "Patient",
    "Question", "Quote", "Reasoning", "SignOff", "Statement", "Term", "Weight",
]  # fmt: skip
