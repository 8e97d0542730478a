"""Tracks of recordings scored against who is known to speak when: DER and the number of talkers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json
from wesep_mix.io.rttm import Segment, read_rttm, read_uem
from wesep_mix.metrics.diarisation import COLLAR_S, ERRORS, diarisation_error

Stretches = list[tuple[float, float]]


def read_references(rttm: Path, uem: Path | None, names: Iterable[str]) -> dict[str, tuple[list[Segment], Stretches]]:
    """Read who speaks when in recordings, and what of them is scored.

    Args:
        rttm: who speaks when.
        uem: what is scored; None: all.
        names: of the recordings.

    Returns:
        {recording: segments, and stretches (start_s, end_s), empty for all}.

    Raises:
        UserError: a recording is not in a file, or a line cannot be read.
    """
    references, scored = read_rttm(rttm), read_uem(uem) if uem else {}
    found = {}
    for name in names:
        if name not in references or (uem and name not in scored):
            raise UserError(f"{uem if name in references else rttm}: wanted a line of {name}, found none")
        found[name] = references[name], scored.get(name, [])
    return found


def score_tracked(name: str, folder: Path, reference: Sequence[Segment], scored: Stretches) -> dict[str, Any]:
    """Score what `wesep-mix track` has written of a recording.

    Args:
        name: of the recording.
        folder: that it wrote to.
        reference: who speaks when.
        scored: the stretches that count; empty for all.

    Returns:
        As `score_recording`.

    Raises:
        UserError: a file cannot be read.
    """
    summary = read_json(folder / "track.json")
    found = read_rttm(folder / f"{summary['recording']}.rttm").get(summary["recording"], [])
    return score_recording(name, found, reference, scored or [(0.0, summary["seconds"])])


def score_recording(
    name: str, found: Sequence[Segment], reference: Sequence[Segment], scored: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """Score one recording.

    Args:
        name: of the recording.
        found: who was heard when.
        reference: who speaks when.
        scored: the stretches (start_s, end_s) that count.

    Returns:
        {"recording", "talkers": speakers of the reference in what counts, "found": those that were heard in it, "der"
        and "der_collar": seconds and rate, of metrics.diarisation}.
    """
    return {
        "recording": name,
        "talkers": len(_speakers(reference, scored)),
        "found": len(_speakers(found, scored)),
        "der": diarisation_error(reference, found, scored),
        "der_collar": diarisation_error(reference, found, scored, COLLAR_S),
    }


def _speakers(segments: Sequence[Segment], scored: Sequence[tuple[float, float]]) -> set[str]:
    return {
        one.speaker for one in segments if any(one.start_s < end_s and one.end_s > start_s for start_s, end_s in scored)
    }


def pooled(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All recordings together: seconds and counts are added up.

    Args:
        rows: of `score_recording`.

    Returns:
        {"recordings", "der", "der_collar": shares; "miss", "false_alarm", "confusion": of the speech, without a collar;
        "count": share of recordings whose number of talkers is right, "count_error": mean of how far it is off}; None
        where nobody speaks.

    Raises:
        UserError: there is no recording.
    """
    if not rows:
        raise UserError("scores: wanted a recording, found none")
    totals = {name: sum(row[name]["total"] for row in rows) for name in ("der", "der_collar")}

    def share(name: str, kinds: Sequence[str]) -> float | None:
        return sum(row[name][kind] for row in rows for kind in kinds) / totals[name] if totals[name] else None

    off = [abs(row["found"] - row["talkers"]) for row in rows]
    return {
        "recordings": len(rows),
        "der": share("der", ERRORS),
        "der_collar": share("der_collar", ERRORS),
        **{kind: share("der", [kind]) for kind in ERRORS},
        "count": sum(one == 0 for one in off) / len(off),
        "count_error": sum(off) / len(off),
    }
