"""The evaluation gate: what a release must show before it is promoted. Nothing passes that was not measured.

Three checks: the primary figures against the current release's, forgetting on a general text, and whether the weights
that stand in the bundle still answer as they did when it was built.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, Field

from doyen_evaluation.release import language
from doyen_evaluation.release.build import VERTICAL_PROBE, vertical_probe
from doyen_evaluation.release.spec import read_items
from doyen_evaluation.resample import ratio_ci
from doyen_runtime import adapters
from doyen_schemas import AdapterRelease, Measurement, Probe, ReleaseId

# Percent by which perplexity on the general text may rise.
MAX_FORGETTING: Final = 10.0
# Answers may differ between processors and library versions by this share of what the adapter changes.
_NOISE: Final = 0.05
# The same for a vertical's own numbers, which have no base to compare with: absolute, or this share of the number.
_OWN_NOISE: Final = 0.01

Verdict = Literal["passed", "failed", "not applicable"]


class Check(BaseModel):
    """One check: verdict, reason in words, and the numbers it rests on."""

    name: str
    verdict: Verdict
    reason: str
    figures: dict[str, float] = Field(default_factory=dict)


class GateResult(BaseModel):
    """The gate's answer for one release against the one in use."""

    schema_version: Literal["1"] = "1"
    name: str
    candidate: ReleaseId
    current: ReleaseId | None
    measured: str
    max_forgetting_percent: float
    passed: bool
    checks: list[Check]

    @property
    def failures(self) -> list[Check]:
        """The checks that speak against a promotion."""
        return [check for check in self.checks if check.verdict == "failed"]


def run_gate(
    bundle: Path,
    *,
    before: AdapterRelease | None = None,
    before_folder: Path | None = None,
    max_forgetting: float = MAX_FORGETTING,
) -> GateResult:
    """Hold the bundle to the gate, against the release ``before`` (None: this is the first).

    Only the signed figures of ``before`` are needed, so that a damaged release can be replaced; its ``before_folder``
    is looked into for scores of items. Raises what :func:`doyen_runtime.adapters.load` raises, and MOD-002 when a
    base is not on this machine.
    """
    candidate = adapters.load(bundle)
    checks = [
        *compare(candidate.release, before, bundle, before_folder),
        *_language_models(candidate.release, bundle, max_forgetting),
        _own_probe(candidate.release, bundle),
    ]
    checks.append(_alive_at_all(checks))
    return GateResult(
        name=candidate.release.name,
        candidate=ReleaseId(version=candidate.release.version, digest=candidate.digest),
        current=None
        if before is None
        else ReleaseId(version=before.version, digest=adapters.release_digest(before)),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
        max_forgetting_percent=max_forgetting,
        passed=all(check.verdict != "failed" for check in checks),
        checks=checks,
    )


def compare(
    release: AdapterRelease, before: AdapterRelease | None, bundle: Path, before_folder: Path | None
) -> list[Check]:
    """One check for each figure that is primary in either release."""
    if not release.primary:
        return [Check(name="figures", verdict="failed", reason="the release names no primary figure")]
    if before is None:
        return [
            Check(name=f"figure {name}", verdict="not applicable", reason="there is no release to compare with",
                  figures=_numbers(release.evaluation[name]))
            for name in release.primary
        ]  # fmt: skip
    return [
        _figure(name, release, before, bundle, before_folder)
        for name in dict.fromkeys([*before.primary, *release.primary])
    ]


def _figure(
    figure: str, release: AdapterRelease, before: AdapterRelease, bundle: Path, before_folder: Path | None
) -> Check:
    name = f"figure {figure}"
    new, old = release.evaluation.get(figure), before.evaluation.get(figure)
    if new is None:
        return Check(name=name, verdict="failed", reason="the current release states it, this one does not")
    if old is None:
        return Check(
            name=name, verdict="not applicable", reason="the current release does not state it",
            figures=_numbers(new),
        )  # fmt: skip
    if new.higher_is_better != old.higher_is_better:
        return Check(name=name, verdict="failed", reason="the releases differ in which way is better")
    if new.n != old.n:
        return Check(
            name=name, verdict="failed",
            reason=f"measured on {new.n} items, the current release on {old.n}: measure both on the same",
        )  # fmt: skip
    gains = None if before_folder is None else _gains(new, old, bundle, before_folder, before)
    return _independent(name, new, old) if gains is None else _paired(name, gains)


def _independent(name: str, new: Measurement, old: Measurement) -> Check:
    """The new value must not lie beyond the worse end of the current release's own interval."""
    sign = 1 if new.higher_is_better else -1
    end = old.low if new.higher_is_better else old.high
    limit = old.value if end is None else end
    worse = sign * (new.value - limit) < 0
    interval = "interval (independent)" if end is not None else "value: it has no interval"
    return Check(
        name=name,
        verdict="failed" if worse else "passed",
        reason=f"{new.value:g} is {'beyond' if worse else 'not beyond'} {limit:g}, the limit by the current"
        f" release's {interval}",
        figures=_numbers(new) | {"current": old.value, "limit": limit},
    )


