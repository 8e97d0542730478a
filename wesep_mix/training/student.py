"""Student training: mixture -> set of embeddings (arXiv 2604.03219, section on the student)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from wesep_mix import checkpoint
from wesep_mix.mixing.lists import read_speech
from wesep_mix.training.building import build_student, check_talkers
from wesep_mix.training.run import run
from wesep_mix.training.settings import StudentConfig
from wesep_mix.training.supervision import LabelledStudentTraining, SetTraining, StudentTraining


def train_student(
    settings: StudentConfig, data: Path, teacher_path: Path, out: Path, num_spk: int, ngpu: int
) -> None:
    """Train on fresh mixtures of `data/train`; the best epoch has the lowest loss (labels: EER) on `data/dev`.

    Raises: UserError when student, teacher and mixtures do not fit each other.
    """
    check_talkers(settings, num_spk)
    teacher = checkpoint.load_model(teacher_path, "teachers")
    torch.manual_seed(settings.seed)
    student = build_student(settings, teacher, num_spk)
    module = _supervised(settings, student, teacher, data)
    run(module, "students", data, num_spk, out, ngpu, settings.min_talkers)


def _supervised(settings: StudentConfig, student: nn.Module, teacher: nn.Module, data: Path) -> SetTraining:
    if settings.supervision == "teacher":
        return StudentTraining(settings, student, teacher)
    return LabelledStudentTraining(settings, student, sorted({entry.spk for entry in read_speech(data / "train")}))
