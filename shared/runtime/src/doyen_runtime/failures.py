"""Describing an unforeseen exception without quoting what it quotes."""

from __future__ import annotations


def describe(error: BaseException) -> str:
    """Type and place of ``error``, such as ``ValueError in doyen_legal.extract:41``.

    Its message is left out: it may hold text of the document that was being read.
    """
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}" if frame else "an unknown place"
    return f"{type(error).__name__} in {place}"
