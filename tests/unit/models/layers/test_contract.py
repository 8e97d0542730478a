"""Latency: what a model says of itself, and that it holds."""

import pytest
import torch

from wesep_mix.base import plugins
from wesep_mix.models.layers.network import latency_ms

D = 4
STFT_TCN = {"embedding_dim": D, "channels": 8, "hidden": 8, "num_blocks": 3, "num_stacks": 2, "causal": True}
SPEXPLUS = {
    "embedding_dim": D,
    "filters": 8,
    "channels": 8,
    "hidden": 8,
    "num_stacks": 2,
    "num_blocks": 3,
    "causal": True,
}
PDCCRN = {"embedding_dim": D, "channels": (4, 6, 8), "lstm_hidden": 6}
CAUSAL = [  # extractor, settings, samples of latency
    ("stft_tcn", STFT_TCN, 512),
    ("stft_tcn", {**STFT_TCN, "window": 128, "hop": 32, "fusion": "concat"}, 128),
    ("spexplus", {**SPEXPLUS, "norm": "channel"}, 160),
    ("spexplus", {**SPEXPLUS, "norm": "batch", "windows": (40, 160, 320), "stride": 20}, 320),
    ("pdccrn", {**PDCCRN, "causal": True}, 400),
    ("pdccrn", PDCCRN, 700),
]


def build(name: str, settings: dict):
    torch.manual_seed(0)
    model = plugins.build("extractors", plugins.load("extractors", name).Config(**settings)).eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.3)  # so that little changes are seen through all layers
    return model


@pytest.mark.parametrize("name, settings, latency", CAUSAL)
@pytest.mark.parametrize("place", [0, 777, 1024])
def test_no_output_changes_before_the_latency_is_over(name, settings, latency, place):
    model, mix, emb = build(name, settings), 0.1 * torch.randn(1, 3000), torch.randn(1, D)
    assert latency_ms(model) == latency / 16
    assert latency_ms(model, 8000) == latency / 8
    later = mix.clone()
    later[:, place + latency :] += 1
    with torch.inference_mode():
        change = (model(later, emb) - model(mix, emb)).abs()[0]
    assert change[: place + 1].max() < 1e-5 * change.max()
    assert change[place + 1 : place + latency + 1].max() > 1e-4 * change.max()


@pytest.mark.parametrize(
    "kind, name, settings",
    [
        ("extractors", "stft_tcn", {}),
        ("extractors", "dpccn", {"tcn_causal": True}),
        ("extractors", "spexplus", {}),
        ("extractors", "spexplus", {"causal": True}),
        ("extractors", "pdccrn", {"unit_level": True}),
        ("separators", "conv_tasnet", {}),
    ],
)
def test_a_model_that_needs_the_whole_mixture_has_no_latency_to_state(kind, name, settings):
    with torch.device("meta"):
        assert latency_ms(plugins.build(kind, plugins.load(kind, name).Config(**settings))) is None


@pytest.mark.parametrize("name", ["spexplus", "pdccrn"])
def test_a_causal_model_at_unit_level_is_refused(name):
    with pytest.raises(ValueError, match="unit_level: wanted false with causal true"):
        plugins.load("extractors", name).Config(causal=True, unit_level=True)


def test_sizes_of_the_causal_variants_are_those_of_the_others():
    with torch.device("meta"):
        for name in ("stft_tcn", "spexplus", "pdccrn"):
            cls = plugins.load("extractors", name).Config
            one, other = (plugins.build("extractors", cls(causal=causal)).state_dict() for causal in (False, True))
            assert {key: value.shape for key, value in one.items()} == {k: v.shape for k, v in other.items()}


def test_latencies_at_the_default_sizes():
    said = {"stft_tcn": 32.0, "spexplus": 10.0, "pdccrn": 25.0}
    for name, wanted in said.items():
        norm = {"norm": "channel"} if name == "spexplus" else {}
        with torch.device("meta"):
            cls = plugins.load("extractors", name).Config
            assert latency_ms(plugins.build("extractors", cls(causal=True, **norm))) == wanted
