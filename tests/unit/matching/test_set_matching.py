import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import logsigmoid, normalize

from wesep_mix.matching import assignment
from wesep_mix.matching.assignment import best_assignment, cosine_costs, match, set_loss

B, D = 6, 7
SIZES = [(num, num) for num in range(1, 7)]
RECTANGLES = [(1, 2), (2, 1), (2, 3), (3, 2), (3, 1), (1, 5), (5, 4), (4, 6), (6, 4), (6, 1)]


def sets(num_heads: int, num_spk: int | None = None, seed: int = 0):
    """Predictions that want a gradient, and references: double, unit length."""
    generator = torch.Generator().manual_seed(seed)
    predicted, reference = (
        normalize(torch.randn(B, num, D, generator=generator, dtype=torch.double), dim=-1)
        for num in (num_heads, num_spk or num_heads)
    )
    return predicted.requires_grad_(), reference


def cosine_loss(predicted, reference):
    return set_loss(cosine_costs(predicted, reference))


def tied(num_heads: int, num_spk: int, seed: int = 0) -> torch.Tensor:
    """Costs of few values, so that several assignments are best."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 3, (B, num_heads, num_spk), generator=generator).double().requires_grad_()


def every_pairing(num_heads: int, num_spk: int):
    """All ways to pair as many heads and talkers as can be: lists of (head, talker)."""
    if num_heads <= num_spk:
        return [list(enumerate(talkers)) for talkers in itertools.permutations(range(num_spk), num_heads)]
    return [
        [(head, talker) for talker, head in enumerate(heads)]
        for heads in itertools.permutations(range(num_heads), num_spk)
    ]


def totals_by_brute_force(costs, spare=None):
    """Of one item [N, S]: the total of every pairing, and the pairings."""
    pairings = every_pairing(*costs.shape)
    heads, talkers = torch.tensor(pairings).unbind(-1)  # [pairings, pairs]
    totals = costs[heads, talkers].sum(1)
    if spare is not None:
        totals = totals + spare.sum() - spare[heads].sum(1)
    return totals, pairings


def head_of(pairs, num_spk: int) -> list[int]:
    return [dict((talker, head) for head, talker in pairs).get(talker, -1) for talker in range(num_spk)]


# the assignment


@pytest.mark.parametrize("num_heads, num_spk", SIZES + RECTANGLES)
def test_it_is_brute_forces_and_scipys(num_heads, num_spk):
    costs = cosine_costs(*sets(num_heads, num_spk, seed=2)).detach().requires_grad_()
    total, head = best_assignment(costs)
    assert total.shape == (B,) and head.shape == (B, num_spk) and head.dtype == torch.int64
    (gradient,) = torch.autograd.grad(total.sum(), costs)
    for row in range(B):
        totals, pairings = totals_by_brute_force(costs[row])
        torch.testing.assert_close(total[row], totals.min())
        assert head[row].tolist() == head_of(pairings[int(totals.argmin())], num_spk)
        heads, talkers = linear_sum_assignment(costs[row].detach().numpy())
        assert head[row].tolist() == head_of(list(zip(heads.tolist(), talkers.tolist(), strict=True)), num_spk)
        assert torch.equal(gradient[row], torch.autograd.grad(totals.min(), costs)[0][row])


@pytest.mark.parametrize("num_heads, num_spk", SIZES + RECTANGLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_with_ties_it_is_one_of_the_best(num_heads, num_spk, seed):
    costs = tied(num_heads, num_spk, seed)
    total, head = best_assignment(costs)
    (gradient,) = torch.autograd.grad(total.sum(), costs)
    for row in range(B):
        totals, pairings = totals_by_brute_force(costs[row])
        best = [pairs for value, pairs in zip(totals, pairings, strict=True) if value == totals.min()]
        assert total[row] == totals.min() and head[row].tolist() in [head_of(pairs, num_spk) for pairs in best]
        pairs = [(one, talker) for talker, one in enumerate(head[row].tolist()) if one >= 0]
        assert sorted(map(tuple, gradient[row].nonzero().tolist())) == sorted(pairs) and gradient[row].max() == 1


@pytest.mark.parametrize("num_heads, num_spk", [(3, 3), (2, 3), (3, 2), (5, 5), (6, 6), (4, 6), (6, 4)])
@pytest.mark.parametrize("with_spare", [False, True])
def test_items_of_fewer_talkers_are_matched_as_if_there_were_no_others(num_heads, num_spk, with_spare):
    generator = torch.Generator().manual_seed(4)
    costs = torch.rand(num_spk, num_heads, num_spk, generator=generator, dtype=torch.double)
    spare = torch.rand(num_spk, num_heads, generator=generator, dtype=torch.double) if with_spare else None
    counts = torch.arange(1, num_spk + 1)
    for row, count in enumerate(counts.tolist()):
        costs[row, :, count:] = -99.0  # not read
    costs.requires_grad_()
    total, head = best_assignment(costs, counts, spare)
    (gradient,) = torch.autograd.grad(total.sum(), costs)
    for row, count in enumerate(counts.tolist()):
        totals, pairings = totals_by_brute_force(costs[row, :, :count], None if spare is None else spare[row])
        torch.testing.assert_close(total[row], totals.min())
        found = head_of(pairings[int(totals.argmin())], count)
        assert head[row].tolist() == found + [-1] * (num_spk - count)
        assert not gradient[row, :, count:].any() and gradient[row].sum() == min(num_heads, count)


def test_who_is_left_over_counts_in_the_choice():
    """Head 0 is the nearer one; head 1 is taken where it would cost more to say that nobody speaks through it."""
    costs = torch.tensor([[[0.1], [0.3]]])
    for spare, head, total in ([0.5, 0.4], 0, 0.5), ([0.1, 0.9], 1, 0.4):
        found, chosen = best_assignment(costs, spare=torch.tensor([spare]))
        assert chosen.tolist() == [[head]] and found.item() == pytest.approx(total)


def test_the_best_sum_wins_over_the_best_first():
    costs = torch.tensor([[[0.0, 0.1], [0.2, 0.9]]])  # greedily 0.0 + 0.9
    total, head = best_assignment(costs)
    assert total.item() == pytest.approx(0.3) and head.tolist() == [[1, 0]]


def test_two_talkers_may_share_the_nearest_embedding():
    heads = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]).repeat(3, 1, 1)
    talkers = torch.nn.functional.normalize(
        torch.tensor([[[2.0, 1.0], [3.0, 1.0]], [[1.0, 2.0], [3.0, 1.0]], [[1.0, 3.0], [9.0, 9.0]]]), dim=-1
    )
    counts = torch.tensor([2, 2, 1])
    first, second, none = [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]
    shared, there = match(heads, talkers, counts, "nearest")
    assert shared.tolist() == [[first, first], [second, first], [second, none]]
    assert there.tolist() == [[True, True], [True, True], [True, False]]
    assert match(heads, talkers, counts)[0].tolist() == [[second, first], [second, first], [second, none]]


def test_fewer_heads_than_talkers_are_shared_by_nearest():
    heads, talkers = torch.ones(1, 1, 4) / 2, torch.eye(4)[None, :3]
    found, there = match(heads, talkers, criterion="nearest")
    assert there.all() and torch.equal(found, heads.expand(1, 3, 4))


def test_up_to_five_there_is_no_solver_on_the_host(monkeypatch):
    def refuse(*_):
        raise AssertionError("asked")

    monkeypatch.setattr(assignment, "linear_sum_assignment", refuse)
    for size in range(1, 6):
        best_assignment(torch.rand(3, size, size), torch.tensor([1, size, size]))
    assert best_assignment(torch.rand(3, 4, 5, device="meta"))[1].shape == (3, 5)  # no value is looked at
    with pytest.raises(AssertionError, match="asked"):
        best_assignment(torch.rand(3, 6, 6))


def test_orders_made_in_inference_mode_serve_in_training():
    assignment._orders.cache_clear()
    with torch.inference_mode():
        best_assignment(torch.rand(2, 3, 3))
    costs = torch.rand(2, 3, 3, requires_grad=True)
    best_assignment(costs)[0].sum().backward()
    assert costs.grad.sum() == 6


@pytest.mark.parametrize("num", [3, 6])
def test_a_cost_that_is_not_a_number_reaches_the_loss(num):
    costs = torch.rand(2, num, num)
    costs[1] = torch.nan
    total = best_assignment(costs)[0]
    assert total[0].isfinite() and total[1].isnan()


# costs and losses


def test_costs():
    predicted, reference = torch.eye(3)[None, :2], torch.eye(3)[None, 1:]
    assert cosine_costs(predicted, -reference).tolist() == [[[1, 1], [2, 1]]]


def test_costs_are_not_rounded_under_autocast():
    predicted, reference = (part.detach().float() for part in sets(3))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cosine_costs(predicted, reference), cosine_costs(predicted, reference).float())
        found = cosine_costs(predicted, reference)
    assert torch.equal(found, cosine_costs(predicted, reference))
    assert cosine_costs(predicted.bfloat16(), reference).dtype == torch.float32


@pytest.mark.parametrize("num_heads, num_spk", SIZES + RECTANGLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_is_the_mean_over_pairs_and_mixtures_in_value_and_gradient(num_heads, num_spk, seed):
    predicted, reference = sets(num_heads, num_spk, seed)
    loss, wanted = cosine_loss(predicted, reference), []
    for p, r in zip(predicted, reference, strict=True):
        totals, pairings = totals_by_brute_force(1 - p @ r.T)
        wanted.append(totals.min() / len(pairings[0]))
    wanted = torch.stack(wanted).mean()
    torch.testing.assert_close(loss, wanted)
    gradient = torch.autograd.grad(loss, predicted)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(wanted, predicted)[0])
    assert (gradient.abs().sum(-1) > 0).sum(1).tolist() == [min(num_heads, num_spk)] * B  # each paired head learns


@pytest.mark.parametrize("num_heads, num_spk", [(1, 1), (2, 2), (3, 3), (3, 2), (2, 3), (6, 6), (6, 3)])
@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_with_presence_the_minimum_is_of_the_whole(num_heads, num_spk, weight):
    """Cross-entropy of each head, -log p where it is paired and -log (1 - p) where not, within the choice."""
    predicted, reference = sets(num_heads, num_spk)
    presence = torch.randn(B, num_heads, generator=torch.Generator().manual_seed(9), dtype=torch.double)
    presence.requires_grad_()
    counts = torch.tensor([1 + row % num_spk for row in range(B)])
    loss, wanted = set_loss(cosine_costs(predicted, reference), counts, presence, weight), []
    for p, r, logits, count in zip(predicted, reference, presence, counts.tolist(), strict=True):
        costs = 1 - p @ r[:count].T - weight * logsigmoid(logits)[:, None]
        totals, pairings = totals_by_brute_force(costs, -weight * logsigmoid(-logits))
        wanted.append(totals.min() / len(pairings[0]))
    wanted = torch.stack(wanted).mean()
    torch.testing.assert_close(loss, wanted)
    inputs = (predicted, presence)
    for found, one in zip(torch.autograd.grad(loss, inputs), torch.autograd.grad(wanted, inputs), strict=True):
        torch.testing.assert_close(found, one)


def test_the_order_of_heads_does_not_matter():
    predicted, reference = sets(3)
    assert cosine_loss(predicted[:, [2, 0, 1]], reference).item() == cosine_loss(predicted, reference).item()


def test_each_mixture_is_matched_by_itself():
    predicted, reference = sets(3)
    single = torch.stack([cosine_loss(p[None], r[None]) for p, r in zip(predicted, reference, strict=True)])
    torch.testing.assert_close(cosine_loss(predicted, reference), single.mean())


@pytest.mark.parametrize("num", [2, 3, 5])
def test_in_float32_full_sets_have_the_bits_of_the_mean_over_all_orders(num):
    """What the recipes' documented numbers were trained with."""
    predicted, reference = (part.detach().float() for part in sets(num))
    predicted.requires_grad_()
    costs = cosine_costs(predicted, reference)
    orders = torch.tensor(list(itertools.permutations(range(num))))
    wanted = costs[:, orders, torch.arange(num)].mean(-1).min(1)[0].mean()
    loss = set_loss(costs, torch.full((B,), num))
    assert loss.item() == wanted.item()
    assert torch.equal(*(torch.autograd.grad(one, predicted, retain_graph=True)[0] for one in (loss, wanted)))


