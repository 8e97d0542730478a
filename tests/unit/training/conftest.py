import dataclasses

import pytest
import torch

from wesep_mix import plugins
from wesep_mix.data.batch import collate
from wesep_mix.data.datasets import FixedMixtures, fixed_loader
from wesep_mix.frontends import logmel
from wesep_mix.mixing.draw import draw_plan
from wesep_mix.mixing.plan import read_plans
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.seeds import rng_for
from wesep_mix.students import parallel_heads
from wesep_mix.teachers import asp
from wesep_mix.training import teacher as teaching
from wesep_mix.training.settings import OptimConfig, StudentConfig, TeacherConfig, TrainerConfig
from wesep_mix.training.teacher import TeacherTraining, train_teacher

TEACHER = asp.Config(
    frontend=logmel.Config(num_mels=10, channels=8, num_layers=1, num_heads=2, dropout=0.0), projection=6,
    embedding_dim=4, bottleneck=3,
)
TRAINER = TrainerConfig(max_steps=6, steps_per_epoch=2, num_workers=0)


@pytest.fixture
def teacher_settings():
    """Function: changes of the trainer -> settings of a tiny teacher."""

    def make(**trainer) -> TeacherConfig:
        return TeacherConfig(
            model=TEACHER, optim=OptimConfig(lr=1e-2), trainer=dataclasses.replace(TRAINER, **trainer), batch_size=2,
            chunk_s=0.3,
        )

    return make


@pytest.fixture
def student_settings():
    return StudentConfig(model=parallel_heads.Config(projection=5, bottleneck=3), trainer=TRAINER, batch_size=2)


@pytest.fixture
def teacher():
    torch.manual_seed(7)
    return plugins.build("teachers", TEACHER).eval()


@pytest.fixture
def train(prepared, tmp_path, teacher_settings, monkeypatch):
    """Function: folder's name, the class to train with, changes of the trainer -> the folder after training."""

    def run(name="teacher", using=TeacherTraining, **trainer):
        with monkeypatch.context() as patch:
            patch.setattr(teaching, "TeacherTraining", using)
            train_teacher(teacher_settings(**trainer), prepared / "single", tmp_path / name, ngpu=0)
        return tmp_path / name

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
