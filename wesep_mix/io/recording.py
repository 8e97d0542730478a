"""Recordings of one's own: any rate, any number of channels, any length, as 16 kHz in one channel.

What is read lies in a temporary file without a name, which ends with the process, and is mapped into memory: an hour
takes no more memory than a minute. libsndfile reads the common formats; what it does not know goes through ffmpeg
where that is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from wesep_mix.base.errors import UserError, escaped
from wesep_mix.base.files import atomic_path
from wesep_mix.io.audio import SAMPLE_RATE

MIX = "mix"  # in place of a channel: the mean of all
BLOCK_S = 30.0  # seconds that are converted at a time
LEAST_S = 0.5  # a shorter recording says nothing of who speaks


@dataclass(frozen=True)
class Recording:
    """A recording at 16 kHz, and how its file was.

    Attributes:
        name: what to call it, the file's name without its ending.
        samples: float32 [T] at 16 kHz, mapped from a temporary file.
        sample_rate: of the file, in Hz.
        num_frames: samples of a channel in the file.
        num_channels: channels in the file.
    """

    name: str
    samples: np.ndarray
    sample_rate: int
    num_frames: int
    num_channels: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE


def read_recording(path: str | Path, channel: str = MIX, start: int = 0, num_frames: int | None = None) -> Recording:
    """Read a recording, whatever its format, rate, channels and length.

    Args:
        path: file that libsndfile reads, or ffmpeg where it is installed.
        channel: `mix` for the mean of all channels, or the number of one, from 1.
        start: first sample of a channel in the file, at its own rate.
        num_frames: how many samples from there; None: all.

    Returns:
        The recording at 16 kHz.

    Raises:
        UserError: for a file that cannot be read or is shorter than asked, has no audio, no such channel, less than
            half a second, or a sample that is not finite.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="wesep_mix.") as folder:
        with _opened(path, Path(folder)) as file:
            chosen = _channel(path, channel, file.channels)
            rate, channels = file.samplerate, file.channels
            lengths: list[int] = []
            _seek(path, file, start)
            blocks = _blocks(path, file, chosen, lengths, num_frames)
            samples = _gathered(_resampled(blocks, rate, SAMPLE_RATE))
    if num_frames is not None and sum(lengths) < num_frames:
        raise UserError(f"{path}: wanted {num_frames} samples from {start} on, found {sum(lengths)}; it was changed")
    if len(samples) < LEAST_S * SAMPLE_RATE:
        raise UserError(f"{path}: wanted at least {LEAST_S:g} s of audio, found {len(samples) / SAMPLE_RATE:.2f} s")
    return Recording(path.stem, samples, rate, sum(lengths), channels)


def from_samples(samples: np.ndarray, sample_rate: int, name: str = "recording") -> Recording:
    """A recording of samples in memory, float [T] or [channels, T], of which the mean is taken.

    Args:
        samples: in [-1, 1].
        sample_rate: theirs, in Hz.
        name: what to call it in messages.

    Returns:
        The recording at 16 kHz.

    Raises:
        UserError: for another shape, less than half a second, or a sample that is not finite.
    """
    wanted = np.asarray(samples, dtype=np.float32)
    if wanted.ndim not in (1, 2):
        raise UserError(f"{name}: wanted samples of shape [T] or [channels, T], found {list(wanted.shape)}")
    channels = 1 if wanted.ndim == 1 else len(wanted)
    mono = wanted if wanted.ndim == 1 else wanted.mean(axis=0)
    _check_finite(name, mono, 0)
    at_16k = _gathered(_resampled(iter([mono]), sample_rate, SAMPLE_RATE))
    if len(at_16k) < LEAST_S * SAMPLE_RATE:
        raise UserError(f"{name}: wanted at least {LEAST_S:g} s of audio, found {len(at_16k) / SAMPLE_RATE:.2f} s")
    return Recording(name, at_16k, sample_rate, len(mono), channels)


def at_rate(samples: np.ndarray, sample_rate: int, num_frames: int) -> np.ndarray:
    """Speech at 16 kHz at another rate, cut or filled with zeros to a length.

    Args:
        samples: float32 [T] at 16 kHz.
        sample_rate: wanted, in Hz.
        num_frames: samples wanted.

    Returns:
        float32 [num_frames].
    """
    found = np.concatenate(list(_resampled(_cut(samples), SAMPLE_RATE, sample_rate)))[:num_frames]
    return np.pad(found, (0, num_frames - len(found)))


def write_like(path: Path, samples: np.ndarray, recording: Recording, start: int = 0) -> None:
    """Write speech that was found in a recording at the recording's own rate, as long as its stretch there is.

    16-bit samples; float ones where 16 bits would clip. The file appears when it is whole.

    Args:
        path: wav file to write.
        samples: float32 [T] at 16 kHz.
        recording: where they are from.
        start: first sample of the stretch, at 16 kHz.

    Raises:
        UserError: when a sample is not finite, or the file cannot be written.
    """
    rate = recording.sample_rate
    length = round(len(samples) * rate / SAMPLE_RATE)
    if start == 0 and len(samples) == len(recording.samples):
        length = recording.num_frames
    peak = max((float(np.abs(block).max(initial=0.0)) for block in _cut(samples)), default=0.0)
    if not np.isfinite(peak):
        raise UserError(f"{path}: not written, the audio holds samples that are not finite")
    subtype = "PCM_16" if peak <= 1.0 else "FLOAT"
    with atomic_path(path) as temporary:
        try:
            with soundfile.SoundFile(os.fsencode(temporary), "w", rate, 1, subtype) as file:
                written = 0
                for block in _resampled(_cut(samples), SAMPLE_RATE, rate):
                    kept = block[: length - written]
                    file.write(kept.clip(-1, 1) if subtype == "PCM_16" else kept)
                    written += len(kept)
                file.write(np.zeros(length - written, dtype=np.float32))
        except soundfile.LibsndfileError as err:
            raise UserError(f"{path}: cannot be written ({err.error_string}); is the disk full?") from err


