import json

import pytest
import torch

from wesep_mix.base import config
from wesep_mix.losses.arcface import ArcFace
from wesep_mix.models.checkpoint import num_parameters
from wesep_mix.models.frontends import ssl
from wesep_mix.models.teachers import wavlm_asp

BASE = json.dumps({"model_type": "wavlm", "do_normalize": False})


def num_trainable(*networks: torch.nn.Module) -> int:
    return sum(weight.numel() for network in networks for weight in network.parameters() if weight.requires_grad)


def test_the_defaults_are_the_papers():
    given = config.from_dict(wavlm_asp.Config, {"name": "wavlm_asp"}, "teacher.yaml")
    assert given == wavlm_asp.Config() and given.name == "wavlm_asp"
    assert given.frontend == ssl.Config(source="microsoft/wavlm-base", finetuned_layers=0)
    assert (given.projection, given.embedding_dim, given.bottleneck) == (256, 256, 128)


@pytest.mark.parametrize("finetuned_layers, num_trained", [(0, 695_424), (6, 47_945_336)])
def test_the_teacher_has_the_papers_numbers_of_parameters(finetuned_layers, num_trained):
    """0.69 M, the head and ArcFace's weights of 921 speakers; 47.9 M with six layers of WavLM Base."""
    with torch.device("meta"):
        frontend = ssl.Config(architecture=BASE, finetuned_layers=finetuned_layers)
        teacher = wavlm_asp.Model(wavlm_asp.Config(frontend=frontend))
        arcface = ArcFace(teacher.config.embedding_dim, 921)
    assert num_trainable(teacher.head) == 459_648
    assert num_trainable(teacher, arcface) == num_trained
    assert num_parameters(teacher.frontend) == 94_381_936  # the 94.4 M of WavLM Base
