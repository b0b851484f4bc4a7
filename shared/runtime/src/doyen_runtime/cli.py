"""The ``doyen`` command: a thin group whose commands are imported when they are called.

Other members add commands through entry points; the group reads only their names and, as text, their help, so that ``doyen --help`` loads none of them::

    [project.entry-points."doyen.commands"]
    legal = "doyen_legal.cli:app"        # a typer.Typer, or a typed function
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

GROUP = "doyen.commands"

# name -> (module:attribute, help). Spelled out here so that a listing imports nothing.
BUILT_IN = {
    "batch": (
        "doyen_runtime.commands.batch:app",
        "Review many documents: submit, follow, fetch, retry, cancel.",
    ),
    "worker": ("doyen_runtime.commands.worker:worker", "Work on the submitted batches of one vertical."),
    "bench": (
        "doyen_runtime.commands.bench:bench",
        "Run a benchmark: of a vertical, of the trainer, of recovery.",
    ),
    "version": ("doyen_runtime.commands.version:version", "Show the installed versions."),
}


class LazyGroup(TyperGroup):
    """A command group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        return [*BUILT_IN, *sorted(set(plugins()) - set(BUILT_IN))]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:  # type: ignore[override]  # noqa: ARG002
        if cmd_name in BUILT_IN:
            return TyperCommand(cmd_name, help=BUILT_IN[cmd_name][1])
        entries = plugins().get(cmd_name)
        return TyperCommand(cmd_name, help=_summary(entries[0])) if entries else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        # The parent suggests close matches from this mapping; the listing never reads it.
        self.commands = {name: TyperCommand(name) for name in self.list_commands(ctx)}
        name, stub, rest = super().resolve_command(ctx, args)
        return (name, _load(name), rest) if name and stub is not None else (name, stub, rest)


def plugins() -> dict[str, list[EntryPoint]]:
    """The announced commands by name; importing nothing."""
    found: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=GROUP):
        found.setdefault(entry.name, []).append(entry)
    return found


def _summary(entry: EntryPoint) -> str:
    """The ``help`` of the entry's Typer or the first line of its function, read from the source without importing."""
    package, *rest = entry.module.split(".")
    spec = find_spec(package)  # of a top-level name: imports nothing
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in (Path(folder, *rest).with_suffix(".py"), Path(folder, *rest, "__init__.py")):
            if file.is_file() and (found := _help_in(file, entry.attr)):
                return found
    return (entry.dist.metadata["Summary"] if entry.dist else None) or f"Commands of {entry.value}."


def _help_in(file: Path, name: str) -> str | None:
    """The first line of the help that ``name`` has in ``file``: a function's docstring, or ``Typer(help=…)``."""
    texts: dict[str, str] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=found) if found == name:
                texts[name] = ast.get_docstring(node) or ""
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Constant(value=str(text))):
                texts[found] = text
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Call(keywords=keywords)) if found == name:
                for keyword in keywords:
                    match keyword:
                        case ast.keyword(arg="help", value=ast.Constant(value=str(text))):
                            texts[name] = text
                        case ast.keyword(arg="help", value=ast.Name(id=constant)):
                            texts[name] = texts.get(constant, "")
    return texts.get(name, "").strip().split("\n")[0] or None


def _load(name: str) -> Any:
    from doyen_schemas import DoyenError

    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name][0].partition(":")
        return _as_command(getattr(import_module(module), attribute), name)
    entries = plugins()[name]
    owners = ", ".join(sorted(entry.dist.name if entry.dist else entry.value for entry in entries))
    if len(entries) > 1:
        raise DoyenError(
            "RUN-004",
            f"the command {name!r} is announced {len(entries)} times ({owners})",
            "Uninstall all but one.",
        )
    try:
        return _as_command(entries[0].load(), name)
    except DoyenError:
        raise
    except Exception as error:
        if os.environ.get("DOYEN_DEBUG"):
            raise
        raise DoyenError(
            "RUN-005",
            f"the command {name!r} of {owners} does not load: {type(error).__name__}: {error}",
            f"Reinstall {owners}; other commands are not affected. DOYEN_DEBUG=1 shows the traceback.",
        ) from error


def _as_command(target: typer.Typer | Callable[..., Any], name: str) -> Any:
    if isinstance(target, typer.Typer):
        app = target
    elif callable(target):
        app = typer.Typer(add_completion=False)
        app.command(name)(target)
    else:
        raise TypeError(f"it is a {type(target).__name__}, not a typer.Typer or a function")
    command = typer.main.get_command(app)
    command.name = name
    return command


def build() -> Any:
    """The ``doyen`` command, ready to be called."""
    app = typer.Typer(name="doyen", cls=LazyGroup, no_args_is_help=True, rich_markup_mode="rich")

    @app.callback()
    def doyen() -> None:
        """Domain experts for documents: tuned models with evidence, on your own machines."""

    return typer.main.get_command(app)


def main(args: list[str] | None = None) -> None:
    """Run ``doyen`` and exit: 0 done, 1 done but documents failed, 2 an error (``CODE: …`` on stderr), 130 Ctrl-C."""
    sys.exit(run(args))


def run(args: list[str] | None = None) -> int:
    """Run ``doyen`` with ``args`` (default: the process's own) and return the exit status."""
    try:
        status = build().main(args=args, prog_name="doyen", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader has gone (`doyen … | head`). Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _report(error)


def _usage(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "doyen"
    if type(error).__name__ == "NoArgsIsHelpError":
        # Asking for nothing is asking what there is.
        print(context.get_help() if context is not None else error.format_message(), file=sys.stderr)
        return 2
    message = " ".join(error.format_message().split())
    _line(f"RUN-006: {path}: {message} Hint: {path} --help shows the usage.")
    return 2


def _report(error: Exception) -> int:
    from doyen_runtime.failures import describe
    from doyen_schemas import DoyenError

    if os.environ.get("DOYEN_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, DoyenError):
        _line(str(error))
    else:
        _line(
            f"RUN-007: unexpected {describe(error)}."
            " Hint: This is a fault of Doyen; DOYEN_DEBUG=1 shows the traceback for a report."
        )
    return 2


def _line(text: str) -> None:
    print(" ".join(text.split()), file=sys.stderr)
