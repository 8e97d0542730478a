"""Complex convolutions and LSTM on real tensors: of C channels the first half are real parts, the other imaginary.

Source of the convolutions: Trabelsi et al., "Deep Complex Networks", ICLR 2018, section 3.2. With kernels A (real) and
B (imaginary) the parts r and s of the input give A r - B s and B r + A s. Here that is one real convolution with the
kernel [[A, -B], [B, A]], where four would each write their own output.

Differs: each kernel has a real bias of its own, a and b, which meet as a - b and a + b (as in the code of DCCRN's
authors). Kernels begin with a standard deviation of 0.05 and biases at zero, as there.

Source of the LSTM: Hu et al., "DCCRN: Deep Complex Convolution Recurrent Network for Phase-Aware Speech Enhancement",
Interspeech 2020, section 2.2. It is two real ones, each run over the real and over the imaginary part.

B batch, C channels (even), F bins, L frames, N and H values of a frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

START_STD = 0.05


class ComplexConv2d(nn.Module):
    """Convolution that halves the bins, over two frames, this one and the one before."""

    def __init__(self, num_in: int, num_out: int, kernel_bins: int):
        super().__init__()
        self.real, self.imag = (nn.Conv2d(num_in // 2, num_out // 2, (kernel_bins, 2)) for _ in range(2))
        self.padding = (kernel_bins // 2, 0)
        _initialise(self.real, self.imag)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, F, L] -> float [B, C', ceil(F / 2), L]."""
        weight = block_kernel(self.real.weight, self.imag.weight)
        return functional.conv2d(functional.pad(x, (1, 0)), weight, _bias(self), (2, 1), self.padding)


class ComplexConvTranspose2d(nn.Module):
    """Transposed convolution that doubles the bins, over this frame and the next, or with `causal` the one before."""

    def __init__(self, num_in: int, num_out: int, kernel_bins: int, causal: bool):
        super().__init__()
        self.real, self.imag = (nn.ConvTranspose2d(num_in // 2, num_out // 2, (kernel_bins, 2)) for _ in range(2))
        self.padding, self.causal = (kernel_bins // 2, 0), causal
        _initialise(self.real, self.imag)

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, F, L] -> float [B, C', 2F, L]."""
        weight = block_kernel(self.real.weight, -self.imag.weight)  # inputs come first in a transposed kernel
        x = functional.conv_transpose2d(x, weight, _bias(self), (2, 1), self.padding, (1, 0))  # [B, C', 2F, L + 1]
        return x[..., :-1] if self.causal else x[..., 1:]


def complex_cat(one: Tensor, other: Tensor) -> Tensor:
    """Channels of two signals side by side, real parts first.

    Args:
        one: Float [B, C, ...].
        other: Float [B, C', ...].

    Returns:
        Float [B, C + C', ...].
    """
    parts = [x.unflatten(1, (2, -1)) for x in (one, other)]  # [B, 2, C / 2, ...]
    return torch.cat(parts, 2).flatten(1, 2)


def block_kernel(real: Tensor, imag: Tensor) -> Tensor:
    """[[A, -B], [B, A]] over the first two axes.

    Args:
        real: A, float [N, M, ...].
        imag: B, float [N, M, ...].

    Returns:
        Float [2N, 2M, ...].
    """
    return torch.cat([torch.cat([real, -imag], 1), torch.cat([imag, real], 1)])


def _bias(conv: ComplexConv2d | ComplexConvTranspose2d) -> Tensor:
    return torch.cat([conv.real.bias - conv.imag.bias, conv.real.bias + conv.imag.bias])


def _initialise(*convs: nn.Conv2d | nn.ConvTranspose2d) -> None:
    for conv in convs:
        nn.init.normal_(conv.weight, std=START_STD)
        nn.init.zeros_(conv.bias)


class ComplexLSTM(nn.Module):
    """One complex LSTM layer, forward in time."""

    def __init__(self, num_in: int, hidden: int):
        super().__init__()
        self.real, self.imag = (nn.LSTM(num_in, hidden, batch_first=True) for _ in range(2))

    def forward(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        """Float [B, L, N] twice -> float [B, L, H] twice."""
        parts = torch.cat([real, imag])  # [2B, L, N], so that each LSTM runs once
        real_of_real, real_of_imag = self.real(parts)[0].chunk(2)
        imag_of_real, imag_of_imag = self.imag(parts)[0].chunk(2)
        return real_of_real - imag_of_imag, real_of_imag + imag_of_real
