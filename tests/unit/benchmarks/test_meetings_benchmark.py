"""benchmarks/meetings.py: its reference, its numbers, and the network that is beside it."""

import importlib
import sys
import types

import numpy as np
import pytest
import torch
from places import ROOT

from wesep_mix.base.errors import UserError

SIZES = (80, 60, 60)


@pytest.fixture
def part(monkeypatch):
    """Function: the name of a script of benchmarks/ -> it as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module
    for name in [name for name in sys.modules if name.startswith("meetings")]:
        del sys.modules[name]


def random_state():
    """Weights of the network's shapes by the names of its file."""
    torch.manual_seed(0)
    state = {
        "sincnet.conv1d.0.filterbank.low_hz_": torch.linspace(30, 3000, 40)[:, None],
        "sincnet.conv1d.0.filterbank.band_hz_": torch.linspace(20, 900, 40)[:, None],
        "sincnet.conv1d.0.filterbank.window_": torch.hamming_window(251, periodic=False)[:125],
        "sincnet.conv1d.0.filterbank.n_": 2 * torch.pi * torch.arange(-125, 0)[None] / 16000,
    }
    for name, size in (("wav_norm1d", 1), *((f"norm1d.{place}", size) for place, size in enumerate(SIZES))):
        state |= {f"sincnet.{name}.weight": torch.rand(size) + 0.5, f"sincnet.{name}.bias": torch.randn(size)}
    for place, size in ((1, 80), (2, 60)):
        state |= {f"sincnet.conv1d.{place}.weight": torch.randn(60, size, 5) / 20}
        state |= {f"sincnet.conv1d.{place}.bias": torch.randn(60)}
    lstm = torch.nn.LSTM(60, 128, num_layers=4, bidirectional=True)
    state |= {f"lstm.{key}": value for key, value in lstm.state_dict().items()}
    for name, sizes in (("linear.0", (256, 128)), ("linear.1", (128, 128)), ("classifier", (128, 3))):
        linear = torch.nn.Linear(*sizes)
        state |= {f"{name}.{key}": value for key, value in linear.state_dict().items()}
    return state


def test_filters_pass_their_band_alone(part):
    band_passes = part("meetings_segmentation").band_passes
    times = 2 * torch.pi * torch.arange(-125, 0)[None] / 16000
    window = torch.hamming_window(251, periodic=False)[:125]
    low, high = torch.tensor([[950.0]]), torch.tensor([[450.0]])  # from 1000 to 1500 Hz
    even, odd = band_passes(low, high, window, times)[:, 0]
    assert torch.allclose(even, even.flip(0)) and torch.allclose(odd, -odd.flip(0))
    hz = np.fft.rfftfreq(1600, 1 / 16000)
    for one in (even, odd):
        gain = np.abs(np.fft.rfft(one.numpy(), 1600))
        inside, outside = (hz > 1100) & (hz < 1400), (hz < 850) | (hz > 1650)
        assert gain[inside].min() > 20 * gain[outside].max()


def test_the_network_is_what_its_weights_say(part):
    state = random_state()
    network = part("meetings_segmentation").Segmentation(state).eval()
    wav = torch.randn(2, 16000)
    with torch.inference_mode():
        found = network(wav)
    assert found.shape == (2, 56, 3) and float(found.min()) > 0 and float(found.max()) < 1
    assert torch.equal(network.convs[1].weight, state["sincnet.conv1d.2.weight"])
    assert torch.equal(network.linears[2].bias, state["classifier.bias"])
    with torch.inference_mode():
        assert torch.allclose(network(10 * wav), found, atol=1e-4)  # the first layer takes the level away


def test_weights_are_read_without_the_classes_beside_them(part, tmp_path, monkeypatch):
    module, package = part("meetings_segmentation"), tmp_path / "whisperx"
    (package / "assets").mkdir(parents=True)
    (package / "__init__.py").write_text("import a_package_that_nobody_has\n")
    foreign = types.ModuleType("omegaconf.listconfig")
    foreign.ListConfig = type("ListConfig", (), {"__module__": "omegaconf.listconfig"})
    with monkeypatch.context() as there:
        there.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
        there.setitem(sys.modules, "omegaconf.listconfig", foreign)
        content = {"state_dict": random_state(), "hyper_parameters": foreign.ListConfig()}
        torch.save(content, package / "assets" / "pytorch_model.bin")
    monkeypatch.setattr(module, "find_spec", lambda name: types.SimpleNamespace(origin=str(package / "__init__.py")))
    network = module.load_segmentation()
    wav = np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    for begin, end, talker in module.segments(network, wav):
        assert 0 <= begin < end <= 2 and talker in "012"
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="`pip install --no-deps whisperx` brings it"):
        module.load_segmentation()


def test_errors_are_shares_of_all_speech(part):
    errors = [
        {"miss": 1.0, "false_alarm": 0.0, "confusion": 2.0, "total": 10.0, "der": 0.3},
        {"miss": 0.0, "false_alarm": 1.0, "confusion": 0.0, "total": 30.0, "der": 1 / 30},
    ]
    assert part("meetings").error_row("track", errors) == ("track", "10.0", "2.5", "2.5", "5.0", "40")
