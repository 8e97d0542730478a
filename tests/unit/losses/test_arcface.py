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
    for wanted, found in zip(
        torch.autograd.grad(plain, [embeddings, layer.weight]),
        torch.autograd.grad(loss, [embeddings, layer.weight]),
        strict=True,
    ):
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


# one loss each


def test_costs_are_the_losses_of_single_examples_and_their_mean_is_the_loss(layer, batch):
    embeddings, labels = batch
    costs = layer.costs(embeddings, labels, 0.2)
    for row, cost in enumerate(costs):
        torch.testing.assert_close(layer(embeddings[row : row + 1], labels[row : row + 1], 0.2), cost)
    torch.testing.assert_close(costs.mean(), layer(embeddings, labels, 0.2))


def test_any_shape(layer, batch):
    embeddings, labels = batch
    flat = layer.costs(embeddings, labels)
    shaped = layer.costs(embeddings.view(2, 4, 5), labels.view(2, 4))
    torch.testing.assert_close(shaped, flat.view(2, 4))
    torch.testing.assert_close(layer(embeddings.view(2, 4, 5), labels.view(2, 4)), flat.mean())
    torch.testing.assert_close(layer.costs(embeddings[0], labels[0]), flat[0])


# sub-centres


def test_one_sub_centre_is_no_change(layer):
    assert {key: value.shape for key, value in layer.state_dict().items()} == {"weight": (4, 5)}


def test_the_nearest_of_a_speakers_weights_counts(batch):
    embeddings, labels = batch
    layer = ArcFace(5, 4, scale=10.0, margin=0.3, sub_centres=3)
    assert layer.weight.shape == (12, 5)
    cosines = normalize(embeddings) @ normalize(layer.weight).T
    for row, label in enumerate(labels.tolist()):
        nearest = [3 * speaker + int(cosines[row, 3 * speaker : 3 * speaker + 3].argmax()) for speaker in range(4)]
        wanted = by_hand(embeddings[row : row + 1].numpy(), layer.weight.detach().numpy()[nearest], [label], 10.0, 0.3)
        assert layer.costs(embeddings[row], labels[row]).item() == pytest.approx(wanted, rel=1e-4)


def test_only_the_nearest_sub_centres_learn(batch):
    layer = ArcFace(5, 4, sub_centres=2)
    layer.weight.data[1::2] = -layer.weight.data[::2]
    layer(batch[0][:1], batch[1][:1]).backward()
    assert (layer.weight.grad.view(4, 2, 5).abs().sum(-1) > 0).sum(1).tolist() == [1] * 4


def test_autocast_rounds_no_cosine(layer, batch):
    embeddings, labels = batch
    with torch.autocast("cpu", torch.bfloat16):
        found = layer.costs(embeddings, labels)
    assert torch.equal(found, layer.costs(embeddings, labels))
    assert layer.costs(embeddings.bfloat16(), labels).dtype == torch.float32
