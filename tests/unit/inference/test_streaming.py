"""Streaming: what comes out bit by bit is what the causal extractor gives for all of the signal."""

import numpy as np
import pytest
import torch

from wesep_mix.api import LiveExtraction
from wesep_mix.base.errors import UserError
from wesep_mix.inference.streaming import Stream
from wesep_mix.models.extractors import stft_tcn

SIZES = {"embedding_dim": 8, "channels": 16, "hidden": 16, "num_blocks": 3, "num_stacks": 2}


def extractor(window=640, hop=320, **changes):
    torch.manual_seed(0)
    model = stft_tcn.Model(stft_tcn.Config(**{"causal": True, "window": window, "hop": hop, **SIZES, **changes})).eval()
    for weight in model.fusions.parameters():
        torch.nn.init.normal_(weight, std=0.3)  # which begin as zeros, so that the embedding changes nothing
    return model


def signal(size):
    """Noise that grows louder, and an embedding."""
    torch.manual_seed(1)
    return 0.1 * torch.randn(size) * torch.linspace(0.1, 2, size), torch.nn.functional.normalize(torch.randn(1, 8))


@pytest.mark.parametrize(("window", "hop"), [(640, 320), (512, 128), (400, 100), (64, 20)])
@pytest.mark.parametrize("size", [1, 5, 256, 321, 640, 1000, 9999])
def test_a_stream_is_the_whole_in_parts(window, hop, size):
    model = extractor(window, hop)
    wav, emb = signal(size)
    with torch.inference_mode():
        whole = model(wav[None], emb)[0]
    for step in (7, 160, 333, 5000):
        stream, ready, late = Stream(model, emb), [], 0
        for first in range(0, size, step):
            ready.append(stream.push(wav[first : first + step]))
            late = max(late, min(first + step, size) - sum(map(len, ready)))
        ready.append(stream.finish())
        torch.testing.assert_close(torch.cat(ready), whole, atol=2e-6, rtol=0)
        assert late < window and stream.latency_ms == window / 16


def test_a_stream_of_nothing_gives_nothing():
    stream = Stream(extractor(), signal(1)[1])
    assert len(stream.push(torch.zeros(0))) == len(stream.finish()) == 0


def test_numpy_comes_back_as_numpy_and_torch_as_torch():
    model, (wav, emb) = extractor(), signal(4000)
    one, other = (LiveExtraction(model, emb[0].numpy(), "cpu") for _ in range(2))
    first, second = one.push(wav.numpy()), other.push(wav)
    assert isinstance(first, np.ndarray) and first.dtype == np.float32 and torch.is_tensor(second)
    assert len(first) and np.array_equal(first, second.numpy())
    assert len(first) + len(one.finish()) == 4000


def test_what_a_stream_refuses():
    with pytest.raises(UserError, match="stft_tcn: this model's extractor needs all of a recording"):
        Stream(extractor(causal=False), None)
    stream = Stream(extractor(), signal(1)[1])
    with pytest.raises(UserError, match="wanted samples of shape"):
        stream.push(torch.zeros(1, 5))
    with pytest.raises(UserError, match="stft_tcn: wanted finite values"):
        stream.push(torch.full((5,), torch.nan))
    stream.finish()
    with pytest.raises(UserError, match="stream: wanted no samples after its end"):
        stream.push(torch.zeros(5))
