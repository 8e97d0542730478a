"""Extraction and separation of signals of any length, in chunks that overlap and fade into each other.

The network works on one chunk at a time, so it needs the memory of a chunk however long the signal is; signal and
estimates are held whole, in the memory of the CPU. Of what two chunks share, a quarter at either end is context alone,
and the fade takes place in the middle half. So the output equals that of the whole signal if no sample of it depends on
input further away than a quarter of the overlap. Chunks begin on the network's frames.

Levels: a network that normalises its input's level is given the level of the whole signal with every chunk
(models.layers.network). A network whose norms leave the level of its output open (`free_level`) would give every chunk
another level; so each chunk is scaled to the level that the talker has in the mixture. Where the talker is silent that
is too loud, by as much as the network suppresses the others; there the chunk takes the level of its neighbours.

B batch, S speakers, T samples.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wesep_mix.inference.settings import WHOLE, Chunks
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.matching.assignment import best_assignment
from wesep_mix.models.layers.network import SILENT, Longer, Network, at_mixture_level

MAX_LEVEL_RATIO = 2.0  # between two chunks in what they share: above it one of them has a wrong level
MAX_RISE = 3.0  # of a chunk over its shared part: below it the chunk holds no speech that the shared part lacks


@torch.inference_mode()
def extract(
    model: Network,
    mix: Tensor,
    emb: Tensor | None,
    chunks: Chunks = WHOLE,
    device: str = "cpu",
    into: Tensor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Extract a talker of each mixture.

    Args:
        model: the extractor.
        mix: float32 [B, T] at 16 kHz.
        emb: the talkers' embeddings, float32 [B, D]; None for a network without.
        chunks: length and overlap of the chunks.
        device: `cpu` or `cuda`.
        into: a tensor of the mixtures' shape to put the output into, which may be mapped from a file.
        progress: called with the numbers of chunks done and in all.

    Returns:
        float32 [B, T] on the CPU; `into` where it is given.
    """
    emb = None if emb is None else emb.to(device)
    return _in_chunks(model, lambda chunk, longer: model(chunk, emb, longer), mix, chunks, device, into, progress)


@torch.inference_mode()
def separate(model: Network, mix: Tensor, chunks: Chunks = WHOLE, device: str = "cpu") -> Tensor:
    """Separate mixtures.

    The order of the talkers is that of the first chunk. The next chunk is put in order by what the two share; where all
    are silent there, the talkers may change places.

    Args:
        model: the separator.
        mix: float32 [B, T] at 16 kHz.
        chunks: length and overlap of the chunks.
        device: `cpu` or `cuda`.

    Returns:
        float32 [B, S, T] on the CPU.
    """
    return _in_chunks(model, model, mix, chunks, device)


def chunk_starts(num_samples: int, size: int, overlap: int, grid: int) -> list[int]:
    """Where chunks begin, so that they cover the signal.

    Consecutive chunks share at least `overlap` samples. The last one ends with the signal and is shorter by less than
    `grid`.

    Args:
        num_samples: length of the signal.
        size: length of a chunk.
        overlap: samples that consecutive chunks share at least.
        grid: chunks begin at multiples of this.

    Returns:
        The first sample of each chunk.
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
    into: Tensor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Apply `estimate`, chunk [B, t] on the device -> [B, ..., t], to all of the mixture: [B, ..., T], put `into` a
    tensor of that shape if there is one.
    """
    size, overlap = (round(seconds * SAMPLE_RATE) for seconds in (chunks.chunk_s, chunks.overlap_s))
    if chunks == WHOLE or mix.shape[1] <= size:
        est = estimate(mix.to(device), None).float().cpu()
        return est if into is None else into.copy_(est)
    level, energy, before, total = _level(mix).to(device), mix.new_zeros(len(mix), 1).double(), 0, None
    starts = chunk_starts(mix.shape[1], size, overlap, model.frame_step)
    for done, start in enumerate(starts, start=1):
        energy = energy + mix[:, before:start].double().square().sum(1, keepdim=True)
        longer = Longer(level, energy.to(device), start)
        chunk = mix[:, start : start + size]
        est = estimate(chunk.to(device), longer).float().cpu()
        if model.free_level:
            est = at_mixture_level(est, chunk)
        if total is None:
            total = est.new_zeros(*est.shape[:-1], mix.shape[1]) if into is None else into
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


def _level(mix: Tensor) -> Tensor:
    """The level of a whole signal, [B, 1], without a copy of all of it: a long one need not fit into memory."""
    step = 30 * SAMPLE_RATE
    parts = (
        mix[:, first : first + step].double().square().sum(1, keepdim=True) for first in range(0, mix.shape[1], step)
    )
    level = (sum(parts) / mix.shape[1]).sqrt().float()
    return torch.where(level > SILENT, level, 1.0)


def at_one_level(total: Tensor, est: Tensor, start: int, shared: int) -> Tensor:
    """Bring the next chunk and all before it to one level.

    Scaling to the mixture is right where the talker speaks and too loud where not. So if two levels differ much in what
    the chunks share, the louder one is scaled down, unless it is much louder elsewhere: there it has the talker.

    Args:
        total: the estimate so far, [B, T]; changed in place where it was too loud.
        est: of the next chunk, [B, t].
        start: first sample of the next chunk.
        shared: samples that it shares with those before.

    Returns:
        The next chunk, [B, t].
    """
    earlier = total[:, : start + shared]
    old, new = _rms(earlier[:, start:]), _rms(est[:, :shared])
    factor = torch.where((old > 0) & (new > 0), new / old, 1.0)
    too_loud = (factor > MAX_LEVEL_RATIO) & (_rms(est) < MAX_RISE * new)
    too_loud_before = (factor < 1 / MAX_LEVEL_RATIO) & (_rms(earlier) < MAX_RISE * old)
    earlier.mul_(torch.where(too_loud_before, factor, 1.0))
    return torch.where(too_loud, est / factor, est)


def _rms(wav: Tensor) -> Tensor:
    return wav.square().mean(-1, keepdim=True).sqrt()


def _join(total: Tensor, est: Tensor, start: int, shared: int, fade: int) -> None:
    """Fade from `total` [B, ..., T], changed in place, to the next chunk [B, ..., t], which begins at `start`."""
    earlier = total[..., start : start + shared]
    if est.dim() == 3:
        est = same_order(est, earlier)
    weight = (torch.arange(shared) - (shared - fade) / 2 + 0.5).div(max(fade, 1)).clamp(0, 1)
    earlier.lerp_(est[..., :shared], weight)
    total[..., start + shared : start + est.shape[-1]] = est[..., shared:]


def same_order(est: Tensor, earlier: Tensor) -> Tensor:
    """Put the talkers of a chunk in the order of the chunks before it, by what they share.

    Args:
        est: of the chunk, [B, S, t].
        earlier: what those before have of its first o samples, [B, S, o].

    Returns:
        `est` in the order of `earlier`.
    """
    begin = est[..., : earlier.shape[-1]]
    costs = torch.stack([(begin - one[:, None]).square().mean(-1) for one in earlier.unbind(1)], 2)  # [B, S, S]
    chosen = best_assignment(costs)[1]  # for every talker the estimate
    return est.gather(1, chosen[..., None].expand_as(est))
