"""Diarisation error rate by pyannote.metrics: seconds of missed, false and confused speech."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from wesep_mix.base.errors import UserError

COLLAR_S = 0.25  # NIST's
ERRORS = ("miss", "false_alarm", "confusion")

if TYPE_CHECKING:
    from pyannote.core import Annotation


def diarisation_error(
    reference: Iterable[tuple[float, float, str]],
    hypothesis: Iterable[tuple[float, float, str]],
    uem: Iterable[tuple[float, float]],
    collar_s: float = 0.0,
    skip_overlap: bool = False,
) -> dict[str, float | None]:
    """Score who spoke when in one recording, under the one-to-one naming of speakers with the most seconds right.

    Segments of one speaker that overlap or touch are one. A collar, as NIST's md-eval has it, takes what is near a
    boundary of a reference segment out of the score.

    Args:
        reference: segments (start_s, end_s, speaker), such as `io.rttm.read_rttm` gives.
        hypothesis: such segments; its names need not be those of the reference.
        uem: stretches (start_s, end_s) that are scored.
        collar_s: left out on either side of each boundary, so that 0.25 leaves out 0.5 s.
        skip_overlap: leave out what two or more speakers of the reference share.

    Returns:
        Seconds {miss, false_alarm, confusion, total}, total being the speech of all speakers of the reference; der, the
        three errors / total, None where nobody speaks. Sums of the seconds pool recordings.

    Raises:
        UserError: a segment or stretch ends before it starts or is not finite, or the collar is below 0.
    """
    from pyannote.core import Segment, Timeline
    from pyannote.metrics.diarization import DiarizationErrorRate

    if not 0 <= collar_s < math.inf:
        raise UserError(f"DER: wanted a collar of 0 s or more, found {collar_s}")
    scored = Timeline([Segment(*_checked("uem", start_s, end_s)) for start_s, end_s in uem]).support()
    metric = DiarizationErrorRate(collar=2 * collar_s, skip_overlap=skip_overlap)  # pyannote's is the whole width
    said, found = _annotation("reference", reference), _annotation("hypothesis", hypothesis)
    parts = metric(said, found, uem=scored, detailed=True)
    names = {"miss": "missed detection", "false_alarm": "false alarm", "confusion": "confusion", "total": "total"}
    seconds = {name: float(parts[theirs]) for name, theirs in names.items()}
    errors, total = seconds["miss"] + seconds["false_alarm"] + seconds["confusion"], seconds["total"]
    return seconds | {"der": errors / total if total else None}


def _annotation(what: str, segments: Iterable[tuple[float, float, str]]) -> Annotation:
    from pyannote.core import Annotation, Segment

    annotation = Annotation()
    for track, (start_s, end_s, speaker) in enumerate(segments):
        annotation[Segment(*_checked(what, start_s, end_s)), track] = speaker
    return annotation.support()


def _checked(what: str, start_s: float, end_s: float) -> tuple[float, float]:
    if not -math.inf < start_s <= end_s < math.inf:
        raise UserError(f"DER: {what}: wanted a start in seconds and an end not before it, found {start_s} and {end_s}")
    return start_s, end_s
