import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from wesep_mix.base import config
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_jsonl
from wesep_mix.base.names import SETS
from wesep_mix.corpora import librispeech
from wesep_mix.io.audio import read_audio
from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.prepare import load_pool, prepare_plans
from wesep_mix.preparation.lists import NoiseEntry, read_noises, read_speech, write_lists
from wesep_mix.preparation.settings import CorpusConfig

RATE = 16000


def contents(folder):
    """All but where the corpus lies, as seen from the folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "corpus.json"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def prepare(settings, prepared, out, num_spk=2):
    prepare_plans(settings, prepared / "lists", out, num_spk)
    return {name: read_plans(out / name / "plan.jsonl") for name in SETS}


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
    """What is drawn for a mixture depends on its utterances, not on how many mixtures there are."""
    few = prepare(settings, prepared, tmp_path / "few")
    many = prepare(dataclasses.replace(settings, mixtures=dict.fromkeys(SETS, 9)), prepared, tmp_path / "many")
    for name in SETS:
        assert set(few[name]) <= set(many[name]) and len(many[name]) == {"dev": 4}.get(name, 9)


def test_a_small_set_gives_every_mixture_once_and_says_so(prepared, settings, tmp_path, capsys):
    """Two speakers of two utterances: 4 pairs; four speakers: 24."""
    plans = prepare(dataclasses.replace(settings, mixtures=dict.fromkeys(SETS, 30)), prepared, tmp_path)
    for name, wanted in (("dev", 4), ("train", 24)):
        assert len(plans[name]) == wanted
        assert len({frozenset(source.utt for source in plan.sources) for plan in plans[name]}) == wanted
    assert "note: dev: 4 utterances make 4 different 2-talker mixtures, not 30" in capsys.readouterr().out


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
        {
            plan.id: plan
            for plan in prepare(
                dataclasses.replace(settings, single=dict.fromkeys(SETS, count)), prepared, tmp_path / str(count), 1
            )["train"]
        }
        for count in (3, 1000)
    )
    assert len(few) == 3 and few.items() <= many.items()


def with_noises(prepared, folder, *kinds):
    """The prepared lists with noises of these kinds in each set."""
    for name in SETS:
        noises = [NoiseEntry(f"{name}-{k}", f"/n/{name}-{k}.wav", RATE, kind) for k, kind in enumerate(kinds)]
        write_lists(folder / "lists" / name, read_speech(prepared / "lists" / name), noises)
    return folder


def test_the_single_speaker_set_takes_the_noise_that_it_is_told_to(prepared, settings, tmp_path):
    with_noises(prepared, tmp_path, "musan/noise/free-sound", "musan/noise/free-soundless", "musan/music/jazz")
    settings = dataclasses.replace(settings, single_noise={"train": ("musan/noise/free-sound", "musan/music")},
                                   single=dict.fromkeys(SETS, 1000))  # fmt: skip
    plans = prepare(settings, tmp_path, tmp_path / "single", num_spk=1)
    assert {plan.noise.id for plan in plans["train"]} == {"train-0", "train-2"}
    assert {plan.noise.id for plan in plans["test"]} == {"test-0", "test-1", "test-2"}
    assert [noise.id for noise in load_pool(tmp_path / "single" / "train").noises] == ["train-0", "train-2"]
    prepare(settings, tmp_path, tmp_path / "2mix")
    assert len(load_pool(tmp_path / "2mix" / "train").noises) == 3


def test_no_noise_of_that_kind_is_said(prepared, settings, tmp_path):
    with_noises(prepared, tmp_path, "babble", "coloured")
    with pytest.raises(UserError) as err:
        prepare(dataclasses.replace(settings, single_noise={"dev": ("wham",)}), tmp_path, tmp_path / "single", 1)
    assert str(err.value).endswith("lists/dev: wanted noise of kind wham (single_noise: dev), found babble, coloured")


def official(settings, folder, **how):
    """Settings that take rows of `folder`, and that folder with a row for each set."""
    for name, (one, other) in {"train": "ab", "dev": "ef", "test": "gh"}.items():
        spk = {"a": "ann", "b": "bob", "e": "eva", "f": "fay", "g": "gus", "h": "hal"}
        utts = [f"{spk[one]}-0", f"{spk[other]}-1"]
        (folder / f"libri2mix_sub-{name}.csv").write_text(
            "mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain\n"
            f"{'_'.join(utts)},x/{utts[0]}.flac,0.5,x/{utts[1]}.flac,2,tt/a.wav,1\n"
            f"{'_'.join(utts[::-1])},x/{utts[1]}.flac,0.25,x/{utts[0]}.flac,4,tt/a.wav,1\n"
        )
    corpus = librispeech.Config(subsets={name: (f"sub-{name}",) for name in SETS})
    return dataclasses.replace(settings, corpus=corpus, metadata_dir=str(folder), **how)


def test_plans_of_official_lists(prepared, settings, tmp_path):
    plans = prepare(official(settings, tmp_path), prepared, tmp_path / "2mix")
    assert [plan.id for plan in plans["train"]] == ["ann-0_bob-1", "bob-1_ann-0"]
    assert [source.gain for source in plans["train"][0].sources] == [0.5, 2.0]
    assert [plan.id for plan in plans["test"]] == ["gus-0_hal-1", "hal-1_gus-0"]
    few = official(settings, tmp_path, mixtures=dict.fromkeys(SETS, 1))
    plans = prepare(few, prepared, tmp_path / "few")
    assert [[plan.id for plan in plans[name]] for name in SETS] == [["ann-0_bob-1"], ["eva-0_fay-1"], ["gus-0_hal-1"]]


def test_official_lists_know_what_the_listing_left_out(prepared, settings, tmp_path):
    lists = with_noises(prepared, tmp_path, "babble") / "lists"
    speech = [entry for entry in read_speech(lists / "train") if entry.utt != "ann-0"]
    write_lists(lists / "train", speech, read_noises(lists / "train"))
    wanted = official(settings, tmp_path)
    with pytest.raises(UserError, match="libri2mix_sub-train.csv, line 2: .*wanted utterance ann-0.*2 such rows"):
        prepare(wanted, tmp_path, tmp_path / "2mix")
    write_jsonl(lists / "train" / "unused.jsonl", [{"utt": "ann-0", "spk": "ann", "path": "/a", "reason": "short"}])
    plans = prepare(wanted, tmp_path, tmp_path / "2mix")["train"]
    assert [plan.id for plan in plans] == ["ann-1_bob-1", "bob-1_ann-1"]


def test_official_lists_want_a_corpus_of_named_subsets(prepared, settings, tmp_path):
    wanted = dataclasses.replace(official(settings, tmp_path), corpus=librispeech.Config())
    with pytest.raises(UserError, match="LibriMix's lists are of subsets of LibriSpeech, found none named"):
        prepare(wanted, prepared, tmp_path / "2mix")
    assert not (tmp_path / "2mix").exists()


@pytest.mark.parametrize(
    "raw, said",
    [
        ({"single_noise": {"trian": ["a"]}}, "single_noise: wanted train, dev or test, found 'trian'"),
        ({"single_noise": {"dev": []}}, "single_noise.dev: wanted one or more"),
        ({"short": "keep"}, "short: wanted replace or drop, found 'keep'"),
    ],
)
def test_settings_that_make_no_sense(raw, said):
    with pytest.raises(UserError, match=f"corpus.yaml: {said}"):
        config.from_dict(CorpusConfig, {"corpus": {"name": "mini"}, **raw}, "corpus.yaml")


def test_the_pool_for_training_is_what_was_prepared(prepared, settings):
    pool = load_pool(prepared / "2mix" / "train")
    assert pool.config == settings.mixing and sorted(pool.speech) == ["ann", "bob", "cem", "dee"]
    assert [entry for entries in pool.speech.values() for entry in entries] == read_speech(prepared / "lists" / "train")
    assert pool.noises == read_noises(prepared / "lists" / "train")


def test_too_few_speakers_leave_nothing_half_made(prepared, settings, tmp_path):
    with pytest.raises(UserError, match="lists/dev: 3-talker mixtures need at least 3 speakers .*, found 2"):
        prepare_plans(settings, prepared / "lists", tmp_path / "3mix", 3)
    assert not (tmp_path / "3mix").exists()


@pytest.mark.parametrize(
    "sizes, said",
    [
        (
            {"train": 3, "dev": 2},
            ": wanted a positive number for each of train, dev, test, found {'train': 3, 'dev': 2}",
        ),
        ({"train": 3, "dev": 2, "test": 0}, ".test: wanted 1 or more, found 0"),
        ({"trian": 3, "dev": 2, "test": 1}, ": wanted train, dev or test, found 'trian'"),
    ],
)
@pytest.mark.parametrize("key", ["mixtures", "single"])
def test_sizes_of_all_sets_are_wanted(key, sizes, said):
    raw = {"corpus": {"name": "mini"}, key: sizes}
    with pytest.raises(UserError, match=f"^corpus.yaml: {key}{said}$"):
        config.from_dict(CorpusConfig, raw, "corpus.yaml")


def test_rendered_sets_hold_speech(prepared):
    """The crops that the lists name are where the sound is."""
    for plan in read_plans(prepared / "single" / "test" / "plan.jsonl"):
        source = plan.sources[0]
        assert np.abs(read_audio(source.path, source.start, source.num_samples)).max() > 0.1


def test_a_disk_that_takes_short_names_only_is_told_beforehand(prepared, settings, tmp_path, monkeypatch):
    """As encrypted home folders do: 143 bytes."""
    monkeypatch.setattr("os.pathconf", lambda folder, name: {"PC_NAME_MAX": 30}[name])
    with pytest.raises(UserError, match="2mix: wanted a disk that takes file names of 3. bytes .mixture .*takes 30;"):
        prepare_plans(settings, prepared / "lists", tmp_path / "2mix", 2)
    assert not list(tmp_path.rglob("plan.jsonl"))
