"""Playbooks: a house's position on a contract, applied to a document."""

from doyen_legal.playbook.detect import detect
from doyen_legal.playbook.deviation import Deviation, compare
from doyen_legal.playbook.load import load_playbook, read_playbook, shipped
from doyen_legal.playbook.model import Playbook, Rule
from doyen_legal.playbook.review import apply

__all__ = [
    "Deviation", "Playbook", "Rule", "apply", "compare", "detect", "load_playbook", "read_playbook", "shipped",
]  # fmt: skip
