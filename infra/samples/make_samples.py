"""Make the sample contracts of doyen-legal from the sources in this folder.

    uv run --no-sync python infra/samples/make_samples.py [OUT]

The same sources give the same bytes. Every quote of planted.yaml must stand exactly once in its contract.
Needs reportlab and python-docx.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import contract
import pdf
import word
import yaml

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parents[1] / "verticals/legal/src/doyen_legal/samples"


def main(out: Path) -> None:
    """Write every contract in its formats, and planted.json."""
    out.mkdir(parents=True, exist_ok=True)
    faults = yaml.safe_load((HERE / "planted.yaml").read_text(encoding="utf-8"))
    planted = []
    for source in sorted((HERE / "contracts").glob("*.md")):
        sample = contract.read(source)
        stem = sample.head["stem"]
        formats = sample.head["formats"].split(", ")
        for extension in formats:
            {"pdf": pdf, "docx": word}[extension].write(sample, out / f"{stem}.{extension}")
        text = "\n".join(block.plain() for block in sample.blocks)
        for fault in faults.pop(stem):
            if text.count(fault["quote"]) != 1:
                raise SystemExit(f"{stem}: {text.count(fault['quote'])} times: {fault['quote']}")
            planted += [{"file": f"{stem}.{extension}", **fault} for extension in formats]
    if faults:
        raise SystemExit(f"planted.yaml names contracts without a source: {', '.join(faults)}")
    document = json.dumps({"planted": planted}, ensure_ascii=False, indent=1)
    (out / "planted.json").write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
