import json

import pytest
import torch

from wesep_mix import config, plugins
from wesep_mix.checkpoint import num_parameters
from wesep_mix.frontends import ssl
from wesep_mix.layers.embedding_head import EmbeddingHead
from wesep_mix.losses.arcface import ArcFace
from wesep_mix.students import parallel_heads
from wesep_mix.teachers import wavlm_asp

BASE = json.dumps({"model_type": "wavlm", "do_normalize": False})  # WavLM Base, randomly initialised


@pytest.fixture(scope="module")
def teacher():
    return wavlm_asp.Model(wavlm_asp.Config(frontend=ssl.Config(architecture=BASE)))


def num_trainable(*networks: torch.nn.Module) -> int:
    return sum(weight.numel() for network in networks for weight in network.parameters() if weight.requires_grad)


def test_the_defaults_are_the_papers():
    given = config.from_dict(wavlm_asp.Config, {"name": "wavlm_asp"}, "teacher.yaml")
    assert given == wavlm_asp.Config() and given.name == "wavlm_asp"
    assert given.frontend == ssl.Config(source="microsoft/wavlm-base", finetuned_layers=0)
    assert (given.projection, given.embedding_dim, given.bottleneck) == (256, 256, 128)


def test_the_teacher_has_the_papers_numbers_of_parameters(teacher):
    """0.69 M: the head and ArcFace's weights of 921 speakers; nothing of WavLM."""
    assert num_trainable(teacher.head) == num_trainable(teacher) == 459_648
    assert num_trainable(teacher, ArcFace(teacher.config.embedding_dim, 921)) == 695_424
    assert num_parameters(teacher.frontend) == 94_381_936  # the 94.4 M of WavLM Base


def test_two_heads_have_the_papers_number_of_parameters(teacher, monkeypatch):
    """0.92 M, on the frozen front-end of the module's teacher."""
    monkeypatch.setattr(plugins, "build", lambda kind, given: teacher.frontend)
    student = parallel_heads.Model(parallel_heads.Config(frontend=teacher.config.frontend, num_spk=2))
    assert num_trainable(student) == 919_296


def test_the_fine_tuned_part_of_base_has_the_papers_number_of_parameters(teacher):
    """47,249,912: six layers and the positional convolution; with heads 47.7 M, 48.2 M, 48.6 M."""
    encoder = teacher.frontend.network.encoder
    chosen = [*encoder.layers[-6:], encoder.pos_conv_embed]
    assert sum(num_parameters(part) for part in chosen) == 47_249_912
    assert [47_249_912 + number * num_parameters(EmbeddingHead(768)) for number in (1, 2, 3)] == [
        47_709_560, 48_169_208, 48_628_856]
