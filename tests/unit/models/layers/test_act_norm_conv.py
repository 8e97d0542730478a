"""Beside PReLU, norm and convolution as three steps of PyTorch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from wesep_mix.models.layers.fast.conv_tasnet import applies, norm_depthwise, norm_pointwise
from wesep_mix.models.layers.fast.frames_last import frames_last


def depthwise_conv(dilation=1, padding=None, kernel_size=3, **more):
    padding = dilation * (kernel_size - 1) // 2 if padding is None else padding
    return nn.Conv1d(5, 5, kernel_size, dilation=dilation, padding=padding, groups=5, dtype=torch.double, **more)


CONVS = {
    "pointwise": lambda: nn.Conv1d(5, 4, 1, dtype=torch.double),
    "depthwise": depthwise_conv,
    "length no multiple of the dilation": lambda: depthwise_conv(4),
    "length a multiple of the dilation": lambda: depthwise_conv(11),
    "causal": lambda: depthwise_conv(4, 8),
    "not padded": lambda: depthwise_conv(2, 0),
    "dilation near the length": lambda: depthwise_conv(32),
    "dilation over the length": lambda: depthwise_conv(40),
    "five taps": lambda: depthwise_conv(3, kernel_size=5),
    "one tap": lambda: depthwise_conv(1, kernel_size=1),
}


@pytest.fixture(params=CONVS)
def conv(request):
    torch.manual_seed(1)
    return CONVS[request.param]()


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    x, *rest = (torch.randn(shape, dtype=torch.double) for shape in ((3, 5, 33), (1,), (5,), (5,)))
    return [value.requires_grad_() for value in (frames_last(x + 0.5), *rest)]


def joined(x, slope, gain, shift, conv):
    if conv.groups > 1:
        return norm_depthwise(x, slope, gain, shift, conv)
    return norm_pointwise(x, slope, gain, shift, conv.weight, conv.bias)


def three_steps(x, slope, gain, shift, conv):
    return conv(functional.group_norm(functional.prelu(x, slope), 1, gain, shift))


def value_and_gradients(step, inputs, conv):
    out = step(*inputs, conv)
    pull = torch.randn(out.shape, generator=torch.Generator().manual_seed(2), dtype=torch.double).to(out.dtype)
    return out, *torch.autograd.grad(out, [*inputs, conv.weight, conv.bias], pull)


@pytest.mark.parametrize("slope", [0.25, 0.0, -0.7, 1.0])
def test_value_and_gradients_are_those_of_the_three_steps(inputs, conv, slope):
    with torch.no_grad():
        inputs[1].fill_(slope)
    torch.testing.assert_close(*(value_and_gradients(step, inputs, conv) for step in (joined, three_steps)))


def test_a_gradient_in_another_layout(inputs, conv):
    x, *rest = inputs
    pull = torch.randn(3, conv.out_channels, conv(x).shape[2], dtype=torch.double)  # frames side by side in memory
    gradients = [torch.autograd.grad(step(x, *rest, conv), inputs, pull) for step in (joined, three_steps)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("mean", [0, 20, 1000])
def test_float32_is_as_exact_as_the_three_steps(conv, mean):
    """On signals whose mean is large beside their deviation too, and in the gradients."""
    torch.manual_seed(0)
    x, *rest = (torch.randn(shape, dtype=torch.double) for shape in ((2, 5, 20000), (1,), (5,), (5,)))
    exact = [value.requires_grad_() for value in (frames_last(x + mean), *rest)]
    wanted = value_and_gradients(three_steps, exact, conv)
    conv, rounded = conv.float(), [value.detach().float().requires_grad_() for value in exact]
    found, plain = (value_and_gradients(step, rounded, conv) for step in (joined, three_steps))
    for one, other, right in zip(found, plain, wanted, strict=True):
        allowed = 3 * (other - right).abs().max() + 5e-5 * right.square().mean().sqrt()
        assert (one - right).abs().max() <= allowed


def test_the_input_is_the_only_large_tensor_it_keeps(inputs, conv):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value) or value, lambda value: value):
        joined(*inputs, conv)
    assert {value.data_ptr() for value in kept if value.numel() >= 5 * 33} == {inputs[0].data_ptr()}


def test_silence_has_finite_gradients(inputs, conv):
    x = torch.zeros_like(inputs[0]).requires_grad_()
    joined(x, *inputs[1:], conv).sum().backward()
    assert x.grad.isfinite().all()


def test_frames_with_a_gap_between_items(inputs, conv):
    """As a convolution's output that was cut."""
    x, *rest = inputs
    longer = frames_last(torch.cat([x, torch.randn(3, 5, 2)], 2)).detach().requires_grad_()
    pull = torch.randn_like(three_steps(*inputs, conv))
    gradients = [
        torch.autograd.grad(joined(given, *rest, conv), [leaf, *rest], pull)
        for leaf, given in ((x, x), (longer, longer[..., :33]))
    ]
    torch.testing.assert_close(functional.pad(gradients[0][0], (0, 2)), gradients[1][0])
    torch.testing.assert_close(gradients[0][1:], gradients[1][1:])


def test_it_applies_to_frames_last_in_the_weights_type(inputs, conv):
    x = inputs[0].detach()
    assert applies(x, conv.weight)
    assert not applies(x.contiguous(), conv.weight)
    assert not applies(frames_last(x.float()), conv.weight)


def test_another_convolution_is_refused(inputs):
    with pytest.raises(ValueError, match="wanted a depthwise convolution of stride 1 with a bias"):
        norm_depthwise(*inputs, depthwise_conv(stride=2))
