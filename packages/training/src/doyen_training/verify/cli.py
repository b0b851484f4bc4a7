"""``doyen verify``: does a technique gain anything, measured here and now?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_runtime.commands.output import print_json, print_table
from doyen_schemas import DoyenError

app = typer.Typer(
    add_completion=False, help="Measure what a technique gains: baseline, technique, seeds, verdict."
)


@app.command(
    epilog="doyen verify lora curriculum --data train.jsonl.gz · "
    "doyen verify --all --data train.jsonl.gz --out verify.json · doyen verify --table verify.json > verify.md"
)
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Techniques; --list names them.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every technique, one after the other.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Name the techniques and stop.")] = False,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Pre-train the small model (minutes, once) and stop.")
    ] = False,
    rates: Annotated[
        bool,
        typer.Option("--rates", help="Choose the learning rates anew on training contracts alone and stop."),
    ] = False,
    table: Annotated[
        Path | None, typer.Option("--table", help="Print a results file as a Markdown page and stop.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Contracts: CUAD's train.jsonl or train.jsonl.gz.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, max=10, help="Runs of each arm.")] = 3,
    out: Annotated[Path | None, typer.Option("--out", help="Results file to merge into.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare techniques with their baselines on a small model: same data, same budget, several seeds."""
    if table is not None:
        from doyen_training.verify.table import read_results, render

        typer.echo(render(read_results(table)), nl=False)
        return
    from doyen_training.verify import discover

    trials = discover()
    if list_:
        rows = [(name, trial.title, ", ".join(map(str, trial.rows))) for name, trial in trials.items()]
        if json:
            print_json({"trials": [{"name": n, "title": t, "rows": r} for n, t, r in rows]})
        else:
            print_table(("name", "compared", "rows"), rows)
        return
    chosen = list(trials) if all_ or (rates and not names) else list(dict.fromkeys(names or []))
    unknown = [name for name in chosen if name not in trials]
    if unknown or not (chosen or prepare):
        raise DoyenError(
            "TRN-092",
            f"no technique is called {', '.join(unknown)}." if unknown else "no technique was named.",
            "doyen verify --list names them; --all takes every one.",
        )
    bench = _bench(data)
    if prepare:
        if json:
            print_json(bench.summary())
        else:
            for key, value in bench.summary().items():
                typer.echo(f"{key}: {value}")
        return
    if rates:
        found = _rates([trials[name] for name in chosen], bench, out)
        if json:
            print_json({"bench": bench.summary(), "rates": found})
        else:
            print_table(("arm", "held-out loss by rate"), [(arm, _shown(row)) for arm, row in found.items()])
        return
    done = _run_all(chosen, trials, bench, seeds, out)
    if json:
        print_json({"bench": bench.summary(), "trials": done})
        return
    print_table(
        ("technique", "metric", "baseline", "technique", "difference", "95 %", "verdict", "s"),
        [_row(name, row) for name, row in done.items()],
    )


def _bench(data: Path | None) -> Any:
    from doyen_training.verify.bench import Bench

    return Bench(data, report=lambda line: typer.echo(line, err=True))


def _rates(trials: list[Any], bench: Any, out: Path | None) -> dict[str, dict[float, float]]:
    """The losses of each arm by rate; written as soon as they are there."""
    from doyen_training.verify.rates import all_arms, held_losses
    from doyen_training.verify.table import merge_results

    found = {}
    for name, arm in all_arms(trials).items():
        found[name] = held_losses(bench, arm)
        typer.echo(f"{name}: {_shown(found[name])}", err=True)
        if out is not None:
            merge_results(out, bench.summary(), rates={name: found[name]})
    return found


def _shown(losses: dict[float, float]) -> str:
    return ", ".join(f"{rate:g} {loss:.4f}" for rate, loss in losses.items())


def _run_all(
    chosen: list[str], trials: dict[str, Any], bench: Any, seeds: int, out: Path | None
) -> dict[str, Any]:
    """Run the trials; each row is written as soon as it is there."""
    from doyen_training.verify.compare import run_trial
    from doyen_training.verify.table import merge_results

    done = {}
    for name in chosen:
        done[name] = run_trial(trials[name], bench, seeds, lambda line: typer.echo(line, err=True))
        if out is not None:
            merge_results(out, bench.summary(), {name: done[name]})
    return done


def _row(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    from statistics import mean

    low, high = row["interval"]
    return (
        name,
        row["metric"],
        f"{mean(row['arms']['baseline']):.4g}",
        f"{mean(row['arms']['technique']):.4g}",
        f"{row['difference']:+.3g}",
        f"[{low:+.3g}, {high:+.3g}]",
        row["verdict"],
        f"{row['seconds']:.0f}",
    )
