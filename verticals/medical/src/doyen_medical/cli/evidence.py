"""``doyen medical evidence``: passages that say what a disease shows, with their sources."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from doyen_retrieval.index import Encode

app = typer.Typer(no_args_is_help=True, help="Passages with sources: build, show, search, measure.")
Dense = Annotated[bool, typer.Option("--dense", help="With the sentence encoder's vectors beside BM25.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _encode(dense: bool) -> Encode | None:
    if not dense:
        return None
    from doyen_modeling.pairs import embed

    return embed


@app.command()
def build(dense: Dense = False) -> None:
    """Index HPO definitions, the annotations and, where you built it, MedQuAD; with --dense minutes, with MedQuAD
    about a quarter of an hour on one core; else seconds.
    """
    from doyen_medical.evidence import library

    found = library.build(_encode(dense), typer.echo)
    typer.echo(
        f"{len(found.edges.passages)} annotated findings, {len(found.texts.passages)} texts; absent:"
        f" {', '.join(found.absent) or 'nothing'}; {found.knowledge.version}"
    )


@app.command()
def show(
    disease: Annotated[str, typer.Argument(help="Code, such as OMIM:607208.")],
    terms: Annotated[str, typer.Option(help="HPO ids of the findings, with commas.")],
    dense: Dense = False,
    as_json: AsJson = False,
) -> None:
    """What says that a disease has these findings.

    Example:

        doyen medical evidence show OMIM:607208 --terms HP:0001250,HP:0001263
    """
    from doyen_medical.evidence.library import load
    from doyen_medical.evidence.statements import evidence_for

    found = evidence_for(disease, [id.strip() for id in terms.split(",")], load(), _encode(dense))
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    for statement in found.statements:
        typer.echo(f"{statement.finding} ({statement.relation}) {statement.text}")
        typer.echo(f"    {', '.join(statement.passages)}: {', '.join(statement.citations)}")
    typer.echo(
        f"{found.counts}; by {', '.join(found.methods)}; absent: {', '.join(found.absent) or 'nothing'}"
    )


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="Words.")],
    top: Annotated[int, typer.Option(min=1, max=100, help="How many passages.")] = 5,
    dense: Dense = False,
    as_json: AsJson = False,
) -> None:
    """Definitions and MedQuAD answers on some words."""
    from doyen_medical.evidence.library import load
    from doyen_retrieval.search import search as find

    result = find(load().texts, query, top, encode=_encode(dense))
    if as_json:
        hits = [{**hit.passage._asdict(), "score": hit.score, "ranks": hit.ranks} for hit in result.hits]
        typer.echo(json.dumps({"methods": result.methods, "hits": hits}, ensure_ascii=False))
        return
    for hit in result.hits:
        typer.echo(f"{hit.passage.id}  {hit.passage.url}\n    {hit.passage.text}")
    typer.echo(f"{len(result.hits)} by {', '.join(result.methods)}")


@app.command()
def measure(
    data: Annotated[Path, typer.Option(help="Published cases, JSON lines.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N cases.")] = None,
    dense: Dense = False,
    as_json: AsJson = False,
) -> None:
    """Citations of the first candidate of each case: share that resolves, share that its passages support."""
    from doyen_medical.evidence.measure import measure as run

    result = run(data, limit, _encode(dense))
    if as_json:
        typer.echo(json.dumps(result))
    else:
        for name, value in result.items():
            typer.echo(f"{name:32} {value}")
