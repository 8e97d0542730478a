import pickle

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.io.weights import read_weights, write_weights
from wesep_mix.models import checkpoint
from wesep_mix.models.extractors import pdccrn
from wesep_mix.models.frontends import logmel
from wesep_mix.models.teachers import asp

CONFIG = asp.Config(
    frontend=logmel.Config(num_mels=8, channels=8, num_layers=1, num_heads=2),
    projection=4,
    embedding_dim=3,
    bottleneck=2,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return asp.Model(CONFIG)


@pytest.fixture
def path(tmp_path, model):
    checkpoint.save_model(tmp_path / "new" / "model.pt", "teachers", model, git="abc", num_steps=7)
    return tmp_path / "new" / "model.pt"


def test_a_path_is_all_one_needs(model, path):
    loaded = checkpoint.load_model(path, "teachers")
    wav = torch.randn(2, 3000)
    assert loaded.config == CONFIG and not loaded.training
    assert torch.equal(loaded(wav), model.eval()(wav))
    assert checkpoint.load_notes(path, "teachers") == {"git": "abc", "num_steps": 7}


def test_an_extractor_without_the_setting_of_films_hidden_layer_has_none(tmp_path):
    config = pdccrn.Config(embedding_dim=3, window=64, hop=16, n_fft=128, channels=(4, 6), lstm_hidden=2)
    model, file = pdccrn.Model(config), tmp_path / "model.pt"
    torch.nn.init.normal_(model.fusion.scale[-1].weight)
    checkpoint.save_model(file, "extractors", model)
    content = read_weights(file)
    del content["config"]["film_hidden"]
    write_weights(file, content)
    loaded, mix, emb = checkpoint.load_model(file, "extractors"), torch.randn(1, 300), torch.randn(1, 3)
    assert len(loaded.fusion.scale) == 1 and torch.equal(loaded(mix, emb), model.eval()(mix, emb))


def test_the_same_model_is_the_same_file_whoever_writes_it(model, path, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 1234567)
    checkpoint.save_model(path.with_name("again.pt"), "teachers", model, git="abc", num_steps=7)
    assert path.with_name("again.pt").read_bytes() == path.read_bytes()


def test_number_of_parameters():
    assert checkpoint.num_parameters(torch.nn.Linear(3, 4)) == 16


def test_another_kind_of_model_is_refused(path):
    for read in (checkpoint.load_model, checkpoint.load_notes):
        with pytest.raises(UserError, match="model.pt: wanted a model of students, found teachers"):
            read(path, "students")


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="model.pt: no such model file"):
        checkpoint.load_model(tmp_path / "model.pt", "teachers")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"not a model",
        lambda data: data[: len(data) // 2],
        lambda data: data[:100],
    ],
)
def test_a_damaged_file(path, spoil):
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UserError) as err:
        checkpoint.load_model(path, "teachers")
    assert str(err.value).startswith(f"{path}: not a readable model file (") and "\n" not in str(err.value)


class Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of the file was run')",)


@pytest.mark.parametrize(
    "write",
    [
        lambda content, path: torch.save(content, path),
        lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2)),
    ],
)
def test_code_in_a_file_is_not_run(tmp_path, write):
    write({"kind": "teachers", "config": Bomb()}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="not a readable model file"):
        checkpoint.load_model(tmp_path / "model.pt", "teachers")


def test_something_else_that_torch_saved(tmp_path):
    torch.save([1, 2], tmp_path / "model.pt")
    with pytest.raises(UserError, match="wanted a model of teachers, found list"):
        checkpoint.load_model(tmp_path / "model.pt", "teachers")


def test_a_checkpoint_to_resume_from_is_told_from_a_model(tmp_path):
    torch.save({"pytorch-lightning_version": "2.5", "state_dict": {}}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="found a checkpoint to resume training from; give the model.pt"):
        checkpoint.load_model(tmp_path / "last.ckpt", "teachers")


def test_a_model_file_without_a_part(path):
    content = torch.load(path, weights_only=True)
    del content["config"]
    torch.save(content, path)
    with pytest.raises(UserError, match="model.pt: a model file without config; redo the stage"):
        checkpoint.load_model(path, "teachers")


def test_weights_that_do_not_fit_their_config(path):
    content = torch.load(path, weights_only=True)
    content["config"]["embedding_dim"] = 5
    torch.save(content, path)
    with pytest.raises(UserError, match="model.pt: its weights do not fit its config") as err:
        checkpoint.load_model(path, "teachers")
    assert "\n" not in str(err.value)


def test_a_config_of_another_version_names_the_key(path):
    content = torch.load(path, weights_only=True)
    content["config"]["bottle"] = 5
    torch.save(content, path)
    with pytest.raises(UserError, match="model.pt: bottle: unknown key, did you mean bottleneck"):
        checkpoint.load_model(path, "teachers")


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_weights_that_are_not_finite_are_refused_by_name(path, model, value):
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = value
    checkpoint.save_model(path, "teachers", model)
    with pytest.raises(UserError, match=r"model.pt: weight .*: 1 of \d+ values are not finite"):
        checkpoint.load_model(path, "teachers")


def test_a_failed_save_keeps_the_old_file(path, model, monkeypatch):
    before = path.read_bytes()

    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save_model(path, "teachers", model)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
