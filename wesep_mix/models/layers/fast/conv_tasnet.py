"""What follows the first convolution in a block of Conv-TasNet's separator, in less time and memory.

PReLU, global layer norm and a convolution follow each other twice there, on the block's largest tensors, where reading
and writing takes longer than the arithmetic. On a CPU these three are one step here, which keeps its input alone for
the backward pass. The norm is a part of the convolution: a channel's scale goes into the weights, its shift into the
bias. In the backward pass all sums over time that the norm's gradient needs follow from the gradient of these weights,
which is small, and not from the signals; what can be is done in place, one mixture (item) after the other. The numbers
are those of the plain steps but for rounding.

Elsewhere (another norm, a GPU, half precision) the steps are the plain ones, and are computed again in the backward
pass, so that nothing between two convolutions is kept there either.

B items, L frames, C and D channels, K taps of a convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from wesep_mix.models.layers.fast.frames_last import as_frames, as_image, check_depthwise, is_frames_last, of_rows
from wesep_mix.models.layers.norms import GlobalNorm

EPS = 1e-5  # of PyTorch's group norm


def behind_widening(block: nn.Module, y: Tensor) -> tuple[Tensor, ...]:
    """The steps of a block behind `widen`: PReLU, norm, depthwise, PReLU, norm, and the convolutions that end it.

    Args:
        block: With `act_in`, `norm_in`, `depthwise`, `act_out`, `norm_out`, `narrow`, and `skip` or None in its place.
        y: What `widen` gives, float [B, hidden, L].

    Returns:
        What `narrow` gives and, where there is one, what `skip` gives: float [B, C, L] each.
    """
    last = [conv for conv in (block.narrow, block.skip) if conv is not None]
    if isinstance(block.norm_in, GlobalNorm) and applies(y, block.norm_in.weight):
        return _joined(block, last, y)

    def last_steps(y: Tensor) -> tuple[Tensor, ...]:
        y = block.norm_out(block.act_out(y))
        return tuple(conv(y) for conv in last)

    return recomputed(last_steps, recomputed(lambda y: block.depthwise(block.norm_in(block.act_in(y))), y))


def _joined(block: nn.Module, last: list[nn.Module], y: Tensor) -> tuple[Tensor, ...]:
    """The same with each norm a part of the convolution behind it."""
    length = y.shape[2]
    y = norm_depthwise(y, block.act_in.weight, *_learned(block.norm_in), block.depthwise)
    y = y if y.shape[2] == length else y[..., :length]  # a slice of all costs a copy in the backward pass
    weight, bias = (torch.cat([getattr(conv, name) for conv in last]) for name in ("weight", "bias"))
    y = norm_pointwise(y, block.act_out.weight, *_learned(block.norm_out), weight, bias)
    return (y,) if len(last) == 1 else y.chunk(len(last), 1)


def _learned(norm: GlobalNorm) -> tuple[Tensor, Tensor]:
    return norm.weight[:, 0], norm.bias[:, 0]


def recomputed(step: Callable[[Tensor], Any], x: Tensor) -> Any:
    """`step(x)` of which only the input is kept: the rest is computed a second time in the backward pass.

    The second time ends before the last operation if that is one of PyTorch's own: its output is not needed.

    Args:
        step: A function that draws nothing at random and changes nothing.
        x: Its input.

    Returns:
        Its output.
    """
    if not torch.is_grad_enabled():
        return step(x)
    return checkpoint(step, x, use_reentrant=False, preserve_rng_state=False)


def applies(x: Tensor, weight: Tensor) -> bool:
    """Whether `norm_pointwise` and `norm_depthwise` can take a signal.

    Args:
        x: Float [B, C, L].
        weight: One of the weights.

    Returns:
        True for a signal frame by frame on a CPU, of the weights' type.
    """
    return is_frames_last(x) and x.dtype == weight.dtype


def norm_pointwise(x: Tensor, slope: Tensor, gain: Tensor, shift: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """PReLU, global layer norm, 1x1 convolution.

    Args:
        x: Float [B, C, L], for which `applies` is true.
        slope: Of PReLU, [1].
        gain: What the norm has learned to multiply with, [C].
        shift: What it has learned to add, [C].
        weight: Of the convolution, [D, C, 1].
        bias: Of the convolution, [D].

    Returns:
        Float [B, D, L].
    """
    return _Pointwise.apply(x.transpose(1, 2), slope, gain, shift, weight[..., 0], bias).transpose(1, 2)


def norm_depthwise(x: Tensor, slope: Tensor, gain: Tensor, shift: Tensor, conv: nn.Conv1d) -> Tensor:
    """PReLU, global layer norm, convolution of every channel by itself.

    Args:
        x: Float [B, C, L], for which `applies` is true.
        slope: Of PReLU, [1].
        gain: What the norm has learned to multiply with, [C].
        shift: What it has learned to add, [C].
        conv: The convolution.

    Returns:
        Float [B, C, L'].

    Raises:
        ValueError: For a convolution that `frames_last.depthwise` refuses.
    """
    check_depthwise(conv)
    sizes = (*conv.padding, *conv.dilation)
    return _Depthwise.apply(x.transpose(1, 2), slope, gain, shift, conv.weight, conv.bias, sizes).transpose(1, 2)


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
            of_norm = norm.backward(gain, (weight * products).sum(0), sums @ weight, act.numel())
            grad_act = act.addmm_(grad_out, weight * norm.gain, beta=of_norm.of_act).add_(of_norm.constant)
            grad_slope = _prelu_backward(grad_act, frames, slope, made)
            grad_weight = products * norm.gain + torch.outer(sums, shift)
            grads.append((grad_slope, of_norm.gain, of_norm.shift, grad_weight, sums))
        return out, *_summed(grads)


class _Depthwise(torch.autograd.Function):
    """float [B, L, C], [1], [C], [C], [C, 1, K], [C], (padding, dilation) -> float [B, L', C]."""

    @staticmethod
    def forward(
        ctx,
        x: Tensor,
        slope: Tensor,
        gain: Tensor,
        shift: Tensor,
        weight: Tensor,
        bias: Tensor,
        sizes: tuple[int, int],
    ) -> Tensor:
        padding, dilation = sizes
        rows = _empty_rows(x, dilation)
        ctx.norms, ctx.sizes = [], sizes
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
            of_norm = norm.backward(gain, (of_taps * products).sum(1), (of_taps * sums).sum(1), act.numel())
            grad_act = as_frames(of_input)[0, : len(frames)].add_(act, alpha=of_norm.of_act).add_(of_norm.constant)
            grad_slope = _prelu_backward(grad_act, frames, slope, made)
            grad_weight = products * norm.gain[:, None] + sums * shift[:, None]
            grads.append((grad_slope, of_norm.gain, of_norm.shift, grad_weight[:, None], total))
        return out, *_summed(grads), None


@dataclass(frozen=True)
class _NormGradient:
    """The norm's gradients of one item.

    gain, shift: of what is learned, [C]. The gradient of the centred PReLU outputs is that of the norm's output,
    scaled, plus `of_act` times these outputs themselves, plus `constant`.
    """

    gain: Tensor
    shift: Tensor
    of_act: float
    constant: float


@dataclass(frozen=True)
class _Norm:
    """The norm of one item: a mean that is taken from all PReLU outputs, then a gain of every channel, [C].

    The mean is taken out before the squares are summed: the mean of squares less the squared mean would lose digits
    where the mean is large, more or fewer of them with the order in which a release of PyTorch sums.
    """

    mean: float
    rstd: float  # one over the standard deviation
    gain: Tensor

    @classmethod
    def centring(cls, act: Tensor, gain: Tensor) -> _Norm:
        """The norm of PReLU outputs `act`, [L, C], whose mean is taken out in place; `gain`: what is learned, [C]."""
        mean = float(act.sum(1).sum(dtype=torch.double)) / act.numel()
        variance = float(torch.linalg.vector_norm(act.sub_(mean), dim=1).square().sum()) / act.numel()
        rstd = (variance + EPS) ** -0.5
        return cls(mean, rstd, gain * rstd)

    def backward(self, gain: Tensor, products: Tensor, sums: Tensor, numel: int) -> _NormGradient:
        """The norm's gradients from two sums over time, [C].

        gain: what is learned, [C]; products: sums of the gradient of the norm's output times the centred PReLU outputs;
        sums: of that gradient alone; numel: how many PReLU outputs there are.
        """
        grad_gain = products * self.rstd
        of_act = -(self.rstd**2) * float(grad_gain @ gain) / numel
        return _NormGradient(grad_gain, sums, of_act, -self.rstd * float(sums @ gain) / numel)


def _prelu(x: Tensor, slope: Tensor, out: Tensor) -> Tensor:
    return torch.ops.aten.leaky_relu.out(x, float(slope), out=out)


def _prelu_backward(grad: Tensor, x: Tensor, slope: Tensor, out: Tensor) -> Tensor:
    """The gradient of x, [L, C], into `out`; that of the slope, [1], is returned."""
    grad_slope = torch.dot(grad.flatten(), torch.clamp(x, max=0, out=out).flatten()).view(1)
    torch.ops.aten.leaky_relu_backward.grad_input(grad, x, float(slope), False, grad_input=out)
    return grad_slope


def _empty_rows(x: Tensor, dilation: int) -> Tensor:
    """Room for x, [B, L, C], in whole rows: [B, R * dilation, C], not yet filled but for zeros behind frame L."""
    rows = x.new_empty(x.shape[0], x.shape[1] + -x.shape[1] % dilation, x.shape[2])
    rows[:, x.shape[1] :] = 0
    return rows


def _sums_beyond(grad: Tensor, length: int, kernel_size: int, padding: int, dilation: int) -> Tensor:
    """Sums of an output's gradient, [L', C], over the frames at which a tap meets no input: [C, K].

    length: of the input, in frames.
    """
    sums = []
    for offset in range(-padding, dilation * kernel_size - padding, dilation):
        first = max(0, -offset)
        sums.append(grad[:first].sum(0) + grad[max(first, length - offset) :].sum(0))
    return torch.stack(sums, 1)


def _summed(grads: list[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    """Each gradient's sum over the items."""
    return (torch.stack(of_items).sum(0) for of_items in zip(*grads, strict=True))