# matching


@pytest.mark.parametrize("num", [2, 3, 5])
def test_match_undoes_any_order(num):
    _, reference = sets(num)
    order = torch.stack([torch.randperm(num) for _ in range(B)])
    predicted = reference.gather(1, order[..., None].expand_as(reference))
    matched, found = match(predicted, reference)
    assert torch.equal(matched, reference) and found.all() and found.shape == (B, num)
    assert cosine_loss(predicted, reference).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("num_heads, num_spk", [(2, 3), (3, 2), (1, 4), (6, 2), (2, 6)])
def test_match_says_who_got_a_head(num_heads, num_spk):
    predicted, reference = sets(num_heads, num_spk)
    counts = torch.tensor([1 + row % num_spk for row in range(B)])
    matched, found = match(predicted, reference, counts)
    assert matched.shape == (B, num_spk, D)
    for row, count in enumerate(counts.tolist()):
        totals, pairings = totals_by_brute_force(1 - predicted[row] @ reference[row, :count].T)
        heads = head_of(pairings[int(totals.argmin())], count)
        assert found[row].tolist() == [head >= 0 for head in heads] + [False] * (num_spk - count)
        for talker, head in enumerate(heads):
            wanted = predicted[row, head] if head >= 0 else torch.zeros(D, dtype=torch.double)
            assert torch.equal(matched[row, talker], wanted)
    assert np.array_equal(matched[~found].detach().numpy(), np.zeros((int((~found).sum()), D)))
