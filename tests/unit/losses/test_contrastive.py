import math

import pytest
import torch
from torch.nn.functional import normalize

from wesep_mix.losses.contrastive import Labelled, LabelledMemory, contrastive_costs, set_contrastive_costs


def directions(*degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def test_worked_example():
    """One mixture of two talkers and two heads, at 0 and 90 degrees. Talker 0 is known from references at 0 and 60
    degrees, talker 1 from one at 90, and a stranger is at 180. Over the temperature 0.5 cosines 1, 0.5, 0, -1 are
    logits 2, 1, 0, -2; those of the other head 0, sqrt(3), 2, 0.
    """
    positives = torch.tensor([[[1, 1, 0, 0], [0, 0, 1, 0]]]).bool()
    costs = contrastive_costs(
        directions(0, 90)[None], directions(0, 60, 90, 180), positives, torch.ones(1, 2, 4).bool(), 0.5
    )
    first = math.log(math.exp(2) + math.exp(1) + 1 + math.exp(-2))
    second = math.log(1 + math.exp(math.sqrt(3)) + math.exp(2) + 1)
    wanted = [[first - (2 + 1) / 2, first - 0], [second - (0 + math.sqrt(3)) / 2, second - 2]]
    torch.testing.assert_close(costs, torch.tensor([wanted]))


def test_whom_a_head_is_not_compared_with_does_not_count():
    anchors, references = directions(0)[None], directions(0, 60, 90)
    positives = torch.tensor([[[0, 1, 0]]]).bool()
    costs = contrastive_costs(anchors, references, positives, torch.tensor([[[0, 1, 1]]]).bool(), 1.0)
    assert costs.item() == pytest.approx(math.log(math.exp(0.5) + 1) - 0.5)


def test_it_is_the_papers_equation_for_every_anchor_and_label():
    torch.manual_seed(0)
    anchors, references = normalize(torch.randn(3, 2, 5), dim=-1), normalize(torch.randn(20, 5), dim=-1)
    labels, wanted = torch.arange(20) % 4, torch.tensor([[0, 1, 2], [3, 1, 0], [2, 0, 3]])
    positives = wanted[..., None] == labels
    costs = contrastive_costs(anchors, references, positives, torch.ones(3, 2, 20).bool(), 0.2)
    for row in range(3):
        for head in range(2):
            likely = torch.log_softmax(references @ anchors[row, head] / 0.2, dim=0)
            for talker in range(3):
                same = likely[labels == wanted[row, talker]]
                torch.testing.assert_close(costs[row, head, talker], -same.mean())


def test_worked_example_of_a_set():
    """Mixtures of talkers 0 and 1, and of 0 and 2; a reference of 0 at 0 degrees. The first one's heads at 0 and 90 are
    0 and 1, the second's at 60 and 180 are 0 and 2. As 0, its head at 0 meets logits (temperature 0.5) 2 of the
    reference and 1 of the other mixture's 0, both positives, 0 of its own other head and -2; as 1, who is nowhere else,
    it costs nothing.
    """
    emb = torch.stack([directions(0, 90), directions(60, 180)])
    reference = Labelled(directions(0), torch.tensor([0]))
    labels = torch.tensor([[0, 1], [0, 2]])
    costs, found = set_contrastive_costs(emb, labels, torch.tensor([2, 2]), reference, 0.5)
    total = math.log(math.exp(2) + 1 + math.exp(1) + math.exp(-2))
    torch.testing.assert_close(costs[0, 0], torch.tensor([total - (2 + 1) / 2, 0]))
    other = math.log(1 + 1 + math.exp(math.sqrt(3)) + 1)  # the head at 90: reference, first head, 60 and 180 degrees
    torch.testing.assert_close(costs[0, 1], torch.tensor([other - (0 + math.sqrt(3)) / 2, 0]))
    assert found.labels.tolist() == [0, 1, 0, 2]
    torch.testing.assert_close(found.embeddings, emb.flatten(0, 1))


def test_heads_are_whose_they_are_nearest_to_in_any_order():
    emb = directions(90, 200, 0)[None]  # the second of them nobody's
    references = Labelled(directions(10, 80), torch.tensor([4, 7]))
    found = set_contrastive_costs(emb, torch.tensor([[4, 7]]), torch.tensor([2]), references, 0.1)[1]
    assert found.labels.tolist() == [4, 7]
    torch.testing.assert_close(found.embeddings, directions(0, 90))


def test_without_a_positive_there_is_no_cost_and_no_gradient():
    anchors = directions(0, 40)[None].requires_grad_()
    none = torch.zeros(1, 1, 3).bool()
    costs = contrastive_costs(anchors, directions(0, 60, 90), none, torch.ones(1, 2, 3).bool(), 0.1)
    costs.sum().backward()
    assert not costs.any() and not anchors.grad.any()


@pytest.mark.parametrize("num", [0, 3])
def test_without_any_candidate_all_is_finite(num):
    anchors = directions(0, 40)[None].requires_grad_()
    none = torch.zeros(1, 2, num).bool()
    costs = contrastive_costs(anchors, directions(*range(num)).view(num, 2), none, none, 0.1)
    costs.sum().backward()
    assert not costs.any() and not anchors.grad.any()


def test_autocast_rounds_no_cosine():
    torch.manual_seed(0)
    anchors, references = normalize(torch.randn(2, 2, 5), dim=-1), normalize(torch.randn(6, 5), dim=-1)
    positives, candidates = torch.eye(2, 6)[:, None].bool(), torch.ones(2, 2, 6).bool()
    with torch.autocast("cpu", torch.bfloat16):
        found = contrastive_costs(anchors, references, positives, candidates, 0.1)
    assert torch.equal(found, contrastive_costs(anchors, references, positives, candidates, 0.1))


# memory


def test_the_oldest_are_forgotten_first():
    memory = LabelledMemory(4, 1)
    assert memory.labels.tolist() == [-1] * 4
    memory.add(Labelled(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([10, 20, 30])))
    assert memory.labels.tolist() == [10, 20, 30, -1]
    memory.add(Labelled(torch.tensor([[4.0], [5.0]]), torch.tensor([40, 50])))
    assert memory.labels.tolist() == [50, 20, 30, 40] and memory.embeddings[:, 0].tolist() == [5, 2, 3, 4]


def test_of_more_than_it_holds_it_keeps_the_latest():
    memory = LabelledMemory(2, 1)
    memory.add(Labelled(torch.arange(5.0)[:, None], torch.arange(5)))
    assert sorted(memory.labels.tolist()) == [3, 4]


def test_what_is_not_finite_is_not_remembered():
    memory = LabelledMemory(3, 2)
    memory.add(Labelled(torch.tensor([[float("nan"), 0], [1, 0], [0, float("inf")]]), torch.tensor([1, 2, 3])))
    assert memory.labels.tolist() == [2, -1, -1] and memory.embeddings.isfinite().all()


def test_it_has_no_gradient_and_is_in_the_state():
    memory, weight = LabelledMemory(2, 1), torch.ones(1, requires_grad=True)
    memory.add(Labelled(2 * weight[None], torch.tensor([7])))
    assert not memory.embeddings.requires_grad and not list(memory.parameters())
    other = LabelledMemory(2, 1)
    other.load_state_dict(memory.state_dict())
    other.add(Labelled(torch.tensor([[3.0]]), torch.tensor([8])))
    assert other.labels.tolist() == [7, 8] and other.embeddings[:, 0].tolist() == [2, 3]
