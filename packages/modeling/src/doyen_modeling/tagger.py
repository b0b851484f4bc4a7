"""A span tagger and a sentence classifier on one encoder.

Encoder states feed two readers: a BiLSTM with one CRF for each label layer (layers let labels overlap), and
sentence-level heads (one logit for each label and sentence). Shapes: B windows, S subwords, W words, N sentences of
the batch, L layers, K tags, D width, C labels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from doyen_modeling.crf import LayeredCRF
from doyen_modeling.encoder import ENCODER_WIDTH, load_encoder


@dataclass(frozen=True)
class TaggerConfig:
    """``layers``: the labels of each layer; a label's index in ``labels`` is its sentence head."""

    labels: tuple[str, ...]
    layers: tuple[tuple[str, ...], ...]
    lstm_width: int = 128
    dropout: float = 0.1
    window_subwords: int = 384

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TaggerConfig:
        return cls(
            labels=tuple(data["labels"]),
            layers=tuple(tuple(layer) for layer in data["layers"]),
            lstm_width=int(data["lstm_width"]),
            dropout=float(data["dropout"]),
            window_subwords=int(data["window_subwords"]),
        )


class Batch(NamedTuple):
    """Windows as the model reads them.

    ``word_first_BW`` is the subword position of each word's first piece; ``sentence_of_BS`` the index (from 1 over
    the whole batch, 0 for none) of the sentence that a subword belongs to.
    """

    ids_BS: Tensor
    attend_BS: Tensor
    word_first_BW: Tensor
    word_mask_BW: Tensor
    sentence_of_BS: Tensor
    n_sentences: int


class TaggerOutput(NamedTuple):
    """``sentence_NC``: a logit for each sentence and label. ``emissions_BWLK``: tag scores of each word and layer."""

    sentence_NC: Tensor
    emissions_BWLK: Tensor


def tag_constraints(layers: tuple[tuple[str, ...], ...]) -> tuple[Tensor, Tensor]:
    """Allowed transitions and starts of the BIO scheme: tag 0 is O, 1 + 2i is B of the layer's label i, 2 + 2i is I."""
    K = 1 + 2 * max(len(layer) for layer in layers)
    allowed_LKK = torch.zeros(len(layers), K, K, dtype=torch.bool)
    start_LK = torch.zeros(len(layers), K, dtype=torch.bool)
    for index, layer in enumerate(layers):
        used = 1 + 2 * len(layer)
        allowed_LKK[index, :used, 0] = True
        allowed_LKK[index, :used, 1:used:2] = True
        for inside in range(2, used, 2):
            allowed_LKK[index, [inside - 1, inside], inside] = True
        # A window may begin inside a span that runs on from the one before, so an inside tag may come first.
        start_LK[index, :used] = True
    return allowed_LKK, start_LK


class SpanTagger(nn.Module):
    """Encoder, BiLSTM-CRF over several label layers, and sentence heads."""

    def __init__(self, config: TaggerConfig, encoder: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder if encoder is not None else load_encoder()
        allowed_LKK, start_LK = tag_constraints(config.layers)
        self.crf = LayeredCRF(allowed_LKK, start_LK)
        self.dropout = nn.Dropout(config.dropout)
        # The encoder's states are small (deviation 0.2): scaled to 1, the heads learn from the first steps.
        self.scale = nn.LayerNorm(ENCODER_WIDTH)
        self.lstm = nn.LSTM(ENCODER_WIDTH, config.lstm_width, batch_first=True, bidirectional=True)
        self.emission = nn.Linear(2 * config.lstm_width, allowed_LKK.shape[0] * allowed_LKK.shape[1])
        # Nearly all words are outside any span: starting there keeps the first CRF losses, and gradients, small.
        with torch.no_grad():
            self.emission.weight.mul_(0.1)
            self.emission.bias.zero_().unflatten(0, allowed_LKK.shape[:2])[:, 0] = 6.0
        # Mean and maximum of a sentence's states: the mean carries its topic, the maximum a single telling word.
        self.sentence = nn.Sequential(
            nn.Linear(2 * ENCODER_WIDTH, ENCODER_WIDTH), nn.GELU(), nn.Dropout(config.dropout),
            nn.Linear(ENCODER_WIDTH, len(config.labels)),
        )  # fmt: skip

    def forward(self, batch: Batch) -> TaggerOutput:
        states_BSD = self.encoder(input_ids=batch.ids_BS, attention_mask=batch.attend_BS).last_hidden_state
        states_BSD = self.dropout(self.scale(states_BSD))
        return TaggerOutput(self._sentences(states_BSD, batch), self._emissions(states_BSD, batch))

    def _sentences(self, states_BSD: Tensor, batch: Batch) -> Tensor:
        width = states_BSD.shape[-1]
        index = batch.sentence_of_BS.reshape(-1, 1)
        flat = states_BSD.reshape(-1, width)
        size = (batch.n_sentences + 1, width)
        ones = torch.ones_like(index, dtype=flat.dtype)
        counts = flat.new_zeros(size[0], 1).index_add(0, index[:, 0], ones)
        mean = flat.new_zeros(size).index_add(0, index[:, 0], flat) / counts.clamp_min(1)
        top = flat.new_full(size, -1e4).scatter_reduce(0, index.expand(-1, width), flat, "amax")
        return self.sentence(torch.cat([mean, top], dim=-1)[1:])

    def _emissions(self, states_BSD: Tensor, batch: Batch) -> Tensor:
        words_BWD = states_BSD.gather(1, batch.word_first_BW[..., None].expand(-1, -1, states_BSD.shape[-1]))
        # Lengths differ little inside a batch; the mask keeps padding out of the CRF.
        hidden_BWD, _ = self.lstm(words_BWD)
        L, K = self.crf.start_LK.shape
        return self.emission(self.dropout(hidden_BWD)).unflatten(-1, (L, K)).float()

    def shipped_state(self) -> dict[str, Tensor]:
        """The tuned tensors in fp16: all but the frozen embedding tables, which the pinned wheel holds."""
        return {
            name: tensor.detach().to(torch.float16).contiguous()
            for name, tensor in self.state_dict().items()
            if not name.startswith("encoder.embeddings.")
        }

    def load_shipped(self, state: dict[str, Tensor]) -> None:
        """Load ``shipped_state`` tensors; a missing or unexpected one raises ValueError."""
        expected = {name for name in self.state_dict() if not name.startswith("encoder.embeddings.")}
        if set(state) != expected:
            wrong = sorted(expected ^ set(state))[:3]
            raise ValueError(f"{len(expected ^ set(state))} tensors missing or unexpected, such as {wrong}")
        self.load_state_dict({name: tensor.float() for name, tensor in state.items()}, strict=False)
