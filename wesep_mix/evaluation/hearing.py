"""Every session of dev and test heard window by window, once for all rows that need it, into one npz a session."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from wesep_mix.base.parallel import map_items
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.kmeans_baseline import frame_centroids, frames
from wesep_mix.inference.listening import embed_voice
from wesep_mix.inference.session_windows import (
    Heads,
    hear_session,
    of_frames,
    of_separated,
    of_student,
    of_teacher,
    references,
    window_starts,
    write_windows,
)
from wesep_mix.inference.voice import voice_frames, voice_stretches
from wesep_mix.io.arrays import write_arrays
from wesep_mix.mixing.activity import Activity
from wesep_mix.mixing.draw import Pool, draw_enrolment
from wesep_mix.mixing.plan import PLANS, read_plans
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.mixing.prepare_sessions import SETS
from wesep_mix.mixing.render import render, render_source
from wesep_mix.mixing.session import SESSIONS, Session, blocks, read_sessions, render_range
from wesep_mix.models.folder import load_network

COHORT = "cohort.npz"
NUM_MIXTURES = 100  # of training, whose talkers are the cohort
NUM_CLUSTERS = 2  # of a window's frames


@dataclasses.dataclass(frozen=True)
class Hearing:
    """What hears, and how.

    Attributes:
        ear: `student`, `teacher`, `separated`, `frames` or `references`.
        models: {"teacher", "student", "separator": model file}, those that the ear needs.
        window_s: seconds of a window.
        hop_s: seconds from window to window.
        seed: of k-means, and of which other speech of a talker is an enrolment.
        device: `cpu` or `cuda`.
    """

    ear: str
    models: Mapping[str, Path]
    window_s: float
    hop_s: float
    seed: int = 0
    device: str = "cpu"


def hear_sets(hearing: Hearing, data: Path, out: Path, nj: int) -> None:
    """Hear all sessions of dev and test.

    Args:
        hearing: what hears, and how.
        data: sessions of stage 1, with a folder a set.
        out: gets a folder a set, with ID.npz for each session; those that are there are kept.
        nj: number of processes.
    """
    for name in SETS:
        sessions = read_sessions(data / name / SESSIONS)
        missing = [session for session in sessions if not (out / name / f"{session.id}.npz").is_file()]
        work = partial(_hear, hearing, data / name, out / name)
        map_items(work, missing, nj, f"{hearing.ear} on {name} sessions")


def _hear(hearing: Hearing, data: Path, out: Path, session: Session) -> None:
    path = out / f"{session.id}.npz"
    if hearing.ear == "references":
        write_arrays(path, _truth(hearing, data, session))
    else:
        write_windows(path, hear_session(session, _heads(hearing, session.id), hearing.window_s, hearing.hop_s))


def _heads(hearing: Hearing, name: str) -> Heads:
    def model(kind: str) -> nn.Module:
        return _loaded(hearing.models[kind], f"{kind}s", hearing.device)

    if hearing.ear == "student":
        return of_student(model("student"), hearing.device)
    if hearing.ear == "teacher":
        return of_teacher(model("teacher"), hearing.device)
    if hearing.ear == "separated":
        return of_separated(model("separator"), model("teacher"), hearing.device)
    frontend = model("teacher").frontend

    def centroids(mix: np.ndarray) -> np.ndarray:
        return frame_centroids(frames(frontend, [mix], hearing.device)[0], NUM_CLUSTERS, name, hearing.seed)

    return of_frames(centroids)


@cache
def _loaded(path: Path, kind: str, device: str) -> nn.Module:
    return load_network(path, kind).to(device)


@cache
def _known(data: Path) -> tuple[Pool, Activity]:
    pool = load_pool(data)
    return pool, Activity([entry for own in pool.speech.values() for entry in own], str(data))


def _truth(hearing: Hearing, data: Path, session: Session) -> dict[str, np.ndarray]:
    """The clean voices of a session window by window, other speech of each, and where the mixture is speech."""
    teacher = _loaded(hearing.models["teacher"], "teachers", hearing.device)
    pool, activity = _known(data)
    windows = window_starts(session.num_samples, hearing.window_s, hearing.hop_s)
    return {
        "references": references(session, activity.turns(session), teacher, windows),
        "enrolled": np.stack([_enrolled(hearing, pool, session, teacher, talker) for talker in session.talkers]),
        "speech": speech_of(session),
    }


def _enrolled(hearing: Hearing, pool: Pool, session: Session, teacher: nn.Module, talker: str) -> np.ndarray:
    """The teacher's embedding of an utterance that the session does not have, if there is one."""
    used = {source.utt for source in session.sources}
    others = [entry for entry in pool.speech[talker] if entry.utt not in used] or pool.speech[talker]
    turn = next(source for source in session.sources if source.spk == talker)
    rng = rng_for(hearing.seed, "session enrolment", session.id, talker)
    other = draw_enrolment(dataclasses.replace(pool, speech={talker: others}), turn, rng)
    return embed_voice(teacher, render_source(other, session.sample_rate), hearing.device)


def speech_of(session: Session) -> np.ndarray:
    """Where the mixture is speech by voice activity: samples int64 [V, 2]."""
    parts = []
    for first, end in blocks(0, session.num_samples):
        frames = voice_frames(render_range(session, first, end).mix)
        parts.append(first + np.array(voice_stretches(frames, end - first), dtype=np.int64))
    return np.concatenate([part.reshape(-1, 2) for part in parts])


def hear_cohort(hearing: Hearing, train: Path, out: Path) -> None:
    """Hear talkers of training, whom a memory can compare others with.

    Args:
        hearing: a student's.
        train: its training set.
        out: gets cohort.npz: `cohort`, the embeddings of all heads that speak in some mixtures, and of the most present
            one in each, float32 [M, D].
    """
    heads, found = _heads(hearing, ""), []
    for plan in tqdm(read_plans(train / PLANS)[:NUM_MIXTURES], desc="cohort", mininterval=1.0):
        embeddings, presence = heads(torch.from_numpy(render(plan).mix)[None])
        found.append(embeddings[0][presence[0] >= min(0.5, presence[0].max())])
    write_arrays(out / COHORT, {"cohort": np.concatenate(found)})
