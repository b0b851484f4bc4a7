"""On-policy distillation: the student writes, the teacher corrects it token by token.

Agarwal et al. 2024 (arXiv:2306.13649) and, with the reverse divergence, Gu et al. 2024 (arXiv:2306.08543). A thin
layer over ``trl.DistillationTrainer``, which generates, scores and optimises; ours are the recipe's table, the check
of the vocabulary, and prompts that are our records without their last answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from doyen_schemas import DoyenError
from doyen_training.losses.part import LossBase

if TYPE_CHECKING:
    from doyen_data import Record


class OnPolicyPart(LossBase):
    """``kind = "on-policy"``: the only term of its recipe, since the answers of the records are not used.

    Attributes:
        teacher: the teacher as a base with the student's tokenizer; ``adapter`` is the folder of an adapter on it.
        beta: 0 is the forward divergence, 1 the reverse one, between them the generalised Jensen-Shannon divergence.
        temperature: of the generation and of the divergence.
        answer_tokens: the longest answer that is generated.
    """

    kind: Literal["on-policy"]
    weight: Annotated[float, Field(ge=1, le=1)] = 1.0
    teacher: Annotated[str, Field(min_length=1)]
    adapter: str | None = None
    beta: Annotated[float, Field(ge=0, le=1)] = 1.0
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    answer_tokens: Annotated[int, Field(ge=1, le=8192)] = 256


def prompts(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Each record without its last answer, as TRL takes it."""
    return [{"prompt": [message.turn for message in record.messages[:-1]]} for record in records]


def train_on_policy(
    part: OnPolicyPart,
    student: Any,
    teacher: Any,
    tokenizer: Any,
    teacher_tokenizer: Any,
    records: Sequence[Record],
    out: Path,
    *,
    seed: int = 17,
    callbacks: Sequence[Any] = (),
    **settings: Any,
) -> Any:
    """Train ``student`` in place and return TRL's trainer, whose ``state.log_history`` holds what was logged.

    ``settings`` are fields of ``trl.DistillationConfig``, such as ``max_steps`` or ``learning_rate``. Raises TRN-065
    when student and teacher do not share the vocabulary that their distributions are over.
    """
    from datasets import Dataset
    from trl import DistillationConfig, DistillationTrainer

    check_vocabularies(student, tokenizer, teacher, teacher_tokenizer)
    config = DistillationConfig(
        **{
            "output_dir": str(out),
            "seed": seed,
            "data_seed": seed,
            "beta": part.beta,
            "temperature": part.temperature,
            "max_completion_length": part.answer_tokens,
            "report_to": "none",
            "gradient_checkpointing": False,
            **settings,
        }
    )
    trainer = DistillationTrainer(
        model=student,
        teacher_model=teacher,
        args=config,
        train_dataset=Dataset.from_list(prompts(records)),
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )
    trainer.train()
    return trainer


def check_vocabularies(student: Any, tokenizer: Any, teacher: Any, teacher_tokenizer: Any) -> None:
    """Raises TRN-065 unless both have one tokenizer and equally many output rows."""
    from doyen_training.distillation.cache import tokenizer_digest

    ours, theirs = tokenizer_digest(tokenizer), tokenizer_digest(teacher_tokenizer)
    if ours != theirs:
        raise DoyenError(
            "TRN-065",
            f"on-policy distillation needs one tokenizer: the student's is {ours[:12]}, the teacher's {theirs[:12]}.",
            'Use kind = "distillation", which aligns the two by their text.',
        )
    sizes = [model.config.get_text_config().vocab_size for model in (student, teacher)]
    if sizes[0] != sizes[1]:
        raise DoyenError(
            "TRN-065",
            f"the tokenizers are the same, but the student has {sizes[0]} output rows and the teacher {sizes[1]}: "
            "their padding differs.",
            'Use kind = "distillation", which leaves the padding out.',
        )
