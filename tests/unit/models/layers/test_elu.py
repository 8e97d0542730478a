"""Beside PyTorch's."""

import pytest
import torch
from torch.nn import functional

from wesep_mix.models.layers.fast.dense import elu


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("into", [False, True])
def test_values_are_elu_s(dtype, into):
    x = torch.cat([3 * torch.randn(1000, generator=torch.manual_seed(0)), torch.tensor([0.0, -1e-6, 1e-6, -200, 200])])
    x = x.to(dtype)
    before, out = x.clone(), torch.empty_like(x) if into else None
    found = elu(x, out=out)
    assert torch.equal(x, before) and (found is out or not into)
    torch.testing.assert_close(found, functional.elu(x), rtol=0, atol={torch.float64: 2e-16}.get(dtype, 6e-8))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_layout_stays(layout):
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=layout)
    assert elu(x).is_contiguous(memory_format=layout)


def test_what_is_not_finite_stays_so():
    x = torch.tensor([float("nan"), float("inf"), -float("inf")])
    torch.testing.assert_close(elu(x), functional.elu(x), equal_nan=True)
