import dataclasses

import pytest
import torch
from torch.nn import functional

from wesep_mix.base.errors import UserError
from wesep_mix.models.extractors.spexplus import Config, GlobalNorm, Model
from wesep_mix.models.layers.fusion import FUSIONS

KINDS = (*FUSIONS, "concat_conv")
SMALL = Config(embedding_dim=6, windows=(20, 32, 64), filters=8, channels=6, hidden=10, num_stacks=2, num_blocks=3)


def small(seed: int = 0, **changes) -> Model:
    torch.manual_seed(seed)
    return Model(dataclasses.replace(SMALL, **changes)).eval()


def emb_for(model: Model, batch: int) -> torch.Tensor | None:
    return None if model.config.fusion == "none" else torch.randn(batch, model.config.embedding_dim)


def test_default_size_is_weseps_recipe():
    with torch.device("meta"):
        assert sum(weight.numel() for weight in Model(Config()).parameters()) == 9_598_275


@pytest.mark.parametrize(
    "hidden, film",
    [
        (0, 2 * (256 * 256 + 256)),  # a linear layer each for scale and shift of 256 channels
        (128, 2 * (256 * 128 + 128 + 128 * 256 + 256)),  # two layers each
    ],
)
def test_with_film_each_stack_has_its_own_in_front_and_the_printed_size_stays(hidden, film):
    concat_conv = 4 * 512 * 256  # the first convolution of each of four stacks sees the embedding
    entries = 4 * (film + 1 + 2 * 256)  # with PReLU, and weight and bias of the norm
    with torch.device("meta"):
        found = sum(weight.numel() for weight in Model(Config(fusion="film", film_hidden=hidden)).parameters())
    assert found == 9_598_275 - concat_conv + entries
    assert f"{found / 1e6:.2f}" == "9.60"


@pytest.mark.parametrize("num_samples", [1, 19, 20, 21, 29, 30, 31, 1600, 1601])
def test_any_length_is_finite_and_kept(num_samples):
    ests = small().estimates(torch.randn(2, num_samples), torch.randn(2, 6))
    assert ests.shape == (2, 3, num_samples) and ests.dtype == torch.float32 and ests.isfinite().all()


def test_the_first_estimate_is_the_output():
    model, mix, emb = small(unit_level=True), torch.randn(2, 700), torch.randn(2, 6)
    assert torch.equal(model.estimates(mix, emb)[:, 0], model(mix, emb))


@pytest.mark.parametrize("length, frames", [(1, 1), (20, 1), (29, 1), (30, 2), (39, 2), (700, 69)])
def test_all_windows_have_the_short_ones_frames_and_begin_together(length, frames):
    model, mix = small(), torch.randn(1, length)
    codes = model.encode(mix)
    assert [code.shape for code in codes] == [(1, 8, frames)] * 3
    padded = functional.pad(mix, (0, 100))
    for code, conv, window in zip(codes, model.encoders, model.config.windows, strict=True):
        start = 10 * (frames - 1)
        kept = padded[:, start : start + window]
        last = (conv.weight[:, 0] @ kept[0] + conv.bias).relu()
        torch.testing.assert_close(code[0, :, -1], last, atol=1e-5, rtol=1e-4)


def test_samples_behind_the_last_frame_are_heard_by_longer_windows_only():
    model, mix, emb = small(windows=(20, 20, 20)), torch.randn(1, 309), torch.randn(1, 6)
    other = mix.clone()
    other[:, 300:] = 0
    torch.testing.assert_close(model.estimates(mix, emb)[..., :300], model.estimates(other, emb)[..., :300])
    assert not model(mix, emb)[:, 300:].any()


def test_one_estimate_is_mask_times_code_through_its_decoder():
    model, mix, emb = small(), torch.randn(1, 300), torch.randn(1, 6)
    codes = model.encode(mix)
    x = model.separate(codes, emb)
    for place, window in enumerate(model.config.windows):
        masked = codes[place] * model.masks[place](x).relu()  # [1, 8, 29]
        want = torch.full((10 * 28 + window,), model.decoders[place].bias.item())
        for frame in range(29):
            want[10 * frame : 10 * frame + window] += masked[0, :, frame] @ model.decoders[place].weight[:, 0]
        torch.testing.assert_close(model.estimates(mix, emb)[0, place], want[:300], atol=1e-5, rtol=1e-4)


def test_global_norm_after_prelu():
    norm, act, x = GlobalNorm(3), torch.nn.PReLU(), torch.randn(2, 3, 50) * 4 + 1
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    y = torch.where(x > 0, x, 0.25 * x)
    mean, var = y.mean((1, 2), keepdim=True), y.var((1, 2), unbiased=False, keepdim=True)
    torch.testing.assert_close(norm(act(x)), norm.weight * (y - mean) / (var + 1e-5).sqrt() + norm.bias)


def test_the_embedding_joins_a_blocks_input_as_if_it_stood_beside_every_frame():
    block, x, emb = small().stacks[0].entry, torch.randn(2, 6, 11), torch.randn(2, 6)
    beside = torch.cat([x, emb[..., None].expand(-1, -1, 11)], 1)
    torch.testing.assert_close(block.widen(x, emb), block.widen(beside))


@pytest.mark.parametrize("fusion, blocks, entries", [("concat_conv", 2, 1), ("film", 3, 1), ("none", 3, 0)])
def test_blocks_of_a_stack(fusion, blocks, entries):
    for stack in small(fusion=fusion).stacks:
        dilations = [block.depthwise.dilation[0] for block in stack.blocks]
        assert dilations == [1, 2, 4][3 - blocks :] and (stack.entry is not None) == bool(entries)


