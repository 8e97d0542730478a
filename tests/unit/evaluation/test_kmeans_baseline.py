import numpy as np
import torch
from torch import nn

from wesep_mix.evaluation import kmeans_baseline
from wesep_mix.evaluation.kmeans_baseline import frame_centroids, frames, initial_frontend, kmeans_tables
from wesep_mix.mixing.render import render
from wesep_mix.models.frontends import logmel


class Bands(nn.Module):
    """A front-end without weights: log energy in four bands, every 20 ms, one frame of padding at the end."""

    def forward(self, wav, num_samples):
        window = wav.unfold(1, 320, 320)  # [B, L, 320]
        bands = torch.fft.rfft(window).abs()[..., :160].unflatten(-1, (4, 40)).mean(-1)  # [B, L, 4]
        padded = torch.cat([bands, torch.full_like(bands[:, :1], torch.nan)], dim=1)
        return torch.log(padded + 1e-4), num_samples // 320


def test_frames_leave_the_padding_out():
    rng = np.random.default_rng(0)
    wavs = [rng.standard_normal(320 * count).astype(np.float32) for count in (10, 7)]
    long, short = frames(Bands(), wavs, "cpu")
    assert (long.shape, short.shape, long.dtype) == ((10, 4), (7, 4), np.float64)
    assert np.isfinite(long).all()
    assert np.allclose(short, frames(Bands(), wavs[1:], "cpu")[0])


def test_centroids_of_two_heaps():
    heaps = np.concatenate([np.full((10, 3), -1.0), np.full((5, 3), 4.0)])
    centroids = frame_centroids(heaps + 1e-3 * np.random.default_rng(0).standard_normal((15, 3)), 2, "mix", 0)
    assert np.allclose(sorted(centroids[:, 0]), [-1.0, 4.0], atol=0.01)


def test_table_has_one_centroid_a_talker_and_repeats(plans):
    first, again = (kmeans_tables({"kmeans": Bands()}, plans, 0, "cpu")["kmeans"] for _ in range(2))
    assert first.emb.shape == (6, 4)
    assert [source.spk for source in first.sources] == list("abcdbe")
    assert np.array_equal(first.emb, again.emb)


class Doubled(Bands):
    def forward(self, wav, num_samples):
        found, lengths = super().forward(wav, num_samples)
        return 2 * found, lengths


def test_a_mixture_is_rendered_once_for_all_frontends(plans, monkeypatch):
    rendered = []
    monkeypatch.setattr(kmeans_baseline, "render", lambda plan: rendered.append(plan.id) or render(plan))
    both = kmeans_tables({"kmeans": Bands(), "kmeans/teacher": Doubled()}, plans, 0, "cpu")
    assert rendered == [plan.id for plan in plans]
    assert list(both) == ["kmeans", "kmeans/teacher"]
    for name, frontend in (("kmeans", Bands()), ("kmeans/teacher", Doubled())):
        assert np.array_equal(both[name].emb, kmeans_tables({name: frontend}, plans, 0, "cpu")[name].emb)
    assert not np.allclose(both["kmeans"].emb, both["kmeans/teacher"].emb)


def test_no_frontend_no_table(plans):
    assert kmeans_tables({}, plans, 0, "cpu") == {}


def test_an_initial_frontend_frontend_forgets_its_training_and_leaves_the_random_state_alone():
    taught = logmel.Model(logmel.Config(channels=8, num_heads=2, num_layers=1))
    before = torch.get_rng_state()
    fresh, again = initial_frontend(taught, 0), initial_frontend(taught, 0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(fresh.convs[0].weight, again.convs[0].weight)
    assert not torch.equal(fresh.convs[0].weight, taught.convs[0].weight)


def test_a_frozen_frontend_has_nothing_to_forget():
    frozen = logmel.Model(logmel.Config(channels=8, num_heads=2, num_layers=1, finetuned=False))
    assert initial_frontend(frozen, 0) is frozen
