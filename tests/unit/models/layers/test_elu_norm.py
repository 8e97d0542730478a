import pytest
import torch
from torch.nn import functional

from wesep_mix.models.layers.fast.dense import elu_instance_norm


@pytest.fixture(params=["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def x(request):
    torch.manual_seed(0)
    return (2 * torch.randn(2, 3, 5, 4, dtype=torch.double, device=request.param) + 0.5).requires_grad_()


def two_steps(x):
    return functional.instance_norm(functional.elu(x))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_value_and_gradient_are_those_of_the_two_steps(x, layout):
    given = x.detach().clone().contiguous(memory_format=layout).requires_grad_()
    found, wanted = elu_instance_norm(given * 1), two_steps(x)
    assert found.is_contiguous(memory_format=layout)
    torch.testing.assert_close(found, wanted)
    pull = torch.randn_like(wanted)
    torch.testing.assert_close(torch.autograd.grad(found, given, pull), torch.autograd.grad(wanted, x, pull))


def test_numerical_gradient(x):
    assert torch.autograd.gradcheck(lambda given: elu_instance_norm(given * 1), x)


def test_it_is_exact_over_many_places_far_from_zero():
    torch.manual_seed(0)
    large = (torch.randn(1, 2, 300, 100) + 9).contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(elu_instance_norm(large.clone()), two_steps(large.double()).float(), atol=1e-5, rtol=0)


def test_its_output_is_the_only_large_tensor_it_keeps():
    given = torch.randn(2, 3, 50, 40, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value) or value, lambda value: value):
        found = elu_instance_norm(given)
    assert [value.data_ptr() for value in kept if value.numel() == given.numel()] == [found.data_ptr()]


def test_half_precision_in_gives_float32_and_a_half_precision_gradient(x):
    half = x.detach().bfloat16().requires_grad_()
    found = elu_instance_norm(half * 1)
    found.square().sum().backward()
    assert half.grad.dtype == torch.bfloat16
    if x.device.type == "cpu":
        assert found.dtype == torch.float32


def test_a_constant_has_finite_gradients(x):
    given = torch.zeros_like(x).requires_grad_()
    elu_instance_norm(given * 1).sum().backward()
    assert given.grad.isfinite().all()
