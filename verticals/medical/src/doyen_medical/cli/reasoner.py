"""``doyen medical reasoner``: build the tuned model's records, choose its bound, measure it, decide whether it speaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from doyen_medical.llm.measure import Score
    from doyen_medical.llm.questions import Question
    from doyen_medical.llm.reasoner import Reasoner

app = typer.Typer(help="Train and measure the tuned language model (LoRA).", no_args_is_help=True)

TUNED_ON = 3
"""The fold of train papers that the model is not trained on: its bound and weight are chosen there."""
Data = Annotated[Path, typer.Option("--data", help="The development cases, JSON lines.")]
Adapter = Annotated[Path | None, typer.Option(help="An adapter folder; the shipped one by default.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N cases.")]
Most = Annotated[int, typer.Option(min=1, help="Cases of one disease and paper at most.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def records(
    train: Annotated[Path, typer.Option("--train", help="The train cases, JSON lines.")],
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for train.jsonl, dev.jsonl and questions.jsonl.")
    ],
    dev_records: Annotated[int, typer.Option(min=1, help="Records of the dev part, for its loss.")] = 40,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 17,
    json: Json = False,
) -> None:
    """Build the training records from cases ranked out of fold; about five minutes on one core.

    Every fourth fold of papers is kept for questions.jsonl, on which the bound is chosen. The base is not needed.

    Example: doyen medical reasoner records --train train.jsonl.gz --data dev.jsonl.gz --out runs/records
    """
    from doyen_data import dataset_digest, sample, write_records
    from doyen_medical.knowledge.store import load_published
    from doyen_medical.llm.measure import dev_questions, read_cases
    from doyen_medical.llm.questions import train_questions, write_questions
    from doyen_medical.llm.records import build_records

    knowledge = load_published()
    is_term = frozenset(knowledge.ontology.labels).__contains__
    found = list(train_questions(knowledge, read_cases(train, knowledge)))
    built = {
        "train": build_records([q for fold, q in found if fold != TUNED_ON], is_term, seed),
        "dev": build_records(
            dev_questions(knowledge, read_cases(data, knowledge), 6 * dev_records, most=1), is_term, seed + 1
        ),
    }
    kept = {"train": built["train"].records, "dev": sample(built["dev"].records, dev_records, seed + 2)}
    out.mkdir(parents=True, exist_ok=True)
    write_questions(out / "questions.jsonl", [q for fold, q in found if fold == TUNED_ON])
    result: dict[str, Any] = {"questions": sum(fold == TUNED_ON for fold, _ in found)}
    for name, made in kept.items():
        write_records(out / f"{name}.jsonl", made)
        result[name] = {
            "records": len(made),
            "left_out": built[name].left_out,
            "sha256": dataset_digest(made),
        }
    _show(result, json)


@app.command()
def tune(
    questions: Annotated[Path, typer.Option("--questions", help="questions.jsonl of `records`.")],
    adapter: Annotated[Path, typer.Option(help="The adapter folder; settings.json is written into it.")],
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Choose weight, bound and margin on train cases of papers that neither ranker nor model saw.

    Example: doyen medical reasoner tune --questions runs/records/questions.jsonl --adapter runs/reasoner/adapter
    """
    from json import dumps

    from doyen_medical.llm import measure
    from doyen_medical.llm.questions import read_questions
    from doyen_medical.llm.reasoner import load_reasoner
    from doyen_medical.llm.stage import SETTINGS

    found = read_questions(questions)[:limit]
    scores, seconds = measure.scores_of(
        found, load_reasoner(adapter).letter_scores, max(measure.MARGINS), _say
    )
    result = measure.tune(found, scores) | {"seconds_per_question": round(seconds, 3)}
    (adapter / SETTINGS).write_text(dumps(result, indent=1) + "\n", encoding="utf-8")
    _show(result, json)


@app.command()
def measure(
    data: Data,
    adapter: Adapter = None,
    untuned: Annotated[bool, typer.Option("--untuned", help="Measure the base without an adapter.")] = False,
    limit: Limit = None,
    most: Most = 10,
    explained: Annotated[
        int, typer.Option(min=0, help="Questions on which the model writes its steps, to be checked.")
    ] = 20,
    json: Json = False,
) -> None:
    """The ranker alone and with the model on the protocol `papers`: top-1, 3, 10, MRR, paired intervals by paper.

    Example: doyen medical reasoner measure --data dev.jsonl.gz --limit 300 --json
    """
    _show(_measured(data, adapter, untuned, limit, most, explained), json)


@app.command()
def decide(
    data: Data,
    out: Annotated[
        Path | None, typer.Option(help="Write the decision to this file, such as ADAPTER/gate.json.")
    ] = None,
    adapter: Adapter = None,
    limit: Limit = None,
    most: Most = 10,
    explained: Annotated[int, typer.Option(min=0, help="As for `measure`.")] = 20,
    json: Json = False,
) -> None:
    """Measure the model and decide whether it takes part: only where the MRR of the development cases rises beyond chance.

    Example: doyen medical reasoner decide --data dev.jsonl.gz --out runs/reasoner/adapter/gate.json
    """
    from json import dumps

    from doyen_medical.llm.stage import decided

    result = decided(_measured(data, adapter, False, limit, most, explained))
    if out is not None:
        out.write_text(dumps(result, indent=1) + "\n", encoding="utf-8")
    _show(result, json)


def _measured(
    data: Path, adapter: Path | None, untuned: bool, limit: int | None, most: int, explained: int
) -> dict[str, Any]:
    from doyen_medical.knowledge.store import load_published
    from doyen_medical.llm import measure
    from doyen_medical.llm.reasoner import load_reasoner
    from doyen_medical.llm.stage import folder, read_settings

    knowledge = load_published()
    place = adapter or folder()
    settings = read_settings(place)
    model: Reasoner = load_reasoner(None if untuned else place)
    questions: list[Question] = measure.dev_questions(
        knowledge, measure.read_cases(data, knowledge), limit, most
    )
    score: Score = model.letter_scores
    scores, seconds = measure.scores_of(questions, score, settings.margin, _say)
    close = [q for q, row in zip(questions, scores, strict=True) if row is not None]
    is_term = frozenset(knowledge.ontology.labels).__contains__
    return {
        **measure.compare(questions, scores, settings),
        "settings": settings._asdict(),
        "untuned": untuned,
        "cases_of_a_paper": most,
        "seconds_per_question": round(seconds, 3),
        "written": measure.written(close[:explained], model.steps, is_term),
        "knowledge_version": knowledge.version,
    }


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _show(result: dict[str, Any], json: bool) -> None:
    from doyen_runtime.commands.output import print_json, print_table

    if json:
        print_json(result)
        return
    rows = [(key, value) for key, value in result.items() if not isinstance(value, dict | list)]
    print_table(["figure", "value"], rows)
    for name, table in result.items():
        if isinstance(table, dict):
            typer.echo(f"\n{name}:")
            for key, value in table.items():
                typer.echo(f"  {key}: {value}")
