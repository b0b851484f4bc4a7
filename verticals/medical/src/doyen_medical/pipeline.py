"""From a patient's file or findings to the report; torch is imported where the language model takes part alone."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_medical.cases import Patient, Sex
    from doyen_medical.formats.record import PatientRecord
    from doyen_medical.formats.validate import Notice
    from doyen_medical.knowledge.store import Knowledge
    from doyen_medical.rank.ranker import Ranker, Ranking
    from doyen_medical.report.model import Abstention, Candidate, MedicalReport, Question, Reasoning, Term
    from doyen_schemas import Stage

PIPELINE_VERSION: Final = "1"
PROFILES: Final = ("fail", "fix", "warn")
MOST_CANDIDATES: Final = 50
Profile = Literal["fail", "fix", "warn"]


class _Told(NamedTuple):
    """The ranking after the language model's part, whether it took one, its stage and its words."""

    ranking: Ranking
    llm: Literal["absent", "off", "on"]
    stage: Stage
    reasoning: Reasoning | None = None


class Diagnoser:
    """Ranks rare diseases for a patient, with the evidence, on a CPU and offline.

    Args:
        top: how many candidates a report shows, 1 to 50.
        profile: what happens to obsolete, foreign or contradictory findings: ``fail``, ``fix`` or ``warn``.
        llm: let the tuned model re-order close candidates within its bound, where its gate is on and its base is here.
            A report says ``llm: off`` or ``absent``, with the reason, where it does not take part.

    Keep one and use it for many patients: the knowledge is read at the first. Raises MED-020 for another value.
    """

    def __init__(self, *, top: int = 10, profile: Profile = "fix", llm: bool = True) -> None:
        if not 1 <= top <= MOST_CANDIDATES:
            raise DoyenError(
                "MED-020", f"top is {top}; it must be 1 to {MOST_CANDIDATES}.", "Choose another number."
            )
        if profile not in PROFILES:
            raise DoyenError(
                "MED-020",
                f"profile is {profile!r}; it must be one of {', '.join(PROFILES)}.",
                "Choose one of them.",
            )
        self._top, self._profile, self._llm = top, profile, llm

    @cached_property
    def _knowledge(self) -> Knowledge:
        from doyen_medical.knowledge.store import load

        return load()

    @cached_property
    def _ranker(self) -> Ranker:
        return _production()

    def diagnose(self, path: str | Path) -> MedicalReport:
        """The report of a phenopacket, FHIR R4 bundle, term list or note. Raises MED-049 or MED-05x for one that cannot be read."""
        from doyen_medical.formats.read import read_file

        path = Path(path)
        return self.diagnose_record(read_file(path, self._knowledge), path)

    def diagnose_text(self, note: str) -> MedicalReport:
        """The report of a clinical note. Raises MED-054 when it names no finding."""
        from doyen_medical.formats.read import read_note

        return self.diagnose_record(read_note(note, self._knowledge))

    def diagnose_terms(
        self,
        observed: Iterable[str],
        excluded: Iterable[str] = (),
        *,
        sex: Sex = "",
        age: float | None = None,
    ) -> MedicalReport:
        """The report of HPO ids, with sex (M or F) and age (0 to 130 years) where known.

        Raises MED-054 when none is a finding, and MED-049 for another sex or age.
        """
        from doyen_medical.formats.record import PatientRecord, checked_count

        found, absent, _ = checked_count(list(observed), list(excluded))
        return self.diagnose_record(PatientRecord("", "terms", found, absent, sex=sex, age=age))

    def diagnose_record(self, record: PatientRecord, path: Path | None = None) -> MedicalReport:
        """The report of what was read from ``path``. Raises MED-049, MED-054 (nothing left to rank), MED-058 (profile fail)."""
        from doyen_medical.formats.validate import patient_of, validate
        from doyen_medical.report.complete import complete

        ontology = self._knowledge.ontology
        checked, notices = validate(record, ontology, self._profile)
        began = time.perf_counter()
        patient = patient_of(checked, ontology)
        ranking = self._ranker.rank(patient)
        seconds = round(time.perf_counter() - began, 4)
        told = self._second_opinion(patient, ranking)
        return complete(self._report(record, checked, notices, told, seconds), path)

    def _second_opinion(self, patient: Patient, ranking: Ranking) -> _Told:
        """What the language model made of a ranking, or why it took no part. Raises MED-111, MOD-01x for a damaged one."""
        from doyen_medical.llm.stage import availability
        from doyen_schemas import Stage

        if not self._llm:
            return _Told(ranking, "off", Stage(name="llm", state="skipped", reason="switched off"))
        found = availability()
        if found.state == "off":
            return _Told(ranking, "off", Stage(name="llm", state="skipped", reason=found.reason))
        if found.state == "absent":
            return _Told(ranking, "absent", Stage(name="llm", state="absent", reason=found.reason))
        from doyen_medical.llm.stage import second_opinion, shipped_gate, shipped_reasoner
        from doyen_medical.report.reasoning import reasoning_of

        began = time.perf_counter()
        settings = shipped_gate().settings
        opinion = second_opinion(ranking, patient, self._ranker.library, shipped_reasoner(), settings)
        part = reasoning_of(opinion)
        seconds = round(time.perf_counter() - began, 4)
        counts = {"asked": int(part.asked), "sentences": len(part.sentences), "dropped": part.dropped}
        return _Told(
            opinion.ranking, "on", Stage(name="llm", state="ran", seconds=seconds, counts=counts), part
        )

    def _report(
        self,
        given: PatientRecord,
        record: PatientRecord,
        notices: Sequence[Notice],
        told: _Told,
        seconds: float,
    ) -> MedicalReport:
        from doyen_medical.report import model as r
        from doyen_schemas import Stage

        knowledge, ranking = self._knowledge, told.ranking
        shown = ranking.columns[: min(self._top, len(ranking.chances))]
        adapter, digest = _release()
        return r.MedicalReport(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            input_sha256=_digest(given),
            patient=r.Patient(
                source=record.source, sex=record.sex, age_years=record.age,
                observed=[self._term(id) for id in record.observed],
                excluded=[self._term(id) for id in record.excluded],
                uncertain=[self._term(id) for id in record.uncertain], foreign=record.foreign,
                notices=[r.Notice(**asdict(notice)) for notice in notices],
                quotes=[r.Quote(**asdict(quote)) for quote in record.quotes],
            ),
            abstained=_abstention(ranking.abstain),
            candidates=[
                self._candidate(rank, int(column), float(chance), record)
                for rank, (column, chance) in enumerate(zip(shown, ranking.chances, strict=False), start=1)
            ],
            other_probability=round(ranking.none, 4),
            questions=self._questions(record, ranking),
            absent_code_systems=list(knowledge.maps.absent),
            stages=[
                Stage(
                    name="rank", state="ran", version=adapter, seconds=seconds,
                    counts={"findings": len(record.observed), "candidates": len(ranking.columns)},
                ),
                Stage(name="evidence", state="skipped", reason="not asked for"),
                told.stage,
            ],
            llm=told.llm,
            reasoning=told.reasoning,
            knowledge_version=knowledge.version,
            versions={
                "doyen-medical": version("doyen-medical"),
                "pipeline": PIPELINE_VERSION,
                "adapter": adapter,
                "adapter_digest": digest,
            },
        )  # fmt: skip

    def _questions(self, record: PatientRecord, ranking: Ranking) -> list[Question]:
        from doyen_medical.explain.question import next_questions
        from doyen_medical.report.model import Question

        ontology, codes = self._knowledge.ontology, self._ranker.library.codes
        asked = [ontology.number[id] for id in (*record.observed, *record.excluded)]
        judged = [int(column) for column in ranking.columns[: len(ranking.chances)]]
        return [
            Question(
                finding=self._term(ontology.ids[question.term]), gain_bits=question.gain_bits,
                raises=[codes[c] for c in question.raises], lowers=[codes[c] for c in question.lowers],
            )
            for question in next_questions(self._ranker.scorer, judged, list(ranking.chances), asked)
        ]  # fmt: skip

    def _candidate(self, rank: int, column: int, chance: float, record: PatientRecord) -> Candidate:
        from doyen_medical.codes.of_disease import codes_of
        from doyen_medical.explain.evidence import Explainer
        from doyen_medical.report import model as r

        library, knowledge = self._ranker.library, self._knowledge
        ontology, code = knowledge.ontology, library.codes[column]
        weights = Explainer(library).weigh(
            column,
            [ontology.number[id] for id in record.observed],
            [ontology.number[id] for id in record.excluded],
        )
        patients, annotated = int(library.patients_D[column]), int(library.annotated_D[column])
        basis: Literal["patients-and-literature", "patients", "literature"] = (
            "literature" if not patients else "patients-and-literature" if annotated else "patients"
        )
        return r.Candidate(
            rank=rank, code=code, name=library.names[column], name_zh=knowledge.maps.names_zh.get(code),
            probability=round(chance, 4), basis=basis, published_patients=patients, annotated_findings=annotated,
            genes=list(knowledge.genes.get(code, ())),
            codes=[r.Code.model_validate(c._asdict()) for c in codes_of(code, knowledge.maps)],
            evidence=[
                r.Weight(
                    finding=self._term(ontology.ids[w.term]), observed=w.observed, role=w.role,
                    log10_ratio=w.log10_ratio, by=None if w.by is None else self._term(ontology.ids[w.by]),
                    share=None if w.share is None else round(w.share, 3), patients=w.patients, examined=w.examined,
                    sources=list(w.sources),
                )
                for w in weights
            ],
            unexplained=[self._term(ontology.ids[w.term]) for w in weights if w.observed and w.role in ("unexplained", "contradicts")],
        )  # fmt: skip

    def _term(self, id: str) -> Term:
        from doyen_medical.report.model import Term

        ontology = self._knowledge.ontology
        return Term(
            id=id, label=ontology.labels[ontology.number[id]], label_zh=self._knowledge.maps.labels_zh.get(id)
        )


def _abstention(reason: str) -> Abstention | None:
    from doyen_medical.rank.ranker import REASONS
    from doyen_medical.report.model import Abstention

    return Abstention(reason=reason, message=REASONS[reason]) if reason else None


def _digest(record: PatientRecord) -> str:
    """sha256 of what was read, so that the audit log names the input without holding it."""
    return hashlib.sha256(json.dumps(asdict(record), sort_keys=True).encode()).hexdigest()


@cache
def _production() -> Ranker:
    """The ranking of production, once a process: published patients and the user's own."""
    from doyen_medical import weights
    from doyen_medical.knowledge import own_patients
    from doyen_medical.knowledge.store import load, user_folder
    from doyen_medical.rank.library import build

    knowledge = load()
    patients = [*weights.patients(), *own_patients.load(user_folder(), knowledge.ontology)]
    return weights.ranker(build(knowledge, knowledge.annotations, patients))


def _release() -> tuple[str, str]:
    from doyen_medical import weights

    return weights.release()


@cache
def diagnoser(top: int, profile: Profile, llm: bool = True) -> Diagnoser:
    """One for the life of the process."""
    return Diagnoser(top=top, profile=profile, llm=llm)
