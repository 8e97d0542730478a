"""Best assignment between a set of predicted embeddings and a set of references (arXiv 2604.03219, student loss)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


def cosine_costs(predicted: Tensor, reference: Tensor) -> Tensor:
    """1 - cosine of every pair: unit vectors [B, N, D], [B, S, D] -> [B, N, S]."""
    return 1 - torch.einsum("bnd,bsd->bns", predicted, reference)


def best_assignment(costs: Tensor) -> tuple[Tensor, Tensor]:
    """Exact minimum over all one-to-one assignments, on the costs' own device, without a loop over the batch.

    costs: [B, N, N]. Returns: mean cost of the best assignment [B], and int64 [B, N]: for every reference the
    predicted embedding assigned to it.
    """
    size = costs.shape[-1]
    assignments = torch.tensor(list(itertools.permutations(range(size))), device=costs.device)  # [P, N]
    totals = costs[:, assignments, torch.arange(size, device=costs.device)].mean(-1)  # [B, P]
    best, which = totals.min(dim=1)
    return best, assignments[which]


def set_cosine_loss(predicted: Tensor, reference: Tensor) -> Tensor:
    """Mean over the batch of the best assignment's mean 1 - cosine: unit vectors [B, N, D] twice -> scalar."""
    return best_assignment(cosine_costs(predicted, reference))[0].mean()


def match(predicted: Tensor, reference: Tensor) -> Tensor:
    """The predicted embedding of each reference under the best assignment: [B, N, D] twice -> [B, N, D]."""
    chosen = best_assignment(cosine_costs(predicted, reference))[1]  # [B, N]
    return predicted.gather(1, chosen[..., None].expand_as(predicted))
