"""Students on any number of talkers: sets by hand, and tiny networks from files to numbers."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.evaluation.cardinalities import (
    loudness_ranks,
    measure_cardinalities,
    measures,
    overlap_measures,
    plans_of,
    score_sets,
    threshold,
)
from wesep_mix.evaluation.judging import judge, student_table
from wesep_mix.inference.embeddings import mixture_embeddings
from wesep_mix.inference.heads import HeardSet
from wesep_mix.mixing.plan import write_plans
from wesep_mix.mixing.trials import fixed_trials
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp

SIZES = {
    "frontend": logmel.Config(num_mels=20, channels=8, num_layers=1, num_heads=2),
    "projection": 6,
    "embedding_dim": 5,
    "bottleneck": 4,
}
VOICES = dict(zip("abc", np.eye(4), strict=False))  # and an axis that is nobody's


def heard(plan, *found, active=None):
    """A set of heads with these coordinates along a, b, c and nobody."""
    found = np.array(found, dtype=np.float32)
    active = np.ones(len(found), dtype=bool) if active is None else np.array(active, dtype=bool)
    return HeardSet(plan, found, active, np.stack([VOICES[source.spk] for source in plan.sources]))


def with_levels(plan, *lufs):
    return dataclasses.replace(
        plan, sources=tuple(dataclasses.replace(one, lufs=level) for one, level in zip(plan.sources, lufs, strict=True))
    )


@pytest.fixture
def three_sets(mixture_of):
    """Mixtures of two with three heads: all is well; both are at b, the louder one; one head is active, far away."""
    first = with_levels(mixture_of("a", "b", mix="m0"), -30, -25)
    second = with_levels(mixture_of("a", "b", mix="m1"), -31, -26)
    third = with_levels(mixture_of("a", "c", mix="m2"), -25, -33)
    return [
        heard(first, (0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1), active=[1, 1, 0]),
        heard(second, (0, 1, 0, 0), (0, 0.8, 0, 0.6), (1, 0, 0, 0), active=[1, 1, 0]),
        heard(third, (0.6, 0, 0, 0.8), (1, 0, 0, 0), (0, 0, 1, 0), active=[1, 0, 0]),
    ]


def test_measures_by_hand(three_sets):
    scored = score_sets(three_sets, 0.7, 0, True, "test")
    assert [one.matched.head.tolist() for one in scored] == [[1, 0], [1, 0], [0, -1]]
    # five heads are assigned, to a, b, a, b, a; those of b and the first of a cluster rightly, and of the two other
    # heads for a, (0, 0.8, 0, 0.6) falls to b's cluster and (0.6, 0, 0, 0.8) to a's
    assert [one.right.tolist() for one in scored] == [[True, True], [False, True], [True, False]]
    found = measures(scored, 0)
    values = {name: one["value"] for name, one in found.items() if name not in ("num", "by_loudness")}
    assert values == pytest.approx(
        {
            "coverage": 3 / 6,
            "precision": 3 / 5,
            "f1": 3 / 5.5,
            "duplicates": 1 / 5,
            "false": 1 / 5,
            "found": 5 / 6,
            "cos": (1 + 1 + 0 + 1 + 0.6) / 5,
            "acc": 4 / 5,
            "acc_all": 4 / 6,
            "acc_cov": 3 / 3,
            "count": 2 / 3,
        }
    )
    assert values["acc_all"] == pytest.approx(values["acc"] * values["found"])
    assert found["num"] == 3
    loudest, quiet = found["by_loudness"]  # b, b, a and a, a, c, of whom nobody is
    assert (loudest["coverage"]["value"], quiet["coverage"]["value"]) == pytest.approx((2 / 3, 1 / 3))
    assert (loudest["cos"]["value"], quiet["cos"]["value"]) == pytest.approx(((1 + 1 + 0.6) / 3, (1 + 0) / 2))


def test_intervals_hold_the_value_and_are_the_same_again(three_sets):
    scored = score_sets(three_sets, 0.7, 0, True, "test")
    one, again = measures(scored, 0, "2"), measures(scored, 0, "2")
    assert one == again
    assert 0 <= one["coverage"]["low"] < one["coverage"]["value"] < one["coverage"]["high"] <= 1
    # of three mixtures that cover 2, 1 and 0 of two talkers, each 27th draw is three times the same one
    assert (one["coverage"]["low"], one["coverage"]["high"]) == (0, 1)
    many = [measures(scored * 20, seed, name)["cos"]["low"] for seed, name in ((0, "2"), (1, "2"), (0, "3"))]
    assert len(set(many)) == 3  # another seed or number of talkers, other draws


def test_a_student_that_does_not_count_has_no_count(three_sets):
    assert "count" not in measures(score_sets(three_sets, 0.7, 0, False, "test"), 0)


def test_loudness_ranks_from_the_loudest(mixture_of):
    plan = with_levels(mixture_of("a", "b", "c", "d"), -30, -25, -33, -30)
    assert loudness_ranks(plan).tolist() == [1, 0, 3, 2]


def test_by_overlap_are_the_same_clusters_in_groups(three_sets):
    overlaps = (0.55, 0.72, 0.55)
    sets = [
        dataclasses.replace(one, plan=dataclasses.replace(one.plan, overlaps=(share,)))
        for one, share in zip(three_sets, overlaps, strict=True)
    ]
    by = overlap_measures(score_sets(sets, 0.7, 0, True, "test"), 0)
    assert list(by) == ["0.5-0.6", "0.7-0.8"] and [group["num"] for group in by.values()] == [2, 1]
    assert by["0.5-0.6"]["acc_all"]["value"] == 3 / 4 and by["0.7-0.8"]["acc_all"]["value"] == 1 / 2
    assert by["0.7-0.8"]["coverage"] == {"value": 0.5, "low": 0.5, "high": 0.5}


def test_the_threshold_is_that_of_equal_errors_of_own_and_other_talkers(mixture_of):
    plan = mixture_of("a", "b")
    sets = [
        heard(plan, (0.8, 0.1, 0, np.sqrt(0.35)), (0.2, 0.6, 0, np.sqrt(0.6))),
        heard(plan, (0.9, 0.5, 0, 0), (0.5, 0.55, 0, 0), (0.7, 0, 0, 0.1), active=[1, 1, 0]),
        heard(mixture_of("a"), (0.65, 0, 0, np.sqrt(1 - 0.65**2))),
    ]
    lengths = np.sqrt([0.9**2 + 0.5**2, 0.5**2 + 0.55**2])
    own = np.array([0.8, 0.6, 0.9 / lengths[0], 0.55 / lengths[1], 0.65])
    others = np.array([0.1, 0.2, 0.5 / lengths[0], 0.5 / lengths[1]])
    tau, eer = threshold(sets, "dev")
    assert tau == pytest.approx(0.65) and (own < tau - 1e-6).mean() == 1 / 5 and (others > tau).mean() == 1 / 4
    assert eer == pytest.approx(1 / 4)  # of the others; between 0.65 and 0.67 that of the own goes from 1/5 to 2/5
    with pytest.raises(UserError, match="wanted dev mixtures of two talkers or more, found none in single/dev; prep"):
        threshold(sets[2:], "single/dev")
    with pytest.raises(UserError, match="found none in 5mix/dev"):
        threshold([], "5mix/dev")


def test_embeddings_that_cannot_be_clustered_are_told_by_their_set(mixture_of):
    with pytest.raises(UserError, match="data/2mix/test: wanted at least two speakers and one of them twice, found 2"):
        score_sets([heard(mixture_of("a", "b"), (1, 0, 0, 0), (0, 1, 0, 0))], 0.5, 0, False, "data/2mix/test")


def test_mixtures_of_another_number_are_refused(mixture_of, tmp_path):
    write_plans(tmp_path / "plan.jsonl", [mixture_of("a", "b"), mixture_of("a", "b", "c")])
    with pytest.raises(UserError, match="plan.jsonl: wanted mixtures of 2 talkers, found 3 in a_b_c; give another fol"):
        plans_of(tmp_path, 2)
    write_plans(tmp_path / "plan.jsonl", [])
    with pytest.raises(UserError, match="wanted mixtures of 2 talkers, found no mixture at all"):
        plans_of(tmp_path, 2)


def saved(path, kind, config):
    torch.manual_seed(0)
    checkpoint.save_model(path, kind, plugins.build(kind, config))
    return path


@pytest.fixture(scope="module")
def sets(mixture_of, tmp_path_factory):
    """Folders of mixtures of one to three; those of three have no dev."""
    folder, groups = tmp_path_factory.mktemp("sets"), {1: "abca", 2: ("ab", "bc", "ca"), 3: ("abc", "bcd", "dab")}
    for number, speakers in groups.items():
        for name in ("dev", "test")[number == 3 :]:
            plans = [mixture_of(*one, mix=f"{name}{number}-{place}") for place, one in enumerate(speakers)]
            write_plans(folder / str(number) / name / "plan.jsonl", plans)
    return {number: folder / str(number) for number in groups}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Files of a teacher, a student with two heads, and one with three heads and presence."""
    folder = tmp_path_factory.mktemp("networks")
    plain = parallel_heads.Config(num_spk=2, **SIZES)
    counting = parallel_heads.Config(num_spk=3, presence=True, **SIZES)
    return {
        "teacher": saved(folder / "teacher.pt", "teachers", asp.Config(**SIZES)),
        "{2}": saved(folder / "two.pt", "students", plain),
        "{1..3}": saved(folder / "three.pt", "students", counting),
    }


