import sys

import pytest
import torch
import yaml
from torchaudio.compliance import kaldi

from wesep_mix.base.errors import UserError
from wesep_mix.models import checkpoint
from wesep_mix.models.teachers.wespeaker import INSTALL, Config, Model

CONFIG = {
    "model": "ResNet9",
    "model_args": {"feat_dim": 20, "embed_dim": 6},
    "projection_args": {"scale": 32.0},
    "dataset_args": {
        "resample_rate": 16000,
        "frontend": "fbank",
        "fbank_args": {"num_mel_bins": 20, "frame_shift": 10, "frame_length": 25, "dither": 1.0},
    },
}


@pytest.fixture(autouse=True)
def importable(wespeaker_package, monkeypatch):
    monkeypatch.syspath_prepend(wespeaker_package)


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return {
        "conv1.weight": torch.randn(4, 20, 3),
        "bn1.weight": torch.rand(4),
        "bn1.bias": torch.randn(4),
        "bn1.running_mean": torch.randn(4),
        "bn1.running_var": torch.rand(4) + 1,
        "bn1.num_batches_tracked": torch.tensor(3),
        "seg_1.weight": torch.randn(6, 4),
        "seg_1.bias": torch.randn(6),
        "projection.weight": torch.randn(100, 6),  # the classifier of its training
    }


@pytest.fixture
def folder(tmp_path, weights):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    torch.save(weights, tmp_path / "avg_model.pt")
    return tmp_path


@pytest.fixture
def wav():
    return 0.1 * torch.randn(3, 16000, generator=torch.Generator().manual_seed(1))


def test_an_embedding_is_wespeakers(folder, weights, wav):
    feats = kaldi.fbank(wav[:1] * 32768, num_mel_bins=20, dither=0.0, sample_frequency=16000, window_type="hamming")
    x = torch.nn.functional.conv1d((feats - feats.mean(0)).T[None], weights["conv1.weight"], stride=2, padding=1)
    mean, var, scale, shift = (weights[f"bn1.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    x = torch.relu(torch.nn.functional.batch_norm(x, mean, var, scale, shift))
    wanted = torch.nn.functional.linear(x.mean(-1), weights["seg_1.weight"], weights["seg_1.bias"])
    model = Model(Config(folder=str(folder)))
    torch.testing.assert_close(model(wav)[:1], wanted / wanted.norm(), atol=1e-5, rtol=0)
    assert model.config.embedding_dim == 6


def test_weights_under_another_name_are_the_same_and_such_that_are_not_finite_are_refused(folder, weights, wav):
    wanted = Model(Config(folder=str(folder)))(wav)
    torch.save({"model": {f"module.{name}": value for name, value in weights.items()}}, folder / "avg_model.pt")
    assert torch.equal(Model(Config(folder=str(folder)))(wav), wanted)
    torch.save(weights | {"seg_1.bias": torch.full((6,), float("nan"))}, folder / "avg_model.pt")
    with pytest.raises(UserError, match="avg_model.pt: weight seg_1.bias: 6 of 6 values are not finite"):
        Model(Config(folder=str(folder)))


def test_padding_has_no_influence(folder, wav):
    model, lengths = Model(Config(folder=str(folder))), [16000, 5000, 9001]
    together = model(wav, torch.tensor(lengths))  # what follows the end is no silence
    for row, size in enumerate(lengths):
        torch.testing.assert_close(together[row], model(wav[row : row + 1, :size])[0], atol=1e-5, rtol=0)


def test_frozen_unless_told(folder, wav):
    frozen = Model(Config(folder=str(folder))).train()
    assert not frozen.network.training and not frozen(wav).requires_grad
    learning = Model(Config(folder=str(folder), finetuned=True)).train()
    assert learning.network.training and all(weight.requires_grad for weight in learning.parameters())
    assert not learning.eval().network.training


def test_a_model_file_needs_no_folder(folder, tmp_path, wav):
    model = Model(Config(folder=str(folder))).eval()
    checkpoint.save_model(tmp_path / "out" / "model.pt", "teachers", model)
    (folder / "config.yaml").unlink()
    (folder / "avg_model.pt").unlink()
    loaded = checkpoint.load_model(tmp_path / "out" / "model.pt", "teachers")
    assert torch.equal(loaded(wav), model(wav)) and loaded.config == model.config


def test_the_package_is_left_as_it_was(folder):
    Model(Config(folder=str(folder)))
    assert not [name for name in sys.modules if name.split(".")[0] == "wespeaker"]


def test_without_the_package_it_says_how_to_get_it(folder, monkeypatch, wespeaker_package):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(wespeaker_package)])
    with pytest.raises(UserError, match="wanted the package wespeaker, .*No module named 'wespeaker'") as err:
        Model(Config(folder=str(folder)))
    assert str(err.value).endswith(INSTALL) and "\n" not in str(err.value)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"model": "Transformer"}, "this WeSpeaker cannot build Transformer"),
        ({"model": "ResNet99"}, "this WeSpeaker cannot build ResNet99"),
        ({"model_args": {"width": 6}}, "this WeSpeaker cannot build ResNet9 with {'width': 6}"),
        ({"model": None, "model_args": None}, "config.yaml: not a WeSpeaker config"),
        (
            {"dataset_args": {"frontend": "whisper_encoder"}},
            "config.yaml: frontend: wanted fbank, found whisper_encoder",
        ),
        ({"dataset_args": {"resample_rate": 8000}}, "config.yaml: resample_rate: wanted 16000, found 8000"),
        ({"dataset_args": {"cmvn_args": {"norm_var": True}}}, "config.yaml: norm_var: wanted False, found True"),
    ],
)
def test_a_config_that_does_not_serve_is_told(folder, changes, said):
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG | changes))
    with pytest.raises(UserError, match=said) as err:
        Model(Config(folder=str(folder)))
    assert "\n" not in str(err.value)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda path: path.unlink(), "avg_model.pt: no such model file"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "avg_model.pt: not a readable model file"),
        (
            lambda path: torch.save({"seg_1.bias": torch.zeros(6)}, path),
            "avg_model.pt: its weights do not fit its config",
        ),
        (lambda path: torch.save([1], path), "avg_model.pt: wanted a state dict, .*found list"),
    ],
)
def test_spoiled_weights_are_told(folder, spoil, said):
    spoil(folder / "avg_model.pt")
    with pytest.raises(UserError, match=said) as err:
        Model(Config(folder=str(folder)))
    assert "\n" not in str(err.value)


@pytest.mark.parametrize("text", ["- a", "model: [", "!!python/object/apply:os.getcwd []", ""])
def test_what_is_no_config_is_told(folder, text):
    (folder / "config.yaml").write_text(text)
    with pytest.raises(UserError, match="config.yaml: not a WeSpeaker config") as err:
        Model(Config(folder=str(folder)))
    assert "\n" not in str(err.value)


def test_no_folder_is_told(tmp_path):
    for folder in ("", str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(UserError, match="wanted a WeSpeaker model folder with config.yaml and avg_model.pt"):
            Model(Config(folder=folder))
