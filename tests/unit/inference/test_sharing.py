"""Talkers share a recording: a Wiener filter over the extractions of all who were heard."""

import dataclasses

import numpy as np
import pytest
import scipy.signal
import torch
from small_model import write_small_experiment

from wesep_mix.api import Model
from wesep_mix.inference import sharing
from wesep_mix.inference.candidates import Talker
from wesep_mix.inference.listening import extract_talkers
from wesep_mix.inference.sharing import Rival, extract_among, same_voice, share
from wesep_mix.models.folder import UseConfig, read_folder

SHARED = UseConfig(shared=True, like=0.5, chunk_s=4, overlap_s=1)
WHOLE = ((0.0, 100.0),)


def tone(bin_number, amplitude=0.1, seconds=1.0):
    """A sine in the middle of a bin of the filter's spectrogram."""
    return (amplitude * np.sin(2 * np.pi * bin_number * np.arange(round(seconds * 16000)) / 512)).astype(np.float32)


def amplitude(wav, bin_number):
    """Of a sine in it, away from both ends."""
    inner = wav[2048:-2048]
    return 2 * abs(np.mean(inner * np.exp(-2j * np.pi * bin_number * np.arange(len(inner)) / 512)))


def test_shares_of_two_tones_by_hand():
    mix = tone(40) + tone(120)
    own, other = tone(40, 0.08) + tone(120, 0.04), tone(40, 0.02) + tone(120, 0.06)
    found = share(mix, own, [Rival(other, WHOLE)])
    # at bin 40: 8^2 / (8^2 + 2^2), nothing is left over; at bin 120: 4^2 / (4^2 + 6^2), nothing is left over
    assert amplitude(found, 40) == pytest.approx(0.1 * 64 / 68, rel=1e-3)
    assert amplitude(found, 120) == pytest.approx(0.1 * 16 / 52, rel=1e-3)


def test_what_nobody_has_takes_a_tenth_of_its_power():
    found = share(tone(40), tone(40, 0.05), [])
    assert amplitude(found, 40) == pytest.approx(0.1 * 25 / (25 + 0.1 * 25), rel=1e-3)


def test_equal_to_a_filter_over_scipys_spectrograms():
    rng = np.random.default_rng(0)
    own, other, noise = rng.normal(0, 0.1, (3, 16000)).astype(np.float32) * np.hanning(16000)[None].astype(np.float32)
    mix = own + other + noise
    args = {"fs": 16000, "nperseg": 512, "noverlap": 384}
    X, E, F = (scipy.signal.stft(one, **args)[2] for one in (mix, own, other))
    mask = abs(E) ** 2 / (abs(E) ** 2 + abs(F) ** 2 + 0.1 * abs(X - E - F) ** 2 + 1e-20)
    wanted = scipy.signal.istft(mask * X, **args)[1][:16000]
    np.testing.assert_allclose(share(mix, own, [Rival(other, WHOLE)]), wanted, atol=1e-5)


@pytest.mark.parametrize("size", [16000, 4096 * 3, 4097, 300, 1])
def test_blocks_give_what_the_whole_gives(monkeypatch, size):
    rng = np.random.default_rng(1)
    mix, own, other = rng.normal(0, 0.1, (3, size)).astype(np.float32)
    rivals = [Rival(other, ((0.1, 0.35), (0.5, 9.0)))]
    whole = share(mix, own, rivals)
    monkeypatch.setattr(sharing, "BLOCK", 4096)
    np.testing.assert_allclose(share(mix, own, rivals), whole, atol=1e-6)
    assert whole.shape == (size,)


def test_a_rival_takes_nothing_where_it_was_not_heard():
    mix, own, other = tone(40, 0.1, 3), tone(40, 0.05, 3), tone(40, 0.05, 3)
    found = share(mix, own, [Rival(other, ((0.0, 1.0),))])
    alone = share(mix, own, [])
    assert np.allclose(found[17000:], alone[17000:], atol=1e-6)
    assert amplitude(found[:16000], 40) == pytest.approx(0.05, rel=1e-3)


def test_silence_stays_silence():
    nothing = np.zeros(5000, dtype=np.float32)
    assert not share(nothing, nothing, [Rival(nothing, WHOLE)]).any()


def talker(number, *values, spans=WHOLE):
    vector = np.array(values, dtype=np.float32)
    return Talker(number, vector / np.linalg.norm(vector), None, 1.0, spans)


