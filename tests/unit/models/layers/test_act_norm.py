import pytest
import torch
from torch.nn import functional

from wesep_mix.models.layers.fast.conv_tasnet import prelu_global_norm


@pytest.fixture(params=["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def inputs(request):
    torch.manual_seed(0)
    shapes = ((3, 5, 33), (1,), (5,), (5,))
    return [torch.randn(shape, dtype=torch.double, device=request.param, requires_grad=True) for shape in shapes]


def two_steps(x, slope, weight, bias):
    return functional.group_norm(functional.prelu(x, slope), 1, weight, bias)


@pytest.mark.parametrize("slope", [0.25, 0.0, -0.7, 1.0])
def test_value_and_gradients_are_those_of_the_two_steps(inputs, slope):
    with torch.no_grad():
        inputs[1].fill_(slope)
    found, wanted = prelu_global_norm(*inputs), two_steps(*inputs)
    torch.testing.assert_close(found, wanted)
    pull = torch.randn_like(wanted)
    gradients = [torch.autograd.grad(out, inputs, pull) for out in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_numerical_gradient(inputs):
    assert torch.autograd.gradcheck(prelu_global_norm, inputs)


def test_any_layout(inputs):
    x, *rest = inputs
    turned = x.detach().transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    torch.testing.assert_close(prelu_global_norm(turned, *rest), two_steps(x, *rest))
    prelu_global_norm(turned, *rest).transpose(1, 2)[:, ::2].sum().backward()
    two_steps(x, *rest).transpose(1, 2)[:, ::2].sum().backward()
    torch.testing.assert_close(turned.grad, x.grad)


def test_half_precision_in_gives_the_weights_type_and_half_precision_gradients(inputs):
    x, slope, weight, bias = (value.detach().float().requires_grad_() for value in inputs)
    half = x.detach().bfloat16().requires_grad_()
    out = prelu_global_norm(half, slope, weight, bias)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, two_steps(x, slope, weight, bias), atol=0.1, rtol=0.1)
    out.square().sum().backward()
    assert half.grad.dtype == torch.bfloat16 and slope.grad.dtype == weight.grad.dtype == torch.float32


def test_the_input_is_the_only_large_tensor_it_keeps(inputs):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value) or value, lambda value: value):
        prelu_global_norm(*inputs)
    large = {value.data_ptr() for value in kept if value.numel() == inputs[0].numel()}
    assert large == {inputs[0].data_ptr()}


def test_silence_has_finite_gradients(inputs):
    x = torch.zeros_like(inputs[0]).requires_grad_()
    prelu_global_norm(x, *inputs[1:]).sum().backward()
    assert x.grad.isfinite().all()
