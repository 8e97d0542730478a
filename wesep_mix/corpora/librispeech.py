"""LibriSpeech, or any speech in its layout: ROOT/[subset/]speaker/chapter/*.flac, with noise from elsewhere.

The sets are either named subsets (`subsets`, as in LibriMix), or all speakers there are, split by `split`. Noise is
chosen by kind from MUSAN and WHAM! (`noises`), or is a folder of any noise, or is generated.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from wesep_mix.base.config import FILLED, Checked
from wesep_mix.base.errors import UserError, escaped
from wesep_mix.base.names import SETS, SetName, utterance_problem
from wesep_mix.corpora.sources.entries import Corpus, NoiseFile, Problems, Utterance, check_corpus
from wesep_mix.corpora.sources.folders import bad_headers
from wesep_mix.corpora.sources.noise import NoiseConfig, make_noise, noise_files
from wesep_mix.corpora.sources.noise_parts import check_choice, corpora_of, noise_folder_of, read_noises
from wesep_mix.corpora.sources.splits import FETCH, TAKE, Split, speech_shortfalls, split_names
from wesep_mix.io.folders import audio_files, existing_folder

LAYOUT = "[subset/]speaker/chapter/*.flac (or wav, ogg, opus)"
_SPEAKERS = "SPEAKERS.TXT"
_LOW = re.compile("[ -,-]")  # the printable characters up to the hyphen
_UNNAMED = re.compile("[^A-Za-z0-9]+")  # what a corpus's name does not bring into its speakers'
_MAX_LINES = 20  # of damaged files that are shown of a list: every file of a corpus may be damaged


@dataclass(frozen=True)
class Config(Checked):
    """Where speech and noise lie, and which of them each set has.

    Attributes:
        more_speech_dir: another corpus in the same layout, whose speakers are added before the split, each named after
            its folder too; "": none.
        subsets: names of subsets for each set; {}: all speakers are split by `split`.
        noises: prefixes of kinds for each set (musan/noise, wham/tt); {}: `noise_dir`, or where that is "" noise is
            generated as `noise` says.
        whole: the published numbers of files must be there, of every subset and part that is used.
    """

    name: str = "librispeech"
    seed: int = 0
    speech_dir: str = ""
    more_speech_dir: str = ""
    noise_dir: str = ""
    musan_dir: str = ""
    wham_dir: str = ""
    subsets: dict[SetName, Annotated[tuple[str, ...], FILLED]] = field(default_factory=dict)
    noises: dict[SetName, Annotated[tuple[str, ...], FILLED]] = field(default_factory=dict)
    whole: bool = False
    split: Split = field(default_factory=Split)
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    @property
    def noise_folders(self) -> dict[str, str]:
        """Where the corpora that `noises` chooses from are; "" where that was not said."""
        return {"musan": self.musan_dir, "wham": self.wham_dir}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subsets and len(self.subsets) != len(SETS):
            raise ValueError(f"subsets: wanted names for each of {', '.join(SETS)}, found {self.subsets}")
        if self.noises:
            check_choice(self.noises)
        if self.subsets and self.more_speech_dir:
            raise ValueError("more_speech_dir and subsets: wanted one of them (subsets={} splits all speakers)")
        if self.noises and self.noise_dir:
            raise ValueError("noise_dir and noises: wanted one of them (noises={} takes all of noise_dir)")


def check_folders(config: Config) -> None:
    """Check quickly that the folders are named and there; this is called before lists of other settings are removed.

    Args:
        config: the corpus.

    Raises:
        UserError: naming the first folder that is not.
    """
    _speech_root(config.speech_dir)
    if config.more_speech_dir:
        _speech_root(config.more_speech_dir)
    if config.noise_dir:
        existing_folder(config.noise_dir)
    for corpus in corpora_of(config.noises):
        noise_folder_of(corpus, config.noise_folders)


def collect(config: Config, work_dir: Path, nj: int, max_bad: int = 0) -> Corpus:
    """List speech and noise; if no noise is named, generate it under work_dir/noise.

    Everything is checked first: folders, subsets, with `config.whole` the numbers of files, and the header of every
    file.

    Args:
        config: the corpus.
        work_dir: stage 1's folder of this corpus.
        nj: number of processes.
        max_bad: damaged files that a list may have. They stay in it; stage 1 leaves out what it cannot decode.

    Returns:
        The corpus.

    Raises:
        UserError: something is missing, damaged or of another layout (several problems are written to stderr, a line
            each), or there are too few speakers or noise files.
    """
    problems = Problems()
    speech: dict[str, list[Utterance]] = {}
    with problems.gathering():
        speech = _read_speech(config, problems)
    noise: dict[str, list[NoiseFile]] = {}
    with problems.gathering():
        noise = _read_noise(config, problems)
    _check_headers(speech, noise, nj, max_bad, problems)
    problems.refuse()
    if not noise:
        noise = make_noise(config.noise, config.seed, speech, Path(work_dir) / "noise", nj)
    return check_corpus(Corpus(speech, noise))


def read_speech_folder(
    folder: str | Path, subsets: Collection[str] = (), named: bool = False
) -> dict[str, list[Utterance]]:
    """Find all utterances of a folder.

    Args:
        folder: LibriSpeech itself, the folder that contains `LibriSpeech/`, or one of its subsets.
        subsets: look only into those of these that are there; (): into all.
        named: speakers' names begin with the folder's, so that no other corpus has them.

    Returns:
        {subset: its utterances}; the subset is "" if speakers lie directly in the folder.

    Raises:
        UserError: there is no such folder, or no speech in this layout.
    """
    root = _speech_root(folder)
    sexes = _read_sexes(root)
    wanted = [root / name for name in subsets if (root / name).is_dir()]
    found = [path for subset in wanted for path in audio_files(subset, max_depth=3)]
    if not wanted:
        found = audio_files(root, max_depth=4)
    placed = [path for path in found if len(path.relative_to(root).parts) in (3, 4)]
    if not placed:
        elsewhere = f", such as {found[0].relative_to(root)}" if found else ""
        raise UserError(f"{root}: wanted speech as {LAYOUT}, found {len(found)} audio files elsewhere{elsewhere}")
    names = kaldi_names({path.parts[-3] for path in placed})
    if named:
        corpus = _UNNAMED.sub("_", root.name)
        names = {speaker: f"{corpus}_{name}" for speaker, name in names.items()}
    utterances: dict[str, list[Utterance]] = {}
    for path in placed:
        parts = path.relative_to(root).parts
        subset = parts[0] if len(parts) == 4 else ""
        utterances.setdefault(subset, []).append(_utterance(path, sexes, names))
    return utterances


def kaldi_names(speakers: Collection[str]) -> dict[str, str]:
    """Name speakers so that utterance ids `<speaker>-...` sort as the speakers do, which Kaldi wants.

    They do not if a speaker's name is the beginning of another's whose next character sorts before the hyphen (`12` and
    `12+`). Such characters of the longer name become `_`.

    Args:
        speakers: the names of their folders.

    Returns:
        {speaker: its name}, mostly the same.

    Raises:
        UserError: the new name is another speaker's.
    """
    names = {speaker: speaker for speaker in speakers}
    for speaker in sorted(speakers):
        ends = (end for end in range(1, len(speaker)) if speaker[end] <= "-")
        if any(speaker[:end] in names for end in ends):
            before = {*names, *names.values()}
            names[speaker] = _LOW.sub("_", speaker)
            if names[speaker] in before:
                raise UserError(
                    f"speaker {speaker}: wanted a name whose utterances sort as the speakers do, as Kaldi wants, and "
                    f"{names[speaker]} is another speaker; rename that folder"
                )
    if changed := [speaker for speaker in sorted(names) if names[speaker] != speaker]:
        print(
            f"note: {len(changed)} speakers get other names, so that their utterances sort as Kaldi wants: "
            f"{escaped(changed[0])} is {escaped(names[changed[0]])}, ..."
        )
    return names


def _example(items: Collection[Utterance]) -> str:
    """One folder that was taken for a speaker, for an error whose cause may be another layout."""
    some = min(items, key=lambda item: item.path)
    return f"taken for a speaker: {some.speaker} of {some.path}; wanted speech as {LAYOUT}"


def _speech_root(folder: str | Path) -> Path:
    if not folder:
        raise UserError(f"speech_dir is not set: name a folder of speech ({LAYOUT}) with --librispeech DIR")
    root = existing_folder(folder)
    return root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root


def _utterance(path: Path, sexes: Mapping[str, str], names: Mapping[str, str]) -> Utterance:
    """The utterance of a file in speaker/chapter/; its id begins with the speaker's name, as Kaldi wants."""
    folder, chapter = path.parts[-3:-1]
    speaker = names[folder]
    name = path.stem if path.stem.startswith(f"{speaker}-") else f"{speaker}-{chapter}-{path.stem}"
    return Utterance(name, speaker, sexes.get(folder, "U"), path)


