"""The segmentation network of the package whisperx, for meetings.py: who of up to three talkers speaks when.

PyanNet of pyannote.audio (H. Bredin and others), trained on five seconds at a time, whose weights the wheel carries.
Only they are read, without running what else the file holds; the network is built here, since its own package needs
thirty others. On an excerpt its outputs are those of pyannote.audio 4.0.7, digit for digit.
"""

from __future__ import annotations

import collections
import typing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from wesep_mix.base.errors import UserError

SPEAKS = 0.5  # least probability
LOW_HZ, HIGH_HZ = 50, 8000  # of the first layer's band-pass filters
FOREIGN = (  # classes of other packages in the file, beside the weights
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.nodes.AnyNode",
    "pyannote.audio.core.model.Introspection",
    "pyannote.audio.core.task.Problem",
    "pyannote.audio.core.task.Resolution",
    "pyannote.audio.core.task.Specifications",
)
PARTS = {  # the file's names -> ours
    "sincnet.wav_norm1d": "scaled",
    **{f"sincnet.norm1d.{place}": f"norms.{place}" for place in range(3)},
    **{f"sincnet.conv1d.{place}": f"convs.{place - 1}" for place in (1, 2)},
    "lstm": "lstm",
    **{f"linear.{place}": f"linears.{place}" for place in range(2)},
    "classifier": "linears.2",
}


class _Nothing:
    """Stands for a class of another package that is not needed."""

    def __init__(self, *_: typing.Any, **__: typing.Any):
        pass

    def __setstate__(self, _: typing.Any) -> None:
        pass


class Segmentation(nn.Module):
    """Samples float32 [B, T] at 16 kHz -> the probability that each of three talkers speaks, [B, frames, 3].

    Args:
        state: weights by the file's names.
    """

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        first = {key.rpartition(".")[2]: value for key, value in state.items() if "filterbank" in key}
        self.register_buffer("filters", band_passes(first["low_hz_"], first["band_hz_"], first["window_"], first["n_"]))
        self.scaled = nn.InstanceNorm1d(1, affine=True)
        self.norms = nn.ModuleList(nn.InstanceNorm1d(size, affine=True) for size in (80, 60, 60))
        self.convs = nn.ModuleList(nn.Conv1d(size, 60, 5) for size in (80, 60))
        self.lstm = nn.LSTM(60, 128, num_layers=4, bidirectional=True, batch_first=True)
        self.linears = nn.ModuleList(nn.Linear(*sizes) for sizes in ((256, 128), (128, 128), (128, 3)))
        parts = {key: key.rpartition(".") for key in state if "filterbank" not in key}
        own = {f"{PARTS[part]}.{name}": state[key] for key, (part, _, name) in parts.items()}
        self.load_state_dict(own | {"filters": self.filters})

    def forward(self, wav: torch.Tensor) -> torch.Tensor:
        found = F.conv1d(self.scaled(wav[:, None]), self.filters, stride=10).abs()
        for place, norm in enumerate(self.norms):
            found = F.leaky_relu(norm(F.max_pool1d(self.convs[place - 1](found) if place else found, 3)))
        found, _ = self.lstm(found.transpose(1, 2))
        for linear in self.linears[:2]:
            found = F.leaky_relu(linear(found))
        return self.linears[2](found).sigmoid()


def band_passes(low: torch.Tensor, band: torch.Tensor, window: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Band-pass filters of sinc functions, even and odd ones (Ravanelli and Bengio 2018; Pariente and others 2020).

    Args:
        low: learnt lower edges, float32 [N, 1].
        band: learnt widths [N, 1].
        window: half of a Hamming window [H].
        times: 2 pi n / rate, of the half before the middle, [1, H].

    Returns:
        float32 [2 N, 1, 2 H + 1].
    """
    low = LOW_HZ + low.abs()
    high = torch.clamp(low + LOW_HZ + band.abs(), LOW_HZ, HIGH_HZ)
    width = 2 * (high - low)
    even = ((high @ times).sin() - (low @ times).sin()) / (times / 2) * window
    odd = ((low @ times).cos() - (high @ times).cos()) / (times / 2) * window
    whole = [torch.cat([even, width, even.flip(1)], 1), torch.cat([odd, torch.zeros_like(width), -odd.flip(1)], 1)]
    return (torch.cat(whole) / torch.cat([width, width]))[:, None]


def load_segmentation() -> Segmentation:
    """The network with its weights. Raises: UserError when whisperx is not installed or has no such file."""
    found = find_spec("whisperx")
    path = Path(found.origin).with_name("assets") / "pytorch_model.bin" if found and found.origin else None
    if path is None or not path.is_file():
        raise UserError("--segmentation: wanted the package whisperx; `pip install --no-deps whisperx` brings it")
    plain = [dict, int, list, torch.torch_version.TorchVersion, collections.defaultdict, (typing.Any, "typing.Any")]
    older = [(dict, "__builtin__.dict"), (int, "__builtin__.long"), (list, "__builtin__.list")]
    others = [(type("Nothing", (_Nothing,), {}), name) for name in FOREIGN]
    with torch.serialization.safe_globals([*plain, *older, *others]):
        return Segmentation(torch.load(path, weights_only=True, map_location="cpu")["state_dict"]).eval()


def segments(network: Segmentation, samples: np.ndarray) -> list[tuple[float, float, str]]:
    """Who speaks when in an excerpt that the network hears at once, so that its talkers are the same all along.

    Args:
        network: the network.
        samples: float32 [T] at 16 kHz.

    Returns:
        (begin, end) in seconds and the talker's name, of up to three talkers.
    """
    with torch.inference_mode():
        speaks = network(torch.from_numpy(samples)[None])[0].numpy() >= SPEAKS
    step = len(samples) / 16000 / len(speaks)
    found = []
    for talker in range(speaks.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], speaks[:, talker].astype(int), [0]])))
        found += [(begin * step, end * step, str(talker)) for begin, end in edges.reshape(-1, 2)]
    return found
