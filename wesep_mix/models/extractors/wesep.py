"""Any network of WeSep (Wang et al., Interspeech 2024) that takes a given embedding, as an extractor.

WeSep must be there, also for a model that is trained: as a checkout whose folder is in the variable WESEP_DIR or in
`folder`, or installed. Of it only the file of the network and what that imports are loaded; the package as a whole does
not import beside torchaudio 2.11. The network is built with WeSep's own arguments and called as WeSep calls it: mixture
and embedding in, the first estimate out. Of the losses only those of `extractor.loss` are there: WeSep's discriminators
and its training of a speaker encoder inside the network are not.

B batch, T samples, D embedding size.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from wesep_mix.base.config import Checked, Count
from wesep_mix.base.errors import UserError
from wesep_mix.base.foreign import modules_of
from wesep_mix.models.layers.network import Longer, Network, check_inputs, unit_level

FOLDER_VARIABLE = "WESEP_DIR"
HOW = f"git clone https://github.com/wenet-e2e/wesep, then model.folder=wesep or {FOLDER_VARIABLE}=wesep"
BARE = ("wesep", "wesep.models")  # packages whose own __init__ needs what one network does not
OURS = {"spk_emb_dim": "the teacher's", "joint_training": "false, the embedding is given"}  # arguments set here
HOPS = ("stride", "hop_size")  # what WeSep's networks call the samples from frame to frame
NOBODY = 1  # values of the embedding that is the same for everybody
LEAST = 8000  # samples: pools over 32 frames have some


@dataclass(frozen=True)
class Config(Checked):
    """A class of WeSep and its arguments.

    Attributes:
        fusion: `given`: the embedding goes in as `spk_fuse_type` of `arguments` says; `none`: the same network, whose
            embedding is a single 1 for everybody.
        model: class in `wesep/models`: BSRNN, TFGridNet, DPCCN, ConvTasNet (SpEx+), ...
        arguments: those of `model_args: tse_model` in WeSep's YAML; `spk_emb_dim` and `joint_training` are set here.
        folder: a checkout of WeSep; that of the variable WESEP_DIR comes first, the installed package last.
        unit_level: bring each mixture to a root mean square of 1 and the estimate back; WeSep does not.
    """

    name: str = "wesep"
    embedding_dim: Count = 256
    fusion: Literal["given", "none"] = "given"
    model: str = "BSRNN"
    arguments: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    unit_level: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model.isidentifier():
            raise ValueError(f"model: wanted the name of a class, found {self.model!r}")
        for name in OURS.keys() & self.arguments.keys():
            raise ValueError(f"arguments: {name} is {OURS[name]}; leave it out")


class Model(Network):
    """WeSep's network, given mixtures that are long enough for it."""

    free_level = True  # true of some of its networks; where the level is kept, this changes it little

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.network = config, _build(config)
        self.frame_step = next((getattr(self.network, name) for name in HOPS if hasattr(self.network, name)), 1)

    def forward(self, mix: Tensor, emb: Tensor | None = None, longer: Longer | None = None) -> Tensor:
        """Extract the speaker whose embedding is given.

        Args:
            mix: Mixtures, float32 [B, T], any T >= 1; one of less than half a second is filled up with zeros.
            emb: Embeddings, float32 [B, D]; None with fusion `none`.
            longer: The signal that mix is a part of, where it is one.

        Returns:
            Estimates, float32 [B, T].

        Raises:
            UserError: For other shapes, values that are not finite, an embedding missing or unwanted.
        """
        check_inputs(mix, emb, self.config)
        emb = mix.new_ones(len(mix), NOBODY) if emb is None else emb
        level = unit_level(mix, longer) if self.config.unit_level else 1.0  # [B, 1]
        wav = functional.pad(mix / level, (0, max(0, LEAST - mix.shape[1])))
        with torch.autocast(mix.device.type, enabled=False):  # its spectra are not made for half precision
            out = self.network(wav.float(), emb.float())
        while isinstance(out, (tuple, list)):
            out = out[0]
        return out.reshape(len(mix), -1)[:, : mix.shape[1]] * level


def _build(config: Config) -> nn.Module:
    """The network of WeSep that a config describes. Raises: UserError when WeSep, the class or an argument is not."""
    folder = os.environ.get(FOLDER_VARIABLE, "") or config.folder
    root = Path(folder).expanduser().resolve() if folder else None
    if root is not None and not (root / "wesep" / "models").is_dir():
        raise UserError(f"extractor wesep: {folder}: wanted a checkout of WeSep, found no wesep/models in it; {HOW}")
    where = f"the WeSep in {folder}" if folder else "the installed WeSep"
    missing = f"extractor wesep: wanted WeSep with {config.model}, it does not import ({{}}); {HOW}"
    with modules_of("wesep", BARE, missing, root, {"wespeaker.models.speaker_model": {"get_speaker_model": None}}):
        cls = _class(config.model, where)
        wanted = inspect.signature(cls).parameters
        lacking = [name for name in OURS if name not in wanted]
        if lacking:
            raise UserError(f"extractor wesep: {config.model} takes no given embedding: it has no {lacking[0]}")
        odd = sorted(config.arguments.keys() - wanted.keys())
        if odd:
            raise UserError(f"extractor wesep: {config.model} has no argument {odd[0]}; it has {', '.join(wanted)}")
        size = NOBODY if config.fusion == "none" else config.embedding_dim
        arguments = {"spk_emb_dim": size, "joint_training": False}
        if "use_spk_transform" in wanted:  # as in WeSep's YAMLs; its transform takes embeddings of 256 values only
            arguments["use_spk_transform"] = False
        try:
            return cls(**arguments | config.arguments)
        except (AssertionError, TypeError, ValueError, RuntimeError) as err:
            raise UserError(
                f"extractor wesep: {where} cannot build {config.model} with {config.arguments} ({err!r})"
            ) from err


def _class(name: str, where: str) -> type[nn.Module]:
    """The class of that name in WeSep's models, whose file is the only one that is imported."""
    package = importlib.import_module("wesep.models")
    files = sorted(path for place in package.__path__ for path in Path(place).glob("*.py"))
    for path in files:
        if re.search(rf"^class {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            return getattr(importlib.import_module(f"wesep.models.{path.stem}"), name)
    raise UserError(f"extractor wesep: no class {name} in the models of {where}; set extractor.model.model")
