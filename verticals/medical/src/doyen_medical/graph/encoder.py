"""Train the set encoder: a patient's findings on one side, diseases on the other, both from one graph convolution.

The findings with all their ancestors are pooled by learned attention that starts at their information content;
the score is the cosine of the pooled vector and the disease's. The loss is the cross entropy of the true disease
among all candidates (a contrastive loss with every other disease as a negative; SHEPHERD, Alsentzer et al. 2025).

Shape legend: N entities of the graph, F findings (its first entities), D diseases, C candidates, B patients, H size.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from doyen_graph.models import Encoder
from doyen_medical.cases import Case, Patient, capped
from doyen_medical.graph.build import facts
from doyen_medical.graph.score import Embeddings
from doyen_medical.graph.simulate import Simulator
from doyen_medical.rank.library import Library


@dataclass(frozen=True)
class Plan:
    """How the encoder is trained; ``simulated`` and ``published`` patients make a step's batch.

    ``drop``: share of a published patient's findings that a step leaves out.
    """

    size: int = 64
    steps: int = 200
    simulated: int = 384
    published: int = 128
    drop: float = 0.2
    learning_rate: float = 0.01
    weight_decay: float = 1e-3
    seed: int = 0


class _Network(nn.Module):
    def __init__(self, library: Library, plan: Plan) -> None:
        super().__init__()
        self.encoder = Encoder("gcn", facts(library, derived=True), plan.size)
        self.attention = nn.Linear(plan.size, 1)
        nn.init.zeros_(self.attention.weight)
        nn.init.zeros_(self.attention.bias)
        self.project = nn.Linear(plan.size, plan.size, bias=False)
        nn.init.eye_(self.project.weight)
        self.log_scale = nn.Parameter(torch.tensor(3.0))

    def forward(self, content_F: Tensor, diseases: int) -> tuple[Tensor, Tensor]:
        """Weighted vectors of the findings (F, H) and unit vectors of the diseases (D, H)."""
        x_NH = self.encoder()
        findings = len(content_F)
        x_FH, x_DH = x_NH[:findings], x_NH[findings : findings + diseases]
        weight_F1 = content_F[:, None] * torch.exp(self.attention(x_FH).clamp(-4, 4))
        return weight_F1 * self.project(x_FH), nn.functional.normalize(x_DH, dim=1)


def train(library: Library, plan: Plan, say: Callable[[int, float], None] | None = None) -> Embeddings:
    """Embeddings from the library's annotations (simulated patients) and its published patients.

    The same library and plan give the same bits on the same machine.
    """
    rng = np.random.default_rng(plan.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        network = _Network(library, plan)
    ontology = library.knowledge.ontology
    terms = np.flatnonzero(ontology.phenotypic)
    place_T = np.full(len(ontology.ids), -1)
    place_T[terms] = np.arange(len(terms))
    content_F = torch.from_numpy(np.maximum(library.content_T[terms], 0).astype(np.float32))
    candidates = np.flatnonzero(library.candidate_D)
    truth_D = np.full(len(library.codes), -1)
    truth_D[candidates] = np.arange(len(candidates))
    simulator = Simulator(library)
    cases = capped(library.cases)
    chance_C = _chances(cases)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.learning_rate, total_steps=plan.steps)
    for step in range(plan.steps):
        columns = rng.choice(simulator.columns, plan.simulated)
        patients = [simulator.patient(int(column), rng) for column in columns]
        drawn = rng.choice(len(cases), plan.published, p=chance_C).tolist() if cases else []
        patients += [_thinned(cases[at].patient, plan.drop, rng) for at in drawn]
        truth = [*columns, *(library.number[cases[at].disease] for at in drawn)]
        pool_BF = _pool(library, place_T, patients, len(terms))
        weighted_FH, x_DH = network(content_F, len(library.codes))
        q_BH = nn.functional.normalize(torch.sparse.mm(pool_BF, weighted_FH), dim=1)
        logits_BC = network.log_scale.exp().clamp(max=100) * (q_BH @ x_DH[torch.from_numpy(candidates)].T)
        loss = nn.functional.cross_entropy(logits_BC, torch.from_numpy(truth_D[truth]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if say:
            say(step, float(loss.detach()))
    with torch.no_grad():
        weighted_FH, x_DH = network(content_F, len(library.codes))
    return Embeddings(
        terms=tuple(ontology.ids[term] for term in terms),
        diseases=tuple(library.codes[at] for at in candidates),
        term_FH=weighted_FH.numpy().astype(np.float16),
        disease_DH=x_DH.numpy()[candidates].astype(np.float16),
        trained=stamp(library, plan),
    )


def stamp(library: Library, plan: Plan) -> str:
    """What embeddings of this library and plan are trained with: knowledge, digest of rows and patients, plan."""
    digest = hashlib.sha256("\n".join(library.codes).encode())
    for rows in (library.disease_R, library.term_R, library.share_R):
        digest.update(np.ascontiguousarray(rows).tobytes())
    digest.update(repr(library.cases).encode())
    return f"{library.knowledge.version} {digest.hexdigest()[:16]} {json.dumps(asdict(plan))}"


def _chances(cases: Sequence[Case]) -> np.ndarray:
    """Cases of one disease and paper share their weight by the square root of their number."""
    count = Counter((case.disease, case.paper) for case in cases)
    weight = np.array([count[case.disease, case.paper] ** -0.5 for case in cases])
    return weight / weight.sum()


def _thinned(patient: Patient, drop: float, rng: np.random.Generator) -> Patient:
    kept = tuple(term for term in patient.terms if rng.random() >= drop)
    return replace(patient, terms=kept or patient.terms)


def _pool(library: Library, place_T: np.ndarray, patients: Sequence[Patient], findings: int) -> Tensor:
    """1 where a patient has the finding or a narrower one, (B, F) sparse."""
    ancestors = library.ancestors
    above = [place_T[np.unique(ancestors[list(patient.terms)].indices)] for patient in patients]
    rows = np.repeat(np.arange(len(above)), [len(own) for own in above])
    edges = torch.from_numpy(np.stack([rows, np.concatenate(above)]))
    return torch.sparse_coo_tensor(
        edges, torch.ones(edges.shape[1]), (len(patients), findings), check_invariants=True
    )
