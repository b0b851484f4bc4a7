"""``doyen train``: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doyen_runtime.commands.output import print_json

app = typer.Typer(add_completion=False)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the record files; the recipe's own by default.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder; runs/NAME by default.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the output folder.")
    ] = False,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after so many minutes; --resume goes on later.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, show samples, train nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fine-tune a base model with LoRA as a recipe says."""
    from dataclasses import asdict

    from doyen_training import run as runs
    from doyen_training.dryrun import dry_run as rehearse
    from doyen_training.recipe import read_recipe

    settings = read_recipe(recipe)
    folder = data or recipe.parent
    if dry_run:
        plan = rehearse(settings, folder)
        if json:
            print_json(asdict(plan))
            return
        for sample in plan.samples:
            typer.echo(f"{sample}\n{'-' * 40}")
        for line in plan.lengths.lines():
            typer.echo(line)
        typer.echo(f"{plan.learned_share:.1%} of the tokens are learned (between ⟦ and ⟧ above)")
        typer.echo(
            f"{plan.trainable:,} of {plan.parameters:,} parameters are trainable "
            f"({plan.trainable / plan.parameters:.2%}); compute in {plan.precision}"
        )
        return
    target = out or Path("runs") / settings.name
    run = runs.train(
        settings,
        folder,
        target,
        resume=resume,
        minutes=minutes,
        report=lambda line: typer.echo(line, err=True),
    )
    if json:
        print_json(run)
    else:
        typer.echo(
            f"{target / 'adapter'}: {run['state']} after {run['steps']} steps, mean loss {run['train_loss']}"
        )
