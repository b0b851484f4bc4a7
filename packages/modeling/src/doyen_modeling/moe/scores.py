"""Expert scores: how much of a domain's text each expert handles (ESFT, Wang et al. 2024, section 3.2).

The token score is the share of (token, choice) pairs that went to an expert (a layer's scores sum to 1); the gate
score is its mean gate value (a layer's scores sum to the mean mass of the chosen gates). ESFT's published scores pool
all tokens; its paper's equations 6 and 7 average within each sample first (``per-sample``).

Shape suffixes: B rows, L positions of a row, T = B·L, K experts per token, E experts.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from doyen_modeling.moe.layers import expert_count, expert_modules
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    import torch

Kind = Literal["token", "gate"]
Pooling = Literal["tokens", "per-sample"]
KINDS: Final[tuple[Kind, ...]] = ("token", "gate")
DECIMALS: Final = 6
_INPUTS: Final = ("input_ids", "attention_mask", "position_ids")
LayerScores = dict[int, dict[int, float]]


@dataclass(frozen=True, slots=True)
class ExpertScores:
    """Scores by layer and expert; ``about`` says what they were measured on."""

    token: LayerScores
    gate: LayerScores
    about: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: Kind) -> LayerScores:
        """The scores of one kind."""
        return self.token if kind == "token" else self.gate

    def save(self, file: Path) -> None:
        """Write ESFT's ``summary.json``: ``token_scores`` and ``gate_scores`` → layer → expert → score."""
        content: dict[str, Any] = {
            f"{kind}_scores": {
                str(layer): {str(expert): round(score, DECIMALS) for expert, score in row.items()}
                for layer, row in self.of(kind).items()
            }
            for kind in KINDS
        }
        if self.about:
            content["about"] = self.about
        file.parent.mkdir(parents=True, exist_ok=True)
        scratch = file.with_name(file.name + ".part")
        scratch.write_text(json.dumps(content) + "\n", encoding="utf-8")
        os.replace(scratch, file)


def load_scores(file: Path) -> ExpertScores:
    """Read scores in ESFT's format; one of the two kinds may be absent. Raises MOD-051 and MOD-052."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DoyenError(
            "MOD-051", f"{file} cannot be read ({type(error).__name__}).", _SCORES_HINT
        ) from error
    except ValueError as error:
        raise DoyenError("MOD-052", f"{file.name} is not JSON: {error}.", _SCORES_HINT) from error
    if not isinstance(content, dict) or not any(f"{kind}_scores" in content for kind in KINDS):
        raise DoyenError(
            "MOD-052", f"{file.name} has neither token_scores nor gate_scores at its top.", _SCORES_HINT
        )
    token, gate = (
        _layers(content.get(f"{kind}_scores", {}), f"{file.name}: {kind}_scores") for kind in KINDS
    )
    about = content.get("about", {})
    return ExpertScores(token, gate, about if isinstance(about, dict) else {})


_SCORES_HINT: Final = (
    "Write scores with: doyen moe score --base SOURCE --data records.jsonl --out scores.json"
)


def _layers(content: Any, where: str) -> LayerScores:
    try:
        layers = {
            int(layer): {int(expert): float(score) for expert, score in row.items()}
            for layer, row in content.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise DoyenError("MOD-052", f"{where} must map layer → expert → number.", _SCORES_HINT) from error
    for layer, row in layers.items():
        for expert, score in row.items():
            if not math.isfinite(score) or score < 0:
                raise DoyenError(
                    "MOD-052",
                    f"{where} of layer {layer}, expert {expert} is {score}; a score is finite and not negative.",
                    _SCORES_HINT,
                )
    return layers


class ScoreProbe:
    """Counts what the experts of a model are given, by one forward hook on each fused experts module.

    Use as a context; call ``see(mask_BL)`` before each forward pass.
    """

    def __init__(self, model: torch.nn.Module, pooling: Pooling = "tokens") -> None:
        import torch

        self.pooling = pooling
        self.tokens = 0
        self.samples = 0
        self._modules = expert_modules(model)
        # DeepSeek multiplies the gate values by this constant; a score is the share before it.
        self._scale = float(getattr(getattr(model, "config", None), "routed_scaling_factor", None) or 1.0)
        self._sums = {
            layer: torch.zeros(2, expert_count(module), dtype=torch.float64)
            for layer, module in self._modules.items()
        }
        self._mask_BL: torch.Tensor | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        for layer, module in self._modules.items():
            hook = _Hook(self, layer)
            self._handles.append(module.register_forward_hook(hook, with_kwargs=True))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def see(self, mask_BL: torch.Tensor) -> None:
        """Announce a batch: True where a position holds a token."""
        self._mask_BL = mask_BL.bool().cpu()
        self.tokens += int(self._mask_BL.sum())
        self.samples += len(mask_BL)

    def add(self, layer: int, index_TK: torch.Tensor, weight_TK: torch.Tensor) -> None:
        """Add one layer's choices of the announced batch."""
        import torch

        mask_BL = self._mask_BL
        if mask_BL is None or mask_BL.numel() != index_TK.shape[0]:
            raise RuntimeError("announce each batch with see() before the forward pass")
        rows, experts = mask_BL.shape[0], self._sums[layer].shape[1]
        keep_T1 = mask_BL.reshape(-1, 1)
        values_2TK = torch.stack(
            [torch.full(index_TK.shape, 1 / index_TK.shape[1]), weight_TK.float().cpu() / self._scale]
        )
        sums_2TE = torch.zeros(2, index_TK.shape[0], experts, dtype=torch.float64)
        index_2TK = index_TK.cpu().expand(2, -1, -1)
        sums_2TE.scatter_add_(2, index_2TK, (values_2TK * keep_T1).double())
        sums_2BE = sums_2TE.view(2, rows, -1, experts).sum(2)
        if self.pooling == "per-sample":
            sums_2BE /= mask_BL.sum(1)[:, None]
        self._sums[layer] += sums_2BE.sum(1)

    def result(self, about: dict[str, Any] | None = None) -> ExpertScores:
        """The scores of everything seen. Raises MOD-051 when nothing was."""
        if not self.tokens:
            raise DoyenError("MOD-051", "no token was scored.", "Give at least one record with text.")
        total = self.samples if self.pooling == "per-sample" else self.tokens
        token, gate = (
            {layer: dict(enumerate((sums[kind] / total).tolist())) for layer, sums in self._sums.items()}
            for kind in range(2)
        )
        seen = {"tokens": self.tokens, "samples": self.samples, "pooling": self.pooling}
        return ExpertScores(token, gate, (about or {}) | seen)


