import pytest
import torch
from torch import nn

from wesep_mix.models.layers.fast.frames_last import (
    Depthwise,
    Pointwise,
    depthwise,
    frames_last,
    is_frames_last,
    pointwise,
)


@pytest.fixture(params=[False, True])
def x(request):
    torch.manual_seed(0)
    wav = torch.randn(2, 6, 40)
    return frames_last(wav) if request.param else wav


def test_the_layout_changes_no_value(x):
    moved = frames_last(x)
    assert torch.equal(moved, x) and is_frames_last(moved) and moved.stride() == (240, 1, 6)
    assert frames_last(moved).data_ptr() == moved.data_ptr()


def test_pointwise_is_the_convolution_and_keeps_the_layout(x):
    conv = nn.Conv1d(6, 4, 1)
    found = pointwise(x, conv.weight, conv.bias)
    torch.testing.assert_close(found, conv(x))
    torch.testing.assert_close(pointwise(x, conv.weight), conv(x) - conv.bias[:, None])
    assert is_frames_last(found) == is_frames_last(x)


@pytest.mark.parametrize("dilation, padding", [(1, 1), (4, 4), (4, 8), (1, 0), (30, 30), (64, 64)])
def test_depthwise_is_the_convolution_with_its_gradients(x, dilation, padding):
    conv, x = nn.Conv1d(6, 6, 3, groups=6, dilation=dilation, padding=padding), x.requires_grad_()
    inputs = [x, conv.weight, conv.bias]
    found, wanted = depthwise(conv, x), conv(x)
    torch.testing.assert_close(found, wanted)
    assert is_frames_last(found) == is_frames_last(x)
    pull = torch.randn_like(wanted)
    gradients = [torch.autograd.grad(out, inputs, pull) for out in (found, wanted)]
    torch.testing.assert_close(*gradients, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"stride": 2},
        {"padding_mode": "reflect", "padding": 1},
        {"bias": False},
        {"groups": 3},
    ],
)
def test_another_convolution_is_refused(x, changes):
    conv = nn.Conv1d(6, 6, 3, **{"groups": 6, **changes})
    with pytest.raises(ValueError, match="wanted a depthwise convolution of stride 1 with a bias, padded with zeros"):
        depthwise(conv, x)


@pytest.mark.parametrize("kernel_size, dilation", [(3, 1), (3, 4), (5, 2), (1, 1), (3, 50)])
def test_frames_around_or_with_causal_up_to_each_one(x, kernel_size, dilation):
    for causal in (False, True):
        conv = Depthwise(6, kernel_size, dilation, causal)
        reach = dilation * (kernel_size - 1)
        padded = nn.functional.pad(x, (reach, 0) if causal else (reach // 2, reach // 2))
        wanted = nn.functional.conv1d(padded, conv.weight, conv.bias, dilation=dilation, groups=6)
        found = conv(x)
        torch.testing.assert_close(found, wanted)
        assert found.shape == x.shape and is_frames_last(found)


def test_pointwise_with_values_beside_every_frame(x):
    conv, beside = Pointwise(8, 4), torch.randn(2, 2)
    wanted = conv(torch.cat([x, beside[..., None].expand(-1, -1, 40)], 1))
    torch.testing.assert_close(conv(x, beside), wanted)
