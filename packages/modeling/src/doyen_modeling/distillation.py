"""The divergence of a student from its teacher at a temperature (Hinton et al. 2015, arXiv:1503.02531).

Shape suffixes: N predictions, K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def soft_divergence(teacher_NK: Tensor, student_NK: Tensor, temperature: float) -> Tensor:
    """``T² KL(teacher ‖ student)`` (N,) in nats, both softened by the temperature T.

    Takes logits or log-probabilities: a constant added to a row changes nothing. T² keeps the size of the gradient
    when T changes. A class with log-probability -inf in both counts nothing.
    """
    from torch.nn.functional import kl_div, log_softmax

    teacher_NK = log_softmax(teacher_NK / temperature, dim=-1)
    # The least finite number instead of -inf: 0 * inf is NaN, also in the gradient.
    student_NK = log_softmax(student_NK / temperature, dim=-1).clamp(min=-1e4)
    summed_N: Tensor = kl_div(student_NK, teacher_NK.clamp(min=-1e4), reduction="none", log_target=True).sum(
        -1
    )
    return temperature**2 * summed_N
