"""Forecasting networks over windows of time series: a patch transformer, and the linear model it must beat.

The patch transformer is PatchTST (Nie et al. 2023, arXiv:2211.14730): channels share the weights and do not see each
other, overlapping patches are the tokens, each window is normalised by its own mean and deviation (RevIN, Kim et al.
2022). The linear model is DLinear (Zeng et al. 2023, arXiv:2205.13504). Both read look-backs and give forecasts in
the scale of the input. Shapes: B windows, L look-back, C channels, H horizon, N patches, P patch length, D width,
A heads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class PatchConfig:
    """Sizes of a patch transformer; the defaults are the paper's for small data sets (ETTh1, ETTh2)."""

    look_back: int
    horizon: int
    channels: int = 1
    patch: int = 16
    stride: int = 8
    width: int = 16
    heads: int = 4
    feedforward: int = 128
    layers: int = 3
    dropout: float = 0.3
    head_dropout: float = 0.0
    from_last: bool = False
    """Windows are taken relative to their last value instead of their mean, and the head starts at zero: untrained,
    the network repeats the last value, the best forecast of a random walk."""

    def __post_init__(self) -> None:
        if self.look_back < self.patch:
            raise ValueError(f"a look-back of {self.look_back} is shorter than a patch of {self.patch}")
        if self.width % self.heads:
            raise ValueError(f"a width of {self.width} cannot be split into {self.heads} heads")
        if min(self.horizon, self.channels, self.stride, self.layers) < 1:
            raise ValueError("horizon, channels, stride and layers are at least 1")

    @property
    def patches(self) -> int:
        """N: the whole patches of a look-back, and one more that the padding at the end completes."""
        return (self.look_back - self.patch) // self.stride + 2

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Moments(NamedTuple):
    """Level (mean or last value) and deviation of each window and channel, both B1C."""

    level_B1C: Tensor
    deviation_B1C: Tensor


