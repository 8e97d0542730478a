from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import normalize

from wesep_mix.matching.speaker_set import OwnReference, SpeakerSet, reference_network


class Said(torch.nn.Module):
    """A student that always answers the same."""

    def __init__(self, answer: SpeakerSet, references: str = "own"):
        super().__init__()
        self.answer, self.config = answer, SimpleNamespace(references=references)

    def forward(self, wav, num_samples=None):
        self.heard = (wav, num_samples)
        return self.answer


EMBEDDINGS = normalize(torch.tensor([[[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]], [[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]]), dim=-1)


def test_it_is_the_mean_over_the_heads_at_length_1():
    student, wav, lengths = Said(SpeakerSet(EMBEDDINGS)), torch.zeros(2, 9), torch.tensor([9, 4])
    found = OwnReference(student)(wav, lengths)
    torch.testing.assert_close(found, normalize(EMBEDDINGS[:, 0] + EMBEDDINGS[:, 1], dim=-1))
    assert student.heard == (wav, lengths)


def test_a_head_that_says_nobody_speaks_does_not_count():
    found = OwnReference(Said(SpeakerSet(EMBEDDINGS, torch.tensor([[30.0, -30.0], [0.0, 1.0]]))))(torch.zeros(2, 9))
    torch.testing.assert_close(found[0], EMBEDDINGS[0, 0])
    weights = torch.tensor([0.0, 1.0]).sigmoid()
    torch.testing.assert_close(found[1], normalize(weights @ EMBEDDINGS[1], dim=-1))


@pytest.mark.parametrize("references", ["teacher", "own"])
def test_the_student_says_whose_space_it_is_in(references):
    teacher, student = torch.nn.Identity(), Said(SpeakerSet(EMBEDDINGS), references)
    found = reference_network(student, teacher)
    assert found is teacher if references == "teacher" else found.student is student
