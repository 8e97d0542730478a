import dataclasses
import json

import pytest
import torch

from wesep_mix.base.errors import UserError
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import logmel, ssl
from wesep_mix.models.students.parallel_heads import Config, Model

SMALL = Config(
    frontend=logmel.Config(num_mels=10, channels=8, num_layers=1, num_heads=2),
    num_spk=3,
    projection=5,
    embedding_dim=4,
    bottleneck=3,
)
BASE = ssl.Config(architecture=json.dumps({"model_type": "wavlm", "do_normalize": False}), finetuned_layers=6)


def model_of(**changes) -> Model:
    torch.manual_seed(0)
    return Model(dataclasses.replace(SMALL, **changes)).eval()


def num_parameters(module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize("num_spk, num_trained", [(2, 48_169_208), (3, 48_628_856)])
def test_the_papers_students_have_their_numbers_of_parameters(num_spk, num_trained):
    """48.2 M and 48.6 M: heads of 459,648 and six layers of WavLM Base with the positional convolution."""
    with torch.device("meta"):
        model = Model(Config(frontend=BASE, num_spk=num_spk))
    assert num_parameters(model.heads) == num_spk * 459_648 and model.presence is None
    assert sum(weight.numel() for weight in model.parameters() if weight.requires_grad) == num_trained
    assert {name.split(".")[0] for name in model.state_dict()} == {"frontend", "heads"}


def test_presence_is_one_linear_layer_a_head():
    extra = num_parameters(model_of(presence=True)) - num_parameters(model_of())
    assert extra == 3 * (2 * 5 + 1)


def test_presence_changes_no_embedding_and_no_other_weight():
    with_it, without = model_of(presence=True), model_of()
    ours = with_it.state_dict()
    assert all(torch.equal(ours[name], weight) for name, weight in without.state_dict().items())
    wav = torch.randn(2, 4000)
    found, plain = with_it(wav), without(wav)
    assert torch.equal(found.embeddings, plain.embeddings) and plain.presence is None
    assert found.presence.shape == (2, 3) and found.presence.std() > 0


def test_with_a_hidden_layer_presence_sees_the_cosines_to_the_other_heads():
    model = model_of(presence=True, presence_hidden=6)
    assert num_parameters(model) - num_parameters(model_of()) == 3 * (6 * (2 * 5 + 2) + 6 + 6 + 1)
    seen = {}
    for head, layer in enumerate(model.presence):
        layer.register_forward_hook(lambda _, inputs, out, head=head: seen.update({head: inputs[0][:, -2:]}))
    found = model(torch.randn(2, 4000))
    cosines = found.embeddings @ found.embeddings.transpose(1, 2)
    torch.testing.assert_close(seen[1], cosines[:, 1, [0, 2]])
    assert found.presence.shape == (2, 3)
    found.presence.sum().backward()  # what makes the embeddings does not learn from it
    assert all(head.embedding.weight.grad is None for head in model.heads)


def test_every_head_has_a_logit_of_its_own_and_learns_from_it():
    model = model_of(presence=True)
    model(torch.randn(2, 4000)).presence[:, 1].sum().backward()
    learns = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert {"presence.1.weight", "presence.1.bias", "heads.1.projection.weight"} <= learns
    assert not any(name.startswith(("presence.0", "presence.2", "heads.0", "heads.2")) for name in learns)
    assert "heads.1.embedding.weight" not in learns  # the logit does not bend the embedding


def test_padding_does_not_change_a_logit():
    model, wav = model_of(presence=True), torch.randn(2, 6000)
    wav[1, 3000:] = 0
    together = model(wav, torch.tensor([6000, 3000])).presence
    torch.testing.assert_close(together[1:], model(wav[1:, :3000]).presence, atol=1e-5, rtol=0)


def test_a_model_file_of_before_loads(tmp_path):
    model = model_of()
    checkpoint.save_model(tmp_path / "model.pt", "students", model)
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    for name in ("presence", "references"):
        del content["config"][name]
    del content["config"]["frontend"]["finetuned"]
    torch.save(content, tmp_path / "old.pt")
    loaded, wav = checkpoint.load_model(tmp_path / "old.pt", "students"), torch.randn(1, 3000)
    assert loaded.config == model.config and torch.equal(loaded(wav).embeddings, model(wav).embeddings)


def test_a_model_with_presence_is_kept(tmp_path):
    model = model_of(presence=True, references="own")
    checkpoint.save_model(tmp_path / "model.pt", "students", model)
    loaded, wav = checkpoint.load_model(tmp_path / "model.pt", "students"), torch.randn(1, 3000)
    assert loaded.config.references == "own" and torch.equal(loaded(wav).presence, model(wav).presence)


def test_references_are_the_teachers_or_its_own(tmp_path):
    with pytest.raises(ValueError, match="references: wanted teacher or own, found 'nobody'"):
        dataclasses.replace(SMALL, references="nobody")
    with pytest.raises(UserError, match="no such model file"):
        checkpoint.load_model(tmp_path / "model.pt", "students")
