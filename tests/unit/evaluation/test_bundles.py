"""A model's folder measured on conversations: what is drawn, and figures that are known beforehand."""

import json

import numpy as np
import pytest
import torch
from small_model import write_small_experiment

from wesep_mix.__main__ import main
from wesep_mix.evaluation import bundles
from wesep_mix.evaluation.bundles import assigned, figures, measure, nearest
from wesep_mix.evaluation.conversations import draw_conversations, enrolled, rendered
from wesep_mix.inference.candidates import Heard, Talker, Windows, talkers_of
from wesep_mix.inference.listening import level_db
from wesep_mix.mixing.draw import Pool
from wesep_mix.mixing.render import render
from wesep_mix.models.folder import CARD, UseConfig, read_folder, read_settings, write_folder
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.preparation.settings import MixingConfig

RATE = 16000


@pytest.fixture
def pool(corpus):
    """Six speakers with one utterance of two crops each."""
    crops = (Crop(0, -25.0, 0.0), Crop(4000, -25.0, 0.0))
    speech = [SpeechEntry(f"{spk}-0", spk, "F", str(corpus / f"{spk}.wav"), crops) for spk in "abcdef"]
    noises = [NoiseEntry("noise", str(corpus / "noise.wav"), RATE, "noise", (), 0.0)]
    return Pool.of(speech, noises, MixingConfig(segment_s=0.7, snr_db=(10.0,)))


def talker(number, *embedding):
    return Talker(number, np.asarray(embedding, dtype=np.float32), None, 1.0, ())


def test_every_mixture_of_a_conversation_has_the_same_talkers(pool):
    drawn = draw_conversations(pool, 3, (1, 3), 6, True, seed=0)
    assert drawn == draw_conversations(pool, 3, (1, 3), 6, True, seed=0)
    assert [len(one.plans) for one in drawn] == [1, 3] * 3 and len({one.talkers for one in drawn}) > 1
    for one in drawn:
        assert all(sorted(source.spk for source in plan.sources) == list(one.talkers) for plan in one.plans)
        assert [source.spk for source in one.enrolments] == list(one.talkers)
        starts = {source.spk: source.start for source in one.plans[0].sources}
        assert all(source.start != starts[source.spk] for source in one.enrolments)  # the other crop
        assert [len(voice) for voice in enrolled(one)] == [round(0.7 * RATE)] * 3


def test_a_conversation_is_its_mixtures_in_a_row(pool):
    noisy, clean = (draw_conversations(pool, 2, (2,), 1, flag, seed=0)[0] for flag in (True, False))
    mix, sources = rendered(clean)
    assert np.allclose(mix, sources.sum(0), atol=1e-4) and sources.shape == (2, len(mix))
    first = noisy.plans[0]
    assert np.array_equal(rendered(noisy)[0][: first.num_samples], render(first).mix)
    for row, name in zip(sources, clean.talkers, strict=True):
        place = [source.spk for source in clean.plans[0].sources].index(name)
        assert np.array_equal(row[: first.num_samples], render(clean.plans[0]).sources[place])
    assert [plan.sources for plan in noisy.plans] == [plan.sources for plan in clean.plans]


def test_candidates_are_assigned_one_to_one():
    talkers = [talker(1, 1, 0), talker(2, 0.6, 0.8)]
    voices = [np.array(v, dtype=np.float32) for v in ([0.8, 0.6], [1, 0])]  # of both the first candidate is nearest
    assert assigned(talkers, voices) == [1, 0]
    assert assigned(talkers[:1], voices) == [None, 0] and assigned([], voices) == [None, None]
    assert nearest(talkers, voices[0]) == (1, pytest.approx(0.96)) and nearest([], voices[0]) == (None, -1.0)


def test_confidence_is_fitted_to_what_was_real():
    rng, weights = np.random.default_rng(0), np.array([0.5, 2.0, -1.0, 3.0])
    given = rng.normal(0, [2, 1, 0.5, 0.3], (20000, 4)) + [1, 0, 0, 5]
    real = rng.random(20000) < 1 / (1 + np.exp(-(given @ weights - 15)))
    sure = bundles.fitted([(given[:9000], real[:9000]), (given[:0], real[:0]), (given[9000:], real[9000:])])
    found = [sure.presence, sure.seen, sure.unity, sure.near]
    assert np.allclose(found, weights, atol=0.25) and sure.offset == pytest.approx(-15, abs=1)
    assert bundles.fitted([(given, np.ones(20000, dtype=bool))]) is None


