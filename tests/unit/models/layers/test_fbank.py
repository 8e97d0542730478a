import pytest
import torch
from torchaudio.compliance import kaldi

from wesep_mix.models.layers.mel import fbank


@pytest.mark.parametrize("num_mels, window_ms, hop_ms", [(80, 25.0, 10.0), (40, 32.0, 16.0)])
def test_a_row_has_kaldis_features_without_their_mean(num_mels, window_ms, hop_ms):
    wav = 0.1 * torch.randn(3, 4000)
    found = fbank(wav, num_mels, window_ms, hop_ms)
    for row in range(3):
        theirs = kaldi.fbank(
            wav[row : row + 1] * 32768,
            num_mel_bins=num_mels,
            frame_length=window_ms,
            frame_shift=hop_ms,
            dither=0.0,
            sample_frequency=16000,
            window_type="hamming",
        )
        torch.testing.assert_close(found[row], theirs - theirs.mean(0), atol=1e-4, rtol=0)


def test_window_and_full_scale_are_those_that_are_asked_for():
    """At a full scale of 1 what is quiet lies on Kaldi's floor."""
    wav = torch.cat([torch.randn(1, 2000), 1e-7 * torch.randn(1, 2000)], 1)
    found = fbank(wav, window_type="povey", full_scale=1.0)
    theirs = kaldi.fbank(wav, num_mel_bins=80, dither=0.0, sample_frequency=16000)
    torch.testing.assert_close(found[0], theirs - theirs.mean(0), atol=1e-4, rtol=0)
    assert theirs[-5:].unique().numel() == 1 and (found - fbank(wav)).abs().max() > 1


def test_autocast_changes_no_bit():
    wav = 0.1 * torch.randn(2, 4000)
    with torch.autocast("cpu", torch.bfloat16):
        found = fbank(wav)
    assert torch.equal(found, fbank(wav))