@pytest.fixture(scope="module")
def result(networks, sets):
    students = {name: path for name, path in networks.items() if name != "teacher"}
    return measure_cardinalities(students, networks["teacher"], sets, seed=3, batch_size=2)


def test_from_files_to_numbers(result):
    assert json.loads(json.dumps(result)) == result and result["seed"] == 3
    assert list(result["students"]) == ["{2}", "{1..3}"]
    for name, student in result["students"].items():
        assert student["dev"] == [1, 2] and list(student["talkers"]) == ["1", "2", "3"]
        assert list(student["overlap"]) == ["2", "3"] and list(student["overlap"]["3"]) == ["0.9-1.0"]
        assert [one["num"] for one in student["talkers"].values()] == [4, 3, 3]
        assert [len(one["by_loudness"]) for one in student["talkers"].values()] == [1, 2, 3]
        for one in student["talkers"].values():
            shares = [one[kind]["value"] for kind in ("precision", "duplicates", "false")]
            assert sum(shares) == pytest.approx(1), name
    plain, counting = result["students"].values()
    assert (plain["heads"], plain["presence"], plain["counted"]) == (2, False, None)
    assert [plain["talkers"][number]["found"]["value"] for number in "123"] == pytest.approx([1, 1, 2 / 3])
    assert (counting["heads"], counting["presence"]) == (3, True)
    for number, row in counting["counted"].items():
        one = counting["talkers"][number]
        assert sum(row) == one["num"] and one["count"]["value"] == row[int(number)] / one["num"]


