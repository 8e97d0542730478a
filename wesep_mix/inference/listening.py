"""Talkers' speech out of a recording, each alone, and the few seconds in which that talker is heard best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from wesep_mix.inference import chunked
from wesep_mix.inference.settings import Chunks
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.recording import empty_samples
from wesep_mix.models.folder import UseConfig

AUDITION_S = 3.0
FRAME_S = 0.1
FLOOR_DB = -30.0  # below the loudest frame of a talker, where one is silent


def extract_talkers(
    extractor: torch.nn.Module,
    samples: np.ndarray,
    embeddings: np.ndarray,
    use: UseConfig,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> list[np.ndarray]:
    """Talkers' speech, each extracted alone, at the level that it has in the recording; all go through the extractor
    together.

    Args:
        extractor: mixture and embedding -> that talker.
        samples: float32 [T] at 16 kHz.
        embeddings: of the talkers, unit vectors [S, D].
        use: length of the chunks that the extractor hears, and whether their level is its own.
        device: where the extractor is.
        progress: called with the numbers of chunks done and in all.

    Returns:
        float32 [T] at 16 kHz, S times.
    """
    emb = torch.from_numpy(np.asarray(embeddings, dtype=np.float32))
    mix = torch.from_numpy(np.asarray(samples, dtype=np.float32)).expand(len(emb), -1)
    speech = empty_samples(mix.numel()).reshape(mix.shape)  # a long recording need not fit into memory
    chunks = Chunks(use.chunk_s, use.overlap_s)
    chunked.extract(extractor, mix, emb, chunks, device, torch.from_numpy(speech), progress)
    if use.level == "mixture":
        for own in speech:
            own *= np.float32(level_factor(own, samples))
    return list(speech)


def embed_voice(teacher: torch.nn.Module, samples: np.ndarray, device: str = "cpu") -> np.ndarray:
    """The teacher's embedding of an enrolment, a recording of one voice alone.

    Args:
        teacher: speech of one talker -> embedding.
        samples: float32 [T] at 16 kHz.
        device: where the teacher is.

    Returns:
        Unit vector, float32 [D].
    """
    wav = torch.from_numpy(np.array(samples, dtype=np.float32))[None]
    with torch.inference_mode():
        return teacher(wav.to(device))[0].float().cpu().numpy()


def level_factor(est: np.ndarray, mix: np.ndarray) -> float:
    """What an estimate [T] is to be multiplied by to have the level of its talker in the mixture [T].

    As `models.layers.network.at_mixture_level`, in blocks: a long recording need not fit into memory.

    Args:
        est: the talker's, of any level.
        mix: the mixture.

    Returns:
        The factor; below 0 where the network turned the sign.
    """
    fit, energy, step = 0.0, 0.0, round(30 * SAMPLE_RATE)
    for first in range(0, len(est), step):
        one, other = (each[first : first + step].astype(np.float64) for each in (est, mix))
        fit, energy = fit + float(one @ other), energy + float(one @ one)
    return fit / max(energy, 1e-12)


def level_db(est: np.ndarray, mix: np.ndarray) -> float:
    """How loud an estimate is against its mixture.

    Args:
        est: float [T].
        mix: float [T].

    Returns:
        dB; -120 at least, as silence has.
    """
    energy, against = (float(np.square(one, dtype=np.float64).sum()) for one in (est, mix))
    return 10 * float(np.log10(max(energy / max(against, 1e-12), 1e-12)))


def audition(speech: np.ndarray, mix: np.ndarray) -> tuple[int, int]:
    """Where a talker is clearest: loudest against everything else.

    Args:
        speech: of the talker, float32 [T] at 16 kHz.
        mix: the recording, [T].

    Returns:
        First sample and the one behind the last, at most 3 s apart.
    """
    frame, wanted = round(FRAME_S * SAMPLE_RATE), round(AUDITION_S * SAMPLE_RATE)
    if len(speech) <= wanted:
        return 0, len(speech)
    own, rest = _powers(speech, None, frame), _powers(mix, speech, frame)
    floor = own.max() * 10 ** (FLOOR_DB / 10)
    clearness = np.where(own > floor, own / (own + rest + 1e-12), 0.0)  # share of the talker in each frame's power
    width = wanted // frame
    sums = np.convolve(clearness, np.ones(width), mode="valid")
    first = int(np.argmax(sums)) * frame
    return first, min(first + wanted, len(speech))


def _powers(samples: np.ndarray, without: np.ndarray | None, frame: int) -> np.ndarray:
    """Mean power of each frame, of the difference to `without` where that is given: float64 [L]."""
    powers = np.empty(len(samples) // frame)
    step = 1000 * frame
    for first in range(0, len(powers) * frame, step):
        block = np.asarray(samples[first : min(first + step, len(powers) * frame)], dtype=np.float64)
        if without is not None:
            block = block - without[first : first + len(block)]
        powers[first // frame : first // frame + len(block) // frame] = np.square(block).reshape(-1, frame).mean(1)
    return powers
