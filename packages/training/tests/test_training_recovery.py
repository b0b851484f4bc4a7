from __future__ import annotations

import pytest

from doyen_training.recovery import recovery


@pytest.mark.slow
def test_a_training_killed_at_random_ends_bit_identical_to_one_left_alone() -> None:
    """Three kills here; ``doyen bench recovery`` makes twenty."""
    figures = recovery(kills=3)
    assert figures["kills"] == figures["resumes_verified"] == 3
    assert figures["damaged_reports"] == 0
    assert figures["bit_identical"] is True
