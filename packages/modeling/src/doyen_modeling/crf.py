"""Linear-chain conditional random fields, several label layers at once (Lafferty et al. 2001; Huang et al. 2015).

Shapes: B sequences, T positions, L layers, K tags of the largest layer. Layers with fewer tags are padded with tags
that no path may take.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_FORBIDDEN = -1e4


class LayeredCRF(nn.Module):
    """One CRF for each of L label layers, computed together.

    Args:
        allowed_LKK: bool, ``[l, i, j]`` says whether tag j may follow tag i in layer l.
        allowed_start_LK: bool, whether a sequence may start with the tag.
    """

    allowed_LKK: Tensor
    allowed_start_LK: Tensor

    def __init__(self, allowed_LKK: Tensor, allowed_start_LK: Tensor) -> None:
        super().__init__()
        self.register_buffer("allowed_LKK", allowed_LKK, persistent=False)
        self.register_buffer("allowed_start_LK", allowed_start_LK, persistent=False)
        self.transitions_LKK = nn.Parameter(torch.zeros(allowed_LKK.shape))
        self.start_LK = nn.Parameter(torch.zeros(allowed_start_LK.shape))
        self.end_LK = nn.Parameter(torch.zeros(allowed_start_LK.shape))

    def _transitions(self) -> tuple[Tensor, Tensor]:
        return (
            self.transitions_LKK.masked_fill(~self.allowed_LKK, _FORBIDDEN),
            self.start_LK.masked_fill(~self.allowed_start_LK, _FORBIDDEN),
        )

    def loss(self, emissions_BTLK: Tensor, tags_BTL: Tensor, mask_BT: Tensor) -> Tensor:
        """Negative log-likelihood summed over layers and sequences, divided by the number of real positions."""
        log_z_BL = self._log_partition(emissions_BTLK, mask_BT)
        gold_BL = self._path_score(emissions_BTLK, tags_BTL, mask_BT)
        return (log_z_BL - gold_BL).sum() / mask_BT.sum()

    def _log_partition(self, emissions_BTLK: Tensor, mask_BT: Tensor) -> Tensor:
        transitions_LKK, start_LK = self._transitions()
        # exp-space with a running maximum: one small batched matrix product a position instead of a K x K logsumexp.
        weights_LKK = transitions_LKK.exp()
        alpha_BLK = start_LK + emissions_BTLK[:, 0]
        for t in range(1, emissions_BTLK.shape[1]):
            top_BL1 = alpha_BLK.amax(-1, keepdim=True)
            moved_BLK = torch.einsum("blk,lkj->blj", (alpha_BLK - top_BL1).exp(), weights_LKK)
            new_BLK = top_BL1 + moved_BLK.clamp_min(1e-30).log() + emissions_BTLK[:, t]
            alpha_BLK = torch.where(mask_BT[:, t, None, None], new_BLK, alpha_BLK)
        return torch.logsumexp(alpha_BLK + self.end_LK, dim=-1)

    def _path_score(self, emissions_BTLK: Tensor, tags_BTL: Tensor, mask_BT: Tensor) -> Tensor:
        transitions_LKK, start_LK = self._transitions()
        layers_L = torch.arange(tags_BTL.shape[2], device=tags_BTL.device)
        picked_BTL = emissions_BTLK.gather(-1, tags_BTL[..., None]).squeeze(-1)
        moves_BTL = transitions_LKK[layers_L, tags_BTL[:, :-1], tags_BTL[:, 1:]]
        score_BL = (picked_BTL * mask_BT[..., None]).sum(1) + (moves_BTL * mask_BT[:, 1:, None]).sum(1)
        last_B1L = (mask_BT.sum(1) - 1)[:, None, None].expand(-1, 1, tags_BTL.shape[2])
        last_BL = tags_BTL.gather(1, last_B1L).squeeze(1)
        return score_BL + start_LK[layers_L, tags_BTL[:, 0]] + self.end_LK[layers_L, last_BL]

    @torch.inference_mode()
    def decode(self, emissions_BTLK: Tensor, mask_BT: Tensor) -> Tensor:
        """The best tag sequence of each layer (Viterbi): ``tags_BTL``; positions outside the mask are 0."""
        transitions_LKK, start_LK = self._transitions()
        B, T, L, K = emissions_BTLK.shape
        score_BLK = start_LK + emissions_BTLK[:, 0]
        back: list[Tensor] = []
        for t in range(1, T):
            best_BLK, from_BLK = (score_BLK[..., None] + transitions_LKK).max(dim=2)
            real_B11 = mask_BT[:, t, None, None]
            back.append(torch.where(real_B11, from_BLK, torch.arange(K).expand(B, L, K)))
            score_BLK = torch.where(real_B11, best_BLK + emissions_BTLK[:, t], score_BLK)
        tag_BL = (score_BLK + self.end_LK).argmax(-1)
        tags = [tag_BL]
        for from_BLK in reversed(back):
            tag_BL = from_BLK.gather(-1, tag_BL[..., None]).squeeze(-1)
            tags.append(tag_BL)
        return torch.stack(tags[::-1], dim=1) * mask_BT[..., None]

    @torch.inference_mode()
    def marginals(self, emissions_BTLK: Tensor, mask_BT: Tensor) -> Tensor:
        """Posterior probability of each tag at each position (forward-backward): ``[B, T, L, K]``."""
        transitions_LKK, start_LK = self._transitions()
        weights_LKK = transitions_LKK.exp()
        T = emissions_BTLK.shape[1]
        forward = [start_LK + emissions_BTLK[:, 0]]
        for t in range(1, T):
            top = forward[-1].amax(-1, keepdim=True)
            moved = torch.einsum("blk,lkj->blj", (forward[-1] - top).exp(), weights_LKK)
            new = top + moved.clamp_min(1e-30).log() + emissions_BTLK[:, t]
            forward.append(torch.where(mask_BT[:, t, None, None], new, forward[-1]))
        backward = [self.end_LK.expand_as(forward[-1])]
        for t in range(T - 1, 0, -1):
            step = backward[-1] + emissions_BTLK[:, t]
            top = step.amax(-1, keepdim=True)
            moved = torch.einsum("blj,lkj->blk", (step - top).exp(), weights_LKK)
            new = top + moved.clamp_min(1e-30).log()
            backward.append(torch.where(mask_BT[:, t, None, None], new, backward[-1]))
        log_BTLK = torch.stack(forward, 1) + torch.stack(backward[::-1], 1)
        return torch.softmax(log_BTLK, dim=-1) * mask_BT[..., None, None]
