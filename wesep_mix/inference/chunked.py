"""Extraction and separation of signals of any length, in chunks that overlap and are faded into each other.

The network works on one chunk at a time, so its memory is that of a chunk however long the signal is; the signal and
the estimates are held whole, outside of the device. Of the stretch that two chunks share, a quarter at either end
is there for context alone: the fade takes place in the middle half. So the output is that of the whole signal where
no sample of it depends on others further away than a quarter of the overlap. Chunks begin on the network's frames.

Levels: a network that works at unit level is given the whole signal's in every chunk (models.layers.network). One whose norms
leave the level of its output open (`free_level`) would have a level of its own in every chunk: there each chunk is
brought to the level that the talker has in the mixture. Where the talker is silent that is too loud, by as much as the
network suppresses the others; there the chunk is brought to the level of those beside it.

B batch, S speakers, T samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wesep_mix.inference.settings import WHOLE, Chunks
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.matching.assignment import best_assignment
from wesep_mix.models.layers.network import Longer, Network, unit_level

APART = 2.0  # two chunks whose levels differ by this factor in what they share are not both right
ALIKE = 3.0  # a chunk that is louder than its shared part by less than this factor says nothing more outside of it


@torch.inference_mode()
def extract(
    model: Network,
    mix: Tensor,
    emb: Tensor | None,
    chunks: Chunks = WHOLE,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """An extractor's estimates of mixtures.

    Args:
        model: mixture and embedding -> that talker.
        mix: float32 [B, T].
        emb: [B, D], or None.
        chunks: length of a chunk, and of what two share.
        device: where the model is.
        progress: called with the numbers of chunks done and in all.

    Returns:
        float32 [B, T], on the CPU.
    """
    emb = None if emb is None else emb.to(device)
    return _in_chunks(model, lambda chunk, longer: model(chunk, emb, longer), mix, chunks, device, progress)


@torch.inference_mode()
def separate(model: Network, mix: Tensor, chunks: Chunks = WHOLE, device: str = "cpu") -> Tensor:
    """A separator's estimates of mixtures: float32 [B, T] -> float32 [B, S, T], on the CPU.

    The speakers' order is that of the first chunk. Who is who in the next is known from what they share alone: where
    all are silent there, the order behind it is as likely another one.
    """
    return _in_chunks(model, model, mix, chunks, device)


def chunk_starts(num_samples: int, size: int, overlap: int, grid: int) -> list[int]:
    """Where chunks of `size` samples begin so that they cover the signal: multiples of `grid`.

    Consecutive ones share at least `overlap` samples. The last one ends with the signal and is shorter by less than
    `grid`.
    """
    if num_samples <= size:
        return [0]
    step = max(1, (size - overlap) // grid) * grid
    last = -(-(num_samples - size) // grid) * grid
    return [*range(0, last, step), last]


def _in_chunks(
    model: Network,
    estimate: Callable[[Tensor, Longer | None], Tensor],
    mix: Tensor,
    chunks: Chunks,
    device: str,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """`estimate`, the model's of a chunk [B, t] on the device -> [B, ..., t], over all of the mixture: [B, ..., T]."""
    size, overlap = (round(seconds * SAMPLE_RATE) for seconds in (chunks.chunk_s, chunks.overlap_s))
    if chunks == WHOLE or mix.shape[1] <= size:
        return estimate(mix.to(device), None).float().cpu()
    level, energy, before, total = unit_level(mix).to(device), mix.new_zeros(len(mix), 1).double(), 0, None
    starts = chunk_starts(mix.shape[1], size, overlap, model.frame_step)
    for done, start in enumerate(starts, start=1):
        energy = energy + mix[:, before:start].double().square().sum(1, keepdim=True)
        longer = Longer(level, energy.to(device), start)
        chunk = mix[:, start : start + size]
        est = estimate(chunk.to(device), longer).float().cpu()
        if model.free_level:
            est = at_mixture_level(est, chunk)
        if total is None:
            total = est.new_zeros(*est.shape[:-1], mix.shape[1])
            total[..., :size] = est
        else:
            shared = before + size - start
            if model.free_level:
                est = at_one_level(total, est, start, shared)
            _join(total, est, start, shared, round(overlap / 2))
        before = start
        if progress is not None:
            progress(done, len(starts))
    return total


def at_one_level(total: Tensor, est: Tensor, start: int, shared: int) -> Tensor:
    """The next chunk, which begins at `start`, and all before it, `total` (written to), at one level: [B, t] -> [B, t].

    A fit to the mixture is right where the talker speaks and too loud where not. So of two that are far apart in what
    they share the louder gives way, if what they share is as loud as the rest of it: it then heard the talker nowhere.
    """
    earlier = total[:, : start + shared]
    old, new = _rms(earlier[:, start:]), _rms(est[:, :shared])
    factor = torch.where((old > 0) & (new > 0), new / old, 1.0)
    too_loud = (factor > APART) & (_rms(est) < ALIKE * new)
    too_loud_before = (factor < 1 / APART) & (_rms(earlier) < ALIKE * old)
    earlier.mul_(torch.where(too_loud_before, factor, 1.0))
    return torch.where(too_loud, est / factor, est)


def _rms(wav: Tensor) -> Tensor:
    return wav.square().mean(-1, keepdim=True).sqrt()


def _join(total: Tensor, est: Tensor, start: int, shared: int, fade: int) -> None:
    """Go over to the next chunk, which begins at `start`, in the middle of what it shares with those before.

    total: [B, ..., T], written to; est: [B, ..., t].
    """
    earlier = total[..., start : start + shared]
    if est.dim() == 3:
        est = same_order(est, earlier)
    weight = (torch.arange(shared) - (shared - fade) / 2 + 0.5).div(max(fade, 1)).clamp(0, 1)
    earlier.lerp_(est[..., :shared], weight)
    total[..., start + shared : start + est.shape[-1]] = est[..., shared:]


def same_order(est: Tensor, earlier: Tensor) -> Tensor:
    """The speakers of a chunk in the order of those before it, by what both have: [B, S, t], [B, S, o] -> [B, S, t]."""
    begin = est[..., : earlier.shape[-1]]
    costs = torch.stack([(begin - one[:, None]).square().mean(-1) for one in earlier.unbind(1)], 2)  # [B, S, S]
    chosen = best_assignment(costs)[1]  # for every speaker the estimate
    return est.gather(1, chosen[..., None].expand_as(est))


def at_mixture_level(est: Tensor, mix: Tensor) -> Tensor:
    """Scale estimates [..., T] to the level that their talkers have in the mixture, [..., T] or of a shape that
    broadcasts to theirs.

    SI-SDR leaves the level open. Speech is uncorrelated with the other talkers and the noise, so the factor that
    fits an estimate to the mixture best (least squares) is the one that restores its level.
    """
    return est * ((est * mix).sum(-1, keepdim=True) / est.square().sum(-1, keepdim=True).clamp(min=1e-12))
