"""Single speech made harder, on samples that are counted by hand."""

import dataclasses

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.harder import harder
from wesep_mix.mixing.plan import Noise, Plan, Source, single_keys
from wesep_mix.mixing.render import render
from wesep_mix.mixing.trials import fixed_trials

RATE = 16000


@pytest.fixture
def plan(tmp_path):
    """5 s of a file from its second 1 on, 0.1 but for 0.2 from second 2.5 to 4.5, in a noise of 0.05, at 10 dB."""
    speech = np.full(8 * RATE, 0.1, dtype=np.float32)
    speech[40_000:72_000] = 0.2
    write_audio(tmp_path / "speech.wav", speech, subtype="FLOAT")
    write_audio(tmp_path / "noise.wav", np.full(RATE, 0.05, dtype=np.float32), subtype="FLOAT")
    source = Source("a-1", "a", "F", str(tmp_path / "speech.wav"), RATE, 5 * RATE, 0, 1.0, -25.0)
    return Plan("a-1-0", 5 * RATE, (source,), Noise("n", str(tmp_path / "noise.wav"), 7, RATE, 10.0), ())


def test_two_seconds_at_0_db_are_the_middle_with_a_noise_as_strong_as_it(plan):
    hard = harder(plan, length_s=2, snr_db=0)
    (source,) = hard.sources
    assert (source.start, source.num_samples, hard.num_samples) == (40_000, 32_000, 32_000)
    found = render(hard)
    np.testing.assert_allclose(found.sources[0], 0.2, atol=1e-6)
    np.testing.assert_allclose(found.noise, 0.2, atol=1e-6)
    np.testing.assert_allclose(found.mix, np.full(32_000, 0.4), atol=1e-6)


def test_an_snr_of_its_own_is_kept_and_so_is_a_length(plan):
    assert harder(plan) == plan == harder(plan, length_s=5, snr_db=10)
    noise = render(harder(plan, length_s=2)).noise
    np.testing.assert_allclose(noise, 0.2 / 10**0.5, atol=1e-6)  # 10 dB below 0.2
    noise = render(harder(plan, snr_db=0)).noise
    np.testing.assert_allclose(noise, ((3 * 0.1**2 + 2 * 0.2**2) / 5) ** 0.5, atol=1e-6)  # as strong as all 5 s


def test_an_odd_rest_is_cut_behind(plan):
    assert harder(plan, length_s=79_997 / RATE).sources[0].start == RATE + 1  # of 3 samples, 1 before and 2 behind


def test_the_trials_are_the_same(plan):
    other = dataclasses.replace(plan.sources[0], utt="a-2")
    plans = [plan, dataclasses.replace(plan, id="a-2-0", sources=(other,))]
    easy, hard = (fixed_trials(each, single_keys) for each in (plans, [harder(one, 2, 0) for one in plans]))
    assert easy.keys == hard.keys == ["a-1-0", "a-2-0"] and easy.pairs.tolist() == hard.pairs.tolist() == [[0, 1]]


def test_speech_that_is_too_short_is_named(plan):
    with pytest.raises(UserError, match=r"a-1-0: wanted at least 6 s of speech .*, found 5 s; lower it"):
        harder(plan, length_s=6)
