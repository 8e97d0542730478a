import argparse
import errno
import os
import resource

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.io.weights import damage, read_state, read_weights, write_weights

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "norm.num_batches_tracked": torch.tensor(3)}


@pytest.mark.parametrize("text", ["hello\n", "", "model: 1\n", "(lp0\n", "t.", "I12a\n.", "Gabc", "\u00fcber"])
def test_a_text_is_no_model_file(tmp_path, text):
    path = tmp_path / "model.pt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="model.pt: not a readable model file") as err:
        read_weights(path)
    assert "\n" not in str(err.value)


def spoilt(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    return {
        "halved": data[:middle],
        "zeroed": bytes(len(data)),
        "random": os.urandom(len(data)),
        "empty": b"",
        "cut by a byte": data[:-1],
        "a bit": flipped,
        "its end zeroed": data[:4096] + bytes(len(data) - 4096),
    }[how]


@pytest.mark.parametrize("how", ["halved", "zeroed", "random", "empty", "cut by a byte", "a bit", "its end zeroed"])
def test_a_damaged_file_is_named_and_nobody_is_advised_to_load_code(tmp_path, how):
    path = tmp_path / "model.pt"
    write_weights(path, {"weight": torch.ones(50000)})
    assert damage(path) is None and torch.equal(read_weights(path)["weight"], torch.ones(50000))
    path.write_bytes(spoilt(path.read_bytes(), how))
    assert damage(path)
    with pytest.raises(UserError, match=f"^{path}: not a readable model file .*redo the stage") as err:
        read_weights(path)
    assert "weights_only" not in str(err.value) and "\n" not in str(err.value)


def test_a_file_that_may_not_grow_is_named_and_the_old_one_kept(tmp_path):
    """As on a full disk, of which torch has only a RuntimeError to say."""
    path, limits = tmp_path / "model.pt", resource.getrlimit(resource.RLIMIT_FSIZE)
    write_weights(path, {"weight": torch.zeros(3)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as err:
            write_weights(path, {"weight": torch.ones(50000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert err.value.errno == errno.EFBIG and err.value.filename == str(path)
    assert torch.equal(read_weights(path)["weight"], torch.zeros(3)) and list(tmp_path.iterdir()) == [path]


def prefixed(prefix):
    return {f"{prefix}{name}": value for name, value in STATE.items()}


@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE},
        {"model_state_dict": STATE, "model": "DPCCN"},
        {"models": [STATE, {}], "optimizers": []},
        {"models": {"model": STATE}},
        {"model_state": STATE, "loss": 0.5},
        prefixed("module."),
        {"models": [prefixed("module.")]},
        {"state_dict": prefixed("module._orig_mod.")},
    ],
)
def test_weights_are_found_where_trainings_put_them_and_under_their_own_names(tmp_path, content):
    torch.save(content, tmp_path / "theirs.pt")
    found = read_state(tmp_path / "theirs.pt")
    assert list(found) == list(STATE) and all(torch.equal(found[name], value) for name, value in STATE.items())


def test_a_name_that_only_some_weights_begin_with_belongs_to_them(tmp_path):
    torch.save({"module.weight": torch.ones(1), "bias": torch.ones(1)}, tmp_path / "theirs.pt")
    assert list(read_state(tmp_path / "theirs.pt")) == ["module.weight", "bias"]


@pytest.mark.parametrize(
    "beside, said",
    [
        ({"loss": np.float64(1)}, "numpy"),
        ({"args": argparse.Namespace(lr=1)}, "argparse.Namespace"),
        ({"history": np.zeros(3)}, "numpy"),
    ],
)
def test_what_lies_beside_the_weights_and_would_be_unpickled_is_named(tmp_path, beside, said):
    torch.save({"state_dict": STATE, **beside}, tmp_path / "theirs.pt")
    wanted = f"theirs.pt: .* holds more than tensors .*{said}.*: save its weights alone"
    with pytest.raises(UserError, match=wanted) as err:
        read_state(tmp_path / "theirs.pt")
    assert "weights_only" not in str(err.value) and "\n" not in str(err.value)


@pytest.mark.parametrize(
    "content, said",
    [
        (torch.nn.Linear(1, 1), "holds more than tensors"),
        ({**STATE, "lr": 0.1}, "found lr, which is float"),
        ({"state_dict": None}, "found NoneType"),
        ({}, "found none"),
        ({"model": [1, 2]}, "found int"),
    ],
)
def test_what_is_no_state_dict_is_named(tmp_path, content, said):
    torch.save(content, tmp_path / "theirs.pt")
    with pytest.raises(UserError, match=said):
        read_state(tmp_path / "theirs.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value, dtype):
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, value], dtype=dtype)}, tmp_path / "theirs.pt")
    with pytest.raises(UserError, match="theirs.pt: weight b: 1 of 2 values are not finite"):
        read_state(tmp_path / "theirs.pt")
