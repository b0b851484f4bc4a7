"""Review priority: named parts of the findings times visible weights, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from doyen_schemas import DoyenError, Finding, Priority, Severity, Status
from doyen_schemas.report import PriorityReason

if TYPE_CHECKING:
    from doyen_legal.risk.outcomes import OutcomeModel

TABLE: Final = Path(__file__).with_name("weights.yaml")
_FULL: Final = 100.0

Kind = Literal["clause", "entity", "fault", "rule", "missing", "deviation", "date"]


class Model(BaseModel):
    """Unknown keys are refused: a misspelt condition would silently match everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(Model):
    """Findings of these kinds, statuses and severities (empty: any), their value, and what a unit of it counts.

    ``value``: ``count`` is one a finding; ``score`` the finding's probability, one where it has none;
    ``contradiction`` the probability with which the contradiction head decided, zero where it did not.
    """

    name: Annotated[str, Field(min_length=1)]
    weight: Annotated[float, Field(gt=0)]
    most: Annotated[float, Field(gt=0)]
    kinds: tuple[Kind, ...]
    statuses: tuple[Status, ...] = ()
    severities: tuple[Severity, ...] = ()
    value: Literal["count", "score", "contradiction"] = "count"

    def matches(self, finding: Finding) -> bool:
        """Whether the finding belongs to this part."""
        return (
            finding.kind in self.kinds
            and (not self.statuses or finding.status in self.statuses)
            and (not self.severities or finding.severity in self.severities)
            and self.value_of(finding) > 0
        )

    def value_of(self, finding: Finding) -> float:
        """What one finding adds."""
        if self.value == "score":
            return 1.0 if finding.score is None else finding.score
        if self.value == "contradiction":
            return float(finding.details.get("nli", {}).get("probability", 0.0))
        return 1.0


class Levels(Model):
    """The scores from which a priority is medium and high."""

    medium: float
    high: float


class Weights(Model):
    """The table of parts. Their maxima add up to 100."""

    version: Annotated[str, Field(min_length=1)]
    levels: Levels
    parts: Annotated[tuple[Part, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _adds_up(self) -> Weights:
        total = sum(part.weight * part.most for part in self.parts)
        if abs(total - _FULL) > 1e-9:
            raise ValueError(f"weight x most adds up to {total:g} over the parts, not to 100")
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError("two parts have the same name")
        if not 0 < self.levels.medium < self.levels.high <= _FULL:
            raise ValueError("levels must be 0 < medium < high <= 100")
        return self

    def values(self, findings: Sequence[Finding]) -> dict[str, float]:
        """Each part's value: the features that a model of outcomes is fitted to."""
        return {reason.name: reason.value for reason in self.reasons(findings)}

    def reasons(self, findings: Sequence[Finding]) -> list[PriorityReason]:
        """Every part with its value, points and findings, in the table's order."""
        reasons = []
        for part in self.parts:
            matched = [finding for finding in findings if part.matches(finding)]
            value = round(min(part.most, sum(part.value_of(finding) for finding in matched)), 4)
            reasons.append(
                PriorityReason(
                    name=part.name,
                    weight=part.weight,
                    value=value,
                    points=round(part.weight * value, 2),
                    findings=[finding.id for finding in matched],
                )
            )
        return reasons


@cache
def shipped_weights() -> Weights:
    """The table that comes with the package."""
    return read_weights(TABLE)


def read_weights(path: Path) -> Weights:
    """A weight table from YAML. Raises LEG-037 with everything that is wrong with it."""
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Weights.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        what = type(error).__name__
        if isinstance(error, ValidationError):
            what = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'table'}: {item['msg'].removeprefix('Value error, ')}"
                for item in error.errors()
            )
        raise DoyenError(
            "LEG-037",
            f"weight table {path.name} is not valid: {what}.",
            "Start from doyen_legal/risk/weights.yaml.",
        ) from error


def assess(
    findings: Sequence[Finding], weights: Weights | None = None, outcomes: OutcomeModel | None = None
) -> Priority:
    """The review priority of a document's findings; the points of its reasons add up to the score.

    It says how soon a person should look. Only with a model of the client's own ``outcomes`` does it carry a
    probability, and then it names what that was fitted to. Raises LEG-036 when model and weights do not belong
    together.
    """
    table = weights or shipped_weights()
    reasons = table.reasons(findings)
    score = round(sum(reason.points for reason in reasons), 2)
    level: Literal["low", "medium", "high"] = (
        "high" if score >= table.levels.high else "medium" if score >= table.levels.medium else "low"
    )
    priority = Priority(
        score=score, level=level, weights_version=table.version,
        reasons=[reason for reason in reasons if reason.points > 0],
    )  # fmt: skip
    if outcomes is not None:
        priority.probability = round(outcomes.probability(table.values(findings), table.version), 4)
        priority.calibrated_on = outcomes.describe()
    return priority
