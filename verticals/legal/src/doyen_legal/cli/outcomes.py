"""``doyen legal fit-outcomes``: calibrate the review priority on what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def fit_outcomes(
    reports: Annotated[Path, typer.Option("--reports", help="Folder of JSON reports.")],
    outcomes: Annotated[Path, typer.Option("--outcomes", help="CSV with the columns document and outcome.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the model (JSON).")],
    name: Annotated[str, typer.Option("--name", help="What the outcome is, for reports.")] = "outcome",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Fit the probability of an outcome to reviewed contracts, and say how good it is.

    Without this a report carries a review priority, never a probability.
    """
    from doyen_legal.risk.outcomes import fit_outcomes as fit
    from doyen_legal.risk.outcomes import read_outcomes, read_reports

    model = fit(read_reports(reports), read_outcomes(outcomes), name)
    model.save(out)
    if as_json:
        typer.echo(model.model_dump_json())
        return
    figures = model.cross_validation
    typer.echo(f"Fitted {model.describe()}; written to {out}.")
    typer.echo(
        f"Cross-validated over {figures.folds} folds: Brier {figures.brier:.4f} "
        f"(base rate {figures.brier_base_rate:.4f}), ECE {figures.ece:.4f}, AUROC {figures.auroc:.4f}."
    )
    for feature in sorted(model.features, key=lambda feature: -abs(feature.coefficient)):
        typer.echo(f"  {feature.coefficient:+.3f}  {feature.name}")