def empty_samples(num_samples: int) -> np.ndarray:
    """Zeros that may be long: float32 [num_samples], mapped from a temporary file without a name.

    Raises: OSError when its disk is full; found later, at a write into the mapping, that would end the process.
    """
    with tempfile.TemporaryFile(prefix="wesep_mix.") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, num_samples) * 4)
        return np.memmap(file, dtype=np.float32, mode="r+", shape=(max(1, num_samples),))[:num_samples]


def _opened(path: Path, folder: Path) -> soundfile.SoundFile:
    if path.is_dir():
        raise UserError(f"{path}: wanted a recording, found a folder; name one of its files")
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: empty, it has no bytes")
    try:
        return soundfile.SoundFile(os.fsencode(path))
    except soundfile.LibsndfileError as err:
        ffmpeg = shutil.which("ffmpeg")
        if ffmpeg is None:
            raise UserError(
                f"{path}: cannot be read as audio ({escaped(err.error_string)}); more formats can be read where "
                "ffmpeg is installed"
            ) from err
        return soundfile.SoundFile(os.fsencode(_by_ffmpeg(ffmpeg, path, folder)))


def _by_ffmpeg(ffmpeg: str, path: Path, folder: Path) -> Path:
    """The first audio stream of a file as a float wav in `folder`."""
    out = folder / "decoded.w64"  # wav has no more than 4 GB
    command = [ffmpeg, "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32le", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = done.stderr.strip().splitlines()
        if any("matches no streams" in line for line in said):
            raise UserError(f"{path}: wanted a recording, found a file without audio")
        raise UserError(f"{path}: cannot be read as audio (ffmpeg: {said[-1] if said else 'no reason given'})")
    return out


def _channel(path: Path, wanted: str, channels: int) -> int | None:
    """The place of a channel, None for the mean of all."""
    if wanted == MIX:
        return None
    if not (wanted.isascii() and wanted.isdigit() and 1 <= int(wanted) <= channels):
        raise UserError(f"{path}: channel: wanted mix or a number from 1 to {channels}, found {wanted}")
    return int(wanted) - 1


def _seek(path: Path, file: soundfile.SoundFile, start: int) -> None:
    if not 0 <= start <= file.frames:
        raise UserError(f"{path}: wanted samples from {start} on, found {file.frames} in the file; it was changed")
    if start:  # not every format can be sought in
        file.seek(start)


def _blocks(
    path: Path, file: soundfile.SoundFile, channel: int | None, lengths: list[int], num_frames: int | None
) -> Iterator[np.ndarray]:
    """One channel of a file from where it is, block by block, float32 [t], whose lengths go into `lengths`."""
    frames = -1 if num_frames is None else num_frames
    blocks = file.blocks(round(BLOCK_S * file.samplerate), frames=frames, dtype="float32", always_2d=True)
    while (block := _next_block(path, blocks, sum(lengths) / file.samplerate)) is not None:
        mono = block.mean(axis=1) if channel is None else np.ascontiguousarray(block[:, channel])
        _check_finite(path, mono, sum(lengths))
        lengths.append(len(mono))
        yield mono


def _next_block(path: Path, blocks: Iterator[np.ndarray], before_s: float) -> np.ndarray | None:
    try:
        return next(blocks, None)
    except soundfile.LibsndfileError as err:
        raise UserError(
            f"{path}: its audio is cut off or damaged, somewhere after {before_s:.0f} s ({escaped(err.error_string)})"
        ) from err


def _check_finite(where: str | Path, samples: np.ndarray, before: int) -> None:
    if not np.isfinite(samples).all():
        first = before + int(np.argmin(np.isfinite(samples)))
        raise UserError(f"{where}: sample {first} is not finite (NaN or infinite); mend the file")


def _cut(samples: np.ndarray) -> Iterator[np.ndarray]:
    size = round(BLOCK_S * SAMPLE_RATE)
    return (np.ascontiguousarray(samples[first : first + size]) for first in range(0, len(samples), size))


def _resampled(blocks: Iterable[np.ndarray], old: int, new: int) -> Iterator[np.ndarray]:
    """The same signal at another rate, whole however it was cut."""
    if old == new:
        yield from blocks
        return
    stream = soxr.ResampleStream(old, new, 1, dtype="float32", quality="VHQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _gathered(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """All of them one after the other: float32 [T], mapped from a temporary file without a name."""
    with tempfile.TemporaryFile(prefix="wesep_mix.") as file:
        total = sum(file.write(block.tobytes()) for block in blocks) // 4
        if total == 0:
            return np.zeros(0, dtype=np.float32)
        file.flush()
        return np.memmap(file, dtype=np.float32, mode="c", shape=(total,))  # torch wants it writable
