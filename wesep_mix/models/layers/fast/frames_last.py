"""Convolutions over time on signals [B, C, L] that lie frame by frame in memory, as [B, L, C] does.

On a CPU that is the quick layout: a 1x1 convolution is one product of matrices, and one of every channel by itself
takes a quarter of the time. A GPU's signals are left as they are. The functions take any layout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """1x1 convolution: float [B, C, L], [D, C, 1], [D] -> float [B, D, L]."""
    if not is_frames_last(x):
        return functional.conv1d(x, weight, bias)
    out = x.transpose(1, 2) @ weight[..., 0].T
    return (out if bias is None else out.add_(bias)).transpose(1, 2)  # in one step PyTorch writes the bias out first


def depthwise(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """The convolution `conv`: float [B, C, L] -> float [B, C, L'].

    It has a group for every channel, a bias and stride 1, and is padded with zeros, by whole dilations. Raises:
    ValueError for another.
    """
    check_depthwise(conv)
    if not is_frames_last(x):
        return conv(x)
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
    """Fill up with zeros to a multiple of the dilation: float [B, L, C] -> float [B, R * dilation, C]."""
    missing = -frames.shape[1] % dilation
    rest = frames.new_zeros(frames.shape[0], missing, frames.shape[2])
    return torch.cat([frames, rest], 1) if missing else frames


def of_rows(rows: Tensor, length: int, weight: Tensor, bias: Tensor, padding: int, dilation: int) -> Tensor:
    """Depthwise convolution of the first `length` frames of whole rows: float [B, R * dilation, C], [C, 1, K], [C] ->
    float [B, L', C].
    """
    out = functional.conv2d(
        as_image(rows, dilation), weight.unsqueeze(3), bias, padding=(padding // dilation, 0), groups=len(weight)
    )
    return as_frames(out)[:, : length + 2 * padding - dilation * (weight.shape[2] - 1)]


def as_image(rows: Tensor, dilation: int) -> Tensor:
    """[B, R * dilation, C] -> [B, C, R, dilation], channels last in memory.

    Frames a dilation apart stand below each other there, and the convolution has none: PyTorch's gradients of a dilated
    one take many times as long.
    """
    return rows.unflatten(1, (-1, dilation)).permute(0, 3, 1, 2)


def as_frames(image: Tensor) -> Tensor:
    """[B, C, R, dilation] -> [B, R * dilation, C]."""
    return image.permute(0, 2, 3, 1).flatten(1, 2)
