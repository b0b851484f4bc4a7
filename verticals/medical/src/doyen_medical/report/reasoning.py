"""The language model's part of a report: its checked sentences with names instead of letters, and their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doyen_medical.report.model import Reasoning, Statement

if TYPE_CHECKING:
    from doyen_medical.llm.stage import Opinion


def reasoning_of(opinion: Opinion) -> Reasoning:
    """What a report keeps of an opinion. A sentence on the findings alone names no candidate."""
    return Reasoning(
        asked=opinion.asked,
        before=[option.code for option in opinion.facts.options],
        sentences=[
            Statement(
                candidate=kept.option.code if kept.option else "",
                # A sentence on a candidate begins with its letter.
                text=kept.option.name + kept.text[1:] if kept.option else kept.text,
                citations=list(kept.sources),
            )
            for kept in opinion.verdict.kept
        ],
        dropped=sum(opinion.verdict.dropped.values()),
    )
