import itertools

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import normalize

from wesep_mix.losses.set_matching import best_assignment, cosine_costs, match, set_cosine_loss

B, D = 6, 7


def sets(num: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    predicted, reference = (normalize(torch.randn(B, num, D, generator=generator, dtype=torch.double), dim=-1)
                            for _ in range(2))
    return predicted.requires_grad_(), reference


def by_brute_force(predicted, reference):
    """Mean over the batch of the smallest mean 1 - cosine, over every order of the predictions."""
    losses = []
    for p, r in zip(predicted, reference, strict=True):
        orders = itertools.permutations(range(len(p)))
        losses.append(torch.stack([(1 - (p[list(order)] * r).sum(-1)).mean() for order in orders]).min())
    return torch.stack(losses).mean()


def by_scipy(predicted, reference):
    losses, chosen = [], []
    for p, r in zip(predicted, reference, strict=True):
        costs = 1 - r @ p.T  # a row a reference
        rows, columns = linear_sum_assignment(costs.detach().numpy())
        losses.append(costs[rows, columns].mean())
        chosen.append(columns.tolist())
    return torch.stack(losses).mean(), chosen


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_value_and_gradient_are_those_of_brute_force_and_of_scipy(num, seed):
    predicted, reference = sets(num, seed)
    loss = set_cosine_loss(predicted, reference)
    (gradient,) = torch.autograd.grad(loss, predicted)
    for wanted in (by_brute_force(predicted, reference), by_scipy(predicted, reference)[0]):
        torch.testing.assert_close(loss, wanted)
        torch.testing.assert_close(gradient, torch.autograd.grad(wanted, predicted)[0])
    assert gradient.abs().sum(-1).min() > 0  # every head learns


@pytest.mark.parametrize("num", [1, 2, 3, 4, 5])
def test_the_assignment_is_scipys(num):
    predicted, reference = sets(num, 2)
    best, chosen = best_assignment(cosine_costs(predicted, reference))
    assert chosen.tolist() == by_scipy(predicted, reference)[1] and best.shape == (B,)


def test_costs():
    predicted, reference = torch.eye(3)[None, :2], torch.eye(3)[None, 1:]
    assert cosine_costs(predicted, -reference).tolist() == [[[1, 1], [2, 1]]]


def test_the_best_sum_wins_over_the_best_first():
    costs = torch.tensor([[[0.0, 0.1], [0.2, 0.9]]])  # greedily 0.0 + 0.9
    best, chosen = best_assignment(costs)
    assert best.item() == pytest.approx(0.15) and chosen.tolist() == [[1, 0]]


@pytest.mark.parametrize("num", [2, 3, 5])
def test_match_undoes_any_order(num):
    _, reference = sets(num)
    order = torch.stack([torch.randperm(num) for _ in range(B)])
    predicted = reference.gather(1, order[..., None].expand_as(reference))
    assert torch.equal(match(predicted, reference), reference)
    assert set_cosine_loss(predicted, reference).item() == pytest.approx(0, abs=1e-12)


def test_the_order_of_heads_does_not_matter():
    predicted, reference = sets(3)
    assert set_cosine_loss(predicted[:, [2, 0, 1]], reference).item() == set_cosine_loss(predicted, reference).item()


def test_each_mixture_is_matched_by_itself():
    predicted, reference = sets(3)
    single = torch.stack([set_cosine_loss(p[None], r[None]) for p, r in zip(predicted, reference, strict=True)])
    torch.testing.assert_close(set_cosine_loss(predicted, reference), single.mean())
