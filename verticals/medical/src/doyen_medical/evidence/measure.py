"""Citations counted over the first candidates of published cases: do they resolve, and do their passages say so."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from doyen_medical.cases import capped, read_cases
from doyen_medical.evidence.library import Evidence, load
from doyen_medical.evidence.statements import Found, evidence_for
from doyen_retrieval.index import Encode

_KEY: Final = re.compile(r"PMID:\d+|OMIM:\d{6}|ORPHA:\d+|https?://\S+")


def measure(data: Path, limit: int | None = None, encode: Encode | None = None) -> dict[str, Any]:
    """Figures over the ranking's first candidate of each case (at most ten cases a disease and paper).

    ``resolvable``: share of citations whose passage is in the index and holds the key that is shown. ``supported``:
    share of the statements made that the check let pass. ``findings_covered``: share of the observed findings with a
    statement. Raises MED-010, MED-011.
    """
    from doyen_medical.pipeline import _production

    ranker, evidence = _production(), load()
    ontology = evidence.knowledge.ontology
    counts: Counter[str] = Counter()
    methods: set[str] = set()
    resolved = cited = covered = observed = cases = silent = 0
    seconds = 0.0
    for case in capped(read_cases(data, ontology))[:limit]:
        ranking = ranker.rank(case.patient)
        if not len(ranking.columns):
            continue
        code = ranker.library.codes[int(ranking.columns[0])]
        if code not in evidence.knowledge.annotations.number:
            silent += 1
            continue
        began = time.perf_counter()
        found = evidence_for(code, [ontology.ids[term] for term in case.patient.terms], evidence, encode)
        seconds += time.perf_counter() - began
        cases += 1
        counts.update(found.counts)
        methods.update(found.methods)
        cited += sum(len(s.citations) for s in found.statements)
        resolved += resolvable(found, evidence)
        observed += len(case.patient.terms)
        covered += len({s.finding for s in found.statements})
    made = sum(counts.values())
    return {
        "cases": cases,
        "candidates_without_annotations": silent,
        "statements": counts["kept"],
        "statements_per_case": round(counts["kept"] / max(1, cases), 2),
        "citations": cited,
        "resolvable": round(resolved / max(1, cited), 4),
        "supported": round(counts["kept"] / max(1, made), 4),
        "dropped": {name: n for name, n in sorted(counts.items()) if name != "kept"},
        "findings_covered": round(covered / max(1, observed), 4),
        "seconds_per_case": round(seconds / max(1, cases), 4),
        "methods": sorted(methods),
        "absent": list(evidence.absent),
        "knowledge_version": evidence.knowledge.version,
    }


def resolvable(found: Found, evidence: Evidence) -> int:
    """Citations of a known form that stand in one of their statement's passages, as text, code or address."""
    count = 0
    for statement in found.statements:
        indexes = (evidence.edges, evidence.texts)
        passages = [
            index.passages[index.position[id]]
            for id in statement.passages
            for index in indexes
            if id in index.position
        ]
        if len(passages) != len(statement.passages):
            continue
        for key in statement.citations:
            held = any(key in (p.url, p.id.partition("/")[0]) or _holds_key(p.text, key) for p in passages)
            count += bool(_KEY.fullmatch(key)) and held
    return count


def _holds_key(text: str, key: str) -> bool:
    return re.search(rf"{re.escape(key)}(?!\d)", text) is not None
