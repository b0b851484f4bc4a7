"""Doyen for law: contract review with evidence, on a CPU, offline: ``Reviewer().review("contract.pdf")``."""

from doyen_legal.pipeline import Reviewer

__all__ = ["Reviewer"]
