import pytest
import torch

from wesep_mix.layers.depthwise import DepthwiseConv


@pytest.mark.parametrize("batch, length", [(1, 1), (2, 1), (1, 5), (3, 40)])
@pytest.mark.parametrize("frames_first", [False, True])  # how the input lies in memory
def test_it_is_a_convolution_over_time_in_value_and_gradient(batch, length, frames_first):
    torch.manual_seed(0)
    ours, wanted = DepthwiseConv(6, 7), torch.nn.Conv1d(6, 6, 7, padding=3, groups=6)
    wanted.load_state_dict(ours.state_dict())
    frames = torch.randn(batch, length, 6).transpose(1, 2) if frames_first else torch.randn(batch, 6, length)
    weight = torch.randn(batch, 6, length)
    results = []
    for conv in (ours, wanted):
        given = frames.detach().requires_grad_()
        out = conv(given)
        (out * weight).sum().backward()
        results.append((out.detach(), given.grad, conv.weight.grad, conv.bias.grad))
    for found, right in zip(*results, strict=True):
        torch.testing.assert_close(found, right, atol=1e-5, rtol=1e-5)
