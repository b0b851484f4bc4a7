"""``doyen legal review`` and ``doyen legal demo``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_schemas import Report


def review(
    files: Annotated[
        list[Path], typer.Argument(help="Contracts: PDF, DOCX, HTML or text.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder for the reports, one subfolder a contract.")] = Path(
        "doyen-out"
    ),
    playbook: Annotated[
        str | None, typer.Option(help="nda, saas, supply or a YAML file; by default chosen by type.")
    ] = None,
    side: Annotated[str | None, typer.Option(help="Our side in the playbook's words.")] = None,
    formats: Annotated[
        str, typer.Option(help="Comma-separated: json,csv,html,docx,pdf,ics.")
    ] = "json,csv,html,docx,pdf,ics",
    llm: Annotated[
        bool, typer.Option("--llm/--no-llm", help="Ask the language model where the extractor is unsure.")
    ] = True,
    outcomes: Annotated[
        Path | None, typer.Option(help="Outcome model that `fit-outcomes` wrote: adds its probability.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Review contracts and write their reports.

    Examples:

        doyen legal review contract.pdf --out reports

        doyen legal review *.docx --playbook saas --side customer --formats html,docx

    Exit status 2 when a file could not be reviewed; the others are reviewed all the same.
    """
    from doyen_documents import read
    from doyen_legal.pipeline import Reviewer
    from doyen_legal.report import folder_name, write, write_grid

    reviewer = Reviewer(playbook=playbook, side=side, llm=llm, outcomes=outcomes)
    wanted = [name.strip() for name in formats.split(",") if name.strip()]
    reports: list[Report] = []
    results: list[dict[str, Any]] = []
    failed = False
    for path in files:
        try:
            document = read(path)
            report = reviewer.review_document(document)
            folder = out / folder_name(report)
            written = write(report, document, folder, wanted, source=path)
        except DoyenError as error:
            failed = True
            results.append(
                {
                    "file": str(path),
                    "error": {"code": error.code, "message": error.message, "hint": error.hint},
                }
            )
            print(error, file=sys.stderr)
            continue
        reports.append(report)
        results.append(_result(path, report, written))
        if not as_json:
            _print(path, report, folder)
    if len(reports) > 1:
        write_grid(reports, out / "grid.csv")
    if as_json:
        print(json.dumps({"reviews": results}))
    if failed:
        raise typer.Exit(2)


def _result(path: Path, report: Report, written: dict[str, Path]) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for finding in report.findings:
        kinds[finding.kind] = kinds.get(finding.kind, 0) + 1
    return {
        "file": str(path),
        "contract_type": report.contract_type,
        "priority": report.priority.score if report.priority else None,
        "probability": report.priority.probability if report.priority else None,
        "findings": kinds,
        "written": {name: str(target) for name, target in written.items()},
    }


def _print(path: Path, report: Report, folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    priority = f"priority {report.priority.score:.0f} ({report.priority.level})" if report.priority else ""
    if report.priority and report.priority.probability is not None:
        priority += f", {report.priority.probability:.0%} ({report.priority.calibrated_on})"
    console.print(
        f"[bold]{path.name}[/bold]  {report.contract_type or 'type unknown'}  {priority}", highlight=False
    )
    table = Table("id", "status", "what", "where", "message", box=None, pad_edge=False)
    marked = [f for f in report.findings if f.status in ("reject", "risk", "needs_review")]
    order = {"reject": 0, "risk": 1, "needs_review": 2}
    for finding in sorted(marked, key=lambda f: order[f.status])[:15]:
        page = finding.evidence[0].page if finding.evidence else None
        table.add_row(
            finding.id, finding.status, finding.label, f"p. {page}" if page else "", finding.message
        )
    console.print(table)
    if len(marked) > 15:
        console.print(f"… and {len(marked) - 15} more to look at")
    for stage in report.stages:
        if stage.state != "ran":
            console.print(f"{stage.name}: {stage.state} ({stage.reason})", highlight=False)
    console.print(f"→ {folder}", highlight=False)


def demo(
    files: Annotated[
        list[Path] | None, typer.Argument(help="More contracts to review beside the samples.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the reports.")] = Path("out/demo"),
) -> None:
    """Review the sample contracts, and FILES, through the queue: submit, work, fetch, write the reports."""
    from doyen_legal.demo import run_demo

    run_demo([path.resolve() for path in files or []], out)
