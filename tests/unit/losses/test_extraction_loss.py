from typing import get_args

import pytest
import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as reference

from wesep_mix.base.config import declared
from wesep_mix.losses.signal import RATIOS, extraction_loss
from wesep_mix.training.settings import LossConfig


@pytest.fixture
def signals():
    torch.manual_seed(0)
    target = torch.randn(4, 900, dtype=torch.double) + 0.3
    return target[:, None] + torch.tensor([0.1, 0.5, 2.0])[:, None] * torch.randn(4, 3, 900) - 0.2, target


@pytest.mark.parametrize("name, zero_mean", [("si_sdr", False), ("si_snr", True)])
@pytest.mark.parametrize("weights", [(0.8, 0.1, 0.1), (1.0, 0.0, 0.0), (2.0, 1.0, 3.0)])
def test_it_is_the_weighted_sum_of_each_estimates_negative_ratio(signals, name, zero_mean, weights):
    ests, target = signals
    wanted = sum(
        -weight * reference(ests[:, k], target, zero_mean=zero_mean).mean() for k, weight in enumerate(weights)
    )
    torch.testing.assert_close(extraction_loss(ests, target, name, weights), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", RATIOS)
def test_every_weighted_estimate_learns_and_no_other(signals, name):
    ests, target = signals[0].requires_grad_(), signals[1]
    extraction_loss(ests, target, name, (0.5, 0.0, 0.1)).backward()
    assert [bool(ests.grad[:, k].any()) for k in range(3)] == [True, False, True]


@pytest.mark.parametrize("name", RATIOS)
def test_silence_is_finite_in_value_and_gradient(name):
    ests = torch.zeros(2, 1, 100, requires_grad=True)
    loss = extraction_loss(ests, torch.zeros(2, 100), name, (1.0,))
    loss.backward()
    assert loss.isfinite() and ests.grad.isfinite().all()


@pytest.mark.parametrize("name", RATIOS)
def test_of_a_padded_batch_only_each_items_own_length_counts(signals, name):
    ests, target = signals
    sizes = [900, 400, 650, 1]
    alone = [
        extraction_loss(ests[row : row + 1, :, :size], target[row : row + 1, :size], name, (0.8, 0.1, 0.1))
        for row, size in enumerate(sizes)
    ]
    found = extraction_loss(ests, target, name, (0.8, 0.1, 0.1), torch.tensor(sizes))
    torch.testing.assert_close(found, torch.stack(alone).mean())
    whole = extraction_loss(ests, target, name, (0.8, 0.1, 0.1))
    torch.testing.assert_close(extraction_loss(ests, target, name, (0.8, 0.1, 0.1), torch.tensor([900] * 4)), whole)


def test_the_settings_know_the_losses_there_are():
    assert set(get_args(declared(LossConfig)["name"])) == set(RATIOS)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"name": "sisdr"}, "name: wanted si_sdr or si_snr, found 'sisdr'"),
        ({"weights": ()}, "loss.weights: wanted numbers"),
        ({"weights": (0.0, 0.0)}, "not all 0"),
        ({"weights": (1.0, -0.1)}, r"weights\[1\]: wanted 0 or more, found -0.1"),
        ({"weights": (float("nan"),)}, r"weights\[0\]: wanted 0 or more, found nan"),
    ],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(ValueError, match=said):
        LossConfig(**settings)