def _read_sexes(root: Path) -> dict[str, str]:
    """Speaker -> "F" or "M" from SPEAKERS.TXT in the folder or, for a subset, above it; empty if there is none."""
    tables = [folder / _SPEAKERS for folder in (root, root.parent) if (folder / _SPEAKERS).is_file()]
    if not tables:
        return {}
    lines = tables[0].read_text(encoding="utf-8-sig", errors="replace").splitlines()
    fields = [[part.strip() for part in line.split("|")] for line in lines if not line.startswith(";")]
    return {row[0]: row[1] for row in fields if len(row) > 1 and row[1] in ("F", "M")}


def _read_speech(config: Config, problems: Problems) -> dict[str, list[Utterance]]:
    """The speech of each set; subsets that are missing or not whole are added to `problems`. Raises: UserError."""
    where, wanted = f"--librispeech {config.speech_dir}", [name for names in config.subsets.values() for name in names]
    subsets = read_speech_folder(config.speech_dir, wanted)
    for name in sorted(set(wanted) - set(subsets)):
        there = _subfolders(config.speech_dir) if any(subsets) else "only speakers, and no subset"
        problems.add(f"{where}: wanted subset {name}, found {there}", FETCH)
    if config.whole:
        used = {name: items for name, items in subsets.items() if name in wanted or not wanted}
        for line in speech_shortfalls(used):
            problems.add(f"{where}: {line}", FETCH, TAKE)
    if not wanted:
        more = read_speech_folder(config.more_speech_dir, named=True) if config.more_speech_dir else {}
        return _split_speech(config, [item for items in (*subsets.values(), *more.values()) for item in items])
    return {name: [item for subset in config.subsets[name] for item in subsets.get(subset, ())] for name in SETS}


