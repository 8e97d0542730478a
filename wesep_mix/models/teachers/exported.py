"""Any speaker encoder that was exported as ONNX or TorchScript, as a frozen teacher.

So encoders of other toolkits (ReDimNet, CAM++, ECAPA-TDNN, ResNet34 of WeSpeaker, 3D-Speaker, SpeechBrain, ...) need
none of their code here. What goes in is told by `features`: Kaldi filterbanks without dither, mean removed, as
WeSpeaker and 3D-Speaker compute them, or the waveform. An encoder with features of its own, such as NeMo's TitaNet, is
exported with them inside. A second input of whole numbers is given the lengths.

The file's content travels in the model file. ONNX is computed by onnxruntime, on the CPU. A TorchScript file is a
program: take it from whom you trust.

B batch, T samples, L frames, F mel bands, D embedding size.
"""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base.config import Checked, Count, CountOrZero
from wesep_mix.base.errors import UserError
from wesep_mix.models.layers.masking import by_length
from wesep_mix.models.layers.mel import fbank

LEAST = 3200  # samples: networks that halve the frames three times still have two


@dataclass(frozen=True)
class Config(Checked):
    """An exported encoder.

    Attributes:
        path: `.onnx`, or any other name for TorchScript; a model file of ours needs it no more.
        features: `fbank`, or `waveform`, full scale 1 at 16 kHz.
        num_mels: F, of the filterbanks.
        frames_first: filterbanks go in as [B, L, F], else as [B, F, L].
        output: name of the ONNX graph's output; empty: its last.
        form: filled in when the file is read.
        num_bytes: likewise.
        embedding_dim: likewise.
    """

    name: str = "exported"
    path: str = ""
    features: Literal["fbank", "waveform"] = "fbank"
    num_mels: Count = 80
    frames_first: bool = True
    output: str = ""
    form: Literal["", "onnx", "torchscript"] = ""
    num_bytes: CountOrZero = 0
    embedding_dim: CountOrZero = 0


class Model(nn.Module):
    """Features, the exported network, L2 norm."""

    def __init__(self, config: Config):
        super().__init__()
        content = torch.zeros(config.num_bytes, dtype=torch.uint8) if config.form else _read(config.path)
        self.register_buffer("content", content)
        self.config, self.network = config, None
        if not config.form:
            form = "onnx" if config.path.endswith(".onnx") else "torchscript"
            self.config = dataclasses.replace(config, form=form, num_bytes=len(content))
            with torch.no_grad():
                size = self._embed(torch.zeros(1, LEAST)).shape[1]
            self.config = dataclasses.replace(self.config, embedding_dim=size)

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Wav float [B, T] of one talker each, num_samples int64 [B] -> unit embeddings [B, D]."""
        return by_length(self._embed, wav, num_samples, LEAST)

    def _embed(self, wav: Tensor) -> Tensor:
        if self.network is None:
            self.network = _Network(self.config, self.content.cpu().numpy().tobytes())
        given = wav
        if self.config.features == "fbank":
            given = fbank(wav, self.config.num_mels)  # [B, L, F]
            given = given if self.config.frames_first else given.transpose(1, 2)
        found = self.network(given.float().contiguous().cpu()).to(wav.device)
        if found.dim() > 2:
            found = found.flatten(1)
        return functional.normalize(found, dim=-1)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self.network = None  # that of other content


class _Network:
    """What the file's content computes: features on the CPU -> embeddings [B, ...]."""

    def __init__(self, config: Config, content: bytes):
        self.config = config
        try:
            self._run = (_onnx if config.form == "onnx" else _torchscript)(config, content)
        except UserError:
            raise
        except Exception as err:  # the readers of either have errors of their own, without a common class
            raise UserError(
                f"teacher exported: {config.path}: not a {config.form} file that can be read here "
                f"({' '.join(str(err).split())[:200]})"
            ) from err

    def __call__(self, given: Tensor) -> Tensor:
        try:
            return self._run(given)
        except Exception as err:
            raise UserError(
                f"teacher exported: {self.config.path}: it cannot take {self.config.features} of shape "
                f"{list(given.shape)} ({' '.join(str(err).split())[:200]}); wanted an encoder of inputs of any length; "
                "see features, num_mels and frames_first"
            ) from err

    def __deepcopy__(self, memo: Any) -> _Network:
        return self  # it has no state


def _onnx(config: Config, content: bytes) -> Any:
    import onnxruntime  # here, since it takes a while

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    first, *others = session.get_inputs()
    names = [output.name for output in session.get_outputs()]
    if config.output and config.output not in names:
        raise UserError(f"teacher exported: {config.path}: output {config.output}: wanted one of {', '.join(names)}")
    if len(others) > 1 or any(not other.type.startswith("tensor(int") for other in others):
        told = ", ".join(f"{one.name} {one.type}" for one in (first, *others))
        raise UserError(f"teacher exported: {config.path}: wanted one input, and lengths at most, found {told}")

    def run(given: Tensor) -> Tensor:
        feeds = {first.name: given.numpy()}
        if others:
            kind = np.int32 if "32" in others[0].type else np.int64
            feeds[others[0].name] = np.full(len(given), _length(config, given), kind)
        return torch.from_numpy(session.run([config.output or names[-1]], feeds)[0])

    # a graph made for one item takes a batch item by item
    return partial(_one_by_one, run) if first.shape and first.shape[0] == 1 else run


def _torchscript(config: Config, content: bytes) -> Any:
    network = torch.jit.load(io.BytesIO(content), map_location="cpu").eval()
    num_inputs = len(network.forward.schema.arguments) - 1

    def run(given: Tensor) -> Tensor:
        lengths = (torch.full((len(given),), _length(config, given)),) if num_inputs > 1 else ()
        with torch.no_grad():
            found = network(given, *lengths)
        return found[-1] if isinstance(found, (tuple, list)) else found

    return run


def _length(config: Config, given: Tensor) -> int:
    """Samples or frames of each item."""
    return given.shape[1 if config.features == "waveform" or config.frames_first else 2]


def _one_by_one(run: Any, given: Tensor) -> Tensor:
    return torch.cat([run(row[None]) for row in given])


def _read(path: str) -> Tensor:
    """The bytes of a file. Raises: UserError when it is not there, or empty."""
    file = Path(path).expanduser()
    if not path or not file.is_file():
        raise UserError(
            f"teacher exported: {path or 'path'}: wanted a speaker encoder as ONNX or TorchScript, found no such file; "
            "set teacher.model.path"
        )
    content = file.read_bytes()
    if not content:
        raise UserError(f"teacher exported: {path}: empty; copy it again")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)
