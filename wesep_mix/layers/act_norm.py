"""PReLU followed by global layer norm as one step, which keeps its input alone for the way back.

The pair stands twice in every block of a Conv-TasNet separator, on its largest tensors. As two steps it keeps two of
them; and PyTorch's gradient of PReLU on a CPU takes nine times as long as PReLU itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from wesep_mix.layers.frames_last import is_frames_last

EPS = 1e-5


def prelu_global_norm(x: Tensor, slope: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """PReLU, then zero mean and unit variance over channels and time, then a scale and a shift of every channel.

    x: float [B, C, L]; slope [1]; weight, bias [C]. Returns [B, C, L] of the weight's type. On a CPU the frames may
    also be last in memory (`frames_last`) and then stay so.
    """
    return _PReLUGlobalNorm.apply(x, slope, weight, bias)


class _PReLUGlobalNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        layout = torch.channels_last if is_frames_last(x) else torch.contiguous_format
        image = x.unsqueeze(2).contiguous(memory_format=layout)  # [B, C, 1, L]
        act = functional.prelu(image, slope.to(x.dtype)).to(weight.dtype)
        normed, mean, rstd = torch.native_group_norm(act, weight, bias, *x.shape, 1, EPS)
        ctx.save_for_backward(image, slope, weight, mean, rstd)
        ctx.layout = layout
        return normed.squeeze(2)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        image, slope, weight, mean, rstd = ctx.saved_tensors
        num_items, num_channels, _, num_frames = image.shape
        act = functional.prelu(image, slope.to(image.dtype)).to(weight.dtype)
        grad, grad_weight, grad_bias = torch.ops.aten.native_group_norm_backward(
            grad.unsqueeze(2).contiguous(memory_format=ctx.layout), act, mean, rstd, weight, num_items, num_channels,
            num_frames, 1, [True, True, True])
        below = image.clamp(max=0).to(weight.dtype)
        grad_slope = torch.dot(_in_order(grad, ctx.layout), _in_order(below, ctx.layout)).view(1)
        if image.device.type == "cpu":
            grad_x = torch.ops.aten.leaky_relu_backward(grad, image.to(weight.dtype), float(slope), False)
        else:  # where reading the slope would wait for the device
            grad_x = torch.where(image > 0, grad, slope * grad)
        return grad_x.squeeze(2).to(image.dtype), grad_slope, grad_weight, grad_bias


def _in_order(image: Tensor, layout: torch.memory_format) -> Tensor:
    """All values in the order of memory, not copied."""
    return (image.permute(0, 2, 3, 1) if layout == torch.channels_last else image).flatten()
