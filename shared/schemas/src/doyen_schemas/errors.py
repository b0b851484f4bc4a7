"""The one exception that Doyen raises on purpose, and its printed form.

Every message says what is wrong, the value that was found, the rule it breaks and the way out:
``CODE: what, value, rule, hint``. Document text never appears in it.
"""

from __future__ import annotations


class DoyenError(Exception):
    """An expected failure with a stable code.

    Args:
        code: stable identifier such as ``DOC-003``; prefixes: DOC documents, RUN runtime, MOD modeling,
            TRN training, DAT data, EVA evaluation, GRA graph, RET retrieval, LEG legal, MED medical,
            FIN finance.
        message: what is wrong, with the value and the rule; never document text.
        hint: the way out, in one sentence.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code = code
        self.message = message
        self.hint = hint
        super().__init__(code, message, hint)

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        return f"{text} Hint: {self.hint}" if self.hint else text
