"""A speaker model of WeSpeaker (Wang et al., ICASSP 2023) as teacher, frozen by default.

The model folder is WeSpeaker's: `config.yaml` and `avg_model.pt`. The network is built by WeSpeaker's own
`get_speaker_model`, so the package must be importable; of it only the models are imported, because the whole of it does
not import beside torchaudio 2.11. Features as in its extraction: Kaldi filterbanks without dither, mean removed.

B batch, T samples, D embedding size.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base.errors import UserError
from wesep_mix.base.foreign import modules_of
from wesep_mix.io.weights import read_state
from wesep_mix.models.layers.masking import by_length
from wesep_mix.models.layers.mel import fbank

SAMPLE_RATE = 16000
LEAST = 3200  # samples: networks that halve the frames three times still have two
INSTALL = "pip install --no-deps git+https://github.com/wenet-e2e/wespeaker.git"
BARE = ("wespeaker", "wespeaker.frontend")  # packages whose own __init__ needs what the models do not
MISSING = f"teacher wespeaker: wanted the package wespeaker, its models do not import ({{}}); {INSTALL}"


@dataclass(frozen=True)
class Config:
    """A model of WeSpeaker.

    Attributes:
        folder: a WeSpeaker model folder, which a model file of ours needs no more.
        finetuned: whether training changes the network.
        architecture: filled in when the folder is read.
        embedding_dim: likewise.
    """

    name: str = "wespeaker"
    folder: str = ""
    finetuned: bool = False
    architecture: str = ""
    embedding_dim: int = 0


class Model(nn.Module):
    """Filterbanks, WeSpeaker's network, L2 norm. If not fine-tuned it stays in eval mode whatever `train` says."""

    def __init__(self, config: Config):
        super().__init__()
        architecture = config.architecture or _read_architecture(config.folder)
        self.settings = json.loads(architecture)
        self.network = _build(self.settings).eval()
        if not config.architecture:
            _load(self.network, Path(config.folder).expanduser() / "avg_model.pt")
        with torch.no_grad():
            size = self._embed(torch.zeros(1, LEAST)).shape[1]
        self.config = dataclasses.replace(config, architecture=architecture, embedding_dim=size)
        self.network.requires_grad_(config.finetuned)
        self.train(self.training)

    def train(self, mode: bool = True) -> Model:
        super().train(mode)
        self.network.train(mode and self.config.finetuned)
        return self

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """Wav float [B, T] of one talker each, num_samples int64 [B] -> unit embeddings [B, D]."""
        return by_length(self._embed, wav, num_samples, LEAST)

    def _embed(self, wav: Tensor) -> Tensor:
        out = self.network(fbank(wav, *self.settings["features"]))
        return functional.normalize(out[-1] if isinstance(out, tuple) else out, dim=-1)


def _read_architecture(folder: str) -> str:
    """What of config.yaml says how the network is built and fed, as JSON. Raises: UserError for an unfit folder."""
    path = Path(folder).expanduser() / "config.yaml"
    if not folder or not path.is_file():
        raise UserError(
            f"teacher wespeaker: {folder or 'folder'}: wanted a WeSpeaker model folder with config.yaml "
            "and avg_model.pt, found none; set teacher.model.folder"
        )
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        data = raw.get("dataset_args") or {}
        features = data.get("fbank_args") or {}
        kept = {
            "model": str(raw["model"]),
            "model_args": dict(raw["model_args"]),
            "features": [
                int(features.get("num_mel_bins", 80)),
                float(features.get("frame_length", 25)),
                float(features.get("frame_shift", 10)),
            ],
        }
    except (yaml.YAMLError, UnicodeDecodeError, AttributeError, KeyError, TypeError, ValueError) as err:
        raise UserError(
            f"{path}: not a WeSpeaker config ({' '.join(repr(err).split())}); wanted model and model_args"
        ) from err
    _refuse_other_input(path, data)
    return json.dumps(kept, sort_keys=True)


def _refuse_other_input(path: Path, data: dict[str, Any]) -> None:
    """Raises: UserError when the network hears something else than mean-free filterbanks of 16 kHz."""
    norm = data.get("cmvn_args") or {}
    found = {
        "frontend": data.get("frontend", "fbank"),
        "resample_rate": data.get("resample_rate", SAMPLE_RATE),
        "cmvn": data.get("cmvn", True),
        "norm_mean": norm.get("norm_mean", True),
        "norm_var": norm.get("norm_var", False),
    }
    wanted = {"frontend": "fbank", "resample_rate": SAMPLE_RATE, "cmvn": True, "norm_mean": True, "norm_var": False}
    for key, value in wanted.items():
        if found[key] != value:
            raise UserError(
                f"{path}: {key}: wanted {value}, found {found[key]}; such WeSpeaker models are not supported"
            )


def _build(settings: dict[str, Any]) -> nn.Module:
    name = settings["model"]
    with modules_of("wespeaker", BARE, MISSING):
        get_speaker_model = importlib.import_module("wespeaker.models.speaker_model").get_speaker_model
        try:
            return get_speaker_model(name)(**settings["model_args"])
        except (SystemExit, AttributeError, TypeError) as err:  # WeSpeaker ends the process at a name it does not know
            raise UserError(
                f"teacher wespeaker: this WeSpeaker cannot build {name} with "
                f"{settings['model_args']} ({err}); wanted a model of its models folder"
            ) from err


def _load(network: nn.Module, path: Path) -> None:
    """Put the file's weights into the network; those of the classifier of its training are left out."""
    state = {name: weight for name, weight in read_state(path).items() if not name.startswith("projection.")}
    try:
        network.load_state_dict(state)
    except RuntimeError as err:
        raise UserError(f"{path}: its weights do not fit its config.yaml: {' '.join(str(err).split())[:200]}") from err
