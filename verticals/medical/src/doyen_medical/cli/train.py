"""``doyen medical train``: the shipped weights anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from doyen_medical.cli.graph import ablation, graph, links
from doyen_medical.cli.release import release

app = typer.Typer(no_args_is_help=True, help="Train what is shipped.")
app.command()(graph)
app.command()(links)
app.command()(ablation)
app.command()(release)


@app.command()
def ranker(
    data: Annotated[Path, typer.Option(help="The train cases, JSON lines.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")],
) -> None:
    """Published patients and both fusers, from the train cases alone; about five minutes on one core."""
    from doyen_medical.cases import read_cases
    from doyen_medical.knowledge.store import load_published
    from doyen_medical.rank.build import train
    from doyen_runtime.adapters import file_sha256

    knowledge = load_published()
    cases = read_cases(data, knowledge.ontology)
    source = {
        "command": f"doyen medical train ranker --data {data.name}",
        "data_sha256": file_sha256(data),
    }
    train(knowledge, cases, out, typer.echo, source=source)


@app.command()
def pubmedqa(
    data: Annotated[Path, typer.Option(help="Questions with contexts and answers, JSON lines.")],
    out: Annotated[Path, typer.Option(help="Folder for the weights.")],
) -> None:
    """The answering of PubMedQA questions, one model a fold; seconds."""
    from doyen_medical.evaluate.pubmedqa import train_file

    model = train_file(data, out)
    typer.echo(f"{len(model.seen)} questions; {model.trained['choices']}")


@app.command()
def show(folder: Annotated[Path | None, typer.Option(help="Folder of weights.")] = None) -> None:
    """What a folder's fusers were trained with, and their calibration."""
    from doyen_medical import weights
    from doyen_medical.rank.fuser import load

    for name in ("ranker", "literature"):
        fuser = load(folder or weights.folder(), name)
        typer.echo(
            f"{name}: {fuser.networks} networks over {len(fuser.names)} scores, temperature {fuser.temperature:.2f},"
            f" abstains above {fuser.limit:.2f}; knowledge {fuser.trained}"
        )
