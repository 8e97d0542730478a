"""Long signals in chunks: the same as whole where the network allows it, no seam to be heard elsewhere."""

import pytest
import torch

from wesep_mix.base import plugins
from wesep_mix.inference.chunked import at_one_level, chunk_starts, extract, same_order, separate
from wesep_mix.inference.settings import WHOLE, Chunks, ExtractConfig
from wesep_mix.models.layers.network import Network

D = 4
CHUNKS = Chunks(chunk_s=0.5, overlap_s=0.2)  # 50 ms of context at either end
LOCAL = {  # of so short a memory that the context holds it
    "stft_tcn": {"window": 128, "hop": 64, "channels": 8, "hidden": 8, "num_blocks": 2, "num_stacks": 1},
    "stft_tcn/causal": {
        "window": 128,
        "hop": 64,
        "channels": 8,
        "hidden": 8,
        "num_blocks": 2,
        "num_stacks": 1,
        "causal": True,
    },
    "spexplus": {
        "filters": 8,
        "channels": 8,
        "hidden": 8,
        "num_stacks": 1,
        "num_blocks": 3,
        "norm": "channel",
        "unit_level": True,
    },
    "pdccrn": {"window": 64, "hop": 32, "n_fft": 128, "channels": (4, 6, 8), "lstm_hidden": 8},
    "pdccrn/unit_level": {
        "window": 64,
        "hop": 32,
        "n_fft": 128,
        "channels": (4, 6, 8),
        "lstm_hidden": 8,
        "unit_level": True,
    },
}
GLOBAL = {  # norms over all of their input
    "dpccn": {
        "n_fft": 128,
        "hop": 32,
        "dense_channels": (4, 6),
        "conv_channels": (8, 8),
        "dense_depth": 2,
        "tcn_repeats": 1,
        "tcn_blocks": 3,
        "pool_sizes": (4, 8),
        "pool_channels": 3,
    },
    "spexplus": {"filters": 8, "channels": 8, "hidden": 8, "num_stacks": 1, "num_blocks": 3},
}
TASNET = {"num_filters": 8, "window": 16, "bottleneck": 6, "hidden": 8, "num_blocks": 2, "num_stacks": 1}


def build(name: str, settings: dict, kind: str = "extractors", **more):
    torch.manual_seed(0)
    name = name.partition("/")[0]
    model = plugins.build(kind, plugins.load(kind, name).Config(**settings, **more)).eval()
    for weight in model.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)
    return model


