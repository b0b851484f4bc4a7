"""``doyen finance train sentiment`` and ``sentiment-lora``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="The data folder; by default DOYEN_DATA.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_RECIPES = Path(__file__).parent.parent / "recipes"


def sentiment(
    out: Annotated[Path, typer.Option(help="Where to write encoder, linear models and sentiment.json.")],
    data: Data = None,
    recipe: Annotated[Path, typer.Option(help="The recipe (TOML).")] = _RECIPES / "sentiment.toml",
    limit: Annotated[int | None, typer.Option(min=50, help="Only about N texts of each corpus.")] = None,
    as_json: Json = False,
) -> None:
    """Train the sentiment encoder and its linear floor; calibrate them on dev.

    Example: doyen finance train sentiment --data ../shared/data --out runs/sentiment
    """
    from doyen_finance.sentiment.build import build

    config = build(_data(data), out, recipe, limit)
    typer.echo(
        json.dumps(config) if as_json else json.dumps({"dev": config["dev"], "ranks": config["ranks"]})
    )


def sentiment_lora(
    adapter: Annotated[Path, typer.Option(help="The adapter folder that doyen train wrote.")],
    out: Annotated[Path, typer.Option(help="The folder of the encoder's run: sentiment.json is added to.")],
    data: Data = None,
    limit: Annotated[
        int | None, typer.Option(min=50, help="Calibrate on the first N dev targets of each kind.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Calibrate the LoRA on dev beside the encoder, and let dev choose the default.

    Example: doyen finance train sentiment-lora --adapter runs/sentiment-lora/adapter --out runs/sentiment
    """
    from doyen_finance.sentiment.lora import add_lora

    config = add_lora(adapter, out, _data(data), limit)
    typer.echo(
        json.dumps(config) if as_json else json.dumps({"dev": config["dev"], "default": config["default"]})
    )


def _data(given: Path | None) -> Path:
    return given or Path(os.environ.get("DOYEN_DATA", "../shared/data"))
