"""DNSMOS beside what `speechmos` 0.0.1.1 says of the same signals by its own code, a window at a time."""

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.metrics import dnsmos as module
from wesep_mix.metrics.dnsmos import WINDOW, dnsmos, windows

RATE = 16000


def buzz(seconds: float, noise: float) -> np.ndarray:
    """Syllable-like bursts of a buzz whose pitch falls, in noise."""
    time = np.arange(round(seconds * RATE)) / RATE
    voice = sum(np.sin(2 * np.pi * k * (140 * time - time**2)) / k for k in range(1, 20))
    bursts = 0.1 * voice * np.clip(np.sin(2 * np.pi * 3 * time), 0, None)
    return (bursts + noise * np.random.default_rng(0).standard_normal(time.size)).astype(np.float32)


NAMES = ["sig", "bak", "ovrl", "p808", "psig", "pbak", "povrl"]
SAID = [
    (2, 0.001, [2.16724, 2.5807, 1.62623, 2.26445, 2.63844, 2.3457, 1.76272]),
    (9.5, 0.02, [2.31935, 1.51068, 1.41574, 2.38854, 3.76226, 1.74006, 2.02567]),
    (20, 0.005, [2.61593, 2.27244, 1.66686, 2.35036, 3.58636, 2.11361, 2.24767]),
]


def test_ratings_of_several_signals_are_those_that_the_package_gives_to_each():
    found = dnsmos([buzz(seconds, noise) for seconds, noise, _ in SAID], RATE, personalised=True)
    assert [list(one) for one in found] == [NAMES] * 3
    for one, (*_, said) in zip(found, SAID, strict=True):
        assert list(one.values()) == pytest.approx(said, abs=1e-4)


def test_personalised_ratings_come_where_they_are_asked_for():
    assert list(dnsmos([buzz(2, 0.001)])[0]) == NAMES[:4]


def test_mel_bands_are_of_equal_area_and_begin_at_0_hz():
    bands = module._mel_bands()
    assert (
        bands.shape == (161, 120)
        and bands[0].max() == 0
        and (bands.argmax(axis=0)[1:] >= bands.argmax(axis=0)[:-1]).all()
    )
    area = bands.sum(axis=0) * RATE / 321
    assert area[60:] == pytest.approx(np.ones(60), abs=0.15)


def test_digital_silence_has_ratings():
    assert all(np.isfinite(list(dnsmos([np.zeros(RATE, np.float32)])[0].values())))


def test_a_short_signal_is_doubled_until_it_fills_a_window():
    wav = np.arange(40000, dtype=np.float32)
    (window,) = windows(wav)
    np.testing.assert_array_equal(window, np.tile(wav, 4)[:WINDOW])


def test_windows_begin_every_second_but_those_that_rounding_cuts():
    wav = np.arange(30 * RATE, dtype=np.float32)
    assert [window[0] for window in windows(wav)] == [start * RATE for start in range(7)]
    assert [window.shape for window in windows(wav[: 10 * RATE])] == [(WINDOW,)]
    assert len(windows(np.zeros(34 * RATE, np.float32))) == 8  # the 24th second's too


def test_ratings_do_not_depend_on_the_batch(monkeypatch):
    wav = buzz(12, 0.005)
    (whole,) = dnsmos([wav])
    monkeypatch.setattr(module, "BATCH_SIZE", 3)
    assert len(windows(wav)) == 3 and dnsmos([wav])[0] == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize(
    "wav, rate, said",
    [
        (np.ones(9), 8000, "wanted 16000 Hz, found 8000 Hz"),
        (np.ones((2, 9)), RATE, r"found one of shape \[2, 9\]"),
        (np.ones(0), RATE, r"found one of shape \[0\]"),
        (np.array([0.1, np.nan]), RATE, r"shape \[2\], not finite"),
    ],
)
def test_an_unfit_signal_is_named(wav, rate, said):
    with pytest.raises(UserError, match=f"DNSMOS: .*{said}"):
        dnsmos([wav], rate)
