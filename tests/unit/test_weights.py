import errno
import os
import resource

import pytest
import torch

from wesep_mix.errors import UserError
from wesep_mix.weights import damage, read_weights, write_weights


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
    return {"halved": data[:middle], "zeroed": bytes(len(data)), "random": os.urandom(len(data)), "empty": b"",
            "cut by a byte": data[:-1], "a bit": flipped, "its end zeroed": data[:4096] + bytes(len(data) - 4096)}[how]


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
