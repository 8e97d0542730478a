import pytest
import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as reference

from wesep_mix.losses.signal import si_sdr
from wesep_mix.metrics import si_sdr as metric


@pytest.fixture
def signals():
    torch.manual_seed(0)
    target = torch.randn(3, 2, 4000, dtype=torch.double)
    est = target * torch.rand(3, 2, 1) + torch.logspace(-2, 1, 6).reshape(3, 2, 1) * torch.randn(3, 2, 4000)
    return est + 0.1, target - 0.2


def test_it_is_torchmetrics_in_value_and_gradient(signals):
    est, target = signals[0].requires_grad_(), signals[1]
    found, wanted = si_sdr(est, target), reference(est, target, zero_mean=False)
    assert found.shape == (3, 2)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    gradients = [torch.autograd.grad(value.sum(), est)[0] for value in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_it_is_our_own_metric(signals):
    est, target = (signal[0, 0].numpy() for signal in signals)
    assert si_sdr(*(signal[0, 0] for signal in signals)).item() == pytest.approx(metric.si_sdr(est, target), abs=1e-4)


def test_worked_example():
    """A target of power 1 and an error at right angles to it of power 0.01 are 20 dB apart."""
    target = torch.tensor([1.0, 1.0, -1.0, -1.0])
    error = 0.1 * torch.tensor([1.0, -1.0, 1.0, -1.0])
    assert si_sdr(target + error, target).item() == pytest.approx(20, abs=1e-4)


@pytest.mark.parametrize("gain", [0.01, 7.0, -2.0])
def test_the_level_of_the_estimate_does_not_matter(signals, gain):
    est, target = signals
    torch.testing.assert_close(si_sdr(gain * est, target), si_sdr(est, target), atol=1e-3, rtol=0)


@pytest.mark.parametrize("est, target", [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_silence_and_perfection_are_finite_in_value_and_gradient(est, target):
    est = torch.full((2, 100), est, requires_grad=True)
    value = si_sdr(est, torch.full((2, 100), target))
    value.sum().backward()
    assert value.isfinite().all() and est.grad.isfinite().all()
