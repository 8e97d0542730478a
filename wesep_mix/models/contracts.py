"""What a model of each kind owes the rest of the toolkit: the one place where it is written down.

A model is a module `wesep_mix/models/KIND/NAME.py` with a frozen dataclass `Config` and a class `Model`, a
`torch.nn.Module` that is built from it. Each kind has a protocol here for either. `check` finds a part that is missing;
what the parts do is tried by `training.smoke` before any work starts, and tested for every file by tests/contract.

Every `Config` is rebuilt from YAML and from model files by its fields alone. Every `Model` keeps in `config` what
builds it again without the files that it was made of, so that a model file needs nothing beside it.

B batch, T samples, L frames, C channels, D embedding size, K estimates, N heads, S speakers. Waveforms are float32 at
16 kHz. An item of a batch gives the same alone as beside others. Front-ends, teachers and students are also told how
long each item is, in `num_samples`, int64 [B] (None: all have T); what stands behind an item's end has no influence.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from wesep_mix.base.errors import UserError


class TrainedWhole:
    """The config of a front-end that is trained as a whole or not at all: a dataclass with `name` and `finetuned`."""

    def with_finetuned(self, num_layers: int | None) -> Any:
        """The same config with all of it trained (None), or nothing (0). Raises: ValueError for a number of layers."""
        if num_layers:
            raise ValueError(f"the front-end {self.name} is trained as a whole, wanted a pretrained one (ssl)")
        return dataclasses.replace(self, finetuned=num_layers is None)


if TYPE_CHECKING:
    from wesep_mix.matching.speaker_set import SpeakerSet

# A config of any kind that reads files may have a method `for_trial`: the same config in a form that can be built here
# and now, with random weights where those are not on this machine; None where even its size stands with them.


class FrontEndConfig(Protocol):
    """What students ask of a front-end's config."""

    name: str

    def with_finetuned(self, num_layers: int | None) -> FrontEndConfig:
        """The same with another part of it trained.

        num_layers: how many layers from the top; 0: nothing is trained; None: what the config says, or all of one that
        is trained as a whole or not at all. Raises: ValueError for a number that it cannot have.
        """


class FrontEnd(Protocol):
    """Waveform -> frames. What is frozen stays in eval mode whatever `train` says."""

    config: FrontEndConfig
    channels: int  # C

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """[B, T] -> frames [B, L, C], and how many each item has, int64 [B]."""

    def fresh(self) -> FrontEnd:
        """Another front-end of the same config before any training of ours.

        It has the pretrained weights where there are some, else random ones.
        """


class TeacherConfig(Protocol):
    """With a field `frontend`, the config of a front-end, where it has one."""

    name: str
    embedding_dim: int  # D


class Teacher(Protocol):
    """Speech of one talker -> one embedding, whatever its level.

    It may have a `frontend`, which students copy, with its config in `config.frontend`; and a method
    `begin`, which makes a student's head, a `models.layers.embedding_head.EmbeddingHead`, compute what the teacher
    computes (ValueError where its sizes do not fit).
    """

    config: TeacherConfig

    def forward(self, wav: Tensor, num_samples: Tensor | None = None) -> Tensor:
        """[B, T] -> unit vectors [B, D]."""


class StudentConfig(Protocol):
    """Training sets all of these but `name` and `presence`; `frontend` is None in a YAML that takes the teacher's."""

    name: str
    frontend: Any
    num_spk: int  # N
    embedding_dim: int  # D
    references: str  # 'teacher', or 'own' when it learned without the teacher's embeddings
    presence: bool  # whether each head says if it speaks for a talker


class Student(Protocol):
    """Mixture -> a set of embeddings, whatever its level.

    It may have a list `heads`, which may then begin as the teacher computes.
    """

    config: StudentConfig
    frontend: FrontEnd

    def forward(self, mix: Tensor, num_samples: Tensor | None = None) -> SpeakerSet:
        """[B, T] -> N unit vectors [B, N, D] in no order; with `presence` also logits [B, N]."""


