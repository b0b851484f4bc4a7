"""Build what ships from the corpora: the linear models, the tuned encoder cut to low rank, and the calibration.

Every decision is made on dev. The calibrated figures of dev are cross-fitted: each fifth by a blend fitted on the
other four.

Shapes: N targets, C sentiments.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from doyen_finance.sentiment import linear
from doyen_finance.sentiment.corpora import LABELS, Headline, Target, read_sentfin, read_tfns, split
from doyen_finance.sentiment.scoring import CONFIG, ENCODER, KINDS, Blend, Model, fit_blend, write_blends
from doyen_finance.sentiment.text import canonical
from doyen_schemas import DoyenError

Text = TypeVar("Text")

RECIPE: Final = Path(__file__).parents[1] / "recipes" / "sentiment.toml"
WHOLE: Final = "whole.safetensors"
FOLDS: Final = 5
_SECTIONS: Final = {
    "data": {"headlines", "headlines_dev", "tweets"},
    "run": {"seed", "rank", "ranks", "linear_features"},
}


@dataclass(frozen=True, slots=True)
class Corpora:
    """Train and dev; ``removed`` counts training headlines that say, normalised, what a dev headline says."""

    tweets: list[Target]
    tweets_dev: list[Target]
    headlines: list[Headline]
    headlines_dev: list[Headline]
    removed: int
    sha256: dict[str, str]

    def train(self, kind: str) -> list[Target]:
        """Tweets (``text``) or marked entities (``target``) to train on."""
        return self.tweets if kind == "text" else [t for h in self.headlines for t in h.targets]

    def dev(self, kind: str) -> list[Target]:
        """Tweets (``text``) or marked entities (``target``) to decide on."""
        return self.tweets_dev if kind == "text" else [t for h in self.headlines_dev for t in h.targets]


def read_corpora(data: Path, recipe: Path = RECIPE, limit: int | None = None) -> Corpora:
    """The recipe's files under ``data``; ``limit`` takes so many of each. Raises FIN-040, FIN-041, FIN-047."""
    files = {name: data / file for name, file in read_recipe(recipe)["data"].items()}
    tweets, tweets_dev = split(_spread(read_tfns(files["tweets"])[0], limit))
    headlines = _spread(read_sentfin(files["headlines"])[0], limit)
    headlines_dev = _spread(read_sentfin(files["headlines_dev"])[0], limit)
    in_dev = {canonical(headline.title) for headline in headlines_dev}
    kept = [headline for headline in headlines if canonical(headline.title) not in in_dev]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()}
    return Corpora(tweets, tweets_dev, kept, headlines_dev, len(headlines) - len(kept), digests)


def read_recipe(path: Path) -> dict[str, Any]:
    """The recipe's sections. Raises FIN-047 and names what is wrong."""
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
        if set(stated) != {"data", "run", "model"}:
            raise ValueError(f"sections are {sorted(stated)}, not data, model, run")
        for section, keys in _SECTIONS.items():
            if set(stated[section]) != keys:
                raise ValueError(f"[{section}] has {sorted(stated[section])}, not {sorted(keys)}")
        from doyen_finance.sentiment.training import Settings

        Settings(**stated["model"])
    except (OSError, ValueError, TypeError) as error:
        raise DoyenError(
            "FIN-047", f"recipe {path.name}: {error}.", "Compare it with the recipe that doyen_finance ships."
        ) from error
    return stated


