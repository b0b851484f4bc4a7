"""Review priority: heads, the visible weight table, and calibration on a client's own outcomes."""

from doyen_legal.risk.outcomes import OutcomeModel, fit_outcomes
from doyen_legal.risk.priority import Weights, assess, read_weights, shipped_weights
from doyen_legal.risk.training import train_nli

__all__ = [
    "OutcomeModel",
    "Weights",
    "assess",
    "fit_outcomes",
    "read_weights",
    "shipped_weights",
    "train_nli",
]
