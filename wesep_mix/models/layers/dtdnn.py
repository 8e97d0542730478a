"""The layers of CAM++: a densely connected TDNN with context-aware masking behind a small convolutional front.

Source: Wang et al., "CAM++: A fast and efficient network for speaker verification using context-aware masking",
Interspeech 2023 (arXiv 2303.00332), sections 2 and 3. The names of the weights are those of the files that its authors
publish.

B batch, L frames, F bins, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SEGMENT = 100  # frames whose mean is the local context, section 3.2
GROWTH, BOTTLENECK = 32, 128  # channels that a dense layer adds, and those inside of it


class NormReLU(nn.Module):
    """Batch norm and ReLU of frames."""

    def __init__(self, channels: int):
        super().__init__()
        self.batchnorm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, L] -> the same shape."""
        return self.batchnorm(x).relu_()


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut; the first may halve the bins."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, channels, 1, (stride, 1), bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, F, L] -> [B, C, F / stride, L]."""
        y = self.bn1(self.conv1(x)).relu_()
        return self.bn2(self.conv2(y)).add_(self.shortcut(x)).relu_()


class ConvolutionModule(nn.Module):
    """The front-end convolution module (FCM), section 3.3: an eighth of the bins, all of the frames."""

    def __init__(self, channels: int = 32):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.layer2 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.conv2 = nn.Conv2d(channels, channels, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.to(memory_format=torch.channels_last)  # of the weights, which the images follow: half of the time on a CPU

    def forward(self, x: Tensor) -> Tensor:
        """Features float [B, F, L] -> float [B, C * F / 8, L]."""
        y = self.bn1(self.conv1(x[:, None])).relu_()  # [B, C, F, L]
        y = self.layer2(self.layer1(y))  # [B, C, F / 4, L]
        return self.bn2(self.conv2(y)).relu_().flatten(1, 2)


class TDNN(nn.Module):
    """A convolution over frames, two apart when it comes out, then batch norm and ReLU."""

    def __init__(self, num_in: int, num_out: int):
        super().__init__()
        self.linear = nn.Conv1d(num_in, num_out, 5, 2, 2, bias=False)
        self.nonlinear = NormReLU(num_out)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, L] -> float [B, num_out, 1 + (L - 1) // 2]."""
        return self.nonlinear(self.linear(x))


class MaskedConv(nn.Module):
    """Context-aware masking, section 3.2: a convolution over frames times a mask made from means of what goes in.

    The means are one of all frames, and one of each segment of 100.
    """

    def __init__(self, num_in: int, num_out: int, dilation: int):
        super().__init__()
        self.linear_local = nn.Conv1d(num_in, num_out, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(num_in, num_in // 2, 1)
        self.linear2 = nn.Conv1d(num_in // 2, num_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, num_in, L] -> float [B, num_out, L]."""
        segments = functional.avg_pool1d(x, SEGMENT, ceil_mode=True)  # [B, num_in, segments]; the last may be shorter
        context = x.mean(2, keepdim=True) + segments
        mask = self.linear2(self.linear1(context).relu_()).sigmoid()  # [B, num_out, segments]
        return self.linear_local(x) * mask.repeat_interleave(SEGMENT, 2)[..., : x.shape[2]]


class DenseLayer(nn.Module):
    """A bottleneck and a masked convolution: the channels that a layer adds."""

    def __init__(self, num_in: int, dilation: int):
        super().__init__()
        self.nonlinear1 = NormReLU(num_in)
        self.linear1 = nn.Conv1d(num_in, BOTTLENECK, 1, bias=False)
        self.nonlinear2 = NormReLU(BOTTLENECK)
        self.cam_layer = MaskedConv(BOTTLENECK, GROWTH, dilation)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, num_in, L] -> float [B, 32, L]."""
        return self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))


class DenseBlock(nn.Module):
    """Layers each of which hears what went in and what all layers before it have added."""

    def __init__(self, num_in: int, num_layers: int, dilation: int):
        super().__init__()
        for place in range(num_layers):
            self.add_module(f"tdnnd{place + 1}", DenseLayer(num_in + GROWTH * place, dilation))

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, num_in, L] -> float [B, num_in + 32 * num_layers, L]."""
        for layer in self.children():
            x = torch.cat([x, layer(x)], 1)
        return x


class Transit(nn.Module):
    """Half of the channels go on."""

    def __init__(self, channels: int):
        super().__init__()
        self.nonlinear = NormReLU(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, L] -> float [B, C / 2, L]."""
        return self.linear(self.nonlinear(x))
