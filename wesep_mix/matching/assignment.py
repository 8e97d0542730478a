"""Best assignment between a set of predicted embeddings and a set of references (arXiv 2604.03219, student loss).

Each head is paired with a talker, one to one, as many as can be; heads or talkers that are left over go to dummies.

CRITERIA are the two ways in which `match` chooses an embedding for each talker. `assignment` takes the best for all
talkers of a mixture together, so that no two share one. `nearest` takes for each talker the embedding of largest
cosine, which may be another's as well (arXiv 2604.03219, section on extractors).

B batch, N heads (predictions), S talkers (references), of which an item may have fewer, D embedding size, M the larger
of N and S.
"""

from __future__ import annotations

import functools
import itertools

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

CRITERIA = ("assignment", "nearest")
MAX_PERMUTED = 5  # 120 orders; of six there are 720, and ever more


def cosine_costs(predicted: Tensor, reference: Tensor) -> Tensor:
    """1 - cosine of every pair, in float32 at least.

    Args:
        predicted: Unit vectors [B, N, D].
        reference: Unit vectors [B, S, D].

    Returns:
        Costs [B, N, S].
    """
    dtype = torch.promote_types(reference.dtype, torch.float32)
    with torch.autocast(predicted.device.type, enabled=False):  # which would round cosines to bf16
        return 1 - torch.einsum("bnd,bsd->bns", predicted.to(dtype), reference.to(dtype))


def set_loss(
    costs: Tensor, counts: Tensor | None = None, presence: Tensor | None = None, weight: float = 1.0
) -> Tensor:
    """Each item's smallest total cost over its number of pairs, mean over the batch.

    With presence a head pays weight * -log p for a talker and weight * -log (1 - p) for being left over. The assignment
    takes that into account, so it is the best for the whole of the loss.

    Args:
        costs: [B, N, S].
        counts: How many talkers each item has, int64 [B]; None where all have S.
        presence: Logits [B, N] of heads that say whether they speak for a talker, or None.
        weight: Of the presence's part of the loss.

    Returns:
        A scalar.
    """
    spare = None
    if presence is not None:
        costs = costs + weight * functional.softplus(-presence)[..., None]
        spare = weight * functional.softplus(presence)
    total, head = best_assignment(costs, counts, spare)
    return (total / (head >= 0).sum(1)).mean()


def match(
    predicted: Tensor, reference: Tensor, counts: Tensor | None = None, criterion: str = "assignment"
) -> tuple[Tensor, Tensor]:
    """The predicted embedding of each reference, by cosine.

    Args:
        predicted: Unit vectors [B, N, D].
        reference: Unit vectors [B, S, D].
        counts: How many references each item has, int64 [B]; None where all have S.
        criterion: One of CRITERIA.

    Returns:
        Embeddings [B, S, D], and bool [B, S]: which references got one; the others have zeros.

    Raises:
        ValueError: For another criterion.
    """
    if criterion not in CRITERIA:
        raise ValueError(f"matching: wanted {' or '.join(CRITERIA)}, found {criterion}")
    costs = cosine_costs(predicted, reference)
    head = nearest(costs, counts) if criterion == "nearest" else best_assignment(costs, counts)[1]  # [B, S]
    chosen = predicted.gather(1, head.clamp(min=0)[..., None].expand(-1, -1, predicted.shape[-1]))
    return chosen.masked_fill((head < 0)[..., None], 0), head >= 0


def nearest(costs: Tensor, counts: Tensor | None = None) -> Tensor:
    """The head of least cost for every talker, which several may share.

    Args:
        costs: [B, N, S].
        counts: How many talkers each item has, int64 [B]; None where all have S.

    Returns:
        Heads, int64 [B, S], -1 past an item's talkers.
    """
    head = costs.argmin(1)
    return head if counts is None else head.masked_fill(~_first_places(counts, costs.shape[2]), -1)


def best_assignment(costs: Tensor, counts: Tensor | None = None, spare: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Exact minimum over all one-to-one assignments with as many pairs as can be.

    Up to 5 heads and talkers it is found on the costs' own device without a loop over the batch, beyond that by scipy
    on the CPU. The gradient is that of the assignment found.

    Args:
        costs: [B, N, S]; what stands past an item's talkers is not read.
        counts: How many talkers each item has, int64 [B]; None where all have S.
        spare: What a head that is left over costs, [B, N]; None: nothing.

    Returns:
        Total cost [B], and for every talker its head, int64 [B, S], -1 where it has none.
    """
    num_heads, num_spk = costs.shape[1:]
    square = _with_dummies(costs, counts, spare)  # [B, M, M]
    if square.shape[-1] <= MAX_PERMUTED:
        total, rows = _by_permutations(square)
    else:  # scipy refuses NaN; here it goes on into the loss
        spare = None if spare is None else spare.detach().nan_to_num()
        rows = _by_scipy(_with_dummies(costs.detach().nan_to_num(), counts, spare))
        total = square.gather(1, rows[:, None])[:, 0].sum(-1)
    head = rows[:, :num_spk]
    missing = head >= num_heads
    if counts is not None:
        missing = missing | ~_first_places(counts, num_spk)
    return total, head.masked_fill(missing, -1)


def _with_dummies(costs: Tensor, counts: Tensor | None, spare: Tensor | None) -> Tensor:
    """Costs with dummy heads below and dummy talkers on the right, [B, M, M]; infinite where no pair may be.

    Each talker of an item gets a head where there are enough of them, else each head gets a talker. That is enforced:
    dummies of both sorts are in one matrix, and a pair of them could stand in for a pair that costs something.
    """
    batch, num_heads, num_spk = costs.shape
    if counts is None:
        if num_heads == num_spk:
            return costs
        counts = torch.full((batch,), num_spk, device=costs.device)
    size = max(num_heads, num_spk)
    talker = _first_places(counts, size)[:, None, :]  # [B, 1, M]
    head = (torch.arange(size, device=costs.device) < num_heads)[:, None]  # [M, 1]
    left_over = costs.new_zeros(batch, num_heads) if spare is None else spare
    left_over = functional.pad(left_over, (0, size - num_heads))[..., None]  # [B, M, 1]
    square = functional.pad(costs, (0, size - num_spk, 0, size - num_heads))
    forbidden = torch.where((counts < num_heads)[:, None, None], talker & ~head, head & ~talker)
    return torch.where(talker, square, left_over).masked_fill(forbidden, torch.inf)


def _first_places(counts: Tensor, size: int) -> Tensor:
    """Bool [B, size], true at the first `counts` places."""
    return torch.arange(size, device=counts.device) < counts[:, None]


def _by_permutations(square: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest total of [B, M, M], and the row of every column in it: [B], int64 [B, M]."""
    size = square.shape[-1]
    orders = _orders(size, square.device)  # [P, M]
    totals = square[:, orders, torch.arange(size, device=square.device)].sum(-1)  # [B, P]
    total, which = totals.min(dim=1)
    return total, orders[which]


@functools.lru_cache(maxsize=16)
def _orders(size: int, device: torch.device) -> Tensor:
    """All orders of 0 to size - 1, int64 [size!, size], brought to the device once."""
    with torch.inference_mode(False):  # one that was made in inference mode could not be used in training
        return torch.tensor(list(itertools.permutations(range(size))), device=device)


def _by_scipy(square: Tensor) -> Tensor:
    """The row of every column in the assignment of smallest total: [B, M, M] -> int64 [B, M]."""
    found = [torch.from_numpy(linear_sum_assignment(costs.T)[1]) for costs in square.cpu().numpy()]
    return torch.stack(found).to(square.device)
