"""Tracks of recordings scored against who is known to speak when: DER and the number of talkers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.io.rttm import Segment
from wesep_mix.metrics.diarisation import diarisation_error

COLLAR_S = 0.25
ERRORS = ("miss", "false_alarm", "confusion")


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