def case(num_spk, *heard):
    """A conversation of six windows: heads as (voice, presence, the windows it is heard in)."""
    voices = np.eye(4, dtype=np.float32)
    rows = [Heard(start, voices[voice], presence) for voice, presence, starts in heard for start in starts]
    return bundles.Case(num_spk, Windows(rows, 6, 1), voices[:num_spk])


def test_thresholds_are_chosen_where_the_confidence_was_not_fitted():
    """Nobody is heard in one window only, talkers in three; every sixth conversation says the opposite."""
    usual = [case(1, (0, 0.9, (0, 1, 2)), (2, 0.9, (5,))), case(2, (0, 0.9, (0, 1, 2)), (1, 0.9, (1, 2, 3)))]
    odd = case(1, (0, 0.9, (0,)), (2, 0.9, (1, 2, 3)))
    cases = [odd if place % 6 == 5 else usual[place % 2] for place in range(60)]
    use = UseConfig(join=0.5, least=0.5)
    sure = bundles.confidences_apart(cases, use)
    counts = [int((one >= 0.5).sum()) for one in sure]
    assert [count for place, count in enumerate(counts) if place % 6 != 5] == [1, 2, 1, 2, 1] * 10
    assert sure[5].argmax() == 0 and sure[5].min() < 0.1  # of the odd ones the wrong one
    chosen = bundles.with_confidence(cases, use)
    assert chosen.least == 0.5 and chosen.sure.seen > 1
    assert [len(talkers_of(one.windows, chosen)) for one in usual] == [1, 2]
    alike = [usual[1]] * 6  # without nobody among the candidates there is nothing to learn
    assert bundles.with_confidence(alike, use) == UseConfig(join=0.5)
    assert all(np.array_equal(one, [1, 1]) for one in bundles.confidences_apart(alike, use))


@pytest.fixture
def knowing(monkeypatch):
    """Function: (which talkers are found, for whom each embedding extracts) -> networks that know the truth."""

    def use(pool, found, extracted):
        sources = {}
        for conversation in draw_conversations(pool, 2, bundles.TEST_ROUNDS, 4, False, seed=2):
            mix, alone = rendered(conversation)
            sources[mix.tobytes()] = dict(zip(conversation.talkers, alone, strict=True))
            for name, one in sources[mix.tobytes()].items():
                sources[bundles._alone(one).tobytes()] = name
            sources |= {
                voice.tobytes(): name for voice, name in zip(enrolled(conversation), conversation.talkers, strict=True)
            }
        vectors = dict(zip("abcdef", np.eye(6, dtype=np.float32), strict=True))

        def find(student, mix, settings):
            names = sorted(sources[mix.tobytes()])
            return [talker(k, *vectors[names[place]]) for k, place in enumerate(found, start=1)]

        def extract(mix, embedding):
            name, there = "abcdef"[int(embedding.argmax())], sources[mix.tobytes()]
            return there[extracted(name, sorted(there))] if name in there else 0.1 * np.roll(mix, 999)

        class Any:
            teacher = student = extractor = None

        monkeypatch.setattr(bundles, "_bundle", lambda model: Any)
        monkeypatch.setattr(bundles, "_named", lambda folder: (folder, ()))
        monkeypatch.setattr(bundles, "find_talkers", find)
        monkeypatch.setattr(
            bundles, "extract_among", lambda net, mix, those, *more: [extract(mix, one) for one in those]
        )
        monkeypatch.setattr(bundles, "embed_voice", lambda teacher, voice: vectors[sources[voice.tobytes()]])
        return figures("", UseConfig(like=0.5), pool, 2, False, 4, 1)

    return use


def test_figures_of_a_model_that_knows_all(pool, knowing):
    row = knowing(pool, (0, 1), lambda name, there: name)
    assert (row["num"], row["count"], row["found"], row["right"]) == (4, 1.0, 1.0, 1.0)
    assert (row["like"], row["refused"]) == (1.0, 1.0)
    assert row["absent"] == pytest.approx(-20)  # a tenth of the mixture
    assert row["si_sdri"] > 100 and row["wrong"] < 0 and row["random"] < 0


def test_the_interval_is_over_draws_of_the_speakers():
    def told(names, values):
        return {"speakers": names, "si_sdri": values}

    names = ("count", "found", "right", "si_sdr", "wrong", "random", "like", "refused", "absent")
    rows = [told("ab", [1.0, 2.0]), told("cd", [5.0, 9.0]), told("ef", [4.0]), told("ag", []), told("ch", [3.0, 3.0])]
    row = bundles.means([dict.fromkeys(names, []) | one for one in rows])
    low, high = row["interval"]
    assert row["si_sdri"] == pytest.approx(27 / 7, abs=1e-3) and 1 <= low < row["si_sdri"] < high <= 9
    assert bundles.means([dict.fromkeys(names, []) | told("ab", [1.0, 2.0])])["interval"] is None
    assert bundles.means([dict.fromkeys(names, []) | told("ab", [])])["interval"] is None


