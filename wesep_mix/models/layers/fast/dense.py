"""Convolution, ELU and instance norm of dense blocks in less time and memory, and ELU between layouts.

A dense block concatenates its features anew for every layer: kept for the backward pass, that is most of its memory. So
`conv_of_parts` keeps the parts alone. ELU and norm are one step that keeps its output alone, which the next layer keeps
as well, so the step costs no memory of its own. It is for images with the channels last in memory: there PyTorch's
gradient of the norm takes several times as long, and its variance is less exact.

`elu_frames_last` gives signals frame by frame in memory, and takes their gradient so: that of PyTorch's ELU, applied
before the turn, meets it in the other layout, where it takes twenty times as long.

B batch, C channels, L frames, F bins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from wesep_mix.models.layers.fast.frames_last import frames_last
from wesep_mix.models.layers.norms import instance_norm


def applies(parts: Sequence[Tensor]) -> bool:
    """Whether `conv_elu_norm` pays: on a CPU, and elsewhere where it keeps parts instead of their concatenation."""
    return parts[0].device.type == "cpu" or len(parts) > 1


def conv_elu_norm(conv: nn.Conv2d | nn.ConvTranspose2d, parts: Sequence[Tensor]) -> Tensor:
    """Convolution, ELU, instance norm.

    Args:
        conv: As `conv_of_parts` takes it.
        parts: Its input's channels, float [B, C_i, L, F] each.

    Returns:
        Float [B, C, L', F'].
    """
    return elu_instance_norm(conv_of_parts(conv, parts))


def elu_frames_last(x: Tensor) -> Tensor:
    """ELU of a signal: float [B, C, L] -> the same shape, frame by frame in memory."""
    return _ELUFramesLast.apply(x)


class _ELUFramesLast(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        y = frames_last(functional.elu(x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.elu_backward(grad, 1.0, 1.0, 1.0, True, y)  # True: y is ELU's output


EPS = 1e-5
PLACES = (2, 3)


def elu_instance_norm(x: Tensor) -> Tensor:
    """ELU, then zero mean and unit variance of every channel of every item.

    Args:
        x: Float [B, C, L, F]. On a GPU, where PyTorch's own two steps are taken, it is changed.

    Returns:
        x's shape, float32; float64 stays float64.
    """
    if x.device.type == "cpu":
        return _ELUInstanceNorm.apply(x)
    return instance_norm(functional.elu(x, inplace=True))


class _ELUInstanceNorm(torch.autograd.Function):
    """Item by item and in place where that goes: a cache then holds what the next operation reads."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        normed = torch.empty_like(x, dtype=torch.promote_types(x.dtype, torch.float32))
        ctx.norms = []
        for image, made in zip(x.to(normed.dtype).split(1), normed.split(1), strict=True):
            mean = torch.ops.aten.elu.out(image, out=made).mean(PLACES, keepdim=True)
            made -= mean
            rstd = (made.square().mean(PLACES, keepdim=True) + EPS).rsqrt()
            made *= rstd
            ctx.norms.append((mean, rstd))
        ctx.save_for_backward(normed)
        ctx.dtype = x.dtype
        return normed

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> Tensor:
        (normed,) = ctx.saved_tensors
        grad_x = grad.to(normed.dtype, memory_format=torch.channels_last, copy=True)
        for image, made, (mean, rstd) in zip(normed.split(1), grad_x.split(1), ctx.norms, strict=True):
            along, constant = (made * image).mean(PLACES, keepdim=True), made.mean(PLACES, keepdim=True)
            made.addcmul_(image, along, value=-1).sub_(constant)
            slope = image.clone().add_((mean + 1) * rstd)  # of ELU, times rstd: where it gave y < 0, y + 1
            made.mul_(torch.minimum(slope, rstd, out=slope))
        return grad_x.to(ctx.dtype)


def conv_of_parts(conv: nn.Conv2d | nn.ConvTranspose2d, parts: Sequence[Tensor]) -> Tensor:
    """`conv(torch.cat(parts, 1))`, of which the concatenation is not kept (but by a convolution transposed).

    Args:
        conv: Of one group, with a bias, padded with zeros by numbers.
        parts: Float [B, C_i, L, F] each.

    Returns:
        Float [B, C, L', F'].
    """
    if len(parts) == 1 or isinstance(conv, nn.ConvTranspose2d):
        return conv(torch.cat(parts, 1) if len(parts) > 1 else parts[0])
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
            grad, whole, weight.to(dtype), list(bias.shape), *ctx.geometry, False, [0, 0], 1, [needed, True, True]
        )
        each = grad_whole.split([part.shape[1] for part in parts], 1) if needed else [None] * len(parts)
        return (
            grad_weight.to(weight.dtype),
            grad_bias.to(bias.dtype),
            None,
            None,
            None,
            *(one if one is None else one.to(part.dtype) for one, part in zip(each, parts, strict=True)),
        )
