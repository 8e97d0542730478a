import pytest
import torch

from wesep_mix.models.layers.fusion import FUSIONS, EmbeddingTransform, Fusion

B, C, D = 3, 5, 7


def test_an_unknown_kind_names_the_kinds_there_are():
    with pytest.raises(ValueError, match="no 'flim' .*film"):
        Fusion("flim", C, D)


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("shape, dim", [((B, C), 1), ((B, C, 11), 1), ((B, C, 4, 6), 1), ((B, 4, 6, C), 3)])
def test_shape_is_kept_on_any_axis(kind, shape, dim):
    layer = Fusion(kind, C, D, film_hidden=2, dim=dim)
    assert layer(torch.randn(shape), torch.randn(B, D)).shape == shape


def test_none_has_no_parameters_and_changes_nothing():
    layer, x = Fusion("none", C, D), torch.randn(B, C, 4)
    assert list(layer.parameters()) == []
    assert layer(x, None) is x


@pytest.mark.parametrize("kind", ["concat", "additive", "multiply", "film"])
def test_the_formula(kind):
    layer, x, emb = Fusion(kind, C, D), torch.randn(B, C, 4), torch.randn(B, D)
    for weight in layer.parameters():
        torch.nn.init.normal_(weight)
    frames, beside = x.transpose(1, 2), emb[:, None].expand(-1, 4, -1)  # [B, 4, C], [B, 4, D]
    want = {
        "concat": lambda: layer.linear(torch.cat([frames, beside], 2)),
        "additive": lambda: frames + layer.linear(beside),
        "multiply": lambda: frames * layer.linear(beside),
        "film": lambda: (1 + layer.scale(beside)) * frames + layer.shift(beside),
    }[kind]()
    torch.testing.assert_close(layer(x, emb).transpose(1, 2), want)


@pytest.mark.parametrize("hidden", [0, 4])
def test_film_begins_as_identity_and_can_leave_it(hidden):
    layer, x, emb = Fusion("film", C, D, film_hidden=hidden), torch.randn(B, C, 4), torch.randn(B, D)
    out = layer(x, emb)
    torch.testing.assert_close(out, x)
    out.square().sum().backward()
    assert layer.scale[-1].weight.grad.abs().sum() > 0


def test_every_row_is_fused_with_its_own_embedding():
    layer, x, emb = Fusion("concat", C, D), torch.randn(B, C, 4), torch.randn(B, D)
    torch.testing.assert_close(layer(x, emb)[1:2], layer(x[1:2], emb[1:2]))


def test_embedding_transform_keeps_the_shape():
    assert EmbeddingTransform(D)(torch.randn(B, D)).shape == (B, D)
