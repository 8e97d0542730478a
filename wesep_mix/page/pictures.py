"""What the page shows, made without Gradio: waveforms, timelines, spectrograms, and the HTML around them.

T samples at 16 kHz, N columns of a picture, F rows.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import image

from wesep_mix.io.audio import SAMPLE_RATE

if TYPE_CHECKING:  # whose modules import torch, which pictures don't need
    from wesep_mix.inference.candidates import Talker
    from wesep_mix.io.recording import Recording

COLUMNS = 800  # of a spectrogram, at most, unless said otherwise
WINDOW = 512  # samples of one of its frames
FRAMES = 8  # of them that are averaged in a column, at most
RANGE_DB = 70.0  # from the loudest point to black
SPANS = 4  # that are told in words


def clock(seconds: float) -> str:
    """0:07, 12:34 or 1:02:03, as players show it: seconds that have passed."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def peaks(samples: np.ndarray, columns: int) -> np.ndarray:
    """The greatest absolute value of each of so many stretches of equal length.

    Args:
        samples: float [T].
        columns: N.

    Returns:
        float [N], not negative.
    """
    edges = np.linspace(0, len(samples), columns + 1).round().astype(int)
    return np.array([np.abs(samples[begin:end]).max(initial=0.0) for begin, end in pairwise(edges)])


def waveform(samples: np.ndarray, columns: int = 300) -> str:
    """A drawing of samples over time, as high as its loudest.

    Args:
        samples: float [T].
        columns: points in time.

    Returns:
        SVG in the colour of the text beside it.
    """
    heights = peaks(samples, columns)
    heights = 49 * heights / max(heights.max(), 1e-9) + 0.5
    above = [f"{place},{50 - height:.1f}" for place, height in enumerate(heights)]
    below = [f"{place},{50 + height:.1f}" for place, height in enumerate(heights)]
    return (
        f'<svg class="wave" viewBox="0 0 {columns - 1} 100" preserveAspectRatio="none" aria-hidden="true">'
        f'<polygon points="{" ".join(above + below[::-1])}" fill="currentColor"/></svg>'
    )


def timeline(spans: Sequence[tuple[float, float]], seconds: float) -> str:
    """A bar that shows when a talker was heard, and the same in words.

    Args:
        spans: begin and end of each stretch, in seconds.
        seconds: length of the recording.

    Returns:
        HTML.
    """
    inside = [(begin, min(end, seconds)) for begin, end in spans]
    bars = "".join(
        f'<i style="left:{100 * begin / seconds:.2f}%;width:{100 * (end - begin) / seconds:.2f}%"></i>'
        for begin, end in inside
    )
    told = ", ".join(f"{clock(begin)} to {clock(end)}" for begin, end in inside[:SPANS])
    more = f" and {len(inside) - SPANS} more" if len(inside) > SPANS else ""
    return f'<div class="when" aria-hidden="true">{bars}</div><p class="told">Heard from {told}{more}</p>'


def spectrogram(samples: np.ndarray, top_hz: float = SAMPLE_RATE / 2, most: int = COLUMNS) -> np.ndarray:
    """Levels over time and frequency; a long recording is looked at here and there, so that an hour costs little.

    Args:
        samples: float [T] at 16 kHz.
        top_hz: where to end.
        most: columns, at most.

    Returns:
        dB, float32 [F, N], the lowest frequency first.
    """
    columns = int(np.clip(len(samples) // (WINDOW // 2), 1, most))
    width = len(samples) / columns
    frames = int(np.clip(round(width / WINDOW), 1, FRAMES))
    starts = (np.arange(columns * frames) * width / frames).astype(int)
    starts = np.minimum(starts, max(0, len(samples) - WINDOW))
    padded = samples if len(samples) >= WINDOW else np.pad(samples, (0, WINDOW - len(samples)))
    cut = padded[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW).astype(np.float32)
    power = np.square(np.abs(np.fft.rfft(cut))).reshape(columns, frames, -1).mean(1)
    rows = max(1, round(min(top_hz, SAMPLE_RATE / 2) * WINDOW / SAMPLE_RATE))
    return (10 * np.log10(power.T[:rows] + 1e-10)).astype(np.float32)


def picture(levels: np.ndarray, loudest: float, jpeg_quality: int | None = None) -> str:
    """A spectrogram as an image.

    Args:
        levels: dB [F, N].
        loudest: dB of the brightest colour.
        jpeg_quality: of a JPEG, up to 95, which is a tenth as large; None for a PNG.

    Returns:
        The image as an address that needs no file.
    """
    file, kind = io.BytesIO(), "jpeg" if jpeg_quality else "png"
    options = {"pil_kwargs": {"quality": jpeg_quality}} if jpeg_quality else {}
    span = {"vmin": loudest - RANGE_DB, "vmax": loudest}
    image.imsave(file, levels, cmap="magma", origin="lower", format=kind, **span, **options)
    return data_address(file.getvalue(), f"image/{kind}")


def data_address(content: bytes, kind: str) -> str:
    """An address that holds its content, so that it needs no file.

    Args:
        content: of the file.
        kind: its MIME type, such as image/png.

    Returns:
        `data:...`.
    """
    return f"data:{kind};base64," + base64.b64encode(content).decode()


def talker_card(talker: Talker, speech: np.ndarray, recording: Recording, audition: str) -> str:
    """What is shown of a talker.

    Args:
        talker: who was heard.
        speech: of the talker, float [T].
        recording: where that was.
        audition: address of a few seconds to listen to.

    Returns:
        HTML.
    """
    sure = "" if talker.confidence is None else f", {talker.confidence:.0%} sure"
    return (
        f'<article><h3>Talker {talker.number}</h3><p class="told">In {talker.share:.0%} of the parts with speech'
        f"{sure}</p>{waveform(speech)}{timeline(talker.spans, recording.seconds)}"
        f'<audio controls preload="auto" src="{escape(audition)}" aria-label="Talker {talker.number} alone">'
        "</audio></article>"
    )


def player(recording: Recording, sounds: Sequence[tuple[str, np.ndarray, str]]) -> str:
    """One player for a recording and what was extracted from it: another choice goes on at the same place.

    Args:
        recording: the recording.
        sounds: of each its name, samples [T] and address; the recording itself is first.

    Returns:
        HTML for the script of app.py.
    """
    top_hz = min(recording.sample_rate, SAMPLE_RATE) / 2
    levels = [spectrogram(samples, top_hz) for _, samples, _ in sounds]
    choices = "".join(
        f'<label><input type="radio" name="hear" value="{place}"{" checked" * (place == 0)}> {name}</label>'
        for place, (name, *_) in enumerate(sounds)
    )
    players = "".join(
        f'<audio controls preload="auto" src="{escape(address)}" aria-label="{name}"{" hidden" * (place > 0)}></audio>'
        for place, (name, _, address) in enumerate(sounds)
    )
    figures = "".join(
        f'<figure><figcaption>{name}</figcaption><div class="over"><img src="{picture(level, levels[0].max())}" '
        f'alt="Spectrogram: {name}"><b></b></div></figure>'
        for (name, *_), level in zip(sounds, levels, strict=True)
    )
    links = "".join(
        f'<a href="{escape(address)}" download>Download {name.lower()}</a>' for name, _, address in sounds[1:]
    )
    return (
        f'<fieldset><legend>Listen to</legend>{choices}</fieldset>{players}<p class="links">{links}</p>{figures}'
        f'<p class="told axis"><span>0:00</span><span>0 to {top_hz / 1000:g} kHz, from below</span>'
        f"<span>{clock(recording.seconds)}</span></p>"
    )
