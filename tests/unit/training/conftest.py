import dataclasses

import pytest
import torch
from lives import stopping_at

from wesep_mix.base import plugins
from wesep_mix.base.seeds import rng_for
from wesep_mix.data.batch import collate
from wesep_mix.data.datasets import FixedMixtures, fixed_loader
from wesep_mix.mixing.draw import draw_plan
from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.models import checkpoint
from wesep_mix.models.extractors import stft_tcn
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp
from wesep_mix.training import teacher as teaching
from wesep_mix.training.settings import ExtractorConfig, OptimConfig, StudentConfig, TeacherConfig, TrainerConfig
from wesep_mix.training.student import build_student
from wesep_mix.training.teacher import TeacherTraining, train_teacher

TEACHER = asp.Config(
    frontend=logmel.Config(num_mels=10, channels=8, num_layers=1, num_heads=2, dropout=0.0),
    projection=6,
    embedding_dim=4,
    bottleneck=3,
)
TRAINER = TrainerConfig(max_steps=6, steps_per_epoch=2, num_workers=0)


@pytest.fixture
def teacher_settings():
    """Function: changes of the trainer -> settings of a tiny teacher."""

    def make(**trainer) -> TeacherConfig:
        return TeacherConfig(
            model=TEACHER,
            optim=OptimConfig(lr=1e-2),
            trainer=dataclasses.replace(TRAINER, **trainer),
            batch_size=2,
            chunk_s=0.3,
        )

    return make


@pytest.fixture
def student_settings():
    return StudentConfig(model=parallel_heads.Config(projection=5, bottleneck=3), trainer=TRAINER, batch_size=2)


@pytest.fixture
def extractor_settings():
    model = stft_tcn.Config(window=64, hop=32, channels=8, hidden=8, num_blocks=1, num_stacks=1)
    return ExtractorConfig(model=model, trainer=TRAINER, batch_size=2, chunk_s=0.25)


@pytest.fixture
def teacher():
    torch.manual_seed(7)
    return plugins.build("teachers", TEACHER).eval()


@pytest.fixture
def student(student_settings, teacher):
    """A student of two talkers."""
    torch.manual_seed(3)
    return build_student(student_settings, teacher, num_spk=2).eval()


@pytest.fixture
def saved(tmp_path, teacher, student):
    """The model files of the teacher and the student."""
    paths = [tmp_path / "saved" / name / "model.pt" for name in ("teacher", "student")]
    for path, kind, model in zip(paths, ("teachers", "students"), (teacher, student), strict=True):
        checkpoint.save_model(path, kind, model)
    return paths


@pytest.fixture
def train(prepared, tmp_path, teacher_settings, monkeypatch):
    """Function: folder's name, the class to train with, seed, dropout, changes of the trainer -> the trained folder."""

    def run(name="teacher", using=TeacherTraining, seed=0, dropout=0.0, **trainer):
        settings = dataclasses.replace(teacher_settings(**trainer), seed=seed)
        frontend = dataclasses.replace(settings.model.frontend, dropout=dropout)
        settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, frontend=frontend))
        with monkeypatch.context() as patch:
            patch.setattr(teaching, "TeacherTraining", using)
            train_teacher(settings, prepared / "single", tmp_path / name)
        return tmp_path / name

    return run


@pytest.fixture
def stopped(train):
    """Function: step, then as for `train` -> nothing; the training has failed in the loss of that step."""

    def run(step, name="teacher", using=TeacherTraining, **trainer):
        with pytest.raises(ZeroDivisionError):
            train(name, stopping_at(step, lambda: 1 / 0, using), **trainer)

    return run


@pytest.fixture
def batch(prepared):
    """Four fixed mixtures of two."""
    (batch,) = fixed_loader(read_plans(prepared / "2mix" / "train" / "plan.jsonl"), 4)
    return batch


@pytest.fixture
def mixed(prepared):
    """Mixtures of one, three and two talkers."""
    pool = load_pool(prepared / "2mix" / "train")
    plans = [draw_plan(pool, count, rng_for(0, count)) for count in (1, 3, 2)]
    return collate([FixedMixtures(plans)[place] for place in range(3)])
