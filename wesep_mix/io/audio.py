"""Audio files in and out. All audio in memory is float32 in [-1, 1], one channel, 16 kHz unless said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from wesep_mix.errors import UserError
from wesep_mix.io.files import atomic_path

SAMPLE_RATE = 16000


def read_audio(
    path: str | Path, start: int = 0, num_samples: int | None = None, sample_rate: int = SAMPLE_RATE
) -> np.ndarray:
    """Read `num_samples` samples from sample `start` (all that follow when None), first channel.

    Returns: float32 [num_samples].
    Raises: UserError naming the file when it is missing, unreadable, truncated, empty, shorter than asked,
        of another sampling rate, or holds a sample that is not finite.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            _check_header(path, file, sample_rate)
            wanted = file.frames - start if num_samples is None else num_samples
            if start < 0 or wanted < 0 or start + wanted > file.frames:
                raise UserError(f"{path}: wanted samples {start} to {start + wanted}, found {file.frames} in the file")
            file.seek(start)
            samples = file.read(wanted, dtype="float32", always_2d=True)[:, 0]
    except soundfile.LibsndfileError as err:
        raise UserError(_unreadable(path, err)) from err
    if len(samples) != wanted:
        raise UserError(f"{path}: truncated, the header promises {wanted} samples from {start}, found {len(samples)}")
    if not np.isfinite(samples).all():
        first = start + int(np.argmin(np.isfinite(samples)))
        raise UserError(f"{path}: sample {first} is not finite (NaN or infinite)")
    return np.ascontiguousarray(samples)


def num_channels(path: str | Path) -> int:
    """Number of channels of an audio file, from its header. Raises: UserError when it is no audio file."""
    try:
        return soundfile.info(str(path)).channels
    except soundfile.LibsndfileError as err:
        raise UserError(_unreadable(path, err)) from err


def num_frames(path: str | Path, sample_rate: int = SAMPLE_RATE) -> int:
    """Number of samples of a channel, as the header says. Raises: UserError as `read_audio` does for a header."""
    try:
        with soundfile.SoundFile(str(path)) as file:
            _check_header(path, file, sample_rate)
            return file.frames
    except soundfile.LibsndfileError as err:
        raise UserError(_unreadable(path, err)) from err


def write_audio(
    path: str | Path, samples: np.ndarray, sample_rate: int = SAMPLE_RATE, subtype: str = "PCM_16"
) -> None:
    """Write float samples [T] as they are: no rescaling. Integer formats refuse what they would clip.

    Raises: UserError when a sample is not finite, or is beyond full scale in an integer format,
        or the file cannot be written.
    """
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: not written, the audio holds samples that are not finite")
    peak = float(np.abs(samples).max(initial=0.0))
    if subtype.startswith("PCM") and peak > 1.0:
        raise UserError(f"{path}: not written, peak {peak:.2f} would clip in {subtype}; use wav_subtype FLOAT")
    with atomic_path(path) as temporary:
        try:
            soundfile.write(temporary, samples, sample_rate, subtype=subtype)
        except soundfile.LibsndfileError as err:
            raise UserError(f"{path}: cannot be written ({err.error_string}); is the disk full?") from err


def _unreadable(path: str | Path, err: soundfile.LibsndfileError) -> str:
    if Path(path).is_file() and Path(path).stat().st_size == 0:
        return f"{path}: empty, it has no bytes"
    return f"{path}: cannot be read as audio ({err.error_string})"


def _check_header(path: str | Path, file: soundfile.SoundFile, sample_rate: int) -> None:
    if file.samplerate != sample_rate:
        raise UserError(f"{path}: wanted {sample_rate} Hz, found {file.samplerate} Hz; resample the corpus first")
    if file.frames == 0:
        raise UserError(f"{path}: empty, it holds no samples")