def test_figures_of_a_model_that_gives_the_other(pool, knowing):
    row = knowing(pool, (1, 0), lambda name, there: there[1 - there.index(name)])
    assert (row["count"], row["found"], row["right"]) == (1.0, 1.0, 0.0)
    assert row["si_sdri"] < 0 and row["wrong"] > 100


def test_figures_of_a_model_that_hears_one(pool, knowing):
    row = knowing(pool, (1,), lambda name, there: name)
    assert (row["count"], row["found"], row["right"], row["like"]) == (0.0, 0.5, 1.0, 0.5)
    assert row["wrong"] is None and row["si_sdri"] > 100


def test_how_often_candidates_are_wrong_of_those_with_the_highest_confidence():
    heard = [(0.9, 1.0), (0.8, 1.0), (0.7, 0.0), (0.6, 1.0), (0.5, 0.0), (None, 0.0)]
    rows = {row["coverage"]: (row["confidence"], row["wrong"]) for row in bundles.coverage(heard)}
    assert rows[1.0] == (0.5, 0.4) and rows[0.8] == (0.6, 0.25) and rows[0.6] == (0.7, 0.333) and rows[0.5] == (0.8, 0)
    assert bundles.coverage([(None, 1.0)]) == [] == bundles.coverage([])


def test_the_confidence_from_which_on_nine_of_ten_are_right():
    right = [1.0] * 18 + [0.0, 0.0, 1.0, 0.0]  # 2 of 20 wrong, 2 of 21, 3 of 22
    heard = [(0.99 - k / 100, one) for k, one in enumerate(right)]
    assert bundles.trusted(heard) == 0.79
    assert bundles.trusted(heard[:19]) is None  # too few to say so
    assert bundles.trusted([(0.5, 0.0)] * 40) is None and bundles.trusted([]) is None


def test_a_candidate_is_right_whose_extraction_is_its_talkers():
    sources = np.eye(2, 50) + 0.01 * np.random.default_rng(0).normal(size=(2, 50))
    talkers = [talker(k, 1.0) for k in range(3)]
    ests = {0: sources[1], 2: sources[1]}  # the first is the first talker's, the last the second's, the other nobody's
    assert bundles._right(ests, [0, 2], sources, talkers) == [0.0, 0.0, 1.0]


def test_the_level_of_an_extraction_is_told_against_its_mixture():
    mix = np.random.default_rng(0).normal(size=100)
    assert level_db(0.1 * mix, mix) == pytest.approx(-20)
    assert level_db(np.zeros(100), mix) == -120 and level_db(np.zeros(100), np.zeros(100)) == -120


def test_a_model_that_was_written_to_the_same_folder_later_is_another(tmp_path):
    write_small_experiment(tmp_path)
    folder = tmp_path / "model"
    first, bundle = bundles._named(folder), bundles._bundle(bundles._named(folder))
    assert bundles._bundle(bundles._named(folder)) is bundle
    torch.nn.init.ones_(bundle.student.heads[0].embedding.weight)
    write_folder(bundle, folder)
    assert bundles._named(folder) != first and bundles._bundle(bundles._named(folder)) is not bundle


def test_thresholds_and_figures_are_written_into_the_folder(pool, tmp_path, monkeypatch, capsys):
    write_small_experiment(tmp_path)
    folder = tmp_path / "model"
    before = read_folder(folder)
    monkeypatch.setattr(bundles, "load_pool", lambda path: pool)
    rows = measure(folder, tmp_path, (1, 2), 4, 1)
    assert [(row["talkers"], row["noise"]) for row in rows] == [(1, False), (1, True), (2, False), (2, True)]
    after = read_folder(folder)  # hashes fit
    assert after.use.like is not None and after.use.window_s == before.use.window_s
    assert list(after.about.measured) == rows == read_settings(folder)["about"]["measured"]
    assert f"| 2 | yes | 4 | {rows[3]['count']:.2f} |" in (folder / CARD).read_text()
    argv = ["models", "measure", str(folder), "--data", str(tmp_path), "--talkers", "9"]
    assert main(argv) == 1 and "dev: wanted more than 9 speakers, found 6; lower" in capsys.readouterr().err
    assert main([*argv[:-1], "1", "--num", "2"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [row["talkers"] for row in told] == [1, 1]
