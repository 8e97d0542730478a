import base64
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib import image

from wesep_mix.inference.candidates import Talker
from wesep_mix.io.recording import from_samples
from wesep_mix.page.pictures import (
    COLUMNS,
    clock,
    peaks,
    picture,
    player,
    spectrogram,
    talker_card,
    timeline,
    waveform,
)

RATE = 16000


def tone(hz: float, seconds: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize(("seconds", "told"), [(0, "0:00"), (7.9, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_clock(seconds, told):
    assert clock(seconds) == told


def test_every_sample_counts_in_one_peak():
    samples = np.zeros(1003)
    samples[[0, 500, 1002]] = (0.2, -0.9, 0.4)
    found = peaks(samples, 10)
    assert len(found) == 10 and sorted(found[found > 0]) == [0.2, 0.4, 0.9] and found[0] == 0.2 and found[-1] == 0.4
    assert peaks(np.ones(3), 10).sum() == 3  # fewer samples than columns


def test_a_waveform_is_whole_svg_also_of_silence():
    for samples in (tone(200, 1), np.zeros(RATE)):
        points = ElementTree.fromstring(waveform(samples, 50))[0].get("points").split()
        assert len(points) == 100 and all(0 <= float(point.split(",")[1]) <= 100 for point in points)


def test_a_timeline_shows_and_tells_when():
    told = timeline([(0, 8), (12, 24)], 20)
    assert "left:0.00%;width:40.00%" in told and "left:60.00%;width:40.00%" in told  # nothing behind the end
    assert told.endswith('<p class="told">Heard from 0:00 to 0:08, 0:12 to 0:20</p>')
    assert timeline([(10 * k, 10 * k + 5) for k in range(7)], 70).endswith("0:30 to 0:35 and 3 more</p>")


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3, 100])
def test_a_spectrogram_has_a_size_for_any_length(seconds):
    levels = spectrogram(tone(2000, seconds))
    assert levels.shape[0] == 256 and 1 <= levels.shape[1] <= COLUMNS
    assert (levels.argmax(0)[: max(1, levels.shape[1] - 1)] == 64).all()  # 2 kHz of 8
    assert spectrogram(tone(2000, seconds), 4000).shape == (128, levels.shape[1])


def test_a_picture_is_a_png_with_low_frequencies_below():
    levels = spectrogram(tone(1000, 2))
    head, _, data = picture(levels, levels.max()).partition(",")
    pixels = image.imread(io.BytesIO(base64.b64decode(data)))
    assert head == "data:image/png;base64" and pixels.shape == (*levels.shape, 4)
    assert pixels[..., :3].sum((1, 2)).argmax() == 255 - 32


def test_what_is_shown_of_talkers():
    recording = from_samples(tone(300, 3), RATE)
    talker = Talker(1, np.ones(2), 0.93, 0.5, ((0.0, 2.0),))
    card = talker_card(talker, recording.samples, recording, "file=a.wav")
    assert "In 50% of the parts with speech, 93% sure" in card and 'src="file=a.wav"' in card
    shown = player(recording, [("Recording", recording.samples, "r.wav"), ("Talker 1", recording.samples, "t.wav")])
    assert '<a href="t.wav" download>Download talker 1</a>' in shown and "Download recording" not in shown
    assert shown.count("<audio") == shown.count("<img") == 2 and shown.count(" hidden") == 1
    assert "0 to 8 kHz" in shown