def build(data: Path, out: Path, recipe: Path = RECIPE, limit: int | None = None) -> dict[str, Any]:
    """Train and write ``out``: linear models, encoder, and ``sentiment.json`` with dev figures, which is returned.

    The uncut encoder is kept in ``out`` as well; where it is there already, only what follows is done again. Raises
    FIN-040, FIN-041, FIN-047.
    """
    from safetensors.torch import load_file, save_file

    from doyen_finance.sentiment.adapter import low_rank, restore
    from doyen_finance.sentiment.model import SentimentModel, sentiment_logits
    from doyen_finance.sentiment.training import Settings, fit
    from doyen_modeling.encoder import encoder_digests

    settings = read_recipe(recipe)
    run = settings["run"]
    corpora = read_corpora(data, recipe, limit)
    out.mkdir(parents=True, exist_ok=True)
    floor = {kind: _fit_floor(corpora, kind, run["linear_features"], out) for kind in KINDS}

    def log(epoch: int, loss: float, model: SentimentModel) -> None:
        scores = {
            kind: _accuracy(sentiment_logits(model, corpora.dev(kind)), corpora.dev(kind)) for kind in KINDS
        }
        with (out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch + 1, "loss": round(loss, 4), **scores}) + "\n")

    if (out / WHOLE).is_file():
        whole = SentimentModel()
        whole.load_state_dict(load_file(out / WHOLE))
    else:
        whole = fit(Settings(**settings["model"]), corpora.tweets, corpora.headlines, run["seed"], log)
        save_file({name: t.contiguous() for name, t in whole.state_dict().items()}, out / WHOLE)

    ranks: dict[str, dict[str, float]] = {"whole": _scores(whole, corpora)}
    for rank in sorted({*run["ranks"], run["rank"]}):
        tensors = low_rank(whole, rank)
        cut = restore(tensors)
        ranks[str(rank)] = {
            **_scores(cut, corpora),
            "bytes": sum(t.numel() * t.element_size() for t in tensors.values()),
        }
        if rank == run["rank"]:
            save_file(tensors, out / ENCODER)
            shipped = cut
    logits = {kind: sentiment_logits(shipped, corpora.dev(kind)) for kind in KINDS}
    nothing = {kind: np.zeros_like(floor[kind]) for kind in KINDS}
    weights, tokenizer = encoder_digests()
    config: dict[str, Any] = {
        "encoder_sha256": weights,
        "tokenizer_sha256": tokenizer,
        "command": "doyen finance train sentiment",
        "recipe": settings,
        "data_sha256": corpora.sha256,
        "n": {
            "tweets": len(corpora.tweets),
            "tweets_dev": len(corpora.tweets_dev),
            "headlines": len(corpora.headlines),
            "headlines_dev": len(corpora.headlines_dev),
            "headlines_removed": corpora.removed,
        },
        "ranks": ranks,
        "default": Model.encoder.value,
        "blends": {},
        "dev": {},
    }
    add_model(config, Model.encoder, logits, floor, corpora, bias=False)
    add_model(config, Model.linear, nothing, floor, corpora, bias=False)
    write_config(config, out)
    return config


def add_model(
    config: dict[str, Any],
    model: Model,
    logits: dict[str, np.ndarray],
    floor: dict[str, np.ndarray],
    corpora: Corpora,
    *,
    bias: bool,
) -> None:
    """Fit the blend of ``model`` on dev, note it with its cross-fitted dev accuracy, and choose the default anew.

    The linear model takes part only where that raises the cross-fitted accuracy.
    """
    fitted, figures = {}, {}
    for kind in KINDS:
        gold = [t.label for t in corpora.dev(kind)]
        choices = []
        for floor_NC in (np.zeros_like(floor[kind]), floor[kind]):
            crossed = cross_fitted(logits[kind], floor_NC, gold, bias=bias)
            accuracy = float((crossed.argmax(axis=1) == np.asarray(gold)).mean())
            choices.append((accuracy, fit_blend(logits[kind], floor_NC, gold, bias=bias)))
        accuracy, fitted[kind] = max(choices, key=lambda choice: choice[0])
        figures[kind] = round(accuracy, 4)
    config["blends"][model.value] = write_blends(fitted)
    config["dev"][model.value] = figures
    ranked = {name: sum(dev.values()) for name, dev in config["dev"].items()}
    config["default"] = max(ranked, key=lambda name: ranked[name])


def cross_fitted(
    model_NC: np.ndarray, floor_NC: np.ndarray, gold: Sequence[int], *, bias: bool
) -> np.ndarray:
    """Probabilities [N, C] of each fifth by the blend of the other four."""
    fold_N = np.random.default_rng(0).permutation(len(gold)) % FOLDS
    out = np.zeros((len(gold), len(LABELS)))
    labels = np.asarray(gold)
    for fold in range(FOLDS):
        rest, own = fold_N != fold, fold_N == fold
        if not rest.any():
            continue
        blend: Blend = fit_blend(model_NC[rest], floor_NC[rest], labels[rest].tolist(), bias=bias)
        out[own] = blend.probabilities(model_NC[own], floor_NC[own])
    return out


def write_config(config: dict[str, Any], out: Path) -> None:
    """``sentiment.json`` in ``out``."""
    (out / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _spread(items: list[Text], limit: int | None) -> list[Text]:
    """About ``limit`` items at equal distances: files are sorted by label in parts."""
    return items if limit is None else items[:: max(1, len(items) // limit)][:limit]


def _fit_floor(corpora: Corpora, kind: str, features: int, out: Path) -> np.ndarray:
    """Fit and write the linear model of ``kind``; its logits on dev, as shipped."""
    path = out / f"linear-{kind}.safetensors"
    linear.fit(corpora.train(kind), features).save(path)
    return linear.load(path).logits(corpora.dev(kind))


def _scores(model: Any, corpora: Corpora) -> dict[str, float]:
    from doyen_finance.sentiment.model import sentiment_logits

    return {kind: _accuracy(sentiment_logits(model, corpora.dev(kind)), corpora.dev(kind)) for kind in KINDS}


def _accuracy(logits_NC: np.ndarray, targets: Sequence[Target]) -> float:
    gold = np.array([t.label for t in targets])
    return round(float((logits_NC.argmax(axis=1) == gold).mean()), 4)
