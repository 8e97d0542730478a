import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
from places import SHARED

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.mixing.draw import Pool, at_speed, draw_plan
from wesep_mix.mixing.plan import Noise, Plan, Source, write_plans
from wesep_mix.mixing.render import render, render_source
from wesep_mix.preparation.activity import best_crops
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.preparation.settings import MixingConfig

RATE, PEAK = 16000, 0.9
SPEECH = sorted((SHARED / "data" / "LibriSpeech").rglob("*.flac"))


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
    plan = next(
        plan
        for plan in (draw_plan(pool, 1, np.random.default_rng(seed)) for seed in range(99))
        if plan.noise.id == "long" and plan.noise.start + plan.num_samples <= plan.noise.num_samples
    )
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


def test_silent_speech_stays_finite_and_silent_noise_is_refused(tones, tmp_path):
    assert not render(tones(gains=(0.0, 0.0))).mix.any()
    write_audio(tmp_path / "noise.wav", np.zeros(1000), subtype="FLOAT")
    with pytest.raises(UserError, match="noise.wav: wanted an SNR of 10 dB, found that the noise n is silent here"):
        render(tones())


def test_noise_of_one_value_is_silent_where_that_is_taken_out(tones, tmp_path):
    write_audio(tmp_path / "noise.wav", np.full(1000, 0.25), subtype="FLOAT")
    plan = tones()
    with pytest.raises(UserError, match="the noise n is silent here, from sample 700 on; redo stage 1"):
        render(dataclasses.replace(plan, noise=dataclasses.replace(plan.noise, dc=0.25)))


def test_what_the_plan_calls_an_offset_is_taken_out_of_source_and_noise(tones, tmp_path):
    plain, plan = render(tones()), tones()
    for name in ("0.wav", "noise.wav"):
        samples = read_audio(tmp_path / name)
        write_audio(tmp_path / name, samples + np.float32(0.03125), subtype="FLOAT")
    sources = (dataclasses.replace(plan.sources[0], dc=0.03125), plan.sources[1])
    moved = render(dataclasses.replace(plan, sources=sources, noise=dataclasses.replace(plan.noise, dc=0.03125)))
    assert np.abs(moved.mix - plain.mix).max() < 1e-6 < np.abs(render(plan).mix - plain.mix).max()


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
    heard = [
        meter.integrated_loudness(row[source.offset :][: source.num_samples])
        for row, source in zip(audio.sources, plan.sources, strict=True)
    ]
    assert heard[0] - heard[1] == pytest.approx(plan.sources[0].lufs - plan.sources[1].lufs, abs=0.1)
    assert np.abs(audio.sources.sum(axis=0) + audio.noise - audio.mix).max() <= 1e-6


# reading


@pytest.mark.parametrize("start, offsets", [(700, (0, 8000)), (0, (0, 0)), (15500, (0, 16000)), (15500, (0, 31000))])
def test_only_the_samples_that_are_needed_are_read(tones, tmp_path, start, offsets):
    """A noise of 1 s under a mixture of 2 s to 4 s, and one of 3 s that need not be read twice as a whole."""
    for size in (RATE, 3 * RATE):
        write_audio(tmp_path / "noise.wav", np.full(size, 0.1), subtype="FLOAT")
        plan = tones(offsets=offsets)
        plan = dataclasses.replace(plan, noise=Noise("n", plan.noise.path, start, size, 5.0))
        read = []

        def counted(path, start, num_samples, sample_rate, read=read):
            read.append((Path(path).name, num_samples))
            return read_audio(path, start, num_samples, sample_rate)

        audio = render(plan, counted)
        assert np.allclose(np.abs(audio.noise), np.abs(audio.noise[0]))
        assert read[:2] == [("0.wav", 2 * RATE), ("1.wav", 2 * RATE)]
        noise = [count for name, count in read[2:]]
        assert sum(noise) == min(plan.num_samples, noise[0] + size) and len(noise) <= 2


def test_another_process_with_another_instruction_set_renders_the_same_bits(mixtures, tmp_path):
    """numpy and BLAS choose their loops by the processor; here they are told to use simple ones."""
    write_plans(tmp_path / "plan.jsonl", [plan for plan, _ in mixtures])
    code = (
        "import sys, hashlib\n"
        "from wesep_mix.mixing.plan import read_plans\n"
        "from wesep_mix.mixing.render import render\n"
        "for plan in read_plans(sys.argv[1]):\n"
        "    audio = render(plan)\n"
        "    print(hashlib.sha256(audio.mix.tobytes() + audio.sources.tobytes()).hexdigest())\n"
    )
    features = "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL X86_V3 X86_V4"
    env = {**os.environ, "NPY_DISABLE_CPU_FEATURES": features, "OPENBLAS_CORETYPE": "Nehalem"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, tmp_path / "plan.jsonl"], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    own = [hashlib.sha256(audio.mix.tobytes() + audio.sources.tobytes()).hexdigest() for _, audio in mixtures]
    assert done.stdout.split() == own


