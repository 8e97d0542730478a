import pytest
import torch
from torch import nn

from wesep_mix.models.layers.fast.dense import conv_of_parts


@pytest.fixture(params=["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def given(request):
    torch.manual_seed(0)
    conv = nn.Conv2d(7, 3, (3, 2), stride=(1, 2), padding=(1, 0), dtype=torch.double).to(request.param)
    parts = [
        torch.randn(2, channels, 5, 6, dtype=torch.double, device=request.param, requires_grad=True)
        for channels in (4, 1, 2)
    ]
    return conv, parts


def test_value_and_gradients_are_those_of_the_concatenation(given):
    conv, parts = given
    inputs = [*parts, *conv.parameters()]
    found, wanted = conv_of_parts(conv, parts), conv(torch.cat(parts, 1))
    torch.testing.assert_close(found, wanted)
    pull = torch.randn_like(wanted)
    gradients = [torch.autograd.grad(out, inputs, pull) for out in (found, wanted)]
    torch.testing.assert_close(*gradients)


def test_the_concatenation_is_not_kept(given):
    conv, parts = given
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value) or value, lambda value: value):
        conv_of_parts(conv, parts)
    assert {value.data_ptr() for value in kept} == {value.data_ptr() for value in (*parts, conv.weight, conv.bias)}


def test_parts_without_a_gradient(given):
    conv, parts = given
    conv_of_parts(conv, [part.detach() for part in parts]).sum().backward()
    assert conv.weight.grad.abs().sum() > 0
    conv_of_parts(conv, [parts[0], *(part.detach() for part in parts[1:])]).sum().backward()
    assert parts[0].grad is not None and parts[1].grad is None


def test_one_part_is_the_convolution_itself(given):
    conv, parts = given
    whole = torch.cat(parts, 1)
    torch.testing.assert_close(conv_of_parts(conv, [whole]), conv(whole))


def test_autocast(given):
    conv, parts = given
    conv, parts = conv.float(), [part.detach().float().requires_grad_() for part in parts]
    with torch.autocast(parts[0].device.type, torch.bfloat16):
        found = conv_of_parts(conv, parts)
    assert found.dtype == torch.bfloat16
    found.float().sum().backward()
    assert all(part.grad.dtype == torch.float32 for part in parts) and conv.weight.grad.dtype == torch.float32
    torch.testing.assert_close(found.float(), conv(torch.cat(parts, 1)), atol=0.1, rtol=0.1)
