"""``doyen medical diagnose``: the ranked, explained differential of one or more patients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_medical.report.model import Candidate, MedicalReport, Weight

_SHOWN_WEIGHTS = 6
_SHOWN_SOURCES = 3


def diagnose(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Phenopackets, FHIR R4 bundles, term lists or notes.")
    ] = None,
    terms: Annotated[
        str | None,
        typer.Option(
            "--terms", help="HPO ids, divided by commas; an exclamation mark excludes: !HP:0001250."
        ),
    ] = None,
    text: Annotated[str | None, typer.Option("--text", help="A clinical note.")] = None,
    top: Annotated[int, typer.Option(help="Candidates to show, 1 to 50.")] = 10,
    profile: Annotated[
        str, typer.Option(help="Obsolete, foreign or contradictory findings: fail, fix or warn.")
    ] = "fix",
    out: Annotated[Path | None, typer.Option(help="Write the reports here, one subfolder a patient.")] = None,
    formats: Annotated[
        str, typer.Option(help="With --out: json, html, fhir, divided by commas.")
    ] = "json,html",
    language: Annotated[str, typer.Option(help="Of the page: en or zh.")] = "en",
    evidence: Annotated[
        bool,
        typer.Option("--evidence", help="Add what passages say of the first candidates; loads their index."),
    ] = False,
    llm: Annotated[
        bool,
        typer.Option(
            "--llm/--no-llm", help="Let the tuned model re-order close candidates, where its gate is on."
        ),
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, one for each patient.")
    ] = False,
) -> None:
    """Rank rare diseases for a patient, with what supports and contradicts each.

    A file that cannot be read gets one error line; the others are ranked, and the exit status is 2. Every ranking
    gets an entry in the audit log: digests, versions and ranks, no text.

    Examples:

        doyen medical diagnose patient.phenopacket.json --out reports --language zh

        doyen medical diagnose --terms HP:0001250,HP:0001263,!HP:0000252 --json
    """
    from doyen_medical import audit
    from doyen_medical.pipeline import PROFILES, Diagnoser
    from doyen_medical.report.write import check, folder_name, write

    if not files and terms is None and text is None:
        raise DoyenError("MED-020", "no patient was given.", "Name a file, or give --terms or --text.")
    if profile not in PROFILES:
        raise DoyenError("MED-020", f"--profile is {profile!r}.", f"Choose one of {', '.join(PROFILES)}.")
    kinds = [kind.strip() for kind in formats.split(",")]
    check(kinds, language)
    failed = False
    diagnoser = Diagnoser(top=top, profile=profile, llm=llm)  # type: ignore[arg-type]
    for name, report in _reports(diagnoser, files or [], terms, text):
        if isinstance(report, DoyenError):
            typer.echo(f"{name}: {report}", err=True)
            failed = True
            continue
        if evidence:
            from doyen_medical.evidence.library import load
            from doyen_medical.report.statements import with_statements

            report = with_statements(report, load())
        audit.record(report, "ranked")
        if out is not None:
            write(report, out / folder_name(report), kinds, language)
        if as_json:
            typer.echo(report.model_dump_json())
        else:
            _print(name, report)
    if failed:
        raise typer.Exit(2)


def _reports(
    diagnoser: object, files: list[Path], terms: str | None, text: str | None
) -> Iterator[tuple[str, MedicalReport | DoyenError]]:
    from doyen_medical.formats.read import shown
    from doyen_medical.pipeline import Diagnoser

    assert isinstance(diagnoser, Diagnoser)
    given: list[tuple[str, Callable[[], MedicalReport]]] = []
    if terms is not None:
        ids = [id.strip() for id in terms.split(",") if id.strip()]
        observed = [id for id in ids if id[0] != "!"]
        excluded = [id[1:].strip() for id in ids if id[0] == "!"]
        given.append(("terms", lambda: diagnoser.diagnose_terms(observed, excluded)))
    if text is not None:
        given.append(("text", lambda: diagnoser.diagnose_text(text)))
    given += [(shown(path), partial(diagnoser.diagnose, path)) for path in files]
    for name, ranked in given:
        try:
            yield name, ranked()
        except DoyenError as error:
            if len(given) == 1 and not files:
                raise
            yield name, error


def _print(name: str, report: MedicalReport) -> None:
    say = typer.echo
    patient = report.patient
    say(f"{name}: {len(patient.observed)} findings observed, {len(patient.excluded)} excluded")
    if patient.uncertain:
        say(
            f"  left out as uncertain: {', '.join(f'{term.label} ({term.id})' for term in patient.uncertain)}"
        )
    if patient.foreign:
        say(f"  left out as somebody else's: {patient.foreign} entries")
    for notice in report.patient.notices:
        say(f"  note: {notice.kind} {notice.id} {notice.other} ({notice.done})")
    if report.abstained:
        say(f"  No diagnosis is proposed ({report.abstained.reason}): {report.abstained.message}")
        say("  For the reader alone, the ranking:")
    for candidate in report.candidates:
        _print_candidate(candidate)
    say(f"  None of these: {report.other_probability:.1%}")
    if report.questions:
        say("  Findings to look for next:")
        for question in report.questions:
            speaks = f"for {', '.join(question.raises[:3])}" if question.raises else ""
            say(
                f"    {question.finding.label} ({question.finding.id}), {question.gain_bits:.2f} bits {speaks}"
            )
    if report.absent_code_systems:
        say(
            f"  Code systems not built: {', '.join(report.absent_code_systems)} (doyen medical knowledge build)"
        )
    if report.reasoning:
        for sentence in report.reasoning.sentences:
            say(f"  model, checked: {sentence.text}")
    stage = next((stage for stage in report.stages if stage.name == "llm"), None)
    if stage and stage.reason:
        say(f"  Language model {report.llm}: {stage.reason}")
    say(f"  Knowledge {report.knowledge_version}. {report.intended_use}")


def _print_candidate(candidate: Candidate) -> None:
    codes = ", ".join(f"{c.code} ({c.relation})" for c in candidate.codes if c.code != candidate.code)
    typer.echo(
        f"  {candidate.rank}. {candidate.name} [{candidate.code}] {candidate.probability:.1%}  {codes}"
    )
    for weight in [w for w in candidate.evidence if w.role in ("supports", "contradicts")][:_SHOWN_WEIGHTS]:
        typer.echo(f"       {_line(weight)}")
    if candidate.unexplained:
        typer.echo(f"       not explained: {', '.join(term.label for term in candidate.unexplained)}")


def _line(weight: Weight) -> str:
    seen = "" if weight.observed else " (excluded)"
    by = f", as {weight.by.label}" if weight.by and weight.by.id != weight.finding.id else ""
    share = f", in {weight.share:.0%} as annotated" if weight.share is not None else ""
    patients = f", {weight.patients}/{weight.examined} published patients" if weight.examined else ""
    sources = f"  [{', '.join(weight.sources[:_SHOWN_SOURCES])}]" if weight.sources else ""
    return (
        f"{weight.role} {weight.log10_ratio:+.2f}  {weight.finding.label}{seen}{by}{share}{patients}{sources}"
    )
