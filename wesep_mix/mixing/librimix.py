"""Official LibriMix lists -> plans: `libri2mix_train-clean-360.csv` says which utterances are mixed, and how loud.

Columns: mixture_ID, source_K_path, source_K_gain for each talker K, noise_path, noise_gain; paths are relative to
LibriSpeech and WHAM! (LibriMix, arXiv 2005.11262). A list that a spreadsheet has saved again is read like the original:
with a UTF-8 mark before it, blanks around its values, or semicolons or tabs between them.

A row gives the utterances, the gain of each, and the noise file, if the set's noises include it (then from its first
sample on). The rest is ours, seeded by the row's mixture id: crops, offsets and SNR, since the paper (arXiv 2604.03219,
section 'Data') draws these; so `noise_gain` does not apply. MUSAN is in no list: for a set without WHAM! the noise is
drawn. Crops and WHAM! noise keep a constant offset of their recording, as in LibriMix's mixing.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.io.audio import SAMPLE_RATE, SPEECH_DC_DB
from wesep_mix.mixing.draw import Pool, draw_noise, draw_offsets, draw_snr, place_sources
from wesep_mix.mixing.plan import Noise, Plan, Source
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry


@dataclass(frozen=True, slots=True)
class Row:
    """A mixture of a list. `where` names file and line; utterances are called by their files' names."""

    where: str
    id: str
    utts: tuple[str, ...]
    gains: tuple[float, ...]
    noise_path: str


def read_lists(folder: str | Path, num_spk: int, subsets: Sequence[str]) -> list[Row]:
    """Read the lists of some subsets of LibriSpeech.

    Args:
        folder: LibriMix's `metadata`, its checkout, or the folder of the lists themselves.
        num_spk: talkers in a mixture.
        subsets: names of the subsets.

    Returns:
        The rows, in their order.

    Raises:
        UserError: naming what is missing, or file and line of what is damaged.
    """
    return [row for subset in subsets for row in _read(_find(Path(folder).expanduser(), num_spk, subset), num_spk)]


def check_lists(folder: str | Path, num_spk: int, subsets: Sequence[str]) -> None:
    """Check that the lists are there, without reading them.

    Args:
        folder: as for `read_lists`.
        num_spk: talkers in a mixture.
        subsets: names of the subsets.

    Raises:
        UserError: naming the first list that is not there.
    """
    for subset in subsets:
        _find(Path(folder).expanduser(), num_spk, subset)


def _find(folder: Path, num_spk: int, subset: str) -> Path:
    name, inner = f"libri{num_spk}mix_{subset}.csv", f"Libri{num_spk}Mix"
    places = [folder / part / name for part in ("", inner, "metadata", f"metadata/{inner}")]
    for place in places:
        if place.is_file():
            return place
    hint = "" if num_spk in (2, 3) else '; LibriMix has lists for 2 and 3 talkers, metadata_dir "" draws by its rules'
    raise UserError(f"{folder}: wanted LibriMix's {inner}/{name}, found no such file there{hint}")


def _read(path: Path, num_spk: int) -> list[Row]:
    columns = ["mixture_ID", *(f"source_{k + 1}_{what}" for k in range(num_spk) for what in ("path", "gain"))]
    rows: dict[str, Row] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=_delimiter(file.readline()), skipinitialspace=True, strict=True)
            file.seek(0)
            places = _places(next(reader, []), [*columns, "noise_path"], path)
            for fields in filter(None, reader):
                row = _row(fields, places, f"{path}, line {reader.line_num}")
                if rows.setdefault(row.id, row) is not row:
                    raise UserError(f"{row.where}: mixture {row.id} is there twice; take the list from LibriMix again")
    except (csv.Error, UnicodeDecodeError) as err:
        raise UserError(f"{path}, line {len(rows) + 2} or later: not a CSV file ({err})") from err
    if not rows:
        raise UserError(f"{path}: wanted a line for each mixture, found none; take the list from LibriMix again")
    return list(rows.values())


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _places(header: Sequence[str], columns: Sequence[str], path: Path) -> list[int]:
    """Index of each column, and at the end the number of all columns."""
    header = [name.strip() for name in header]
    missing = [column for column in columns if column not in header]
    if missing:
        found = ", ".join(header) or "an empty file"
        hint = "" if len(header) != 1 else "; separate columns by commas"
        raise UserError(f"{path}, line 1: wanted the column {missing[0]}, found {found}{hint}")
    return [*map(header.index, columns), len(header)]


