"""Rows from files; models and k-means are stood in for, what they do is tested elsewhere."""

from types import SimpleNamespace

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_table
from wesep_mix.evaluation import clustering as rows
from wesep_mix.evaluation.breakdown import read_properties
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.mixing.plan import speaker_keys
from wesep_mix.mixing.trials import fixed_trials


@pytest.fixture
def mixtures(mixture_of):
    return [mixture_of("a", "b", mix="m1"), mixture_of("b", "c", mix="m2"), mixture_of("a", "c", mix="m3")]


@pytest.fixture
def embeddings(mixtures, mixture_of, tmp_path, monkeypatch):
    """Stage 4's folder; the student's embeddings are the teacher's, turned by a little, and one is missing."""
    monkeypatch.setattr(rows, "num_trainable", lambda path, kind: len(kind))
    rng = np.random.default_rng(0)
    clean = {key: rng.standard_normal(6).astype(np.float32) for plan in mixtures for key in speaker_keys(plan)}
    matched = {key: vector + 0.3 * rng.standard_normal(6) for key, vector in clean.items() if key != "m3-c"}
    folder = tmp_path / "embeddings"
    write_embeddings(folder / "test" / "teacher", clean)
    write_embeddings(folder / "test" / "matched", matched)
    write_embeddings(
        folder / "single_test" / "teacher",
        {f"{spk}-{turn}": rng.standard_normal(6) for spk in "ab" for turn in range(2)},
    )
    return folder


@pytest.fixture
def single(mixture_of):
    return [mixture_of(spk, mix=f"{spk}-{turn}") for spk in "ab" for turn in range(2)]


def with_teacher(monkeypatch, teacher):
    monkeypatch.setattr(rows, "load_model", lambda path, kind: teacher)
    monkeypatch.setattr(rows, "initial_frontend", lambda frontend, seed: f"fresh {frontend}")


def test_the_students_row(embeddings, mixtures, tmp_path):
    row = rows.student_row(embeddings, tmp_path / "student.pt", mixtures, fixed_trials(mixtures), 0)
    assert (row.metrics["num"], row.metrics["num_missing"], row.metrics["trainable"]) == (5, 1, 8)
    assert row.metrics["acc_all"] == pytest.approx(row.metrics["acc"] * 5 / 6)
    assert 0.8 < row.metrics["cos"] < 1 and row.cos.shape == (5,)
    assert "count_acc" not in row.metrics


def test_counts_are_compared_with_the_plans(embeddings, mixtures, tmp_path):
    write_table(embeddings / "test" / "reco2num_spk", {"m1": "2", "m2": "1", "m3": "2", "of another set": "2"})
    row = rows.student_row(embeddings, tmp_path / "student.pt", mixtures, fixed_trials(mixtures), 0)
    assert row.metrics["count_acc"] == 2 / 3


@pytest.mark.parametrize("second", [{}, {"m2": "two"}, {"m2": "-2"}])
def test_a_count_that_is_none_is_named(embeddings, mixtures, second):
    write_table(embeddings / "test" / "reco2num_spk", {"m1": "2", **second, "m3": "2"})
    with pytest.raises(UserError, match="reco2num_spk: wanted the number of talkers of m2, found (none|two|-2)"):
        rows.counts_right(embeddings / "test" / "reco2num_spk", mixtures)


def test_a_teacher_without_a_frontend_has_no_kmeans(embeddings, mixtures, single, tmp_path, monkeypatch):
    with_teacher(monkeypatch, SimpleNamespace())
    found = rows.clustering_rows(embeddings, tmp_path, tmp_path, mixtures, single, 0, "cpu")
    assert list(found) == ["teacher", "teacher/clean", "student"]


def test_all_rows(embeddings, mixtures, single, tmp_path, monkeypatch):
    with_teacher(monkeypatch, SimpleNamespace(frontend="frontend"))
    made = []

    def kmeans_tables(frontends, plans, seed, device):
        made.append(frontends)
        return {
            name: rows.clean_table(rows.read_embeddings(embeddings / "test" / "teacher.scp"), plans)
            for name in frontends
        }

    monkeypatch.setattr(rows, "kmeans_tables", kmeans_tables)
    found = rows.clustering_rows(embeddings, tmp_path, tmp_path, mixtures, single, 0, "cpu")
    assert made == [{"kmeans": "fresh frontend", "kmeans/teacher": "frontend"}]
    assert {name: row.metrics["trainable"] for name, row in found.items()} == {
        "teacher": 8,
        "teacher/clean": 8,
        "kmeans": 0,
        "kmeans/teacher": 0,
        "student": 8,
    }
    assert {name for name, row in found.items() if "cos" in row.metrics} == {"student"}
    assert list(rows.kmeans_rows(tmp_path, mixtures, fixed_trials(mixtures), 0, "cpu", with_trained=False)) == [
        "kmeans"
    ]
    monkeypatch.setattr(rows, "initial_frontend", lambda frontend, seed: frontend)  # as of a frozen one
    frozen = rows.kmeans_rows(tmp_path, mixtures, fixed_trials(mixtures), 0, "cpu")
    assert made[-1] == {"kmeans": "frontend"} and frozen["kmeans/teacher"] is frozen["kmeans"]

    rows.write_rows(tmp_path / "clustering", found, mixtures)
    assert read_json(tmp_path / "clustering" / "metrics.json") == {name: row.metrics for name, row in found.items()}
    by = read_json(tmp_path / "clustering" / "by_condition.json")
    assert set(by) == set(found) - {"teacher"} and set(by["student"]) == {"sexes", "snr_db", "overlap", "cosine"}
    assert by["student"]["sexes"] == {
        "ff": {"acc": found["student"].metrics["acc"], "num": 5, "cos": pytest.approx(found["student"].metrics["cos"])}
    }
    assert list(read_properties(tmp_path / "clustering" / "mixtures.csv")) == ["m1", "m2", "m3"]
