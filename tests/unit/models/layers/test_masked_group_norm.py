import pytest
import torch

from wesep_mix.models.layers.masking import MaskedGroupNorm

KERNEL, STRIDE = 10, 5


@pytest.mark.parametrize("num_samples", [[105, 60, 20], [105, 105, 105]])
def test_an_item_is_normalised_as_alone_and_followed_by_zeros(num_samples):
    torch.manual_seed(0)
    plain = torch.nn.GroupNorm(6, 6)
    torch.nn.init.normal_(plain.weight)
    torch.nn.init.normal_(plain.bias)
    norm = MaskedGroupNorm.of(plain, KERNEL, STRIDE)
    norm.num_samples = torch.tensor(num_samples)
    frames = torch.randn(3, 6, 20, requires_grad=True)
    found = norm(frames)
    assert found.shape == frames.shape
    for row, count in enumerate((size - KERNEL) // STRIDE + 1 for size in num_samples):
        torch.testing.assert_close(found[row, :, :count], plain(frames[row : row + 1, :, :count])[0])
        assert not found[row, :, count:].any()
    found.square().sum().backward()
    assert frames.grad.isfinite().all() and norm.weight.grad.abs().min() > 0


def test_channels_that_share_a_group_are_refused():
    with pytest.raises(ValueError, match="wanted a group for every channel, found 2 for 6"):
        MaskedGroupNorm.of(torch.nn.GroupNorm(2, 6), KERNEL, STRIDE)


def test_padded_or_not_it_gives_the_type_of_the_norm(monkeypatch):
    """On a GPU autocast makes the norm of half precision float32."""
    plain = torch.nn.functional.group_norm
    monkeypatch.setattr(torch.nn.functional, "group_norm", lambda x, *given: plain(x.float(), *given))
    norm, types = MaskedGroupNorm.of(torch.nn.GroupNorm(6, 6), KERNEL, STRIDE), []
    for shortest in (20, 105):
        norm.num_samples = torch.tensor([105, shortest])
        types.append(norm(torch.randn(2, 6, 20).bfloat16()).dtype)
    assert types == [torch.float32] * 2
