import itertools

import numpy as np
import pytest

from wesep_mix.metrics.verification import equal_error_rate, pair_scores, score_equal_error_rate, unfair_groups
from wesep_mix.mixing.plan import single_keys, speaker_keys
from wesep_mix.mixing.trials import fixed_trials, write_trials


@pytest.fixture
def mixtures(mixture_of):
    """Twelve mixtures of five talkers, each utterance in one mixture; ids are not in the order of the list."""
    pairs = list(itertools.combinations("abcde", 2)) + [("a", "b"), ("c", "a")]
    return [mixture_of(*pair, mix=f"m{(7 * place) % 12}-{place}") for place, pair in enumerate(pairs)]


def by_hand(plans):
    """{(key, key): same} of all fair pairs, keys in order."""
    rows = sorted(
        (key, source.spk, plan.id, source.utt)
        for plan in plans
        for key, source in zip(speaker_keys(plan), plan.sources, strict=True)
    )
    return {
        (one[0], two[0]): one[1] == two[1]
        for one, two in itertools.combinations(rows, 2)
        if one[2] != two[2] and one[3] != two[3]
    }


def told(trials):
    return {
        (trials.keys[first], trials.keys[second]): bool(same)
        for (first, second), same in zip(trials.pairs, trials.same, strict=True)
    }


def test_few_pairs_are_all_in(mixtures):
    trials = fixed_trials(mixtures)
    assert told(trials) == by_hand(mixtures) and len(trials.same) == len(told(trials))
    assert trials.same.any() and not trials.same.all()


def test_blocks_make_no_difference(mixtures, monkeypatch):
    whole = fixed_trials(mixtures, max_trials=9)
    monkeypatch.setattr("wesep_mix.mixing.trials.CELLS", 60)
    assert told(fixed_trials(mixtures, max_trials=9)) == told(whole)
    assert told(fixed_trials(mixtures)) == by_hand(mixtures)


def test_a_draw_has_so_many_of_each_sort_and_depends_on_the_keys_alone(mixtures):
    drawn = fixed_trials(mixtures, max_trials=9)
    assert (drawn.same.sum(), len(drawn.same)) == (9, 18)
    assert set(told(drawn).items()) < set(by_hand(mixtures).items())
    turned = fixed_trials(mixtures[::-1], max_trials=9)
    assert turned.keys == drawn.keys and np.array_equal(turned.pairs, drawn.pairs)
    # of fewer mixtures: the pairs that were drawn are still before those that were not
    fewer = told(fixed_trials(mixtures[1:], max_trials=9))
    kept = {pair for pair in told(drawn) if not any(key.startswith(mixtures[0].id + "-") for key in pair)}
    assert kept <= set(fewer)


def test_a_draw_prefers_no_keys(mixture_of):
    plans = [mixture_of("a", "b", mix=f"m{place:02d}") for place in range(40)]
    drawn = fixed_trials(plans, max_trials=400)  # of 1560 of each sort
    counts = np.bincount(drawn.pairs.ravel(), minlength=80)
    assert counts.sum() == 1600 and 5 < counts.min() and counts.max() < 40  # 20 expected, deviation about 4


def test_pairs_of_one_utterance_are_left_out_where_a_speaker_has_two(mixture_of):
    one, two = mixture_of("a", "b"), mixture_of("a", "c")
    again = mixture_of("a", "d", mix="again")
    shared = type(again)(again.id, again.num_samples, (one.sources[0], again.sources[1]), again.noise, again.overlaps)
    pairs = told(fixed_trials([one, two, shared]))
    assert ("a_b-a", "again-a") not in pairs and pairs["a_b-a", "a_c-a"] and pairs["a_c-a", "again-a"]


def test_single_speech_has_the_plans_ids_as_keys(mixture_of):
    plans = [mixture_of(spk, mix=f"{spk}-{turn}") for spk in "ab" for turn in range(2)]
    pairs = told(fixed_trials(plans, single_keys))
    assert pairs == {
        ("a-0", "a-1"): True,
        ("b-0", "b-1"): True,
        **{(f"a-{i}", f"b-{j}"): False for i in range(2) for j in range(2)},
    }


def test_eer_over_the_list_is_that_over_all_fair_pairs_to_the_bit(mixtures):
    emb = np.random.default_rng(0).standard_normal((24, 8)).astype(np.float32)
    rows = [
        (key, source.spk, plan.id, source.utt)
        for plan in mixtures
        for key, source in zip(speaker_keys(plan), plan.sources, strict=True)
    ]
    keys, *names = (list(column) for column in zip(*rows, strict=True))
    pairs, same = fixed_trials(mixtures).among(keys)
    assert score_equal_error_rate(pair_scores(emb, pairs), same) == equal_error_rate(
        emb, names[0], unfair_groups(*names)
    )


def test_trials_of_missing_embeddings_are_left_out(mixtures):
    trials = fixed_trials(mixtures)
    keys = [key for key in trials.keys if not key.endswith("-a")][::-1]
    pairs, same = trials.among(keys)
    found = {
        tuple(sorted((keys[first], keys[second]))): bool(one) for (first, second), one in zip(pairs, same, strict=True)
    }
    assert found == {pair: one for pair, one in by_hand(mixtures).items() if set(pair) <= set(keys)}


def test_the_file_is_kaldis_and_sorted(mixtures, tmp_path):
    write_trials(tmp_path / "trials", fixed_trials(mixtures))
    lines = (tmp_path / "trials").read_text().splitlines()
    assert lines == [
        f"{one} {two} {'target' if same else 'nontarget'}" for (one, two), same in sorted(by_hand(mixtures).items())
    ]
