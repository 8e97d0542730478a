"""ELU frame by frame, beside PyTorch's."""

import pytest
import torch
from torch.nn import functional

from wesep_mix.models.layers.fast.dense import elu_frames_last
from wesep_mix.models.layers.fast.frames_last import frames_last, is_frames_last


@pytest.mark.parametrize("layout", [torch.Tensor.contiguous, frames_last])
@pytest.mark.parametrize("of_grad", [torch.Tensor.contiguous, frames_last])
def test_values_and_gradients_are_elu_s_in_any_layout(layout, of_grad):
    x = layout(torch.randn(2, 3, 50, dtype=torch.float64, generator=torch.manual_seed(0))).requires_grad_()
    grad = of_grad(torch.randn(2, 3, 50, dtype=torch.float64, generator=torch.manual_seed(1)))
    y, wanted = elu_frames_last(x), functional.elu(x)
    assert is_frames_last(y)
    torch.testing.assert_close(y, wanted)
    (got,), (theirs,) = (torch.autograd.grad(one, x, grad) for one in (y, wanted))
    torch.testing.assert_close(got, theirs)


def test_the_input_is_left_as_it_is():
    x = torch.randn(1, 2, 5, generator=torch.manual_seed(0))
    before = x.clone()
    elu_frames_last(x)
    assert torch.equal(x, before)
