import torch

from wesep_mix.matching.speaker_set import SpeakerSet


def test_talkers_are_heads_with_a_positive_logit_and_at_least_one():
    presence = torch.tensor([[1.0, -0.1, 0.2], [-1.0, -2.0, 0.0], [0.1, 3.0, 2.0]])
    found = SpeakerSet(torch.zeros(3, 3, 4), presence)
    assert found.num_spk().tolist() == [2, 1, 3] and found.num_spk().dtype == torch.int64
    assert found.active().tolist() == [[True, False, True], [False, False, True], [True, True, True]]


def test_without_presence_there_is_no_count_and_all_heads_are_active():
    found = SpeakerSet(torch.zeros(1, 2, 3))
    assert found.num_spk() is None and found.active().tolist() == [[True, True]]
