"""Models from settings: each gets the sizes that it must share with the others, and copies of their parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from torch import nn

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.models.folder import load_network
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig


def check_talkers(settings: StudentConfig, num_spk: int) -> None:
    """Check that the student can be trained on mixtures of up to `num_spk` talkers.

    Args:
        settings: conf/student.yaml.
        num_spk: the largest number of talkers in a mixture.

    Raises:
        UserError: `min_talkers` is larger, or heads without a talker have no presence.
    """
    check_min_talkers(settings.min_talkers, num_spk, "student")
    least = num_spk if settings.min_talkers is None else settings.min_talkers
    if least < num_spk and not settings.model.presence:
        raise UserError(
            f"student: min_talkers {least} is fewer than --num_spk {num_spk}: some heads then have no "
            "talker and must be able to say so, wanted model.presence: true in student.yaml, found false"
        )


def check_min_talkers(least: int | None, num_spk: int, who: str) -> None:
    """Check the smallest number of talkers of a training's mixtures.

    Args:
        least: what the settings say; None: `num_spk`.
        num_spk: the largest.
        who: what is trained, for the error.

    Raises:
        UserError: it is larger.
    """
    if least is not None and least > num_spk:
        raise UserError(
            f"{who}: min_talkers {least}: wanted up to --num_spk {num_spk}, which is the most talkers of "
            "a mixture; lower it or leave it out"
        )


def build_student(settings: StudentConfig, teacher: nn.Module, num_spk: int) -> nn.Module:
    """A student with a head a talker, on a front-end of its own or a copy of the teacher's.

    Args:
        settings: conf/student.yaml.
        teacher: gives the embedding size, and what is copied: its front-end, its head.
        num_spk: number of heads.

    Returns:
        The student, its heads new or copies of the teacher's.

    Raises:
        UserError: there is no front-end, or none with the wanted number of fine-tuned layers, or no head that fits.
    """
    frontend = getattr(teacher, "frontend", None)
    own = settings.model.frontend or (settings.own_frontend if frontend is None else None)
    if own is None and frontend is None:
        raise UserError(
            f"student: the teacher {teacher.config.name} has no front-end to copy; write the student's own "
            "in student.yaml, such as own_frontend: {name: logmel}"
        )
    student = plugins.build(
        "students",
        dataclasses.replace(
            settings.model,
            frontend=_frontend(own, frontend, settings.finetuned_layers),
            num_spk=num_spk,
            embedding_dim=teacher.config.embedding_dim,
            references="teacher" if settings.supervision == "teacher" else "own",
        ),
    )
    if own is None:
        student.frontend.load_state_dict(frontend.state_dict())
    if settings.heads_from_teacher and (frontend is not None or own is settings.model.frontend):
        _begin_heads(teacher, student)
    return student


def build_extractor(settings: ExtractorConfig, student: nn.Module | None) -> nn.Module:
    """An extractor for the student's embeddings, or the same network without embedding.

    Args:
        settings: conf/extractor/NAME.yaml.
        student: gives the embedding size; None for no embedding.

    Returns:
        The extractor.
    """
    changes = {"fusion": "none"} if student is None else {"embedding_dim": student.config.embedding_dim}
    return plugins.build("extractors", dataclasses.replace(settings.model, **changes))


def build_separator(settings: SeparatorConfig, num_spk: int) -> nn.Module:
    """A separator with an output a talker.

    Args:
        settings: conf/separator/NAME.yaml.
        num_spk: talkers in a mixture.

    Returns:
        The separator.
    """
    return plugins.build("separators", dataclasses.replace(settings.model, num_spk=num_spk))


def begin_with(model: nn.Module, path: Path, kind: str) -> None:
    """Take the weights of a trained network as the first ones.

    Args:
        model: new, changed in place.
        path: a stage's model.pt or a part of a model's folder, such as DIR/extractor.safetensors.
        kind: of the model, such as `extractors`.

    Raises:
        UserError: it is a network of other settings.
    """
    trained = load_network(path, kind)
    if trained.config != model.config:
        raise UserError(
            f"{path}: init: wanted a network of the settings {model.config}, found {trained.config}; train "
            'with those, or begin with fresh weights (init: "")'
        )
    model.load_state_dict(trained.state_dict())


def _frontend(own: Any, teachers: nn.Module | None, num_layers: int | None) -> Any:
    """The config of the student's own front-end or of a copy of the teacher's, with so many fine-tuned layers.

    A copy is trained even if the teacher's own is frozen.
    """
    if own is not None and num_layers is None:
        return own
    try:
        return (own or teachers.config).with_finetuned(num_layers)
    except ValueError as err:
        raise UserError(f"student: finetuned_layers {num_layers}: {err}; leave finetuned_layers out") from err


def _begin_heads(teacher: nn.Module, student: nn.Module) -> None:
    """Let all heads begin as the teacher computes; what it leaves open is each head's own."""
    name, heads = teacher.config.name, getattr(student, "heads", None)
    if heads is None or not hasattr(teacher, "begin"):
        lacks = f"{student.config.name} has no heads" if heads is None else f"the teacher {name} has no head to copy"
        raise UserError(f"student: heads_from_teacher: {lacks}; set it to false")
    try:
        for head in heads:
            teacher.begin(head)
    except ValueError as err:
        raise UserError(f"student: heads_from_teacher: the teacher {name}: {err}, or set it to false") from err
