"""The model itself: how likely each candidate's letter is as the conclusion, and the steps that it writes.

Nothing is generated to re-order: the score of a candidate is the log-probability of its letter as the answer's first
token, among the letters shown, averaged over all rotations of the candidates, so that each stands once at every
letter. A case is one batch of its own: its scores do not depend on other cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from doyen_medical.llm import prompt
from doyen_medical.llm.facts import LETTERS, Facts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NAME: Final = "reasoner"
"""The adapter's folder among the shipped weights."""
_LONGEST: Final = 320
"""Tokens of the steps."""


@dataclass(frozen=True, slots=True)
class Reasoner:
    """A loaded model."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    def letter_scores(self, facts: Facts) -> list[float]:
        """Mean log-probability of each candidate's letter, in the order of ``facts``."""
        import torch

        count = len(facts.options)
        orders = [[(at + turn) % count for at in range(count)] for turn in range(count)]
        prompts = [self._ids(prompt.conclude(facts.reordered(order))) for order in orders]
        pad, width = self.tokenizer.pad_token_id, max(map(len, prompts))
        ids_BT = torch.tensor([[pad] * (width - len(p)) + p for p in prompts])
        mask_BT = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
        with torch.inference_mode():
            hidden_BTH = self.model.get_decoder()(
                input_ids=ids_BT, attention_mask=mask_BT, position_ids=(mask_BT.cumsum(-1) - 1).clamp(min=0)
            ).last_hidden_state
            # The letters' logits in float32: bfloat16 would round them to eighths.
            letters_NH = self.model.get_output_embeddings().weight[self._letters()[:count]].float()
            chance_BN = (hidden_BTH[:, -1].float() @ letters_NH.T).log_softmax(-1).tolist()
        totals = [0.0] * count
        for order, row in zip(orders, chance_BN, strict=True):
            for place, at in enumerate(order):
                totals[at] += row[place]
        return [total / count for total in totals]

    def steps(self, facts: Facts) -> list[str]:
        """The sentences that the model writes, greedily and unchecked, one a line."""
        import torch

        ids = torch.tensor([self._ids(prompt.reason(facts))])
        with torch.inference_mode():
            out: Any = self.model.generate(  # type: ignore[operator]
                input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=_LONGEST,
                pad_token_id=self.tokenizer.pad_token_id,
            )  # fmt: skip
        text = self.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
        return str(text).splitlines()

    def _ids(self, messages: Sequence[prompt.Turn]) -> list[int]:
        return list(
            self.tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, return_dict=False)
        )

    def _letters(self) -> list[int]:
        return [self.tokenizer.encode(letter, add_special_tokens=False)[0] for letter in LETTERS]


def load_reasoner(adapter: Path | None, base: str | None = None) -> Reasoner:
    """Load base and adapter from disk, offline; ``adapter=None`` is the untuned base, for comparison.

    ``base`` overrides where the base is read from; its digests must still be those of the adapter. Raises MOD-002
    when the base is absent, MOD-010 to MOD-012 when the adapter is missing, of another base or damaged.
    """
    import torch

    from doyen_modeling.base import DEFAULT_BASE, load_base
    from doyen_modeling.methods import adapter_base, load_adapter, merge

    loaded = load_base(base or (adapter_base(adapter).source if adapter else DEFAULT_BASE))
    # Merged in float32, and only then narrowed.
    model = merge(load_adapter(loaded, adapter)) if adapter else loaded.model
    if _fast_bf16():
        model = model.to(torch.bfloat16)  # type: ignore[arg-type]
    return Reasoner(model.eval(), loaded.tokenizer)


def _fast_bf16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware: AMX, or AVX512-BF16 at 2.6 times the speed of float32."""
    import torch

    from doyen_modeling.encoder import has_bf16_units

    probe: Any = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return has_bf16_units() or bool(probe and probe())