class _Hook:
    """A forward hook bound to its layer; the experts are called with (hidden, top_k_index, top_k_weights)."""

    def __init__(self, probe: ScoreProbe, layer: int) -> None:
        self.probe = probe
        self.layer = layer

    def __call__(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any], __: Any) -> None:
        index = args[1] if len(args) > 1 else kwargs["top_k_index"]
        weight = args[2] if len(args) > 2 else kwargs["top_k_weights"]
        self.probe.add(self.layer, index.detach(), weight.detach())


def score_experts(
    model: Any,
    samples: Iterable[Sequence[int]],
    *,
    pooling: Pooling = "tokens",
    batch_size: int = 4,
    about: dict[str, Any] | None = None,
) -> ExpertScores:
    """Scores of ``model`` over token-id ``samples``, in batches of right-padded rows. Raises MOD-050, MOD-051."""
    return score_batches(model, _batches(samples, batch_size), pooling=pooling, about=about)


def score_batches(
    model: Any,
    batches: Iterable[Mapping[str, torch.Tensor]],
    *,
    pooling: Pooling = "tokens",
    about: dict[str, Any] | None = None,
) -> ExpertScores:
    """Scores over batches of ``input_ids`` (B, L) and, where rows are padded, ``attention_mask`` (B, L)."""
    import torch

    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with ScoreProbe(model, pooling) as probe, torch.inference_mode():
        for batch in batches:
            inputs = {key: batch[key].to(device) for key in _INPUTS if key in batch}
            probe.see(inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])))
            # One position of logits: the experts are all that is wanted.
            model(**inputs, use_cache=False, logits_to_keep=1)
    model.train(training)
    return probe.result(about)


def _batches(samples: Iterable[Sequence[int]], size: int) -> Iterator[dict[str, torch.Tensor]]:
    import torch

    whole = (sample for sample in samples if len(sample))
    while rows := list(islice(whole, size)):
        length = max(map(len, rows))
        yield {
            "input_ids": torch.tensor([[*row, *[0] * (length - len(row))] for row in rows]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows]),
        }
