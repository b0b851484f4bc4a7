"""Train the ContractNLI classifier from its recipe, and write weights and figures.

The corpus pairs a hypothesis with gold evidence, or with random sentences where the contract does not mention it.
A reviewer retrieves evidence instead, so training also sees what retrieval gives: on-topic sentences that decide
nothing (hard negatives), and gold evidence with an unrelated sentence beside it (distractors). Both come from the
same contract, for which the label holds as a whole.
"""

from __future__ import annotations

import hashlib
import json
import time
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_legal.corpora import NLI_LABELS, NliPair, read_nli_pairs
from doyen_legal.evaluate.nli import score_labels
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_modeling.pairs import Pair, PairRecipe

RECIPE: Final = Path(__file__).parents[1] / "recipes" / "nli.toml"
WEIGHTS: Final = Path(__file__).parents[1] / "adapter" / "nli.safetensors"


def train_nli(
    data: Path,
    out: Path = WEIGHTS,
    figures: Path | None = None,
    recipe: Path = RECIPE,
    limit: int | None = None,
) -> dict[str, Any]:
    """Train every seed of the recipe on ``data`` (the folder that holds ``contract-nli``), and save the first.

    Writes ``out`` with its ``.json``, and ``figures`` (JSON) when given; returns the figures: settings, digests of
    the data, and for every seed the dev scores after each epoch, of the whole weights and at each rank.
    ``limit`` takes the first pairs only, for a quick look. Raises LEG-030 for a bad recipe, LEG-001 for missing data,
    MOD-032 for a teacher that cannot be read.
    """
    from doyen_modeling.pairs import Pair, fit, load_delta, predict, recipe_settings, save_delta

    settings, model_recipe = read_recipe(recipe)
    distil = settings.get("distil")
    train_file, dev_file = data / settings["data"]["train"], data / settings["data"]["dev"]
    train, dev = read_nli_pairs(train_file, limit), read_nli_pairs(dev_file, limit)
    dev_pairs = [Pair(pair.evidence, pair.hypothesis, pair.label) for pair in dev]
    gold = [pair.label for pair in dev]
    result: dict[str, Any] = {
        "recipe": recipe_settings(model_recipe),
        "augment": settings["augment"],
        "data_sha256": {file.name: sha256(file) for file in (train_file, dev_file)},
        "pairs": {"train": len(train), "dev": len(dev)},
        "seeds": {},
    }
    teacher_NC, start = None, None
    if distil:
        files = [recipe.parent / name for name in distil["teachers"]]
        result["distil"] = {**distil, "teachers_sha256": [sha256(file) for file in files]}
        teacher_NC = teach(files, train, out.with_name(f"{out.stem}-teacher.npz"))
        start = load_delta(files[0])[0] if distil["start"] else None
    for seed in settings["run"]["seeds"]:
        began = time.monotonic()
        epochs: list[dict[str, Any]] = []

        def after_epoch(epoch: int, loss: float, model: Any, epochs: list[dict[str, Any]] = epochs) -> None:
            scores = score_labels(gold, predict(model, dev_pairs).argmax(1).tolist())
            epochs.append({"epoch": epoch + 1, "loss": round(loss, 4), **scores})

        model = fit(
            model_recipe,
            partial(augment, train, settings["augment"], seed),
            seed,
            after_epoch,
            teacher_NC,
            start,
        )
        seconds = time.monotonic() - began
        ranks = {}
        first = seed == settings["run"]["seeds"][0]
        for rank in sorted({*settings["run"]["ranks"], model_recipe.rank}):
            shipped = first and rank == model_recipe.rank
            path = out if shipped else out.with_name(f"{out.stem}-seed{seed}-rank{rank}.safetensors")
            hypotheses = sorted({pair.hypothesis for pair in train})
            extra = {"seed": seed, "hypotheses": hypotheses, "recipe": recipe.name}
            save_delta(model, path, rank, extra | ({"distil": result["distil"]} if distil else {}))
            compressed, _ = load_delta(path)
            scores = score_labels(gold, predict(compressed, dev_pairs).argmax(1).tolist())
            ranks[str(rank)] = {**scores, "bytes": path.stat().st_size}
            if not shipped:
                path.unlink()
                path.with_suffix(".json").unlink()
        result["seeds"][str(seed)] = {"train_seconds": round(seconds, 1), "epochs": epochs, "ranks": ranks}
        if figures is not None:
            figures.parent.mkdir(parents=True, exist_ok=True)
            figures.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def read_recipe(path: Path) -> tuple[dict[str, Any], PairRecipe]:
    """The recipe's sections and its model settings. Raises LEG-030 and names what is wrong."""
    from doyen_modeling.pairs import PairRecipe

    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = (set(settings) - {"distil"}) ^ {"data", "run", "augment", "model"}
        if unknown:
            raise ValueError(f"sections {sorted(unknown)} missing or unknown")
        model = dict(settings["model"])
        model["labels"], model["class_weights"] = tuple(model["labels"]), tuple(model["class_weights"])
        recipe = PairRecipe(**model)
        if recipe.labels != NLI_LABELS:
            raise ValueError(f"labels are {list(recipe.labels)}, not {list(NLI_LABELS)}")
        for section, keys in (
            ("data", {"train", "dev"}),
            ("run", {"seeds", "ranks"}),
            ("augment", {"hard_negative", "distractor"}),
            ("distil", {"teachers", "start"}),
        ):
            if section in settings and set(settings[section]) != keys:
                raise ValueError(
                    f"section [{section}] has keys {sorted(settings[section])}, not {sorted(keys)}"
                )
        if not settings["run"]["seeds"]:
            raise ValueError("[run] seeds is empty")
        if "distil" in settings and not settings["distil"]["teachers"]:
            raise ValueError("[distil] teachers is empty")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DoyenError(
            "LEG-030", f"recipe {path.name}: {error}.", "Compare it with the recipe that doyen_legal ships."
        ) from error
    return settings, recipe


