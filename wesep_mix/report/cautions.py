"""What is to be said below a table with PESQ and STOI, each sentence from the numbers of that table.

PESQ rates how much a signal that is the wanted one was degraded. Where the estimate is another talker's or is buried in
others it still gives a number, which measures nothing; the sentences show where that happened.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wesep_mix.report.tables import SPEECH_COLUMNS, Column, Row

FOREIGN = ("wrong", "random")  # conditions on the embedding of somebody else
LITTLE_STOI = 0.05  # a change of STOI below which it "hardly moves"
LOW_SI_SDR = 10.0  # dB, below which what is left of other talkers and noise decides about PESQ
PESQ, STOI, SI_SDR = (SPEECH_COLUMNS[metric] for metric in ("pesq", "stoi", "si_sdr"))


@dataclass(frozen=True)
class Kin:
    """Which rows of a table are held against each other.

    Attributes:
        mixture: {row: the row of its unprocessed mixtures}.
        right: {row of the embedding of somebody else: the row of the same network on the right one}.
        titles: {row: what a sentence calls it}.
    """

    mixture: Mapping[str, str] = field(default_factory=dict)
    right: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)


def cautions(rows: Mapping[str, Row], kin: Kin) -> list[str]:
    """What PESQ and STOI of a table cannot tell.

    Args:
        rows: {row: {metric: mean}}.
        kin: of the rows.

    Returns:
        A sentence each; none where no row has PESQ.
    """
    rated = {name: row for name, row in rows.items() if "pesq" in row}
    sentences = [_order(rated, kin), _controls(rated, kin), *_stoi(rated, kin)] if rated else []
    return [sentence for sentence in sentences if sentence]


def _order(rows: Mapping[str, Row], kin: Kin) -> str:
    """Where PESQ lies, and how often it contradicts SI-SDR among rows of the same mixtures."""
    pesq, si_sdr = ([row[metric] for row in rows.values()] for metric in ("pesq", "si_sdr"))
    pairs = [
        (rows[one], rows[other])
        for one, other in itertools.combinations(rows, 2)
        if kin.mixture.get(one, one) == kin.mixture.get(other, other)
    ]
    odd = sum((one["pesq"] - other["pesq"]) * (one["si_sdr"] - other["si_sdr"]) < 0 for one, other in pairs)
    against = f"; it puts {odd} of {len(pairs)} pairs of them in the other order than SI-SDR does" if odd else ""
    where = f"at SI-SDRs of {_range(SI_SDR, si_sdr)} dB"
    little = f"PESQ says little {where}: it" if max(si_sdr) < LOW_SI_SDR else f"PESQ, {where},"
    return (
        f"{little} is {_range(PESQ, pesq)} over {_many(len(rows))}, on a scale from 1.0 to 4.64{against}. No row is to "
        "be ranked by it alone."
    )


def _controls(rows: Mapping[str, Row], kin: Kin) -> str:
    """The rows of somebody else's embedding that PESQ rates above the right one's."""
    above = [
        f"{_rated(control, rows, kin)} above {_rated(right, rows, kin)}"
        for control, right in kin.right.items()
        if control in rows and right in rows and rows[control]["pesq"] > rows[right]["pesq"]
    ]
    if not above:
        return ""
    return f"Of somebody else's embedding against the right one it puts {'; '.join(above)}: there it measures nothing."


def _rated(name: str, rows: Mapping[str, Row], kin: Kin) -> str:
    return f"{_told(kin, name)} ({PESQ.cell(rows[name], 'pesq')} at {SI_SDR.cell(rows[name], 'si_sdr')} dB)"


def _stoi(rows: Mapping[str, Row], kin: Kin) -> list[str]:
    """How far STOI moves from the unprocessed mixture's, and the rows in which it falls."""
    moved = {
        name: rows[name]["stoi"] - rows[mixture]["stoi"]
        for name, mixture in kin.mixture.items()
        if "stoi" in rows.get(name, {}) and "stoi" in rows.get(mixture, {}) and name not in kin.right
    }
    if not moved:
        return []
    low, high = min(moved.values()), max(moved.values())
    far = f"{low:+.{STOI.digits}f}" + (f" to {high:+.{STOI.digits}f}" if len(moved) > 1 else "")
    others = ", those of somebody else's embedding aside" if set(kin.right) & set(rows) else ""
    little = "hardly moves" if max(abs(low), abs(high)) < LITTLE_STOI else "moves"
    below = [
        f"{_told(kin, name)} ({STOI.cell(rows[name], 'stoi')}; {STOI.cell(rows[kin.mixture[name]], 'stoi')})"
        for name in moved
        if moved[name] < 0
    ]
    fallen = f"STOI is below that of the unprocessed mixtures, the second number, in {', '.join(below)}."
    return [
        f"STOI {little}: by {far} from the unprocessed mixtures over {_many(len(moved))}{others}.",
        fallen if below else "",
    ]


def _range(column: Column, values: Sequence[float]) -> str:
    low, high = column.number(min(values)), column.number(max(values))
    return low if low == high else f"{low} to {high}"


def _many(num: int) -> str:
    return "one row" if num == 1 else f"{num} rows"


def _told(kin: Kin, name: str) -> str:
    return kin.titles.get(name, f"`{name}`")
