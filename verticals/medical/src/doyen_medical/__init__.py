"""Doyen for medicine: a ranked, explained differential of rare diseases: ``Diagnoser().diagnose("patient.json")``."""

from doyen_medical.pipeline import Diagnoser

__all__ = ["Diagnoser"]
