"""The base of the ``[[loss]]`` tables of a recipe."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class LossBase(BaseModel):
    """One loss term of a recipe: unknown keys are errors. ``weight`` multiplies the term in the step's loss."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
