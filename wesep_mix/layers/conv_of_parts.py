"""A convolution over several inputs side by side, which keeps the inputs and not their concatenation.

A dense block concatenates its features anew for every layer: kept for the way back, that is most of its memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def conv_of_parts(conv: nn.Conv2d, parts: Sequence[Tensor]) -> Tensor:
    """`conv(torch.cat(parts, 1))`: [B, C_i, L, F] each -> float [B, C, L', F'].

    conv: of one group, with a bias, padded with zeros by numbers.
    """
    if len(parts) == 1:
        return conv(parts[0])
    return _ConvOfParts.apply(conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, *parts)


class _ConvOfParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, bias: Tensor, stride, padding, dilation, *parts: Tensor) -> Tensor:
        ctx.save_for_backward(weight, bias, *parts)
        ctx.geometry = stride, padding, dilation
        return functional.conv2d(torch.cat(parts, 1), weight, bias, stride, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, bias, *parts = ctx.saved_tensors
        dtype = grad.dtype  # under autocast not the parts' nor the weights'
        whole, needed = torch.cat(parts, 1).to(dtype), any(ctx.needs_input_grad[5:])
        grad_whole, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
            grad, whole, weight.to(dtype), list(bias.shape), *ctx.geometry, False, [0, 0], 1, [needed, True, True])
        each = grad_whole.split([part.shape[1] for part in parts], 1) if needed else [None] * len(parts)
        return (grad_weight.to(weight.dtype), grad_bias.to(bias.dtype), None, None, None,
                *(one if one is None else one.to(part.dtype) for one, part in zip(each, parts, strict=True)))