def teach(files: Sequence[Path], pairs: Sequence[NliPair], kept: Path, chunk: int = 512) -> np.ndarray:
    """Mean probabilities [len(pairs), 3] of the classifiers in ``files`` for the pairs as the corpus has them.

    The teachers read the gold evidence where the student reads what retrieval may give (privileged information,
    Lopez-Paz et al. 2016, arXiv:1511.03643). ``kept`` holds what is done, so that a killed run goes on.
    """
    from doyen_modeling.pairs import Pair, load_delta, predict

    texts = [Pair(pair.evidence, pair.hypothesis, pair.label) for pair in pairs]
    key = hashlib.sha256(
        json.dumps([[sha256(file) for file in files], [tuple(text) for text in texts]]).encode()
    ).hexdigest()
    done = np.zeros((0, len(NLI_LABELS)), dtype=np.float32)
    if kept.is_file():
        with np.load(kept) as before:
            if str(before["key"]) == key:
                done = before["probabilities"]
    teachers = [load_delta(file)[0] for file in files] if len(done) < len(texts) else []
    while len(done) < len(texts):
        part = texts[len(done) : len(done) + chunk]
        done = np.concatenate([done, np.mean([predict(teacher, part) for teacher in teachers], axis=0)])
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, key=key, probabilities=done)
    return done


def augment(pairs: Sequence[NliPair], chances: dict[str, float], seed: int, epoch: int) -> list[Pair]:
    """The pairs of one epoch, some with evidence made harder; labels and count stay."""
    from doyen_modeling.pairs import Pair

    rng = np.random.default_rng([seed, epoch])
    decided = _decided_evidence(pairs)
    made = []
    for pair, (contract, own) in zip(pairs, contracts(pairs), strict=True):
        others = [text for hypothesis, text in decided[contract] if hypothesis != own]
        evidence, draw = pair.evidence, rng.random()
        if others and NLI_LABELS[pair.label] == "not_mentioned":
            if draw < chances["hard_negative"]:
                evidence = others[rng.integers(len(others))]
        elif others and draw < chances["distractor"]:
            lines = [evidence, _line(others[rng.integers(len(others))], rng)]
            evidence = "\n".join(lines if rng.random() < 0.5 else lines[::-1])
        made.append(Pair(evidence, pair.hypothesis, pair.label))
    return made


def contracts(pairs: Sequence[NliPair]) -> list[tuple[int, str]]:
    """Each pair's contract, counted from 0, and its hypothesis.

    The corpus lists contract after contract, each hypothesis once: a hypothesis seen again starts the next one.
    """
    number, seen, result = 0, set[str](), []
    for pair in pairs:
        if pair.hypothesis in seen:
            number, seen = number + 1, set()
        seen.add(pair.hypothesis)
        result.append((number, pair.hypothesis))
    return result


def _decided_evidence(pairs: Sequence[NliPair]) -> dict[int, list[tuple[str, str]]]:
    """For each contract, the evidence that decides a hypothesis, with that hypothesis."""
    decided: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for pair, (contract, hypothesis) in zip(pairs, contracts(pairs), strict=True):
        if NLI_LABELS[pair.label] != "not_mentioned":
            decided[contract].append((hypothesis, pair.evidence))
    return decided


def _line(evidence: str, rng: np.random.Generator) -> str:
    lines = [line for line in evidence.split("\n") if line.strip()] or [evidence]
    return lines[rng.integers(len(lines))]


def sha256(path: Path) -> str:
    """The hex sha256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


__all__ = ["RECIPE", "WEIGHTS", "augment", "contracts", "read_recipe", "teach", "train_nli"]
