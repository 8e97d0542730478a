"""Student training: mixture -> set of embeddings (arXiv 2604.03219, section on the student)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wesep_mix import checkpoint, plugins
from wesep_mix.errors import UserError
from wesep_mix.mixing.lists import read_speech
from wesep_mix.training.run import run
from wesep_mix.training.settings import StudentConfig
from wesep_mix.training.supervision import LabelledStudentTraining, SetTraining, StudentTraining


def train_student(
    settings: StudentConfig, data: Path, teacher_path: Path, out: Path, num_spk: int, ngpu: int
) -> None:
    """Train on fresh mixtures of `data/train`; the best epoch has the lowest loss (labels: EER) on `data/dev`.

    Raises: UserError when student, teacher and mixtures do not fit each other.
    """
    _check_talkers(settings, num_spk)
    teacher = checkpoint.load_model(teacher_path, "teachers")
    torch.manual_seed(settings.seed)
    student = build_student(settings, teacher, num_spk)
    module = _supervised(settings, student, teacher, data)
    run(module, "students", data, num_spk, out, ngpu, settings.min_talkers)


def _supervised(settings: StudentConfig, student: nn.Module, teacher: nn.Module, data: Path) -> SetTraining:
    if settings.supervision == "teacher":
        return StudentTraining(settings, student, teacher)
    return LabelledStudentTraining(settings, student, sorted({entry.spk for entry in read_speech(data / "train")}))


def _check_talkers(settings: StudentConfig, num_spk: int) -> None:
    least = num_spk if settings.min_talkers is None else settings.min_talkers
    if least > num_spk:
        raise UserError(f"student: min_talkers {least}: wanted up to --num_spk {num_spk}, which is the most talkers of "
                        "a mixture; lower it or leave it out")
    if least < num_spk and not settings.model.presence:
        raise UserError(f"student: min_talkers {least} is fewer than --num_spk {num_spk}: heads without a talker need "
                        "to say so, wanted model.presence: true in student.yaml, found false")


def build_student(settings: StudentConfig, teacher: nn.Module, num_spk: int) -> nn.Module:
    """A student with N heads, fresh or copies of the teacher's, on a front-end of its own or a copy of the teacher's.

    Raises: UserError when there is no front-end, or none with the wanted number of fine-tuned layers, or no head that
    fits.
    """
    frontend, head = _parts(teacher)
    if settings.model.frontend is None and frontend is None:
        raise UserError(f"student: the teacher {teacher.config.name} has no front-end to copy; write the student's own "
                        "in student.yaml, such as model.frontend: {name: logmel}")
    student = plugins.build("students", dataclasses.replace(
        settings.model, frontend=_frontend(settings, frontend), num_spk=num_spk,
        embedding_dim=teacher.config.embedding_dim,
        references="own" if settings.supervision == "labels" else "teacher",
    ))
    if settings.model.frontend is None:
        student.frontend.load_state_dict(frontend.state_dict())
    if settings.heads_from_teacher:
        _copy_head(head, student.heads, teacher.config.name)
    return student


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


def _copy_head(head: nn.Module | None, heads: nn.ModuleList, name: str) -> None:
    """Give all heads the teacher's weights."""
    if head is None:
        raise UserError(f"student: heads_from_teacher: the teacher {name} has no head to copy; set it to false")
    theirs, ours = ({key: list(weight.shape) for key, weight in one.state_dict().items()} for one in (head, heads[0]))
    unlike = sorted(key for key in {*theirs, *ours} if theirs.get(key) != ours.get(key))
    if unlike:
        raise UserError(f"student: heads_from_teacher: the head of the teacher {name} does not fit: {unlike[0]}: "
                        f"wanted {ours.get(unlike[0])}, found {theirs.get(unlike[0])}; give the student the teacher's "
                        "projection and bottleneck, or set it to false")
    for one in heads:
        one.load_state_dict(head.state_dict())
