"""LoRA (Hu et al. 2021), with rank-stabilised scale, weight decomposition and PiSSA as options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from doyen_modeling.methods.part import check_fit
from doyen_modeling.methods.peft import PeftMethod, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

Targets = Literal["all-linear"] | Annotated[tuple[str, ...], Field(min_length=1)]


class Lora(PeftMethod):
    """LoRA: rank, scale and the linear layers that get an adapter (never the output layer).

    Attributes:
        rslora: scale alpha/√rank instead of alpha/rank (Kalajdzievski 2023).
        dora: learn magnitude and direction apart (Liu et al. 2024).
        init: ``pissa`` starts from the principal components of each weight (Meng et al. 2024) and is written as a
            LoRA of twice the rank, which fits the unchanged base.
    """

    kind: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1, le=512)] = 8
    alpha: Annotated[int, Field(gt=0)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Targets = "all-linear"
    rslora: bool = False
    dora: bool = False
    init: Literal["zero", "pissa"] = "zero"

    @model_validator(mode="after")
    def _written_exactly(self) -> Lora:
        if self.dora and self.init == "pissa":
            raise ValueError("dora with init = 'pissa' cannot be written for the unchanged base; choose one")
        return self

    def attach(self, model: Any) -> Any:
        """Wrap ``model`` in PEFT's LoRA. Raises MOD-040 when the targets fit no layer."""
        if self.init == "zero":
            return wrap(model, self.config(), self, self.targets)
        import torch

        with torch.random.fork_rng():
            # The randomised decomposition must be the same when a run is resumed: it decides what stays in the base.
            torch.manual_seed(0)
            wrapped = wrap(model, self.config(), self, self.targets)
            # PiSSA takes its start out of the base's weights: the file needs it to fit the unchanged base.
            wrapped.doyen_start = {name: tensor.clone() for name, tensor in self.tensors(wrapped).items()}
        return wrapped

    def attach_start(self, model: Any, tensors: Mapping[str, Tensor]) -> Any:
        """PiSSA from its file, to go on: what ``file_tensors`` wrote beside the adapter is taken out of the base again.

        Raises MOD-012 unless the tensors are those of this adapter.
        """
        import torch

        plain = self.model_copy(update={"init": "zero"})
        wrapped = wrap(model, plain.config(), self, self.targets)
        sides = {name: 0 if ".lora_A." in name else 1 for name in tensors}
        shapes = {name: list(tensor.shape) for name, tensor in self.tensors(wrapped).items()}
        for name, shape in shapes.items():
            shape[0 if ".lora_A." in name else 1] *= 2
        check_fit(self.kind, shapes, tensors)
        now: dict[str, Tensor] = {}
        start: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            now[name], then = tensor.float().chunk(2, dim=sides[name])
            start[name] = -then if sides[name] else then
        self.load(wrapped, now)
        with torch.no_grad():
            for name, layer in wrapped.base_model.model.named_modules():
                if f"base_model.model.{name}.lora_A.weight" in start:
                    a, b = (start[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
                    weight = layer.get_base_layer().weight
                    weight.copy_(
                        (weight.float() - layer.scaling["default"] * (b @ a).to(weight.device)).to(
                            weight.dtype
                        )
                    )
        wrapped.doyen_start = {name: tensor.clone() for name, tensor in start.items()}
        return wrapped

    def hidden(self) -> bool:
        """PiSSA's file is that of a plain LoRA."""
        return self.init == "pissa"

    def config(self) -> Any:
        """PEFT's configuration of these settings."""
        from peft import LoraConfig

        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.targets if isinstance(self.targets, str) else list(self.targets),
            use_rslora=self.rslora,
            use_dora=self.dora,
            # The exact decomposition of a large matrix takes minutes; the randomised one, seconds.
            init_lora_weights=True if self.init == "zero" else "pissa_niter_16",  # type: ignore[arg-type]
            task_type="CAUSAL_LM",
        )

    def file_dtype(self) -> Literal["float16", "own"]:
        """PiSSA's file is a difference of large terms, which half precision would spoil."""
        return "own" if self.init == "pissa" else "float16"

    def file_tensors(self, model: Any) -> dict[str, Tensor]:
        """The tensors to write: BA, or for PiSSA BA - B₀A₀ as one product of twice the rank."""
        import torch

        tensors = self.tensors(model)
        if self.init == "zero":
            return tensors
        start = model.doyen_start
        return {
            name: torch.cat([tensor, start[name].to(tensor)], dim=0)
            if ".lora_A." in name
            else torch.cat([tensor, -start[name].to(tensor)], dim=1)
            for name, tensor in tensors.items()
        }

    def file_settings(self) -> dict[str, Any]:
        """What the file's configuration says instead of PEFT's: for PiSSA the LoRA that it is written as."""
        if self.init == "zero":
            return {}
        scale = self.alpha / (self.rank**0.5 if self.rslora else self.rank)
        return {
            "r": 2 * self.rank,
            "lora_alpha": scale * 2 * self.rank,
            "use_rslora": False,
            "init_lora_weights": True,
        }
