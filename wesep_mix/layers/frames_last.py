"""Convolutions over time on signals [B, C, L] that lie frame by frame in memory, as [B, L, C] does.

On a CPU that is the quick layout: a 1x1 convolution is one product of matrices, and one of every channel by itself
takes a quarter of the time. A GPU's signals are left as they are. The functions take any layout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def frames_last(x: Tensor) -> Tensor:
    """float [B, C, L] -> the same, frame by frame in memory where that pays."""
    return x.transpose(1, 2).contiguous().transpose(1, 2) if x.device.type == "cpu" else x


def is_frames_last(x: Tensor) -> bool:
    """Whether [B, C, L] lies frame by frame, on a device where that pays."""
    return x.device.type == "cpu" and x.transpose(1, 2).is_contiguous()


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1x1 convolution: float [B, C, L], [D, C, 1], [D] -> float [B, D, L]."""
    if is_frames_last(x):
        return functional.linear(x.transpose(1, 2), weight[..., 0], bias).transpose(1, 2)
    return functional.conv1d(x, weight, bias)


def depthwise(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """The convolution `conv`, which has a group for every channel and a bias: float [B, C, L] -> float [B, C, L']."""
    if not is_frames_last(x):
        return conv(x)
    if conv.dilation[0] == 1:
        return _convolved(x, conv.weight, conv.bias, conv.padding[0], 1)
    return _Depthwise.apply(x, conv.weight, conv.bias, conv.padding[0], conv.dilation[0])


class _Depthwise(torch.autograd.Function):
    """Frames last, for a dilation above 1, where PyTorch's own gradients take twenty times as long."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, padding: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.dilation = padding, dilation
        return _convolved(x, weight, bias, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad, reach = frames_last(grad), ctx.dilation * (weight.shape[2] - 1)
        flipped = weight.flip(2).to(grad.dtype)
        grad_x = _convolved(grad, flipped, None, reach - ctx.padding, ctx.dilation).to(x.dtype)
        taps = [_product(grad, x, tap * ctx.dilation - ctx.padding) for tap in range(weight.shape[2])]
        return grad_x, torch.stack(taps, 1).unsqueeze(1).to(weight.dtype), grad.sum((0, 2)).to(weight.dtype), None, None


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, dilation: int) -> Tensor:
    image = x.transpose(1, 2).unsqueeze(2).permute(0, 3, 1, 2)  # [B, C, L, 1], the channels last for PyTorch
    return functional.conv2d(image, weight.unsqueeze(3), bias, padding=(padding, 0), dilation=(dilation, 1),
                             groups=x.shape[1]).squeeze(3)


def _product(grad: Tensor, x: Tensor, shift: int) -> Tensor:
    """Sum over l of grad[..., l] * x[..., l + shift], [B, C, L'] and [B, C, L], over all items: [C]."""
    first, last = max(0, -shift), min(grad.shape[2], x.shape[2] - shift)
    if first >= last:
        return grad.new_zeros(x.shape[1])
    return (grad[..., first:last] * x[..., first + shift : last + shift]).sum((0, 2))
