"""The shipped extractor: tagger, n-gram heads and scorer, loaded once a process from the verified adapter folder."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doyen_legal import weights
from doyen_legal.extract.decide import Scorer
from doyen_legal.extract.ngrams import NgramHeads
from doyen_legal.extract.scores import TextScores, score_text
from doyen_legal.extract.types import Extraction

if TYPE_CHECKING:
    from doyen_modeling.tagger import SpanTagger


class Extractor:
    """Finds the 41 CUAD labels in a text."""

    def __init__(self, tagger: SpanTagger, ngrams: NgramHeads, scorer: Scorer) -> None:
        from doyen_modeling.encoder import load_tokenizer

        self._tagger = tagger.eval()
        self._ngrams = ngrams
        self._scorer = scorer
        self._tokenizer: Any = load_tokenizer()

    @property
    def threshold(self) -> float:
        """The score above which a span is shown: chosen on dev and shipped."""
        return self._scorer.threshold

    @classmethod
    def shipped(cls, folder: Path | None = None) -> Extractor:
        """The extractor of an adapter folder (by default of the one in use), verified against its release and the installed encoder.

        Raises RUN-010 to RUN-019 (folder or base not as released), RUN-040 to RUN-044 (signature).
        """
        return _shipped((folder or weights.folder()).resolve())

    def score(self, text: str) -> TextScores:
        """Raw scores of both models."""
        return score_text(text, self._tagger, self._tokenizer, self._ngrams)

    def decide(self, text: str, scores: TextScores) -> Extraction:
        """Spans and presence from raw scores."""
        return self._scorer.decide(text, scores)

    def extract(self, text: str) -> Extraction:
        """Every candidate span with its score, and each label's presence. Nothing is cut off at the threshold."""
        return self.decide(text, self.score(text))


@cache
def _shipped(folder: Path) -> Extractor:
    from safetensors.torch import load_file

    from doyen_modeling.encoder import encoder_digests
    from doyen_modeling.tagger import SpanTagger, TaggerConfig

    adapter = weights.verified(folder)
    encoder_sha256, tokenizer_sha256 = encoder_digests()
    adapter.check_base("encoder", weights_sha256=encoder_sha256, tokenizer_sha256=tokenizer_sha256)
    config = TaggerConfig.from_dict(json.loads(adapter.path("tagger.json").read_text(encoding="utf-8")))
    tagger = SpanTagger(config)
    tagger.load_shipped(load_file(adapter.path("tagger.safetensors")))
    return Extractor(
        tagger, NgramHeads.load(adapter.path("ngrams.safetensors")), Scorer.load(adapter.path("scorer.json"))
    )
