import pytest
import torch
from torch import nn
from torch.nn import functional

from wesep_mix.models.layers.fast.frames_last import frames_last, is_frames_last
from wesep_mix.models.layers.norms import ChannelNorm, GlobalNorm, instance_norm


@pytest.fixture(params=[torch.Tensor.contiguous, frames_last])
def x(request):
    return request.param(4 * torch.randn(2, 3, 50, dtype=torch.double, generator=torch.manual_seed(0)) + 1)


def learned(norm: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for weight in norm.parameters():
        nn.init.normal_(weight)
    return norm.double()


def test_global_norm_is_over_channels_and_time_and_keeps_the_layout(x):
    norm = learned(GlobalNorm(3))
    mean, var = x.mean((1, 2), keepdim=True), x.var((1, 2), unbiased=False, keepdim=True)
    found = norm(x)
    torch.testing.assert_close(found, norm.weight * (x - mean) / (var + 1e-5).sqrt() + norm.bias)
    assert is_frames_last(found) == is_frames_last(x)


def test_global_norm_has_the_right_gradients(x):
    norm = learned(GlobalNorm(3))
    assert torch.autograd.gradcheck(norm, frames_last(x[..., :7]).detach().requires_grad_())


def test_half_precision_in_gives_the_weights_type_and_half_precision_gradients(x):
    norm, half = learned(GlobalNorm(3)).float(), x.bfloat16().requires_grad_()
    found = norm(half)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, norm(x.float()), atol=0.1, rtol=0.1)
    found.square().sum().backward()
    assert half.grad.dtype == torch.bfloat16 and norm.weight.grad.dtype == torch.float32


def test_silence_has_finite_gradients():
    x = torch.zeros(2, 3, 50, requires_grad=True)
    GlobalNorm(3)(x).sum().backward()
    assert x.grad.isfinite().all()


def test_channel_norm_is_over_the_channels_of_a_frame(x):
    norm = learned(ChannelNorm(3))
    mean, var = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    wanted = norm.weight[:, None] * (x - mean) / (var + 1e-5).sqrt() + norm.bias[:, None]
    torch.testing.assert_close(norm(x), wanted)


@pytest.mark.parametrize("shape", [(2, 3, 50), (2, 3, 5, 7)])
def test_instance_norm_is_pytorchs(shape):
    x = torch.randn(shape, dtype=torch.double, generator=torch.manual_seed(0))
    torch.testing.assert_close(instance_norm(x), functional.instance_norm(x))
