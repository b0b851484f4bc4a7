"""``doyen finance sentiment``: judge a text and its entities, and measure the judges."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from doyen_finance.sentiment.scoring import Model

HELP = """Sentiment of a text and of each entity in it, with calibrated probabilities.

Examples:

  doyen finance sentiment "Acme soars after it raises guidance, rival Bolt slips"\n
  doyen finance sentiment news.txt --entity Acme --json\n
  doyen finance sentiment robustness --data dev.jsonl.gz --json\n
  doyen finance sentiment overlap --train train.csv.gz --test test.csv.gz --json

Options: doyen finance sentiment analyse --help.
"""


class AnalyseByDefault(TyperGroup):
    """``doyen finance sentiment TEXT`` is short for ``doyen finance sentiment analyse TEXT``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["analyse", *args]
        return super().parse_args(ctx, args)


class Corpus(StrEnum):
    """The formats of ``measure``."""

    sentfin = "sentfin"
    tfns = "tfns"
    phrasebank = "phrasebank"


app = typer.Typer(cls=AnalyseByDefault, no_args_is_help=True, help=HELP)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Data = Annotated[
    Path, typer.Option(help="Corpus file: SEntFiN JSON lines, TFNS CSV or sentence@label lines.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N texts.")]
Which = Annotated[
    Model | None, typer.Option("--model", help="Which model; by default the one that dev chose.")
]


@app.command()
def analyse(
    text: Annotated[str, typer.Argument(help="The text, or the file that holds it (TXT, HTML, PDF, DOCX).")],
    entity: Annotated[str | None, typer.Option(help="Judge only this name, where it is written.")] = None,
    model: Which = None,
    as_json: Json = False,
) -> None:
    """Judge a text or a file, and each entity that is recognised in it.

    Example: doyen finance sentiment "Acme soars, Bolt slips" --json
    """
    from doyen_finance.sentiment.analysis import analyse as judge
    from doyen_finance.sentiment.files import text_of

    found = judge(text_of(text), entity, model)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    typer.echo(f"{'text':40} {_shown(asdict(found.sentiment))}")
    for item in found.entities:
        typer.echo(f"{item.name[:40]:40} {_shown(asdict(item.sentiment))}  {len(item.spans)} mention(s)")
    if found.flags:
        typer.echo("flags: " + ", ".join(found.flags))


@app.command()
def measure(
    protocol: Annotated[Corpus, typer.Option(help="The file's format.")],
    data: Data,
    model: Which = None,
    limit: Limit = None,
    dev: Annotated[
        bool,
        typer.Option("--dev", help="Of a training file of tweets, only those that training keeps apart."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure one model beside the linear floor; ``doyen finance evaluate`` measures the default one.

    Example: doyen finance sentiment measure --protocol tfns --data test.csv.gz --model lora --limit 200 --json
    """
    from doyen_finance.sentiment.measure import measure as run

    _print(run(protocol.value, data, limit, model, dev=dev), as_json)


@app.command()
def robustness(
    data: Data,
    model: Which = None,
    limit: Limit = None,
    seed: Annotated[int, typer.Option()] = 0,
    as_json: Json = False,
) -> None:
    """How often the answer flips when digits, capitals, links, names or the question's wording change.

    Example: doyen finance sentiment robustness --data dev.jsonl.gz --json
    """
    from doyen_finance.sentiment.robustness import robustness_file
    from doyen_finance.sentiment.scoring import default_model, require

    chosen = model or default_model()
    require(chosen)
    _print(robustness_file(data, limit, chosen, seed), as_json)


@app.command()
def overlap(
    train: Annotated[list[Path], typer.Option(help="Corpus file that was trained on; may be repeated.")],
    test: Annotated[Path, typer.Option(help="Corpus file that is evaluated on.")],
    near: Annotated[
        float, typer.Option(min=0.1, max=1, help="Jaccard index from which texts count as near.")
    ] = 0.8,
    as_json: Json = False,
) -> None:
    """Count the test texts that stand in the training files: exactly, normalised or nearly; pairs by number.

    Example: doyen finance sentiment overlap --train train.csv.gz --test test.csv.gz --json
    """
    from doyen_finance.sentiment.overlap import overlap_files

    found = overlap_files(train, test, near)
    _print(found if as_json else {name: value for name, value in found.items() if name != "pairs"}, as_json)


@app.command()
def records(
    data: Annotated[Path, typer.Option(help="The data folder that holds finance/sentfin and finance/tfns.")],
    out: Annotated[Path, typer.Option(help="Where to write train.jsonl and dev.jsonl.")],
    seed: Annotated[int, typer.Option(help="Order of the records.")] = 17,
    as_json: Json = False,
) -> None:
    """Write the LoRA's training records: doyen train sentiment-lora.toml --data OUT runs on them.

    Example: doyen finance sentiment records --data ../shared/data --out runs/records
    """
    from doyen_finance.sentiment.lora import write_records

    _print(write_records(data, out, seed), as_json)


def _shown(sentiment: dict[str, Any]) -> str:
    return f"{sentiment['label']:9} " + " ".join(f"{p:.2f}" for p in sentiment["probabilities"].values())


def _print(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result))
    else:
        for name, value in result.items():
            typer.echo(f"{name:18} {value}")
