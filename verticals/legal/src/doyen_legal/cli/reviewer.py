"""``doyen legal reviewer``: build the reviewer model's records, measure it, decide what it may answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Train and measure the reviewer model (LoRA).", no_args_is_help=True)

Train = Annotated[Path, typer.Option("--train", help="CUAD's train part, in its JSON-lines format.")]
Data = Annotated[Path, typer.Option("--data", help="The dev part that is asked about.")]
Seed = Annotated[int, typer.Option("--seed", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def records(
    train: Train,
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for train.jsonl and dev.jsonl.")],
    dev_records: Annotated[int, typer.Option(min=1, help="Records of the dev part, for its loss.")] = 12,
    seed: Seed = 17,
    json: Json = False,
) -> None:
    """Build the training records from CUAD; dev records come from the dev part."""
    from doyen_data import dataset_digest, sample, write_records
    from doyen_legal.corpora import read_cuad
    from doyen_legal.llm.records import Retriever, Sizes, build_records

    contracts = list(read_cuad(train))
    retriever = Retriever.fit(contracts)
    built = {
        "train": build_records(contracts, retriever, seed),
        "dev": sample(
            build_records(list(read_cuad(data)), retriever, seed + 1, Sizes(per_label=12, lookalikes=2)),
            dev_records,
            seed + 2,
        ),
    }
    result: dict[str, Any] = {}
    for name, made in built.items():
        write_records(out / f"{name}.jsonl", made)
        result[name] = {"records": len(made), "sha256": dataset_digest(made)}
    _show(result, json)


@app.command()
def measure(
    train: Train,
    data: Data,
    adapter: Annotated[
        Path | None, typer.Option(help="An adapter folder; the shipped one by default.")
    ] = None,
    untuned: Annotated[bool, typer.Option("--untuned", help="Measure the base without an adapter.")] = False,
    questions: Annotated[int, typer.Option(min=41, help="Questions in all, every label alike.")] = 300,
    seed: Seed = 23,
    json: Json = False,
) -> None:
    """Quote F1, false-NONE and hallucination rates on a seeded sample of windows. TF-IDF is fitted on --train."""
    from doyen_legal.corpora import read_cuad
    from doyen_legal.llm.measure import measure_reviewer, sample_questions
    from doyen_legal.llm.records import Retriever
    from doyen_legal.llm.reviewer import ADAPTER, load_reviewer

    asked = sample_questions(list(read_cuad(data)), Retriever.fit(list(read_cuad(train))), questions, seed)
    _show(measure_reviewer(asked, load_reviewer(None if untuned else adapter or ADAPTER)), json)


@app.command()
def decide(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="Write the decided labels to this file.")] = None,
    per_label: Annotated[int, typer.Option(min=1, help="Most windows asked about for each label.")] = 24,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N contracts.")] = None,
    seed: Seed = 29,
    json: Json = False,
) -> None:
    """Compare the reviewer model with the shipped extractor where the extractor is unsure, label by label."""
    from doyen_legal.corpora import read_cuad
    from doyen_legal.extract.extractor import Extractor
    from doyen_legal.llm.measure import decide_labels, evaluate_reviewer, write_labels
    from doyen_legal.llm.reviewer import load_reviewer
    from doyen_legal.llm.stage import unsure_band

    extractor = Extractor.shipped()
    result = evaluate_reviewer(
        list(read_cuad(data, limit)),
        lambda contract: extractor.extract(contract.text),
        load_reviewer(),
        band=unsure_band(extractor.threshold),
        threshold=extractor.threshold,
        per_label=per_label,
        seed=seed,
    )
    result["labels"] = decide_labels(result)
    if out is not None:
        write_labels(result, out)
    _show(result, json)


def _show(result: dict[str, Any], json: bool) -> None:
    from doyen_runtime.commands.output import print_json, print_table

    if json:
        print_json(result)
        return
    rows = {key: value for key, value in result.items() if not isinstance(value, dict)}
    if rows:
        print_table(["figure", "value"], rows.items())
    for name, table in result.items():
        if isinstance(table, dict):
            typer.echo(f"\n{name}:")
            for key, value in table.items():
                typer.echo(f"  {key}: {value}")
