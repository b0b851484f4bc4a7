"""The demonstration: sample contracts through the real queue, then their reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from doyen_schemas import Report


def run_demo(files: Sequence[Path], out: Path) -> None:
    """Submit the samples and ``files`` as one batch, work on it with an embedded worker, write every report.

    A document that was reviewed before by the same versions is not reviewed again: its report is fetched.
    """
    from doyen_documents import read
    from doyen_legal.report import folder_name, write, write_grid
    from doyen_legal.samples import contracts
    from doyen_runtime import batches, verticals
    from doyen_runtime.commands.batch import work_now
    from doyen_runtime.settings import get_settings

    settings = get_settings()
    ledger = batches.open_ledger(settings)
    chosen = verticals.load("legal")
    batch_id = batches.submit(settings, ledger, chosen, [*contracts(), *files], chosen.validate_options({}))
    typer.echo(f"batch {batch_id}: submitted; an embedded worker takes it")
    work_now(settings, ledger, batch_id)
    reports: list[Report] = []
    trouble = False
    for row in batches.results(ledger, batch_id)["documents"]:
        source = Path(row["path"])
        if row["report"] is None:
            trouble = True
            typer.echo(f"{source.name}: {row['state']}: {row['error']}", err=True)
            continue
        report = Report.model_validate(row["report"])
        reports.append(report)
        write(report, read(source), out / folder_name(report), source=source)
        faults = sum(finding.kind == "fault" and finding.status == "risk" for finding in report.findings)
        marked = sum(finding.status in ("risk", "reject") for finding in report.findings) - faults
        priority = (
            f"priority {report.priority.score:.0f} ({report.priority.level})" if report.priority else ""
        )
        typer.echo(
            f"{source.name}: {len(report.findings)} findings, {faults} faults, {marked} against the playbook, {priority}"
        )
        for stage in report.stages:
            if stage.state != "ran":
                typer.echo(f"  {stage.name}: {stage.state} ({stage.reason})")
    write_grid(reports, out / "grid.csv")
    typer.echo(f"Open {out}/*/report.html in a browser; {out}/grid.csv has all contracts.")
    if trouble:
        raise typer.Exit(1)
