import math

import pytest

from doyen_data import Message, Record
from doyen_schemas import DoyenError
from doyen_training.verify.distillation import exchanged
from doyen_training.verify.pgd import nearest
from doyen_training.verify.rates import GRID, SEED, best, descend, held_losses


@pytest.mark.parametrize("lowest", GRID)
def test_the_best_rate_of_a_single_valley_is_found(lowest):
    losses = descend(lambda rate: abs(math.log(rate / lowest)))
    assert best(losses) == lowest
    assert list(losses) == sorted(losses)
    around = GRID[max(0, GRID.index(lowest) - 1) : GRID.index(lowest) + 2]
    assert set(around) <= losses.keys(), "both neighbours were looked at"


def test_the_way_up_is_not_walked_when_the_way_down_was_better():
    assert descend(lambda rate: rate).keys() == {rate for rate in GRID if rate <= 1e-2}
    assert descend(lambda rate: -rate).keys() == {rate for rate in GRID if rate >= 3e-3}


class FakeBench:
    """A bench whose models are their own loss."""

    def __init__(self):
        self.asked = []

    def task(self, seed, splits):
        self.asked.append((seed, splits))
        return type("Task", (), {"dev_examples": []})()

    def nll(self, model, examples):
        return model


def test_rates_are_tried_on_training_contracts_alone_and_a_breakdown_is_no_loss():
    def arm(bench, task, seed, rate):
        assert seed == SEED
        if rate > 1e-2:
            raise DoyenError("TRN-006", "the loss is nan.", "")
        return math.nan if rate < 3e-3 else rate

    bench = FakeBench()
    losses = held_losses(bench, arm)
    assert bench.asked == [(SEED, ("fit", "hold"))]
    assert losses == {1e-3: math.inf, 3e-3: 3e-3, 1e-2: 1e-2}


def test_another_error_than_a_breakdown_is_not_hidden():
    def arm(bench, task, seed, rate):
        raise DoyenError("TRN-020", "full disk.", "")

    with pytest.raises(DoyenError, match="TRN-020"):
        held_losses(FakeBench(), arm)


def test_planted_errors_move_half_of_the_classes_and_nothing_else():
    classes = ["a", "b", "c", "d", "e"]
    records = [
        Record(id=name, messages=(Message(role="user", content="?"), Message(role="assistant", content=name)))
        for name in classes
    ]
    wrong = [record.messages[-1].content for record in exchanged(records, classes)]
    assert wrong == ["b", "a", "c", "d", "e"]
    assert [record.messages[0] for record in exchanged(records, classes)] == [r.messages[0] for r in records]


def test_the_plain_model_with_the_nearest_clean_loss_is_taken():
    assert nearest({20: 0.9, 40: 0.5, 60: 0.2}, 0.4) == 40
