"""Linear maps of frames: signals [B, C, L] that lie frame by frame in memory, as [B, L, C] does.

On a CPU that is the quick layout: a 1x1 convolution is one product of matrices, and a convolution of every channel by
itself takes a quarter of the time. A GPU's signals are left as they are. All functions take any layout.

B batch, L frames, C and D channels, K taps of a convolution.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Pointwise(nn.Conv1d):
    """1x1 convolution."""

    def __init__(self, num_in: int, num_out: int):
        super().__init__(num_in, num_out, 1)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        """Float [B, C, L] -> float [B, D, L].

        beside: float [B, E], values that stand beside the channels of every frame; `num_in` is then C + E.
        """
        if beside is None:
            return pointwise(x, self.weight, self.bias)
        return side_by_side(x, beside.unsqueeze(2), self.weight, self.bias, 1, pointwise)


class Depthwise(nn.Conv1d):
    """Convolution of every channel by itself, over `kernel_size` frames that are `dilation` apart.

    These stand around the frame that comes out, or with `causal` end with it.
    """

    def __init__(self, num_channels: int, kernel_size: int, dilation: int = 1, causal: bool = False):
        reach = dilation * (kernel_size - 1)
        padding = reach if causal else reach // 2
        super().__init__(
            num_channels, num_channels, kernel_size, padding=padding, dilation=dilation, groups=num_channels
        )

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, L] -> float [B, C, L], frame by frame in memory."""
        y = depthwise(self, x)
        return frames_last(y[..., : x.shape[2]])  # causal: what stands behind the end is cut off


def frames_last(x: Tensor) -> Tensor:
    """Float [B, C, L] -> the same, frame by frame in memory where that pays."""
    if x.device.type != "cpu":
        return x
    frames = x.transpose(1, 2).contiguous()
    # once more, for the stride of a single item, which `contiguous` leaves as it is and convolutions ask for
    return frames.flatten(0, 1).unflatten(0, frames.shape[:2]).transpose(1, 2)


def is_frames_last(x: Tensor) -> bool:
    """Whether [B, C, L] lies frame by frame, on a device where that pays."""
    return x.device.type == "cpu" and x.transpose(1, 2).is_contiguous()


def side_by_side(
    x: Tensor,
    beside: Tensor,
    weight: Tensor,
    bias: Tensor,
    dim: int = -1,
    product: Callable[..., Tensor] = functional.linear,
) -> Tensor:
    """A linear map of frames with something beside each that is the same for all, without writing it there.

    W [x; beside] + b is computed as W_x x + (W_b beside + b), the second part once.

    Args:
        x: Float, C channels at `dim`.
        beside: Float, E channels there, and a length of 1 where x has frames.
        weight: Float [D, C + E], or with the further axes that `product` takes.
        bias: Float [D].
        dim: The axis of the channels.
        product: The linear map, called with a signal, a weight and, the second time, the bias.

    Returns:
        x's shape with D channels.
    """
    for_x, for_beside = weight.split([x.shape[dim], beside.shape[dim]], dim=1)
    return product(x, for_x) + product(beside, for_beside, bias)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1x1 convolution.

    Args:
        x: Float [B, C, L].
        weight: Float [D, C, 1].
        bias: Float [D], or None.

    Returns:
        Float [B, D, L], in the layout of x.
    """
    if not is_frames_last(x):
        return functional.conv1d(x, weight, bias)
    out = x.transpose(1, 2) @ weight[..., 0].T  # [B, L, D]
    return (out if bias is None else out.add_(bias)).transpose(1, 2)  # in one step PyTorch writes the bias out first


def depthwise(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """Convolution of every channel by itself.

    Args:
        conv: A group for every channel, with a bias and stride 1, padded with zeros by whole dilations.
        x: Float [B, C, L].

    Returns:
        Float [B, C, L'], in the layout of x.

    Raises:
        ValueError: For another convolution.
    """
    check_depthwise(conv)
    if not is_frames_last(x):
        return functional.conv1d(
            x, conv.weight, conv.bias, padding=conv.padding, dilation=conv.dilation, groups=conv.groups
        )
    rows = whole_rows(x.transpose(1, 2), *conv.dilation)
    return frames_last(of_rows(rows, x.shape[2], conv.weight, conv.bias, *conv.padding, *conv.dilation).transpose(1, 2))


def check_depthwise(conv: nn.Conv1d) -> None:
    """Raises: ValueError for a convolution that `depthwise` does not take."""
    if (
        conv.groups != conv.in_channels
        or conv.bias is None
        or conv.stride != (1,)
        or conv.padding_mode != "zeros"
        or conv.padding[0] % conv.dilation[0]
    ):
        raise ValueError(
            "wanted a depthwise convolution of stride 1 with a bias, padded with zeros by whole "
            f"dilations, found {conv}"
        )


def whole_rows(frames: Tensor, dilation: int) -> Tensor:
    """Fill up with zeros to a multiple of the dilation.

    Args:
        frames: Float [B, L, C].
        dilation: Frames in a row.

    Returns:
        Float [B, R * dilation, C], R rows.
    """
    missing = -frames.shape[1] % dilation
    rest = frames.new_zeros(frames.shape[0], missing, frames.shape[2])
    return torch.cat([frames, rest], 1) if missing else frames


def of_rows(rows: Tensor, length: int, weight: Tensor, bias: Tensor, padding: int, dilation: int) -> Tensor:
    """Depthwise convolution of the first `length` frames of whole rows.

    Args:
        rows: Float [B, R * dilation, C], zeros behind the first `length` frames.
        length: L.
        weight: Float [C, 1, K].
        bias: Float [C].
        padding: Zeros in front of the frames and behind them, whole dilations.
        dilation: Frames from tap to tap.

    Returns:
        Float [B, L', C].
    """
    out = functional.conv2d(
        as_image(rows, dilation), weight.unsqueeze(3), bias, padding=(padding // dilation, 0), groups=len(weight)
    )
    return as_frames(out)[:, : length + 2 * padding - dilation * (weight.shape[2] - 1)]


def as_image(rows: Tensor, dilation: int) -> Tensor:
    """Frames a dilation apart below each other, so that a convolution over them has no dilation.

    PyTorch's gradients of a dilated convolution take many times as long.

    Args:
        rows: Float [B, R * dilation, C].
        dilation: Frames in a row.

    Returns:
        Float [B, C, R, dilation], channels last in memory.
    """
    return rows.unflatten(1, (-1, dilation)).permute(0, 3, 1, 2)


def as_frames(image: Tensor) -> Tensor:
    """[B, C, R, dilation] -> [B, R * dilation, C]."""
    return image.permute(0, 2, 3, 1).flatten(1, 2)
