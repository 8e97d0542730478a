"""Networks of WeSep as extractors: of a stand-in checkout, and of the real one where WESEP_DIR names it."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch.nn.functional import normalize

from wesep_mix.base.errors import UserError
from wesep_mix.base.foreign import modules_of
from wesep_mix.models import checkpoint
from wesep_mix.models.extractors.wesep import BARE, Config, Model

D = 12
REAL = os.environ.get("WESEP_DIR")


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("WESEP_DIR", raising=False)


@pytest.fixture
def given(wesep_checkout):
    return Config(embedding_dim=D, folder=str(wesep_checkout))


@pytest.fixture
def inputs():
    torch.manual_seed(1)
    return 0.1 * torch.randn(2, 9000), normalize(torch.randn(2, D), dim=1)


def test_its_output_is_that_of_weseps_own_call(given, inputs, wesep_checkout, monkeypatch):
    torch.manual_seed(0)
    model = Model(given).eval()
    for name in ("wespeaker", "wespeaker.models", "wespeaker.models.speaker_model", "thop"):
        monkeypatch.setitem(sys.modules, name, type(sys)(name))
    sys.modules["wespeaker.models.speaker_model"].get_speaker_model = None
    with modules_of("wesep", BARE, "{}", wesep_checkout):
        from wesep.models.bsrnn import BSRNN

        torch.manual_seed(0)
        theirs = BSRNN(spk_emb_dim=D, joint_training=False, use_spk_transform=False).eval()
    assert torch.equal(model(*inputs), theirs(*inputs)[0])
    assert model.frame_step == theirs.stride == 32


def test_arguments_reach_the_class(given, inputs, wesep_checkout):
    model = Model(Config(embedding_dim=D, folder=str(wesep_checkout), arguments={"win": 128, "stride": 16}))
    assert (model.network.win, model.frame_step) == (128, 16)
    assert model(*inputs).shape == (2, 9000)


def test_the_checkout_may_be_named_by_a_variable_and_nothing_of_it_stays_imported(inputs, wesep_checkout, monkeypatch):
    monkeypatch.setenv("WESEP_DIR", str(wesep_checkout))
    path = list(sys.path)
    assert Model(Config(embedding_dim=D))(*inputs).shape == (2, 9000)
    assert not [name for name in sys.modules if name.split(".")[0] in ("wesep", "wespeaker")] and sys.path == path


def test_without_an_embedding_everybody_has_the_same_one(inputs, wesep_checkout):
    without = Model(Config(embedding_dim=D, fusion="none", folder=str(wesep_checkout))).eval()
    assert torch.equal(without(inputs[0]), without.network(inputs[0], torch.ones(2, 1))[0])
    with pytest.raises(UserError, match="wesep"):
        without(*inputs)


def test_at_unit_level_the_network_hears_one_level(wesep_checkout, inputs):
    torch.manual_seed(0)
    leveled = Model(Config(embedding_dim=D, folder=str(wesep_checkout), unit_level=True)).eval()
    torch.manual_seed(0)
    plain = Model(Config(embedding_dim=D, folder=str(wesep_checkout))).eval()
    mix, emb = inputs
    level = mix.square().mean(1, keepdim=True).sqrt()
    assert torch.allclose(leveled(mix, emb), level * plain(mix / level, emb), atol=1e-6)
    assert torch.allclose(leveled(3 * mix, emb), 3 * leveled(mix, emb), atol=1e-5)
    assert not torch.allclose(plain(3 * mix, emb), 3 * plain(mix, emb), atol=1e-3)


def test_a_model_file_is_loaded_with_the_checkout_of_the_variable(inputs, tmp_path, wesep_checkout, monkeypatch):
    moved = tmp_path / "checkout"
    shutil.copytree(wesep_checkout, moved)
    model = Model(Config(embedding_dim=D, folder=str(moved))).eval()
    checkpoint.save_model(tmp_path / "model.pt", "extractors", model)
    moved.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="checkout: wanted a checkout of WeSep, found no wesep/models in it"):
        checkpoint.load_model(tmp_path / "model.pt", "extractors")
    monkeypatch.setenv("WESEP_DIR", str(tmp_path / "elsewhere"))
    again = checkpoint.load_model(tmp_path / "model.pt", "extractors").eval()
    assert torch.equal(again(*inputs), model(*inputs))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "TFGridNet"}, "no class TFGridNet in the models of the WeSep in .*; set extractor.model.model"),
        ({"model": "CMGAN"}, "CMGAN takes no given embedding: it has no spk_emb_dim"),
        ({"arguments": {"widow": 3}}, "BSRNN has no argument widow; it has spk_emb_dim, sr, win, stride"),
        ({"arguments": {"use_spk_transform": True}}, r"cannot build BSRNN with .* \(AssertionError"),
    ],
)
def test_what_wesep_does_not_have_is_said(change, said, wesep_checkout):
    with pytest.raises(UserError, match=said):
        Model(Config(embedding_dim=D, folder=str(wesep_checkout), **change))


def test_without_wesep_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path or ".") / "wesep").is_dir()])
    with pytest.raises(UserError, match="wanted WeSep with BSRNN, it does not import .*; git clone .*WESEP_DIR=wesep"):
        Model(Config(embedding_dim=D))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "a.b"}, "model: wanted the name of a class, found 'a.b'"),
        ({"arguments": {"spk_emb_dim": 3}}, "arguments: spk_emb_dim is the teacher's; leave it out"),
        ({"arguments": {"joint_training": True}}, "arguments: joint_training is false, the embedding is given"),
    ],
)
def test_what_is_set_here_is_not_set_twice(change, said):
    with pytest.raises(ValueError, match=said):
        Config(**change)


@pytest.mark.skipif(REAL is None, reason="WESEP_DIR names no checkout of WeSep")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("BSRNN", {"feature_dim": 16, "num_repeat": 2, "spk_fuse_type": "multiply", "multi_fuse": False}),
        ("TFGridNet", {"n_layers": 1, "lstm_hidden_units": 16, "emb_dim": 8, "attn_n_head": 2}),
        ("DPCCN", {"tcn_blocks": 2}),
        ("ConvTasNet", {"N": 32, "H": 32, "B": 16, "X": 2, "R": 1}),
    ],
)
def test_the_real_ones_outputs_are_those_of_its_own_calls(name, arguments, inputs):
    model = Model(Config(embedding_dim=D, model=name, arguments=arguments, folder=str(Path(REAL)))).eval()
    theirs = model.network(*inputs)
    while isinstance(theirs, (tuple, list)):
        theirs = theirs[0]
    assert model(*inputs).shape == (2, 9000) and torch.equal(model(*inputs), theirs.reshape(2, -1))
