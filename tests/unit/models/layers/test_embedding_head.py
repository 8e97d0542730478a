import pytest
import torch

from wesep_mix.models.layers.embedding_head import AttentiveStatisticsPooling, EmbeddingHead
from wesep_mix.models.layers.masking import masked_mean_std, valid_frames

C, L = 5, 9


@pytest.fixture
def batch():
    """Three items of different lengths; what lies behind an item's end is anything but small."""
    torch.manual_seed(0)
    num_frames = torch.tensor([L, 1, 6])
    frames = torch.randn(3, L, C)
    return frames.masked_fill(~valid_frames(num_frames, L)[..., None], 1e3), num_frames


def test_valid_frames():
    assert valid_frames(torch.tensor([2, 0, 3]), 3).tolist() == [[True, True, False], [False] * 3, [True] * 3]


def test_mean_and_deviation_are_of_what_exists(batch):
    frames, num_frames = batch
    mean, std = masked_mean_std(frames, valid_frames(num_frames, L))
    assert mean.shape == std.shape == (3, 1, C)
    for row, count in enumerate(num_frames.tolist()):
        torch.testing.assert_close(mean[row, 0], frames[row, :count].mean(0))
        wanted = frames[row, :count].var(0, unbiased=False).clamp(min=1e-5).sqrt()
        torch.testing.assert_close(std[row, 0], wanted)


def test_a_head_has_as_many_parameters_as_the_papers():
    assert sum(weight.numel() for weight in EmbeddingHead(768).parameters()) == 459_648


def test_without_a_projection_the_frames_are_pooled_as_they_are(batch):
    head = EmbeddingHead(C, 0, 7, 4)
    assert head.pooled_dim == 2 * C and EmbeddingHead(C, 6, 7, 4).pooled_dim == 12
    torch.testing.assert_close(head.pool(*batch), head.pooling(*batch))
    assert not any(name.startswith("projection") for name in head.state_dict())


def pooled_by_hand(pooling, frames):
    """One item [L, C] in plain loops (Okabe et al. 2018, equations 3 to 6, with ECAPA's global context)."""
    first, second = pooling.attention[0], pooling.attention[2]
    mean = sum(frames) / len(frames)
    std = (sum((frame - mean) ** 2 for frame in frames) / len(frames)).clamp(min=1e-5).sqrt()
    scores = []
    for frame in frames:
        hidden = torch.tanh(first.weight @ torch.cat([frame, mean, std]) + first.bias)
        scores.append(second.weight @ hidden + second.bias)
    total = sum(torch.exp(score) for score in scores)
    weights = [torch.exp(score) / total for score in scores]
    average = sum(weight * frame for weight, frame in zip(weights, frames, strict=True))
    square = sum(weight * frame**2 for weight, frame in zip(weights, frames, strict=True))
    return torch.cat([average, (square - average**2).clamp(min=1e-5).sqrt()])


def test_pooling_is_what_loops_give(batch):
    frames, num_frames = batch
    pooling = AttentiveStatisticsPooling(C, bottleneck=4)
    pooled = pooling(frames, num_frames)
    assert pooled.shape == (3, 2 * C)
    for row, count in enumerate(num_frames.tolist()):
        wanted = pooled_by_hand(pooling, list(frames[row, :count]))
        torch.testing.assert_close(pooled[row], wanted, atol=1e-4, rtol=1e-4)


def test_attention_can_weigh_frames_differently(batch):
    pooling = AttentiveStatisticsPooling(C, bottleneck=4)
    frames = batch[0][:1]
    assert not torch.allclose(pooling(frames, torch.tensor([L]))[0, :C], frames[0].mean(0), atol=1e-3)


def test_padding_has_no_influence(batch):
    frames, num_frames = batch
    head = EmbeddingHead(C, 6, 7, 4)
    together = head(frames, num_frames)
    for row, count in enumerate(num_frames.tolist()):
        alone = head(frames[row : row + 1, :count], num_frames[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-5)


def test_embeddings_have_length_1_and_their_size(batch):
    emb = EmbeddingHead(C, 6, 7, 4)(*batch)
    assert emb.shape == (3, 7)
    torch.testing.assert_close(emb.norm(dim=-1), torch.ones(3))


def test_gradients_are_finite_for_a_single_frame_and_for_equal_frames():
    head = EmbeddingHead(C, 6, 7, 4)
    frames = torch.ones(2, L, C, requires_grad=True)
    head(frames, torch.tensor([1, L]))[:, 0].sum().backward()
    assert frames.grad.isfinite().all() and not frames.grad[0, 1:].any()
    assert all(weight.grad.isfinite().all() for weight in head.parameters())
