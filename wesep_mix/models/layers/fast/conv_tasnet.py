"""Steps of which the way back keeps the input alone: what lies between is computed again there.

PReLU followed by global layer norm as one step, which keeps its input alone for the way back.

The pair stands twice in every block of a Conv-TasNet separator, on its largest tensors. As two steps it keeps two of
them; and PyTorch's gradient of PReLU on a CPU takes several times as long as PReLU itself.

PReLU, global layer norm and the convolution behind them as one step, which keeps its input alone for the way back.

The three stand twice in every block of a Conv-TasNet separator, on its largest tensors, where reading and writing takes
longer than the arithmetic. So the norm is a part of the 1x1 convolution: a channel's scale goes into the weights, its
shift into the bias. On the way back all sums over time that the norm's gradient needs follow from the gradient of these
weights, which is small, and not from the signals; what can be is done in place, one mixture (item) after the other.

The numbers are those of `act_norm.prelu_global_norm` and `frames_last.pointwise` or `frames_last.depthwise`, one after
the other, but for rounding. For signals on a CPU that lie frame by frame in memory (`models.layers.fast.frames_last`).

B items, L frames, C channels.

A linear map of frames with something beside each that is the same for all of them, without writing it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from wesep_mix.models.layers.fast.frames_last import (
    as_frames,
    as_image,
    check_depthwise,
    frames_last,
    is_frames_last,
    of_rows,
)


def recomputed(step: Callable[[Tensor], Any], x: Tensor) -> Any:
    """`step(x)`, computed a second time for the gradient, so it must draw nothing and change nothing.

    The second time ends before the last operation if that is one of PyTorch's own: its output is not needed.
    """
    if not torch.is_grad_enabled():
        return step(x)
    return checkpoint(step, x, use_reentrant=False, preserve_rng_state=False)


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
                grad_act, x.to(weight.dtype), float(slope), False, grad_input=grad_act
            )
        else:  # where reading the slope would wait for the device
            grad_x = torch.where(x > 0, grad_act, slope * grad_act)
        return grad_x.to(x.dtype), grad_slope, grad_weight.sum(0), grad_bias.sum(0)


def _in_order(x: Tensor) -> Tensor:
    """All values in the order of memory, not copied."""
    return (x.transpose(1, 2) if is_frames_last(x) else x).flatten()


def applies(x: Tensor, weight: Tensor) -> bool:
    """Whether the steps here can take x, [B, C, L]: frame by frame on a CPU, of the weights' type."""
    return is_frames_last(x) and x.dtype == weight.dtype