class RevIN(nn.Module):
    """Reversible instance normalisation with a learned affine per channel (Kim et al. 2022)."""

    def __init__(self, channels: int, from_last: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.from_last = from_last
        self.eps = eps
        self.weight_C = nn.Parameter(torch.ones(channels))
        self.bias_C = nn.Parameter(torch.zeros(channels))

    def normalise(self, x_BLC: Tensor) -> tuple[Tensor, Moments]:
        """x (B, L, C) in units of its own windows, and the moments that undo it; constant windows become the bias."""
        level_B1C = x_BLC[:, -1:] if self.from_last else x_BLC.mean(1, keepdim=True)
        variance_B1C = x_BLC.var(1, keepdim=True, unbiased=False)
        moments = Moments(level_B1C, (variance_B1C + self.eps).sqrt())
        return (x_BLC - level_B1C) / moments.deviation_B1C * self.weight_C + self.bias_C, moments

    def restore(self, y_BHC: Tensor, moments: Moments) -> Tensor:
        """The exact inverse of ``normalise`` for any number of steps H."""
        # A weight that training drove to zero would divide by it.
        scale_C = torch.where(self.weight_C.abs() < self.eps, self.eps, self.weight_C)
        return (y_BHC - self.bias_C) / scale_C * moments.deviation_B1C + moments.level_B1C


class ByteDropout(nn.Module):
    """Dropout whose rate is rounded to 1/256: one random byte a value.

    ``nn.Dropout`` draws a whole random number for each value, which on a CPU takes a third of a training step here.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.dropped = round(rate * 256)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, float; unchanged outside training."""
        if not self.training or not self.dropped:
            return x
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        # The two bounds span all 64 bits: every byte is uniform.
        random_bytes = words.random_(-(2**63), None).view(torch.uint8)[: x.numel()].view(x.shape)
        return x * ((random_bytes >= self.dropped) * (256 / (256 - self.dropped)))


class TokenNorm(nn.BatchNorm1d):
    """Batch normalisation of (M, N, D) over sequences and tokens, as the paper has it in place of LayerNorm."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(0, 1)).view_as(input)


class PatchLayer(nn.Module):
    """One encoder layer: self-attention, then a feed-forward network, each with residual and normalisation after."""

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        D = config.width
        self.heads = config.heads
        self.qkv = nn.Linear(D, 3 * D)
        self.out = nn.Linear(D, D)
        self.up = nn.Linear(D, config.feedforward)
        self.down = nn.Linear(config.feedforward, D)
        self.norm_attention = TokenNorm(D)
        self.norm_feedforward = TokenNorm(D)
        self.dropout = ByteDropout(config.dropout)

    def forward(self, z_MND: Tensor) -> Tensor:
        """M = B·C sequences of N patches."""
        M, N, D = z_MND.shape
        q_MANd, k_MANd, v_MANd = self.qkv(z_MND).view(M, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed_MANd = F.scaled_dot_product_attention(q_MANd, k_MANd, v_MANd)
        attended_MND = self.out(mixed_MANd.transpose(1, 2).reshape(M, N, D))
        z_MND = self.norm_attention(z_MND + self.dropout(attended_MND))
        inner = self.dropout(F.gelu(self.up(z_MND)))
        return self.norm_feedforward(z_MND + self.dropout(self.down(inner)))


class PatchEncoder(nn.Module):
    """Look-backs (B, L, C) to patch states (B, C, N, D); channels do not see each other."""

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.patch, config.width)
        self.position_ND = nn.Parameter(torch.empty(config.patches, config.width).uniform_(-0.02, 0.02))
        self.dropout = ByteDropout(config.dropout)
        self.layers = nn.ModuleList(PatchLayer(config) for _ in range(config.layers))

    def forward(self, x_BLC: Tensor) -> Tensor:
        B, _, C = x_BLC.shape
        # The last value is repeated for one stride, so that the newest observations fill a patch.
        x_BCL = F.pad(x_BLC.transpose(1, 2), (0, self.config.stride), mode="replicate")
        patches_BCNP = x_BCL.unfold(-1, self.config.patch, self.config.stride)
        z_MND = self.dropout(self.embed(patches_BCNP.flatten(0, 1)) + self.position_ND)
        for layer in self.layers:
            z_MND = layer(z_MND)
        return z_MND.unflatten(0, (B, C))


class PatchTransformer(nn.Module):
    """PatchTST: instance normalisation, patch encoder, one linear head over the flattened patch states.

    Left out of the authors' code: attention scores carried from layer to layer, which the paper does not have and
    which rule out the fused attention kernel.
    """

    def __init__(self, config: PatchConfig) -> None:
        super().__init__()
        self.config = config
        self.revin = RevIN(config.channels, config.from_last)
        self.encoder = PatchEncoder(config)
        self.head_dropout = ByteDropout(config.head_dropout)
        self.head = nn.Linear(config.patches * config.width, config.horizon)
        if config.from_last:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(self, x_BLC: Tensor) -> Tensor:
        """Look-backs (B, L, C) to forecasts (B, H, C)."""
        x_BLC, moments = self.revin.normalise(x_BLC)
        y_BCH = self.head(self.head_dropout(self.encoder(x_BLC).flatten(-2)))
        return self.revin.restore(y_BCH.transpose(1, 2), moments)


class DLinear(nn.Module):
    """Trend (moving average) and remainder, each through one linear map shared by the channels (Zeng et al. 2023)."""

    def __init__(self, look_back: int, horizon: int, kernel: int = 25) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the moving average needs an odd width, not {kernel}")
        self.kernel = kernel
        self.trend = nn.Linear(look_back, horizon)
        self.remainder = nn.Linear(look_back, horizon)

    def forward(self, x_BLC: Tensor) -> Tensor:
        """Look-backs (B, L, C) to forecasts (B, H, C)."""
        x_BCL = x_BLC.transpose(1, 2)
        half = self.kernel // 2
        trend_BCL = F.avg_pool1d(F.pad(x_BCL, (half, half), mode="replicate"), self.kernel, stride=1)
        return (self.trend(trend_BCL) + self.remainder(x_BCL - trend_BCL)).transpose(1, 2)
