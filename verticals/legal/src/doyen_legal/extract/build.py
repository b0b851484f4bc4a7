"""The whole extractor from data: tagger and n-gram heads on the train part, scorer and threshold on dev."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from doyen_legal.corpora import Contract, read_cuad
from doyen_legal.extract.calibrate import fit_scorer
from doyen_legal.extract.ngrams import NgramHeads, fit_ngram_heads
from doyen_legal.extract.scores import score_text
from doyen_legal.extract.sentences import split_sentences
from doyen_legal.extract.train import ExtractorRecipe, load_trained, train
from doyen_legal.extract.windows import sentence_targets
from doyen_legal.labels import LABELS
from doyen_modeling.encoder import load_tokenizer


def build_extractor(
    data: Path, recipe: ExtractorRecipe, out: Path, limit: int | None = None
) -> dict[str, Any]:
    """Train what ``out`` does not hold yet, and return the cross-validated dev figures.

    Writes ``tagger.safetensors``, ``tagger.json``, ``ngrams.safetensors``, ``scorer.json`` and ``figures.json``.
    """
    contracts = list(read_cuad(data / "legal" / "cuad" / "train.jsonl.gz", limit))
    dev = list(read_cuad(data / "legal" / "cuad" / "dev.jsonl.gz", limit))
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "ngrams.safetensors").exists():
        train_ngrams(contracts, recipe.seed).save(out / "ngrams.safetensors")
    if not (out / "tagger.safetensors").exists():
        train(contracts, recipe, out)
    tagger = load_trained(out)
    tokenizer, ngrams = load_tokenizer(), NgramHeads.load(out / "ngrams.safetensors")
    began = time.monotonic()
    scores = [score_text(contract.text, tagger, tokenizer, ngrams) for contract in dev]
    seconds = time.monotonic() - began
    scorer, run = fit_scorer(dev, scores)
    scorer.save(out / "scorer.json")
    sentences = sum(len(s.sentences_N2) for s in scores)
    figures = {
        **run.figures, "protocol": "cuad dev, scorer cross-validated by contract", "recipe": recipe.model_dump(),
        "sentences_per_second": round(sentences / seconds, 1), "train_contracts": len(contracts),
    }  # fmt: skip
    (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def train_ngrams(contracts: list[Contract], seed: int) -> NgramHeads:
    """The n-gram heads on the sentences of ``contracts``."""
    sentences: list[str] = []
    targets = []
    for contract in contracts:
        places = np.array(split_sentences(contract.text), dtype=np.int64).reshape(-1, 2)
        sentences += [contract.text[start:end] for start, end in places]
        targets.append(sentence_targets(places, [(s.label, s.start, s.end) for s in contract.spans], LABELS))
    return fit_ngram_heads(sentences, np.concatenate(targets), seed)
