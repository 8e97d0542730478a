"""Models from settings: each is given what it must have in common with the others, and parts of theirs."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import nn

from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig


def check_talkers(settings: StudentConfig, num_spk: int) -> None:
    """Raises: UserError when mixtures of up to num_spk talkers are not what the student can be trained on."""
    least = num_spk if settings.min_talkers is None else settings.min_talkers
    if least > num_spk:
        raise UserError(
            f"student: min_talkers {least}: wanted up to --num_spk {num_spk}, which is the most talkers of "
            "a mixture; lower it or leave it out"
        )
    if least < num_spk and not settings.model.presence:
        raise UserError(
            f"student: min_talkers {least} is fewer than --num_spk {num_spk}: heads without a talker need "
            "to say so, wanted model.presence: true in student.yaml, found false"
        )


def build_student(settings: StudentConfig, teacher: nn.Module, num_spk: int) -> nn.Module:
    """A student with N heads, fresh or copies of the teacher's, on a front-end of its own or a copy of the teacher's.

    Raises: UserError when there is no front-end, or none with the wanted number of fine-tuned layers, or no head that
    fits.
    """
    frontend, head = _parts(teacher)
    if settings.model.frontend is None and frontend is None:
        raise UserError(
            f"student: the teacher {teacher.config.name} has no front-end to copy; write the student's own "
            "in student.yaml, such as model.frontend: {name: logmel}"
        )
    student = plugins.build(
        "students",
        dataclasses.replace(
            settings.model,
            frontend=_frontend(settings, frontend),
            num_spk=num_spk,
            embedding_dim=teacher.config.embedding_dim,
            references="own" if settings.supervision == "labels" else "teacher",
        ),
    )
    if settings.model.frontend is None:
        student.frontend.load_state_dict(frontend.state_dict())
    if settings.heads_from_teacher:
        _copy_head(head, student, teacher.config.name)
    return student


def build_extractor(settings: ExtractorConfig, student: nn.Module | None) -> nn.Module:
    """An extractor for the student's embeddings; with no student the same network without any."""
    changes = {"fusion": "none"} if student is None else {"embedding_dim": student.config.embedding_dim}
    return plugins.build("extractors", dataclasses.replace(settings.model, **changes))


def build_separator(settings: SeparatorConfig, num_spk: int) -> nn.Module:
    """A separator with as many outputs as the mixtures have talkers."""
    return plugins.build("separators", dataclasses.replace(settings.model, num_spk=num_spk))


def _parts(teacher: nn.Module) -> tuple[nn.Module | None, nn.Module | None]:
    """A teacher's front-end and head, None where it is not made of such parts."""
    return getattr(teacher, "frontend", None), getattr(teacher, "head", None)


def _frontend(settings: StudentConfig, teachers: nn.Module | None) -> Any:
    """The config of the student's own front-end, or of a copy of the teacher's, which is trained though that is frozen.

    Raises: UserError when it cannot have the wanted number of fine-tuned layers.
    """
    own, num_layers = settings.model.frontend, settings.finetuned_layers
    if own is not None and num_layers is None:
        return own
    try:
        return (own or teachers.config).with_finetuned(num_layers)
    except ValueError as err:
        raise UserError(f"student: finetuned_layers {num_layers}: {err}; leave finetuned_layers out") from err


def _copy_head(head: nn.Module | None, student: nn.Module, name: str) -> None:
    """Give all heads the teacher's weights."""
    heads = getattr(student, "heads", None)
    if head is None or heads is None:
        lacks = f"the teacher {name} has no head to copy" if head is None else f"{student.config.name} has no heads"
        raise UserError(f"student: heads_from_teacher: {lacks}; set it to false")
    theirs, ours = ({key: list(weight.shape) for key, weight in one.state_dict().items()} for one in (head, heads[0]))
    unlike = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if unlike:
        raise UserError(
            f"student: heads_from_teacher: the head of the teacher {name} does not fit: {unlike[0]}: "
            f"wanted {ours.get(unlike[0])}, found {theirs.get(unlike[0])}; give the student the teacher's "
            "projection and bottleneck, or set it to false"
        )
    for one in heads:
        one.load_state_dict(head.state_dict())
