"""Protocol ``pubmedqa``: yes, no or maybe from a question and its abstract without the conclusion.

The model sees ``question`` and ``contexts`` alone; ``long_answer`` is the conclusion and is never read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from doyen_evaluation.classification import classification_ci, classification_scores
from doyen_medical.cases import rows
from doyen_medical.evaluate.pubmedqa_model import ANSWERS, Model, Question, key, load, save, train
from doyen_schemas import DoyenError

LEAST_ACCURACY, LEAST_MACRO_F1 = 0.55, 0.40
"""Below either the model shows no skill: always answering yes gives .552 and .24."""


def evaluate_file(data: Path, limit: int | None = None, model: Model | None = None) -> dict[str, Any]:
    """Accuracy and macro F1 of the shipped model, and of the majority answer of its training questions.

    Questions that were trained on are answered by the fold's model that did not see them, and counted in
    ``cross_validated``. Intervals from draws of questions. Raises MED-010, MED-011, MED-012.
    """
    from doyen_medical import weights

    model = model or load(weights.folder())
    questions, answers = read(data, limit)
    y_N = np.array([ANSWERS.index(answer) for answer in answers])
    predicted_N = np.array([ANSWERS.index(model.answer(question)) for question in questions])
    majority_N = np.full(len(y_N), ANSWERS.index(model.majority))
    scores = classification_scores(y_N, predicted_N, ANSWERS)
    floor = classification_scores(y_N, majority_N, ANSWERS)
    skilled = scores.accuracy >= LEAST_ACCURACY and scores.macro_f1 >= LEAST_MACRO_F1
    return {
        "n": scores.n,
        "accuracy": round(scores.accuracy, 4),
        "macro_f1": round(scores.macro_f1, 4),
        "accuracy_untuned": round(floor.accuracy, 4),
        "macro_f1_untuned": round(floor.macro_f1, 4),
        "untuned": f"always {model.majority}, the majority of the training answers; no language model was asked",
        "skill": "yes" if skilled else "no skill",
        "cross_validated": sum(key(question) in model.seen for question in questions),
        "per_class_f1": {answer: round(f1, 4) for answer, f1 in scores.per_class_f1.items()},
        "ci95": {
            name: [round(bound, 4) for bound in bounds]
            for name, bounds in classification_ci(y_N, predicted_N, ANSWERS).items()
            if name in ("accuracy", "macro_f1")
        },
    }


def train_file(data: Path, out: Path) -> Model:
    """Train on a file and write the weights to ``out``. Raises MED-010, MED-011, MED-012, MED-065."""
    questions, answers = read(data)
    model = train(
        questions, answers,
        {
            "data_sha256": hashlib.sha256(data.read_bytes()).hexdigest(), "questions": len(questions),
            "command": f"doyen medical train pubmedqa --data {data.name} --out FOLDER",
        },
    )  # fmt: skip
    save(model, out)
    return model


def read(data: Path, limit: int | None = None) -> tuple[list[Question], list[str]]:
    """Questions and answers of a JSON-lines file, gzipped or not. Raises MED-010, MED-011, MED-012 (none)."""
    questions: list[Question] = []
    answers: list[str] = []
    for number, row in rows(data):
        if limit is not None and len(questions) >= limit:
            break
        fields = row if isinstance(row, dict) else {}
        question, contexts, answer = (fields.get(name) for name in ("question", "contexts", "answer"))
        if (
            not isinstance(question, str)
            or not isinstance(contexts, list)
            or not all(isinstance(context, str) for context in contexts)
            or answer not in ANSWERS
        ):
            raise DoyenError(
                "MED-011", f"line {number} of {data.name} is no question with contexts and an answer.",
                f"Each line is a JSON object with question, contexts (texts) and answer ({', '.join(ANSWERS)}).",
            )  # fmt: skip
        questions.append(Question(question, tuple(contexts)))
        answers.append(str(answer))
    if not questions:
        raise DoyenError("MED-012", f"{data.name} has no question.", "See the README for the formats.")
    return questions, answers
