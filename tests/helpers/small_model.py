"""A model without training that is loaded and used in no time."""

from pathlib import Path

import torch

from wesep_mix.models import checkpoint
from wesep_mix.models.extractors import stft_tcn
from wesep_mix.models.folder import About, UseConfig, bundle_of, write_folder
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp


def write_small_experiment(exp: Path) -> None:
    """Model files as an experiment has them, and `model`, the folder of a model made of them."""
    torch.manual_seed(0)
    frontend = logmel.Config(num_mels=20, channels=16, num_layers=1)
    parts = {
        "teacher/model.pt": (
            "teachers",
            asp.Model(asp.Config(frontend=frontend, projection=8, embedding_dim=6, bottleneck=4)),
        ),
        "2mix/student/model.pt": (
            "students",
            parallel_heads.Model(
                parallel_heads.Config(frontend=frontend, num_spk=2, projection=8, embedding_dim=6, bottleneck=4)
            ),
        ),
        "2mix/net/matched/model.pt": (
            "extractors",
            stft_tcn.Model(stft_tcn.Config(embedding_dim=6, channels=8, hidden=8, num_blocks=1, num_stacks=1)),
        ),
    }
    for name, (kind, model) in parts.items():
        (exp / name).parent.mkdir(parents=True)
        checkpoint.save_model(exp / name, kind, model)
    bundle = bundle_of(*(exp / name for name in parts), About("small"), UseConfig(window_s=2.0, hop_s=1.0))
    write_folder(bundle, exp / "model")
