"""Effects on what is trained on: drawn as asked, by the item alone, beside a stream that stays as it is."""

import dataclasses

import numpy as np
import pytest
import soundfile

from wesep_mix.base import installed
from wesep_mix.base.config import from_dict
from wesep_mix.base.errors import UserError
from wesep_mix.data.batch import collate
from wesep_mix.data.datasets import DynamicMixtures, Turn
from wesep_mix.data.effects import MixturesWithEffects, rooms_of, with_effects
from wesep_mix.preparation.settings import EffectsConfig

KINDS = ("reverberation", "clipping", "band_limit", "codec")


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for place in range(3):
        response = 0.1 * rng.standard_normal(3000) * np.exp(-np.arange(3000) / 700)
        response[10 + place] = 1
        soundfile.write(tmp_path / f"{place}.wav", response.clip(-1, 1), 16000)
    return str(tmp_path)


@pytest.fixture
def stream(pool):
    return DynamicMixtures(pool, 2, seed=3)


def turns(num):
    return [Turn(1, place, 10 + place) for place in range(num)]


def test_without_effects_the_stream_is_the_same_object(stream):
    assert with_effects(stream, EffectsConfig(), 2, 0) is stream


@pytest.mark.parametrize("kind", KINDS)
def test_one_effect_changes_the_mixture_and_nothing_that_is_drawn(stream, folder, kind):
    changed = with_effects(stream, EffectsConfig(rooms=folder, **{kind: 1.0}), 2, 5)
    for turn in turns(3):
        plain, done = stream[turn], changed[turn]
        assert done.plan == plain.plan and np.array_equal(done.chance, plain.chance)
        assert not np.array_equal(done.audio.mix, plain.audio.mix)
        if kind in ("reverberation", "band_limit"):
            assert np.array_equal(done.dry, plain.audio.sources)
            assert not np.allclose(done.audio.sources, plain.audio.sources, atol=1e-4)
        else:
            assert done.dry is None and np.array_equal(done.audio.sources, plain.audio.sources)


def test_the_same_item_has_the_same_effects_and_another_seed_others(stream, folder):
    config = EffectsConfig(rooms=folder, **dict.fromkeys(KINDS, 0.7))
    first, again, other = (with_effects(stream, config, 2, seed) for seed in (5, 5, 6))
    heard = [[dataset[turn].audio.mix for turn in turns(4)] for dataset in (first, again, other)]
    assert all(np.array_equal(one, two) for one, two in zip(heard[0], heard[1], strict=True))
    assert any(not np.array_equal(one, two) for one, two in zip(heard[0], heard[2], strict=True))


def test_effects_come_as_often_as_asked(stream):
    dataset = with_effects(stream, EffectsConfig(clipping=0.3), 2, 0)
    clipped = [not np.array_equal(dataset[turn].audio.mix, stream[turn].audio.mix) for turn in turns(60)]
    assert 9 <= sum(clipped) <= 27  # 18 expected; this far off in one of 100 seeds


def test_effects_happen_in_the_order_of_sound(monkeypatch, stream):
    done = []

    def noted(name, audio, rng, rooms):
        done.append(name)
        return audio

    monkeypatch.setattr("wesep_mix.data.effects.applied", noted)
    MixturesWithEffects(stream, EffectsConfig(rooms="somewhere", **dict.fromkeys(KINDS, 1.0)), None, 0)[turns(1)[0]]
    assert tuple(done) == KINDS


def test_a_batch_has_dry_crops_beside_reverberant_sources(stream, folder):
    """What a teacher embeds does not depend on the room; what an extractor learns does."""
    turn = turns(2)
    plain = [stream[one] for one in turn]
    wet = with_effects(stream, EffectsConfig(rooms=folder, reverberation=1.0), 2, 5)[turn[0]]
    dry_batch, batch = collate(plain), collate([wet, plain[1]])
    assert dry_batch.dry is None and batch.dry is not None
    assert np.array_equal(batch.crops().numpy(), dry_batch.crops().numpy())
    assert not np.allclose(batch.sources[0].numpy(), dry_batch.sources[0].numpy(), atol=1e-4)
    assert np.array_equal(batch.sources[1].numpy(), dry_batch.sources[1].numpy())
    assert np.array_equal(batch.to("cpu").dry.numpy(), batch.dry.numpy())


def test_rooms_are_those_of_the_settings(folder, tmp_path):
    assert len(rooms_of(EffectsConfig(rooms=folder), 2).rooms) == 1
    simulated = rooms_of(EffectsConfig(num_rooms=7, t60=(0.3, 0.4)), 3)
    assert (simulated.num_rooms, simulated.t60, simulated.num_places) == (7, (0.3, 0.4), 3)
    with pytest.raises(UserError, match="found no such file"):
        rooms_of(EffectsConfig(rooms=str(tmp_path / "nowhere")), 2)


def test_rooms_that_cannot_be_simulated_are_refused_with_the_config(monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"effects.reverberation: not installed here: pyroomacoustics; `WESEP_MIX_EXT"):
        from_dict(EffectsConfig, {"reverberation": 0.5}, "student.yaml: trainer.effects")
    assert dataclasses.replace(EffectsConfig(), reverberation=0.5, rooms="a folder").shares["reverberation"] == 0.5
