"""``doyen medical train graph | links | ablation``: the graph score, its embeddings and what it is worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Train = Annotated[Path, typer.Option("--data", help="The train cases, JSON lines.")]
Seeds = Annotated[int, typer.Option(min=1, help="Seeds 0, 1, … to train with.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def graph(data: Train, out: Annotated[Path, typer.Option(help="Folder for the embeddings.")]) -> None:
    """Embeddings of findings and diseases from knowledge without held-out papers; about a minute on one core."""
    from doyen_medical.cases import read_cases
    from doyen_medical.graph import score
    from doyen_medical.graph.encoder import Plan, train
    from doyen_medical.knowledge.purge import held_out
    from doyen_medical.knowledge.store import load
    from doyen_medical.rank.library import build

    knowledge = load()
    cases = [case for case in read_cases(data, knowledge.ontology) if not held_out(case.paper)]
    library = build(knowledge, knowledge.annotations.without_papers(held_out), cases)
    plan = Plan()

    def say(step: int, loss: float) -> None:
        if step % 20 == 0 or step == plan.steps - 1:
            typer.echo(f"step {step + 1} of {plan.steps}: loss {loss:.3f}", err=True)

    found = train(library, plan, say)
    score.save(found, out)
    typer.echo(
        f"{len(found.terms)} findings, {len(found.diseases)} diseases, {plan.size} numbers each: {out}"
    )


def links(
    seeds: Seeds = 1,
    steps: Annotated[int, typer.Option(min=2, help="Training steps of each model.")] = 300,
    test: Annotated[int, typer.Option(min=1, help="Held-out facts.")] = 1000,
    out: Annotated[
        Path | None, typer.Option(help="Keep the embeddings here; those kept before are not trained again.")
    ] = None,
    json: Json = False,
) -> None:
    """Link prediction on the medical graph: DistMult, RotatE, GCN and R-GCN beside popularity."""
    from doyen_graph.training import Plan
    from doyen_medical.graph.links import MODELS, compare
    from doyen_medical.knowledge.store import load
    from doyen_runtime.commands.output import print_json, print_table

    plan = Plan(steps=steps, negatives=8, learning_rate=0.03)
    found = compare(
        load(), plan, seeds=range(seeds), test=test, keep=out, say=lambda line: typer.echo(line, err=True)
    )
    if json:
        print_json(found)
        return
    rows = [["popularity", "-", *_row(found["popularity"]["all"])]]
    rows += [[name, seed, *_row(found[name][seed]["all"])] for name in MODELS for seed in found["seeds"]]
    print_table(["model", "seed", "MRR", "Hits@1", "Hits@3", "Hits@10"], rows)


def ablation(
    data: Train,
    dev: Annotated[Path, typer.Option(help="The development cases, JSON lines.")],
    out: Annotated[Path, typer.Option(help="Folder where the folds' embeddings are kept.")],
    seeds: Seeds = 1,
    most: Annotated[int, typer.Option(min=1, help="Train cases of one disease and paper.")] = 10,
    networks: Annotated[int, typer.Option(min=1, help="Networks of each fuser.")] = 3,
    json: Json = False,
) -> None:
    """The ranking of the development cases with and without the graph score; about half an hour on one core."""
    from doyen_medical.cases import read_cases
    from doyen_medical.graph.ablation import ablation as run
    from doyen_medical.knowledge.store import load
    from doyen_medical.rank.train import Plan
    from doyen_runtime.commands.output import print_json, print_table

    knowledge = load()
    found = run(
        knowledge, read_cases(data, knowledge.ontology), read_cases(dev, knowledge.ontology), out,
        fuser=Plan(networks=networks), most=most, seeds=range(seeds), say=lambda line: typer.echo(line, err=True),
    )  # fmt: skip
    if json:
        print_json(found)
        return
    rows = [
        [stratum, row["n"], arm, *_row({key: values[0] for key, values in row[arm].items()})]
        for stratum, row in found["strata"].items()
        for arm in ("graph_alone", "without", "with", "gain")
    ]
    print_table(["stratum", "cases", "what", "MRR", "top 1", "top 3", "top 10"], rows)


def _row(figures: dict[str, float]) -> list[str]:
    keys = ("mrr", "hits1", "hits3", "hits10") if "hits1" in figures else ("mrr", "top1", "top3", "top10")
    return [f"{figures[key]:.3f}" for key in keys]
