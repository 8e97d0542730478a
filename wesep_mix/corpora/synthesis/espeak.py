"""espeak-ng through ctypes, from the `espeakng-loader` wheel: text and a voice in, 16 kHz samples out.

A call in a process of its own, forked from this one, whose state it leaves as it was.

espeak-ng can't be reset, so each utterance is spoken in such a fork. That costs some milliseconds, and makes
an utterance's samples independent of all others.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import SAMPLE_RATE

_SYNCHRONOUS, _CHARS_UTF8, _RATE_PARAMETER, _VOLUME_PARAMETER = 2, 1, 1, 2
_VOLUME = 25  # of 100: louder, and some voices are clipped by the synthesiser
_NATIVE_RATE = 22050
_ENGLISH = "lang/gmw"  # with its relatives
_MAX_VOICES = 349  # that espeak has room for, languages and variants together
_MAX_ROOT = 140  # espeak keeps the path of its data in 160 characters
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


@contextlib.contextmanager
def data_folder(variants: Path) -> Iterator[Path]:
    """Yield a short-lived espeak data folder: links to the wheel's files, with `variants` as voice variants.

    The wheel's own folder may be read-only or have a longer path than espeak can hold. Raises: UserError for more
    variants than there is room for.
    """
    import espeakng_loader

    wheel = Path(espeakng_loader.get_data_path())
    found, room = len(list(variants.iterdir())), _MAX_VOICES - len(list((wheel / _ENGLISH).iterdir()))
    if found > room:
        raise UserError(
            f"{variants}: wanted at most {room} voices, for which espeak-ng has room, found {found}; lower "
            "corpus.num_voices in corpus.yaml"
        )
    root = Path(tempfile.mkdtemp(prefix="espeak-"))
    try:
        if len(str(root)) > _MAX_ROOT:
            raise UserError(f"{root}: too long a path for espeak-ng; set TMPDIR to a folder with a short one")
        data = root / "espeak-ng-data"
        (data / "voices").mkdir(parents=True)
        (data / "voices" / "!v").symlink_to(variants.resolve())
        (data / "lang").mkdir()
        for entry in (*wheel.iterdir(), wheel / _ENGLISH):
            place = data / entry.relative_to(wheel)
            if not place.exists():
                place.symlink_to(entry.resolve())
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


class Espeak:
    """The synthesiser; a process can hold one only.

    It keeps state from one sentence to the next (noise, flutter, gain): samples are the same only after the
    same calls since the start of the process; hence `forked.py`.
    """

    def __init__(self, root: Path):
        import espeakng_loader

        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        self._lib.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 500, str(root).encode(), 0)
        if rate != _NATIVE_RATE:
            raise UserError(f"espeak-ng: wanted {_NATIVE_RATE} Hz with the data in {root}, found {rate}")
        self._chunks: list[np.ndarray] = []
        self._callback = _CALLBACK(self._collect)  # kept: ctypes does not hold a reference
        self._lib.espeak_SetSynthCallback(self._callback)

    def seed(self, seed: int) -> None:
        """Start espeak's random numbers (breath, noise) anew; builds differ in whose generator they use."""
        self._lib.espeak_ng_SetRandSeed(seed)
        ctypes.CDLL(None).srand(ctypes.c_uint(seed))

    def speak(self, text: str, voice: str, words_per_minute: int, playback: float = 1.0) -> np.ndarray:
        """Say `text` with espeak voice `voice` ("en-us+VARIANT"), played back `playback` times as fast.

        Returns: float32 [T] at 16 kHz, about half of full scale.
        """
        self._chunks.clear()
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(f"espeak-ng: no voice {voice!r}")
        self._lib.espeak_SetParameter(_RATE_PARAMETER, words_per_minute, 0)
        self._lib.espeak_SetParameter(_VOLUME_PARAMETER, _VOLUME, 0)
        data = text.encode()
        status = self._lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        if status != 0 or not self._chunks:
            raise UserError(f"espeak-ng: voice {voice} made no speech of {text!r}")
        native = np.concatenate(self._chunks).astype(np.float32) / 32768.0
        return resampled(native, SAMPLE_RATE // 50, round(playback * _NATIVE_RATE / 50))

    def _collect(self, samples, num_samples: int, events) -> int:
        if samples and num_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        return 0


def resampled(samples: np.ndarray, up: int, down: int) -> np.ndarray:
    """Samples [T] at up/down times their rate, by cutting the spectrum. Returns: float32 [about T up/down].

    Not scipy.signal.resample_poly or resample: every sample differs from these, and the mini corpus would be another.
    """
    num_blocks = -(-len(samples) // down)
    num_samples = num_blocks * up
    spectrum = np.fft.rfft(samples, num_blocks * down)[: num_samples // 2 + 1]
    return (np.fft.irfft(spectrum, num_samples) * (up / down)).astype(np.float32)


def call_forked(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return `function(*arguments)`, computed in a forked child; the result travels pickled.

    Raises: what the function raised, with a RuntimeError that holds the child's traceback as its cause;
        RuntimeError when the child ended without an answer.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _answer(writing, function, arguments)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if not answer:
        raise RuntimeError(f"{function.__name__}: its process ended without an answer (wait status {status})")
    result, error, trace = pickle.loads(answer)
    if error is not None:
        raise error from RuntimeError(f"in the forked process:\n{trace}")
    return result


def _answer(writing: int, function: Callable[..., Any], arguments: tuple) -> NoReturn:
    """Run in the child; it never returns, so that nothing of the parent's clean-up runs twice."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    try:
        answer = (function(*arguments), None, "")
    except Exception as err:
        answer = (None, err, traceback.format_exc())
    try:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
    finally:
        os._exit(0)
