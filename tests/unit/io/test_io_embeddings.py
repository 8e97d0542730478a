import os
import pickle
import shutil
import struct

import kaldiio
import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table
from wesep_mix.io.embeddings import read_embeddings, write_embeddings

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


@pytest.mark.parametrize(
    "vector, said",
    [
        (np.array([1.0, np.nan, np.inf]), "embedding b: wanted a finite vector, found shape .3,., 2 values not finite"),
        (np.zeros((2, 3)), "embedding b: wanted a finite vector, found shape .2, 3."),
    ],
)
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


class Touch:
    """Unpickled it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


def npy(folder, array):
    np.save(folder / "x.npy", array, allow_pickle=True)
    data = (folder / "x.npy").read_bytes()
    return b"NPY\x04" + struct.pack("<I", len(data)) + data


def ark_of(path, data, key="m0-0"):
    """`<path>.scp`, which names one entry of `<path>.ark` that holds `data`."""
    path.with_suffix(".ark").write_bytes(key.encode() + b" " + data)
    path.with_suffix(".scp").write_text(f"{key} {path.with_suffix('.ark')}:{len(key) + 1}\n")
    return path.with_suffix(".scp")


def hostile(folder):
    return {
        "pickle": b"PKL" + pickle.dumps(Touch(folder / "run")),
        "npy of objects": npy(folder, np.array([Touch(folder / "run")], dtype=object)),
        "npy": npy(folder, np.zeros(3, np.float32)),
        "sound": b"RIFF" + bytes(40),
        "flac": b"fLaC" + bytes(40),
        "coded sound": b"AUDIO\x04" + bytes(40),
        "text": b" [ 1.0 2.0 ]\n",
        "int32 vector": b"\0B\x04\x01\0\0\0\x04\x01\0\0\0",
        "compressed": b"\0BCM " + bytes(30),
        "zeros": bytes(40),
        "nothing": b"",
        "length below zero": b"\0BFV \x04" + struct.pack("<i", -3),
        "no value": b"\0BFV \x04" + struct.pack("<i", 0),
        "longer than it is": b"\0BFV \x04" + struct.pack("<i", 2**31 - 1) + bytes(8),
        "a matrix": b"\0BFM \x04" + struct.pack("<i", 2) + b"\x04" + struct.pack("<i", 2) + bytes(16),
        "not finite": b"\0BDV \x04" + struct.pack("<id", 1, 1e300),
    }


KINDS = (
    "pickle",
    "npy of objects",
    "npy",
    "sound",
    "flac",
    "coded sound",
    "text",
    "int32 vector",
    "compressed",
    "zeros",
    "nothing",
    "length below zero",
    "no value",
    "longer than it is",
    "a matrix",
    "not finite",
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_binary_vector_of_floats_is_named_and_nothing_is_run(tmp_path, kind):
    scp = ark_of(tmp_path / "matched", hostile(tmp_path)[kind])
    with pytest.raises(UserError, match=r"matched.scp: its ark cannot be read \(m0-0, .*matched.ark: .*redo") as err:
        read_embeddings(scp)
    assert "\n" not in str(err.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "place", ["-", "http://localhost/x.ark:5", "{ark}:5[0:1]", "/dev/zero:0", "{folder}:0", "{pipe}:0"]
)
def test_a_place_that_is_no_file_is_named_and_not_waited_for(tmp_path, place):
    scp = ark_of(tmp_path / "x", b"\0BFV \x04" + struct.pack("<if", 1, 1.0))
    os.mkfifo(tmp_path / "pipe")
    names = {"ark": scp.with_suffix(".ark"), "folder": tmp_path, "pipe": tmp_path / "pipe"}
    scp.rename(tmp_path / "y.scp").write_text(f"m0-0 {place.format(**names)}\n")
    with pytest.raises(UserError, match="y.scp: its ark cannot be read .m0-0, .*(no such file|it is no file)"):
        read_embeddings(tmp_path / "y.scp")


@pytest.mark.parametrize("command", ["| touch {}", "touch {} |"])
def test_no_command_is_run_whichever_end_the_pipe_is_at(tmp_path, command):
    (tmp_path / "x.scp").write_text(f"m0-0 {command.format(tmp_path / 'run')}\n")
    with pytest.raises(UserError, match="x.scp: m0-0: wanted a place in an ark, found the command"):
        read_embeddings(tmp_path / "x.scp")
    assert not (tmp_path / "run").exists()


def test_doubles_and_matrices_of_one_row_are_read_as_kaldiio_writes_them(tmp_path):
    kinds = {"a": TABLE["m1-0"], "b": TABLE["m1-0"].astype(np.float32)[None], "c": TABLE["m1-0"][None]}
    kaldiio.save_ark(str(tmp_path / "x.ark"), kinds, scp=str(tmp_path / "x.scp"))
    found = read_embeddings(tmp_path / "x.scp")
    assert all(np.array_equal(found[key], TABLE["m1-0"].astype(np.float32)) for key in "abc")
    assert {vector.dtype for vector in found.values()} == {np.dtype(np.float32)}


def test_an_ark_each_is_read_and_a_copy_reads_its_own_ark(tmp_path, scp):
    for key, vector in TABLE.items():
        kaldiio.save_ark(str(tmp_path / f"{key}.ark"), {key: vector}, scp=str(tmp_path / "all.scp"), append=True)
    assert read_embeddings(tmp_path / "all.scp").keys() == TABLE.keys()
    shutil.copytree(scp.parent, tmp_path / "copy")
    scp.with_suffix(".ark").write_bytes(b"of another run")
    assert read_embeddings(tmp_path / "copy" / "student.scp").keys() == TABLE.keys()
