"""Recognise the type of a contract, and with it the playbook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from doyen_legal.playbook.load import load_playbook, shipped
from doyen_legal.playbook.model import Playbook, compiled
from doyen_schemas import Document

# The title stands within the first lines; further down the same words name other agreements.
_TITLE: Final = 400
_BODY: Final = 20_000


def detect(document: Document, playbooks: Iterable[Playbook] | None = None) -> Playbook | None:
    """The playbook for ``document``, or None when its type is unknown or two types fit equally.

    The title decides (in the first lines, or the file name), and one telltale pattern of the text must agree; more
    of them decide between two titles. Amendments and other papers in ``not_titles`` are of no type.
    """
    chosen = list(playbooks) if playbooks is not None else [load_playbook(name) for name in shipped()]
    scores = sorted(((_score(document, playbook), playbook) for playbook in chosen), key=lambda x: -x[0])
    if not scores or scores[0][0] == 0 or (len(scores) > 1 and scores[1][0] == scores[0][0]):
        return None
    return scores[0][1]


def _score(document: Document, playbook: Playbook) -> int:
    """Telltale patterns found, or 0 when the title names another type."""
    rules = playbook.detect
    name = document.name.replace("_", " ").replace("-", " ")
    heads = (document.text[:_TITLE], name)

    def named(patterns: Iterable[str]) -> bool:
        return any(compiled(pattern).search(head) for pattern in patterns for head in heads)

    if named(rules.not_titles) or not named(rules.titles):
        return 0
    body = document.text[:_BODY]
    return sum(compiled(pattern).search(body) is not None for pattern in rules.text)
