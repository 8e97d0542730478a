import dataclasses

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.breakdown import (
    break_down,
    flatten,
    mixture_properties,
    overlap_step,
    read_properties,
    write_properties,
)
from wesep_mix.evaluation.judging import Judged, Labelled


def like(plan, sexes, snr_db, *overlaps):
    sources = tuple(dataclasses.replace(source, sex=sex) for source, sex in zip(plan.sources, sexes, strict=True))
    noise = dataclasses.replace(plan.noise, snr_db=snr_db)
    return dataclasses.replace(plan, sources=sources, noise=noise, overlaps=overlaps)


@pytest.fixture
def various(mixture_of):
    return [
        like(mixture_of("a", "b"), "MF", 5.0, 0.55),
        like(mixture_of("c", "d"), "FM", 10.0, 0.72),
        like(mixture_of("b", "e"), "FF", 5.0, 0.8),
        like(mixture_of("f"), "F", 12.5),
    ]


def test_properties_of_a_mixture(various):
    assert list(mixture_properties(various).values()) == [
        {"sexes": "FM", "snr_db": "5", "overlap": "0.5-0.6"},
        {"sexes": "FM", "snr_db": "10", "overlap": "0.7-0.8"},
        {"sexes": "FF", "snr_db": "5", "overlap": "0.7-0.8"},
        {"sexes": "F", "snr_db": "12.5", "overlap": "none"},
    ]


@pytest.mark.parametrize(
    ("overlaps", "step"),
    [
        ((0.5,), "0.5-0.6"),
        ((0.5999999,), "0.6-0.7"),
        ((0.6,), "0.6-0.7"),
        ((0.7,), "0.7-0.8"),
        ((0.8,), "0.7-0.8"),
        ((0.81,), "0.8-0.9"),
        ((1.0,), "0.9-1.0"),
        ((0.0,), "0.0-0.1"),
        ((0.3,), "0.3-0.4"),
        ((0.5, 0.8), "0.6-0.7"),
        ((), "none"),
    ],
)
def test_steps_of_overlap(mixture_of, overlaps, step):
    assert overlap_step(dataclasses.replace(mixture_of("a", "b"), overlaps=overlaps)) == step


def test_many_snrs_are_told_in_steps(mixture_of):
    plans = [like(mixture_of("a", "b", mix=f"m{place}"), "FF", 1.5 * place - 3, 0.5) for place in range(9)]
    assert [one["snr_db"] for one in mixture_properties(plans).values()] == [
        "-5..0",
        "-5..0",
        "0..5",
        "0..5",
        "0..5",
        "0..5",
        "5..10",
        "5..10",
        "5..10",
    ]


def test_shares_and_means_of_each_value(various):
    pairs = [(plan, source) for plan in various for source in plan.sources]
    labelled = Labelled(
        np.ones((7, 2)),
        [str(place) for place in range(7)],
        [plan for plan, _ in pairs],
        [source for _, source in pairs],
    )
    correct = np.array([1, 0, 1, 1, 0, 0, 1], dtype=bool)
    row = Judged(labelled, {}, correct, np.arange(7) / 10)
    found = break_down({"student": row, "clean": dataclasses.replace(row, cos=None)}, various)
    assert found["student"]["sexes"] == {
        "FM": {"acc": 0.75, "cos": pytest.approx(0.15), "num": 4},
        "FF": {"acc": 0, "cos": pytest.approx(0.45), "num": 2},
        "F": {"acc": 1, "cos": pytest.approx(0.6), "num": 1},
    }
    assert found["clean"]["snr_db"] == {
        "5": {"acc": 0.25, "num": 4},
        "10": {"acc": 1, "num": 2},
        "12.5": {"acc": 1, "num": 1},
    }
    counting = dataclasses.replace(row, counts_right={"a_b": True, "c_d": False, "b_e": True, "f": True})
    sexes = break_down({"": counting}, various)[""]["sexes"]
    assert {value: group["count_acc"] for value, group in sexes.items()} == {"FM": 0.5, "FF": 1, "F": 1}
    assert flatten({"sexes": sexes}) | {"sexes/FM/cos": 0} == {
        "sexes/FM/acc": 0.75,
        "sexes/FM/cos": 0,
        "sexes/FM/count_acc": 0.5,
        "sexes/FF/acc": 0,
        "sexes/FF/count_acc": 1,
        "sexes/FF/cos": pytest.approx(0.45),
        "sexes/F/acc": 1,
        "sexes/F/cos": pytest.approx(0.6),
        "sexes/F/count_acc": 1,
    }
    for groups in found["student"].values():  # together they are the row again
        assert sum(group["acc"] * group["num"] for group in groups.values()) == correct.sum()


@pytest.mark.parametrize(
    ("degrees", "step"),
    [(0, "0.8..1.0"), (1, "0.8..1.0"), (60, "0.4..0.6"), (90, "0.0..0.2"), (100, "-0.2..0.0"), (180, "-1.0..-0.8")],
)
def test_steps_of_the_cosine_of_two_talkers(mixture_of, degrees, step):
    clean = {
        "a_b-a": np.array([2.0, 0.0]),
        "a_b-b": np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]),
    }
    assert mixture_properties([mixture_of("a", "b")], clean)["a_b"]["cosine"] == step


def test_of_three_talkers_the_two_most_alike_count_and_one_has_none(mixture_of):
    clean = {f"a_b_c-{spk}": np.eye(3)[place] for place, spk in enumerate("abc")} | {"d-d": np.ones(3)}
    clean["a_b_c-c"] = np.array([0.0, 0.8, 0.6])
    known = mixture_properties([mixture_of("a", "b", "c"), mixture_of("d")], clean)
    assert [one["cosine"] for one in known.values()] == ["0.8..1.0", "none"]


def test_the_table_of_mixtures_comes_back(various, tmp_path):
    write_properties(tmp_path / "mixtures.csv", various[::-1])
    assert read_properties(tmp_path / "mixtures.csv") == mixture_properties(various)
    assert (tmp_path / "mixtures.csv").read_text().splitlines()[:2] == ["mix,sexes,snr_db,overlap", "a_b,FM,5,0.5-0.6"]
    (tmp_path / "other.csv").write_text("mix,speaker\nm,a\n")
    with pytest.raises(
        UserError, match="other.csv: wanted the columns mix,sexes,snr_db,overlap,cosine, found mix,speaker"
    ):
        read_properties(tmp_path / "other.csv")
