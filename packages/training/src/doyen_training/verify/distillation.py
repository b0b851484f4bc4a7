"""Distillation into a student of half the layers, from a teacher that saw more records; and planted errors."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_data import Record
    from doyen_training.masking import Example
    from doyen_training.verify.bench import Bench

LABELLED: Final = 128
TEACHER_STEPS: Final = 64


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Accuracy of the student after the same steps over the same few records."""
    task = bench.task(seed, train=LABELLED)
    tutor = teacher(bench, bench.records("train", 10**6, 0))
    return {
        BASELINE: taught(bench, seed, task.train, None),
        TECHNIQUE: taught(bench, seed, task.train, tutor),
        "teacher": bench.accuracy(tutor, task.dev),
    } | _half(bench, seed)


def teacher(bench: Bench, records: Sequence[Record]) -> Any:
    """The whole model tuned on ``records``; made once."""

    def make() -> Any:
        model = bench.model(0)
        bench.train(model, bench.examples(records), steps=TEACHER_STEPS, seed=0)
        return model

    return bench.once(("teacher", tuple(records)), make)


def half(bench: Bench, seed: int) -> Any:
    """A student of the model's lower half of the layers."""
    model = bench.model(seed)
    layers = model.config.num_hidden_layers // 2
    model.model.layers = model.model.layers[:layers]
    model.config.num_hidden_layers = layers
    return model


def taught(bench: Bench, seed: int, examples: Sequence[Example], tutor: Any, **options: Any) -> float:
    """Accuracy of the student after labels alone, or labels and the tutor's cached logits in equal parts.

    Done once for the same arguments: several trials have these arms. ``tutor`` is one that ``teacher`` made.
    """
    key = ("taught", seed, len(examples), id(tutor), tuple(sorted(options.items())))
    return bench.once(key, lambda: _taught(bench, seed, examples, tutor, options))


def _taught(
    bench: Bench, seed: int, examples: Sequence[Example], tutor: Any, options: Mapping[str, Any]
) -> float:
    from doyen_modeling.base import LoadedBase
    from doyen_schemas import BaseRef
    from doyen_training.distillation.cache import TeacherCache, cache_teacher
    from doyen_training.losses.cross_entropy import CrossEntropy
    from doyen_training.losses.distillation import Distillation

    student = half(bench, seed)
    held = bench.task(seed, train=len(examples)).dev
    if tutor is None:
        bench.train(student, examples, seed=seed)
        return bench.accuracy(student, held)
    ref = BaseRef(source=bench.source, weights_sha256="0" * 64, tokenizer_sha256="0" * 64)
    with tempfile.TemporaryDirectory() as folder:
        loaded = LoadedBase(tutor, bench.tokenizer, ref)
        cache_teacher(loaded, examples, bench.tokenizer, Path(folder), device="cpu", batch_size=32)
        cache = TeacherCache(Path(folder))
        bench.train(student, examples, [CrossEntropy(0.5), Distillation(cache, 0.5, **options)], seed=seed)
    return bench.accuracy(student, held)


def _half(bench: Bench, seed: int) -> dict[str, float]:
    return {"student not tuned": bench.accuracy(half(bench, seed), bench.task(seed).dev)}


TRIAL = Trial(
    name="distillation",
    title=f"labels and a teacher's logits against labels alone, {LABELLED} records, a student of half the layers",
    rows=(18, 23),
    metric="accuracy",
    higher_is_better=True,
    run=run,
)