def speech(num_samples: int, batch: int = 1) -> torch.Tensor:
    """Smooth noise whose level moves by a factor of ten within a second, and so from chunk to chunk."""
    noise = torch.randn(batch, 1, num_samples + 8, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.conv1d(noise, torch.hann_window(9).view(1, 1, -1))[:, 0]
    time = torch.arange(num_samples) / 16000
    return 0.05 * smooth * 10 ** (0.5 * torch.sin(2 * torch.pi * (0.6 * time + torch.rand(batch, 1))))


class Faulty(Network):
    """Keeps a list of the lengths it was given; the estimates are the input times a gain, in an order of their own."""

    def __init__(self, gains=(1.0,), num_spk=None):
        super().__init__()
        self.gains, self.num_spk, self.lengths = gains, num_spk, []

    def forward(self, mix, emb=None, longer=None):
        gain = self.gains[len(self.lengths) % len(self.gains)]
        turn = len(self.lengths) % 2
        self.lengths.append(mix.shape[1])
        if self.num_spk is None:
            return gain * mix
        return torch.stack([mix, -0.3 * mix, mix.roll(40, 1)], 1).roll(turn, 1)


# where chunks lie


@pytest.mark.parametrize("size, overlap, grid", [(8000, 3200, 1), (8000, 4000, 256), (8000, 0, 10), (9000, 3000, 100)])
@pytest.mark.parametrize("num_samples", [1, 7999, 8000, 8001, 9000, 9001, 12345, 40000, 123456])
def test_chunks_cover_the_signal_and_share_enough(size, overlap, grid, num_samples):
    starts = chunk_starts(num_samples, size, overlap, grid)
    ends = [min(start + size, num_samples) for start in starts]
    assert starts[0] == 0 and ends[-1] == num_samples and all(start % grid == 0 for start in starts)
    for start, end, earlier in zip(starts[1:], ends[1:], ends[:-1], strict=True):
        assert earlier - start >= overlap and end > earlier
        assert end - start > size - grid  # none is much shorter than the others


# as whole


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("num_samples", [1, 100, 7999, 8000, 8001, 20011, 40000])
def test_a_network_of_short_memory_gives_what_it_gives_for_the_whole(name, num_samples):
    model, mix = build(name, LOCAL[name], embedding_dim=D), speech(num_samples, 2)
    emb = torch.randn(2, D)
    with torch.inference_mode():
        whole = model(mix, emb)
    found = extract(model, mix, emb, CHUNKS)
    assert found.shape == mix.shape
    if num_samples <= 8000:
        assert torch.equal(found, whole)
    assert (found - whole).abs().max() <= 1e-3 * whole.std(correction=0)


def test_without_context_it_would_not():
    """So that the tests above show something: chunks of their own level, laid end to end, are off."""
    model, mix, emb = build("stft_tcn", LOCAL["stft_tcn"], embedding_dim=D), speech(20011), torch.randn(1, D)
    with torch.inference_mode():
        whole = model(mix, emb)
        alone = torch.cat([model(part, emb) for part in mix.split(8000, 1)], 1)
    assert (alone - whole).abs().max() > 0.1 * whole.std()
    assert (extract(model, mix, emb, Chunks(0.5, 0.0)) - whole).abs().max() > 1e-2 * whole.std()


def test_whole_files_stay_whole():
    model = Faulty()
    mix = speech(30000)
    assert torch.equal(extract(model, mix, None, WHOLE), mix) and model.lengths == [30000]


# what a network is given


def test_a_network_never_sees_more_than_a_chunk_and_rows_stay_apart():
    model, mix = Faulty(), speech(100_000, 3)
    torch.testing.assert_close(extract(model, mix, None, CHUNKS), mix)
    assert max(model.lengths) == 8000 and len(model.lengths) == 21


def test_a_batch_gives_what_its_rows_give_alone():
    model, mix, emb = build("stft_tcn", LOCAL["stft_tcn"], embedding_dim=D), speech(20011, 3), torch.randn(3, D)
    together = extract(model, mix, emb, CHUNKS)
    for row in range(3):
        alone = extract(model, mix[row : row + 1], emb[row : row + 1], CHUNKS)
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


# seams


@pytest.mark.parametrize("name", GLOBAL)
def test_a_seam_is_no_jump(name):
    model, mix, emb = build(name, GLOBAL[name], embedding_dim=D), speech(40000), torch.randn(1, D)
    found = extract(model, mix, emb, CHUNKS)[0]
    with torch.inference_mode():
        whole = model(mix, emb)[0]
    steps, seams = found.diff().abs(), torch.zeros(39999, dtype=torch.bool)
    for start in chunk_starts(40000, 8000, 3200, model.frame_step)[1:]:
        for place in (start, start + 800, start + 1600, start + 2400, start + 3200):
            seams[max(place - 8, 0) : place + 8] = True
    level = mix[0].unfold(0, 400, 1).std(1)  # what the steps are to be held against
    relative = steps[200:-199] / level[: len(steps) - 399].clamp(min=1e-4)
    assert found.isfinite().all() and relative[seams[200:-199]].max() <= 1.05 * relative[~seams[200:-199]].max()
    if not model.free_level:  # untrained it has nothing of the mixture in its output, whose level then means nothing
        assert torch.corrcoef(torch.stack([found, whole]))[0, 1] > 0.7


def test_an_open_level_is_brought_to_the_mixtures_in_every_chunk():
    model, mix = Faulty(gains=(1.0, -20.0, 0.01)), speech(40000)
    off = extract(model, mix, None, CHUNKS)
    model.free_level = True
    torch.testing.assert_close(extract(model, mix, None, CHUNKS), mix)
    assert (off - mix).abs().max() > mix.std()


class OneOfTwo(Network):
    """Keeps what is above zero, the target's, and lets a hundredth of the rest through; its level is open."""

    free_level = True

    def forward(self, mix, emb=None, longer=None):
        est = torch.where(mix > 0, mix, 0.01 * mix)
        return est / est.square().mean(1, keepdim=True).sqrt().clamp(min=1e-9)


@pytest.mark.parametrize("turns", ["+-", "-+", "+--+", "--+-", "+-+---", "++"])
def test_where_the_talker_is_silent_an_open_level_is_that_of_the_chunks_beside(turns):
    """'+': the target talks for a second, '-': another one does."""
    parts = [torch.rand(2, 16000).add(0.1).mul(1.0 if turn == "+" else -1.0) for turn in turns]
    found = extract(OneOfTwo(), torch.cat(parts, 1), None, CHUNKS)
    for turn, part, est in zip(turns, parts, found.split(16000, 1), strict=True):
        # where chunks with the target in them begin and end, a little of the other one's is louder
        torch.testing.assert_close(
            est[:, 4800:-4800], (part if turn == "+" else 0.01 * part)[:, 4800:-4800], atol=2e-3, rtol=0.05
        )


@pytest.mark.parametrize(
    "levels, before, after",
    [
        ((1, 1, 1.5, 1.5), 1, 1),  # near enough
        ((1, 0.01, 1, 1), 1, 0.01),  # the next chunk heard the talker nowhere
        ((1, 0.01, 0.1, 1), 1, 1),  # the talker begins again behind what they share
        ((1, 1, 0.01, 0.01), 0.01, 1),  # none of those before heard the talker
        ((1, 0.1, 0.01, 0.01), 1, 1),  # they did, in front of what they share
        ((1, 0, 1, 1), 1, 1),
        ((1, 1, 0, 1), 1, 1),
        ((1, 0, 0, 1), 1, 1),  # silence says nothing
    ],
)
def test_the_louder_of_two_gives_way_where_it_is_no_louder_elsewhere(levels, before, after):
    """levels: of those before in front of the shared stretch and in it, of the next chunk in it and behind it."""
    early, old, new, late = (torch.full((1, 40), float(level)) for level in levels)
    total, est = torch.cat([early, old, torch.full((1, 40), 7.0)], 1), torch.cat([new, late], 1)
    found = at_one_level(total, est.clone(), 40, 40)
    torch.testing.assert_close(found, after * est)
    torch.testing.assert_close(total[:, :80], before * torch.cat([early, old], 1))
    assert (total[:, 80:] == 7).all()


def test_an_open_level_in_silence_stays():
    mix = torch.cat([torch.rand(1, 16000), torch.zeros(1, 32000), torch.rand(1, 16000)], 1)
    torch.testing.assert_close(extract(OneOfTwo(), mix, None, CHUNKS), mix, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name, step", [("stft_tcn", 64), ("spexplus", 10), ("pdccrn", 32), ("dpccn", 32)])
def test_an_extractor_says_how_far_apart_its_frames_are(name, step):
    assert build(name, (LOCAL | GLOBAL)[name]).frame_step == step


def test_dpccn_says_that_its_level_is_open_and_it_is():
    model, mix, emb = build("dpccn", GLOBAL["dpccn"], embedding_dim=D), speech(8000), torch.randn(1, D)
    with torch.inference_mode():
        assert model.free_level and model(100 * mix, emb).std() < 3 * model(mix, emb).std()


# separators


def test_the_speakers_of_a_chunk_get_the_order_of_those_before():
    talkers = torch.randn(2, 3, 50)
    order = torch.tensor([[2, 0, 1], [0, 2, 1]])
    moved = talkers.gather(1, order[..., None].expand_as(talkers))
    assert torch.equal(same_order(moved, talkers[..., :20]), talkers)


@pytest.mark.parametrize("num_samples", [100, 8000, 8001, 30001])
def test_a_separators_talkers_keep_their_places(num_samples):
    mix = speech(num_samples, 2)
    found = separate(Faulty(num_spk=3), mix, CHUNKS)
    assert found.shape == (2, 3, num_samples)
    torch.testing.assert_close(found[:, :2], torch.stack([mix, -0.3 * mix], 1))


@pytest.mark.parametrize("num_samples", [1, 8000, 8001, 30001])
def test_conv_tasnet_in_chunks(num_samples):
    model, mix = build("conv_tasnet", TASNET, "separators", num_spk=3), speech(num_samples, 2)
    found = separate(model, mix, CHUNKS)
    with torch.inference_mode():
        whole = model(mix)
    assert found.shape == whole.shape and found.isfinite().all()
    if num_samples > 8000:
        rows = torch.stack([found.flatten(0, 1), whole.flatten(0, 1)], 1)
        assert all(torch.corrcoef(row)[0, 1] > 0.9 for row in rows)


# settings


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"chunk_s": -1.0}, "chunk_s: wanted seconds from 0.5 on, or 0"),
        ({"chunk_s": 0.1}, "found 0.1"),
        ({"chunk_s": 4.0, "overlap_s": 2.1}, "overlap_s: wanted 0 to half of chunk_s 4.0, found 2.1"),
        ({"chunk_s": 4.0, "overlap_s": -0.1}, "overlap_s"),
    ],
)
def test_chunks_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ExtractConfig(**settings)


def test_the_default_is_whole_files():
    assert ExtractConfig().chunks == WHOLE == ExtractConfig(overlap_s=3.0).chunks
    assert ExtractConfig(chunk_s=8.0).chunks == Chunks(8.0, 1.0)