def _paired(name: str, gains: np.ndarray) -> Check:
    """The 95 % interval of the mean gain an item (bootstrap of items) must reach zero or better."""
    ends = ratio_ci(gains, np.ones(len(gains)))
    assert ends is not None, "there are items"
    low, high = ends
    return Check(
        name=name,
        verdict="failed" if high < 0 else "passed",
        reason=f"mean gain over the current release {gains.mean():+.4f}, 95 % interval {low:+.4f} to {high:+.4f}"
        f" (paired, {len(gains)} items)",
        figures={"gain": float(gains.mean()), "low": low, "high": high},
    )


def _gains(
    new: Measurement, old: Measurement, bundle: Path, before_folder: Path, before: AdapterRelease
) -> np.ndarray | None:
    """What each item gains, if both releases hold scores of the same items that give their values; else None."""
    if not (new.items and old.items):
        return None
    listed, path = before.files.get(old.items), before_folder / old.items
    if listed is None or not path.is_file() or adapters.file_sha256(path) != listed.sha256:
        return None
    mine, theirs = read_items(bundle / new.items), read_items(path)
    values = [float(np.mean(list(scores.values()))) if scores else np.nan for scores in (mine, theirs)]
    if mine.keys() != theirs.keys() or not np.allclose(values, [new.value, old.value], atol=1e-3):
        return None
    sign = 1 if new.higher_is_better else -1
    return np.asarray([sign * (mine[name] - theirs[name]) for name in sorted(mine)])


def _language_models(release: AdapterRelease, bundle: Path, limit: float) -> list[Check]:
    parts = {part: base for part, base in release.bases.items() if base.language_model}
    if not parts:
        reason = "no part is an adapter of a language model"
        return [
            Check(name=name, verdict="not applicable", reason=reason)
            for name in ("forgetting", "alive logits")
        ]
    checks = []
    for part, base in parts.items():
        alone, tuned = language.answers(base, bundle, perplexity=True)
        checks.append(forgetting(part, alone.perplexity, tuned.perplexity, limit))
        checks.append(_alive(part, release.probes.get(part), alone, tuned))
    return checks


def forgetting(part: str, alone: float, tuned: float, limit: float) -> Check:
    """Perplexity with the adapter (``tuned``) against the base's, ``limit`` in percent."""
    percent = 100 * (tuned / alone - 1)
    # Written so that a perplexity that is not a number fails.
    verdict: Verdict = "passed" if percent <= limit else "failed"
    return Check(
        name=f"forgetting {part}", verdict=verdict,
        reason=f"perplexity on the general text {alone:.3f} → {tuned:.3f} ({percent:+.2f} %, limit {limit:+g} %)",
        figures={"base": alone, "adapter": tuned, "percent": percent},
    )  # fmt: skip


def _alive(part: str, reference: Probe | None, alone: language.Answers, tuned: language.Answers) -> Check:
    name = f"alive {part}"
    if reference is None or not reference.base:
        return Check(name=name, verdict="failed", reason="the release records no logits of this part")
    moved = float((tuned.logits_V - alone.logits_V).abs().max())
    off = language.distance(reference.values, tuned.logits_V)
    allowed = _NOISE * language.effect(reference)
    figures = {"moved": moved, "off_reference": min(off, 1e30), "allowed": allowed}
    if not moved > language.LEAST_EFFECT:
        return Check(name=name, verdict="failed", reason="the logits are those of the base", figures=figures)
    if not off <= allowed:
        return Check(
            name=name, verdict="failed", figures=figures,
            reason=f"the logits are {off:.3g} off those recorded at build; {allowed:.3g} is allowed",
        )  # fmt: skip
    return Check(
        name=name, verdict="passed", figures=figures,
        reason=f"moves logits by up to {moved:.3g}, {off:.2g} off those recorded at build",
    )  # fmt: skip


def _own_probe(release: AdapterRelease, bundle: Path) -> Check:
    name = "alive vertical"
    reference = release.probes.get(VERTICAL_PROBE)
    if reference is None:
        return Check(
            name=name, verdict="not applicable", reason="no probe of the vertical's own was recorded at build"
        )
    found = vertical_probe(bundle, release.vertical)
    if found is None or found.keys() != reference.values.keys():
        return Check(
            name=name, verdict="failed", reason="the vertical installed here does not answer the same probe"
        )
    off = {key: abs(found[key] - value) / max(1.0, abs(value)) for key, value in reference.values.items()}
    worst = max(off, key=lambda key: off[key])
    return Check(
        name=name,
        verdict="passed" if off[worst] <= _OWN_NOISE else "failed",
        reason=f"{len(off)} numbers, at most {off[worst]:.2g} off those recorded at build ({worst})",
        figures={"off_reference": off[worst], "allowed": _OWN_NOISE},
    )


def _alive_at_all(checks: list[Check]) -> Check:
    """A release of which nobody can tell whether it does anything is not promoted."""
    known = any(check.name.startswith("alive") and check.verdict != "not applicable" for check in checks)
    return Check(
        name="probed",
        verdict="passed" if known else "failed",
        reason="a probe was answered" if known else "neither logits nor a probe of the vertical: nothing shows that"
        " the weights do anything",
    )  # fmt: skip


def _numbers(figure: Measurement) -> dict[str, float]:
    ends = {"low": figure.low, "high": figure.high}
    return {"value": figure.value} | {name: end for name, end in ends.items() if end is not None}
