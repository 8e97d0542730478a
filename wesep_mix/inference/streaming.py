"""Extraction of samples as they come, by a causal extractor: what comes out, put together, is the extraction of all.

A sample of the output is given once every frame that it is in has been heard, less than a window after it. The first
and the last frames reach over the signal's ends, where it is mirrored, as in the STFT of a whole signal.

T samples, L frames, F bins, D embedding size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wesep_mix.base.errors import UserError
from wesep_mix.models.layers.network import Longer, check_mix, latency_ms, level_so_far
from wesep_mix.models.layers.stft import STFT


class Stream:
    """One talker's speech out of samples that are pushed. Output is as loud as the network gives it.

    Args:
        extractor: causal, with a method `step` (models.extractors.stft_tcn).
        emb: the talker's embedding, float32 [1, D]; None for an extractor without.

    Raises:
        UserError: the extractor needs all of a signal at once.
    """

    def __init__(self, extractor: nn.Module, emb: Tensor | None):
        name = extractor.config.name
        if latency_ms(extractor) is None or not hasattr(extractor, "step"):
            raise UserError(
                f"{name}: this model's extractor needs all of a recording; to extract from a stream, train one "
                "with --extractor stft_tcn --set 'extractor.model={name: stft_tcn, causal: true}'"
            )
        self.extractor, self.emb, self.name = extractor, emb, name
        self.frames, self.past, self.is_over = FrameStream(extractor.stft), None, False

    @property
    def latency_ms(self) -> float:
        """How long after a sample its output can come, at most, in ms; the time to compute it is not in this."""
        return latency_ms(self.extractor)

    @torch.inference_mode()
    def push(self, wav: Tensor) -> Tensor:
        """Go on with the next samples.

        Args:
            wav: float32 [T] at 16 kHz, any number of them.

        Returns:
            The samples of the output that are ready, float32 [any].

        Raises:
            UserError: for another shape or type, samples that are not finite, or after `finish`.
        """
        if self.is_over:
            raise UserError("stream: wanted no samples after its end, found some; begin another stream")
        if wav.dim() != 1:
            raise UserError(f"stream: wanted samples of shape [samples], found {list(wav.shape)}")
        if not len(wav):
            return wav
        check_mix(wav[None], self.name)
        return self._given(self.frames.push(wav[None]))

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """The rest of the output, float32 [any]; then as many samples have come out as went in."""
        self.is_over = True
        ready = self._given(self.frames.push_end())
        return torch.cat([ready, self.frames.rest()[0]])

    def _given(self, ready: tuple[Tensor, Tensor] | None) -> Tensor:
        if ready is None:
            return self.frames.tail.new_zeros(0)
        spec, level = ready
        spec, self.past = self.extractor.step(spec, level, self.emb, self.past)
        return self.frames.add(spec)[0]


class FrameStream:
    """Samples -> the frames of their STFT and back, with what must be kept in between."""

    def __init__(self, stft: STFT):
        self.stft, self.half = stft, stft.n_fft // 2
        device = stft.window.device
        self.tail = torch.zeros(1, 0, device=device)  # the input from sample `base` on
        self.base = 0
        self.energy = torch.zeros(1, 1, dtype=torch.float64, device=device)  # of the input before `base`
        self.num_samples = self.num_frames = self.num_given = 0
        self.sums = torch.zeros(2, 1, 0, device=device)  # frames, and squared windows, from sample `num_given` on

    def push(self, wav: Tensor) -> tuple[Tensor, Tensor] | None:
        """Float32 [1, T] -> the frames that it makes whole, complex64 [1, F, L], and the level of all that was heard
        up to the end of each, float32 [1, L]; None where there are none.
        """
        self.tail = torch.cat([self.tail, wav], 1)
        self.num_samples += wav.shape[1]
        whole = 0 if self.num_samples <= self.half else (self.num_samples - self.half) // self.stft.hop + 1
        return self._frames(self.tail, whole)

    def push_end(self) -> tuple[Tensor, Tensor] | None:
        """As `push`, the frames that reach over the end."""
        if not self.num_samples:
            return None
        filled = nn.functional.pad(self.tail, (0, self.stft.missing(self.num_samples)))
        beyond = filled[:, -self.half - 1 : -1].flip(1)
        return self._frames(torch.cat([filled, beyond], 1), (self.base + filled.shape[1]) // self.stft.hop + 1)

    def add(self, spec: Tensor) -> Tensor:
        """The next frames of the output, complex64 [1, F, L] -> its samples that no later frame changes, [1, any]."""
        size, hop, window = self.stft.n_fft, self.stft.hop, self.stft.window[:, None]
        frames = torch.fft.irfft(spec, size, dim=1) * window  # [1, size, L]
        both = torch.cat([frames, window.square().expand_as(frames)])
        total = size + (spec.shape[2] - 1) * hop
        new = nn.functional.fold(both, (1, total), (1, size), stride=(1, hop))[:, :, 0]  # [2, 1, total]
        begin = (self.num_frames - spec.shape[2]) * hop - self.half - self.num_given
        if begin < 0:  # before the signal's first sample
            new, begin = new[..., -begin:], 0
        missing = begin + new.shape[2] - self.sums.shape[2]
        self.sums = nn.functional.pad(self.sums, (0, missing))
        self.sums[..., begin : begin + new.shape[2]] += new
        return self._take(self.num_frames * hop - self.half - self.num_given)

    def rest(self) -> Tensor:
        """What is left of the output, as much as there was input: [1, any]."""
        return self._take(self.num_samples - self.num_given)

    def _take(self, count: int) -> Tensor:
        count = max(0, min(count, self.num_samples - self.num_given, self.sums.shape[2]))
        frames, weights = self.sums[..., :count]
        self.sums, self.num_given = self.sums[..., count:], self.num_given + count
        return frames / weights

    def _frames(self, tail: Tensor, until: int) -> tuple[Tensor, Tensor] | None:
        """Frames up to number `until` of the input, of which `tail` begins at `base` and may reach over the end."""
        first, hop = self.num_frames, self.stft.hop
        if until <= first:
            return None
        ends = (hop * torch.arange(first, until, device=tail.device) + self.half).clamp(max=self.num_samples)
        level = level_so_far(self.tail, ends - self.base, Longer(self.energy.sqrt(), self.energy, self.base))
        begin = hop * first - self.half - self.base
        if begin < 0:  # mirrored at the signal's start
            tail = torch.cat([tail[:, 1 : 1 - begin].flip(1), tail], 1)
            begin = 0
        spec = self.stft.framed(tail[:, begin : begin + self.stft.n_fft + (until - 1 - first) * hop])
        self.num_frames = until
        self._forget(hop * until - self.half - hop)
        return spec, level

    def _forget(self, sample: int) -> None:
        """Keep of the input only what later frames need, and one frame's more for the mirror at the end."""
        count = min(sample, self.num_samples - self.half - 1) - self.base
        if count > 0:
            self.energy = self.energy + self.tail[:, :count].double().square().sum(1, keepdim=True)
            self.tail, self.base = self.tail[:, count:], self.base + count
