"""What extractors are with_cues on: drawn as asked, by the item alone, beside a stream that stays as it is."""

import dataclasses

import numpy as np
import pytest
import torch

from wesep_mix.data.batch import collate
from wesep_mix.data.cues import ENROLMENT, KINDS, NOBODY, MixturesWithCues, with_cues
from wesep_mix.data.datasets import (
    DynamicMixtures,
    FixedMixtures,
    StaticMixtures,
    Turn,
    dynamic_loader,
    loader_in_order,
)
from wesep_mix.data.prepared import PreparedSet
from wesep_mix.mixing.render import render_source
from wesep_mix.preparation.lists import read_noises, read_speech, write_lists


def by_kind(*probabilities: float) -> dict[str, float]:
    return dict(zip(KINDS, probabilities, strict=True))


MIXED = by_kind(0.5, 0.2, 0.3)


@pytest.fixture
def stream(pool):
    return MixturesWithCues(DynamicMixtures(pool, 2, seed=3), MIXED, pool, seed=3)


def test_the_mixtures_are_those_of_the_stream_without_conditions(pool, plans):
    turn = Turn(1, 4, 9)
    for mixtures, item in (
        (DynamicMixtures(pool, 2, 3), turn),
        (StaticMixtures(plans, 3), turn),
        (FixedMixtures(plans), 2),
    ):
        plain, given = mixtures[item], MixturesWithCues(mixtures, MIXED, pool, 3)[item]
        assert given.plan == plain.plan and np.array_equal(given.chance, plain.chance) and plain.cues is None
        assert np.array_equal(given.audio.mix, plain.audio.mix)
    assert len(MixturesWithCues(FixedMixtures(plans), MIXED, pool, 0)) == len(plans)


def test_kinds_come_as_often_as_asked_each_talker_by_itself(pool, plans):
    mixtures = MixturesWithCues(FixedMixtures(plans), MIXED, pool, 0)
    first = FixedMixtures(plans)[0]
    mixtures.mixtures = [first] * 600
    kinds = np.array([mixtures[place].cues.kinds for place in range(600)])
    assert kinds.shape == (600, 2)
    for talker in range(2):
        shares = [np.mean(kinds[:, talker] == kind) for kind in range(3)]
        assert shares == pytest.approx(list(MIXED.values()), abs=0.06)
    assert abs(np.corrcoef(kinds.T)[0, 1]) < 0.12


@pytest.mark.parametrize("kind", range(3))
def test_a_kind_of_probability_1_is_the_only_one(pool, kind):
    only = by_kind(*(float(place == kind) for place in range(3)))
    stream = MixturesWithCues(DynamicMixtures(pool, 2, 0), only, pool, 0)
    found = [stream[Turn(0, index, index)].cues for index in range(5)]
    assert {place for one in found for place in one.kinds} == {kind}
    assert all(len(one.enrolments) == len(one.audio) == 2 * (KINDS[kind] == "enrolment") for one in found)


def test_an_enrolment_is_speech_of_the_same_talker_from_another_utterance(stream, pool):
    drawn = 0
    for index in range(20):
        example = stream[Turn(0, index, index)]
        asked = [
            source for source, kind in zip(example.plan.sources, example.cues.kinds, strict=True) if kind == ENROLMENT
        ]
        given = zip(asked, example.cues.enrolments, example.cues.audio, strict=True)
        for source, enrolment, audio in given:
            drawn += 1
            assert enrolment.spk == source.spk and enrolment.utt != source.utt
            assert np.array_equal(audio, render_source(enrolment, 16000)) and np.abs(audio).max() > 0
    assert drawn > 5


def test_an_enrolment_is_as_fast_as_its_talker(pool):
    stream = MixturesWithCues(DynamicMixtures(pool, 2, 0, speeds=(0.9, 1.1)), by_kind(0, 0, 1), pool, 0)
    for index in range(5):
        example = stream[Turn(0, index, index)]
        for source, enrolment in zip(example.plan.sources, example.cues.enrolments, strict=True):
            assert enrolment.speed in (source.speed, 1.0)  # 1 where its file is too short
            assert enrolment.speed == source.speed or source.speed == 1.1


