"""The attack on the embeddings: bounds, what it touches, and what training on it does."""

from __future__ import annotations

import pytest
import torch
from objectives_fixtures import examples, run, tiny_model
from torch.nn.functional import cross_entropy

from doyen_training.losses.pgd import Pgd, attack, embed, logits_at

ROWS = examples(4)


def test_the_attack_raises_the_loss_within_its_bounds_and_touches_no_gradient() -> None:
    model = tiny_model()
    forward = run(model, ROWS, [])
    embeds_BTD, rms = embed(forward)
    assert rms == pytest.approx(float(model.get_input_embeddings().weight.square().mean().sqrt()))
    values = []
    for steps in (1, 3, 8):
        delta_BTD = attack(forward, embeds_BTD.detach(), 0.5 * rms, steps, 0.3)
        assert float(delta_BTD.abs().max()) <= 0.5 * rms + 1e-7
        values.append(float(cross_entropy(logits_at(forward, embeds_BTD + delta_BTD), forward.labels_N)))
    clean = float(cross_entropy(forward.logits_NV, forward.labels_N))
    assert clean < values[0] < values[1] < values[2]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_without_a_disturbance_it_is_the_plain_pass() -> None:
    forward = run(tiny_model(), ROWS, [])
    torch.testing.assert_close(logits_at(forward, embed(forward)[0]), forward.logits_NV)


def test_the_attack_repeats() -> None:
    model = tiny_model()
    term = Pgd(steps=2)
    first, second = (float(term.loss(run(model, ROWS, []), 7)) for _ in range(2))
    assert first == second
    assert term.metrics()["gain"] > 0
    assert term.metrics()["gain"] == 0


def test_training_on_it_lowers_the_loss_under_attack() -> None:
    model = tiny_model()
    term = Pgd(epsilon=0.5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(5):
        forward = run(model, ROWS, [])
        loss = term.loss(forward, len(forward.labels_N))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
