"""A training of an extractor says the model's latency where it has one."""

import pytest

from wesep_mix.models.extractors import stft_tcn
from wesep_mix.training import extractor
from wesep_mix.training.settings import ExtractorConfig


@pytest.mark.parametrize(
    "causal, said",
    [
        (True, "extractor stft_tcn, none: algorithmic latency 32.0 ms\n"),
        (False, ""),
    ],
)
def test_the_latency_of_a_causal_model_is_said(tmp_path, monkeypatch, capsys, causal, said):
    monkeypatch.setattr(extractor, "run", lambda *_, **__: None)
    model = stft_tcn.Config(channels=8, hidden=8, num_blocks=1, num_stacks=1, causal=causal)
    source = extractor.EmbeddingSource(tmp_path, tmp_path)
    extractor.train_extractor(ExtractorConfig(model=model), tmp_path, source, "none", tmp_path, 2)
    assert capsys.readouterr().out == said