def norm_pointwise(x: Tensor, slope: Tensor, gain: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """PReLU, norm, 1x1 convolution: float [B, C, L], [1], [C], [C], [D, C, 1], [D] -> float [B, D, L]."""
    return _Pointwise.apply(x.transpose(1, 2), slope, gain, shift, weight[..., 0], bias).transpose(1, 2)


def norm_depthwise(x: Tensor, slope: Tensor, gain: Tensor, shift: Tensor, conv: nn.Conv1d) -> Tensor:
    """PReLU, norm, convolution of each channel by itself: float [B, C, L], [1], [C], [C] -> float [B, C, L'].

    Raises: ValueError for a convolution that `frames_last.depthwise` refuses.
    """
    check_depthwise(conv)
    sizes = (*conv.padding, *conv.dilation)
    return _Depthwise.apply(x.transpose(1, 2), slope, gain, shift, conv.weight, conv.bias, *sizes).transpose(1, 2)


class _Pointwise(torch.autograd.Function):
    """float [B, L, C], [1], [C], [C], [D, C], [D] -> float [B, L, D]."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor, gain: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out, act = x.new_empty(*x.shape[:2], len(weight)), torch.empty_like(x[0])
        ctx.norms = []
        for frames, made in zip(x, out, strict=True):
            norm = _Norm.centring(_prelu(frames, slope, act), gain)
            torch.mm(act, (weight * norm.gain).T, out=made).add_(bias + weight @ shift)
            ctx.norms.append(norm)
        ctx.save_for_backward(x, slope, gain, shift, weight)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor, ...]:
        x, slope, gain, shift, weight = ctx.saved_tensors
        out, act = torch.empty_like(x), torch.empty_like(x[0])
        grads = []
        for frames, grad_out, made, norm in zip(x, grad.contiguous(), out, ctx.norms, strict=True):
            _prelu(frames, slope, act).sub_(norm.mean)
            products, sums = grad_out.T @ act, grad_out.sum(0)  # [D, C], [D]
            back = norm.back(gain, (weight * products).sum(0), sums @ weight, act.numel())
            grad_act = act.addmm_(grad_out, weight * norm.gain, beta=back.of_act).add_(back.constant)
            grad_slope = _back_through_prelu(grad_act, frames, slope, made)
            grad_weight = products * norm.gain + torch.outer(sums, shift)
            grads.append((grad_slope, back.gain, back.shift, grad_weight, sums))
        return out, *_summed(grads)


class _Depthwise(torch.autograd.Function):
    """float [B, L, C], [1], [C], [C], [C, 1, K], [C], padding, dilation -> float [B, L', C]."""

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        slope: Tensor,
        gain: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        padding: int,
        dilation: int,
    ) -> Tensor:
        rows = _empty_rows(x, dilation)
        ctx.norms, ctx.sizes = [], (padding, dilation)
        for frames, act in zip(x, rows[:, : x.shape[1]], strict=True):
            norm = _Norm.centring(_prelu(frames, slope, act), gain)
            torch.addcmul(shift, act, norm.gain, out=act)  # its zeros beyond both ends keep it out of the weights
            ctx.norms.append(norm)
        ctx.save_for_backward(x, slope, gain, shift, weight)
        return of_rows(rows, x.shape[1], weight, bias, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, slope, gain, shift, weight = ctx.saved_tensors
        padding, dilation = ctx.sizes
        out, rows, grad_rows = torch.empty_like(x), _empty_rows(x[:1], dilation), _empty_rows(grad[:1], dilation)
        act = rows[0, : x.shape[1]]
        of_taps = weight[:, 0]  # [C, K]
        grads = []
        for frames, grad_out, made, norm in zip(x, grad, out, ctx.norms, strict=True):
            _prelu(frames, slope, act).sub_(norm.mean)
            grad_rows[0, : len(grad_out)] = grad_out
            of_input, products, _ = torch.ops.aten.convolution_backward(
                as_image(grad_rows, dilation),
                as_image(rows, dilation),
                weight.unsqueeze(3) * norm.gain[:, None, None, None],
                None,
                [1, 1],
                [padding // dilation, 0],
                [1, 1],
                False,
                [0, 0],
                len(weight),
                [True, True, False],
            )
            products, total = products[:, 0, :, 0], grad_out.sum(0)  # [C, K], [C]
            sums = total[:, None] - _sums_beyond(grad_out, len(frames), weight.shape[2], padding, dilation)  # [C, K]
            back = norm.back(gain, (of_taps * products).sum(1), (of_taps * sums).sum(1), act.numel())
            grad_act = as_frames(of_input)[0, : len(frames)].add_(act, alpha=back.of_act).add_(back.constant)
            grad_slope = _back_through_prelu(grad_act, frames, slope, made)
            grad_weight = products * norm.gain[:, None] + sums * shift[:, None]
            grads.append((grad_slope, back.gain, back.shift, grad_weight[:, None], total))
        return out, *_summed(grads), None, None


@dataclass(frozen=True)
class _Back:
    """The norm's gradients: of its learned gain and shift, [C]; and what an item's centred PReLU outputs have beside
    the scaled gradient of the norm's output, a multiple of themselves and a constant.
    """

    gain: Tensor
    shift: Tensor
    of_act: float
    constant: float


@dataclass(frozen=True)
class _Norm:
    """The norm of one item: what is taken from all PReLU outputs, then a gain of every channel, [C].

    The mean is taken out before the squares are summed: the mean of squares less the squared mean would lose digits
    where the mean is large, more or fewer of them with the order in which a release of PyTorch sums.
    """

    mean: float
    rstd: float  # one over the standard deviation
    gain: Tensor

    @classmethod
    def centring(cls, act: Tensor, gain: Tensor) -> _Norm:
        """act: [L, C], whose mean is taken out in place; gain: what is learned, [C]."""
        mean = float(act.sum(1).sum(dtype=torch.double)) / act.numel()
        variance = float(torch.linalg.vector_norm(act.sub_(mean), dim=1).square().sum()) / act.numel()
        rstd = (variance + EPS) ** -0.5
        return cls(mean, rstd, gain * rstd)

    def back(self, gain: Tensor, products: Tensor, sums: Tensor, numel: int) -> _Back:
        """gain: what is learned; products, sums: over time, of the gradient of the norm's output times the centred
        PReLU outputs and of that gradient alone, [C].
        """
        grad_gain = products * self.rstd
        of_act = -(self.rstd**2) * float(grad_gain @ gain) / numel
        return _Back(grad_gain, sums, of_act, -self.rstd * float(sums @ gain) / numel)


def _prelu(x: Tensor, slope: Tensor, out: Tensor) -> Tensor:
    return torch.ops.aten.leaky_relu.out(x, float(slope), out=out)


def _back_through_prelu(grad: Tensor, x: Tensor, slope: Tensor, out: Tensor) -> Tensor:
    """The gradient of x, [L, C], into `out`; that of the slope, [1], is returned."""
    grad_slope = torch.dot(grad.flatten(), torch.clamp(x, max=0, out=out).flatten()).view(1)
    torch.ops.aten.leaky_relu_backward.grad_input(grad, x, float(slope), False, grad_input=out)
    return grad_slope


def _empty_rows(x: Tensor, dilation: int) -> Tensor:
    """[B, L, C] -> [B, R * dilation, C], of which the first L frames may hold anything and the others are zeros."""
    rows = x.new_empty(x.shape[0], x.shape[1] + -x.shape[1] % dilation, x.shape[2])
    rows[:, x.shape[1] :] = 0
    return rows


def _sums_beyond(grad: Tensor, length: int, kernel_size: int, padding: int, dilation: int) -> Tensor:
    """Over the frames at which a tap of the convolution does not meet its input, which has that length: [L', C] ->
    [C, K].
    """
    sums = []
    for offset in range(-padding, dilation * kernel_size - padding, dilation):
        first = max(0, -offset)
        sums.append(grad[:first].sum(0) + grad[max(first, length - offset) :].sum(0))
    return torch.stack(sums, 1)


def _summed(grads: list[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    """Over the items."""
    return (torch.stack(of_items).sum(0) for of_items in zip(*grads, strict=True))


def side_by_side(
    x: Tensor,
    beside: Tensor,
    weight: Tensor,
    bias: Tensor,
    dim: int = -1,
    product: Callable[..., Tensor] = functional.linear,
) -> Tensor:
    """W [x; beside] + b as W_x x + (W_b beside + b), of which the second part is computed once.

    x: C channels at `dim`; beside: E channels there, and 1 where x has frames; weight: [O, C + E], or what `product`
    takes beside a signal. Returns: x's shape with O channels.
    """
    for_x, for_beside = weight.split([x.shape[dim], beside.shape[dim]], dim=1)
    return product(x, for_x) + product(beside, for_beside, bias)
