"""Expert-specialised tuning: the experts that the task's tokens go to, against as many drawn at random and all.

The mixture is the bench's model upcycled to 8 experts a layer, 2 a token, and trained on the contracts' text and on
clauses of types that are not of the task, until its experts part. Then the experts alone are tuned, which ones is what
the arms differ in; and the routers alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from doyen_training.verify.rates import rate_of
from doyen_training.verify.trial import BASELINE, TECHNIQUE, Arm, Trial

if TYPE_CHECKING:
    from doyen_modeling.moe.select import Selection
    from doyen_training.verify.bench import Bench, Task

EXPERTS: Final = 8
TOP_K: Final = 2
PARTING_STEPS: Final = 200
PARTING_RATE: Final = 3e-3
TEXTS: Final = 3200
WINDOW: Final = 64
THRESHOLD: Final = 0.2  # the paper's for token scores
STEPS: Final = 40


def run(bench: Bench, seed: int) -> Mapping[str, float]:
    """Loss on held-out records after the same steps over the same records, and the bytes of AdamW's moments."""
    task = bench.task(seed)
    names = {"random experts": BASELINE, "selected experts": TECHNIQUE}
    figures: dict[str, float] = {}
    for name, arm in ARMS.items():
        model = arm(bench, task, seed, rate_of(name))
        figures[names.get(name, name)] = bench.nll(model, task.dev_examples)
        figures[f"optimizer MB, {name}"] = model.optimizer_bytes / 1e6
    figures["not tuned"] = bench.nll(mixture(bench), task.dev_examples)
    figures["share of the experts"] = share(selected(bench, task, seed))
    return figures


def mixture(bench: Bench) -> Any:
    """The upcycled model, trained until its experts differ; not to be changed."""

    def make() -> Any:
        from doyen_training.losses.cross_entropy import CrossEntropy
        from doyen_training.losses.router import RouterTerm

        model = _upcycled(bench)
        model.requires_grad_(True)
        rows = [*bench.running_text("train", TEXTS, WINDOW), *bench.other_types()]
        terms = [CrossEntropy(), RouterTerm(drift=0.0, balance=0.001)]
        bench.train(model, rows, terms, steps=PARTING_STEPS, learning_rate=PARTING_RATE)
        return model

    return bench.once("mixture", make)


def selected(bench: Bench, task: Task, seed: int) -> Selection:  # noqa: ARG001 (nothing is drawn)
    """The experts of each layer that the task's own records go to."""
    from doyen_modeling.moe.scores import score_experts
    from doyen_modeling.moe.select import select_experts

    scores = score_experts(mixture(bench), [e.input_ids for e in task.train[:128]], batch_size=16)
    return select_experts(scores, "token", THRESHOLD)


def drawn(bench: Bench, task: Task, seed: int) -> Selection:
    """As many experts of each layer, at random."""
    generator = random.Random(seed)
    return {
        layer: tuple(generator.sample(range(EXPERTS), len(chosen)))
        for layer, chosen in selected(bench, task, seed).items()
    }


def every(bench: Bench, task: Task, seed: int) -> Selection:
    """All of them."""
    return dict.fromkeys(selected(bench, task, seed), tuple(range(EXPERTS)))


def share(selection: Selection) -> float:
    """The share of the experts that is selected."""
    return sum(map(len, selection.values())) / (EXPERTS * len(selection))


def _tuned(choice: Callable[[Bench, Task, int], Selection] | None) -> Arm:
    def arm(bench: Bench, task: Task, seed: int, rate: float) -> Any:
        from doyen_modeling.methods import Experts, MethodPart, Router, attach

        # A model that a trainer had in its hands has its forward replaced, which a deep copy would share.
        model = _upcycled(bench)
        model.load_state_dict(mixture(bench).state_dict())
        part: MethodPart = Experts(experts=choice(bench, task, seed)) if choice else Router()
        model = attach(model, part)
        trainer = bench.train(model, task.train, steps=STEPS, seed=seed, learning_rate=rate)
        model.optimizer_bytes = moment_bytes(trainer.optimizer)
        return model

    return arm


def moment_bytes(optimizer: Any) -> int:
    """Bytes of the optimizer's state, its counters of steps left out."""
    return sum(
        value.numel() * value.element_size()
        for state in optimizer.state.values()
        for key, value in state.items()
        if key != "step"
    )


def _upcycled(bench: Bench) -> Any:
    from doyen_modeling.moe.upcycle import upcycle

    return upcycle(bench.model(0), EXPERTS, TOP_K, seed=0)


ARMS: Final[dict[str, Arm]] = {
    "selected experts": _tuned(selected),
    "random experts": _tuned(drawn),
    "all experts": _tuned(every),
    "routers alone": _tuned(None),
}
TRIAL = Trial(
    name="experts",
    title="selected experts against as many random ones, nothing else tuned",
    rows=(36, 37, 38, 39, 40),
    metric="held-out loss, nats",
    higher_is_better=False,
    run=run,
    claim="ESFT (Wang et al. 2024): tuning the 5 to 15 % of experts that a task uses reaches full tuning",
    also=(("all experts", TECHNIQUE), ("routers alone", TECHNIQUE)),
    arms={name: ARMS[name] for name in ("random experts", "routers alone")},
)
