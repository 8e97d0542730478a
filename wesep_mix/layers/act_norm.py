"""PReLU followed by global layer norm as one step, which keeps its input alone for the way back.

The pair stands twice in every block of a Conv-TasNet separator, on its largest tensors. As two steps it keeps two of
them; and PyTorch's gradient of PReLU on a CPU takes nine times as long as PReLU itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

EPS = 1e-5


def prelu_global_norm(x: Tensor, slope: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """PReLU, then zero mean and unit variance over channels and time, then a scale and a shift of every channel.

    x: float [B, C, L]; slope [1]; weight, bias [C]. Returns [B, C, L] of the weight's type.
    """
    return _PReLUGlobalNorm.apply(x, slope, weight, bias)


class _PReLUGlobalNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = x.contiguous()
        act = functional.prelu(x, slope.to(x.dtype)).to(weight.dtype)
        normed, mean, rstd = torch.native_group_norm(act, weight, bias, *x.shape, 1, EPS)
        ctx.save_for_backward(x, slope, weight, mean, rstd)
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, slope, weight, mean, rstd = ctx.saved_tensors
        act = functional.prelu(x, slope.to(x.dtype)).to(weight.dtype)
        grad, grad_weight, grad_bias = torch.ops.aten.native_group_norm_backward(
            grad.contiguous(), act, mean, rstd, weight, *x.shape, 1, [True, True, True])
        below = x.clamp(max=0).to(weight.dtype)
        grad_slope = torch.dot(grad.flatten(), below.flatten()).view(1)
        if x.device.type == "cpu":
            grad_x = torch.ops.aten.leaky_relu_backward(grad, x.to(weight.dtype), float(slope), False)
        else:  # where reading the slope would wait for the device
            grad_x = torch.where(x > 0, grad, slope * grad)
        return grad_x.to(x.dtype), grad_slope, grad_weight, grad_bias
