"""Decoders, training, link prediction and the file form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.nn import GCNConv
from torch_geometric.nn.kge import DistMult, RotatE

from doyen_graph.evaluation import figures, filtered_ranks
from doyen_graph.models import Decoder, Model, SymmetricGCNConv, adjacency
from doyen_graph.store import load, save
from doyen_graph.training import Plan, train
from doyen_graph.triples import Triples, split
from doyen_schemas import DoyenError

DECODERS = ["distmult", "rotate"]


def triples(facts: list[tuple[int, int, int]], entities: int, relations: int) -> Triples:
    h, r, t = np.array(facts, np.int64).reshape(-1, 3).T
    names = tuple(f"e{n}" for n in range(entities))
    return Triples(names, tuple(f"r{n}" for n in range(relations)), h, r, t, np.ones(len(h), np.float32))


def planted() -> Triples:
    """Members of blocks 0, 1, 2 point at half of those of blocks 3, 4, 5 by relation 0, and back by relation 1."""
    rng = np.random.default_rng(0)
    forth = [
        (b * 20 + i, 0, (b + 3) * 20 + j)
        for b in range(3) for i in range(20) for j in range(20) if rng.random() < 0.5
    ]  # fmt: skip
    return triples(forth + [(t, 1, h) for h, _, t in forth], 120, 2)


def test_distmult_is_that_of_torch_geometric() -> None:
    reference = DistMult(5, 2, 8)
    ours = Decoder("distmult", 2, 8)
    ours.table.data = reference.rel_emb.weight.data
    x = reference.node_emb.weight
    h, r, t = torch.tensor([0, 3, 2]), torch.tensor([0, 1, 1]), torch.tensor([1, 4, 2])
    found = ours.match(ours.project(x[h], r, reverse=False), x[t][:, None])[:, 0]
    back = ours.match(ours.project(x[t], r, reverse=True), x[h][:, None])[:, 0]
    torch.testing.assert_close(found, reference(h, r, t))
    torch.testing.assert_close(back, found)


def test_rotate_is_that_of_torch_geometric() -> None:
    reference = RotatE(5, 2, 4, margin=6.0)
    ours = Decoder("rotate", 2, 8)
    ours.table.data = reference.rel_emb.weight.data
    x = torch.cat([reference.node_emb.weight, reference.node_emb_im.weight], 1)
    h, r, t = torch.tensor([0, 3, 2]), torch.tensor([0, 1, 1]), torch.tensor([1, 4, 0])
    found = ours.match(ours.project(x[h], r, reverse=False), x[t][:, None])[:, 0]
    back = ours.match(ours.project(x[t], r, reverse=True), x[h][:, None])[:, 0]
    # torch-geometric takes one norm over all complex numbers; the paper, and we, sum their lengths.
    parts = ours.project(x[h], r, reverse=False) - x[t]
    norm = 6.0 - parts.norm(dim=1)
    torch.testing.assert_close(norm, reference(h, r, t))
    lengths = torch.complex(*parts.chunk(2, 1)).abs().sum(1)
    torch.testing.assert_close(found, 6.0 - lengths)
    torch.testing.assert_close(back, found)


@pytest.mark.parametrize("decoder", DECODERS)
def test_candidates_of_all_facts_score_as_those_of_each(decoder: str) -> None:
    model = Decoder(decoder, 2, 8)  # type: ignore[arg-type]
    q, c = torch.randn(3, 8), torch.randn(5, 8)
    torch.testing.assert_close(model.match(q, c), model.match(q, c.expand(3, 5, 8)))


@pytest.mark.parametrize("decoder", DECODERS)
def test_filtered_ranks_equal_a_brute_force_count(decoder: str) -> None:
    facts = planted()
    known, test = split(facts, 40, 0)
    model = Model("none", decoder, known, 8, seed=3)  # type: ignore[arg-type]
    ranks = filtered_ranks(model, test, [known])
    true = set(zip(facts.head_E.tolist(), facts.relation_E.tolist(), facts.tail_E.tolist(), strict=True))
    x = model.encoder()

    def score(h: int, r: int, t: int, reverse: bool) -> float:
        given, other = (t, h) if reverse else (h, t)
        projected = model.decoder.project(x[[given]], torch.tensor([r]), reverse=reverse)
        return float(model.decoder.match(projected, x)[0, other].detach())

    for at in range(0, len(test), 7):
        h, r, t = (int(part[at]) for part in (test.head_E, test.relation_E, test.tail_E))
        tails = [e for e in range(120) if (h, r, e) not in true]
        heads = [e for e in range(120) if (e, r, t) not in true]
        own, back = score(h, r, t, False), score(h, r, t, True)
        assert ranks[0, at] == 1 + sum(score(h, r, e, False) > own for e in tails)
        assert ranks[1, at] == 1 + sum(score(e, r, t, True) > back for e in heads)


def test_equal_scores_share_the_mean_of_their_places() -> None:
    facts = triples([(0, 0, 1), (0, 0, 2)], 6, 1)
    model = Model("none", "distmult", facts, 4)
    model.encoder.table.data.fill_(0.0)
    # Tails: of 6 entities one other is true, so 5 stand level: mean place 3. Heads: all 6 stand level.
    assert filtered_ranks(model, facts, []).tolist() == [[3.0, 3.0], [3.5, 3.5]]


def test_figures_of_known_ranks() -> None:
    found = figures(np.array([[1.0, 2.0], [4.0, 20.0]]))
    assert found == pytest.approx(
        {"mrr": (1 + 0.5 + 0.25 + 0.05) / 4, "hits1": 0.25, "hits3": 0.5, "hits10": 0.75}
    )


def test_adjacency_is_symmetric_and_scaled_by_the_degrees() -> None:
    found = adjacency(triples([(0, 0, 1), (1, 0, 2)], 3, 1)).to_dense()
    # With loops the degrees are 2, 3, 2.
    a, b, root = 1 / 2, 1 / 3, 1 / 6**0.5
    expected = torch.tensor([[a, root, 0], [root, b, root], [0, root, a]])
    torch.testing.assert_close(found, expected)


def test_graph_convolution_is_that_of_torch_geometric() -> None:
    facts = triples([(0, 0, 1), (1, 0, 2), (3, 1, 0)], 5, 2)
    ours, reference = SymmetricGCNConv(4, 3, normalize=False), GCNConv(4, 3)
    reference.load_state_dict(ours.state_dict())
    edges = torch.tensor([[0, 1, 3, 1, 2, 0], [1, 2, 0, 0, 1, 3]])
    x, same = (torch.arange(20.0).reshape(5, 4).requires_grad_() for _ in range(2))
    found, expected = ours(x, adjacency(facts)), reference(same, edges)
    torch.testing.assert_close(found, expected)
    weights = torch.arange(15.0).reshape(5, 3)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad, same.grad)


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [("none", "distmult"), ("none", "rotate"), ("gcn", "distmult"), ("rgcn", "distmult")],
)
def test_a_planted_graph_is_learned(encoder: str, decoder: str) -> None:
    known, test = split(planted(), 40, 0)
    steps = 40 if decoder == "distmult" else 120
    plan = Plan(encoder, decoder, size=8, steps=steps, batch=512, negatives=8, learning_rate=0.03)  # type: ignore[arg-type]
    untrained = filtered_ranks(Model(plan.encoder, plan.decoder, known, 8), test, [known])
    found = filtered_ranks(train(known, plan), test, [known])
    # Half of a block's 20 members are no facts: about ten places that the block cannot tell apart, of 120.
    assert np.median(untrained) > 35
    assert np.median(found) < 25


@pytest.mark.parametrize("encoder", ["none", "gcn", "rgcn"])
def test_the_same_seed_gives_the_same_bits(encoder: str) -> None:
    known, _ = split(planted(), 40, 0)
    plan = Plan(encoder, size=8, steps=5, batch=64, negatives=4, seed=7)  # type: ignore[arg-type]
    first, again = (train(known, plan).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    other = train(known, Plan(encoder, size=8, steps=5, batch=64, negatives=4, seed=8))  # type: ignore[arg-type]
    assert not torch.equal(first["encoder.table"], other.state_dict()["encoder.table"])


def test_embeddings_come_back_from_disk(tmp_path: Path) -> None:
    known, test = split(planted(), 40, 0)
    plan = Plan("rgcn", size=8, steps=3, batch=64, negatives=4)
    model = train(known, plan)
    save(model, known, plan, tmp_path)
    again, read = load(tmp_path, known)
    assert read == plan
    assert np.array_equal(filtered_ranks(again, test, [known]), filtered_ranks(model, test, [known]))


def test_damaged_or_foreign_embeddings_are_refused(tmp_path: Path) -> None:
    known, _ = split(planted(), 40, 0)
    with pytest.raises(DoyenError, match=r"GRA-002.*cannot be read"):
        load(tmp_path, known)
    plan = Plan(size=8, steps=1, batch=8, negatives=2)
    save(train(known, plan), known, plan, tmp_path)
    other = Triples(tuple(f"x{n}" for n in range(120)), known.relations, *(
        (known.head_E, known.relation_E, known.tail_E, known.weight_E)))  # fmt: skip
    with pytest.raises(DoyenError, match=r"GRA-002.*another graph"):
        load(tmp_path, other)
    (tmp_path / "graph.safetensors").write_bytes(b"no weights")
    with pytest.raises(DoyenError, match=r"GRA-002.*cannot be read"):
        load(tmp_path, known)