def test_the_same_voice_is_the_nearest_if_it_is_near_enough():
    talkers = [talker(1, 1, 0), talker(2, 0, 1)]
    wanted = talker(0, 0.8, 0.6).embedding
    assert same_voice(wanted, talkers, UseConfig(like=0.7)) == 0
    assert same_voice(wanted, talkers, UseConfig(like=0.9)) is None
    assert same_voice(wanted, talkers, UseConfig(join=0.7)) == 0 and same_voice(wanted, [], UseConfig()) is None


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp")
    write_small_experiment(exp)
    return read_folder(exp / "model")


@pytest.fixture
def knowing(monkeypatch):
    """In place of the network, which does not heed embeddings before any training: each is a filter of its own."""

    def extract(extractor, samples, embeddings, use, device="cpu", progress=None):
        return [np.convolve(samples, one, mode="same").astype(np.float32) for one in embeddings]

    monkeypatch.setattr(sharing, "extract_talkers", extract)
    return extract


@pytest.fixture(scope="module")
def heard(bundle):
    """A recording and candidates in it, the last of them in its first half alone."""
    vectors = torch.nn.functional.normalize(
        torch.randn(6, bundle.extractor.config.embedding_dim, generator=torch.Generator().manual_seed(3))
    ).numpy()
    mix = np.random.default_rng(2).normal(0, 0.1, 32000).astype(np.float32)
    talkers = [Talker(k, vector, None, 1.0, WHOLE) for k, vector in enumerate(vectors[:4], start=1)]
    return mix, [*talkers, Talker(5, vectors[4], None, 0.5, ((0.0, 1.0),))], vectors[5]


def test_what_comes_out_for_one_does_not_depend_on_who_else_is_wanted(knowing, heard):
    mix, talkers, stranger = heard
    vectors = [one.embedding for one in talkers]
    together = extract_among(None, mix, np.stack([*vectors, stranger, vectors[0]]), talkers, SHARED)
    for vector, speech in zip([*vectors, stranger, vectors[0]], together, strict=True):
        alone = extract_among(None, mix, vector[None], talkers, SHARED)[0]
        np.testing.assert_allclose(alone, speech, atol=1e-6)
    assert not np.allclose(together[0], together[1], atol=1e-3)


def test_others_take_their_shares(knowing, heard):
    mix, talkers, stranger = heard
    raw = {one.number: knowing(None, mix, one.embedding[None], SHARED)[0] for one in talkers}
    rivals = [Rival(raw[one.number], one.spans) for one in talkers]
    found = extract_among(None, mix, talkers[0].embedding[None], talkers, SHARED)[0]
    np.testing.assert_allclose(found, share(mix, raw[1], rivals[1:]), atol=1e-6)
    own = knowing(None, mix, stranger[None], SHARED)[0]  # who is none of them: all take a share
    found = extract_among(None, mix, stranger[None], talkers, SHARED)[0]
    np.testing.assert_allclose(found, share(mix, own, rivals), atol=1e-6)


def test_progress_goes_on_from_one_group_to_the_next(bundle, heard):
    mix, talkers, _ = heard
    told, use = [], dataclasses.replace(SHARED, chunk_s=1, overlap_s=0.25)
    extract_among(
        bundle.extractor, mix, talkers[0].embedding[None], talkers, use, progress=lambda *now: told.append(now)
    )
    total = told[-1][1]
    assert told == [(done, total) for done in range(1, total + 1)] and total == 2 * 3


def test_without_it_each_is_extracted_alone(bundle, heard):
    mix, talkers, _ = heard
    use = dataclasses.replace(SHARED, shared=False)
    found = extract_among(bundle.extractor, mix, np.stack([talkers[0].embedding, talkers[2].embedding]), talkers, use)
    for one, speech in zip((talkers[0], talkers[2]), found, strict=True):
        np.testing.assert_allclose(
            speech, extract_talkers(bundle.extractor, mix, one.embedding[None], use)[0], atol=1e-6
        )


def test_the_api_listens_again_unless_it_is_told_who_was_heard(bundle, knowing, heard, monkeypatch):
    mix, talkers, _ = heard
    model = Model(dataclasses.replace(bundle, use=SHARED))
    asked = []
    monkeypatch.setattr(Model, "candidates", lambda self, *args: asked.append(1) or talkers)
    first = model.extract(mix, talkers[1])
    again = model.extract(mix, talkers[1], among=talkers)
    assert len(asked) == 1 and np.array_equal(first, again)
    assert model.extract(mix, [], among=talkers) == []
    plain = Model(dataclasses.replace(bundle, use=dataclasses.replace(SHARED, shared=False)))
    assert not np.allclose(plain.extract(mix, talkers[1]), first, atol=1e-4) and len(asked) == 1
