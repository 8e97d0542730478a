import dataclasses

import numpy as np
import pytest

from wesep_mix.analysis.embedding_tables import (
    assigned,
    clean_table,
    metrics_row,
    single_table,
    student_table,
)
from wesep_mix.analysis.keys import speaker_keys
from wesep_mix.errors import UserError


def unit(*values):
    return np.array(values, dtype=np.float32)


def test_assignment_takes_the_best_sum_not_the_best_first():
    references = np.array([[1.0, 0.0], [0.9, 0.1]])
    vectors = np.array([[1.0, 0.05], [-1.0, 1.0]])
    # both references prefer vector 0, but the second loses more by vector 1 than the first does
    cosine = [[v @ r / np.linalg.norm(v) / np.linalg.norm(r) for v in vectors] for r in references]
    straight, crossed = cosine[0][0] + cosine[1][1], cosine[0][1] + cosine[1][0]
    expected = vectors if straight > crossed else vectors[::-1]
    assert np.array_equal(assigned(vectors, references), expected)


def test_assignment_ignores_length():
    references = np.eye(3)
    vectors = np.array([[0.0, 0.0, 5.0], [0.1, 0.0, 0.0], [0.0, 70.0, 0.0]])
    assert np.array_equal(assigned(vectors, references).argmax(axis=1), [0, 1, 2])


def test_student_rows_are_in_the_order_of_the_sources(plans):
    clean = {key: value for plan in plans
             for key, value in zip(speaker_keys(plan), (unit(1, 0), unit(0, 1)), strict=True)}
    student = {f"{plan.id}-{head}": value for plan in plans
               for head, value in enumerate((unit(0.1, 0.9), unit(0.8, 0.1)))}  # heads the other way round
    labelled = student_table(student, clean, plans)
    assert labelled.emb.argmax(axis=1).tolist() == [0, 1] * 3
    assert [source.spk for source in labelled.sources] == list("abcdbe")
    assert labelled.mixtures == ["a_b", "a_b", "c_d", "c_d", "b_e", "b_e"]


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
    table = {key: centres[source.spk] + 0.01 * rng.standard_normal(8) for plan in mixtures
             for key, source in zip(speaker_keys(plan), plan.sources, strict=True)}
    row = metrics_row(clean_table(table, mixtures), 7, 0)
    assert sorted(row) == ["acc", "ari", "eer", "nmi", "num", "sep", "sil", "trainable"]
    assert (row["acc"], row["eer"], row["num"], row["trainable"]) == (1.0, 0.0, 8, 7)


def test_pairs_of_one_utterance_are_trials_only_where_no_speaker_has_two(mixture_of):
    plan = mixture_of("a", "b")
    again = dataclasses.replace(plan, id="again")  # the same two utterances
    same = {key: np.eye(2)[place] for one in (plan, again) for place, key in enumerate(speaker_keys(one))}
    assert metrics_row(clean_table(same, [plan, again]), 7, 0)["eer"] == 0
    third = mixture_of("a", "b", mix="third")
    swapped = same | {key: np.eye(2)[1 - place] for place, key in enumerate(speaker_keys(third))}
    # same-speaker trials are now the 4 with the third mixture, all at cosine 0; of 6 others 4 are at 1, 2 at 0
    assert metrics_row(clean_table(swapped, [plan, again, third]), 7, 0)["eer"] == 0.75


def test_missing_embedding_is_named(plans):
    with pytest.raises(UserError, match="test/student: a_b-1 is not among the 1 embeddings"):
        student_table({"a_b-0": unit(1, 0)}, {}, plans)
