"""Stage 8's work on sessions, each function a part of the stage: tracking, row by row, and extraction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from tqdm import tqdm

from wesep_mix.base import config, plugins
from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.base.parallel import map_items
from wesep_mix.evaluation import session_speech, tracks
from wesep_mix.evaluation.cardinalities import measure_cardinalities
from wesep_mix.evaluation.hearing import COHORT
from wesep_mix.evaluation.session_space import drift, space
from wesep_mix.evaluation.settings import TrackRow
from wesep_mix.evaluation.tracking import Case, Setting, choose, like, measure, new_memory, read_cases, track
from wesep_mix.io.arrays import read_arrays
from wesep_mix.metrics.diarisation import ERRORS
from wesep_mix.models.folder import load_network

CARDINALITIES = "cardinalities.json"
CHOSEN, ROWS, SPACES, SPEECH = "chosen.yaml", "rows", "spaces.json", "speech.json"
STUDENT = "student"
OTHER_SPACES = ("frames",)  # ears whose embeddings are not in the teacher's space


@dataclass(frozen=True)
class Sessions:
    """Where sessions and what was heard of them lie.

    Attributes:
        drawn: stage 1's folder, with a folder a set.
        heard: {ear: folder}, `references` among them.
    """

    drawn: Path
    heard: Mapping[str, Path]

    def cases(self, ear: str, set_name: str) -> list[Case]:
        """The sessions of a set as an ear heard them.

        Args:
            ear: whose.
            set_name: dev or test.

        Returns:
            A case a session.
        """
        heard, references = self.heard[ear] / set_name, self.heard["references"] / set_name
        return read_cases(self.drawn / set_name, heard, references)

    def cohort(self, ear: str, memory: Any) -> np.ndarray | None:
        """Others' voices, for a memory that compares with them.

        Args:
            ear: whose.
            memory: its config.

        Returns:
            float32 [M, D]; None for a memory that does not ask for them.
        """
        return read_arrays(self.heard[ear] / COHORT)["cohort"] if getattr(memory, "as_norm", False) else None


def choose_rows(rows: Mapping[str, TrackRow], sessions: Sequence[Sessions], out: Path, nj: int) -> None:
    """Choose each row's thresholds on the dev sessions that the students of all seeds have heard.

    Args:
        rows: of the table.
        sessions: where they lie, for each seed.
        out: gets NAME.json for each row that is not like another, and chosen.yaml of all; what is there is kept.
        nj: number of processes.
    """
    own = {name: row for name, row in rows.items() if not row.like}
    missing = [(name, row) for name, row in own.items() if not (out / f"{name}.json").is_file()]
    map_items(partial(_choose_row, sessions, out), missing, nj, "choosing")
    with atomic_write(out / CHOSEN) as file:
        yaml.safe_dump({name: plain(chosen_for(rows, name, out)) for name in rows}, file, sort_keys=False)


def _choose_row(sessions: Sequence[Sessions], out: Path, item: tuple[str, TrackRow]) -> None:
    name, row = item
    heard = sessions if row.ear == STUDENT else sessions[:1]  # other ears hear the same whatever the seed
    cases = [case for one in heard for case in one.cases(row.ear, "dev")]
    write_json(out / f"{name}.json", plain(choose(row, cases, heard[0].cohort(row.ear, row.memory))))


def chosen_for(rows: Mapping[str, TrackRow], name: str, chosen: Path) -> Setting:
    """The setting of a row.

    Args:
        rows: all of the table.
        name: of the row.
        chosen: folder of `choose_rows`.

    Returns:
        What was chosen for it, or for the row that it is like, with its changes.

    Raises:
        UserError: nothing was.
    """
    row = rows[name]
    path = chosen / f"{row.like or name}.json"
    setting = setting_of(read_json(path), str(path))
    return like(row, setting) if row.like else setting


def track_rows(rows: Mapping[str, TrackRow], chosen: Path, sessions: Sessions, out: Path, nj: int) -> None:
    """Track the test sessions by every row, and score them.

    Args:
        rows: of the table.
        chosen: folder of `choose_rows`.
        sessions: where they lie.
        out: gets rows/NAME.json, a list of scored sessions, and spaces.json, which tells of each ear without any
            memory; rows that are there are kept.
        nj: number of processes.
    """
    settings = {name: chosen_for(rows, name, chosen) for name in rows}
    missing = [(name, row, settings[name]) for name, row in rows.items() if not _file_of(out, name).is_file()]
    map_items(partial(_track_row, sessions, out), missing, nj, "tracking")
    ears = dict.fromkeys(row.ear for row in rows.values() if row.ear not in OTHER_SPACES)
    heard = map_items(partial(_space, sessions), list(ears), nj, "spaces")
    write_json(out / SPACES, dict(heard))


def _track_row(sessions: Sessions, out: Path, item: tuple[str, TrackRow, Setting]) -> None:
    name, row, setting = item
    cohort = sessions.cohort(row.ear, setting.memory)
    scored = [measure(case, track(row, setting, case, cohort)) for case in sessions.cases(row.ear, "test")]
    write_json(_file_of(out, name), scored)


def _space(sessions: Sessions, ear: str) -> list[dict[str, Any]]:
    return [space(case) for case in sessions.cases(ear, "test")]


def _file_of(out: Path, name: str) -> Path:
    return out / ROWS / f"{name}.json"


def plain(setting: Setting) -> dict[str, Any]:
    """A setting as plain values; `setting_of` reads it."""
    memory = None if setting.memory is None else config.to_dict(setting.memory)
    return {"memory": memory, "tau_presence": setting.tau_presence, "join": setting.join}


def setting_of(values: Mapping[str, Any], where: str) -> Setting:
    """Read what `plain` made plain.

    Args:
        values: plain.
        where: they are from, for the error.

    Returns:
        The setting.

    Raises:
        UserError: they are not valid.
    """
    memory = values["memory"]
    if memory is not None:
        memory = config.from_dict(plugins.load("memory", memory["name"]).Config, memory, where)
    return Setting(memory, values["tau_presence"], values["join"])


def read_row(out: Path, name: str) -> list[dict[str, Any]]:
    """Read a row's scored sessions.

    Args:
        out: folder of `track_rows`.
        name: of the row.

    Returns:
        The sessions of the test set as `evaluation.tracking.measure` scores them.
    """
    return read_json(_file_of(out, name))


def extract_sessions(
    row: TrackRow, setting: Setting, sessions: Sessions, extractor: Path, count: int, device: str, out: Path
) -> None:
    """Extract talkers over sessions with embeddings of several origins, and score them; and see how slots drift.

    Args:
        row: a memory's.
        setting: its thresholds.
        sessions: where they lie.
        extractor: model file.
        count: how many sessions of each regime.
        device: `cpu` or `cuda`.
        out: gets speech.json: {"talkers": rows of session_speech, "der": rows of diarisation by extraction, "floor_db":
            chosen for it on as many dev sessions, "drift": rows of session_space over all test sessions}.
    """
    network = load_network(extractor, "extractors").to(device)
    cohort = sessions.cohort(row.ear, setting.memory)

    def tracked(case: Case) -> tracks.Track:
        return tracks.by_memory(new_memory(setting.memory, cohort), case.windows, keep_means=True)

    def speech_of(case: Case) -> dict[int, np.ndarray]:
        return session_speech.heard_speech(case, tracked(case), network, device)

    dev, test = (sessions.cases(row.ear, set_name) for set_name in ("dev", "test"))
    floor_db = _best_floor([(case, speech_of(case)) for case in tqdm(_first(dev, count), desc="extracting dev")])
    talkers, ders = [], []
    for case in tqdm(_first(test, count), desc="extracting test"):
        one, speech = tracked(case), speech_of(case)
        talkers += session_speech.judge_session(case, one, network, device)
        talkers += session_speech.judge_heard(case, one, speech)
        ders.append(_scored(case, session_speech.segments_of(speech, floor_db)))
    drifts = [found for case in test for found in drift(case, tracked(case))]
    write_json(out / SPEECH, {"talkers": talkers, "der": ders, "floor_db": floor_db, "drift": drifts})


def try_students(
    students: Mapping[str, Path], teacher: Path, sets: Mapping[int, Path], seed: int, device: str, out: Path
) -> None:
    """Try students on numbers of talkers that they were not trained on.

    Args:
        students: model files by name.
        teacher: model file.
        sets: prepared mixtures by their number of talkers.
        seed: of k-means and of the intervals.
        device: `cpu` or `cuda`.
        out: gets cardinalities.json, as `evaluation.cardinalities.measure_cardinalities` gives it.
    """
    write_json(out / CARDINALITIES, measure_cardinalities(students, teacher, sets, seed, device))


def _first(cases: Sequence[Case], count: int) -> list[Case]:
    """So many cases of each regime."""
    regimes = dict.fromkeys(case.session.regime for case in cases)
    return [case for regime in regimes for case in [one for one in cases if one.session.regime == regime][:count]]


def _best_floor(heard: Sequence[tuple[Case, dict[int, np.ndarray]]]) -> float:
    def errors(floor_db: float) -> float:
        scored = (case.diarisation_error(session_speech.segments_of(speech, floor_db)) for case, speech in heard)
        return sum(one[kind] for one in scored for kind in ERRORS)

    return min(session_speech.FLOORS_DB, key=errors)


def _scored(case: Case, segments: Iterable[tuple[float, float, str]]) -> dict[str, Any]:
    session = case.session
    der = case.diarisation_error(segments)
    return {"session": session.id, "regime": session.regime, "num_talkers": len(session.talkers), "der": der}
