"""What is taken for speech, by voice activity: noise alone, and speech in it; Silero VAD beside WebRTC VAD.

    python benchmarks/voice.py data/CORPUS/Nmix/test --num 200

Windows are the corpus's segments of one talker. In each cell is the share of windows in which somebody speaks, so that
a recording's talkers are looked for there (inference.voice), and behind it the share of frames. Silero's rows are
thresholds of its probability, WebRTC's its modes.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np

from wesep_mix.base.installed import revision, shown, versions
from wesep_mix.base.seeds import rng_for
from wesep_mix.base.stage import guarded
from wesep_mix.inference import voice
from wesep_mix.mixing.draw import draw_plan
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.mixing.render import render
from wesep_mix.preparation.activity import speech_frames
from wesep_mix.report.tables import Table

SNRS = (30.0, 10.0, 5.0, 0.0, -5.0)
THRESHOLDS = (0.1, 0.2, 0.3, 0.5)
MODES = (0, 1, 2, 3)


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path, help="a prepared set")
    options.add_argument("--num", type=int, default=200, help="windows of each kind [200]")
    args = options.parse_args(argv)
    return guarded(lambda: _measure(args.data, args.num), "benchmark")


def _measure(data: Path, num: int) -> None:
    print(f"seed 0, revision {revision()}; {shown(versions())}\n")
    print(voice_table(data, num).markdown())


def voice_table(data: Path, num: int) -> Table:
    """Shares of windows and of frames.

    Args:
        data: a prepared set.
        num: windows of each kind.

    Returns:
        A row for each detector, a column for noise alone and for each SNR.
    """
    pool, found = load_pool(data), {}
    for number in range(num):
        plan = draw_plan(pool, 1, rng_for(0, "voice", number))
        for snr in SNRS:
            audio = render(dataclasses.replace(plan, noise=dataclasses.replace(plan.noise, snr_db=snr)))
            windows = {f"{snr:g} dB": audio.mix} | ({"noise alone": audio.noise} if snr == 0 else {})
            for kind, window in windows.items():
                for name, frames in detected(window).items():
                    found.setdefault(name, {}).setdefault(kind, []).append((voice.has_speech(frames), frames.mean()))
    kinds = ("noise alone", *(f"{snr:g} dB" for snr in SNRS))
    rows = [(name, *(_cell(own[kind]) for kind in kinds)) for name, own in found.items()]
    return Table(("detector", *kinds), rows)


def detected(samples: np.ndarray) -> dict[str, np.ndarray]:
    """Voice activity by each detector, bool [L] of its own frames."""
    sure = voice.voice_probabilities(samples)
    found = {f"Silero {least:g}": sure >= least for least in THRESHOLDS}
    return found | {f"WebRTC {mode}": speech_frames(samples, mode) for mode in MODES}


def _cell(found: list[tuple[bool, float]]) -> str:
    windows, frames = np.mean(found, axis=0)
    return f"{100 * windows:.0f} % ({100 * frames:.0f} %)"


if __name__ == "__main__":
    sys.exit(main())
