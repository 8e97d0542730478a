"""What WeSep's inference and scoring leave: which wav is whose, and their scores beside ours."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_table, write_table

ESTIMATES = "estimates.scp"
BESIDE = {"si_snr": "SI_SNR", "pesq": "PESQ_WB", "stoi": "STOI", "estoi": "ESTOI"}  # our metric: WeSep's
PERCENT = ("STOI", "ESTOI")


def write_estimates(audio: Path, test: Path) -> Path:
    """Write which wav of WeSep's inference is whose, for its scoring: `sK/<mix>.wav path`.

    WeSep's own table, spk1.scp, reads mixture and talker out of the file's name; that is right for names of
    LibriSpeech's form alone. This one looks the names up.

    Args:
        audio: the folder with `Utt<number>-<mix>-T<label>.wav`.
        test: the exported test set.

    Returns:
        The table, in the folder above.

    Raises:
        UserError: a target has no wav, or a wav is of no target.
    """
    labels = read_table(test / "utt2spk")
    wanted = {
        f"{mix}-T{label}": f"s{number}/{mix}.wav"
        for mix, row in labels.items()
        for number, label in enumerate(row.split(), start=1)
    }
    found = {path.stem.partition("-")[2]: path for path in sorted(audio.glob("Utt*-*.wav"))}
    odd = sorted(wanted.keys() ^ found.keys())
    if odd:
        raise UserError(
            f"{audio}: wanted a wav Utt<number>-<mix>-T<label> of each target, {odd[0]} has none or is none"
        )
    references = read_table(test / "single.wav.scp")
    for name, path in found.items():
        _lengthen(path, references[wanted[name]])
    table = audio.parent / ESTIMATES
    write_table(table, {wanted[name]: str(path.absolute()) for name, path in found.items()})
    return table


def _lengthen(path: Path, reference: str) -> None:
    """Add zeros to a wav that is shorter than its reference, as SpEx+'s are, which WeSep's scoring refuses."""
    import soundfile

    missing = soundfile.info(reference).frames - soundfile.info(path).frames
    if missing > 0:
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path, np.pad(samples, (0, missing)), rate, subtype="PCM_16")


def write_beside(
    scores: Path, ours: Path, speakers: Mapping[str, Sequence[str]], out: Path
) -> dict[str, tuple[float, float]]:
    """Write WeSep's scores of its own wavs beside ours of the same model, a row a target.

    Args:
        scores: the folder that WeSep's score.py wrote.
        ours: stage 7's scores.csv.
        speakers: {mixture: its talkers, in the plan's order}.
        out: the CSV to write: mix, speaker, then each metric of ours and of WeSep's.

    Returns:
        {metric: (mean of ours, mean of WeSep's)}, over the targets that both have.

    Raises:
        UserError: WeSep did not score a target.
    """
    theirs = {
        metric: _scores(scores / f"{name}_spk1", 100 if name in PERCENT else 1)
        for metric, name in BESIDE.items()
        if (scores / f"{name}_spk1").is_file()
    }
    keys = {
        (mix, spk): f"s{number}/{mix}.wav" for mix, group in speakers.items() for number, spk in enumerate(group, 1)
    }
    with open(ours, newline="", encoding="utf-8") as file:
        lines = [_line(row, keys[row["mix"], row["speaker"]], theirs, scores) for row in csv.DictReader(file)]
    with atomic_write(out) as file:
        table = csv.DictWriter(file, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
    return {metric: _means(lines, metric) for metric in theirs}


def _scores(path: Path, scale: float) -> dict[str, float]:
    return {key: float(value) / scale for key, value in read_table(path).items()}


def _line(row: Mapping[str, str], key: str, theirs: Mapping[str, Mapping[str, float]], scores: Path) -> dict[str, str]:
    line = {"mix": row["mix"], "speaker": row["speaker"]}
    for metric, table in theirs.items():
        if key not in table and metric != "pesq":  # which WeSep leaves out where it hears no speech
            raise UserError(f"{scores}: wanted WeSep's {BESIDE[metric]} of {key}, found none; redo stage 7")
        line |= {metric: row.get(metric, ""), f"{metric}_wesep": str(table.get(key, ""))}
    return line


def _means(lines: Sequence[Mapping[str, str]], metric: str) -> tuple[float, float]:
    pairs = [(line[metric], line[f"{metric}_wesep"]) for line in lines]
    both = [tuple(map(float, pair)) for pair in pairs if all(pair) and all(math.isfinite(float(one)) for one in pair)]
    ours, theirs = zip(*both, strict=True) if both else ((math.nan,), (math.nan,))
    return sum(ours) / len(ours), sum(theirs) / len(theirs)
