"""Clipping by a norm that is taken once, which also says whether there is a step to take."""

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from wesep_mix.models.separators import conv_tasnet
from wesep_mix.training.separator import SeparatorTraining
from wesep_mix.training.settings import SeparatorConfig


@pytest.fixture
def module():
    """A training with a gradient everywhere but in one bias; nothing is logged."""
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(50, 40), torch.nn.Linear(40, 30))
    module = SeparatorTraining(SeparatorConfig(model=conv_tasnet.Config()), layers)
    module.log, module._latest = lambda *_: None, ["one"]
    for weight in layers.parameters():
        weight.grad = torch.randn_like(weight)
    layers[0].bias.grad = None
    return module


def gradients(module) -> list[torch.Tensor | None]:
    return [None if weight.grad is None else weight.grad.clone() for weight in module.parameters()]


def same(first, second) -> bool:
    return all(one is other is None or torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("clip", [0.3, 5.0, 1e6])
def test_clipped_gradients_have_lightnings_bits(module, clip):
    before, optimizer = gradients(module), torch.optim.AdamW(module.parameters())
    module.configure_gradient_clipping(optimizer, clip)
    found = gradients(module)
    for weight, gradient in zip(module.parameters(), before, strict=True):
        weight.grad = gradient
    clip_grad_norm_(module.parameters(), clip)  # as Lightning calls it
    assert same(found, gradients(module)) and not module.num_bad_steps


def test_without_clipping_gradients_stay(module):
    before = gradients(module)
    module.configure_gradient_clipping(torch.optim.AdamW(module.parameters()), 0.0)
    assert same(before, gradients(module))


@pytest.mark.parametrize("clip", [0.0, 5.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_that_is_not_finite_leaves_no_gradient(module, clip, value):
    module.model[1].weight.grad[3, 4] = value
    module.configure_gradient_clipping(torch.optim.AdamW(module.parameters()), clip)
    assert gradients(module) == [None] * 4 and module.num_bad_steps == 1
