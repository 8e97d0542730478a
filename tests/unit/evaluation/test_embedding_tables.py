import dataclasses

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.judging import assigned, clean_table, judge, single_table, student_table
from wesep_mix.mixing.plan import speaker_keys
from wesep_mix.mixing.trials import fixed_trials


def unit(*values):
    return np.array(values, dtype=np.float32)


def test_assignment_takes_the_best_sum_not_the_best_first():
    references = np.array([[1.0, 0.0], [0.94, 0.34]])
    vectors = np.array([[1.0, 0.09], [0.17, -0.98]])
    # both references prefer vector 0, the first even more so; but the second loses more by vector 1
    assert np.array_equal(assigned(vectors, references), vectors[::-1])


def test_assignment_ignores_length():
    references = np.eye(3)
    vectors = np.array([[0.0, 0.0, 5.0], [0.1, 0.0, 0.0], [0.0, 70.0, 0.0]])
    assert np.array_equal(assigned(vectors, references).argmax(axis=1), [0, 1, 2])


def test_student_rows_are_in_the_order_of_the_sources(plans):
    keys = [key for plan in plans for key in speaker_keys(plan)]
    labelled = student_table({key: unit(place) for place, key in enumerate(keys)}, plans)
    assert labelled.emb.tolist() == [[0], [1], [2], [3], [4], [5]] and labelled.keys == keys
    assert [source.spk for source in labelled.sources] == list("abcdbe")
    assert [plan.id for plan in labelled.plans] == ["a_b", "a_b", "c_d", "c_d", "b_e", "b_e"]


def test_talkers_without_a_head_are_left_out(plans):
    matched = {key: unit(place) for place, key in enumerate(key for plan in plans for key in speaker_keys(plan))}
    del matched["a_b-a"], matched["b_e-b"]
    labelled = student_table(matched, plans)
    assert labelled.emb.tolist() == [[1], [2], [3], [5]]
    assert [source.spk for source in labelled.sources] == list("bcde")
    assert [plan.id for plan in labelled.plans] == ["a_b", "c_d", "c_d", "b_e"]


def test_single_table_is_keyed_by_plan(mixture_of):
    singles = [mixture_of("a", mix="a-0"), mixture_of("b", mix="b-0"), mixture_of("a", mix="a-1")]
    table = {"b-0": unit(0, 1), "a-1": unit(2, 0), "a-0": unit(1, 0)}
    labelled = single_table(table, singles)
    assert labelled.emb.tolist() == [[1, 0], [0, 1], [2, 0]]
    assert [source.spk for source in labelled.sources] == ["a", "b", "a"]


def test_row_has_all_columns(mixture_of):
    mixtures = [mixture_of(*pair, mix=f"m{place}") for place, pair in enumerate(("ab", "bc", "ca", "ad"))]
    rng = np.random.default_rng(0)
    centres = {spk: rng.standard_normal(8) for spk in "abcd"}
    table = {
        key: centres[source.spk] + 0.01 * rng.standard_normal(8)
        for plan in mixtures
        for key, source in zip(speaker_keys(plan), plan.sources, strict=True)
    }
    judged = judge(clean_table(table, mixtures), fixed_trials(mixtures), 7, 0)
    row = judged.metrics
    assert sorted(row) == ["acc", "acc_all", "ari", "eer", "min_dcf", "nmi", "num", "sep", "sil", "trainable"]
    assert (row["acc"], row["eer"], row["min_dcf"], row["num"], row["trainable"]) == (1.0, 0.0, 0.0, 8, 7)
    assert judged.correct.all() and judged.cos is None


def test_cosines_to_the_references_and_their_mean(mixture_of):
    mixtures = [mixture_of("a", "b"), mixture_of("b", "a")]
    matched = {"a_b-a": unit(1, 0), "a_b-b": unit(0, 2), "b_a-b": unit(0, 1), "b_a-a": unit(3, 3)}
    clean = {"a_b-a": unit(5, 0), "a_b-b": unit(1, 0), "b_a-b": unit(0, -1), "b_a-a": unit(1, 0)}
    judged = judge(student_table(matched, mixtures), fixed_trials(mixtures), 0, 0, references=clean)
    assert judged.cos == pytest.approx([1, 0, -1, np.sqrt(0.5)])
    assert judged.metrics["cos"] == pytest.approx(np.sqrt(0.5) / 4)
    with pytest.raises(UserError, match="test/teacher.scp: b_a-a is not among"):
        judge(
            student_table(matched, mixtures),
            fixed_trials(mixtures),
            0,
            0,
            references={key: value for key, value in clean.items() if key != "b_a-a"},
        )


def test_wrongly_clustered_embeddings_are_named(mixture_of):
    mixtures = [mixture_of("a", "b", mix=f"m{turn}") for turn in range(3)]
    matched = {key: np.eye(2)[place] for plan in mixtures for place, key in enumerate(speaker_keys(plan))}
    matched["m1-a"] = np.array([0.1, 1.0])
    judged = judge(student_table(matched, mixtures), fixed_trials(mixtures), 0, 0)
    wrong = [key for key, right in zip(judged.labelled.keys, judged.correct, strict=True) if not right]
    assert wrong == ["m1-a"] and judged.metrics["acc"] == judged.metrics["acc_all"] == pytest.approx(5 / 6)


def test_talkers_without_a_head_are_wrong_in_the_accuracy_of_all(mixture_of):
    mixtures = [mixture_of("a", "b", mix=f"m{turn}") for turn in range(4)]
    matched = {key: np.eye(2)[place] for plan in mixtures for place, key in enumerate(speaker_keys(plan))}
    matched["m1-a"] = np.array([0.1, 1.0])
    del matched["m2-b"], matched["m3-a"]  # 6 of 8 talkers have an embedding, 5 of those are in their cluster
    judged = judge(student_table(matched, mixtures), fixed_trials(mixtures), 0, 0, missing=2)
    assert (judged.metrics["acc"], judged.metrics["acc_all"]) == pytest.approx((5 / 6, 5 / 8))
    assert judged.metrics["num"] == 6
    right = {"a": True, "b": True}
    assert judged.by_talker(mixtures) == {
        "m0": right,
        "m1": right | {"a": False},
        "m2": right | {"b": None},
        "m3": right | {"a": None},
    }


def test_pairs_of_one_utterance_are_trials_only_where_no_speaker_has_two(mixture_of):
    plan = mixture_of("a", "b")
    again = dataclasses.replace(plan, id="again")  # the same two utterances
    same = {key: np.eye(2)[place] for one in (plan, again) for place, key in enumerate(speaker_keys(one))}
    assert eer(same, [plan, again]) == 0
    third = mixture_of("a", "b", mix="third")
    swapped = same | {key: np.eye(2)[1 - place] for place, key in enumerate(speaker_keys(third))}
    # same-speaker trials are now the 4 with the third mixture, all at cosine 0; of 6 others 4 are at 1, 2 at 0
    assert eer(swapped, [plan, again, third]) == 0.75


def eer(table, plans):
    return judge(clean_table(table, plans), fixed_trials(plans), 7, 0).metrics["eer"]


def test_missing_embedding_is_named(plans):
    with pytest.raises(UserError, match="test/teacher.scp: a_b-b is not among the 1 embeddings"):
        clean_table({"a_b-a": unit(1, 0)}, plans)


def test_embeddings_of_other_mixtures_are_told(plans):
    with pytest.raises(UserError, match="test/matched.scp: none of its 2 embeddings is of a talker of the 3 mixtures"):
        student_table({"x_y-x": unit(1, 0), "x_y-y": unit(0, 1)}, plans)
