import dataclasses

import numpy as np
import pytest

from wesep_mix.base import config
from wesep_mix.base.errors import UserError
from wesep_mix.mixing.draw import Pool, check_enough_speakers, draw_enrolment, draw_plan, enrolment_plans
from wesep_mix.mixing.plan import speaker_keys
from wesep_mix.mixing.render import render
from wesep_mix.preparation.settings import MixingConfig

SIZE = 16000


@pytest.fixture(scope="module")
def drawn(pool):
    """300 mixtures of three."""
    return [draw_plan(pool, 3, np.random.default_rng(seed)) for seed in range(300)]


def test_speakers_of_a_mixture_are_different_and_all_come(drawn):
    for plan in drawn:
        assert len({source.spk for source in plan.sources}) == 3
    for place in range(3):
        assert len({plan.sources[place].spk for plan in drawn}) == 5


@pytest.mark.parametrize("num_spk", [1, 2, 3, 4, 5])
def test_any_number_of_speakers(pool, num_spk):
    plan = draw_plan(pool, num_spk, np.random.default_rng(0))
    assert len({source.spk for source in plan.sources}) == len(plan.sources) == num_spk
    assert len(plan.overlaps) == num_spk - 1
    assert plan.id == "_".join(source.utt for source in plan.sources)
    assert plan.num_samples == plan.sources[-1].offset + SIZE


def test_overlaps_are_uniform_in_their_range_and_what_the_offsets_say(drawn):
    overlaps = np.array([plan.overlaps for plan in drawn])
    assert overlaps.min() >= 0.5 - 1 / SIZE and overlaps.max() <= 0.8 + 1 / SIZE
    assert overlaps.min() < 0.51 and overlaps.max() > 0.79
    assert overlaps.mean() == pytest.approx(0.65, abs=0.02)
    assert np.corrcoef(overlaps.T)[0, 1] == pytest.approx(0, abs=0.2)
    for plan in drawn:
        offsets = [source.offset for source in plan.sources]
        assert offsets[0] == 0
        assert [1 - step / SIZE for step in np.diff(offsets)] == pytest.approx(plan.overlaps, abs=1e-12)


def test_levels_are_uniform_in_their_range_and_gains_lead_to_them(pool, drawn):
    lufs = [source.lufs for plan in drawn for source in plan.sources]
    assert -33 <= min(lufs) < -32.8 and -25.2 < max(lufs) <= -25
    assert np.mean(lufs) == pytest.approx(-29, abs=0.3)
    for source in drawn[0].sources:
        entry = next(entry for entry in pool.speech[source.spk] if entry.utt == source.utt)
        crop = next(crop for crop in entry.crops if crop.start == source.start)
        assert 20 * np.log10(source.gain) == pytest.approx(source.lufs - crop.lufs)


def test_noise_has_every_mode_every_file_and_any_start(pool, drawn):
    noises = [plan.noise for plan in drawn]
    shares = [np.mean([noise.snr_db == mode for noise in noises]) for mode in (5.0, 10.0, 15.0)]
    assert sum(shares) == 1 and min(shares) > 0.25
    for entry in pool.noises:
        starts = [noise.start for noise in noises if noise.id == entry.id]
        assert len(starts) > 100
        assert 0 <= min(starts) < 0.1 * entry.num_samples and 0.9 * entry.num_samples < max(starts) < entry.num_samples


def test_training_takes_any_crop_and_fixed_sets_the_best(pool, drawn):
    crops = {entry.utt: [crop.start for crop in entry.crops] for entries in pool.speech.values() for entry in entries}
    assert min(map(len, crops.values())) > 1
    seen = {(source.utt, source.start) for plan in drawn for source in plan.sources}
    assert seen == {(utt, start) for utt, starts in crops.items() for start in starts}
    for seed in range(20):
        plan = draw_plan(pool, 2, np.random.default_rng(seed), best_crop=True)
        assert [source.start for source in plan.sources] == [crops[source.utt][0] for source in plan.sources]


def test_a_plan_depends_on_its_generator_alone(pool):
    turned = Pool(dict(reversed(pool.speech.items())), pool.noises, pool.config)
    plans = [draw_plan(given, 2, np.random.default_rng(7)) for given in (pool, pool, turned)]
    assert plans[0] == plans[1] == plans[2] != draw_plan(pool, 2, np.random.default_rng(8))


def test_too_few_speakers_say_how_many_are_wanted(pool):
    check_enough_speakers(pool, 5, "data/mini/lists/dev")
    with pytest.raises(UserError) as err:
        check_enough_speakers(pool, 6, "data/mini/lists/dev")
    ann = pool.speech["ann"][0].path
    assert str(err.value).startswith(
        "data/mini/lists/dev: 6-talker mixtures need at least 6 speakers with 1 s of speech, found 5; lower "
        f"--num_spk or add speakers to this set. Taken for speakers: ann of {ann}, "
    )


def test_no_noise_is_said(pool):
    with pytest.raises(UserError, match="lists/dev: no noise file of this set"):
        check_enough_speakers(Pool(pool.speech, [], pool.config), 2, "lists/dev")