class ExtractorConfig(Protocol):
    """What the rest of the toolkit asks of an extractor's config."""

    name: str
    fusion: str  # one of models.layers.fusion.FUSIONS, or 'none': the same network without embedding
    embedding_dim: int  # D


class Extractor(Protocol):
    """Mixture and embedding -> the target's speech: a `models.layers.network.Network`, which says what the parts mean.

    With more than one estimate it has a method `estimates`, [B, K, T], whose first is the output.
    """

    config: ExtractorConfig
    num_estimates: int
    frame_step: int
    lookahead: int | None
    free_level: bool

    def forward(self, mix: Tensor, emb: Tensor | None = None, longer: Any = None) -> Tensor:
        """[B, T], [B, D] (None with fusion `none`) -> the target [B, T] at its level in the mixture.

        longer: the signal that mix is a part of, where it is one (models.layers.network.Longer).
        Raises: UserError for a wrong shape, another type than float32, or values that are not finite.
        """


class SeparatorConfig(Protocol):
    """What the rest of the toolkit asks of a separator's config."""

    name: str
    num_spk: int  # S


class Separator(Protocol):
    """Mixture -> the speech of every talker: a `models.layers.network.Network`, which says what the parts mean."""

    config: SeparatorConfig
    frame_step: int
    lookahead: int | None
    free_level: bool

    def forward(self, mix: Tensor, longer: Any = None) -> Tensor:
        """[B, T] -> every talker [B, S, T] in no order.

        longer: the signal that mix is a part of, where it is one (models.layers.network.Longer).
        Raises: UserError for a wrong shape, another type than float32, or values that are not finite.
        """


DUTIES = {
    "frontends": (FrontEndConfig, FrontEnd),
    "teachers": (TeacherConfig, Teacher),
    "students": (StudentConfig, Student),
    "extractors": (ExtractorConfig, Extractor),
    "separators": (SeparatorConfig, Separator),
}


def check(kind: str, model: nn.Module) -> None:
    """Check that a built model has all parts that its kind wants.

    Args:
        kind: One of DUTIES.
        model: The model.

    Raises:
        UserError: Naming the first part that it, or its config, lacks.
    """
    where = f"{kind}: {type(model).__module__}: Model"
    if not isinstance(model, nn.Module):
        raise UserError(f"{where}: wanted a torch.nn.Module, found {type(model).__name__}")
    _, wanted = DUTIES[kind]
    _has_all(model, wanted, where)
    check_config(kind, model.config)


def check_config(kind: str, config: Any) -> None:
    """Check that a config has all parts that its kind wants.

    Args:
        kind: One of DUTIES.
        config: The config.

    Raises:
        UserError: Naming the first part that it lacks.
    """
    wanted, _ = DUTIES[kind]
    _has_all(config, wanted, f"{kind}: {type(config).__module__}: Config")


def check_class(kind: str, cls: type) -> None:
    """Check the methods of a class `Model` that cannot be built on this machine.

    Args:
        kind: One of DUTIES.
        cls: The class.

    Raises:
        UserError: Naming the first method that it lacks.
    """
    _, wanted = DUTIES[kind]
    _has_all(cls, wanted, f"{kind}: {cls.__module__}: Model", methods(wanted))


def parts(protocol: type) -> list[str]:
    """Names of all that a protocol asks for."""
    return [*inspect.get_annotations(protocol), *methods(protocol)]


def methods(protocol: type) -> list[str]:
    """Names of the methods that a protocol asks for."""
    return [name for name, value in vars(protocol).items() if callable(value) and not name.startswith("_")]


def _has_all(thing: Any, protocol: type, where: str, wanted: Iterable[str] | None = None) -> None:
    for part in parts(protocol) if wanted is None else wanted:
        if not hasattr(thing, part):
            raise UserError(
                f"{where}: wanted `{part}`, found none; see {protocol.__name__} in wesep_mix/models/contracts.py"
            )
