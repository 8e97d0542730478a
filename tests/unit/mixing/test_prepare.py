import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from wesep_mix import config
from wesep_mix.corpora import librispeech
from wesep_mix.corpora.noise import NoiseConfig
from wesep_mix.corpora.split import Split
from wesep_mix.errors import UserError
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.mixing.draw import MixingConfig
from wesep_mix.mixing.lists import read_noises, read_speech
from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.listing import _speech_entries, prepare_lists
from wesep_mix.mixing.prepare import load_pool, prepare_plans
from wesep_mix.mixing.settings import SETS, CorpusConfig

RATE = 16000


@pytest.fixture
def speech(tmp_path, buzz):
    """Speech in LibriSpeech layout: six speakers, an utterance of 1.5 s and one of 0.9 s each."""
    root = tmp_path / "speech"
    for place in range(6):
        for number, seconds in enumerate((1.5, 0.9)):
            write_audio(root / f"{place}" / "7" / f"{place}-7-{number}.flac", buzz(100 + 15 * place, seconds))
    return root


def settings_of(speech, **mixing) -> CorpusConfig:
    corpus = librispeech.Config(
        speech_dir=str(speech), split=Split(dev=0.33, test=0.33), noise=NoiseConfig(files_per_kind=1, seconds=1.0)
    )
    return CorpusConfig(corpus=corpus, mixing=MixingConfig(**mixing))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def prepare(settings, prepared, out, num_spk=2):
    prepare_plans(settings, prepared / "lists", out, num_spk)
    return {name: read_plans(out / name / "plan.jsonl") for name in SETS}


# lists


def test_utterances_that_are_too_short_are_dropped_with_a_note(speech, tmp_path, capsys):
    prepare_lists(settings_of(speech, segment_s=1.0), tmp_path / "corpus", nj=1)
    said = capsys.readouterr().out
    for name in SETS:
        entries = read_speech(tmp_path / "corpus" / "lists" / name)
        assert len(entries) == 2 and all(entry.utt.endswith("-0") for entry in entries)
        assert f"note: {name} speech: 2 of 4 utterances lack 1 s with speech and are not used" in said


