"""What the weights of an adapter folder answer to a text that never changes: how a release shows that it is alive."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_TEXT: Final = """\
SUPPLY AGREEMENT

This Supply Agreement is made as of March 3, 2025 by and between Northwind Tools Inc., a Delaware corporation \
("Supplier"), and Halden Retail LLC ("Buyer").

1. Term. This Agreement begins on April 1, 2025 and continues for three (3) years, and renews for further terms of one \
year unless a party gives notice of non-renewal at least sixty (60) days before the end of the term.

2. Termination. Buyer may terminate this Agreement for convenience upon thirty (30) days' written notice.

3. Liability. In no event shall either party's total liability exceed the amounts paid under this Agreement.

4. Assignment. Neither party may assign this Agreement without the other's prior written consent.

5. Records. Buyer may inspect Supplier's books and records once a year.

6. Law. This Agreement is governed by the laws of the State of New York.
"""
_STATEMENTS: Final = (
    "Receiving Party shall not use any Confidential Information for any purpose other than the stated purpose.",
    "Receiving Party may share some Confidential Information with its employees.",
)


def probe(folder: Path) -> dict[str, float]:
    """The best span's score and the presence of each label, and the contradiction head's probabilities.

    Raises what the loader of the folder raises, MOD-032 and MOD-033.
    """
    from doyen_legal.extract.extractor import Extractor
    from doyen_modeling.pairs import Pair, load_delta, predict

    extraction = Extractor.shipped(folder).extract(_TEXT)
    best: dict[str, float] = {}
    for clause in extraction.clauses:
        best[clause.label] = max(best.get(clause.label, 0.0), clause.score)
    head = load_delta(folder / "nli.safetensors")[0]
    rows = predict(head, [Pair(_TEXT.split("\n")[2], statement, 0) for statement in _STATEMENTS])
    return (
        {f"span {label}": float(score) for label, score in sorted(best.items())}
        | {f"presence {label}": float(score) for label, score in sorted(extraction.presence.items())}
        | {
            f"nli {number} {label}": float(value)
            for number, row in enumerate(rows)
            for label, value in zip(head.labels, row, strict=True)
        }
    )
