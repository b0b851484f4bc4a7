"""Fit the fuser: listwise softmax over the candidates and "none", calibrated on held-out folds.

Shape legend: B cases, N candidates, I inputs of a candidate, J inputs of the list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from doyen_medical.rank.examples import FOLDS, Example, without_patients
from doyen_medical.rank.fuser import CLIP, KIN, RELATIVE, Fuser, inputs, reach_inputs

FEW_SHOT_ABSTAINED: Final = 0.10
"""The abstention limit lets this share of few-shot train cases be abstained from.

Held-out papers lie farther from the train cases than the folds from each other: 0.10 here is 0.14 on the development
cases, where 0.15 is allowed.
"""


@dataclass(frozen=True)
class Plan:
    """How the networks are fitted; chosen by cross-validation by paper on the train cases."""

    epochs: int = 12
    hidden: int = 48
    dropout: float = 0.1
    weight_decay: float = 1e-3
    learning_rate: float = 2e-3
    batch: int = 32
    networks: int = 3
    literature: float = 0.0
    """Weight of each few-shot case's copy whose disease has no published patient."""
    blind_to_kin: int = 0
    """So many of the networks do not see the scores of kin, which mislead where a disease has none."""


class _Network(nn.Module):
    def __init__(self, x: int, q: int, plan: Plan) -> None:
        super().__init__()
        self.in_x, self.in_q = nn.Linear(x, plan.hidden, bias=False), nn.Linear(q, plan.hidden)
        self.mid, self.out = nn.Linear(plan.hidden, plan.hidden), nn.Linear(plan.hidden, 1, bias=False)
        self.linear = nn.Linear(x, 1, bias=False)
        self.none_in, self.none_out = nn.Linear(q, 24), nn.Linear(24, 1)
        self.drop = nn.Dropout(plan.dropout)

    def forward(self, x_BNI: torch.Tensor, q_BJ: torch.Tensor, real_BN: torch.Tensor) -> torch.Tensor:
        """Logits, "none" first, (B, 1 + N)."""
        act = nn.functional.silu
        hidden = self.drop(act(self.in_x(x_BNI) + self.in_q(q_BJ)[:, None]))
        z_BN = (self.out(act(self.mid(hidden))) + self.linear(x_BNI)).squeeze(-1)
        none_B1 = self.none_out(self.drop(act(self.none_in(q_BJ))))
        return torch.cat([none_B1, z_BN.masked_fill(~real_BN, -1e9)], 1)


def fit(examples: Sequence[Example], plan: Plan, seed: int = 0) -> Fuser:
    """The networks fitted to the examples, not calibrated yet."""
    used, weight = _weighted(examples, plan)
    made = [inputs(e.names, e.matrix_NF, e.query) for e in used]
    x_all, q_all = np.concatenate([x for x, _ in made]), np.stack([q for _, q in made])
    arrays: dict[str, Any] = {
        "x_mean": x_all.mean(0), "x_scale": x_all.std(0) + 1e-3,
        "q_mean": q_all.mean(0), "q_scale": q_all.std(0) + 1e-3,
    }  # fmt: skip
    del x_all
    x = [np.clip((x - arrays["x_mean"]) / arrays["x_scale"], -CLIP, CLIP) for x, _ in made]
    q = np.clip((q_all - arrays["q_mean"]) / arrays["q_scale"], -CLIP, CLIP)
    truth = np.array([e.truth for e in used]) + 1
    seen = _without_kin(used[0].names)
    for network in range(plan.networks):
        mask = seen if network < plan.blind_to_kin else np.ones_like(seen)
        fitted = _fit_one([rows * mask for rows in x], q, truth, weight, plan, seed * 100 + network)
        layers = _exported(fitted)
        layers["in_x"], layers["linear"] = layers["in_x"] * mask, layers["linear"] * mask
        arrays |= {f"{network}.{key}": value for key, value in layers.items()}
    return Fuser(
        names=used[0].names,
        arrays={k: np.asarray(v, np.float32) for k, v in arrays.items()},
        networks=plan.networks,
    )


def _without_kin(names: Sequence[str]) -> NDArray[np.float32]:
    """1 for each input of a candidate that does not rest on kin, 0 for the others, (I,)."""
    inputs_I = [*names, *(name for name in RELATIVE if name in names)]
    return np.array([name not in KIN for name in inputs_I], np.float32)


def _weighted(examples: Sequence[Example], plan: Plan) -> tuple[list[Example], NDArray[np.float64]]:
    """Cases of one disease and paper share their weight by the square root of their number."""
    count = Counter((e.case.disease, e.case.paper) for e in examples)
    used, weight = list(examples), [count[e.case.disease, e.case.paper] ** -0.5 for e in examples]
    if plan.literature:
        own = examples[0].names.index("own")
        copies = [
            (without_patients(e), w * plan.literature)
            for e, w in zip(examples, weight, strict=True)
            if e.stratum == "few_shot" and e.truth >= 0 and e.matrix_NF[e.truth, own] > 0
        ]
        used += [copy for copy, _ in copies]
        weight += [w for _, w in copies]
    array = np.array(weight)
    return used, array / array.mean()