def test_skip_connections_are_what_a_stack_gives():
    stack, x, emb = small(skip=True, fusion="film").stacks[0], torch.randn(1, 6, 40), torch.randn(1, 6)
    total, flow = 0, stack.entry(x, emb)
    for block in stack.blocks:
        inner = block.norm_in(block.act_in(block.widen(flow)))
        inner = block.norm_out(block.act_out(block.depthwise(inner)))
        total, flow = total + block.skip(inner), flow + block.narrow(inner)
    torch.testing.assert_close(stack(x, emb), total)


@pytest.mark.parametrize("norm", ["global", "channel", "batch"])
@pytest.mark.parametrize("skip", [False, True])
def test_what_is_recomputed_has_the_same_gradients(norm, skip):
    """And batch norm notes each batch once."""
    results = []
    for recompute in (False, True):
        model = small(norm=norm, skip=skip, fusion="film", recompute=recompute).train()
        torch.manual_seed(5)
        model.estimates(torch.randn(2, 900), torch.randn(2, 6)).square().sum().backward()
        results.append([weight.grad for weight in model.parameters() if weight.requires_grad] + list(model.buffers()))
    rounding = {"rtol": 1e-3, "atol": 1e-5} if norm == "global" else {"rtol": 0, "atol": 0}
    torch.testing.assert_close(*results, **rounding)


def test_recomputing_keeps_less_for_the_backward_pass():
    def kept(recompute):
        seen = {}

        def note(value):
            seen[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
            return value

        model = small(recompute=recompute, hidden=40)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
            ests = model.estimates(torch.randn(1, 8000), torch.randn(1, 6))
        assert ests.requires_grad
        return sum(seen.values())

    assert kept(True) < 0.7 * kept(False)


@pytest.mark.parametrize("norm", ["global", "channel", "batch"])
@pytest.mark.parametrize("fusion", KINDS)
@pytest.mark.parametrize("skip", [False, True])
def test_the_loss_reaches_every_trained_parameter(norm, fusion, skip):
    model = small(norm=norm, fusion=fusion, skip=skip, transform_embedding=True).train()
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    ests = model.estimates(torch.randn(3, 900), emb_for(model, 3))
    (ests * torch.randn_like(ests)).sum().backward()
    trained = [(name, weight.grad) for name, weight in model.named_parameters() if weight.requires_grad]
    assert [name for name, gradient in trained if gradient is None or not gradient.any()] == []


@pytest.mark.parametrize("unit_level", [False, True])
def test_silence_gives_finite_samples_and_gradients(unit_level):
    model = small(unit_level=unit_level)
    ests = model.estimates(torch.zeros(1, 800), torch.randn(1, 6))
    ests.square().sum().backward()
    assert ests.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(
    "changes, lookahead",
    [
        ({"causal": True, "norm": "channel"}, 63),
        ({"causal": True, "norm": "batch", "fusion": "film"}, 63),
        ({"causal": True, "norm": "channel", "windows": (16, 16), "stride": 8, "skip": True, "kernel_size": 2}, 15),
    ],
)
def test_a_causal_model_looks_a_window_ahead_and_no_further(changes, lookahead):
    model, emb = small(**changes), torch.randn(1, 6)
    assert model.lookahead == lookahead
    mix, at = torch.randn(1, 900), 500
    other = mix.clone()
    other[:, at + lookahead + 1 :] += 1  # behind what sample `at` may know
    change = (model.estimates(mix, emb) - model.estimates(other, emb)).abs()[0].amax(0)
    assert change[: at + 1].max() < 1e-5 and change[at + lookahead + 2 :].max() > 1e-3


@pytest.mark.parametrize("changes", [{}, {"causal": True}, {"norm": "channel"}])
def test_otherwise_a_sample_depends_on_the_whole_mixture(changes):
    model, emb, mix = small(**changes), torch.randn(1, 6), torch.randn(1, 900)
    assert model.lookahead is None
    other = mix.clone()
    other[:, 400:] *= 3
    change = (model(mix, emb) - model(other, emb)).abs()[0]
    assert change[:300].max() > 1e-5


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fusion": "cat"}, "fusion: wanted none, .*, film or concat_conv, found 'cat'"),
        ({"norm": "gLN"}, "norm: wanted global, channel or batch, found 'gLN'"),
        ({"mask": "softmax"}, "mask: wanted relu or sigmoid, found 'softmax'"),
        ({"num_blocks": 0}, "num_blocks"),
        ({"windows": ()}, "windows"),
        ({"stride": 21}, "stride"),
        ({"kernel_size": 4}, "kernel_size: wanted an odd"),
        ({"skip": True, "num_blocks": 1}, "skip"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


@pytest.mark.parametrize(
    "mix, emb, found",
    [
        (torch.full((1, 900), torch.nan), torch.zeros(1, 6), "NaN or infinity in mixture 0"),
        (torch.zeros(2, 900), torch.tensor([[0.0] * 6, [torch.inf] * 6]), "NaN or infinity in embedding 1"),
        (torch.zeros(1, 900), torch.zeros(1, 7), r"found \[1, 7\]"),
    ],
)
def test_what_is_refused(mix, emb, found):
    for call in (small(), small().estimates):
        with pytest.raises(UserError, match=found):
            call(mix, emb)
