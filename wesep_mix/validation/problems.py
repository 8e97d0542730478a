"""What is wrong with a prepared folder: a line a problem, under the heading of what it is a problem of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REMOVE = ("SNR and SI-SDR count it as sound: leave the file out, or redo stage 1 with --force true (mixtures of "
          "LibriMix's lists keep it, all others are made without)")
HEADINGS = ("folders", "lists", "plans", "sets", "audio files", "rendering", "exported audio")


@dataclass(frozen=True)
class Problem:
    """One line: which file, utterance or mixture, what was wanted, what was found, what to do."""

    of: str  # one of HEADINGS
    text: str


def listing(problems: Sequence[Problem], show: int) -> str:
    """All problems by heading; of each heading the first `show` (0: all) and the number of the rest."""
    blocks = [_block(heading, [problem.text for problem in problems if problem.of == heading], show)
              for heading in HEADINGS]
    return "\n".join(filter(None, blocks))


def _block(heading: str, texts: Sequence[str], show: int) -> str:
    if not texts:
        return ""
    shown = texts[:show] if show else texts
    rest = len(texts) - len(shown)
    tail = [f"  ... and {rest} more of {heading} (--show 0 prints all)"] if rest else []
    return "\n".join([f"{heading}: {len(texts)} problem{'s' * (len(texts) > 1)}", *(f"  {text}" for text in shown),
                      *tail])