def _row(fields: Sequence[str], places: Sequence[int], where: str) -> Row:
    *places, num_columns = places
    if len(fields) != num_columns:
        raise UserError(f"{where}: wanted {num_columns} values, found {len(fields)}; take the list from LibriMix again")
    name, *sources, noise = [fields[place].strip() for place in places]
    if not all((name, noise, *sources)):
        raise UserError(f"{where}: a value is empty; take the list from LibriMix again")
    utts = tuple(path.rsplit("/", 1)[-1].rsplit(".", 1)[0] for path in sources[::2])
    return Row(where, name, utts, tuple(_gain(text, where) for text in sources[1::2]), noise)


def _gain(text: str, where: str) -> float:
    try:
        gain = float(text)
    except ValueError:
        gain = math.nan
    if not 0 < gain < math.inf:
        raise UserError(f"{where}: wanted a positive gain, found {text!r}; take the list from LibriMix again")
    return gain


FASTER_OR_SLOWER = ("sp08", "sp12")  # LibriMix's names for copies of WHAM! training noise at other speeds
MAX_TRIES = 100
MAX_NAMED = 20


@dataclass(frozen=True)
class Rules:
    """What becomes of rows: `short` is "replace" or "drop" (see `plans_of`); up to `max_bad` rows may be left out."""

    seed: int
    short: str
    max_bad: int


def plans_of(rows: Sequence[Row], pool: Pool, unused: Mapping[str, str], rules: Rules, name: str) -> list[Plan]:
    """Make the plans of a set's rows; what is left out or replaced is counted in a note.

    A row with an utterance that lacks a full segment gets another utterance of the same speaker, drawn by seed
    ("replace"; the mixture is then named after the utterances that it has). It is left out with "drop", or if there is
    no other.

    Args:
        rows: the set's rows.
        pool: what the set has.
        unused: {utterance that lacks a full segment: its speaker}.
        rules: what becomes of rows.
        name: the set's name, a part of the seed.

    Returns:
        The plans, sorted by id.

    Raises:
        UserError: more than `max_bad` rows name speech, or noise in WHAM!'s own folders, that is not there.
    """
    corpus = _Set(name, pool, {entry.utt: entry for own in pool.speech.values() for entry in own}, unused)
    noises = _Noises(pool.noises)
    faults = [_missing(row, corpus, noises) for row in rows]
    _report_bad([fault for fault in faults if fault], rules.max_bad, name)
    good = [row for row, fault in zip(rows, faults, strict=True) if not fault]
    chosen = _choose(good, corpus, rules)
    if not chosen:
        raise UserError(f"{rows[0].where}: wanted rows of this corpus, found none of {len(rows)} for the set {name}")
    plans = [_plan(row, entries, corpus, noises, rules.seed) for row, entries in chosen]
    _report_offsets([entry for _, entries in chosen for entry in entries], name)
    if noises.num_other_speed:
        print(f"note: {name}: {noises.num_other_speed} rows name a noise at another speed; its original is taken")
    return sorted(plans, key=lambda plan: plan.id)


@dataclass(frozen=True)
class _Set:
    """What a set of the corpus has: its pool, usable utterances by id, and the speakers of the others."""

    name: str
    pool: Pool
    speech: Mapping[str, SpeechEntry]
    unused: Mapping[str, str]

    def others(self, utt: str) -> Sequence[SpeechEntry]:
        """What may stand in for an utterance: itself, or if it is too short all other utterances of its speaker."""
        return (self.speech[utt],) if utt in self.speech else self.pool.speech.get(self.unused[utt], ())


class _Noises:
    """A set's noises by folder and file, which is how the lists name WHAM!'s."""

    def __init__(self, noises: Sequence[NoiseEntry]):
        self._entries = {"/".join(PurePath(entry.path).parts[-2:]): entry for entry in noises}
        self._folders = {path.split("/")[0] for path in self._entries}
        self.num_other_speed = 0

    def has_folder(self, path: str) -> bool:
        return path.split("/")[0] in self._folders

    def find(self, path: str) -> NoiseEntry | None:
        return self._entries.get(path) or self._entries.get(_original(path))

    def is_silent(self, path: str, seconds: float) -> bool:
        """Whether a noise of these folders is silent for this many seconds from its first sample on."""
        entry = self.find(path)
        return entry is not None and any(first == 0 and end >= seconds * SAMPLE_RATE for first, end in entry.silent)

    def take(self, path: str) -> NoiseEntry:
        self.num_other_speed += path not in self._entries
        return self._entries.get(path) or self._entries[_original(path)]


def _original(path: str) -> str:
    stem, dot, suffix = path.rpartition(".")
    ending = next((ending for ending in FASTER_OR_SLOWER if stem.endswith(ending)), "")
    return stem.removesuffix(ending) + dot + suffix


