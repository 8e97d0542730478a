import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.inference.controls import control_embeddings, random_keys, wrong_keys
from wesep_mix.mixing.plan import speaker_keys


def table(plans, offset=0.0):
    """A different embedding for every key."""
    keys = [key for plan in plans for key in speaker_keys(plan)]
    return {key: np.full(4, place + offset, dtype=np.float32) for place, key in enumerate(keys)}


@pytest.fixture
def many(mixture_of):
    pairs = [(first, second) for first in "abcdef" for second in "abcdef" if first < second]
    return [mixture_of(*pair) for pair in pairs]


def test_wrong_is_the_other_talker_of_the_same_mixture(plans):
    assert wrong_keys(plans[:1]) == {"a_b-a": "a_b-b", "a_b-b": "a_b-a"}


def test_wrong_goes_around_three_talkers(mixture_of):
    chosen = wrong_keys([mixture_of("a", "b", "c")])
    assert chosen == {"a_b_c-a": "a_b_c-b", "a_b_c-b": "a_b_c-c", "a_b_c-c": "a_b_c-a"}


def test_random_is_neither_of_the_mixture_nor_of_its_speakers(many):
    for plan in many:
        for key in speaker_keys(plan):
            mix, spk = random_keys(many, seed=1)[key].rsplit("-", 1)
            assert mix != plan.id
            assert spk not in {source.spk for source in plan.sources}


def test_random_depends_on_seed_and_key_but_not_on_order(many):
    assert random_keys(many, 0) == random_keys(many[::-1], 0)
    assert random_keys(many, 0) != random_keys(many, 1)


def test_random_reaches_all_that_it_may(many):
    reached = {key for seed in range(150) for key in [random_keys(many, seed)["a_b-a"]]}
    allowed = {
        key
        for plan in many
        for key, source in zip(speaker_keys(plan), plan.sources, strict=True)
        if source.spk not in "ab"
    }
    assert reached == allowed


def test_choose_takes_from_the_right_table(plans):
    matched, teacher = table(plans), table(plans, offset=100.0)
    oracle = control_embeddings("oracle", plans, matched, teacher, {}, 0)
    wrong = control_embeddings("wrong", plans, matched, teacher, {}, 0)
    random = control_embeddings("random", plans, matched, teacher, {}, 0)
    assert sorted(oracle) == sorted(wrong) == sorted(random) == sorted(matched)
    assert all(np.array_equal(oracle[key], teacher[key]) for key in teacher)
    assert np.array_equal(wrong["a_b-a"], matched["a_b-b"])
    assert all(random[key].max() < 100 for key in random)


def test_wrong_is_another_head_where_two_talkers_share_one(mixture_of):
    plans = [mixture_of("a", "b", "c")]
    heads = {f"a_b_c-{head}": np.full(4, float(head), dtype=np.float32) for head in range(3)}
    matched = {f"a_b_c-{speaker}": heads[f"a_b_c-{head}"] for speaker, head in (("a", 0), ("b", 0), ("c", 2))}
    wrong = control_embeddings("wrong", plans, matched, {}, heads, 0)
    assert {key: vector[0] for key, vector in wrong.items()} == {"a_b_c-a": 1.0, "a_b_c-b": 2.0, "a_b_c-c": 0.0}
    alike = dict.fromkeys(heads, heads["a_b_c-0"])
    with pytest.raises(UserError, match="control wrong: a_b_c-a: wanted a head of the student with another embed"):
        control_embeddings("wrong", plans, dict.fromkeys(matched, heads["a_b_c-0"]), {}, alike, 0)


def test_a_speakers_name_may_hold_a_hyphen(mixture_of):
    plans = [mixture_of("a-b", "c-d")]
    (mix,) = (plan.id for plan in plans)
    heads = {f"{mix}-{head}": np.full(4, float(head), dtype=np.float32) for head in range(2)}
    shared = dict.fromkeys(speaker_keys(plans[0]), heads[f"{mix}-0"])
    wrong = control_embeddings("wrong", plans, shared, {}, heads, 0)
    assert {key: vector[0] for key, vector in wrong.items()} == {f"{mix}-a-b": 1.0, f"{mix}-c-d": 1.0}


def test_what_cannot_be_chosen_is_named(plans, mixture_of):
    matched = table(plans)
    with pytest.raises(UserError, match="wanted wrong, random or oracle, found worng"):
        control_embeddings("worng", plans, matched, matched, {}, 0)
    with pytest.raises(UserError, match="mixture a has one talker"):
        wrong_keys([mixture_of("a")])
    with pytest.raises(UserError, match="2 mixtures have no talker who is not in a_b"):
        random_keys([mixture_of("a", "b"), mixture_of("b", "a")], 0)
    said = "^embeddings of clean sources: a_b-a is not among the 0 embeddings; redo stage 4$"
    with pytest.raises(UserError, match=said):
        control_embeddings("oracle", plans, matched, {}, {}, 0)
    with pytest.raises(UserError, match="^matched.scp: a_b-b is not .* student that has a head for every talker$"):
        control_embeddings("wrong", plans, {}, matched, {}, 0)
