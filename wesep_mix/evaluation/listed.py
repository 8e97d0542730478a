"""Stage 7's metrics of any estimates that come with references, as lists of files: `key path` a line.

Two layouts are known. Of several lists of each kind, as in ESPnet (spk1.scp, spk2.scp), the first of --est belongs to
the first of --ref, and a key is a mixture. Of one list each a key is an estimate; those of WeSep, `s1/MIX.wav` and
`s2/MIX.wav`, are taken for two talkers of the mixture MIX.

The rules: every key of either list is scored or is bad. It is bad where it is in one list alone, a file is missing or
cannot be read, or the files differ in length by more than TAIL samples, the shift of a long STFT. Up to that, all are
cut to the shortest, which is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_table
from wesep_mix.evaluation.scoring import score_trials, write_scored
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.evaluation.trials import Measures, Signals, identity_of
from wesep_mix.io.audio import read_audio
from wesep_mix.metrics.si_sdr import si_sdr

TAIL = 256  # samples, 16 ms
AUDIO = (".wav", ".flac")
WESEP_KEY = re.compile(r"(s\d+)/(.+)\.wav")
Talkers = dict[str, dict[str, Path]]  # {mixture: {talker: file}}


@dataclass(frozen=True)
class Lists:
    """What is to be scored.

    Attributes:
        ref: lists of references, one of all or one a talker.
        est: as many lists of estimates; in place of one list also the folder that has them, by key.
        mix: list of the mixtures; without it nothing is told of an improvement.
        permute: the estimates of a mixture are in no order: those of the best mean SI-SDR are taken for its talkers.
    """

    ref: Sequence[Path]
    est: Sequence[Path]
    mix: Path | None = None
    permute: bool = False


@dataclass(frozen=True)
class ListedTrial:
    """An estimate and its reference, all of them files.

    Attributes:
        mix: name of the mixture.
        speaker: name of the talker in it.
        refs: of all talkers of the mixture.
        ests: as many.
        index: number of this talker.
        mixture: the unprocessed mixture.
        permute: as of `Lists`.
        fault: why it cannot be scored; empty where it can.
    """

    mix: str
    speaker: str
    refs: tuple[Path, ...] = ()
    ests: tuple[Path, ...] = ()
    index: int = 0
    mixture: Path | None = None
    permute: bool = False
    fault: str = ""

    @property
    def key(self) -> str:
        """`<mix>-<speaker>`."""
        return f"{self.mix}-{self.speaker}"

    def signals(self) -> Signals:
        """Read the files, cut to one length.

        Returns:
            The signals.

        Raises:
            UserError: naming the file that is missing, cannot be read or has another length, or the list that lacks it.
        """
        if self.fault:
            raise UserError(self.fault)
        ests = self.ests if self.permute else self.ests[self.index : self.index + 1]
        own = self.refs[self.index]
        files = [own, *self.refs, *ests, *([self.mixture] if self.mixture else [])]
        signals, note = _of_one_length(files)
        sources, found = np.stack(signals[1 : 1 + len(self.refs)]), signals[1 + len(self.refs) :][: len(ests)]
        est = found[_assigned(found, sources)[self.index]] if self.permute else found[0]
        return Signals(est, sources, self.index, signals[-1] if self.mixture else None, note=note)

    def identity(self) -> str:
        """Changes where one of the files does."""
        return identity_of(self, (*self.refs, *self.ests, self.mixture))


def _of_one_length(files: Sequence[Path]) -> tuple[list[np.ndarray], str]:
    """The signals, and what was cut; the first is what the others are compared with."""
    signals = [read_audio(file) for file in files]
    wanted = len(signals[0])
    odd = {file: len(signal) for file, signal in zip(files, signals, strict=True) if len(signal) != wanted}
    for file, found in odd.items():
        if abs(found - wanted) > TAIL:
            raise UserError(f"{file}: wanted {wanted} samples as in {files[0]}, or up to {TAIL} off, found {found}")
    shortest = min(wanted, *odd.values()) if odd else wanted
    note = "".join(f"{file} has {found} samples, {files[0]} {wanted}" for file, found in list(odd.items())[:1])
    return [signal[:shortest] for signal in signals], note


def _assigned(ests: Sequence[np.ndarray], sources: np.ndarray) -> np.ndarray:
    """The number of the estimate of each source, by the best sum of SI-SDRs."""
    ratios = [[si_sdr(est, source) for est in ests] for source in sources]  # [S, S]
    return linear_sum_assignment(ratios, maximize=True)[1]


def score_lists(lists: Lists, out: Path, settings: ScoreConfig, nj: int = 1) -> dict[str, Any]:
    """Score what lists name; write `out/scores.csv` and `out/summary.json`.

    Args:
        lists: references, estimates and mixtures.
        out: folder to write.
        settings: of the scoring; `max_bad` or fewer that fail are named, counted as `num_bad` and left out.
        nj: parallel processes; the result does not depend on it.

    Returns:
        The summary; under `num_cut` is how many were cut to the shortest of their files.

    Raises:
        UserError: a list cannot be read, there are other numbers of them, or more than `max_bad` fail.
    """
    trials = listed_trials(lists)
    measures = Measures.of(settings, others=any(len(trial.refs) > 1 for trial in trials))
    title = f"scoring {lists.est[0]}"
    scored = score_trials(trials, measures, out, settings, nj, title)
    cut = [f"{trial.key}: {scores.note}" for trial, scores in scored if scores.note]
    if cut:
        print(f"note: {title}: {len(cut)} were cut to the shortest of their files, up to {TAIL} samples; {cut[0]}")
    counts = {"num_bad": len(trials) - len(scored), "num_cut": len(cut), "params": 0}
    return write_scored(scored, out, settings, title, **counts)


def listed_trials(lists: Lists) -> list[ListedTrial]:
    """A trial for every key of either kind of list, sorted by mixture and talker.

    Args:
        lists: references, estimates and mixtures.

    Returns:
        The trials; those of keys that a list lacks have a `fault`.

    Raises:
        UserError: a list cannot be read, or there are other numbers of references than of estimates.
    """
    if len(lists.ref) != len(lists.est):
        raise UserError(
            f"--est: wanted as many lists as of --ref, {len(lists.ref)}, found {len(lists.est)}; give each kind once "
            "for every talker"
        )
    refs = _talkers([read_table(path) for path in lists.ref])
    ests = _talkers([_estimates(path, ref) for path, ref in zip(lists.est, lists.ref, strict=True)])
    mixtures = read_table(lists.mix) if lists.mix else None
    mixes = sorted(refs.keys() | ests.keys())
    return [trial for mix in mixes for trial in _trials_of(mix, refs.get(mix, {}), ests.get(mix, {}), mixtures, lists)]


def _trials_of(
    mix: str, ref: Mapping[str, Path], est: Mapping[str, Path], mixtures: Mapping[str, str] | None, lists: Lists
) -> list[ListedTrial]:
    """A trial for each talker of a mixture, by name."""
    names = sorted(ref.keys() | est.keys())
    faults = {name: _lacking(mix, name, ref, est, lists) for name in names}
    of_all = "" if mixtures is None or mix in mixtures else f"{lists.mix}: no line for {mix}, which is to be scored"
    if lists.permute or not ref.keys() >= est.keys():  # the lines of all talkers are needed for each
        of_all = of_all or next((fault for fault in faults.values() if fault), "")
    files = (tuple(ref.values()), tuple(est.get(name, Path()) for name in ref))
    mixture = Path(mixtures[mix]) if mixtures and mix in mixtures else None
    return [
        ListedTrial(mix, name, fault=fault)
        if (fault := of_all or faults[name])
        else ListedTrial(mix, name, *files, list(ref).index(name), mixture, lists.permute)
        for name in names
    ]


def _lacking(mix: str, name: str, ref: Mapping[str, Path], est: Mapping[str, Path], lists: Lists) -> str:
    """Which list has no line for a talker; empty where both have one."""
    if name in ref and name in est:
        return ""
    place = int(name[1:]) - 1 if len(lists.ref) > 1 else 0
    there, gone = (lists.ref, lists.est) if name in ref else (lists.est, lists.ref)
    return f"{gone[place]}: no line for {mix} ({name}), which is in {there[place]}"


def _talkers(tables: Sequence[Mapping[str, str]]) -> Talkers:
    """{mixture: {talker: file}}, the talkers being s1, s2 and so on."""
    found: Talkers = {}
    for number, table in enumerate(tables, start=1):
        for key, path in table.items():
            wesep = WESEP_KEY.fullmatch(key) if len(tables) == 1 else None
            talker, mix = wesep.groups() if wesep else (f"s{number}", key)
            found.setdefault(mix, {})[talker] = Path(path)
    return {mix: dict(sorted(talkers.items())) for mix, talkers in found.items()}


def _estimates(path: Path, ref: Path) -> Mapping[str, str]:
    """A list, or the files of a folder under the keys of the references."""
    if not path.is_dir():
        return read_table(path)
    found = {key: path / (key if key.endswith(AUDIO) else f"{key}{AUDIO[0]}") for key in read_table(ref)}
    return {key: str(file if file.exists() else file.with_suffix(AUDIO[1])) for key, file in found.items()}
