"""Complex LSTM: two real ones, each run over the real and over the imaginary part.

Source: Hu et al., "DCCRN: Deep Complex Convolution Recurrent Network for Phase-Aware Speech Enhancement",
Interspeech 2020, section 2.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ComplexLSTM(nn.Module):
    """One layer, forward in time."""

    def __init__(self, num_in: int, hidden: int):
        super().__init__()
        self.real, self.imag = (nn.LSTM(num_in, hidden, batch_first=True) for _ in range(2))

    def forward(self, real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
        """float [B, L, N] twice -> float [B, L, H] twice."""
        parts = torch.cat([real, imag])  # [2B, L, N], so that each LSTM runs once
        real_of_real, real_of_imag = self.real(parts)[0].chunk(2)
        imag_of_real, imag_of_imag = self.imag(parts)[0].chunk(2)
        return real_of_real - imag_of_imag, real_of_imag + imag_of_real
