"""Stage 1's sessions: drawn for dev and test, with what tools for diarisation read beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from wesep_mix.base.config import to_dict
from wesep_mix.base.files import write_json
from wesep_mix.base.parallel import map_items
from wesep_mix.base.stage import Need, Part
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.roots import name_corpus
from wesep_mix.io.rttm import write_rttm, write_uem
from wesep_mix.mixing.activity import Activity, read_activity
from wesep_mix.mixing.draw import Pool
from wesep_mix.mixing.draw_session import SessionConfig, draw_session
from wesep_mix.mixing.prepare import MIXING
from wesep_mix.mixing.session import SESSIONS, Session, write_sessions
from wesep_mix.preparation.lists import copy_lists, read_noises, read_speech
from wesep_mix.preparation.relocation import as_made
from wesep_mix.preparation.settings import CorpusConfig

SETS = ("dev", "test")
RTTM, UEM = "rttm", "uem"


def sessions_part(folder: Path, settings: Mapping[str, Any], corpus: Path, now: Mapping[str, str]) -> Part:
    """The sessions of a corpus as a part of stage 1.

    Args:
        folder: where they are written.
        settings: of SessionConfig, and of conf/corpus.yaml the seed and the mixing, as plain values.
        corpus: the lists' folder.
        now: where the corpus lies now (preparation.relocation.folders_now).

    Returns:
        The part.
    """
    return Part(1, "sessions", folder, as_made(settings, folder, now), [Need(corpus, 1)])


def prepare_sessions(config: SessionConfig, corpus: CorpusConfig, lists: Path, folder: Path, nj: int) -> None:
    """Write sessions of dev and test, their RTTM and UEM, and the lists that they were drawn from.

    Args:
        config: how they are drawn.
        corpus: conf/corpus.yaml, whose seed, loudness and SNRs are taken.
        lists: the corpus's lists, a folder for each set.
        folder: where to write; a folder for each set is made.
        nj: number of processes.

    Raises:
        UserError: a set has too few speakers or too little speech.
    """
    write_json(folder / MIXING, to_dict(corpus.mixing))
    name_corpus(folder, lists.parent)
    for name in SETS:
        activity = read_activity(lists / name)  # before any work, since lists of an older revision do not have it
        pool = Pool.of(read_speech(lists / name), read_noises(lists / name), corpus.mixing)
        count = getattr(config, name)
        wanted = [(regime, place) for regime in config.regimes for place in range(count)]
        drawn = map_items(partial(_draw, pool, config, name, corpus.seed), wanted, nj, f"{name} sessions")
        sessions = [session for _, session in drawn]
        copy_lists(lists / name, folder / name, pool.noises)
        write_tables(folder / name, sessions, activity)
        write_sessions(folder / name / SESSIONS, sessions)


def _draw(pool: Pool, config: SessionConfig, set_name: str, seed: int, wanted: tuple[str, int]) -> Session:
    return draw_session(pool, config, set_name, *wanted, seed)


def write_tables(folder: Path, sessions: Sequence[Session], activity: Activity) -> None:
    """Write who speaks when (`rttm`), and that all of it is scored (`uem`).

    Args:
        folder: of the set.
        sessions: its sessions.
        activity: where the set's utterances are speech.
    """
    turns = {
        session.id: [
            (first / SAMPLE_RATE, end / SAMPLE_RATE, talker)
            for talker, own in activity.turns(session).items()
            for first, end in own
        ]
        for session in sessions
    }
    write_rttm(folder / RTTM, turns)
    write_uem(folder / UEM, {session.id: [(0.0, session.num_samples / SAMPLE_RATE)] for session in sessions})