def test_they_depend_on_seed_epoch_and_index_alone(pool):
    def conditions(seed, *places):
        stream = MixturesWithCues(DynamicMixtures(pool, 2, 0), by_kind(0, 0, 1), pool, seed)
        return [[(one.utt, one.start, one.lufs) for one in stream[Turn(*place, 0)].cues.enrolments] for place in places]

    places = [(epoch, index) for epoch in range(2) for index in range(4)]
    first = conditions(5, *places)
    assert conditions(5, *reversed(places)) == first[::-1]
    assert conditions(6, *places) != first and first[:4] != first[4:]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_are_the_same_for_any_number_of_workers_and_dev_every_time(pool, plans, stream, num_workers):
    fixed = MixturesWithCues(FixedMixtures(plans), MIXED, pool, 0)
    drawn = [stream[Turn(0, k, k)] for k in range(4)], [fixed[k] for k in range(4)]
    loaders = dynamic_loader(stream, 4, 1, num_workers), loader_in_order(fixed, 4, num_workers)
    for loader, examples in zip(loaders, drawn, strict=True):
        (batch,) = loader
        again = collate(examples)
        ours, theirs = batch.cues, again.cues
        assert ours.enrolments == theirs.enrolments
        assert all(torch.equal(getattr(ours, name), getattr(theirs, name)) for name in ("kinds", "wav", "num_samples"))


def test_a_batch_has_the_enrolments_there_are_mixture_by_mixture(pool):
    stream = MixturesWithCues(DynamicMixtures(pool, 3, 0, min_talkers=1), by_kind(0.4, 0, 0.6), pool, 0)
    examples = [stream[Turn(0, index, index)] for index in range(6)]
    short = examples[0].cues
    assert short.audio
    examples[0] = dataclasses.replace(
        examples[0], cues=dataclasses.replace(short, audio=(short.audio[0][:50], *short.audio[1:]))
    )
    batch = collate(examples)
    kinds, found = batch.cues.kinds, batch.cues
    assert kinds.shape == (6, 3) and torch.equal(kinds != NOBODY, batch.talkers())
    audio = [samples for example in examples for samples in example.cues.audio]
    assert len(found.enrolments) == len(audio) == int((kinds == ENROLMENT).sum())
    for row, size, samples in zip(found.wav, found.num_samples.tolist(), audio, strict=True):
        assert size == len(samples) and np.array_equal(row[:size].numpy(), samples) and not row[size:].any()
    moved = batch.to(torch.device("meta"))
    assert moved.cues.kinds.device.type == moved.cues.wav.device.type == "meta"


def test_a_batch_without_an_enrolment_or_without_conditions(pool):
    mixtures = DynamicMixtures(pool, 2, 0)
    stream = MixturesWithCues(mixtures, by_kind(1, 0, 0), pool, 0)
    batch = collate([stream[Turn(0, 0, 0)]])
    assert batch.cues.wav.shape == (0, 0) and batch.cues.enrolments == []
    assert collate([mixtures[Turn(0, 0, 0)]]).cues is None


def test_speakers_of_one_utterance_are_said_once(prepared, tmp_path, plans, capsys):
    train = prepared / "2mix" / "train"
    with_cues(FixedMixtures(plans), PreparedSet(train), MIXED, 0, "all")
    assert capsys.readouterr().out == ""
    folder = tmp_path / "2mix" / "train"
    kept = [entry for entry in read_speech(train) if entry.utt != "bob-1"]
    write_lists(folder, kept, read_noises(train))
    (folder.parent / "mixing.json").write_text((train.parent / "mixing.json").read_text())
    mixtures = with_cues(FixedMixtures(plans), PreparedSet(folder), MIXED, 0, "all")
    assert all(mixtures[place].cues for place in range(len(plans)))
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and f"note: {folder}: 1 of 4 speakers (such as bob) have one utterance" in said
    with_cues(FixedMixtures(plans), PreparedSet(folder), by_kind(1, 0, 0), 0, "all")
    assert capsys.readouterr().out == ""


def test_of_one_target_a_mixture_only_that_ones_condition_is_made(pool):
    mixtures, given = DynamicMixtures(pool, 2, 0), by_kind(0.2, 0.1, 0.7)
    turns = [Turn(0, index, index) for index in range(12)]
    everyone = MixturesWithCues(mixtures, given, pool, 0)
    one = MixturesWithCues(mixtures, given, pool, 0, targets="random")
    whole, found = ([stream[turn].cues for turn in turns] for stream in (everyone, one))
    chosen = (collate([mixtures[turn] for turn in turns]).chance[:, 0] * 2).long().tolist()
    for target, theirs, ours in zip(chosen, whole, found, strict=True):
        assert ours.kinds[target] == theirs.kinds[target] and ours.kinds[1 - target] == NOBODY
        enrolments = dict(zip(np.flatnonzero(theirs.kinds == ENROLMENT), theirs.enrolments, strict=True))
        assert ours.enrolments == ((enrolments[target],) if target in enrolments else ())
        assert len(ours.audio) == len(ours.enrolments)
    assert set(chosen) == {0, 1} and 0 < sum(len(ours.audio) for ours in found) < sum(len(one.audio) for one in whole)
