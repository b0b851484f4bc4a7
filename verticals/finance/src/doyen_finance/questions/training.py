"""Train what answers questions: selector, operation and scale models, ranker, calibration, threshold.

Everything that the ranker learns from is out of fold: a selector tuned on one half of the contexts reads the other,
operations are cross-validated. Contexts whose hash holds them out are never read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from doyen_finance.evaluate.tat_qa_metric import exact_match_and_f1
from doyen_finance.questions.answer import Chosen, Models, Prepared, choose, paragraphs_to_read, prepare
from doyen_finance.questions.candidates import programs, row_scores
from doyen_finance.questions.features import Signals
from doyen_finance.questions.labels import right_programs
from doyen_finance.questions.linear import SCALES, LinearModel, fit_linear, question_signs, scale_signs
from doyen_finance.questions.model import Program
from doyen_finance.questions.ranker import fit_ranker
from doyen_finance.questions.spans import best_sentences
from doyen_finance.questions.tatqa import Item, is_held_out, read_items
from doyen_finance.questions.words import read_question
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.questions.selector import Selector

FOLDS: Final = 5
LEAST_CONTEXTS: Final = 10
LEAST_CONFIDENCE: Final = 0.2
Report = Callable[[str], None]


def train(data: Path, out: Path, seed: int = 0, report: Report = lambda _line: None) -> dict[str, Any]:
    """Train on the contexts of ``data`` that are not held out, write ``out`` and return the cross-validated figures.

    Tuned selectors are kept in ``out``/work, so that a repeated call goes on. Raises FIN-080, FIN-085.
    """
    from doyen_finance.questions.selector import SelectorRecipe, average, save
    from doyen_finance.questions.store import save_models

    began = time.monotonic()
    items = [item for item in read_items(data) if not is_held_out(item.group)]
    if len({item.group for item in items}) < LEAST_CONTEXTS:
        raise DoyenError(
            "FIN-085",
            f"{data.name} has {len({item.group for item in items})} contexts to train on; {LEAST_CONTEXTS} are needed.",
            "Give the whole file: a fifth of its contexts is held out by hash.",
        )
    labelled = [_labelled(item) for item in items]
    families = [
        found[right[0]].operation if right else _text_or_none(item)
        for item, (found, right) in zip(items, labelled, strict=True)
    ]
    report(f"{len(items)} questions, {sum(bool(right) for _, right in labelled)} with a right candidate")
    recipe = SelectorRecipe()
    logs = _operations_out_of_fold(items, families)
    selectors, signals = _signals_out_of_fold(
        items, labelled, families, logs, recipe, out / "work", seed, report
    )
    save(average(selectors), recipe.rank, recipe, out / "selector.safetensors")
    models, figures = fit_models(items, families, logs, signals, seed, report)
    figures["seconds"] = round(time.monotonic() - began)
    save_models(
        models, out,
        {
            "data_sha256": hashlib.sha256(data.read_bytes()).hexdigest(), "seed": seed,
            "command": "doyen finance train questions", "contexts": sorted({digest(item.group) for item in items}),
            "cross_validated": figures,
        },
    )  # fmt: skip
    return figures


def digest(group: str) -> str:
    """A context's name as the configuration lists it, so that an evaluation can tell which were trained on."""
    return hashlib.sha256(group.encode()).hexdigest()[:12]


def fold_of(group: str, folds: int, purpose: str) -> int:
    """A fixed fold for each context, another for each purpose."""
    return int(hashlib.sha256(f"{purpose} {group}".encode()).hexdigest(), 16) % folds


def fit_models(
    items: Sequence[Item],
    families: Sequence[str],
    logs: Sequence[Mapping[str, float]],
    signals: Sequence[Signals],
    seed: int,
    report: Report,
) -> tuple[Models, dict[str, Any]]:
    """Ranker, linear models, calibration and threshold, with figures of the cross-validation over contexts."""
    folds = _folds(items)
    prepared = [
        prepare(item.question, item.context, log, signal)
        for item, log, signal in zip(items, logs, signals, strict=True)
    ]
    right = [right_programs(p.programs, item.gold) for p, item in zip(prepared, items, strict=True)]
    report(
        f"{np.mean([len(p.programs) for p in prepared]):.0f} candidates a question, {np.mean([bool(r) for r in right]):.3f} reachable"
    )
    chosen: list[Chosen | None] = [None] * len(items)
    for fold in range(FOLDS):
        inside = np.flatnonzero(folds != fold).tolist()
        ranker = fit_ranker(
            [prepared[i].features for i in inside], [right[i] for i in inside], seed, networks=1
        )
        scales = _scales(items, prepared, right, inside)
        for i in np.flatnonzero(folds == fold).tolist():
            chosen[i] = choose(prepared[i], items[i].context, ranker, scales)
        report(
            f"fold {fold + 1} of {FOLDS}: exact match {np.mean([_scores(items[i], chosen[i])[0] for i in np.flatnonzero(folds <= fold).tolist()]):.4f}"
        )
    scores = np.array([_scores(item, c) for item, c in zip(items, chosen, strict=True)])
    probabilities = np.array([c.probability if c else 0.0 for c in chosen])
    knots = _calibrate(probabilities, scores[:, 0])
    everything = range(len(items))
    models = Models(
        _operations(items, families, [i for i, family in enumerate(families) if family]),
        _scales(items, prepared, right, everything),
        fit_ranker([p.features for p in prepared], right, seed, networks=3),
        knots,
        LEAST_CONFIDENCE,
    )
    confidence = np.array([models.confidence(p) for p in probabilities])
    answered = confidence >= models.threshold
    figures = {
        "n": len(items), "reachable": round(float(np.mean([bool(r) for r in right])), 4),
        "em_without_refusal": round(float(scores[:, 0].mean()), 4),
        "em": round(float((scores[:, 0] * answered).mean()), 4), "f1": round(float((scores[:, 1] * answered).mean()), 4),
        "refused": int((~answered).sum()), "em_answered": round(float(scores[answered, 0].mean()), 4) if answered.any() else None,
    }  # fmt: skip
    return models, figures


