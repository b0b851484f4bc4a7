"""``doyen legal train``: the weights that ship, from recipe and data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Train the shipped weights anew.")

Data = Annotated[Path | None, typer.Option(help="The data folder; by default DOYEN_DATA.")]
_RECIPES = Path(__file__).parent.parent / "recipes"


@app.command()
def extractor(
    out: Annotated[
        Path, typer.Option(help="The run's folder: checkpoints, event log, weights, dev figures.")
    ],
    data: Data = None,
    recipe: Annotated[Path, typer.Option(help="The recipe (TOML).")] = _RECIPES / "extractor.toml",
    limit: Annotated[
        int | None, typer.Option(min=5, help="Only the first N contracts, for a quick look.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train tagger, n-gram heads and scorer on CUAD's train and dev parts; a killed run goes on when repeated.

    Example: doyen legal train extractor --data ../shared/data --out runs/extractor
    """
    from doyen_legal.extract.build import build_extractor
    from doyen_legal.extract.train import load_recipe

    figures = build_extractor(_data(data), load_recipe(recipe), out, limit=limit)
    if as_json:
        print(json.dumps(figures))
    else:
        shown = ("aupr", "p_at_80r", "p_at_90r", "micro_f1", "macro_f1", "presence_auroc_macro", "threshold")
        typer.echo("dev, cross-validated: " + ", ".join(f"{name} {figures[name]}" for name in shown))


@app.command()
def nli(
    out: Annotated[Path, typer.Option(help="Where to write nli.safetensors and nli.json.")],
    data: Data = None,
    recipe: Annotated[Path, typer.Option(help="The recipe (TOML).")] = _RECIPES / "nli.toml",
    limit: Annotated[
        int | None, typer.Option(min=10, help="Only the first N pairs, for a quick look.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train the contradiction head on ContractNLI's train pairs."""
    from doyen_legal.risk.training import train_nli

    out.mkdir(parents=True, exist_ok=True)
    figures = train_nli(_data(data) / "legal", out / "nli.safetensors", out / "figures.json", recipe, limit)
    if as_json:
        print(json.dumps(figures))
    else:
        for seed, run in figures["seeds"].items():
            typer.echo(f"seed {seed}: {run['epochs'][-1]}")


@app.command()
def evidence(
    out: Annotated[Path, typer.Option(help="Where to write evidence.safetensors.")],
    data: Data = None,
) -> None:
    """Fit the heads that find evidence for ContractNLI's hypotheses, on its train pairs (minutes).

    Example: doyen legal train evidence --data ../shared/data --out runs/nli
    """
    from doyen_legal.corpora import read_nli_pairs
    from doyen_legal.risk.evidence import WEIGHTS, fit_evidence, save

    heads = fit_evidence(read_nli_pairs(_data(data) / "legal" / "contract-nli" / "pairs_train.csv.gz"))
    save(heads, out / WEIGHTS)
    typer.echo(f"{out / WEIGHTS}: {len(heads.hypotheses)} hypotheses")


@app.command()
def release(
    folder: Annotated[Path, typer.Option(help="The adapter folder to release, in place.")],
    adapter_version: Annotated[str, typer.Option("--version", help="Semantic version of the weights.")],
    metrics: Annotated[
        Path | None,
        typer.Option(
            help="JSON of the measured figures by protocol; by default the folder's evaluation.json."
        ),
    ] = None,
    data: Data = None,
    first: Annotated[
        bool, typer.Option("--first", help="Nothing was published before: no rule for the version.")
    ] = False,
    max_forgetting: Annotated[
        float,
        typer.Option(min=0, help="Percent by which the reviewer may raise perplexity on general text."),
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the model card and the signed ``release.json`` of an adapter folder, and hold it to the gate.

    The private key is read from DOYEN_SIGNING_KEY. The gate compares with the release that stood in the folder, and
    its result is written beside the folder.

    Example: doyen legal train release --folder src/doyen_legal/adapter --version 0.2.0 --metrics figures.json
    """
    from doyen_evaluation.release import in_place
    from doyen_legal.release import write_release
    from doyen_runtime import adapters

    legal = _data(data) / "legal"
    files = [
        *(legal / "cuad" / name for name in ("train.jsonl.gz", "dev.jsonl.gz")),
        *(legal / "contract-nli" / name for name in ("pairs_train.csv.gz", "pairs_dev.csv.gz")),
    ]
    digests = {f"{file.parent.name}/{file.name}": adapters.file_sha256(file) for file in files}
    in_place.release(
        folder,
        lambda figures, previous: write_release(folder, adapter_version, figures, digests, previous=previous),
        metrics=metrics,
        first=first,
        as_json=as_json,
        max_forgetting=max_forgetting,
    )


def _data(data: Path | None) -> Path:
    from doyen_runtime.settings import get_settings

    return data or get_settings().data
