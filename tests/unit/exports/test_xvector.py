"""What WeSpeaker's score.py, compute_metrics.py, spectral_clusterer.py and make_rttm.py ask of their input."""

import itertools

import kaldiio
import numpy as np
import pytest

from wesep_mix.base.files import read_table
from wesep_mix.exports.wespeaker import write_mixtures, write_single
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.mixing.plan import head_keys, single_keys, speaker_keys

HEADS = 3
KINDS = ("teacher", "student", "matched")


@pytest.fixture
def written(mixture_of, tmp_path):
    """A set of three mixtures of two, a student of three heads; one talker was given none."""
    plans = [
        mixture_of("a", "b", mix="1-0_2-0"),
        mixture_of("c", "d", mix="3-0_4-0"),
        mixture_of("a", "b", mix="1-1_2-1"),
    ]
    folder, rng = tmp_path / "test", np.random.default_rng(0)
    keys = {
        "teacher": [key for plan in plans for key in speaker_keys(plan)],
        "student": [key for plan in plans for key in head_keys(plan, HEADS)],
    }
    keys["matched"] = [key for key in keys["teacher"] if key != "1-0_2-0-b"]
    places = {
        kind: write_embeddings(folder / kind, {key: rng.standard_normal(4) for key in names})
        for kind, names in keys.items()
    }
    write_mixtures(folder, plans, places, HEADS, with_trials=True)
    return folder, plans


def vectors(scp):
    return dict(kaldiio.load_scp_sequential(str(scp)))


@pytest.mark.parametrize("kind", KINDS)
def test_xvector_scp_reads_as_ours_and_copies_no_vector(written, kind):
    folder, _ = written
    ours, theirs = vectors(folder / f"{kind}.scp"), vectors(folder / "wespeaker" / kind / "xvector.scp")
    assert ours.keys() == theirs.keys() and all(np.array_equal(ours[key], theirs[key]) for key in ours)
    assert list((folder / "wespeaker").rglob("*.ark")) == []


def test_trials_are_three_words_whose_keys_are_there(written):
    folder, _ = written
    lists = {"teacher": folder / "trials", "matched": folder / "wespeaker" / "matched" / "trials"}
    counts = {}
    for kind, path in lists.items():
        rows = [line.split() for line in path.read_text().splitlines()]
        there = vectors(folder / "wespeaker" / kind / "xvector.scp")
        assert all(len(row) == 3 and row[0] in there and row[1] in there for row in rows)
        assert {row[2] for row in rows} == {"target", "nontarget"}
        counts[kind] = sum(row[2] == "target" for row in rows), len(rows)
    assert counts == {"teacher": (2, 12), "matched": (1, 8)}


def test_all_talkers_matched_means_one_list(written):
    folder, plans = written
    (folder / "wespeaker" / "matched" / "trials").unlink()
    there = read_table(folder / "teacher.scp")
    write_mixtures(folder, plans, dict.fromkeys(KINDS, there), HEADS, with_trials=True)
    assert not (folder / "wespeaker" / "matched" / "trials").exists()


def test_speakers_of_all_embeddings(written):
    folder, _ = written
    table = read_table(folder / "wespeaker" / "utt2spk")
    assert list(table) == sorted(vectors(folder / "teacher.scp")) and table["1-1_2-1-b"] == "b"


@pytest.mark.parametrize(
    ("name", "recordings"), [("emb.scp", ["1_0_2_0", "1_1_2_1", "3_0_4_0"]), ("emb_as_one.scp", ["test"])]
)
@pytest.mark.parametrize("kind", KINDS)
def test_keys_for_the_clusterers(written, kind, name, recordings):
    folder, _ = written
    ours = read_table(folder / f"{kind}.scp")
    table = read_table(folder / "wespeaker" / kind / name)
    parts = [key.split("-") for key in table]
    assert all(len(part) == 5 for part in parts)  # as make_rttm.py takes them apart
    assert list(dict.fromkeys(part[0] for part in parts)) == recordings  # as the clusterers group them
    assert sorted(table.values()) == sorted(ours.values())
    for recording in recordings:
        times = [[int(time) for time in part[1:]] for part in parts if part[0] == recording]
        assert times == sorted(times) and all(end - begin == 10 * last > 0 for begin, end, _, last in times)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))


def test_order_within_a_mixture_is_that_of_the_heads(written):
    folder, _ = written
    ours = {place: key for key, place in read_table(folder / "student.scp").items()}
    places = read_table(folder / "wespeaker" / "student" / "emb.scp").values()
    assert [ours[place] for place in places] == sorted(ours.values())


def test_a_training_set_has_no_trials(written, tmp_path):
    folder, plans = written
    places = {kind: read_table(folder / f"{kind}.scp") for kind in KINDS}
    write_mixtures(tmp_path / "train", plans, places, HEADS, with_trials=False)
    assert (tmp_path / "train" / "wespeaker" / "student" / "xvector.scp").is_file()
    assert not list((tmp_path / "train").rglob("trials"))


def test_single_speech(mixture_of, tmp_path):
    plans = [mixture_of(spk, mix=f"{spk}-{turn}") for spk in "ab" for turn in range(2)]
    folder = tmp_path / "single_test"
    places = write_embeddings(folder / "teacher", {key: np.ones(4) for plan in plans for key in single_keys(plan)})
    write_single(folder, plans, places)
    assert (folder / "trials").read_text().splitlines()[0] == "a-0 a-1 target"
    assert read_table(folder / "wespeaker" / "utt2spk") == {"a-0": "a", "a-1": "a", "b-0": "b", "b-1": "b"}
    assert set(vectors(folder / "wespeaker" / "teacher" / "xvector.scp")) == {"a-0", "a-1", "b-0", "b-1"}