# real speech


@pytest.fixture(scope="module", params=[2, 3])
def real_mixtures(request, tmp_path_factory):
    """Mixtures of 5 s of real utterances in noise, as the paper's settings draw them."""
    if not SPEECH:
        pytest.skip("../shared/data/LibriSpeech is not there")
    entries = [
        SpeechEntry(path.stem, path.stem.split("-")[0], "U", str(path), tuple(crops))
        for path in SPEECH[::21]
        if (crops := best_crops(read_audio(path), 5 * RATE, 2))
    ]
    noise = tmp_path_factory.mktemp("noise") / "noise.wav"
    write_audio(noise, np.random.default_rng(2).uniform(-0.3, 0.3, 6 * RATE))
    pool = Pool.of(entries, [NoiseEntry("n", str(noise), 6 * RATE, "white")], MixingConfig())
    plans = [draw_plan(pool, request.param, np.random.default_rng(seed)) for seed in range(5)]
    return [(plan, render(plan)) for plan in plans]


def test_real_speech_has_the_planned_levels_places_and_ratio(real_mixtures):
    meter = pyloudnorm.Meter(RATE)
    for plan, audio in real_mixtures:
        speech = audio.sources.sum(axis=0)
        assert 10 * np.log10(power(speech) / power(audio.noise)) == pytest.approx(plan.noise.snr_db, abs=0.1)
        assert np.abs(speech + audio.noise - audio.mix).max() <= 1e-6
        peak = np.abs(audio.mix).max()
        assert peak <= PEAK + 1e-6
        for source, samples in zip(plan.sources, audio.sources, strict=True):
            place = slice(source.offset, source.offset + source.num_samples)
            assert not np.delete(samples, np.r_[place]).any()
            crop = read_audio(source.path, source.start, source.num_samples) - np.float32(source.dc)
            crop = crop * np.float32(source.gain)
            scale = np.dot(samples[place], crop) / np.dot(crop, crop)
            assert scale == pytest.approx(1, abs=1e-6) or peak == pytest.approx(PEAK, abs=1e-6)
            assert np.allclose(samples[place], scale * crop, rtol=0, atol=1e-6)
            heard = meter.integrated_loudness(samples[place] / scale)
            assert heard == pytest.approx(source.lufs, abs=0.1)
        steps = np.diff([source.offset for source in plan.sources])
        assert (1 - steps / (5 * RATE)) * 5 * RATE == pytest.approx(np.array(plan.overlaps) * 5 * RATE, abs=1)
        assert all(0.5 - 1e-4 <= share <= 0.8 + 1e-4 for share in plan.overlaps)


def test_a_faster_talker_is_higher_and_as_long(tmp_path):
    """A tone of 500 Hz at a speed of 1.2 is one of 600 Hz."""
    times = np.arange(40000) / 16000
    write_audio(tmp_path / "tone.wav", np.float32(0.5 * np.sin(2 * np.pi * 500 * times)), subtype="FLOAT")
    source = Source("tone", "a", "F", str(tmp_path / "tone.wav"), 1000, 16000, 0, 0.5, -30.0)
    for speed in (0.8, 1.0, 1.2):
        rendered = render_source(dataclasses.replace(source, speed=speed), 16000)
        spectrum = np.abs(np.fft.rfft(rendered * np.hanning(16000)))
        assert len(rendered) == 16000 and rendered.dtype == np.float32 and spectrum.argmax() == round(500 * speed)
        assert np.abs(rendered[2000:-2000]).max() == pytest.approx(0.25, rel=1e-2)


def test_a_speed_keeps_inside_the_file(tmp_path):
    write_audio(tmp_path / "short.wav", np.ones(20000, dtype=np.float32) / 2, subtype="FLOAT")
    source = Source("short", "a", "F", str(tmp_path / "short.wav"), 3000, 16000, 7, 0.5, -30.0)
    assert at_speed(source, 1.2) == dataclasses.replace(source, speed=1.2, start=20000 - 19200)
    assert at_speed(source, 0.9) == dataclasses.replace(source, speed=0.9)
    assert at_speed(source, 1.3) == source  # 20800 samples are more than there are
