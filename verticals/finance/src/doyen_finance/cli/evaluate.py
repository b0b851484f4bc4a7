"""``doyen finance evaluate``: one protocol over one file or folder, figures with intervals and the floor beside."""

from __future__ import annotations

import json
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_runtime.commands.output import print_figures


class Protocol(StrEnum):
    """The benchmarks that the vertical is measured by; ``doyen_finance.evaluate`` has a module for each."""

    ixbrl = "ixbrl"
    scans = "scans"
    icdar2013 = "icdar2013"
    sentfin = "sentfin"
    tfns = "tfns"
    phrasebank = "phrasebank"
    ett = "ett"
    hs300 = "hs300"
    card_fraud = "card-fraud"
    credit_default = "credit-default"
    tat_qa = "tat-qa"


def evaluate(
    protocol: Annotated[Protocol, typer.Option(help="Which benchmark.")],
    data: Annotated[
        Path, typer.Option(help="The file or folder to evaluate on, in the benchmark's own format.")
    ],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N reports, texts or questions.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure one part of the vertical on a file or folder.

    ixbrl: inline-XBRL reports, folder or tar, printed to PDF and read again. scans: the same, as noisy page images.
    icdar2013: a folder of PDFs with *-reg.xml and *-str.xml. sentfin: JSON lines. tfns: CSV. phrasebank:
    sentence@label lines. ett: a folder with ETTh1 and ETTh2. hs300: bars with
    date and close, or the word hs300. card-fraud: transactions, CSV (--limit: the last N days). credit-default: clients,
    CSV. tat-qa: questions over tables, JSON.

    Examples:

        doyen finance evaluate --protocol tfns --data train.csv.gz --json

        doyen finance evaluate --protocol ixbrl --data reports.tar.xz --limit 2
    """
    module = import_module(f"doyen_finance.evaluate.{protocol.value.replace('-', '_')}")
    result: dict[str, Any] = module.evaluate_file(data, limit)
    if as_json:
        typer.echo(json.dumps(result))
    else:
        print_figures(result)
