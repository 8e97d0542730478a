"""What a separator is trained on."""

import dataclasses

import pytest
import torch

from wesep_mix.bin import train_separator
from wesep_mix.losses.signal import upit_loss
from wesep_mix.models import checkpoint
from wesep_mix.models.separators import conv_tasnet
from wesep_mix.training.separator import SeparatorTraining, build_separator
from wesep_mix.training.settings import SeparatorConfig, TrainerConfig

TINY = conv_tasnet.Config(num_filters=8, window=16, bottleneck=6, hidden=8, num_blocks=2, num_stacks=1)
YAML = """
seed: 1
model: {name: conv_tasnet, num_filters: 8, window: 16, bottleneck: 6, hidden: 8, num_blocks: 2, num_stacks: 1}
trainer: {max_steps: 4, steps_per_epoch: 2, num_workers: 0}
batch_size: 2
chunk_s: 0.25
"""


class Echo(torch.nn.Module):
    """Keeps the mixtures that it was given; its estimates are shifted copies of them."""

    def forward(self, mix):
        self.mix = mix
        return torch.stack([mix, mix.roll(7, dims=1)], 1)


def module_of(chunk_s: float) -> SeparatorTraining:
    settings = SeparatorConfig(model=TINY, trainer=TrainerConfig(max_steps=2, steps_per_epoch=2), chunk_s=chunk_s)
    return SeparatorTraining(settings, Echo())


@pytest.mark.parametrize("chance", [0.0, 0.4, 0.9999])
def test_a_chunk_of_the_mixture_goes_with_the_same_chunk_of_all_sources(batch, chance):
    batch = dataclasses.replace(batch, chance=torch.full((4, 2), chance))
    module = module_of(0.25)
    loss, sources = module.loss(batch), []
    assert module.model.mix.shape == (4, 4000)
    for row, chunk in enumerate(module.model.mix):
        (start,) = (batch.mix[row].unfold(0, 4000, 1) == chunk).all(-1).nonzero()[:, 0].tolist()
        sources.append(batch.sources[row, :, start : start + 4000])
        for offset, size in zip(batch.offsets[row].tolist(), batch.sizes[row].tolist(), strict=True):
            assert min(start + 4000, offset + size) - max(start, offset) >= 1000
    torch.testing.assert_close(loss, upit_loss(module.model(module.model.mix), torch.stack(sources)))


def test_chunks_are_drawn_from_all_that_hold_every_talker(batch):
    ends = [
        module_of(0.25)._chunk_starts(dataclasses.replace(batch, chance=torch.full((4, 2), chance)), 4000)
        for chance in (0.0, 1 - 2**-24)
    ]
    for row in range(4):
        first, last = int(batch.offsets[row].max()) - 3000, int((batch.offsets + batch.sizes)[row].min()) - 1000
        assert ends[0][row] == max(0, first) and ends[1][row] == min(int(batch.num_samples[row]) - 4000, last)


def test_talkers_too_far_apart_for_a_chunk_share_what_there_is(batch):
    """The first ends before the third begins: between the two bounds a chunk comes as near to both as can be."""
    apart = dataclasses.replace(
        batch,
        offsets=torch.tensor([[0, 2500, 7500]] * 4),
        sizes=torch.full((4, 3), 5000),
        num_samples=torch.full((4,), 12500),
    )
    starts = module_of(0.25)._chunk_starts(apart, 4000)
    assert all(4000 <= start <= 4500 for start in starts.tolist())


def test_no_chunk_length_means_whole_mixtures_each_as_long_as_it_is(batch):
    assert len(set(batch.num_samples.tolist())) > 1
    module = module_of(0.0)
    loss, est = module.loss(batch), module.model(batch.mix)
    alone = [
        upit_loss(est[row : row + 1, :, :size], batch.sources[row : row + 1, :, :size])
        for row, size in enumerate(batch.num_samples.tolist())
    ]
    torch.testing.assert_close(loss, torch.stack(alone).mean())
    assert torch.equal(module.model.mix, batch.mix)


@pytest.mark.parametrize("num_spk", [1, 2, 3])
def test_a_separator_has_an_output_a_talker(num_spk):
    model = build_separator(SeparatorConfig(model=TINY), num_spk)
    assert model.config == dataclasses.replace(TINY, num_spk=num_spk)
    assert model(torch.randn(1, 500)).shape == (1, num_spk, 500)


def test_a_chunk_length_below_nothing_is_refused():
    with pytest.raises(ValueError, match="chunk_s: wanted seconds"):
        SeparatorConfig(model=TINY, chunk_s=-1.0)


def test_it_is_trained_from_files_once(prepared, tmp_path, capsys):
    config, out = tmp_path / "conf" / "separator" / "conv_tasnet.yaml", tmp_path / "exp" / "conv_tasnet" / "separated"
    config.parent.mkdir(parents=True)
    config.write_text(YAML)
    arguments = [f"--config={config}", f"--data={prepared / '2mix'}", "--num_spk=2", f"--out={out}"]
    assert train_separator.main([*arguments, "--set=separator.batch_size=3"]) == 0
    assert checkpoint.load_notes(out / "model.pt", "separators")["num_steps"] == 4
    model = checkpoint.load_model(out / "model.pt", "separators")
    assert model.config == dataclasses.replace(TINY, num_spk=2)
    capsys.readouterr()
    assert train_separator.main([*arguments, "--set=separator.batch_size=3"]) == 0
    assert "done already" in capsys.readouterr().out


def test_what_is_not_prepared_is_named(tmp_path, capsys):
    (tmp_path / "separator.yaml").write_text(YAML)
    arguments = [f"--config={tmp_path / 'separator.yaml'}", f"--data={tmp_path / '2mix'}", "--num_spk=2"]
    assert train_separator.main([*arguments, f"--out={tmp_path / 'out'}"]) == 1
    assert "stage 5 (separator) needs" in capsys.readouterr().err