def _subfolders(folder: str) -> str:
    return ", ".join(sorted(path.name for path in _speech_root(folder).iterdir() if path.is_dir()))


def _split_speech(config: Config, pooled: list[Utterance]) -> dict[str, list[Utterance]]:
    speakers = sorted({utterance.speaker for utterance in pooled})
    try:
        chosen = split_names(speakers, config.split, config.seed, f"{config.speech_dir}: speakers")
    except UserError as err:
        raise UserError(f"{err}; {_example(pooled)}") from err
    return {name: [item for item in pooled if item.speaker in chosen[name]] for name in SETS}


def _read_noise(config: Config, problems: Problems) -> dict[str, list[NoiseFile]]:
    """The noise of each set; {} if it is to be generated."""
    if config.noises:
        return read_noises(config.noises, config.noise_folders, config.whole, problems)
    return noise_files(config.noise_dir, config.split, config.seed) if config.noise_dir else {}


def _check_headers(
    speech: Mapping[str, list[Utterance]], noise: Mapping[str, list[NoiseFile]], nj: int, max_bad: int,
    problems: Problems,
) -> None:  # fmt: skip
    """Add to `problems`, file by file, every list with more than `max_bad` files of bad headers or names."""
    lists = {f"{name} speech": [item.path for item in items] for name, items in speech.items()}
    lists |= {f"{name} noise": [file.path for file in files] for name, files in noise.items()}
    found = bad_headers(lists, nj)
    for name, items in speech.items():
        named = {item.path: utterance_problem(item.id, item.speaker, item.path) for item in items}
        found[f"{name} speech"] |= {path: problem for path, problem in named.items() if problem}
    for title, bad in found.items():
        if len(bad) <= max_bad:
            continue
        advice = f"mend these files, or --set corpus.max_bad={len(bad)} leaves them out"
        for line in list(bad.values())[:_MAX_LINES]:
            problems.add(f"{title}: {line}", advice)
        if len(bad) > _MAX_LINES:
            problems.add(f"{title}: {len(bad) - _MAX_LINES} more damaged files", advice)
