"""The learned fuser: scores of the candidates to probabilities, with one for "none of these".

A listwise softmax (Cao et al. 2007) over a linear part and a small network that also sees the findings as a whole;
several networks are averaged. Stratum features let it weigh patients' profiles against the literature.

Shape legend: N candidates, F scores, R scores also taken relative to the best, I inputs of a candidate, J inputs of
the whole list, H hidden units.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doyen_medical.rank.tables import Floats

RELATIVE: Final = (
    "resK", "nbK", "nbKm", "cosK", "cosB", "resM", "nbM", "nbMm", "knn", "knn2", "cosT", "nbT", "nbTm", "resT", "likeT",
    "resMG", "cosBG", "nbMmG", "cosTG", "resMS", "cosBS", "cosTS", "nbMmS", "minK", "minT", "graph",
)  # fmt: skip
"""Scores that are also given as the distance from the best candidate's."""
KIN: Final = frozenset(
    (
        "resMG",
        "cosBG",
        "nbMmG",
        "cosTG",
        "resMS",
        "cosBS",
        "cosTS",
        "nbMmS",
        "nG",
        "nS",
        "xl",
        "sexX",
        "merged",
        "own",
        "nann",
        "hasK",
    )
)
"""Scores of kin, and what a column is whoever the patient."""
CLIP: Final = 6.0


class Judgement(NamedTuple):
    """Probabilities of the candidates (N,), of none of them, and of the top one being out of reach."""

    chance_N: NDArray[np.float64]
    none: float
    unreached: float


@dataclass(frozen=True)
class Fuser:
    """Weights of the networks and what they were fitted with.

    Attributes:
        names: scores that it reads, in order.
        arrays: ``{network}.{layer}`` weights and the ``mean`` and ``scale`` of the inputs.
        networks: how many are averaged.
        temperature, none_shift: calibration on held-out folds: of all logits, and added to the one of "none".
        reach: weights of the abstention score over ``reach_inputs``, intercept last.
        limit: abstain when the abstention score exceeds it.
        trained: version of the knowledge that it was fitted to.
    """

    names: tuple[str, ...]
    arrays: dict[str, Floats]
    networks: int
    temperature: float = 1.0
    none_shift: float = 0.0
    reach: tuple[float, ...] = ()
    limit: float = 1.0
    trained: str = ""

    def logits(self, matrix_NF: Floats, query: Floats) -> NDArray[np.float64]:
        """Logits of each network, "none" first, (networks, 1 + N)."""
        x_NI, q_J = inputs(self.names, matrix_NF, query)
        a = self.arrays
        x_NI = np.clip((x_NI - a["x_mean"]) / a["x_scale"], -CLIP, CLIP)
        q_J = np.clip((q_J - a["q_mean"]) / a["q_scale"], -CLIP, CLIP)
        found = []
        for n in range(self.networks):
            w = {key.partition(".")[2]: value for key, value in a.items() if key.startswith(f"{n}.")}
            hidden = _silu(x_NI @ w["in_x"].T + (q_J @ w["in_q"].T + w["in_b"]))
            hidden = _silu(hidden @ w["mid"].T + w["mid_b"])
            z_N = hidden @ w["out"] + x_NI @ w["linear"]
            none = _silu(q_J @ w["none_in"].T + w["none_in_b"]) @ w["none_out"] + w["none_b"]
            found.append(np.concatenate([none, z_N]))
        return np.asarray(found, np.float64)

    def judge(self, matrix_NF: Floats, query: Floats) -> Judgement:
        """Calibrated probabilities of the candidates."""
        z = self.logits(matrix_NF, query)
        z[:, 0] += self.none_shift
        chance = _softmax(z / self.temperature).mean(0)
        unreached = 0.0
        if self.reach:
            values = reach_inputs(self.names, matrix_NF, query, chance)
            unreached = float(1 / (1 + np.exp(-(values @ self.reach[:-1] + self.reach[-1]))))
        return Judgement(chance[1:], float(chance[0]), unreached)


def inputs(names: Sequence[str], matrix_NF: Floats, query: Floats) -> tuple[Floats, Floats]:
    """Inputs of the candidates (N, I) and of the list (J,)."""
    at = [names.index(name) for name in RELATIVE if name in names]
    part = matrix_NF[:, at]
    ordered = -np.sort(-part, 0)
    top, second, tenth = ordered[0], ordered[min(1, len(ordered) - 1)], ordered[min(9, len(ordered) - 1)]
    x_NI = np.hstack([matrix_NF, part - top]).astype(np.float32)
    return x_NI, np.concatenate([query, top, top - second, top - tenth]).astype(np.float32)


REACH_SCORES: Final = (
    "cosT",
    "knn",
    "knn2",
    "likeT",
    "resM",
    "minT",
    "minK",
    "covT",
    "cosB",
    "nbMm",
    "hasT",
    "nP",
    "own",
)


def reach_inputs(
    names: Sequence[str], matrix_NF: Floats, query: Floats, chance: NDArray[Any]
) -> NDArray[np.float64]:
    """What tells whether the disease is within reach: the probabilities' shape and the top candidate's scores."""
    p_N = chance[1:]
    top = int(p_N.argmax())
    best = np.sort(p_N)[::-1]
    share = p_N / max(float(p_N.sum()), 1e-12)
    entropy = float(-(share * np.log(np.maximum(share, 1e-12))).sum())
    logit = [float(np.log(max(p, 1e-6) / max(1 - p, 1e-6))) for p in (best[0], chance[0])]
    second = float(best[1]) if len(best) > 1 else 0.0
    own = [float(matrix_NF[top, names.index(name)]) for name in REACH_SCORES if name in names]
    return np.array([*logit, float(best[0]), second, entropy, *own, *query[:3]], np.float64)


def save(fuser: Fuser, folder: Path, name: str, provenance: Mapping[str, Any] | None = None) -> None:
    """Write ``name.safetensors`` and ``name.json``; ``provenance`` says what it was fitted to and how."""
    from safetensors.numpy import save_file

    save_file(
        {key: np.ascontiguousarray(value) for key, value in fuser.arrays.items()},
        folder / f"{name}.safetensors",
    )
    facts = {
        "names": fuser.names, "networks": fuser.networks, "temperature": fuser.temperature,
        "none_shift": fuser.none_shift, "reach": fuser.reach, "limit": fuser.limit, "trained": fuser.trained,
        "provenance": dict(provenance or {}),
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n")


def load(folder: Path, name: str) -> Fuser:
    """Read what ``save`` wrote; the folder's digests were checked before."""
    from safetensors.numpy import load_file

    facts = json.loads((folder / f"{name}.json").read_text())
    return Fuser(
        names=tuple(facts["names"]), arrays=load_file(folder / f"{name}.safetensors"), networks=facts["networks"],
        temperature=facts["temperature"], none_shift=facts["none_shift"], reach=tuple(facts["reach"]),
        limit=facts["limit"], trained=facts["trained"],
    )  # fmt: skip


def _silu(x: NDArray[Any]) -> NDArray[Any]:
    return x / (1 + np.exp(-np.clip(x, -40, 40)))


def _softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))
