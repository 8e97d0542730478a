import itertools

import pytest
import torch

from wesep_mix.losses.signal import best_order, in_order, si_sdr, upit_loss

B, T = 5, 300


def signals(num: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    sources = torch.randn(B, num, T, generator=generator, dtype=torch.double)
    mixing = torch.rand(B, num, num, generator=generator, dtype=torch.double)
    return (mixing @ sources).requires_grad_(), sources


def by_brute_force(est, sources):
    """Largest mean SI-SDR over every order of the estimates, and that order, mixture by mixture."""
    values, orders = [], []
    for e, s in zip(est, sources, strict=True):
        tried = {order: si_sdr(e[list(order)], s).mean() for order in itertools.permutations(range(len(s)))}
        order = max(tried, key=tried.get)
        values.append(tried[order])
        orders.append(list(order))
    return torch.stack(values), orders


@pytest.mark.parametrize("num", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_value_gradient_and_order_are_those_of_brute_force(num, seed):
    est, sources = signals(num, seed)
    values, orders = by_brute_force(est, sources)
    found, chosen = best_order(est, sources)
    torch.testing.assert_close(found, values)
    assert chosen.tolist() == orders
    loss = upit_loss(est, sources)
    torch.testing.assert_close(loss, -values.mean())
    gradients = [torch.autograd.grad(value, est, retain_graph=True)[0] for value in (loss, -values.mean())]
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().sum(-1).min() > 0  # every output learns


@pytest.mark.parametrize("num", [2, 3, 4])
def test_estimates_come_back_in_the_order_of_their_sources(num):
    _, sources = signals(num)
    order = torch.stack([torch.randperm(num) for _ in range(B)])
    shuffled = sources.gather(1, order[..., None].expand_as(sources))
    assert torch.equal(in_order(shuffled, sources), sources)
    assert torch.equal(in_order(-3 * shuffled, sources), -3 * sources)  # whatever their level and sign


def test_the_best_sum_wins_over_the_best_first():
    """Estimate 0 fits source 0 best, yet source 1 has nobody else."""
    sources = torch.eye(3)[None, :2].double() + 0.01
    est = torch.tensor([[[1.0, 0.9, 0.0], [0.9, 0.0, 0.9]]]).double()
    assert by_brute_force(est, sources)[1] == best_order(est, sources)[1].tolist() == [[1, 0]]
    assert si_sdr(est[0, 0], sources[0, 0]) > si_sdr(est[0, 1], sources[0, 0])


def test_a_silent_source_is_finite_in_value_and_gradient():
    est, sources = signals(2)
    loss = upit_loss(est, sources * torch.tensor([1.0, 0.0]).view(1, 2, 1))
    assert loss.isfinite() and torch.autograd.grad(loss, est)[0].isfinite().all()


def test_of_a_padded_batch_only_each_items_own_length_counts():
    est, sources = signals(3)
    sizes = [300, 40, 299, 120, 7]
    alone = [
        best_order(est[row : row + 1, :, :size], sources[row : row + 1, :, :size]) for row, size in enumerate(sizes)
    ]
    found, chosen = best_order(est, sources, torch.tensor(sizes))
    torch.testing.assert_close(found, torch.cat([value for value, _ in alone]))
    assert torch.equal(chosen, torch.cat([order for _, order in alone]))
    torch.testing.assert_close(upit_loss(est, sources, torch.tensor(sizes)), -found.mean())
    assert (found - best_order(est, sources)[0]).abs().max() > 0.1


@pytest.mark.parametrize("num", [2, 3])
def test_a_silent_source_takes_what_is_left_and_teaches_nothing(num):
    est, sources = signals(num + 1)
    sources[:, 1] = 0.0
    kept = [place for place in range(num + 1) if place != 1]
    found, chosen = best_order(est, sources)
    for item in range(B):
        wanted = max(
            si_sdr(est[item, list(order)], sources[item, kept]).mean()
            for order in itertools.permutations(range(num + 1), num)
        )
        torch.testing.assert_close(found[item], wanted)
    gradient = torch.autograd.grad(upit_loss(est, sources), est)[0]
    assert gradient.isfinite().all()
    assert all(not gradient[item, chosen[item, 1]].any() for item in range(B))


def test_silence_alone_costs_nothing():
    est, _ = signals(2)
    assert upit_loss(est, torch.zeros(B, 2, T, dtype=torch.double)) == 0
