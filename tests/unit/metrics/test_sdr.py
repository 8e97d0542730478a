"""BSS-eval's SDR beside the package fast_bss_eval, and where the answer is known."""

import fast_bss_eval
import numpy as np
import pytest

from wesep_mix.base.errors import NoValue, UserError
from wesep_mix.metrics.sdr import FILTER_LENGTH, sdr
from wesep_mix.metrics.si_sdr import si_sdr


@pytest.fixture(scope="module")
def signals(buzz):
    """A source, another talker and noise, one second each."""
    noise = np.random.default_rng(0).standard_normal(16000)
    return buzz(120, 1).astype(float), buzz(190, 1).astype(float), 0.01 * noise


def test_it_is_that_of_fast_bss_eval(signals):
    source, other, noise = signals
    rng = np.random.default_rng(1)
    for _ in range(50):
        loud, echo = rng.uniform(0, 1, 2)
        source = signals[0] + 0.02 * rng.standard_normal(16000)
        ests = np.stack([source + loud * other + noise, np.roll(source, 5) + echo * np.roll(source, 40) + noise])
        wanted = -fast_bss_eval.sdr_loss(ests, source[None], filter_length=FILTER_LENGTH, pairwise=True)[0]
        np.testing.assert_allclose(sdr(ests, source), wanted, atol=1e-6)


def test_white_noise_that_a_filter_has_coloured_is_no_distortion():
    """The source filtered, and orthogonal noise of a hundredth of its power: 20 dB, for SI-SDR far less."""
    rng = np.random.default_rng(0)
    source, noise = rng.standard_normal((2, 200_000))
    filtered = np.convolve(source, [0.6, 0.0, 0.8])[: source.size]
    (found,) = sdr((filtered + 0.1 * noise)[None], source)
    assert found == pytest.approx(20, abs=0.1)
    assert si_sdr(filtered + 0.1 * noise, source) < -1


def test_the_level_does_not_matter_and_a_perfect_estimate_stays_finite(signals):
    source, other, _ = signals
    quiet, loud = sdr(np.stack([0.01 * (source + other), 100 * (source + other)]), source)
    assert quiet == pytest.approx(loud, abs=1e-6)
    noise = np.random.default_rng(0).standard_normal(16000)
    assert 100 < sdr(noise[None], noise)[0] <= 156.6


def test_a_source_whose_filter_cannot_be_found_has_no_value(monkeypatch, signals):
    source, other, _ = signals

    def singular(*_):
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(np.linalg, "solve", singular)
    with pytest.raises(NoValue, match="SDR: the best filter of the source cannot be found .Singular matrix"):
        sdr(other[None], source)
    monkeypatch.setattr(np.linalg, "solve", lambda matrix, right: 1e6 * right)
    with pytest.raises(NoValue, match="SDR: the best filter .* .coherence"):
        sdr(source[None], source)


def test_a_silent_estimate_is_an_error(signals):
    with pytest.raises(UserError, match="est is silent"):
        sdr(np.zeros((1, 16000)), signals[0])