def _labelled(item: Item) -> tuple[list[Program], list[int]]:
    question = read_question(item.question)
    scores = row_scores(question, item.context.table)
    found = programs(question, item.context, scores, best_sentences(question, item.context.paragraphs, 6))
    return found, right_programs(found, item.gold)


def _text_or_none(item: Item) -> str:
    return "text" if item.gold.source == "text" and item.gold.kind in ("span", "multi-span") else ""


def _folds(items: Sequence[Item]) -> np.ndarray:
    return np.array([fold_of(item.group, FOLDS, "ranker") for item in items])


def _operations_out_of_fold(items: Sequence[Item], families: Sequence[str]) -> list[Mapping[str, float]]:
    """Logarithms of each question's operations, by a model of the other folds."""
    folds = _folds(items)
    known = np.array([bool(family) for family in families])
    logs: list[Mapping[str, float]] = [{} for _ in items]
    for fold in range(FOLDS):
        model = _operations(items, families, np.flatnonzero((folds != fold) & known).tolist())
        for i in np.flatnonzero(folds == fold).tolist():
            logs[i] = model.log_probabilities(question_signs(items[i].question))
    return logs


def _signals_out_of_fold(
    items: Sequence[Item],
    labelled: Sequence[tuple[list[Program], list[int]]],
    families: Sequence[str],
    logs: Sequence[Mapping[str, float]],
    recipe: Any,
    work: Path,
    seed: int,
    report: Report,
) -> tuple[list[Selector], list[Signals]]:
    """Two selectors, each tuned on half of the contexts, and each question as the one that did not see it reads it."""
    from doyen_finance.questions.selector import select

    halves = np.array([fold_of(item.group, 2, "selector") for item in items])
    signals: list[Signals] = [Signals()] * len(items)
    selectors = []
    for half in (0, 1):
        outside, inside = np.flatnonzero(halves != half).tolist(), np.flatnonzero(halves == half).tolist()
        selector = _selector(items, labelled, families, outside, recipe, work / f"half{half}", seed, report)
        selectors.append(selector)
        read = select(
            selector,
            [
                (
                    items[i].question,
                    items[i].context,
                    paragraphs_to_read(items[i].question, items[i].context, logs[i]),
                )
                for i in inside
            ],
        )
        for i, signal in zip(inside, read, strict=True):
            signals[i] = signal
        report(f"half {half + 1} read")
    return selectors, signals


def _selector(
    items: Sequence[Item],
    labelled: Sequence[tuple[list[Program], list[int]]],
    families: Sequence[str],
    chosen: Sequence[int],
    recipe: Any,
    folder: Path,
    seed: int,
    report: Report,
) -> Selector:
    """Tune on the chosen questions, or read what an earlier call tuned."""
    from doyen_finance.questions.examples import table_example, text_examples
    from doyen_finance.questions.selector import fit_selector, load, save

    path = folder / "selector.safetensors"
    if path.is_file():
        return load(path)
    tables = [table_example(items[i], *labelled[i]) for i in chosen]
    own, own_families = [items[i] for i in chosen], [families[i] for i in chosen]
    model = fit_selector(
        recipe, tables, lambda epoch: text_examples(own, own_families, epoch, seed), seed,
        lambda epoch, loss: report(f"selector {folder.name}, epoch {epoch + 1} of {recipe.epochs}: loss {loss:.3f}"),
    )  # fmt: skip
    save(model, recipe.rank, recipe, path)
    return model


def _operations(items: Sequence[Item], families: Sequence[str], chosen: Sequence[int]) -> LinearModel:
    return fit_linear([question_signs(items[i].question) for i in chosen], [families[i] for i in chosen])


def _scales(
    items: Sequence[Item], prepared: Sequence[Prepared], right: Sequence[Sequence[int]], chosen: Sequence[int]
) -> LinearModel:
    kept = [i for i in chosen if right[i] and items[i].gold.scale in SCALES]
    signs = [
        scale_signs(items[i].question, items[i].context, prepared[i].programs[right[i][0]]) for i in kept
    ]
    return fit_linear(signs, [items[i].gold.scale or "" for i in kept], strength=0.5)


def _scores(item: Item, chosen: Chosen | None) -> tuple[float, float]:
    if chosen is None:
        return 0.0, 0.0
    gold = item.gold
    return exact_match_and_f1(gold.answer, gold.kind, gold.scale, chosen.program.parts, chosen.scale)


def _calibrate(probabilities: np.ndarray, right: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Isotonic regression of being right on the raw probability, as at most 40 knots."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(probabilities, right)
    xs, ys = fitted.X_thresholds_, fitted.y_thresholds_
    picked = np.unique(np.linspace(0, len(xs) - 1, min(40, len(xs))).round().astype(int))
    return tuple((round(float(xs[i]), 4), round(float(ys[i]), 4)) for i in picked)
