import importlib

import numpy as np
import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.models.frontends.ge2e import WEIGHTS, Config, Model


@pytest.fixture
def random():
    torch.manual_seed(0)
    return Model(Config(pretrained=False)).eval()


def mel_filters() -> np.ndarray:
    """Slaney's mel filters, [201 bins, 40]: 200/3 Hz a mel up to 1 kHz, above it 27 mel to each factor of 6.4."""

    def mel(hertz):
        return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)

    def hertz(mels):
        return np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))

    edges, bins = hertz(np.linspace(mel(0), mel(8000), 42)), np.arange(201) * 40.0
    rows = [
        2 / (high - low) * np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(0)
        for low, middle, high in zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
    ]
    return np.stack(rows, 1)


def test_features_are_mel_powers_around_every_10_ms():
    model = Model(Config(pretrained=False, increase_only=True))
    wav = np.random.default_rng(0).uniform(-0.5, 0.5, 1000).astype(np.float32)  # louder than -30 dB: taken as it is
    padded, window = np.pad(wav, 200), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = [np.abs(np.fft.rfft(window * padded[160 * frame : 160 * frame + 400])) ** 2 for frame in range(7)]
    found = model.features(torch.from_numpy(wav)[None], torch.tensor([1000]), 7)
    np.testing.assert_allclose(found[0].numpy(), np.stack(power) @ mel_filters(), rtol=1e-4, atol=1e-6)


def test_what_follows_an_item_is_silence_to_it(random):
    wav = torch.randn(2, 3000)
    frames, num_frames = random(wav, torch.tensor([3000, 1000]))
    alone, count = random(wav[1:, :1000])
    assert num_frames.tolist() == [19, 7] and int(count) == alone.shape[1] == 7
    torch.testing.assert_close(frames[1, :7], alone[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "increase_only, level, wanted",
    [
        (True, 0.001, 10**-1.5),
        (True, 0.1, 0.1),
        (False, 0.001, 10**-1.5),
        (False, 0.1, 10**-1.5),
        (True, 0.0, 0.0),
    ],
)
def test_quiet_input_is_brought_to_30_db_below_full_scale(increase_only, level, wanted):
    model = Model(Config(pretrained=False, increase_only=increase_only))
    signs = torch.where(torch.arange(800) % 3 == 0, 1.0, -1.0)
    wav = level * torch.stack([signs, signs * (torch.arange(800) < 400)])
    raised = model._at_level(wav, torch.tensor([800, 400]))
    assert raised[0].square().mean().sqrt().item() == pytest.approx(wanted, rel=1e-5)
    torch.testing.assert_close(raised[1, :400], raised[0, :400])  # the level is that of the item, not of its padding


def test_the_packages_weights_are_read_and_the_package_is_not_imported(resemblyzer_package):
    weights = torch.load(resemblyzer_package / "resemblyzer" / "pretrained.pt")["model_state"]
    model = Model(Config())
    assert all(torch.equal(value, weights[f"lstm.{name}"]) for name, value in model.lstm.state_dict().items())


def test_a_model_file_needs_no_package(resemblyzer_package, monkeypatch):
    model = Model(Config()).eval()
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    again = Model(model.config).eval()
    again.load_state_dict(model.state_dict())
    wav = torch.randn(1, 2000)
    assert torch.equal(again(wav)[0], model(wav)[0]) and again.config == model.config


def test_fresh_weights_are_those_of_the_package(resemblyzer_package):
    model = Model(Config()).eval()
    wav = torch.randn(1, 2000)
    before = model(wav)[0]
    torch.nn.init.zeros_(model.lstm.weight_hh_l2)
    torch.testing.assert_close(model.fresh().eval()(wav)[0], before, atol=0, rtol=0)


def test_a_frozen_one_needs_no_package_to_be_fresh(resemblyzer_package, monkeypatch):
    model = Model(Config(finetuned=False)).eval()
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    again = model.fresh()
    assert again is not model and torch.equal(again.lstm.weight_hh_l2, model.lstm.weight_hh_l2)


@pytest.mark.parametrize("finetuned", [True, False])
def test_frozen_or_not(finetuned):
    model = Model(Config(pretrained=False, finetuned=finetuned))
    assert {weight.requires_grad for weight in model.parameters()} == {finetuned}
    assert model(torch.randn(1, 2000))[0].requires_grad == finetuned


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"resemblyzer, which is not installed; {WEIGHTS.install}$"):
        Model(Config())


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda path: path.unlink(), "pretrained.pt: no such model file"),
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "pretrained.pt: not a readable model file"),
        (
            lambda path: torch.save({"weights": 1}, path),
            "pretrained.pt: wanted model_state with the weight lstm",
        ),
        (lambda path: torch.save([1], path), "pretrained.pt: wanted model_state with the weight lstm"),
    ],
)
def test_a_spoiled_package_is_told(resemblyzer_package, monkeypatch, spoil, said, tmp_path):
    folder = tmp_path / "resemblyzer"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "pretrained.pt").write_bytes((resemblyzer_package / "resemblyzer" / "pretrained.pt").read_bytes())
    spoil(folder / "pretrained.pt")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=said) as err:
        Model(Config())
    assert "\n" not in str(err.value)
