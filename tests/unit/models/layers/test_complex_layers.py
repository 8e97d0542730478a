import pytest
import torch
from torch.nn import functional

from wesep_mix.models.layers.complex import ComplexConv2d, ComplexConvTranspose2d, ComplexLSTM, complex_cat

B, F, L = 2, 8, 5


def as_complex(x):
    return torch.complex(*x.chunk(2, 1))


def kernel_and_bias(conv):
    """The layer's parameters as one complex kernel and bias."""
    for weight in conv.parameters():
        torch.nn.init.normal_(weight)
    bias = torch.complex(conv.real.bias - conv.imag.bias, conv.real.bias + conv.imag.bias)
    return torch.complex(conv.real.weight, conv.imag.weight), bias


@pytest.mark.parametrize("kernel_bins", [1, 3, 5])
def test_a_convolution_is_torchs_own_on_complex_numbers(kernel_bins):
    conv, x = ComplexConv2d(4, 6, kernel_bins), torch.randn(B, 4, F, L)
    weight, bias = kernel_and_bias(conv)
    earlier = functional.pad(as_complex(x), (1, 0))  # frame l - 1 and frame l
    wanted = functional.conv2d(earlier, weight, bias, stride=(2, 1), padding=(kernel_bins // 2, 0))
    assert conv(x).shape == (B, 6, F // 2, L)
    torch.testing.assert_close(as_complex(conv(x)), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel_bins", [1, 3, 5])
def test_a_transposed_convolution_is_torchs_own_on_complex_numbers(kernel_bins, causal):
    conv, x = ComplexConvTranspose2d(6, 4, kernel_bins, causal), torch.randn(B, 6, F, L)
    weight, bias = kernel_and_bias(conv)
    wanted = functional.conv_transpose2d(
        as_complex(x), weight, bias, stride=(2, 1), padding=(kernel_bins // 2, 0), output_padding=(1, 0)
    )
    assert conv(x).shape == (B, 4, 2 * F, L)
    wanted = wanted[..., :L] if causal else wanted[..., 1:]
    torch.testing.assert_close(as_complex(conv(x)), wanted, atol=1e-4, rtol=1e-4)


def test_a_convolution_up_looks_a_frame_ahead_unless_it_is_causal():
    x = torch.randn(B, 4, F, L)
    later = x.clone()
    later[..., 3] = 0
    for causal, first in ((False, 2), (True, 3)):
        conv = ComplexConvTranspose2d(4, 4, 3, causal)
        changed = (conv(x) - conv(later)).abs().amax((0, 1, 2)) > 1e-6
        assert changed.nonzero()[:, 0].tolist() == [first, first + 1]


def test_complex_cat_keeps_real_parts_in_the_first_half():
    one, other = torch.randn(B, 4, F, L), torch.randn(B, 2, F, L)
    torch.testing.assert_close(as_complex(complex_cat(one, other)), torch.cat([as_complex(one), as_complex(other)], 1))


def test_a_complex_lstm_is_two_lstms_over_two_parts():
    lstm, real, imag = ComplexLSTM(3, 4), torch.randn(B, L, 3), torch.randn(B, L, 3)
    a, b = lstm.real, lstm.imag
    found = lstm(real, imag)
    torch.testing.assert_close(found[0], a(real)[0] - b(imag)[0])
    torch.testing.assert_close(found[1], a(imag)[0] + b(real)[0])
