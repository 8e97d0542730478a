"""ELU followed by instance norm as one step, which keeps its output alone for the way back.

What follows keeps that output as well, so the step costs no memory of its own. For images with the channels last in
memory; PyTorch's gradient of the norm takes several times as long there, and its variance is less exact.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from wesep_mix.layers.elu import elu

EPS = 1e-5
PLACES = (2, 3)


def elu_instance_norm(x: Tensor) -> Tensor:
    """ELU, then zero mean and unit variance of every channel of every item: float [B, C, L, F] -> float32, the same.

    Float64 stays float64. On a GPU, where PyTorch's own two steps are taken, x itself is changed; on a CPU it is not.
    """
    if x.device.type == "cpu":
        return _ELUInstanceNorm.apply(x)
    return instance_norm(functional.elu(x, inplace=True))


def instance_norm(x: Tensor) -> Tensor:
    """Zero mean and unit variance of every channel of every item: float [B, C, ...] -> the same shape.

    Group norm with a channel a group is the same function, and quicker than PyTorch's instance norm on a CPU.
    """
    return functional.group_norm(x, x.shape[1])


class _ELUInstanceNorm(torch.autograd.Function):
    """Item by item and in place where that goes: a cache then holds what the next operation reads."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        normed = torch.empty_like(x, dtype=torch.promote_types(x.dtype, torch.float32))
        ctx.norms = []
        for image, made in zip(x.to(normed.dtype).split(1), normed.split(1), strict=True):
            mean = elu(image, out=made).mean(PLACES, keepdim=True)
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
