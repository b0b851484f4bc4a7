"""Proofs of the techniques: each module here that exposes ``TRIAL`` compares one technique with its baseline."""

from __future__ import annotations

from doyen_training.verify.trial import Trial

__all__ = ["Trial", "discover"]


def discover() -> dict[str, Trial]:
    """All trials by name. Raises ``ValueError`` where two have one name: that is a fault of the code."""
    import pkgutil
    from importlib import import_module

    trials: dict[str, Trial] = {}
    for module in pkgutil.iter_modules(__path__):
        trial = getattr(import_module(f"{__name__}.{module.name}"), "TRIAL", None)
        if trial is None:
            continue
        if trial.name in trials:
            raise ValueError(f"two trials are called {trial.name!r}")
        trials[trial.name] = trial
    return dict(sorted(trials.items()))