def test_acc_is_that_of_stage_8(result, networks, sets):
    teacher, student = (
        checkpoint.load_model(networks[name], kind) for name, kind in (("teacher", "teachers"), ("{2}", "students"))
    )
    for number in (2, 3):
        plans = plans_of(sets[number] / "test", number)
        tables = mixture_embeddings(teacher, student, fixed_loader(plans, 3))
        table = student_table(tables.matched, plans)
        missing = number * len(plans) - len(table.keys)
        row = judge(table, fixed_trials(plans), 0, 3, tables.teacher, missing).metrics
        found = result["students"]["{2}"]["talkers"][str(number)]
        assert found["acc"]["value"] == pytest.approx(row["acc"])
        assert found["acc_all"]["value"] == pytest.approx(row["acc_all"])
        assert found["cos"]["value"] == pytest.approx(row["cos"], abs=1e-5)


def test_a_test_set_that_is_not_there_is_named(networks, sets, tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}/test/plan.jsonl: no such file"):
        measure_cardinalities({"{2}": networks["{2}"]}, networks["teacher"], {**sets, 4: tmp_path}, 0)


def test_dev_sets_of_single_voices_give_no_threshold(networks, sets):
    with pytest.raises(UserError, match="wanted dev mixtures of two talkers or more, found none in .*1/dev, .*3/dev"):
        measure_cardinalities({"{2}": networks["{2}"]}, networks["teacher"], {1: sets[1], 3: sets[3]}, 0)
