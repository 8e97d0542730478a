import math

import numpy as np
import pytest
import torch
from torchmetrics.functional import audio

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.si_sdr import si_sdr


def test_hand_worked_value():
    # source (1, 0), est (3, 1): target (3, 0), distortion (0, 1), ratio 9
    assert si_sdr(np.array([3.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(10 * math.log10(9))


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_torchmetrics(seed):
    rng = np.random.default_rng(seed)
    source = rng.standard_normal(8000) + 0.3  # an offset: the mean is not removed by either
    est = 0.7 * source + 10 ** rng.uniform(-2, 1) * rng.standard_normal(8000)
    pair = torch.from_numpy(est), torch.from_numpy(source)
    theirs = audio.scale_invariant_signal_distortion_ratio(*pair, zero_mean=False)
    assert si_sdr(est, source) == pytest.approx(float(theirs), abs=1e-6)


def test_does_not_depend_on_level_or_sign_or_dtype():
    rng = np.random.default_rng(0)
    source, est = rng.standard_normal((2, 4000)).astype(np.float32)
    assert si_sdr(-17 * est, source) == pytest.approx(si_sdr(est, source), abs=1e-5)
    assert si_sdr(est, 0.01 * source) == pytest.approx(si_sdr(est, source), abs=1e-5)


def test_perfect_and_orthogonal_estimates_stay_finite():
    source = np.array([1.0, 1.0])
    assert 150 < si_sdr(2 * source, source) < 160
    assert -160 < si_sdr(np.array([1.0, -1.0]), source) < -150


@pytest.mark.parametrize(
    ("est", "said"),
    [
        (np.ones(3), "one shape"),
        (np.ones((2, 2)), "one shape"),
        (np.array([1.0, np.nan, 0.0, 0.0]), "est holds 1 samples that are not finite"),
        (np.zeros(4), "est is silent"),
    ],
)
def test_unfit_estimates_are_named(est, said):
    with pytest.raises(UserError, match=said):
        si_sdr(est, np.arange(4.0))


def test_silent_source_is_named():
    with pytest.raises(UserError, match="source is silent"):
        si_sdr(np.ones(4), np.zeros(4))
