import sys

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.losses.arcface import ArcFace
from wesep_mix.models.checkpoint import num_parameters
from wesep_mix.models.teachers.ecapa import Config, Model

SMALL = Config(channels=16, aggregated=24, attention=6, squeeze=6, embedding_dim=5)


def test_it_has_the_papers_number_of_parameters():
    """15.9 M with the ArcFace weights of 921 speakers."""
    model = Model(Config())
    assert num_parameters(model) == 15_643_904
    assert num_parameters(model) + num_parameters(ArcFace(256, 921)) == 15_879_680


def test_padding_has_no_influence():
    torch.manual_seed(0)
    model, wav, lengths = Model(SMALL).eval(), 0.1 * torch.randn(4, 16000), [16000, 9000, 4000, 9000]
    together = model(wav, torch.tensor(lengths))  # what follows the end is no silence
    for row, size in enumerate(lengths):
        torch.testing.assert_close(together[row], model(wav[row : row + 1, :size])[0], atol=1e-5, rtol=0)


def test_it_learns():
    torch.manual_seed(0)
    model = Model(SMALL).train()
    model(0.1 * torch.randn(3, 8000))[:, 0].sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_without_speechbrain_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "speechbrain.lobes.models.ECAPA_TDNN", None)
    with pytest.raises(
        UserError, match=r"^teacher ecapa: not installed here: speechbrain; `WESEP_MIX_EXTRAS=ecapa bash"
    ):
        Model(SMALL)