def _missing(row: Row, corpus: _Set, noises: _Noises) -> str:
    """What the corpus lacks of a row; empty if nothing."""
    for utt in row.utts:
        if utt not in corpus.speech and utt not in corpus.unused:
            return f"{row.where}: mixture {row.id}: wanted utterance {utt}, found no such file in the set {corpus.name}"
    if noises.has_folder(row.noise_path) and noises.find(row.noise_path) is None:
        return (
            f"{row.where}: mixture {row.id}: wanted noise {row.noise_path}, found no such file in the set "
            f"{corpus.name}, or a silent one"
        )
    if noises.is_silent(row.noise_path, corpus.pool.config.segment_s):
        return (
            f"{row.where}: mixture {row.id}: wanted noise {row.noise_path} at an SNR, found that its first segment is "
            "silent"
        )
    return ""


def _report_offsets(entries: Sequence[SpeechEntry], name: str) -> None:
    paths = sorted({entry.path for entry in entries if entry.crops[0].dc})
    if paths:
        print(
            f"note: {name}: the crops of {len(paths)} files have a constant offset above {SPEECH_DC_DB:g} dB of their "
            f"power; LibriMix keeps it, so SNR and SI-SDR count it as speech: {paths[0]}, ..."
        )


def _report_bad(bad: Sequence[str], max_bad: int, name: str) -> None:
    for fault in bad[:MAX_NAMED]:
        print(f"warning: {name}: left out: {fault}", file=sys.stderr)
    if len(bad) > max_bad:
        raise UserError(
            f"{bad[0]} ({len(bad)} such rows, max_bad is {max_bad}); fetch what is missing, or "
            f"--set corpus.max_bad={len(bad)} leaves them out"
        )
    if bad:
        print(f"note: {name}: {len(bad)} rows of LibriMix's lists are left out, since their files are missing")


def _choose(rows: Sequence[Row], corpus: _Set, rules: Rules) -> list[tuple[Row, tuple[SpeechEntry, ...]]]:
    """The rows that stay, with their utterances."""
    chosen, short = [], []
    for row in rows:
        if all(utt in corpus.speech for utt in row.utts):
            chosen.append((row, tuple(corpus.speech[utt] for utt in row.utts)))
        else:
            short.append(row)
    replaced = _replace_short(short, corpus, rules.seed, {row.id for row in rows}) if rules.short == "replace" else []
    if short:
        print(
            f"note: {corpus.name}: {len(short)} of {len(rows)} rows have an utterance without "
            f"{corpus.pool.config.segment_s:g} s of speech (short: {rules.short}): {len(replaced)} got another of "
            f"that speaker, {len(short) - len(replaced)} are left out"
        )
    return chosen + replaced


def _replace_short(
    rows: Sequence[Row], corpus: _Set, seed: int, taken: set[str]
) -> list[tuple[Row, tuple[SpeechEntry, ...]]]:
    """The rows for which a mixture was found whose name is not `taken`."""
    replaced = []
    for row in rows:
        others = [corpus.others(utt) for utt in row.utts]
        entries = _replace(others, rng_for(seed, "replace", corpus.name, row.id), taken)
        if entries:
            replaced.append((row, entries))
    return replaced


def _replace(
    others: Sequence[Sequence[SpeechEntry]], rng: np.random.Generator, taken: set[str]
) -> tuple[SpeechEntry, ...] | None:
    """Choose one of each so that the mixture is new, and add its name to `taken`; None if none is found."""
    if not all(others):
        return None
    for _ in range(MAX_TRIES):
        entries = tuple(own[int(rng.integers(len(own)))] for own in others)
        name = "_".join(entry.utt for entry in entries)
        if name not in taken:
            taken.add(name)
            return entries
    return None


def _plan(row: Row, entries: Sequence[SpeechEntry], corpus: _Set, noises: _Noises, seed: int) -> Plan:
    pool, rng = corpus.pool, rng_for(seed, "official", corpus.name, row.id)
    offsets = draw_offsets(len(entries), pool.config, rng)
    size = round(pool.config.segment_s * SAMPLE_RATE)
    sources = tuple(
        _source(entry, offset, size, gain) for entry, offset, gain in zip(entries, offsets, row.gains, strict=True)
    )
    if not noises.has_folder(row.noise_path):
        return place_sources(sources, draw_noise(pool, rng))
    noise = noises.take(row.noise_path)
    return place_sources(sources, Noise(noise.id, noise.path, 0, noise.num_samples, draw_snr(pool.config, rng)))


def _source(entry: SpeechEntry, offset: int, size: int, gain: float) -> Source:
    crop = entry.crops[0]
    lufs = crop.lufs + 20 * math.log10(gain)
    return Source(entry.utt, entry.spk, entry.sex, entry.path, crop.start, size, offset, gain, lufs)
