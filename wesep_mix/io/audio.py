"""Audio files in and out. In memory all audio is float32 in [-1, 1], one channel, 16 kHz unless said otherwise."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_path

SAMPLE_RATE = 16000
# An offset below this stays in speech; above, it would limit the SI-SDR of a clean estimate. Relative to the power.
SPEECH_DC_DB = -40.0
LARGE_DC_DB = -20.0  # such an offset changes an SNR by 0.04 dB
Read = Callable[..., np.ndarray]  # called as `read_audio` is
_UNKNOWN = 2**63 - 1  # libsndfile's number of frames of a flac file whose header has none
_MAX_HEADER = 1024  # bytes of a wav file's header, at most
_DATA = re.compile(r"^data : (\d+) \(should be (\d+)\)$", re.MULTILINE)  # libsndfile's, where the two differ
_STREAMED = 0x7FFF0000  # bytes; a header that promises this many or more means: to the end of the file
STEP = np.float32(1 / 32768)  # of a 16-bit sample: a power of two, so that multiplying by it is exact
RUMBLE_BLOCK = 400  # samples; the mean over them is a low-pass at 18 Hz (at 16 kHz)


def read_audio(
    path: str | Path, start: int = 0, num_samples: int | None = None, sample_rate: int = SAMPLE_RATE
) -> np.ndarray:
    """Read samples of an audio file's first channel.

    Args:
        path: the file.
        start: first sample.
        num_samples: how many; None: all that follow.
        sample_rate: the wanted rate in Hz.

    Returns:
        float32 [num_samples].

    Raises:
        UserError: naming the file if it is missing, unreadable, truncated, empty, shorter than asked, of another
            sampling rate, or holds a sample that is not finite.
    """
    with _open(path) as file:
        _check_header(path, file, sample_rate, whole=num_samples is None)
        wanted = file.frames - start if num_samples is None else num_samples
        if start < 0 or wanted < 0 or start + wanted > file.frames:
            raise UserError(f"{path}: wanted samples {start} to {start + wanted}, found {file.frames} in the file")
        file.seek(start)
        whole = file.subtype == "PCM_16"  # whose way over numpy to the same floats is the faster one
        samples = file.read(wanted, dtype="int16" if whole else "float32", always_2d=True)[:, 0]
    if len(samples) != wanted:
        raise UserError(f"{path}: truncated, the header promises {wanted} samples from {start}, found {len(samples)}")
    if whole:
        return samples * STEP
    if not np.isfinite(samples).all():
        first = start + int(np.argmin(np.isfinite(samples)))
        raise UserError(f"{path}: sample {first} is not finite (NaN or infinite)")
    return np.ascontiguousarray(samples)


def num_channels(path: str | Path) -> int:
    """Number of channels of an audio file, from its header. Raises: UserError if it is no audio file."""
    with _open(path) as file:
        return file.channels


def is_wav(path: str | Path) -> bool:
    """Whether it is a wav file. Raises: UserError when it is no audio file."""
    with _open(path) as file:
        return file.format in ("WAV", "WAVEX")


def sample_bytes(path: str | Path) -> int:
    """Bytes that a decoded sample takes: 2 of a file of 16 bits, else 4. Raises: UserError when it is no audio file."""
    with _open(path) as file:
        return 2 if file.subtype == "PCM_16" else 4


def num_frames(path: str | Path, sample_rate: int = SAMPLE_RATE) -> int:
    """Number of samples of a channel, from the header.

    Args:
        path: the file.
        sample_rate: the wanted rate in Hz.

    Returns:
        Samples.

    Raises:
        UserError: as `read_audio`, for what a header shows.
    """
    with _open(path) as file:
        _check_header(path, file, sample_rate, whole=True)
        return file.frames


def dc_offset(samples: np.ndarray, above_db: float) -> float:
    """Measure the constant that a recorder has added to a sound.

    Args:
        samples: the sound [T].
        above_db: how far below the sound's power an offset may lie and still count, in dB.

    Returns:
        The constant; 0 if it does not count.
    """
    mean = float(samples.mean(dtype=np.float64))
    power = float(np.square(samples, dtype=np.float64).mean()) - mean**2
    return mean if mean**2 > 10 ** (above_db / 10) * power else 0.0


def rumble_share(samples: np.ndarray) -> float:
    """Share of a sound's power, without its mean, that lies below about 20 Hz; samples [T]."""
    blocks = samples[: len(samples) // RUMBLE_BLOCK * RUMBLE_BLOCK].reshape(-1, RUMBLE_BLOCK)
    power = float(samples.var(dtype=np.float64))
    return float(blocks.mean(axis=1, dtype=np.float64).var()) / power if len(blocks) and power else 0.0


def write_audio(path: str | Path, samples: np.ndarray, sample_rate: int = SAMPLE_RATE, subtype: str = "PCM_16") -> None:
    """Write samples as they are, without rescaling; integer formats refuse what they would clip.

    Args:
        path: the file to write.
        samples: float [T].
        sample_rate: in Hz.
        subtype: libsndfile's, such as PCM_16 or FLOAT.

    Raises:
        UserError: a sample is not finite, or above full scale in an integer format, or the file cannot be written.
    """
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: not written, the audio holds samples that are not finite")
    peak = float(np.abs(samples).max(initial=0.0))
    if subtype.startswith("PCM") and peak > 1.0:
        raise UserError(f"{path}: not written, peak {peak:.2f} would clip in {subtype}; use wav_subtype FLOAT")
    with atomic_path(path) as temporary:
        try:
            soundfile.write(os.fsencode(temporary), samples, sample_rate, subtype=subtype)
        except soundfile.LibsndfileError as err:
            raise UserError(f"{path}: cannot be written ({err.error_string}); is the disk full?") from err


@contextmanager
def _open(path: str | Path) -> Iterator[soundfile.SoundFile]:
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:  # a name need not be UTF-8
            yield file
    except soundfile.LibsndfileError as err:
        raise UserError(_unreadable(Path(path), err)) from err


def _unreadable(path: Path, err: soundfile.LibsndfileError) -> str:
    if not path.exists():
        gone = next((folder for folder in reversed(path.parents) if not folder.is_dir()), None)
        hint = (
            f"; all of {gone} is gone: if the corpus has moved, write its new folder to data/CORPUS/corpus/roots.json"
        )
        return f"{path}: cannot be read as audio (no such file)" + (hint if gone else "")
    if path.is_file() and path.stat().st_size == 0:
        return f"{path}: empty, it has no bytes"
    return f"{path}: cannot be read as audio ({err.error_string})"


def _check_header(path: str | Path, file: soundfile.SoundFile, sample_rate: int, whole: bool) -> None:
    """Refuse a header that is not as wanted; `whole`: all of the file is wanted, so it must say its length."""
    if file.samplerate != sample_rate:
        raise UserError(f"{path}: wanted {sample_rate} Hz, found {file.samplerate} Hz; resample the corpus first")
    if whole and file.frames == _UNKNOWN:
        raise UserError(
            f"{path}: its header does not say how long it is, as of an unfinished recording or a stream; "
            "encode it again (flac -d, then flac)"
        )
    if file.frames == 0 and (rest := os.path.getsize(path) - _MAX_HEADER) > 0:
        raise UserError(
            f"{path}: its header says no samples, but more than {rest} bytes follow: an unfinished "
            "recording; mend its header (sox --ignore-length IN OUT) or leave it out"
        )
    if file.frames == 0:
        raise UserError(f"{path}: empty, it holds no samples")
    if whole and (sizes := _DATA.search(file.extra_info)):
        promised, found = map(int, sizes.groups())
        if found + 1 < promised < _STREAMED:
            raise UserError(f"{path}: truncated, its header promises {promised} bytes of samples, found {found}")
