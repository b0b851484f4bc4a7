"""Selection of experts by cumulative score, compatible with ESFT's files (Wang et al. 2024, section 3.3).

A layer's experts are taken best first until their scores sum to the threshold. The published configurations follow
from the published scores with this rule layer by layer; the script released beside them divides by sums over the
layers instead and does not give them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from doyen_modeling.moe.scores import ExpertScores, Kind
from doyen_schemas import DoyenError

Selection = dict[int, tuple[int, ...]]
_HINT: Final = 'A selection is {"experts": {layer: [expert, …]}}: doyen moe select --scores FILE --out FILE'


def select_experts(scores: ExpertScores, kind: Kind, threshold: float) -> Selection:
    """The experts of each layer, best first, whose scores sum to at least ``threshold`` (0 < threshold ≤ 1).

    Gate scores of a layer sum to less than 1: a threshold above that sum takes every expert. Equal scores keep the
    file's order. Raises MOD-052 (no scores of this kind) and MOD-053 (threshold).
    """
    if not 0 < threshold <= 1:
        raise DoyenError(
            "MOD-053", f"the threshold is {threshold}; it must be above 0 and at most 1.", "ESFT uses 0.2."
        )
    layers = scores.of(kind)
    if not layers:
        raise DoyenError("MOD-052", f"the scores have no {kind}_scores.", "Choose the other kind.")
    selection = {}
    for layer, row in sorted(layers.items()):
        chosen: list[int] = []
        total = 0.0
        for expert, score in sorted(row.items(), key=lambda item: item[1], reverse=True):
            if total >= threshold:
                break
            chosen.append(expert)
            total += score
        selection[layer] = tuple(chosen)
    return selection


def dump_selection(selection: Selection) -> dict[str, Any]:
    """``{"experts": {layer: [expert ids, best first]}}`` with text keys, as JSON wants them."""
    return {"experts": {str(layer): list(chosen) for layer, chosen in selection.items()}}


def save_selection(
    selection: Selection, file: Path, *, shared_experts: bool = False, non_expert_modules: bool = False
) -> None:
    """Write an expert configuration as ESFT's training script reads it."""
    content = dump_selection(selection) | {
        "shared_experts": shared_experts,
        "non_expert_modules": non_expert_modules,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_name(file.name + ".part")
    scratch.write_text(json.dumps(content) + "\n", encoding="utf-8")
    os.replace(scratch, file)


def load_selection(file: Path) -> Selection:
    """Read an expert configuration. Raises MOD-051 (no such file) and MOD-054 (not a selection)."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DoyenError("MOD-051", f"{file} cannot be read ({type(error).__name__}).", _HINT) from error
    except ValueError as error:
        raise DoyenError("MOD-054", f"{file.name} is not JSON: {error}.", _HINT) from error
    try:
        return {int(layer): tuple(int(expert) for expert in row) for layer, row in content["experts"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DoyenError("MOD-054", f"{file.name} holds no expert selection.", _HINT) from error
