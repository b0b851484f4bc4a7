"""Twelve kinds of fault that a contract's own text proves: a graph of its parts, checked against rules."""

from doyen_legal.consistency.checker import check
from doyen_legal.consistency.types import KINDS, Fault

__all__ = ["KINDS", "Fault", "check"]
