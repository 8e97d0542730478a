"""Convolutions over time on signals [B, C, L] that lie frame by frame in memory, as [B, L, C] does.

On a CPU that is the quick layout: a 1x1 convolution is one product of matrices, and one of every channel by itself
takes a quarter of the time. A GPU's signals are left as they are. The functions take any layout.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def frames_last(x: Tensor) -> Tensor:
    """float [B, C, L] -> the same, frame by frame in memory where that pays."""
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
    (padding,), (dilation,) = conv.padding, conv.dilation
    if (conv.groups != conv.in_channels or conv.bias is None or conv.stride != (1,) or conv.padding_mode != "zeros"
            or padding % dilation):
        raise ValueError("wanted a depthwise convolution of stride 1 with a bias, padded with zeros by whole "
                         f"dilations, found {conv}")
    if not is_frames_last(x):
        return conv(x)
    # Frames a dilation apart stand below each other in an image, where the convolution has none: PyTorch's gradients of
    # a dilated one take many times as long.
    num_frames, num_rows = x.shape[2], -(-x.shape[2] // dilation)
    rest = x.new_zeros(x.shape[0], num_rows * dilation - num_frames, x.shape[1])
    frames = torch.cat([x.transpose(1, 2), rest], 1) if rest.numel() else x.transpose(1, 2)
    image = frames.unflatten(1, (num_rows, dilation)).permute(0, 3, 1, 2)  # [B, C, rows, dilation], channels last
    out = functional.conv2d(image, conv.weight.unsqueeze(3), conv.bias, padding=(padding // dilation, 0),
                            groups=conv.groups)
    wanted = num_frames + 2 * padding - dilation * (conv.kernel_size[0] - 1)
    return frames_last(out.permute(0, 2, 3, 1).flatten(1, 2)[:, :wanted].transpose(1, 2))
