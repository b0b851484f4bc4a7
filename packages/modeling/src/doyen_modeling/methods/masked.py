"""Scored parameter masks: tune only the weights that the domain excites.

A few batches of the domain score every weight by the first-order change of the loss, |g·w| (Molchanov et al. 2017), or
by the diagonal Fisher information, g² (Sung et al. 2021). The best rank·(m+n) entries of each m×n matrix, as many as
a LoRA of that rank has parameters, are tuned through PEFT's SHiRA (Bhardwaj et al. 2024); all others stay bitwise as
they are. Sparse tuning saves optimizer state and file size, not time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from doyen_modeling.methods.lora import Targets
from doyen_modeling.methods.part import Batches
from doyen_modeling.methods.peft import PeftMethod, wrap
from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch import Tensor, nn

_INPUTS: Final = ("input_ids", "attention_mask", "position_ids", "labels")


class Masked(PeftMethod):
    """Scored masks.

    Attributes:
        rank: rank·(m+n) entries of an m×n matrix are tuned.
        score: ``taylor`` for |Σ g·w|, ``fisher`` for Σ g² over the batches, ``random`` as a control.
        targets: linear layers, or ``all-linear`` but the output layer.
        batches: how many batches of the training data a run scores with.
        seed: draws the ``random`` mask.
    """

    kind: Literal["masked"] = "masked"
    rank: Annotated[int, Field(ge=1, le=512)] = 8
    score: Literal["taylor", "fisher", "random"] = "taylor"
    targets: Targets = "all-linear"
    batches: Annotated[int, Field(ge=1)] = 8
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 17

    scored: ClassVar[bool] = True

    def attach(self, model: Any, batches: Batches | None = None) -> Any:
        """Score with ``batches`` of ``input_ids``, ``labels`` (B, T), then wrap ``model`` in PEFT's SHiRA.

        Raises MOD-040 when the targets fit no layer, MOD-046 without batches or where rank·(m+n) exceeds a matrix.
        """
        import torch
        from peft import ShiraConfig

        names = {id(module): name for name, module in model.named_modules()}
        scores = self._scores(model, batches)
        report: dict[str, float] = {}
        generator = torch.Generator().manual_seed(self.seed)

        def mask(layer: nn.Linear, rank: int, **_: Any) -> Tensor:
            weight = layer.weight
            count = rank * sum(weight.shape)
            if count > weight.numel():
                raise DoyenError(
                    "MOD-046",
                    f"method.rank = {rank} asks for {count} of the {weight.numel()} weights of a layer.",
                    "Choose a smaller rank, or tune with full.",
                )
            own = scores.get(id(weight))
            if own is None:
                own = torch.rand(weight.shape, generator=generator).to(weight.device)
            best = own.flatten().topk(count)
            chosen = torch.zeros_like(weight, memory_format=torch.contiguous_format)
            chosen.view(-1)[best.indices] = 1
            report[names[id(layer)]] = float(best.values.sum() / own.sum().clamp_min(1e-30))
            return chosen

        config = ShiraConfig(
            r=self.rank,
            target_modules=self.targets if isinstance(self.targets, str) else list(self.targets),
            task_type="CAUSAL_LM",
        )
        config.mask_fn = mask  # type: ignore[assignment]
        wrapped = wrap(model, config, self, self.targets)
        wrapped.doyen_activation = report
        return wrapped

    def hidden(self) -> bool:
        """PEFT's settings name neither the score nor the batches."""
        return True

    def _scores(self, model: Any, batches: Batches | None) -> dict[int, Tensor]:
        """A score for each weight matrix, by the identity of its parameter."""
        import torch
        from torch import nn

        if self.score == "random":
            return {}
        weights = [
            module.weight
            for module in model.modules()
            if isinstance(module, nn.Linear) and module is not model.get_output_embeddings()
        ]
        before = {id(parameter): parameter.requires_grad for parameter in model.parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_(True)
        total = [torch.zeros_like(weight, dtype=torch.float32) for weight in weights]
        training, seen = model.training, 0
        model.eval()
        for batch in batches or ():
            inputs = {key: batch[key] for key in _INPUTS if key in batch}  # a trainer's batch has more
            gradients = torch.autograd.grad(model(**inputs, use_cache=False).loss, weights)
            for score, weight, gradient in zip(total, weights, gradients, strict=True):
                score += gradient * weight.detach() if self.score == "taylor" else gradient.float() ** 2
            seen += 1
        model.train(training)
        for parameter in model.parameters():
            parameter.requires_grad_(before[id(parameter)])
        if not seen:
            raise DoyenError(
                "MOD-046",
                f"method.score = {self.score!r} needs batches of the domain, and there was none.",
                "Give training records, or use score = 'random'.",
            )
        return {id(weight): score.abs() for weight, score in zip(weights, total, strict=True)}


def activation_report(model: Any) -> dict[str, float]:
    """For each masked module, the share of its score that the tuned weights hold; high means a concentrated layer."""
    return dict(model.doyen_activation)
