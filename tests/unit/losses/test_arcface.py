import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, linear, normalize

from wesep_mix.losses.arcface import ArcFace


def by_hand(embeddings, weight, labels, scale, margin):
    """Deng et al. 2019, equation 3, angle by angle."""
    losses = []
    for embedding, label in zip(embeddings, labels, strict=True):
        angles = [math.acos(float(embedding @ w / np.linalg.norm(embedding) / np.linalg.norm(w))) for w in weight]
        logits = [scale * math.cos(angle + (margin if place == label else 0)) for place, angle in enumerate(angles)]
        losses.append(math.log(sum(math.exp(logit) for logit in logits)) - logits[label])
    return sum(losses) / len(losses)


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return ArcFace(5, 4, scale=10.0, margin=0.3)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(8, 5), torch.arange(8) % 4


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.3, 0.5])
def test_it_is_the_papers_equation(layer, batch, margin):
    embeddings, labels = batch
    wanted = by_hand(embeddings.numpy(), layer.weight.detach().numpy(), labels.tolist(), 10.0, margin)
    assert layer(embeddings, labels, margin).item() == pytest.approx(wanted, rel=1e-4)


def test_worked_example():
    """Two classes at right angles, the embedding at 60 degrees to its own: cos(60 deg + 0.5) against cos(30 deg)."""
    layer = ArcFace(2, 2, scale=2.0, margin=0.5)
    layer.weight.data = torch.tensor([[3.0, 0.0], [0.0, 0.2]])  # lengths do not count
    embedding = torch.tensor([[math.cos(math.pi / 3), math.sin(math.pi / 3)]])
    own, other = 2 * math.cos(math.pi / 3 + 0.5), 2 * math.cos(math.pi / 6)
    assert layer(embedding, torch.tensor([0])).item() == pytest.approx(math.log(1 + math.exp(other - own)), rel=1e-5)


def test_without_margin_it_is_a_scaled_softmax_in_value_and_gradient(layer, batch):
    embeddings, labels = batch[0].requires_grad_(), batch[1]
    plain = cross_entropy(10 * linear(normalize(embeddings), normalize(layer.weight)), labels)
    loss = layer(embeddings, labels, 0.0)
    torch.testing.assert_close(loss, plain, rtol=1e-5, atol=1e-6)
    for wanted, found in zip(torch.autograd.grad(plain, [embeddings, layer.weight]),
                             torch.autograd.grad(loss, [embeddings, layer.weight]), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_margin_of_the_constructor_is_the_default(layer, batch):
    assert layer(*batch).item() == layer(*batch, 0.3).item() > layer(*batch, 0.0).item()


def test_the_own_class_falls_with_the_angle_even_beyond_pi_minus_margin():
    """The cosine would rise again there, and pull the embedding to the wrong side."""
    layer, angles = ArcFace(2, 2, scale=4.0, margin=0.5), torch.linspace(0.0, math.pi, 50)
    layer.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = []
    for angle in angles:
        loss = layer(torch.tensor([[math.cos(angle), math.sin(angle)]]), torch.tensor([0]))
        logits.append(4 * math.sin(angle) - math.log(math.expm1(loss.item())))  # own logit, from a loss of two classes
    assert all(before > after for before, after in zip(logits[:-1], logits[1:], strict=True))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_embedding_on_its_weight_or_opposite_has_finite_gradients(layer, sign):
    embeddings = (sign * layer.weight.detach()[:2]).requires_grad_()
    layer(embeddings, torch.tensor([0, 1])).backward()
    assert embeddings.grad.isfinite().all() and layer.weight.grad.isfinite().all()


def test_length_of_the_embedding_does_not_matter(layer, batch):
    torch.testing.assert_close(layer(100 * batch[0], batch[1]), layer(*batch))
