"""Speaker encoders as ONNX and TorchScript files."""

import copy

import numpy as np
import pytest
import torch
from onnx_file import encoder

from wesep_mix.base.config import from_dict, to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.models import checkpoint
from wesep_mix.models.layers.mel import fbank
from wesep_mix.models.teachers.exported import LEAST, Config, Model

D, F = 6, 24
WEIGHT = np.random.default_rng(0).normal(size=(F, D)).astype(np.float32)


class Script(torch.nn.Module):
    """What `encoder` computes, and more than one output as of many encoders."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.from_numpy(WEIGHT))

    def forward(self, feats: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(1), feats.amax(1) @ self.weight


@pytest.fixture
def wav():
    torch.manual_seed(0)
    return 0.1 * torch.randn(3, 12000)


@pytest.fixture
def write(tmp_path):
    """Function: keyword arguments of `encoder` -> the file's path."""

    def write(name="encoder.onnx", weight=WEIGHT, **options):
        (tmp_path / name).write_bytes(encoder(weight, **options))
        return str(tmp_path / name)

    return write


def wanted(wav):
    return torch.nn.functional.normalize(fbank(wav, F).amax(1) @ torch.from_numpy(WEIGHT), dim=1)


@pytest.mark.parametrize(
    ("options", "settings"),
    [({}, {}), ({"lengths": True}, {}), ({"batch": 1}, {}), ({"axis": 2}, {"frames_first": False})],
)
def test_the_network_hears_kaldis_filterbanks(options, settings, write, wav):
    model = Model(Config(path=write(**options), num_mels=F, **settings))
    assert (model.config.form, model.config.embedding_dim) == ("onnx", D)
    torch.testing.assert_close(model(wav), wanted(wav), atol=1e-5, rtol=0)


def test_or_the_waveform(write, wav):
    weight = np.array([[1.0, -2.0]], np.float32)
    model = Model(Config(path=write(weight=weight, rank=2), features="waveform"))
    largest = wav.amax(1, keepdim=True)
    expected = torch.nn.functional.normalize(largest * torch.from_numpy(weight), dim=1)
    torch.testing.assert_close(model(wav), expected, atol=1e-6, rtol=0)


def test_torchscript_gives_the_same(tmp_path, wav):
    torch.jit.script(Script()).save(str(tmp_path / "encoder.pt"))
    model = Model(Config(path=str(tmp_path / "encoder.pt"), num_mels=F))
    assert (model.config.form, model.config.embedding_dim) == ("torchscript", D)
    torch.testing.assert_close(model(wav), wanted(wav), atol=1e-5, rtol=0)


def test_another_output_by_its_name(write, wav):
    model = Model(Config(path=write(), num_mels=F, output="most"))
    assert model.config.embedding_dim == F
    torch.testing.assert_close(model(wav), torch.nn.functional.normalize(fbank(wav, F).amax(1), dim=1))


def test_an_item_gives_the_same_alone_and_padded(write, wav):
    model = Model(Config(path=write(), num_mels=F))
    lengths = torch.tensor([12000, 9000, 100])
    together = model(wav, lengths)
    for row, size in enumerate(lengths.tolist()):
        alone = model(torch.nn.functional.pad(wav[row : row + 1, :size], (0, max(0, LEAST - size))))
        torch.testing.assert_close(together[row : row + 1], alone)


def test_a_model_file_needs_the_exported_one_no_more(write, wav, tmp_path):
    model = Model(Config(path=write(), num_mels=F))
    checkpoint.save_model(tmp_path / "model.pt", "teachers", model)
    (tmp_path / "encoder.onnx").unlink()
    again = checkpoint.load_model(tmp_path / "model.pt", "teachers")
    assert torch.equal(again(wav), model(wav)) and torch.equal(copy.deepcopy(model)(wav), model(wav))
    assert from_dict(Config, to_dict(again.config), "here") == model.config


def test_weights_that_are_loaded_later_count(write, wav):
    one, other = (Model(Config(path=write(f"{sign}.onnx", weight=sign * WEIGHT), num_mels=F)) for sign in (1, -1))
    before = one(wav)
    one.load_state_dict(other.state_dict())
    torch.testing.assert_close(one(wav), -before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_mels": F + 1}, r"encoder.onnx: it cannot take fbank of shape \[1, \d+, 25\] .*; see features, num_mels"),
        ({"num_mels": F, "output": "emb"}, "encoder.onnx: output emb: wanted one of most, embs"),
        ({"path": "none.onnx"}, "none.onnx: wanted a speaker encoder as ONNX or TorchScript, found no such file"),
        ({"path": ""}, "path: wanted a speaker encoder .* set teacher.model.path"),
    ],
)
def test_what_does_not_fit_is_one_line(settings, said, write):
    with pytest.raises(UserError, match=said) as err:
        Model(Config(**{"path": write()} | settings))
    assert "\n" not in str(err.value)


@pytest.mark.parametrize("name", ["bad.onnx", "bad.pt"])
def test_a_file_of_another_kind_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"not a network")
    with pytest.raises(UserError, match=f"{name}: not a (onnx|torchscript) file that can be read here") as err:
        Model(Config(path=str(tmp_path / name)))
    assert "\n" not in str(err.value)


def test_an_empty_file_is_named(tmp_path):
    (tmp_path / "none.onnx").touch()
    with pytest.raises(UserError, match="none.onnx: empty; copy it again"):
        Model(Config(path=str(tmp_path / "none.onnx")))
