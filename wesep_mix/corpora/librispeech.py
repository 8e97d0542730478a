"""LibriSpeech, or any speech in its layout: ROOT/[subset/]speaker/chapter/*.flac (or wav); noise beside it.

The sets are either named subsets (`subsets`, as in LibriMix), or all speakers there are, split by `split`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from wesep_mix.corpora.folders import audio_files, existing_folder
from wesep_mix.corpora.noise import NoiseConfig, make_noise
from wesep_mix.corpora.noise_folder import noise_files
from wesep_mix.corpora.split import Split, split_names
from wesep_mix.corpora.types import SETS, Corpus, Utterance, checked
from wesep_mix.errors import UserError

LAYOUT = "[subset/]speaker/chapter/*.flac or *.wav"
_SPEAKERS = "SPEAKERS.TXT"


@dataclass(frozen=True)
class Config:
    """`noise_dir` "": noise is generated as `noise` says; `subsets` {}: all speakers are split by `split`."""

    name: str = "librispeech"
    seed: int = 0
    speech_dir: str = ""
    noise_dir: str = ""
    subsets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    split: Split = field(default_factory=Split)
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self) -> None:
        if self.subsets and (sorted(self.subsets) != sorted(SETS) or not all(self.subsets.values())):
            raise ValueError(f"subsets: wanted names for each of {', '.join(SETS)}, found {self.subsets}")


def collect(config: Config, work_dir: Path, nj: int) -> Corpus:
    """List speech and noise; where `noise_dir` is "", generate noise under work_dir/noise on `nj` processes.

    Raises: UserError for a folder that is missing, unreadable or of another layout, for a subset that is not
        there, and for too few speakers or noise files.
    """
    if not config.speech_dir:
        raise UserError(f"speech_dir is not set: name a folder of speech ({LAYOUT}) with --librispeech DIR")
    speech = _split_speech(config, read_speech_folder(config.speech_dir))
    if config.noise_dir:
        noise = noise_files(config.noise_dir, config.split, config.seed)
    else:
        noise = make_noise(config.noise, config.seed, speech, Path(work_dir) / "noise", nj)
    return checked(Corpus(speech, noise))


def read_speech_folder(folder: str | Path) -> dict[str, list[Utterance]]:
    """Find all utterances: subset -> utterances; the subset is "" where speakers lie directly in the folder.

    The folder is LibriSpeech itself, the one that contains `LibriSpeech/`, or one of its subsets.
    Raises: UserError.
    """
    root = existing_folder(folder)
    if (root / "LibriSpeech").is_dir():
        root = root / "LibriSpeech"
    sexes = _read_sexes(root)
    subsets: dict[str, list[Utterance]] = {}
    found = audio_files(root, max_depth=4)
    for path in found:
        parts = path.relative_to(root).parts
        if len(parts) in (3, 4):
            subset = parts[0] if len(parts) == 4 else ""
            subsets.setdefault(subset, []).append(_utterance(path, sexes))
    if not subsets:
        elsewhere = f", such as {found[0].relative_to(root)}" if found else ""
        raise UserError(
            f"{root}: wanted speech as {LAYOUT}, found {len(found)} audio files elsewhere{elsewhere}"
        )
    return subsets


def _utterance(path: Path, sexes: dict[str, str]) -> Utterance:
    """Utterance of a file in speaker/chapter/; its id begins with the speaker, as Kaldi wants."""
    speaker, chapter = path.parts[-3:-1]
    name = path.stem if path.stem.startswith(f"{speaker}-") else f"{speaker}-{chapter}-{path.stem}"
    if name.split() != [name]:
        raise UserError(f"{path}: wanted a name without blanks (Kaldi tables have none), found {name!r}")
    return Utterance(name, speaker, sexes.get(speaker, "U"), path)


def _read_sexes(root: Path) -> dict[str, str]:
    """Speaker -> "F" or "M" from SPEAKERS.TXT, in the folder or above a subset; empty when there is none."""
    tables = [folder / _SPEAKERS for folder in (root, root.parent) if (folder / _SPEAKERS).is_file()]
    if not tables:
        return {}
    lines = tables[0].read_text(encoding="utf-8", errors="replace").splitlines()
    fields = [[part.strip() for part in line.split("|")] for line in lines if not line.startswith(";")]
    return {row[0]: row[1] for row in fields if len(row) > 1 and row[1] in ("F", "M")}


def _split_speech(config: Config, subsets: dict[str, list[Utterance]]) -> dict[str, list[Utterance]]:
    if config.subsets:
        wanted = [name for names in config.subsets.values() for name in names]
        for name in wanted:
            if name not in subsets:
                there = ", ".join(sorted(filter(None, subsets))) or "only speakers, and no subset"
                raise UserError(f"{config.speech_dir}: wanted subset {name}, found {there}")
        return {name: [item for subset in config.subsets[name] for item in subsets[subset]] for name in SETS}
    pooled = [utterance for utterances in subsets.values() for utterance in utterances]
    speakers = sorted({utterance.speaker for utterance in pooled})
    chosen = split_names(speakers, config.split, config.seed, f"{config.speech_dir}: speakers")
    return {name: [item for item in pooled if item.speaker in chosen[name]] for name in SETS}
