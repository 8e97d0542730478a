"""PReLU followed by global layer norm as one step, which keeps its input alone for the way back.

The pair stands twice in every block of a Conv-TasNet separator, on its largest tensors. As two steps it keeps two of
them; and PyTorch's gradient of PReLU on a CPU takes several times as long as PReLU itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from wesep_mix.layers.frames_last import frames_last, is_frames_last

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
        x = x if is_frames_last(x) else x.contiguous()
        act = functional.prelu(x, slope.to(x.dtype)).to(weight.dtype)
        normed, mean, rstd = torch.native_group_norm(act.unsqueeze(2), weight, bias, *x.shape, 1, EPS)
        ctx.save_for_backward(x, slope, weight, mean, rstd)
        return normed.squeeze(2)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, slope, weight, mean, rstd = ctx.saved_tensors  # [B, C, L], [1], [C], [B, 1], [B, 1]
        grad = frames_last(grad) if is_frames_last(x) else grad.contiguous()
        act = functional.prelu(x, slope.to(x.dtype)).to(weight.dtype)
        grad_bias = grad.sum(2)  # of every item, [B, C]
        grad_weight = ((grad * act).sum(2) - mean * grad_bias) * rstd
        # the gradient of act is a multiple of grad in each channel, plus one of act itself, plus a constant
        of_act = -rstd.square() * (grad_weight @ weight)[:, None] / x[0].numel()  # [B, 1]
        constant = -rstd * (grad_bias @ weight)[:, None] / x[0].numel() - mean * of_act
        grad_act = torch.addcmul(constant[..., None], act, of_act[..., None], out=act)
        grad_act.addcmul_(grad, (rstd * weight)[..., None])
        below = x.clamp(max=0).to(weight.dtype)
        grad_slope = torch.dot(_in_order(grad_act), _in_order(below)).view(1)
        if x.device.type == "cpu":
            grad_x = torch.ops.aten.leaky_relu_backward(
                grad_act, x.to(weight.dtype), float(slope), False, grad_input=grad_act)
        else:  # where reading the slope would wait for the device
            grad_x = torch.where(x > 0, grad_act, slope * grad_act)
        return grad_x.to(x.dtype), grad_slope, grad_weight.sum(0), grad_bias.sum(0)


def _in_order(x: Tensor) -> Tensor:
    """All values in the order of memory, not copied."""
    return (x.transpose(1, 2) if is_frames_last(x) else x).flatten()
