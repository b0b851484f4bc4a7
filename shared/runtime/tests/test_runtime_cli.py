"""The command: lazy, one-line errors, exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer

from doyen_runtime import cli
from doyen_runtime.commands.batch import parse_options
from doyen_schemas import DoyenError

demo = typer.Typer()


@demo.command()
def fails(kind: str) -> None:
    """Fail in one of several ways."""
    if kind == "coded":
        raise DoyenError("DOC-001", "no such file", "Check the path.")
    if kind == "interrupt":
        raise KeyboardInterrupt
    raise ValueError("the text of a document")


@demo.command()
def works() -> None:
    """Print a word."""
    typer.echo("worked")


def function(number: int) -> None:
    """A plain function as a command."""
    typer.echo(f"{number + 1}")


@pytest.fixture(autouse=True)
def _announced(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"demo": demo, "function": function, "nothing": 3}
    entries = [EntryPoint(name, f"tests:{name}", cli.GROUP) for name in (*here, "absent", "twice", "twice")]
    monkeypatch.setattr(cli, "entry_points", lambda group: entries)
    real = EntryPoint.load

    def load(entry: EntryPoint) -> object:
        return here[entry.name] if entry.name in here else real(entry)

    monkeypatch.setattr(EntryPoint, "load", load)
    monkeypatch.delenv("DOYEN_DEBUG", raising=False)


def test_commands_of_other_members(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["demo", "works"]) == 0
    assert cli.run(["function", "41"]) == 0
    assert capsys.readouterr().out == "worked\n42\n"


@pytest.mark.parametrize(
    ("args", "status", "start"),
    [
        (["demo", "fails", "coded"], 2, "DOC-001: no such file Hint: Check the path."),
        (["demo", "fails", "bug"], 2, "RUN-007: unexpected ValueError in "),
        (["demo", "fails", "interrupt"], 130, ""),
        (["demo", "fails"], 2, "RUN-006: doyen demo fails: Missing argument"),
        (["demo", "wroks"], 2, "RUN-006: doyen demo: No such command 'wroks'. Did you mean 'works'?"),
        (["function", "many"], 2, "RUN-006: doyen function: "),
        (["demmo"], 2, "RUN-006: doyen: No such command 'demmo'. Did you mean 'demo'?"),
        (["--nothing"], 2, "RUN-006: doyen: No such option"),
        (["absent"], 2, "RUN-005: the command 'absent'"),
        (["nothing"], 2, "RUN-005: the command 'nothing'"),
        (["twice"], 2, "RUN-004: the command 'twice' is announced 2 times"),
        (["bench", "no-such"], 2, "RUN-002: "),
        (["batch", "results", "x"], 2, "RUN-006: "),
        (["batch", "purge"], 2, "RUN-006: "),
        (["batch", "status", "x"], 2, "RUN-022: "),
    ],
)
def test_errors_are_one_line(
    args: list[str], status: int, start: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("DOYEN_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.db")
    from doyen_runtime.settings import get_settings

    get_settings.cache_clear()
    assert cli.run(args) == status
    errors = capsys.readouterr().err
    assert errors.startswith(start), errors
    assert len(errors.splitlines()) == (1 if start else 0)
    assert "the text of a document" not in errors
    get_settings.cache_clear()


def test_debugging_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOYEN_DEBUG", "1")
    assert cli.run(["demo", "fails", "bug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_help_lists_everything_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom doyen_runtime.cli import run\nrun(['--help'])\n"
        "heavy = {'torch', 'transformers', 'celery', 'sqlalchemy', 'pydantic', 'doyen_legal', 'doyen_modeling',"
        " 'doyen_training'} & set(sys.modules)\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("batch", "worker", "bench", "version"):
        assert name in done.stdout


def test_the_runtime_imports_no_torch() -> None:
    code = (
        "import sys\nimport doyen_runtime.adapters, doyen_runtime.batches, doyen_runtime.tasks, doyen_runtime.verticals\n"
        "import doyen_runtime.commands.batch, doyen_runtime.commands.worker\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_version_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["version", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "doyen-runtime" in found["packages"]
    assert found["verticals"]["testkit"]["pipeline_version"] == "1"


def test_bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.run(["bench", "testkit", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"documents_per_second": 1.0}
    from dataclasses import replace

    from doyen_runtime import verticals

    without = replace(verticals.load("testkit"), bench=None)
    monkeypatch.setattr(verticals, "load", lambda name: without)
    assert cli.run(["bench", "testkit"]) == 2
    assert capsys.readouterr().err.startswith("RUN-009: ")


def test_an_installed_benchmark_has_a_name_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    from doyen_runtime.commands import bench

    point = EntryPoint("planted", "math:sqrt", "doyen.benches")
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda: {"rate": 2.5})
    monkeypatch.setattr(bench, "entry_points", lambda group: [point] if group == "doyen.benches" else [])
    assert cli.run(["bench", "planted", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"rate": 2.5}


def test_a_reader_that_goes_away_is_not_an_error() -> None:
    command = [sys.executable, "-m", "doyen_runtime", "version", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 1


def test_options_are_pairs() -> None:
    assert parse_options(["side=buyer", "note=a=b"]) == {"side": "buyer", "note": "a=b"}
    for pairs in (["side"], ["=x"], ["a=1", "a=2"]):
        with pytest.raises(DoyenError) as raised:
            parse_options(pairs)
        assert raised.value.code == "RUN-008"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('app = typer.Typer(no_args_is_help=True, help="Does it.")', "Does it."),
        ('HELP = """Does it.\n\nExamples: …"""\napp = typer.Typer(help=HELP)', "Does it."),
        ('def app() -> None:\n    """Does it.\n\n    More."""', "Does it."),
        ("app = typer.Typer()", None),
        ("def app() -> None: ...", None),
        ('other = typer.Typer(help="Another.")', None),
    ],
)
def test_the_listing_reads_help_as_text(tmp_path: Path, source: str, found: str | None) -> None:
    file = tmp_path / "commands.py"
    file.write_text(f"raise SystemExit('imported')\n{source}\n", encoding="utf-8")
    assert cli._help_in(file, "app") == found
