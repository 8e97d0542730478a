"""Mixed precision (trainer.precision: bf16-mixed) on the CPU: two steps of all that is trained on mixtures."""

import dataclasses

import pytest
import torch

from wesep_mix.base import plugins
from wesep_mix.models import checkpoint
from wesep_mix.training.extractor import EmbeddingSource, train_extractor
from wesep_mix.training.separator import train_separator
from wesep_mix.training.settings import LossConfig, SeparatorConfig, TrainerConfig
from wesep_mix.training.student import train_student

SMALL = {  # settings of a size that costs nothing; an extractor that is not here is trained at its defaults
    "stft_tcn": {"window": 64, "hop": 32, "channels": 8, "hidden": 8, "num_blocks": 1, "num_stacks": 1},
    "dpccn": {
        "n_fft": 128,
        "hop": 64,
        "dense_channels": (4, 6),
        "conv_channels": (8, 8),
        "dense_depth": 1,
        "tcn_repeats": 1,
        "tcn_blocks": 2,
        "pool_sizes": (4, 8),
        "pool_channels": 3,
    },
    "pdccrn": {"window": 64, "hop": 32, "n_fft": 128, "channels": (4, 6, 8), "lstm_hidden": 8},
    "spexplus": {"filters": 12, "channels": 8, "hidden": 12, "num_stacks": 2, "num_blocks": 2},
}
SEPARATORS = {
    "conv_tasnet": {"num_filters": 8, "window": 16, "bottleneck": 6, "hidden": 8, "num_blocks": 2, "num_stacks": 1},
}
BF16 = TrainerConfig(max_steps=2, steps_per_epoch=2, num_workers=0, precision="bf16-mixed", max_bad_steps=0)


def was_trained(folder, kind: str) -> bool:
    model, notes = (load(folder / "model.pt", kind) for load in (checkpoint.load_model, checkpoint.load_notes))
    weights = list(model.state_dict().values())
    kept = {weight.dtype for weight in weights if weight.is_floating_point()}
    return kept == {torch.float32} and all(weight.isfinite().all() for weight in weights) and notes["num_steps"] == 2


@pytest.mark.parametrize("presence", [False, True])
def test_a_student(prepared, tmp_path, saved, student_settings, presence):
    model = dataclasses.replace(student_settings.model, presence=presence)
    settings = dataclasses.replace(student_settings, trainer=BF16, model=model)
    train_student(settings, prepared / "2mix", saved[0], tmp_path / "out", num_spk=2)
    assert was_trained(tmp_path / "out", "students")


@pytest.mark.parametrize("name", plugins.names("extractors"))
def test_an_extractor(prepared, tmp_path, saved, extractor_settings, name, wesep_checkout, monkeypatch):
    monkeypatch.setenv("WESEP_DIR", str(wesep_checkout))
    model = plugins.load("extractors", name).Config(**SMALL.get(name, {}))
    weights = (0.5,) * plugins.build("extractors", model).num_estimates
    settings = dataclasses.replace(extractor_settings, model=model, loss=LossConfig(weights=weights), trainer=BF16)
    train_extractor(settings, prepared / "2mix", EmbeddingSource(*saved), "matched", tmp_path / "out", 2)
    assert was_trained(tmp_path / "out", "extractors")


@pytest.mark.parametrize("name", plugins.names("separators"))
def test_a_separator(prepared, tmp_path, name):
    model = plugins.load("separators", name).Config(**SEPARATORS.get(name, {}))
    settings = SeparatorConfig(model=model, trainer=BF16, batch_size=2, chunk_s=0.25)
    train_separator(settings, prepared / "2mix", tmp_path / "out", 2)
    assert was_trained(tmp_path / "out", "separators")
