"""Small extractors learn which of two tones the embedding asks for."""

import pytest
import torch

from wesep_mix.base import plugins

CASES = {  # extractor: settings, learning rate, steps
    "dpccn": (
        {
            "fusion": "multiply",
            "n_fft": 128,
            "hop": 32,
            "dense_channels": (4, 6),
            "conv_channels": (8, 8),
            "tcn_repeats": 1,
            "tcn_blocks": 3,
            "pool_sizes": (4, 8),
            "pool_channels": 3,
            "dense_depth": 2,
        },
        1e-2,
        40,
    ),
    "pdccrn": ({"window": 64, "hop": 16, "n_fft": 128, "channels": (4, 6, 8), "lstm_hidden": 5}, 2e-2, 60),
    "spexplus": (
        {"windows": (20, 32, 64), "filters": 24, "channels": 16, "hidden": 24, "num_stacks": 2, "num_blocks": 3},
        1e-2,
        60,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_learns_to_follow_the_embedding(name):
    settings, lr, num_steps = CASES[name]
    torch.manual_seed(0)
    model = plugins.build("extractors", plugins.load("extractors", name).Config(embedding_dim=6, **settings)).train()
    time, emb = torch.arange(800) / 16000, torch.eye(6)[:2]
    sources = torch.stack([torch.sin(2 * torch.pi * pitch * time) for pitch in (500, 3000)])  # [2, T]
    mix = sources.sum(0).repeat(2, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in range(num_steps):
        loss = (model(mix, emb) - sources).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05  # the mixture itself is 0.5 off
    assert (model.eval()(mix, emb) - sources).square().mean() < 0.15  # with the batch norms' running statistics
