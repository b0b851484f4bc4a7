"""Read playbooks from YAML, and report everything that is wrong with one at once, with its lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from doyen_legal.playbook.model import Playbook
from doyen_legal.risk.nli import hypotheses
from doyen_schemas import DoyenError

FOLDER: Final = Path(__file__).parent / "playbooks"
_HINT = "Run `doyen legal playbook show nda` for a complete example."


def shipped() -> list[str]:
    """The names of the playbooks that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def _shipped(name: str) -> Playbook:
    return read_playbook(FOLDER / f"{name}.yaml")


def load_playbook(name_or_path: str | Path) -> Playbook:
    """A shipped playbook by name, or any by path. Raises LEG-031 (not valid) and LEG-032 (not found)."""
    if str(name_or_path) in shipped():
        return _shipped(str(name_or_path))
    path = Path(name_or_path)
    if not path.is_file():
        raise DoyenError(
            "LEG-032",
            f"no playbook {str(name_or_path)!r}: neither a file nor one of {', '.join(shipped())}.",
            "Give a shipped name or the path of a YAML file.",
        )
    return read_playbook(path)


def read_playbook(path: Path) -> Playbook:
    """The playbook in ``path``. Raises LEG-031 with every error as ``file:line: place: what``."""
    try:
        node, content = _parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DoyenError("LEG-031", f"{path.name} cannot be read ({type(error).__name__}).", _HINT) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not readable"
        raise DoyenError("LEG-031", f"{path.name}{line}: not YAML: {problem}.", _HINT) from error
    if node is None or not isinstance(content, dict):
        raise DoyenError("LEG-031", f"{path.name}: a playbook is a mapping of keys to values.", _HINT)
    errors = [(line, f"key {key!r} stands twice") for line, key in _repeated_keys(node)]
    try:
        playbook = Playbook.model_validate(content)
        loose = [*playbook.loose_ends(), *_untrained(playbook)]
        errors += [(_line(node, place), f"{_dotted(place)}: {what}") for place, what in loose]
    except ValidationError as error:
        errors += [
            (_line(node, item["loc"]), f"{_dotted(item['loc'])}: {_plain(item['msg'])}")
            for item in error.errors()
        ]
    if errors:
        listed = "; ".join(f"{path.name}:{line}: {what}" for line, what in sorted(errors))
        raise DoyenError("LEG-031", f"{len(errors)} errors in the playbook: {listed}.", _HINT)
    return playbook


def _untrained(playbook: Playbook) -> list[tuple[tuple[str | int, ...], str]]:
    """Hypotheses that the contradiction head was not trained on, each with its place."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    for i, rule in enumerate(playbook.rules):
        for j, case in enumerate(rule.cases):
            hypothesis = case.when.hypothesis
            if hypothesis is not None and hypothesis.text not in hypotheses():
                what = f"not one of the {len(hypotheses())} statements that the contradiction head can judge"
                found.append((("rules", i, "cases", j, "when", "hypothesis", "text"), what))
    return found


def _parse(text: str) -> tuple[yaml.Node | None, Any]:
    """The tree, which knows its lines, and the plain values; parsed once, by the C parser where there is one."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ").rstrip(".")


def _dotted(place: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in place) or "playbook"


def _line(node: yaml.Node, place: Sequence[str | int]) -> int:
    """The line of the deepest node on the way to ``place``."""
    line: int = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
            continue
        else:
            break
        line = node.start_mark.line + 1
    return line


def _repeated_keys(node: yaml.Node) -> list[tuple[int, Any]]:
    """Keys that a mapping has twice, which YAML readers silently overwrite."""
    found: list[tuple[int, Any]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[Any] = set()
        for key, value in node.value:
            if key.value in seen:
                found.append((key.start_mark.line + 1, key.value))
            seen.add(key.value)
            found += _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            found += _repeated_keys(value)
    return found