def test_every_crop_lies_in_its_file_and_noises_have_their_length(speech, tmp_path):
    prepare_lists(settings_of(speech, segment_s=0.5), tmp_path / "corpus", nj=1)
    for name in SETS:
        entries = read_speech(tmp_path / "corpus" / "lists" / name)
        assert len(entries) == 4
        for entry in entries:
            assert 1 <= len(entry.crops) <= 4
            assert all(0 <= crop.start <= soundfile.info(entry.path).frames - RATE // 2 for crop in entry.crops)
        assert [noise.num_samples for noise in read_noises(tmp_path / "corpus" / "lists" / name)] == [RATE] * 3


def test_nothing_long_enough_is_an_error(speech, tmp_path):
    with pytest.raises(UserError, match="train speech: none of 4 utterances has 3 s with speech"):
        prepare_lists(settings_of(speech, segment_s=3.0), tmp_path / "corpus", nj=1)


def test_the_number_of_processes_changes_nothing(speech, tmp_path):
    settings = settings_of(speech, segment_s=0.5)
    utterances = librispeech.collect(settings.corpus, tmp_path, nj=1).speech["train"]
    one, two = (_speech_entries(utterances, settings, nj, "train") for nj in (1, 2))
    assert one == two and len(one) == 4


def test_stereo_is_said_once_a_set_and_its_first_channel_is_used(speech, tmp_path, capsys):
    settings = settings_of(speech, segment_s=1.0)
    prepare_lists(settings, tmp_path / "mono", nj=1)
    capsys.readouterr()
    for entry in read_speech(tmp_path / "mono" / "lists" / "train"):
        samples = read_audio(entry.path)
        soundfile.write(entry.path, np.stack([samples, 0 * samples], axis=1), RATE)
    prepare_lists(settings, tmp_path / "stereo", nj=1)
    said = [line for line in capsys.readouterr().out.splitlines() if "channels" in line]
    assert len(said) == 1
    assert said[0].startswith("note: train speech: 2 files have several channels, the first is used: ")
    mono, stereo = (contents(tmp_path / name / "lists" / "train") for name in ("mono", "stereo"))
    assert mono["utterances.jsonl"] == stereo["utterances.jsonl"]


def spoilt(kind):
    def spoil(path):
        if kind == "truncated":
            path.write_bytes(path.read_bytes()[:2000])
        elif kind == "8 kHz":
            write_audio(path, read_audio(path), 8000)
        elif kind == "empty":
            path.write_bytes(b"")

    return spoil


@pytest.mark.parametrize("kind", ["truncated", "8 kHz", "empty"])
def test_a_damaged_file_is_named_and_up_to_max_bad_are_left_out(speech, tmp_path, kind, capsys):
    settings = settings_of(speech, segment_s=0.5)
    prepare_lists(settings, tmp_path / "good", nj=1)
    victim = read_speech(tmp_path / "good" / "lists" / "dev")[0]
    spoilt(kind)(speech / victim.spk / "7" / f"{victim.utt}.flac")
    settings = dataclasses.replace(
        settings, corpus=dataclasses.replace(settings.corpus, noise_dir=str(tmp_path / "good" / "noise"))
    )
    with pytest.raises(UserError, match=f"dev speech: .*{victim.utt}.flac: "):
        prepare_lists(settings, tmp_path / "corpus", nj=1)
    capsys.readouterr()
    prepare_lists(dataclasses.replace(settings, max_bad=1), tmp_path / "corpus", nj=1)
    assert [entry.utt for entry in read_speech(tmp_path / "corpus" / "lists" / "dev")].count(victim.utt) == 0
    assert f"left out: {victim.path}: " in capsys.readouterr().err


# plans


def test_fixed_plans_are_different_sorted_and_of_their_own_set(prepared, settings):
    for name in SETS:
        plans = read_plans(prepared / "2mix" / name / "plan.jsonl")
        ids = [plan.id for plan in plans]
        assert len(ids) == settings.mixtures[name] == len(set(ids)) and ids == sorted(ids)
        own = {entry.utt for entry in read_speech(prepared / "lists" / name)}
        assert all(len(plan.sources) == 2 and {source.utt for source in plan.sources} <= own for plan in plans)
        assert all(plan.noise.id == f"{name}-noise" for plan in plans)
        assert all(plan.sources[0].spk != plan.sources[1].spk for plan in plans)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(prepared, settings, tmp_path):
    prepare(settings, prepared, tmp_path / "again")
    prepare(dataclasses.replace(settings, seed=1), prepared, tmp_path / "other")
    before = contents(prepared / "2mix")
    before.pop(".stage.json")
    assert contents(tmp_path / "again") == before
    other = contents(tmp_path / "other")
    assert other.keys() == before.keys()
    assert {name for name in before if other[name] != before[name]} == {f"{name}/plan.jsonl" for name in SETS}


def test_more_plans_begin_with_the_fewer(prepared, settings, tmp_path):
    """What is drawn for a mixture depends on its number, not on how many there are."""
    few = prepare(settings, prepared, tmp_path / "few")
    many = prepare(dataclasses.replace(settings, mixtures=dict.fromkeys(SETS, 5)), prepared, tmp_path / "many")
    for name in SETS:
        assert set(few[name]) <= set(many[name]) and len(many[name]) == 5


def test_a_small_set_gives_every_mixture_once(prepared, settings, tmp_path):
    """Two speakers of two utterances: 8 ordered pairs."""
    plans = prepare(dataclasses.replace(settings, mixtures=dict.fromkeys(SETS, 30)), prepared, tmp_path)
    assert len(plans["dev"]) == len({plan.id for plan in plans["dev"]}) == 8
    assert len(plans["train"]) == 30


def test_fixed_mixtures_use_the_best_crop(prepared, settings):
    best = {entry.utt: entry.crops[0].start for entry in read_speech(prepared / "lists" / "train")}
    plans = read_plans(prepared / "2mix" / "train" / "plan.jsonl")
    assert all(source.start == best[source.utt] for plan in plans for source in plan.sources)


def test_single_plans_take_every_utterance_before_any_second_crop(prepared, settings, tmp_path):
    entries = read_speech(prepared / "lists" / "train")
    crops = sum(len(entry.crops) for entry in entries)
    assert crops > len(entries) == 8
    sizes = dataclasses.replace(settings, single=dict.fromkeys(SETS, 1000))
    plans = prepare(sizes, prepared, tmp_path / "all", num_spk=1)["train"]
    starts = {entry.utt: [crop.start for crop in entry.crops] for entry in entries}
    assert [plan.id for plan in plans[:8]] == [f"{utt}-0" for utt in sorted(starts)]
    assert len(plans) == crops == len({plan.id for plan in plans})
    for plan in plans:
        (source,) = plan.sources
        utt, turn = plan.id.rsplit("-", 1)
        assert source.utt == utt and source.start == starts[utt][int(turn)]
        assert source.offset == 0 and plan.num_samples == source.num_samples == RATE // 2 and plan.overlaps == ()
    turns = [int(plan.id.rsplit("-", 1)[1]) for plan in plans]
    assert all(before <= after for before, after in pairwise(turns))


def test_fewer_single_plans_than_utterances_are_spread_over_the_speakers(prepared, settings, tmp_path):
    plans = prepare(dataclasses.replace(settings, single=dict.fromkeys(SETS, 4)), prepared, tmp_path, 1)["train"]
    assert len(plans) == 4 and len({plan.sources[0].spk for plan in plans}) >= 3


def test_a_single_plan_does_not_depend_on_the_others(prepared, settings, tmp_path):
    few, many = (
        {plan.id: plan for plan in prepare(dataclasses.replace(settings, single=dict.fromkeys(SETS, count)), prepared,
                                           tmp_path / str(count), 1)["train"]}
        for count in (3, 1000)
    )
    assert len(few) == 3 and few.items() <= many.items()


def test_the_pool_for_training_is_what_was_prepared(prepared, settings):
    pool = load_pool(prepared / "2mix" / "train")
    assert pool.config == settings.mixing and sorted(pool.speech) == ["ann", "bob", "cem", "dee"]
    assert [entry for entries in pool.speech.values() for entry in entries] == read_speech(prepared / "lists" / "train")
    assert pool.noises == read_noises(prepared / "lists" / "train")


def test_too_few_speakers_leave_nothing_half_made(prepared, settings, tmp_path):
    with pytest.raises(UserError, match="lists/dev: 3-talker mixtures need at least 3 speakers .*, found 2"):
        prepare_plans(settings, prepared / "lists", tmp_path / "3mix", 3)
    assert not (tmp_path / "3mix").exists()


@pytest.mark.parametrize("sizes", [
    {"train": 3, "dev": 2}, {"train": 3, "dev": 2, "test": 0}, {"trian": 3, "dev": 2, "test": 1},
])
@pytest.mark.parametrize("key", ["mixtures", "single"])
def test_sizes_of_all_sets_are_wanted(key, sizes):
    raw = {"corpus": {"name": "mini"}, key: sizes}
    with pytest.raises(UserError, match=f"corpus.yaml: {key}: wanted a positive number for each of train, dev, test"):
        config.from_dict(CorpusConfig, raw, "corpus.yaml")


def test_rendered_sets_hold_speech(prepared):
    """The crops that the lists name are where the sound is."""
    for plan in read_plans(prepared / "single" / "test" / "plan.jsonl"):
        source = plan.sources[0]
        assert np.abs(read_audio(source.path, source.start, source.num_samples)).max() > 0.1
