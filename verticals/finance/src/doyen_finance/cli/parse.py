"""``doyen finance parse``: the statements of report PDFs, every number with its page and cell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from doyen_finance.statements.model import Report


def parse(
    files: Annotated[list[Path], typer.Argument(help="Reports: PDF, or page images (PNG, JPEG, TIFF).")],
    out: Annotated[Path | None, typer.Option(help="Write the reports here, one subfolder a file.")] = None,
    formats: Annotated[
        str, typer.Option(help="With --out: json, xlsx, html, divided by commas.")
    ] = "json,xlsx,html",
    ocr: Annotated[
        bool, typer.Option("--ocr", help="Read the pages of PDFs as images: for scans; seconds a page.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, one for each file.")
    ] = False,
) -> None:
    """Read the balance sheet, income, comprehensive income, cash flow and equity statements out of reports.

    Each value has its page, box, row, column, unit, scale, currency and period. Sums that do not add up are flagged,
    never mended. A file that cannot be read gets one error line; the others are parsed, and the exit status is 2.

    Examples:

        doyen finance parse annual-report.pdf --out parsed

        doyen finance parse annual-report.pdf --json

        doyen finance parse scan.pdf --ocr --out parsed
    """
    from doyen_finance.pipeline import IMAGES
    from doyen_finance.scans import parse_scan
    from doyen_finance.statements.parse import parse as parse_file
    from doyen_finance.statements.write import check, folder_name, write

    kinds = [kind.strip() for kind in formats.split(",")]
    check(kinds)
    failed = False
    for path in files:
        try:
            report = (parse_scan if ocr or path.suffix.lower() in IMAGES else parse_file)(path)
            if out is not None:
                write(report, path, out / folder_name(report), kinds)
        except DoyenError as error:
            typer.echo(f"{path.name}: {error}", err=True)
            failed = True
            continue
        if as_json:
            typer.echo(report.model_dump_json())
        else:
            _print(report)
    if failed:
        raise typer.Exit(2)


def _print(report: Report) -> None:
    typer.echo(f"{report.name}: {len(report.statements)} statements on {report.page_count} pages")
    for statement in report.statements:
        failed = sum(not check.passed for check in statement.checks)
        pages = (
            f"{statement.pages[0]}-{statement.pages[-1]}"
            if len(statement.pages) > 1
            else str(statement.pages[0])
        )
        flags = f"  {', '.join(statement.flags)}" if statement.flags else ""
        typer.echo(
            f"  p. {pages:9} {statement.kind:14} {statement.scope:13} {len(statement.values):4} values  "
            f"{len(statement.checks) - failed} of {len(statement.checks)} checks hold{flags}"
        )
