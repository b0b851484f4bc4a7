"""What every tuning method is: a table of the recipe that can attach itself to a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from doyen_schemas import DoyenError

if TYPE_CHECKING:
    from torch import Tensor

Batches = Iterable[Mapping[str, "Tensor"]]


class MethodPart(BaseModel):
    """Base of the ``[method]`` tables. A subclass adds ``kind: Literal[...]`` and its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # What a recipe may combine it with; a planner refuses what is False.
    mergeable: ClassVar[bool] = True
    checkpointing: ClassVar[bool] = True
    packing: ClassVar[bool] = True
    # True: ``attach`` takes batches of the domain as well.
    scored: ClassVar[bool] = False

    def attach(self, model: Any) -> Any:
        """Freeze ``model`` and add the trainable parameters of the method."""
        raise NotImplementedError

    def owns(self, name: str) -> bool:
        """Whether the parameter ``name`` of an attached model belongs to the method."""
        raise NotImplementedError

    def tensors(self, model: Any) -> dict[str, Tensor]:
        """The method's tensors by name, trainable or not at this moment."""
        return {name: parameter.detach() for name, parameter in model.named_parameters() if self.owns(name)}

    def load(self, model: Any, tensors: Mapping[str, Tensor]) -> None:
        """Take back what ``tensors`` gave. Raises MOD-012 unless names and shapes are the model's."""
        import torch

        own = self.tensors(model)
        check_fit(self.kind, {name: tensor.shape for name, tensor in own.items()}, tensors)  # type: ignore[attr-defined]
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[name])

    def file_dtype(self) -> Literal["float16", "own"]:
        """How tensors are written: half precision, or as they are."""
        return "float16"

    def hidden(self) -> bool:
        """Whether PEFT's settings in the file do not tell the method, so that it must stand beside them."""
        return False

    def merge(self, model: Any) -> Any:  # noqa: ARG002
        """The model with the method folded into its weights. Raises MOD-043 where there is no such model."""
        raise DoyenError(
            "MOD-043",
            f"a {self.kind} adapter adds computation that no weight of the base can hold.",  # type: ignore[attr-defined]
            "Serve the base with its adapter attached, or tune with lora, ia3, masked or full.",
        )


def check_fit(kind: str, own: Mapping[str, Sequence[int]], tensors: Mapping[str, Tensor]) -> None:
    """Raise MOD-012 unless ``tensors`` have the names and shapes of ``own``."""
    wrong = sorted(own.keys() ^ tensors.keys()) or [
        n for n in own if tuple(own[n]) != tuple(tensors[n].shape)
    ]
    if wrong:
        raise DoyenError(
            "MOD-012",
            f"{len(wrong)} tensor(s) do not fit this {kind} adapter, the first is {wrong[0]}.",
            "Load the adapter with the settings that it was trained with.",
        )


def freeze(model: Any) -> None:
    """No parameter of ``model`` is trainable afterwards."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
