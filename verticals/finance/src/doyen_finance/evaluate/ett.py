"""Electricity Transformer Temperature, hourly (Zhou et al. 2021): the usual long-horizon protocol, trained on the file.

12 months train, 4 validate, 4 test (of 30 days); each column is scaled by its train part; every window of the test part
counts, the last batch too. What is trained is kept in the cache by file, horizon and recipe; the test figures are
measured anew each time. Shapes: T hours, C columns, B windows, L look-back, H horizon.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from doyen_evaluation.resample import ratio_ci
from doyen_finance.forecast.fit import Fitted, Recipe, Windows, fit
from doyen_finance.forecast.naive import Floats
from doyen_modeling.patch_transformer import DLinear, PatchConfig, PatchTransformer
from doyen_runtime.adapters import file_sha256
from doyen_schemas import DoyenError

HORIZONS: Final = (96, 192, 336, 720)
PUBLISHED: Final = {
    "ETTh1": {96: 0.370, 192: 0.413, 336: 0.422, 720: 0.447},
    "ETTh2": {96: 0.274, 192: 0.341, 336: 0.329, 720: 0.379},
}
"""MSE of PatchTST/64 (Nie et al. 2023, table 3); its test dropped the windows of the last, incomplete batch."""
PUBLISHED_BATCH: Final = 128
MONTH: Final = 30 * 24
TRAIN, VALID, TEST = 12 * MONTH, 16 * MONTH, 20 * MONTH
LOOK_BACK: Final = 336
DAY: Final = 24
_VALID_EVERY: Final = 4
"""Validation windows are an hour apart and nearly equal; every fourth says the same in a quarter of the time."""
_WEEK: Final = 7 * DAY
_Forecast = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Arm:
    """A network and how it is trained."""

    name: str
    sizes: dict[str, Any]
    recipe: Recipe


# One setting for both files and all horizons, chosen on the validation part of horizon 96.
ARMS: Final = (
    Arm(
        "patch_transformer",
        {"heads": 2},
        Recipe(epochs=10, patience=3, batch=32, rate=1e-3, share=0.25, average=0.99),
    ),
    Arm("dlinear", {}, Recipe(epochs=16, patience=4, batch=32, rate=2e-3, share=0.25, average=0.99)),
)


def say(line: str) -> None:
    """Progress, apart from the figures: a full run takes half an hour of one core."""
    print(line, file=sys.stderr, flush=True)


def evaluate_file(data: Path, limit: int | None, log: Callable[[str], None] = say) -> dict[str, Any]:
    """MSE and MAE of each file and horizon, the published and the naive figures beside; ``limit`` horizons.

    ``data`` is a folder with ETTh1 and ETTh2 (.csv or .csv.gz), or one such file. Raises FIN-059.
    """
    result: dict[str, Any] = {"protocol": "ett", "look_back": LOOK_BACK, "last_batch": "kept"}
    windows, ratios = 0, []
    for name, file in _files(data).items():
        scaled_TC = read(file)
        rows = {}
        for horizon in HORIZONS[:limit]:
            log(f"{name}, horizon {horizon}")
            row = measure(scaled_TC, file_sha256(file), horizon, log)
            row |= {"published_mse": PUBLISHED[name][horizon]}
            row["ratio"] = round(row["mse"] / row["published_mse"], 3)
            rows[str(horizon)] = row
            windows += row["n"]
            ratios.append(row["ratio"])
        result[name] = rows
    return result | {
        "worst_ratio": max(ratios),
        "within_5_percent": sum(r <= 1.05 for r in ratios),
        "n": windows,
    }


def _files(data: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in PUBLISHED:
        files = [data] if data.is_file() else [data / f"{name}{end}" for end in (".csv", ".csv.gz")]
        for file in files:
            if file.is_file() and file.name.startswith(name):
                found.setdefault(name, file)
    if not found:
        raise DoyenError(
            "FIN-059",
            f"no ETTh1 or ETTh2 (.csv or .csv.gz) at {data.name}.",
            "Give the folder that holds the files.",
        )
    return found


def read(file: Path) -> Tensor:
    """The columns as (T, C), scaled by mean and deviation of the train part. Raises FIN-059."""
    try:
        values_TC = pd.read_csv(file).iloc[:, 1:].to_numpy(np.float64)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DoyenError(
            "FIN-059",
            f"{file.name} is no table of numbers ({type(error).__name__}).",
            "Give the published file.",
        ) from error
    if len(values_TC) < TEST or not np.isfinite(values_TC).all():
        raise DoyenError(
            "FIN-059", f"{file.name} has {len(values_TC)} rows; the protocol needs {TEST}, all finite.",
            "Give the published file.",
        )  # fmt: skip
    train_TC = values_TC[:TRAIN]
    deviation_C = train_TC.std(0)
    return torch.tensor(
        (values_TC - train_TC.mean(0)) / np.where(deviation_C > 0, deviation_C, 1), dtype=torch.float32
    )


def parts(scaled_TC: Tensor, horizon: int, look_back: int = LOOK_BACK) -> tuple[Windows, Windows, Windows]:
    """Train, validation and test windows; look-backs of the later parts reach into the part before."""

    def part(first: int, last: int, every: int = 1) -> Windows:
        return Windows(
            scaled_TC, torch.arange(first, last - look_back - horizon + 1, every), look_back, horizon
        )

    return part(0, TRAIN), part(TRAIN - look_back, VALID, _VALID_EVERY), part(VALID - look_back, TEST)


def measure(
    scaled_TC: Tensor, sha256: str, horizon: int, log: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """One file at one horizon: both networks, trained or out of the cache, and both naive forecasts.

    ``mse_last_batch_dropped`` leaves out what the published figures left out: the rest after batches of 128 windows.
    """
    train, valid, test = parts(scaled_TC, horizon)
    row: dict[str, Any] = {"n": len(test)}
    for arm in ARMS:
        network, fitted = _trained(arm, train, valid, sha256, log)
        squared_W, absolute_W = _errors(network, test)
        if arm.name == "patch_transformer":
            whole_batches = max(1, len(test) // PUBLISHED_BATCH) * PUBLISHED_BATCH
            row |= {"mse": _mean(squared_W), "mae": _mean(absolute_W), "ci95": {"mse": _interval(squared_W)}}
            row |= {"mse_last_batch_dropped": _mean(squared_W[:whole_batches]), **asdict(fitted)}
        else:
            row |= {f"{arm.name}_mse": _mean(squared_W), f"{arm.name}_mae": _mean(absolute_W)}
    for name, season in (("seasonal_naive", DAY), ("repeat_last", 1)):
        squared_W, absolute_W = _errors(partial(_repeat, season=season, horizon=horizon), test)
        row |= {f"{name}_mse": _mean(squared_W), f"{name}_mae": _mean(absolute_W)}
    return row


def _repeat(x_BLC: Tensor, season: int, horizon: int) -> Tensor:
    return x_BLC[:, -season:].repeat(1, -(-horizon // season), 1)[:, :horizon]


def _network(arm: Arm, horizon: int, channels: int) -> nn.Module:
    torch.manual_seed(arm.recipe.seed)
    if arm.name == "dlinear":
        return DLinear(LOOK_BACK, horizon)
    return PatchTransformer(PatchConfig(LOOK_BACK, horizon, channels, **arm.sizes))


def _trained(
    arm: Arm, train: Windows, valid: Windows, sha256: str, log: Callable[[str], None] | None
) -> tuple[nn.Module, Fitted]:
    network = _network(arm, train.horizon, train.values_TC.shape[1])
    key = [arm.name, arm.sizes, arm.recipe.to_dict(), LOOK_BACK, train.horizon, sha256]
    stem = cache_folder() / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    weights, report = stem.with_suffix(".safetensors"), stem.with_suffix(".json")
    if report.is_file():
        network.load_state_dict(load_file(weights))
        return network.eval(), Fitted(**json.loads(report.read_text()))
    fitted = fit(network, train, valid, arm.recipe, log)
    stem.parent.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), weights)
    # Written last and at once: a report on disk means that its weights are whole.
    draft = stem.with_suffix(f".{os.getpid()}.part")
    draft.write_text(json.dumps(asdict(fitted)))
    draft.replace(report)
    return network, fitted


def cache_folder() -> Path:
    """Where trained networks are kept: ``DOYEN_CACHE``/ett, else under the user's cache folder."""
    root = os.environ.get("DOYEN_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "doyen") / "ett"


def _errors(forecast: _Forecast, test: Windows) -> tuple[Floats, Floats]:
    """Mean squared and mean absolute error of each test window, over its steps and columns."""
    squared, absolute = [], []
    with torch.inference_mode():
        for x_BLC, y_BHC in test.batches(128):
            error_BHC = (forecast(x_BLC) - y_BHC).double()
            squared.append(error_BHC.square().mean((1, 2)))
            absolute.append(error_BHC.abs().mean((1, 2)))
    return torch.cat(squared).numpy(), torch.cat(absolute).numpy()


def _mean(values_W: Floats) -> float:
    return round(float(values_W.mean()), 4)


def _interval(squared_W: Floats) -> list[float] | None:
    """Of the MSE. Neighbouring windows share nearly all their hours: whole weeks of them are drawn."""
    firsts = np.arange(0, len(squared_W), _WEEK)
    sizes = np.diff(np.append(firsts, len(squared_W))).astype(float)
    bounds = ratio_ci(np.add.reduceat(squared_W, firsts), sizes)
    return [round(bound, 4) for bound in bounds] if bounds else None