@pytest.mark.parametrize(
    "raw, said",
    [
        ({"overlap": [0.8, 0.5]}, r"overlap: wanted \[low, high\]"),
        ({"overlap": [0.5]}, r"overlap: wanted \[low, high\]"),
        ({"overlap": [0.5, 1.1]}, r"overlap\[1\]: wanted a share between 0 and 1, found 1.1"),
        ({"overlap": [-0.1, 0.5]}, r"overlap\[0\]: wanted a share between 0 and 1, found -0.1"),
        ({"lufs": [-25, -33]}, r"lufs: wanted \[low, high\]"),
        ({"lufs": [-33, -30, -25]}, r"lufs: wanted \[low, high\]"),
        ({"snr_db": []}, "snr_db: wanted one or more, found"),
        ({"max_crops": 0}, "max_crops: wanted 1 or more, found 0"),
        ({"segment_s": 0}, "segment_s: wanted at least 0.4"),
        ({"segment_s": 0.39}, "segment_s: wanted at least 0.4"),
    ],
)
def test_settings_that_make_no_sense(raw, said):
    with pytest.raises(UserError, match=f"^corpus.yaml: {said}"):
        config.from_dict(MixingConfig, raw, "corpus.yaml")


def test_one_level_and_no_overlap_are_allowed(pool):
    fixed = Pool(pool.speech, pool.noises, MixingConfig(1.0, overlap=(0, 0), lufs=(-30, -30), snr_db=(7,)))
    plan = draw_plan(fixed, 2, np.random.default_rng(0))
    assert plan.num_samples == 2 * SIZE and plan.overlaps == (0.0,)
    assert {source.lufs for source in plan.sources} == {-30.0} and plan.noise.snr_db == 7.0


# enrolment


def enrolments_of(pool, source) -> set:
    drawn = [draw_enrolment(pool, source, np.random.default_rng(seed)) for seed in range(60)]
    for one in drawn:
        assert (one.spk, one.offset) == (source.spk, 0)
        assert pool.config.lufs[0] <= one.lufs <= pool.config.lufs[1]
    return {(one.utt, one.start, one.num_samples) for one in drawn}


def test_an_enrolment_is_any_crop_of_any_other_utterance_of_the_speaker(pool, drawn):
    for source in drawn[0].sources:
        others = [entry for entry in pool.speech[source.spk] if entry.utt != source.utt]
        assert enrolments_of(pool, source) == {
            (entry.utt, crop.start, SIZE) for entry in others for crop in entry.crops
        }


def test_a_speaker_of_one_utterance_gives_another_crop_of_it_or_else_the_same(pool, drawn):
    source = drawn[0].sources[0]
    entry = next(entry for entry in pool.speech[source.spk] if entry.utt == source.utt)
    other = {(entry.utt, crop.start, SIZE) for crop in entry.crops if crop.start != source.start}
    assert other and enrolments_of(dataclasses.replace(pool, speech={source.spk: [entry]}), source) == other
    only = dataclasses.replace(entry, crops=tuple(crop for crop in entry.crops if crop.start == source.start))
    for speech in ({source.spk: [only]}, {}):
        same = draw_enrolment(dataclasses.replace(pool, speech=speech), source, np.random.default_rng(0))
        assert same == dataclasses.replace(source, offset=0)


def test_every_talker_of_every_mixture_is_enrolled_with_another_utterance_in_noise_at_an_snr_of_the_mixtures(pool):
    rng = np.random.default_rng(0)
    fixed = dataclasses.replace(pool, config=MixingConfig(1.0, snr_db=(3.0, 9.0)))
    plans = [draw_plan(fixed, 2, rng) for _ in range(8)]
    found = enrolment_plans(plans, fixed, 0, "here")
    assert [one.id for one in found] == [key for plan in plans for key in speaker_keys(plan)]
    for one, source in zip(found, [source for plan in plans for source in plan.sources], strict=True):
        (other,) = one.sources
        assert other.spk == source.spk and other.utt != source.utt and other.offset == 0
        assert one.num_samples == other.num_samples == SIZE
        audio = render(one)
        speech, noise = (float(np.square(part, dtype=np.float64).mean()) for part in (audio.sources, audio.noise))
        assert 10 * np.log10(speech / noise) == pytest.approx(one.noise.snr_db, abs=1e-3)
    assert {one.noise.snr_db for one in found} == {3.0, 9.0}


def test_enrolments_depend_on_seed_mixture_and_talker_but_not_on_order(pool):
    rng = np.random.default_rng(0)
    plans = [draw_plan(pool, 3, rng) for _ in range(4)]
    found = {one.id: one for one in enrolment_plans(plans, pool, 0, "here")}
    assert {one.id: one for one in enrolment_plans(plans[::-1], pool, 0, "here")} == found
    assert {one.id: one for one in enrolment_plans(plans[2:], pool, 0, "here")}.items() <= found.items()
    assert {one.id: one for one in enrolment_plans(plans, pool, 1, "here")} != found


def test_a_talker_without_another_utterance_is_named_with_what_to_do(pool):
    plan = draw_plan(pool, 2, np.random.default_rng(0))
    alone = plan.sources[1]
    own = [entry for entry in pool.speech[alone.spk] if entry.utt == alone.utt]
    poor = dataclasses.replace(pool, speech={**pool.speech, alone.spk: own})
    said = (
        f"^data/test: mixture {plan.id}: wanted another utterance of {alone.spk} to enrol with, found none beside "
        f"{alone.utt}; .*score.enrolments=false"
    )
    with pytest.raises(UserError, match=said):
        enrolment_plans([plan], poor, 0, "data/test")
