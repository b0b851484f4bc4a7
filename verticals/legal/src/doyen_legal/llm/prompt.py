"""The window shown to the reviewer model, the messages around it, and the check of its answer.

The excerpt is data: it stands alone in its own message between ``<excerpt>`` tags, and every ``<`` inside it is
replaced by ``‹``, so that no text of a document can close the tags or spell a control token of the chat template.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from doyen_legal.llm.questions import QUESTIONS

NONE: Final = "NONE"
SYSTEM: Final = "You review contracts. Quote the excerpt word for word, one quote a line, or answer NONE."
# Characters of contract text: about 250 tokens, so that four questions fit beside it in training.
WINDOW: Final = 1_200


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a document with runs of white space shown as one space.

    ``text[i]`` stands at ``offsets[i]`` of the document.
    """

    text: str
    offsets: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The document's range of ``text[start:end]``; the range must not be empty."""
        return self.offsets[start], self.offsets[end - 1] + 1


class Checked(NamedTuple):
    """An answer after the check: document ranges of the quotes, and how many quotes were not verbatim."""

    spans: tuple[tuple[int, int], ...]
    rejected: int


def cut_window(text: str, start: int, end: int) -> Window:
    """The window for ``text[start:end]``, the ends moved outwards to the next white space."""
    while start > 0 and not text[start - 1].isspace():
        start -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    shown: list[str] = []
    offsets: list[int] = []
    for offset in range(start, end):
        char = text[offset]
        if char.isspace():
            if not shown or shown[-1] == " ":
                continue
            char = " "
        shown.append("‹" if char == "<" else char)
        offsets.append(offset)
    if shown and shown[-1] == " ":
        shown.pop()
        offsets.pop()
    return Window("".join(shown), tuple(offsets))


def window_around(text: str, start: int, end: int, size: int = WINDOW, lead: float = 0.5) -> Window:
    """A window of about ``size`` characters that holds ``[start, end)``; ``lead`` of the spare room goes before it.

    A range longer than ``size`` is cut at its end.
    """
    spare = max(0, size - (end - start))
    begin = max(0, start - round(spare * lead))
    stop = min(len(text), max(begin + size, min(end, start + size)))
    return cut_window(text, max(0, min(begin, stop - size)), stop)


def context(window: Window) -> list[dict[str, str]]:
    """The messages that every question about ``window`` shares."""
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"<excerpt>\n{window.text}\n</excerpt>"},
    ]


def question(label: str) -> dict[str, str]:
    """The message that asks for ``label``."""
    return {"role": "user", "content": f"{label}: {QUESTIONS[label]}?"}


def check_answer(answer: str, window: Window) -> Checked:
    """Keep the lines of ``answer`` that stand verbatim in ``window``; the first place counts, each range once."""
    spans: list[tuple[int, int]] = []
    rejected = 0
    for line in answer.splitlines():
        quote = line.strip()
        if not quote or quote == NONE:
            continue
        at = window.text.find(quote)
        if at < 0:
            rejected += 1
            continue
        span = window.span(at, at + len(quote))
        if span not in spans:
            spans.append(span)
    return Checked(tuple(spans), rejected)
