import torch

from wesep_mix.models.layers.masking import by_length


def test_items_of_one_length_go_through_together_and_come_back_in_their_places():
    wav, sizes, seen = torch.randn(5, 50), [50, 20, 35, 20, 50], []

    def embed(batch):
        seen.append(tuple(batch.shape))
        return torch.stack([batch.sum(1), batch[:, -1]], 1)

    found = by_length(embed, wav, torch.tensor(sizes), least=10)
    assert seen == [(2, 20), (1, 35), (2, 50)]
    for row, size in enumerate(sizes):
        torch.testing.assert_close(found[row], torch.stack([wav[row, :size].sum(), wav[row, size - 1]]))


def test_of_frames_an_item_has_its_own_and_zeros_behind_them():
    wav, sizes = torch.randn(3, 12), [12, 6, 9]
    found = by_length(lambda batch: batch.unflatten(1, (-1, 3)), wav, torch.tensor(sizes), least=3)
    assert found.shape == (3, 4, 3)
    for row, size in enumerate(sizes):
        assert torch.equal(found[row, : size // 3].flatten(), wav[row, :size]) and not found[row, size // 3 :].any()


def test_short_items_are_followed_by_silence():
    wav = torch.ones(2, 30)
    found = by_length(lambda batch: batch, wav, torch.tensor([4, 12]), least=20)
    assert found.shape == (2, 20) and found.sum(1).tolist() == [4, 12]
    assert by_length(lambda batch: batch, wav[:, :5], None, least=20).sum(1).tolist() == [5, 5]


def test_without_lengths_all_go_through_at_once():
    wav = torch.randn(3, 30)
    assert torch.equal(by_length(lambda batch: batch, wav, None, least=20), wav)


def test_gradients_come_back():
    wav = torch.randn(3, 30, requires_grad=True)
    by_length(lambda batch: batch[:, :10], wav, torch.tensor([30, 20, 30]), least=10).sum().backward()
    assert (wav.grad.sum(1) == 10).all()
