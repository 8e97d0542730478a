import numpy as np
import torch
from torch import nn

from wesep_mix.analysis.kmeans_baseline import frame_centroids, frames, kmeans_table, untaught
from wesep_mix.frontends import logmel


class Bands(nn.Module):
    """A front-end without weights: log energy in four bands, every 20 ms, one frame of padding at the end."""

    def forward(self, wav, num_samples):
        window = wav.unfold(1, 320, 320)  # [B, L, 320]
        bands = torch.fft.rfft(window).abs()[..., :160].unflatten(-1, (4, 40)).mean(-1)  # [B, L, 4]
        padded = torch.cat([bands, torch.full_like(bands[:, :1], torch.nan)], dim=1)
        return torch.log(padded + 1e-4), num_samples // 320


def test_frames_leave_the_padding_out():
    found = frames(Bands(), np.ones(3200, dtype=np.float32), "cpu")
    assert found.shape == (10, 4) and found.dtype == np.float64
    assert np.isfinite(found).all()


def test_centroids_of_two_heaps():
    heaps = np.concatenate([np.full((10, 3), -1.0), np.full((5, 3), 4.0)])
    centroids = frame_centroids(heaps + 1e-3 * np.random.default_rng(0).standard_normal((15, 3)), 2, "mix", 0)
    assert np.allclose(sorted(centroids[:, 0]), [-1.0, 4.0], atol=0.01)


def test_table_has_one_centroid_a_talker_and_repeats(plans):
    first, again = (kmeans_table(Bands(), plans, 0, "cpu") for _ in range(2))
    assert first.emb.shape == (6, 4)
    assert [source.spk for source in first.sources] == list("abcdbe")
    assert np.array_equal(first.emb, again.emb)


def test_an_untaught_frontend_forgets_its_training_and_leaves_the_random_state_alone():
    taught = logmel.Model(logmel.Config(channels=8, num_heads=2, num_layers=1))
    before = torch.get_rng_state()
    fresh, again = untaught(taught, 0), untaught(taught, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(fresh.convs[0].weight, again.convs[0].weight)
    assert not torch.equal(fresh.convs[0].weight, taught.convs[0].weight)
