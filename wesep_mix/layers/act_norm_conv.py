"""PReLU, global layer norm and the convolution behind them as one step, which keeps its input alone for the way back.

The three stand twice in every block of a Conv-TasNet separator, on its largest tensors, where reading and writing takes
longer than the arithmetic. So the norm is a part of the 1x1 convolution: a channel's scale goes into the weights, its
shift into the bias. On the way back all sums over time that the norm's gradient needs follow from the gradient of these
weights, which is small, and not from the signals; what can be is done in place, one mixture (item) after the other.

The numbers are those of `act_norm.prelu_global_norm` and `frames_last.pointwise` or `frames_last.depthwise`, one after
the other, but for rounding. For signals on a CPU that lie frame by frame in memory (`layers.frames_last`).

B items, L frames, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wesep_mix.layers.act_norm import EPS
from wesep_mix.layers.frames_last import as_frames, as_image, check_depthwise, is_frames_last, of_rows


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
        ctx, x: Tensor, slope: Tensor, gain: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, padding: int,
        dilation: int,
    ) -> Tensor:
        rows = _empty_rows(x, dilation)
        ctx.norms, ctx.sizes = [], (padding, dilation)
        for frames, act in zip(x, rows[:, :x.shape[1]], strict=True):
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
        act = rows[0, :x.shape[1]]
        of_taps = weight[:, 0]  # [C, K]
        grads = []
        for frames, grad_out, made, norm in zip(x, grad, out, ctx.norms, strict=True):
            _prelu(frames, slope, act).sub_(norm.mean)
            grad_rows[0, :len(grad_out)] = grad_out
            of_input, products, _ = torch.ops.aten.convolution_backward(
                as_image(grad_rows, dilation), as_image(rows, dilation),
                weight.unsqueeze(3) * norm.gain[:, None, None, None], None, [1, 1], [padding // dilation, 0], [1, 1],
                False, [0, 0], len(weight), [True, True, False])
            products, total = products[:, 0, :, 0], grad_out.sum(0)  # [C, K], [C]
            sums = total[:, None] - _sums_beyond(grad_out, len(frames), weight.shape[2], padding, dilation)  # [C, K]
            back = norm.back(gain, (of_taps * products).sum(1), (of_taps * sums).sum(1), act.numel())
            grad_act = as_frames(of_input)[0, :len(frames)].add_(act, alpha=back.of_act).add_(back.constant)
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
        of_act = -self.rstd**2 * float(grad_gain @ gain) / numel
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
    rows[:, x.shape[1]:] = 0
    return rows


def _sums_beyond(grad: Tensor, length: int, kernel_size: int, padding: int, dilation: int) -> Tensor:
    """Over the frames at which a tap of the convolution does not meet its input, which has that length: [L', C] ->
    [C, K].
    """
    sums = []
    for offset in range(-padding, dilation * kernel_size - padding, dilation):
        first = max(0, -offset)
        sums.append(grad[:first].sum(0) + grad[max(first, length - offset):].sum(0))
    return torch.stack(sums, 1)


def _summed(grads: list[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    """Over the items."""
    return (torch.stack(of_items).sum(0) for of_items in zip(*grads, strict=True))
