"""Mixture plans: plain text from which a mixture is rendered bit for bit; no audio is stored.

A `plan.jsonl` line: {"id", "sample_rate", "num_samples", "overlaps", "sources": [{"utt", "spk", "sex", "path",
"start", "num_samples", "offset", "gain", "lufs"}], "noise": {"id", "path", "start", "num_samples", "snr_db"}}.
`start` is where the crop begins in the file, `offset` where it begins in the mixture (samples); `gain` is linear. A
source or noise that is mixed without a constant of its recording has it as "dc", a source that is not as fast as it was
spoken its "speed". A path is relative to one of the roots
(io.roots); in memory it is where the file is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_jsonl, write_jsonl
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.io.roots import Roots, roots_of

PLANS = "plan.jsonl"
USUAL, NEVER = {"dc": 0.0, "speed": 1.0}, object()  # values that a line leaves out


@dataclass(frozen=True, slots=True)
class Source:
    """One talker: `num_samples` samples of `path` from `start`, without `dc`, times `gain` (for `lufs`), placed at
    `offset`; where it is `speed` times as fast, that many come of so many times as many of the file.
    """

    utt: str
    spk: str
    sex: str
    path: str
    start: int
    num_samples: int
    offset: int
    gain: float
    lufs: float
    dc: float = 0.0
    speed: float = 1.0

    @property
    def num_read(self) -> int:
        """How many samples of the file it takes."""
        return round(self.num_samples * self.speed)


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise from sample `start` of a file of `num_samples` samples, wrapped around where the mixture is longer,
    without `dc`.
    """

    id: str
    path: str
    start: int
    num_samples: int
    snr_db: float
    dc: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One mixture; `overlaps[k]` is the share of the shorter of sources k and k + 1 that both cover."""

    id: str
    num_samples: int
    sources: tuple[Source, ...]
    noise: Noise
    overlaps: tuple[float, ...]
    sample_rate: int = SAMPLE_RATE

    @property
    def sexes(self) -> str:
        """The sexes of its talkers in alphabetical order: FF, FM, MM, ..., or with a U for one that is not known."""
        return "".join(sorted(source.sex for source in self.sources))


def speaker_keys(plan: Plan) -> list[str]:
    """Keys of what belongs to a plan's talkers, such as their embeddings, in its order: `<mix>-<speaker>`."""
    return [f"{plan.id}-{source.spk}" for source in plan.sources]


def write_plans(path: str | Path, plans: Iterable[Plan]) -> None:
    roots = roots_of(Path(path).parent)
    write_jsonl(path, (_to_row(plan, roots) for plan in plans))


def read_plans(path: str | Path) -> list[Plan]:
    """Raises: UserError when the file is missing, a line is not a plan, or its root has no folder."""
    roots = roots_of(Path(path).parent)
    return [_from_row(row, roots, f"{path}, line {number}") for number, row in enumerate(read_jsonl(path), start=1)]


def _to_row(plan: Plan, roots: Roots) -> dict[str, Any]:
    def values(part: Source | Noise) -> dict[str, Any]:
        return {**_values(part), "path": roots.short(part.path)}

    return {**_values(plan), "sources": list(map(values, plan.sources)), "noise": values(plan.noise)}


def _values(one: Any) -> dict[str, Any]:
    """Like dataclasses.asdict of one level, which by going deeper takes most of the time of planning."""
    return {name: value for name in one.__slots__ if (value := getattr(one, name)) != USUAL.get(name, NEVER)}


def _from_row(row: dict, roots: Roots, where: str) -> Plan:
    try:
        for part in (*row["sources"], row["noise"]):
            part["path"] = roots.full(part["path"])
        sources = tuple(Source(**source) for source in row["sources"])
        return Plan(**{**row, "sources": sources, "noise": Noise(**row["noise"]), "overlaps": tuple(row["overlaps"])})
    except (KeyError, TypeError) as err:
        raise UserError(f"{where}: not a mixture plan ({err}); redo stage 1") from err


def single_keys(plan: Plan) -> list[str]:
    """The key of the one talker of a plan of the single-speaker set."""
    return [plan.id]


def head_keys(plan: Plan, num_heads: int | None = None) -> list[str]:
    """One key a head; None: there are as many heads as sources."""
    return [f"{plan.id}-{head}" for head in range(len(plan.sources) if num_heads is None else num_heads)]
