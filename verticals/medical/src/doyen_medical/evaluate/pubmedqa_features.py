"""What a PubMedQA question and its abstract show of the answer: cues of findings and of their absence, counted.

Every pattern is bounded, so that a hostile text costs time in proportion to its length. Shapes: S sentences, K cues.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from doyen_retrieval.chunks import sentences
from doyen_retrieval.words import content_words

Floats = NDArray[np.float64]

_CUES: Final = {
    "nothing found": r"\b(?:no|not|without|nor|neither)\b[^.]{0,40}\bsignifican|\bnon-?significan|\binsignifican"
    r"|\bdid not (?:reach|differ|change|improve|affect|correlat|predict)|\bno (?:difference|correlation|association"
    r"|effect|relationship|evidence|change|increase|improvement|benefit)"
    r"|\bnot (?:associated|correlated|related|different|predict|affect|increase|improve)",
    "significant": r"\bsignifican",
    "negated": r"\b(?:no|not|nor|neither|never|without|none|cannot|failed|fail|lack|absence)\b",
    "similar": r"\b(?:similar|comparable|equal|equivalent|same|unchanged|identical)\b",
    "contrast": r"\b(?:however|but|although|whereas|while|despite|only|except)\b",
    "more": r"\b(?:increas|higher|greater|more|improv|better|superior|longer|larger|elevated|enhanc)\w{0,20}",
    "less": r"\b(?:decreas|lower|less|reduc|worse|fewer|shorter|smaller|declin|inferior|poor)\w{0,20}",
    "association": r"\b(?:associat|correlat|predict|related|relationship|independent|risk factor)\w{0,20}",
    "hedged": r"\b(?:may|might|could|possib|trend|tend|suggest|appear|seem|some)\w{0,20}",
    "small p": r"\bp\s{0,3}(?:<|=|≤)\s{0,3}0?\.0[0-4]\d{0,9}|\bp\s{0,3}<\s{0,3}0?\.0(?:5|1)",
    "large p": r"\bp\s{0,3}(?:=|>|≥)\s{0,3}0?\.(?:0[5-9]|[1-9])\d{0,9}|\bNS\b",
    "number": r"\d+(?:\.\d+)?",
    "percentage": r"\d\s{0,3}%",
    "interval": r"\b(?:CI|confidence interval|odds ratio|hazard ratio|OR|HR|RR) ?[=:(\d]",
    "all": r"\b(?:all|every|both|each|most)\b",
    "agreement": r"\b(?:sensitivity|specificity|agreement|kappa|accuracy)\b",
}
_QUESTION: Final = {
    "is": r"^(?:is|are|was|were)\b", "does": r"^(?:do|does|did)\b", "can": r"^(?:can|could)\b",
    "should": r"^(?:should|must)\b", "has": r"^(?:has|have)", "will": r"^(?:will|would)",
    "association": r"\bassociat|correlat|relat", "prediction": r"\bpredict",
    "effect": r"\beffect|\baffect|\bimpact|influence", "need": r"\bnecessary|\bneed|routine|required",
    "safety": r"\bsafe\b|feasible", "benefit": r"\bbetter|superior|improve|benefit|advantage",
    "difference": r"\bdiffer", "use": r"\buseful|reliable|valid|accurate", "or": r"\bor\b", "colon": r":",
    "risk": r"\bincrease|\brisk", "reduction": r"\breduce|decrease|prevent", "role": r"\brole|\bcause|explain",
    "two questions": r"\?.{0,500}\?", "doubt": r"\b(?:still|really|only|always|just|myth)\b",
    "evidence": r"\bevidence\b|time to|justif",
}  # fmt: skip
_CUE_PATTERNS: Final = [re.compile(pattern, re.I) for pattern in _CUES.values()]
_QUESTION_PATTERNS: Final = [re.compile(pattern, re.I) for pattern in _QUESTION.values()]
_PARTS: Final = ("mean", "results mean", "results by overlap", "top three", "last", "last three")
_SIZES: Final = (
    "sentences", "results sentences", "contexts", "overlap most", "overlap mean", "overlap results most",
    "overlap results mean", "overlap last", "question words", "log length",
)  # fmt: skip
NAMES: Final = (
    *(f"{part}: {cue}" for part in _PARTS for cue in _CUES),
    *(f"question: {q}" for q in _QUESTION),
    *_SIZES,
)
_MOST: Final = 3
"""A cue counts at most this often in a sentence."""
_SHARPNESS: Final = 4.0
"""Weight of a sentence: exp(sharpness · share of the question's words in it)."""


def features(question: str, contexts: Sequence[str]) -> Floats:
    """The numbers named in ``NAMES``; the last context is taken for the results, as abstracts are ordered."""
    parts = [(at, sentence.text) for at, context in enumerate(contexts) for sentence in sentences(context)]
    asked = [float(bool(pattern.search(question))) for pattern in _QUESTION_PATTERNS]
    length = len(question.split())
    if not parts:
        return np.array([0.0] * (len(_PARTS) * len(_CUES)) + asked + [0.0] * 8 + [length, 0.0])
    cues_SK = np.array(
        [[min(_MOST, len(p.findall(text))) for p in _CUE_PATTERNS] for _, text in parts], np.float64
    )
    wanted = set(content_words(question))
    overlap_S = np.array([len(wanted & set(content_words(text))) / max(1, len(wanted)) for _, text in parts])
    results_S = np.array([at == parts[-1][0] for at, _ in parts])
    weight_S = np.exp(_SHARPNESS * overlap_S) * results_S
    top = np.argsort(-(overlap_S + 0.3 * results_S), kind="stable")[:3]
    cues = [
        cues_SK.mean(0), cues_SK[results_S].mean(0), weight_S @ cues_SK / weight_S.sum(), cues_SK[top].max(0),
        cues_SK[-1], cues_SK[-3:].mean(0),
    ]  # fmt: skip
    sizes = [
        len(parts), results_S.sum(), len(contexts), overlap_S.max(), overlap_S.mean(), overlap_S[results_S].max(),
        overlap_S[results_S].mean(), overlap_S[-1], length, np.log(sum(len(text) + 1 for _, text in parts)),
    ]  # fmt: skip
    return np.concatenate([*cues, asked, sizes])