def _fit_one(
    x: list[NDArray[Any]], q: NDArray[Any], truth: NDArray[Any], weight: NDArray[Any], plan: Plan, seed: int
) -> _Network:
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network = _Network(x[0].shape[1], q.shape[1], plan)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    steps = plan.epochs * -(-len(x) // plan.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=steps)
    for _ in range(plan.epochs):
        order = generator.permutation(len(x))
        for start in range(0, len(x), plan.batch):
            at = order[start : start + plan.batch]
            widest = max(len(x[i]) for i in at)
            x_BNI = np.zeros((len(at), widest, x[0].shape[1]), np.float32)
            real_BN = np.zeros((len(at), widest), bool)
            for b, i in enumerate(at):
                x_BNI[b, : len(x[i])], real_BN[b, : len(x[i])] = x[i], True
            logits = network(torch.from_numpy(x_BNI), torch.from_numpy(q[at]), torch.from_numpy(real_BN))
            losses = nn.functional.cross_entropy(logits, torch.from_numpy(truth[at]), reduction="none")
            loss = (losses * torch.from_numpy(weight[at]).float()).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def _exported(network: _Network) -> dict[str, NDArray[Any]]:
    state = {key: value.detach().numpy() for key, value in network.state_dict().items()}
    return {
        "in_x": state["in_x.weight"], "in_q": state["in_q.weight"], "in_b": state["in_q.bias"],
        "mid": state["mid.weight"], "mid_b": state["mid.bias"], "out": state["out.weight"][0],
        "linear": state["linear.weight"][0], "none_in": state["none_in.weight"], "none_in_b": state["none_in.bias"],
        "none_out": state["none_out.weight"][0], "none_b": state["none_out.bias"],
    }  # fmt: skip


@dataclass(frozen=True)
class HeldOut:
    """An example and the logits of networks that never saw its fold."""

    example: Example
    logits: NDArray[np.float64]


def cross_fit(folded: Sequence[tuple[int, Example]], plan: Plan, seed: int = 0) -> list[HeldOut]:
    """Every example judged by networks fitted on the other folds."""
    found: list[HeldOut] = []
    for fold in range(FOLDS):
        fuser = fit([e for f, e in folded if f != fold], plan, seed)
        found += [HeldOut(e, fuser.logits(e.matrix_NF, e.query)) for f, e in folded if f == fold]
    return found


def calibrate(fuser: Fuser, held_out: Sequence[HeldOut], trained: str) -> Fuser:
    """Temperature, shift of "none", and the abstention score and limit, from examples out of fold.

    The temperature and shift lower the log loss of (true candidate, none) (Guo et al. 2017); the abstention score is
    a logistic regression of "the true disease has neither patients nor annotations".
    """
    from scipy.optimize import minimize

    truth = np.array([h.example.truth + 1 for h in held_out])

    def loss(parameters: NDArray[np.float64]) -> float:
        return float(
            -np.mean(
                [
                    np.log(max(_chance(h.logits, parameters)[t], 1e-9))
                    for h, t in zip(held_out, truth, strict=True)
                ]
            )
        )

    best = minimize(
        loss,
        np.zeros(2),
        method="Nelder-Mead",
        # From zeros the default simplex is 0.00025 wide, which is below the tolerance.
        options={
            "maxiter": 120,
            "xatol": 1e-2,
            "fatol": 1e-5,
            "initial_simplex": [[0, 0], [0.5, 0], [0, 0.5]],
        },
    ).x
    values = np.stack([
        reach_inputs(h.example.names, h.example.matrix_NF, h.example.query, _chance(h.logits, best)) for h in held_out
    ])  # fmt: skip
    stratum = np.array([h.example.stratum for h in held_out])
    reach, limit = _reach(values, stratum)
    return replace(
        fuser,
        temperature=float(np.exp(best[0])),
        none_shift=float(best[1]),
        reach=reach,
        limit=limit,
        trained=trained,
    )


def _chance(logits: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
    z = logits.copy()
    z[:, 0] += parameters[1]
    z /= np.exp(parameters[0])
    e = np.exp(z - z.max(-1, keepdims=True))
    return np.asarray((e / e.sum(-1, keepdims=True)).mean(0))


def _reach(values: NDArray[np.float64], stratum: NDArray[np.str_]) -> tuple[tuple[float, ...], float]:
    """Weights over ``reach_inputs`` with the intercept last, and the limit; none where every disease is annotated."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    beyond, few = stratum == "unannotated", stratum == "few_shot"
    if not beyond.any() or not few.any():
        return (), 1.0
    at = beyond | few
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(
        values[at], beyond[at]
    )
    scale, line = model[0], model[1]
    weights = line.coef_[0] / scale.scale_
    intercept = float(line.intercept_[0] - weights @ scale.mean_)
    chance = 1 / (1 + np.exp(-(values[few] @ weights + intercept)))
    return (*map(float, weights), intercept), float(np.quantile(chance, 1 - FEW_SHOT_ABSTAINED))
