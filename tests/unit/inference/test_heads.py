"""What the heads give in memory is what stage 4 writes, and beside it which of them are active."""

import numpy as np
import pytest
import torch

from wesep_mix.base import plugins
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.inference.embeddings import mixture_embeddings
from wesep_mix.inference.heads import hear_sets
from wesep_mix.mixing.plan import head_keys, speaker_keys
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp

SIZES = {
    "frontend": logmel.Config(num_mels=20, channels=8, num_layers=1, num_heads=2),
    "projection": 6,
    "embedding_dim": 5,
    "bottleneck": 4,
}


def build(kind: str, config):
    torch.manual_seed(0)
    return plugins.build(kind, config).eval()


@pytest.fixture(scope="module")
def teacher():
    return build("teachers", asp.Config(**SIZES))


@pytest.fixture(scope="module")
def mixtures(mixture_of):
    return [mixture_of("d", "e"), mixture_of("a", "b", "c"), mixture_of("f")]  # not in the order of their lengths


@pytest.mark.parametrize("references", ["teacher", "own"])
def test_sets_in_the_order_of_the_plans(teacher, mixtures, references):
    student = build("students", parallel_heads.Config(num_spk=2, references=references, **SIZES))
    heard = hear_sets(teacher, student, mixtures, batch_size=2)
    tables = mixture_embeddings(teacher, student, fixed_loader(mixtures, 3))
    wanted = tables.teacher if references == "teacher" else tables.reference
    assert [one.plan for one in heard] == mixtures
    for one in heard:
        np.testing.assert_allclose(one.found, [tables.student[key] for key in head_keys(one.plan, 2)], atol=1e-5)
        np.testing.assert_allclose(one.references, [wanted[key] for key in speaker_keys(one.plan)], atol=1e-5)
        assert one.active.tolist() == [True, True]


def test_with_presence_some_heads_are_active(teacher, mixtures):
    student = build("students", parallel_heads.Config(num_spk=3, presence=True, **SIZES))
    for layer, bias in zip(student.presence, (9.0, -9.0, 0.0), strict=True):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, bias)
    assert [one.active.tolist() for one in hear_sets(teacher, student, mixtures)] == [[True, False, False]] * 3
