import math
from typing import get_args

import pytest
import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as reference
from torchmetrics.functional.audio import signal_noise_ratio

from wesep_mix.base.config import declared
from wesep_mix.losses.signal import RATIOS, absence_loss, attenuation, extraction_loss, snr
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


def test_the_signal_to_noise_ratio_hears_the_level_up_to_30_db(signals):
    ests, target = signals[0][:, 0], signals[1]
    plain = signal_noise_ratio(ests, target)
    torch.testing.assert_close(snr(ests, target), -10 * (10 ** (-plain / 10) + 1e-3).log10(), rtol=1e-5, atol=1e-5)
    assert snr(0.5 * target, target).tolist() == pytest.approx([-10 * math.log10(0.251)] * 4)
    assert snr(target, target).tolist() == pytest.approx([30] * 4)
    assert snr(torch.zeros_like(target), target).tolist() == pytest.approx([-10 * math.log10(1.001)] * 4)


def test_the_attenuation_is_how_far_an_estimate_is_below_its_mixture(signals):
    mix = signals[1]
    assert attenuation(0.1 * mix, mix).tolist() == pytest.approx([-10 * math.log10(0.011)] * 4)
    assert attenuation(torch.zeros_like(mix), mix).tolist() == pytest.approx([30] * 4)
    ests = torch.stack([0.1 * mix, torch.zeros_like(mix)], 1)
    wanted = -(2 * -10 * math.log10(0.011) + 3 * 30)
    assert float(absence_loss(ests, mix, (2.0, 3.0))) == pytest.approx(wanted)
    padded = torch.cat([ests, torch.ones_like(ests)], -1), torch.cat([mix, torch.ones_like(mix)], -1)
    assert float(absence_loss(*padded, (2.0, 3.0), torch.full((4,), mix.shape[1]))) == pytest.approx(wanted)


def test_the_settings_know_the_losses_there_are():
    assert set(get_args(declared(LossConfig)["name"])) == set(RATIOS)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"name": "sisdr"}, "name: wanted si_sdr, si_snr or snr, found 'sisdr'"),
        ({"weights": ()}, "loss.weights: wanted numbers"),
        ({"weights": (0.0, 0.0)}, "not all 0"),
        ({"weights": (1.0, -0.1)}, r"weights\[1\]: wanted 0 or more, found -0.1"),
        ({"weights": (float("nan"),)}, r"weights\[0\]: wanted 0 or more, found nan"),
    ],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(ValueError, match=said):
        LossConfig(**settings)
