"""The layered CRF against brute force over every path, and the tagger's shapes."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from doyen_modeling.crf import LayeredCRF
from doyen_modeling.tagger import Batch, SpanTagger, TaggerConfig, tag_constraints

LAYERS = (("a",), ("b", "c"))


def _crf(seed: int) -> LayeredCRF:
    torch.manual_seed(seed)
    crf = LayeredCRF(*tag_constraints(LAYERS))
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def _paths(crf: LayeredCRF, layer: int, length: int) -> list[tuple[int, ...]]:
    allowed, start = crf.allowed_LKK[layer], crf.allowed_start_LK[layer]
    return [
        path
        for path in product(range(start.shape[0]), repeat=length)
        if start[path[0]] and all(allowed[i, j] for i, j in pairwise(path))
    ]


@torch.no_grad()
def _score(crf: LayeredCRF, emissions: torch.Tensor, layer: int, path: tuple[int, ...]) -> float:
    total = crf.start_LK[layer, path[0]] + crf.end_LK[layer, path[-1]]
    total = total + sum(emissions[t, layer, tag] for t, tag in enumerate(path))
    total = total + sum(crf.transitions_LKK[layer, i, j] for i, j in pairwise(path))
    return float(total)


@pytest.mark.parametrize("seed", range(3))
def test_loss_decode_and_marginals_equal_brute_force(seed: int) -> None:
    crf = _crf(seed)
    lengths = [4, 2]
    emissions = torch.randn(2, 4, 2, 5)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=torch.bool)
    tags = torch.zeros(2, 4, 2, dtype=torch.long)
    tags[0, :, 1] = torch.tensor([0, 3, 4, 0])
    tags[1, :2, 0] = torch.tensor([1, 2])
    expected = 0.0
    best = crf.decode(emissions, mask)
    marginals = crf.marginals(emissions, mask)
    for b, length in enumerate(lengths):
        for layer in range(2):
            scored = {p: _score(crf, emissions[b], layer, p) for p in _paths(crf, layer, length)}
            log_z = torch.logsumexp(torch.tensor(list(scored.values())), 0)
            gold = tuple(tags[b, :length, layer].tolist())
            expected += float(log_z) - scored[gold]
            assert tuple(best[b, :length, layer].tolist()) == max(scored, key=scored.__getitem__)
            for t in range(length):
                for tag in range(5):
                    p = sum((s - log_z).exp() for path, s in scored.items() if path[t] == tag)
                    assert float(marginals[b, t, layer, tag]) == pytest.approx(float(p), abs=1e-4)
    loss = crf.loss(emissions, tags, mask)
    assert loss.item() == pytest.approx(expected / int(mask.sum()), rel=1e-4)


def test_inside_follows_only_its_own_begin() -> None:
    allowed, start = tag_constraints(LAYERS)
    assert allowed[1, 1, 2]
    assert allowed[1, 2, 2]
    assert not allowed[1, 1, 4]
    assert not allowed[1, 0, 2]
    # The smaller layer never enters the tags that pad it.
    assert not allowed[0, :, 3:].any()
    assert not start[0, 3:].any()


class _Encoder(torch.nn.Module):
    """Deterministic states in place of the 22 M parameters."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor):
        states = torch.nn.functional.one_hot(input_ids % 384, 384).float() * attention_mask[..., None]
        return type("Output", (), {"last_hidden_state": states})


def _batch() -> Batch:
    ids = torch.tensor([[101, 7, 8, 9, 102], [101, 7, 8, 102, 0]])
    return Batch(
        ids, (ids > 0).long(), torch.tensor([[1, 2, 3], [1, 2, 0]]), torch.tensor([[1, 1, 1], [1, 1, 0]]).bool(),
        torch.tensor([[0, 1, 1, 2, 0], [0, 3, 3, 0, 0]]), 3,
    )  # fmt: skip


def test_tagger_shapes_and_shipped_state() -> None:
    torch.manual_seed(0)
    config = TaggerConfig(labels=("a", "b", "c"), layers=LAYERS, lstm_width=8)
    tagger = SpanTagger(config, _Encoder()).eval()
    output = tagger(_batch())
    assert output.sentence_NC.shape == (3, 3)
    assert output.emissions_BWLK.shape == (2, 3, 2, 5)
    # The first and third sentence hold the same words, so they are scored alike whatever the window.
    assert torch.allclose(output.sentence_NC[0], output.sentence_NC[2])
    other = SpanTagger(TaggerConfig.from_dict(config.to_dict()), _Encoder()).eval()
    other.load_shipped(tagger.shipped_state())
    assert torch.allclose(other(_batch()).sentence_NC, output.sentence_NC, atol=1e-2)
    state = tagger.shipped_state()
    state.pop("emission.bias")
    with pytest.raises(ValueError, match="1 tensors missing or unexpected"):
        other.load_shipped(state)
