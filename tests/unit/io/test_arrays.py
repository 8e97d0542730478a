"""Named arrays in files."""

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.io.arrays import read_arrays, write_arrays


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "1.total": np.array(7)}
    write_arrays(tmp_path / "x.npz", arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert set(found) == set(arrays) and all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert found["a"].dtype == np.float32 and [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_what_cannot_be_read_is_named(tmp_path):
    write_arrays(tmp_path / "x.npz", {"a": np.arange(1000)})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:300])
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], dtype=object))
    for name in ("cut", "text", "pickled"):
        with pytest.raises(UserError, match=f"{name}.npz: wanted an npz of arrays, .*; record it again"):
            read_arrays(tmp_path / f"{name}.npz", "record it again")
    with pytest.raises(UserError, match="gone.npz: no such file"):
        read_arrays(tmp_path / "gone.npz")


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        write_arrays(tmp_path / "x.npz", {"a": np.array([{}], dtype=object)})
    assert not list(tmp_path.iterdir())
