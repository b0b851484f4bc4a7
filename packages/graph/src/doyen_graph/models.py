"""Embeddings of a graph: an encoder gives every entity a vector, a decoder scores facts.

Encoders: none (a table), GCN (Kipf & Welling 2017), R-GCN with basis decomposition (Schlichtkrull et al. 2018).
Decoders: DistMult (Yang et al. 2015), RotatE (Sun et al. 2019).

Shape legend: N entities, R relations, H embedding size, B facts, K candidates of a fact, E edges.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv, RGCNConv

from doyen_graph.triples import Triples

EncoderName = Literal["none", "gcn", "rgcn"]
DecoderName = Literal["distmult", "rotate"]
_MARGIN = 6.0
_BASES = 4


def adjacency(triples: Triples) -> Tensor:
    """Weighted edges of both directions with self-loops, scaled by the degrees (GCN), (N, N) in CSR form."""
    size = len(triples.entities)
    loops = np.arange(size)
    row = np.concatenate([triples.head_E, triples.tail_E, loops])
    column = np.concatenate([triples.tail_E, triples.head_E, loops])
    weight = np.concatenate([triples.weight_E, triples.weight_E, np.ones(size, np.float32)])
    degree = np.bincount(row, weight, minlength=size)
    weight = (weight / np.sqrt(degree[row] * degree[column])).astype(np.float32)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Ss]parse.*")
        edges = torch.from_numpy(np.stack([row, column]))
        matrix = torch.sparse_coo_tensor(edges, torch.from_numpy(weight), (size, size), check_invariants=True)
        return matrix.coalesce().to_sparse_csr()


class _SymmetricProduct(torch.autograd.Function):
    """A sparse symmetric matrix times a dense one; torch's own backward pass transposes the matrix each time."""

    @staticmethod
    def forward(ctx: Any, matrix_NN: Tensor, x_NH: Tensor) -> Tensor:
        ctx.matrix = matrix_NN
        return matrix_NN @ x_NH

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, ctx.matrix @ grads[0]


class SymmetricGCNConv(GCNConv):
    """``GCNConv`` over a symmetric scaled adjacency in CSR form."""

    def message_and_aggregate(self, adj_t: Tensor, x: Tensor) -> Tensor:
        """(N, H)."""
        return _SymmetricProduct.apply(adj_t, x)


class Encoder(nn.Module):
    """A table of entity vectors, passed through ``layers`` graph convolutions where there are any, (N, H)."""

    def __init__(self, name: EncoderName, triples: Triples, size: int, layers: int = 2) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(len(triples.entities), size) / math.sqrt(size))
        self.name = name
        self.convolutions = nn.ModuleList()
        if name == "gcn":
            # The adjacency is scaled once; a layer is one sparse product.
            self.convolutions.extend(SymmetricGCNConv(size, size, normalize=False) for _ in range(layers))
            self.register_buffer("adjacency", adjacency(triples), persistent=False)
        elif name == "rgcn":
            relations = 2 * len(triples.relations)
            self.convolutions.extend(
                RGCNConv(size, size, relations, num_bases=min(_BASES, relations)) for _ in range(layers)
            )
            both = [np.stack([triples.head_E, triples.tail_E]), np.stack([triples.tail_E, triples.head_E])]
            kinds = [triples.relation_E, triples.relation_E + len(triples.relations)]
            self.register_buffer("edges", torch.from_numpy(np.concatenate(both, 1)), persistent=False)
            self.register_buffer("kinds", torch.from_numpy(np.concatenate(kinds)), persistent=False)

    def forward(self) -> Tensor:
        """Vectors of all entities; each layer adds to what it got, so that the table is not smoothed away."""
        x_NH = self.table
        for at, convolution in enumerate(self.convolutions):
            given = nn.functional.silu(x_NH) if at else x_NH
            if self.name == "gcn":
                x_NH = x_NH + convolution(given, self.adjacency)
            else:
                x_NH = x_NH + convolution(given, self.edges, self.kinds)
        return x_NH


class Decoder(nn.Module):
    """Scores of facts; higher is more plausible. RotatE reads a vector as H/2 complex numbers, reals first."""

    def __init__(self, name: DecoderName, relations: int, size: int) -> None:
        super().__init__()
        self.name = name
        wide = size if name == "distmult" else size // 2
        self.table = nn.Parameter(torch.empty(relations, wide))
        if name == "distmult":
            nn.init.normal_(self.table, 1.0, 0.1)
        else:
            nn.init.uniform_(self.table, 0, 2 * math.pi)

    def project(self, x_BH: Tensor, relation_B: Tensor, *, reverse: bool) -> Tensor:
        """What the other end should be like: heads moved along the relation, or tails moved back, (B, H)."""
        r = self.table[relation_B]
        if self.name == "distmult":
            return x_BH * r
        real, imaginary = x_BH.chunk(2, -1)
        cos, sin = torch.cos(r), torch.sin(r) * (-1 if reverse else 1)
        return torch.cat([real * cos - imaginary * sin, real * sin + imaginary * cos], -1)

    def match(self, projected_BH: Tensor, other_BKH: Tensor) -> Tensor:
        """Score of each candidate for the other end, (B, K); candidates are (B, K, H), or (K, H) for all facts."""
        if self.name == "distmult":
            if other_BKH.dim() == 2:
                return projected_BH @ other_BKH.T
            return torch.einsum("bh,bkh->bk", projected_BH, other_BKH)
        real, imaginary = (projected_BH[:, None] - other_BKH).chunk(2, -1)
        # The small number keeps the gradient finite where both are equal.
        return _MARGIN - (real.square() + imaginary.square() + 1e-12).sqrt().sum(-1)


class Model(nn.Module):
    """Encoder and decoder, made from ``seed`` alone. ``triples`` are those that messages pass along."""

    def __init__(
        self, encoder: EncoderName, decoder: DecoderName, triples: Triples, size: int = 64, seed: int = 0
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = Encoder(encoder, triples, size)
            self.decoder = Decoder(decoder, len(triples.relations), size)
