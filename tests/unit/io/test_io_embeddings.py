import os

import kaldiio
import numpy as np
import pytest

from wesep_mix.errors import UserError
from wesep_mix.io.embeddings import read_embeddings, write_embeddings
from wesep_mix.io.files import read_table

KEYS = ("m3-1", "m3-0", "m1-1", "m1-0", "m2-1", "m2-0")
TABLE = {key: np.random.default_rng(place).standard_normal(7) for place, key in enumerate(KEYS)}


@pytest.fixture
def scp(tmp_path):
    write_embeddings(tmp_path / "test" / "student", TABLE)
    return tmp_path / "test" / "student.scp"


def test_they_come_back_as_float32(scp):
    found = read_embeddings(scp)
    assert found.keys() == TABLE.keys()
    assert all(found[key].dtype == np.float32 for key in found)
    assert all(np.array_equal(found[key], TABLE[key].astype(np.float32)) for key in TABLE)


def test_plain_kaldiio_reads_scp_and_ark_from_any_folder(scp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    by_scp = kaldiio.load_scp(str(scp))
    by_ark = list(kaldiio.load_ark(str(scp.with_suffix(".ark"))))
    assert [key for key, _ in by_ark] == sorted(TABLE) == list(read_table(scp))
    for key, vector in by_ark:
        assert vector.dtype == np.float32
        assert np.array_equal(vector, TABLE[key].astype(np.float32)) and np.array_equal(by_scp[key], vector)


def test_they_are_found_where_they_were_moved_to(scp, tmp_path):
    (tmp_path / "test").rename(tmp_path / "elsewhere")
    found = read_embeddings(tmp_path / "elsewhere" / "student.scp")
    assert all(np.array_equal(found[key], TABLE[key].astype(np.float32)) for key in TABLE)


def test_a_command_for_an_ark_is_refused_and_not_run(scp, tmp_path):
    scp.write_text(scp.read_text() + f"m4-0 touch {tmp_path / 'run'} |\n")
    with pytest.raises(UserError, match="student.scp: m4-0: wanted a place in an ark, found the command touch"):
        read_embeddings(scp)
    assert not (tmp_path / "run").exists()


def test_a_relative_stem_is_written_with_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_embeddings("exp/student", TABLE)
    assert all(place.startswith(f"{tmp_path}/exp/student.ark:") for place in read_table("exp/student.scp").values())


def test_nothing_but_the_two_files_is_left(scp):
    assert sorted(path.name for path in scp.parent.iterdir()) == ["student.ark", "student.scp"]


@pytest.mark.parametrize("vector, said", [
    (np.array([1.0, np.nan, np.inf]), "embedding b: wanted a finite vector, found shape .3,., 2 values not finite"),
    (np.zeros((2, 3)), "embedding b: wanted a finite vector, found shape .2, 3."),
])
def test_what_is_no_finite_vector_is_not_written(tmp_path, vector, said):
    with pytest.raises(UserError, match=said):
        write_embeddings(tmp_path / "x", {"a": np.zeros(3), "b": vector})
    assert list(tmp_path.iterdir()) == []


def test_where_the_scp_is_the_ark_is_whole(scp, monkeypatch):
    """A kill at any moment: whenever a file gets its name, what a present scp lists can be read, and is new."""
    new, states, rename = {key: vector + 1 for key, vector in TABLE.items()}, [], os.replace

    def replace(source, target):
        rename(source, target)
        if scp.exists():
            found = read_embeddings(scp)
            states.append(all(np.array_equal(found[key], new[key].astype(np.float32)) for key in new))

    monkeypatch.setattr(os, "replace", replace)
    write_embeddings(scp.with_suffix(""), new)
    assert states == [True]


def test_missing_files(tmp_path, scp):
    with pytest.raises(UserError, match="none.scp: no such file; stage 4 makes it"):
        read_embeddings(tmp_path / "none.scp")
    scp.with_suffix(".ark").unlink()
    with pytest.raises(UserError, match="student.scp: its ark cannot be read"):
        read_embeddings(scp)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.97])
def test_a_truncated_ark(scp, kept):
    ark = scp.with_suffix(".ark")
    data = ark.read_bytes()
    ark.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(UserError, match="student.scp: its ark cannot be read .*redo stage 4"):
        read_embeddings(scp)
