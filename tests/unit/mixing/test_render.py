import dataclasses

import numpy as np
import pyloudnorm
import pytest

from wesep_mix.errors import UserError
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.mixing.draw import MixingConfig, Pool, draw_plan
from wesep_mix.mixing.plan import Noise, Plan, Source
from wesep_mix.mixing.render import render, render_source

RATE, PEAK = 16000, 0.9


@pytest.fixture(scope="module", params=[1, 2, 3])
def mixtures(request, pool):
    """Some mixtures of a number of talkers, quiet enough that nothing is limited, with their audio."""
    plans = [draw_plan(pool, request.param, np.random.default_rng(seed)) for seed in range(6)]
    return [(plan, render(plan)) for plan in plans]


@pytest.fixture
def tones(tmp_path):
    """Function: gains, offsets -> plan of 2 s tones from the third second of files, in a noise of 1000 samples."""
    noise = np.random.default_rng(1).uniform(0.1, 0.9, 1000).astype(np.float32)
    write_audio(tmp_path / "noise.wav", noise, subtype="FLOAT")
    time = np.arange(5 * RATE) / RATE
    for place, pitch in enumerate((997, 440)):
        tone = 0.1 * np.cos(2 * np.pi * pitch * time)
        tone[: 2 * RATE] = 0.001  # what is not taken
        write_audio(tmp_path / f"{place}.wav", tone.astype(np.float32), subtype="FLOAT")

    def make(gains=(1.0, 0.5), offsets=(0, RATE // 2), snr_db=10.0, noise_start=700) -> Plan:
        sources = tuple(
            Source(f"u{k}", f"s{k}", "f", str(tmp_path / f"{k}.wav"), 2 * RATE, 2 * RATE, offset, gain, -25.0)
            for k, (gain, offset) in enumerate(zip(gains, offsets, strict=True))
        )
        noise = Noise("n", str(tmp_path / "noise.wav"), noise_start, 1000, snr_db)
        return Plan("m", offsets[-1] + 2 * RATE, sources, noise, (0.75,))

    return make


def power(signal: np.ndarray) -> float:
    return float(np.mean(signal.astype(np.float64) ** 2))


def test_shapes_and_types(mixtures):
    for plan, audio in mixtures:
        assert audio.mix.shape == audio.noise.shape == (plan.num_samples,)
        assert audio.sources.shape == (len(plan.sources), plan.num_samples)
        assert {part.dtype for part in (audio.mix, audio.sources, audio.noise)} == {np.dtype("float32")}


def test_the_mixture_is_the_sum_of_its_parts(mixtures):
    for _, audio in mixtures:
        assert np.abs(audio.sources.sum(axis=0) + audio.noise - audio.mix).max() <= 1e-6
        assert np.abs(audio.mix).max() > 1e-3


def test_measured_snr_is_the_plans(mixtures):
    for plan, audio in mixtures:
        measured = 10 * np.log10(power(audio.sources.sum(axis=0)) / power(audio.noise))
        assert measured == pytest.approx(plan.noise.snr_db, abs=0.01)


def test_measured_loudness_is_the_plans(mixtures):
    meter = pyloudnorm.Meter(RATE)
    for plan, audio in mixtures:
        assert np.abs(audio.mix).max() < PEAK  # or it would be scaled
        for source, samples in zip(plan.sources, audio.sources, strict=True):
            heard = samples[source.offset :][: source.num_samples]
            assert meter.integrated_loudness(heard) == pytest.approx(source.lufs, abs=0.1)


def test_every_source_is_its_crop_at_its_place_and_silent_elsewhere(mixtures):
    for plan, audio in mixtures:
        for source, samples in zip(plan.sources, audio.sources, strict=True):
            crop = source.gain * read_audio(source.path)[source.start :][: source.num_samples]
            end = source.offset + source.num_samples
            assert np.allclose(samples[source.offset : end], crop, atol=1e-6)
            assert not samples[: source.offset].any() and not samples[end:].any()
            assert np.array_equal(render_source(source, RATE), samples[source.offset : end])


def test_measured_overlap_is_the_plans(tmp_path, pool):
    """Sources that never are 0, so that one sees where they begin and end."""
    write_audio(tmp_path / "on.wav", np.full(2 * RATE, 0.01, dtype=np.float32), subtype="FLOAT")
    for seed in range(5):
        plan = draw_plan(pool, 3, np.random.default_rng(seed))
        sources = tuple(dataclasses.replace(source, path=str(tmp_path / "on.wav"), start=0) for source in plan.sources)
        active = render(dataclasses.replace(plan, sources=sources)).sources != 0
        assert active.sum(axis=1).tolist() == [RATE] * 3
        shared = [(first & second).sum() for first, second in zip(active[:-1], active[1:], strict=True)]
        assert shared == pytest.approx([share * RATE for share in plan.overlaps], abs=1)


def test_a_tone_gets_the_planned_loudness(tones):
    """A 997 Hz sine of full scale has -3.01 LUFS (BS.1770), whatever the package that we measure with says."""
    plan = tones(gains=(0.3, 0.001))
    tone = render(plan).sources[0][: 2 * RATE]
    assert pyloudnorm.Meter(RATE).integrated_loudness(tone) == pytest.approx(20 * np.log10(0.03) - 3.01, abs=0.1)


def test_noise_starts_over_at_its_end(tones):
    plan = tones()
    file, noise = read_audio(plan.noise.path), render(plan).noise
    wanted = np.resize(np.roll(file, -700), plan.num_samples)
    assert np.allclose(noise / noise[0], wanted / wanted[0], rtol=1e-5, atol=0)


@pytest.mark.parametrize("start", [0, 1, 999])
def test_noise_from_any_start(tones, start):
    plan = tones(noise_start=start)
    file, noise = read_audio(plan.noise.path), render(plan).noise
    assert len(noise) == plan.num_samples
    assert noise[1000 - start] / noise[0] == pytest.approx(file[0] / file[start], rel=1e-5)


def test_longer_noise_is_cut(pool):
    plan = next(plan for plan in (draw_plan(pool, 1, np.random.default_rng(seed)) for seed in range(99))
                if plan.noise.id == "long" and plan.noise.start + plan.num_samples <= plan.noise.num_samples)
    file, noise = read_audio(plan.noise.path), render(plan).noise
    wanted = file[plan.noise.start :][: plan.num_samples]
    assert np.allclose(noise / np.abs(noise).max(), wanted / np.abs(wanted).max(), rtol=0, atol=1e-5)


def test_a_peak_above_the_limit_scales_all_alike(tones):
    quiet, loud = render(tones(gains=(1.0, 0.5))), render(tones(gains=(20.0, 10.0)))
    assert np.abs(quiet.mix).max() < PEAK
    assert np.abs(loud.mix).max() == pytest.approx(PEAK, abs=1e-6)
    scale = PEAK / np.abs(20 * quiet.mix).max()
    assert scale < 1
    for name in ("mix", "sources", "noise"):
        assert np.allclose(getattr(loud, name), 20 * scale * getattr(quiet, name), rtol=0, atol=2e-6)


def test_what_is_below_the_limit_is_left_alone(tones):
    audio = render(tones(gains=(4.0, 1e-6), snr_db=60))
    assert audio.mix.max() == pytest.approx(0.4, abs=1e-3)


def test_silent_noise_and_silent_speech_stay_finite(tones, tmp_path):
    write_audio(tmp_path / "noise.wav", np.zeros(1000), subtype="FLOAT")
    audio = render(tones())
    assert not audio.noise.any() and np.array_equal(audio.mix, audio.sources.sum(axis=0))
    assert not render(tones(gains=(0.0, 0.0))).mix.any()


def test_missing_and_shortened_files_are_named(tones, tmp_path):
    plan = tones()
    write_audio(tmp_path / "1.wav", np.zeros(3 * RATE), subtype="FLOAT")
    with pytest.raises(UserError, match="1.wav: wanted samples 32000 to 64000, found 48000"):
        render(plan)
    (tmp_path / "0.wav").unlink()
    with pytest.raises(UserError, match="0.wav: cannot be read"):
        render(plan)


def test_levels_and_ratios_of_a_set_that_is_limited(pool):
    """The limit changes levels, never ratios."""
    loud = Pool(pool.speech, pool.noises, MixingConfig(1.0, lufs=(-5, -3), snr_db=(5,)))
    plan = draw_plan(loud, 2, np.random.default_rng(0))
    audio = render(plan)
    assert np.abs(audio.mix).max() == pytest.approx(PEAK, abs=1e-6)
    assert 10 * np.log10(power(audio.sources.sum(axis=0)) / power(audio.noise)) == pytest.approx(5, abs=0.01)
    meter = pyloudnorm.Meter(RATE)
    heard = [meter.integrated_loudness(row[source.offset :][: source.num_samples])
             for row, source in zip(audio.sources, plan.sources, strict=True)]
    assert heard[0] - heard[1] == pytest.approx(plan.sources[0].lufs - plan.sources[1].lufs, abs=0.1)
    assert np.abs(audio.sources.sum(axis=0) + audio.noise - audio.mix).max() <= 1e-6
