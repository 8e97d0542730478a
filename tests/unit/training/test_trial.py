"""A network is tried before hours go into what it is trained on."""

import dataclasses
from pathlib import Path

import pytest
import torch

from wesep_mix.errors import UserError
from wesep_mix.separators import conv_tasnet
from wesep_mix.training.settings import LossConfig, SeparatorConfig
from wesep_mix.training.trial import try_out

PATH = Path("egs/ours/conf/some.yaml")
SEPARATOR = SeparatorConfig(
    model=conv_tasnet.Config(num_filters=8, bottleneck=4, hidden=4, num_blocks=1, num_stacks=1)
)


def test_what_can_be_run_is_accepted_and_no_random_number_is_used_up(extractor_settings):
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    try_out(PATH, extractor_settings)
    try_out(PATH, SEPARATOR)
    assert torch.equal(torch.rand(1), wanted)


def test_a_loss_that_wants_other_outputs_is_told(extractor_settings):
    settings = dataclasses.replace(extractor_settings, loss=LossConfig(weights=(0.8, 0.2)))
    with pytest.raises(UserError, match=r"some.yaml: .*: loss.weights: wanted 1 .*, found \[0.8, 0.2\]"):
        try_out(PATH, settings)


def test_sizes_that_do_not_fit_are_told(monkeypatch):
    monkeypatch.setattr(conv_tasnet.Model, "forward", lambda self, mix: mix @ mix)
    with pytest.raises(UserError, match="some.yaml: model: cannot be built and run .*, found RuntimeError: "):
        try_out(PATH, SEPARATOR)


def test_what_is_not_finite_is_told(monkeypatch):
    monkeypatch.setattr(conv_tasnet.Model, "forward", lambda self, mix: mix / 0)
    with pytest.raises(UserError, match="some.yaml: model: with these settings .* not finite"):
        try_out(PATH, SEPARATOR)
