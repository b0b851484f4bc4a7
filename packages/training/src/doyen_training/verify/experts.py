"""Expert-specialised tuning: the experts that the task's tokens go to, against as many drawn at random.

The mixture is the bench's model upcycled to 8 experts a layer, 2 a token, and trained on the contracts' text for a
short while so that its experts part. Beside the two arms: all experts, and the experts that the task uses least.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from doyen_training.verify.trial import BASELINE, TECHNIQUE, Trial

if TYPE_CHECKING:
    from doyen_modeling.moe.select import Selection
    from doyen_training.verify.bench import Bench

EXPERTS: Final = 8
TOP_K: Final = 2
PARTING_STEPS: Final = 40
WINDOW: Final = 64
THRESHOLD: Final = 0.5
STEPS: Final = 24
_mixtures: WeakKeyDictionary[Bench, Any] = WeakKeyDictionary()


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Loss on held-out records after the same steps over the same records; only which experts are tuned differs."""
    from doyen_modeling.methods import Experts, attach
    from doyen_modeling.moe.scores import score_experts
    from doyen_modeling.moe.select import select_experts

    task = bench.task(seed, train=STEPS * 16, dev=150)
    mixture = _mixtures.get(bench) or _mixtures.setdefault(bench, _mixture(bench))
    scores = score_experts(mixture, [example.input_ids for example in task.train[:128]], batch_size=16)
    chosen = select_experts(scores, "token", THRESHOLD)
    generator = random.Random(seed)
    count = {layer: len(experts) for layer, experts in chosen.items()}
    worst: Selection = {
        layer: tuple(sorted(row, key=lambda expert: row[expert])[: count[layer]])
        for layer, row in scores.token.items()
    }
    drawn: Selection = {
        layer: tuple(generator.sample(range(EXPERTS), number)) for layer, number in count.items()
    }
    every: Selection = dict.fromkeys(chosen, tuple(range(EXPERTS)))
    arms = {}
    for arm, experts in (
        (BASELINE, drawn),
        (TECHNIQUE, chosen),
        ("all experts", every),
        ("least used", worst),
    ):
        model = attach(copy.deepcopy(mixture), Experts(experts=experts))
        bench.train(model, task.train, steps=STEPS, seed=seed)
        arms[arm] = bench.nll(model, task.dev_examples)
    arms["untuned"] = bench.nll(mixture, task.dev_examples)
    arms["share tuned"] = sum(count.values()) / (EXPERTS * len(count))
    return arms


def _mixture(bench: Bench) -> Any:
    """The upcycled model, trained on contracts until its experts differ."""
    from doyen_modeling.moe.upcycle import upcycle
    from doyen_training.losses.cross_entropy import CrossEntropy
    from doyen_training.losses.router import RouterTerm
    from doyen_training.masking import Example

    mixture = upcycle(bench.model(0), EXPERTS, TOP_K, seed=0)
    core: Any = bench.tokenizer
    rows = []
    for number, text in enumerate(random.Random(0).sample(bench.texts("train"), 40)):
        ids = core(text, add_special_tokens=False)["input_ids"][: 16 * WINDOW]
        for start in range(0, len(ids) - WINDOW + 1, WINDOW):
            row = ids[start : start + WINDOW]
            rows.append(Example(f"{number}-{start}", row, list(row)))
    for parameter in mixture.parameters():
        parameter.requires_grad_(True)
    bench.train(mixture, rows, [CrossEntropy(), RouterTerm(drift=0.0, balance=0.01)], steps=PARTING_STEPS)
    # A model that a trainer had in its hands has its forward replaced, which a deep copy would share.
    fresh = upcycle(bench.model(0), EXPERTS, TOP_K, seed=0)
    fresh.load_state_dict(mixture.state_dict())
    return fresh


TRIAL = Trial(
    name="experts",
    title="selected experts against as many random ones",
    rows=(36, 37, 38, 40),
    metric="held-out loss, nats",
    higher_is_better=False,
    run=run,
    claim="ESFT (Wang et al. 2024): tuning the 5 to 15 % of experts that a task uses reaches full tuning",
)
