"""``doyen medical evaluate``: one protocol over one file, figures with intervals."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_runtime.commands.output import print_figures
from doyen_schemas import DoyenError


class Protocol(StrEnum):
    """The benchmarks that the vertical is measured by."""

    papers = "papers"
    uncited = "uncited"
    external = "external"
    concepts = "concepts"
    pubmedqa = "pubmedqa"


def evaluate(
    protocol: Annotated[Protocol, typer.Option(help="Which benchmark.")],
    data: Annotated[Path, typer.Option(help="The file to evaluate on, in the benchmark's own format.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N cases or texts.")] = None,
    floors: Annotated[
        bool, typer.Option("--floors", help="Measure the floor methods beside (rankings).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the ranking, the concept recognition or the answering of questions on a file.

    papers: cases as JSON lines; annotations of held-out papers and of the file's papers are left out. uncited: the
    same file, the cases that HPOA does not cite, knowledge as released. external: a JSON list of
    [[HPO ids], [disease codes]]. concepts: GSC+ as TSV. pubmedqa: questions with contexts as JSON lines; those that
    were trained on are cross-validated.

    Examples:

        doyen medical evaluate --protocol papers --data dev.jsonl.gz --json

        doyen medical evaluate --protocol external --data cases.json --floors
    """
    if floors and protocol in (Protocol.concepts, Protocol.pubmedqa):
        raise DoyenError(
            "MED-021", f"--floors belongs to the rankings, not to {protocol.value}.", "Leave it out."
        )
    if protocol is Protocol.concepts:
        from doyen_medical.evaluate.concepts import evaluate_file

        result: dict[str, Any] = evaluate_file(data, limit)
    elif protocol is Protocol.pubmedqa:
        from doyen_medical.evaluate import pubmedqa

        result = pubmedqa.evaluate_file(data, limit)
    else:
        from doyen_medical.evaluate.rankings import PROTOCOLS

        result = PROTOCOLS[protocol.value](data, limit=limit, with_floors=floors)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        print_figures(result)
