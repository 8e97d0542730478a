"""How well a memory of talkers tracks a session: who speaks in a window, who is back, how many have been heard.

Arrays of one session, of W windows in time order, K talkers and S slots:

- `truth`, int [W, K]: 1 where the talker speaks in the window, 0 where not, -1 where that is not scored;
- `active`, bool [W, S]: whether the memory says that the slot speaks in the window;
- `times`, float [W]: where the windows end, in seconds from the session's start, rising;
- `slot_of`, int [K]: the slot of each talker, -1 for none, as `one_to_one` finds it.

Windows in which nobody speaks are among them. A talker is present where his cell is 1. Where it is -1, neither he nor
his slot counts in that window. Counts stand beside the shares, so that sessions can be pooled; what is not defined (a
share of nothing) is None. No order of talkers or of slots changes a result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from wesep_mix.base.errors import UserError

NO_SLOT = -1
GAPS = ((5.0, 15.0), (15.0, 45.0), (45.0, math.inf))  # seconds, the upper end not in it
LONG_GAP, LONG = (15.0, math.inf), "15+"  # as `gap_counts` names it


@dataclass(frozen=True)
class Return:
    """A talker is present again.

    Attributes:
        talker: his column of the truth.
        window: the first in which he is present again.
        away_s: since the last window before in which he was, to the microsecond.
    """

    talker: int
    window: int
    away_s: float


@dataclass(frozen=True)
class _Session:
    """The arrays, and what all measures ask of them."""

    truth: np.ndarray
    active: np.ndarray
    slot_of: np.ndarray

    @cached_property
    def present(self) -> np.ndarray:
        """Bool [W, K]."""
        return self.truth == 1

    @cached_property
    def named(self) -> np.ndarray:
        """Talkers that have a slot."""
        return np.flatnonzero(self.slot_of != NO_SLOT)

    @cached_property
    def owner(self) -> np.ndarray:
        """The talker of each slot, int [S], -1 for none."""
        owner = np.full(self.active.shape[1], -1)
        owner[self.slot_of[self.named]] = self.named
        return owner

    @cached_property
    def correct(self) -> np.ndarray:
        """Bool [W, K]: the talker is present and his slot is active."""
        own = np.zeros(self.truth.shape, dtype=bool)
        own[:, self.named] = self.active[:, self.slot_of[self.named]]
        return own & self.present

    @cached_property
    def scored(self) -> np.ndarray:
        """Bool [W, S]: active slots, without those whose talker is not scored in the window."""
        scored = self.active.copy()
        scored[:, self.slot_of[self.named]] &= self.truth[:, self.named] != -1
        return scored


def one_to_one(truth: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Give each talker a slot, so that as many present talkers as possible have their slot active.

    Among equally good assignments the one counts in which talkers and slots that come first in time go first.

    Args:
        truth: [W, K].
        active: [W, S].

    Returns:
        int [K], -1 for a talker without a slot; a talker and a slot that never meet are no pair.

    Raises:
        UserError: these are no arrays of one session.
    """
    truth, active = _arrays(truth, active)
    talkers, slots = _in_time(truth == 1, truth == 0), _in_time(active)
    met = _meetings(truth[:, talkers] == 1, active[:, slots])
    slot_of = np.full(truth.shape[1], NO_SLOT)
    for row, column in zip(*linear_sum_assignment(met, maximize=True), strict=True):
        if met[row, column]:
            slot_of[talkers[row]] = slots[column]
    return slot_of


def window_errors(truth: np.ndarray, active: np.ndarray, slot_of: np.ndarray) -> dict[str, float | int | None]:
    """The diarisation error rate with windows for seconds.

    In a window with R present talkers and H active slots, C talkers of whom have their own slot active, max(0, R - H)
    are missed, max(0, H - R) are false alarms and min(R, H) - C are confused.

    Args:
        truth: [W, K].
        active: [W, S].
        slot_of: [K].

    Returns:
        Counts {miss, false_alarm, confusion, correct, num}, num being cells in which a talker is present;
        attribution, correct / num; error_rate, the three errors / num.

    Raises:
        UserError: these are no arrays of one session.
    """
    session = _session(truth, active, slot_of)
    talkers, slots, correct = (cells.sum(1) for cells in (session.present, session.scored, session.correct))
    counts = {
        "miss": np.maximum(talkers - slots, 0),
        "false_alarm": np.maximum(slots - talkers, 0),
        "confusion": np.minimum(talkers, slots) - correct,
        "correct": correct,
        "num": talkers,
    }
    found = {name: int(count.sum()) for name, count in counts.items()}
    errors = found["miss"] + found["false_alarm"] + found["confusion"]
    return found | {
        "attribution": _share(found["correct"], found["num"]),
        "error_rate": _share(errors, found["num"]),
    }


def returns(truth: np.ndarray, times: np.ndarray) -> list[Return]:
    """Find where talkers come back after at least 5 s, with no window between in which they are present.

    Args:
        truth: [W, K].
        times: [W].

    Returns:
        All returns, by window.

    Raises:
        UserError: these are no arrays of one session.
    """
    truth = _checked_truth(truth)
    times = _checked_times(times, len(truth))
    found = []
    for talker in range(truth.shape[1]):
        (windows,) = np.nonzero(truth[:, talker] == 1)
        for last, window in zip(windows[:-1], windows[1:], strict=True):
            away_s = round(float(times[window] - times[last]), 6)
            if window - last > 1 and away_s >= GAPS[0][0]:
                found.append(Return(talker, int(window), away_s))
    return sorted(found, key=lambda one: (one.window, one.talker))


def reidentified(
    truth: np.ndarray, active: np.ndarray, times: np.ndarray, slot_of: np.ndarray
) -> list[tuple[Return, bool, bool]]:
    """Judge every return of a talker.

    Args:
        truth: [W, K].
        active: [W, S].
        times: [W].
        slot_of: [K].

    Returns:
        For each return whether it is right (the talker's slot is active in that window), and whether he was known
        (present with his slot active in a window before; "closed set").

    Raises:
        UserError: these are no arrays of one session.
    """
    correct = _session(truth, active, slot_of).correct
    return [
        (one, bool(correct[one.window, one.talker]), bool(correct[: one.window, one.talker].any()))
        for one in returns(truth, times)
    ]


def gap_counts(found: Sequence[tuple[Return, bool, bool]], closed_set: bool = False) -> dict[str, tuple[int, int]]:
    """Count right returns by how long the talker was away.

    Args:
        found: what `reidentified` gave, of one session or of several.
        closed_set: only returns of talkers who were known.

    Returns:
        (right, all) of each of GAPS, by its name in seconds such as "5-15" or "45+", and of "15+", all from 15 s.
    """
    counted = [(one.away_s, right) for one, right, known in found if known or not closed_set]
    rights = {
        _gap_name(low, high): [right for away_s, right in counted if low <= away_s < high]
        for low, high in (*GAPS, LONG_GAP)
    }
    return {name: (sum(right), len(right)) for name, right in rights.items()}


def count_error(truth: np.ndarray, heard: np.ndarray) -> dict[str, float | int | None]:
    """Compare the memory's number of talkers so far with that of talkers present in any window so far.

    Args:
        truth: [W, K].
        heard: the memory's numbers, int [W].

    Returns:
        mean_abs, over windows; final, the memory's last number less the true one; exact, 1 if that is 0, else 0. All
        None without windows.

    Raises:
        UserError: these are no arrays of one session.
    """
    truth = _checked_truth(truth)
    heard = np.asarray(heard)
    if heard.shape != truth.shape[:1]:
        raise UserError(f"tracking: wanted a number of talkers for each of {len(truth)} windows, found {heard.shape}")
    if not len(truth):
        return {"mean_abs": None, "final": None, "exact": None}
    differences = heard - np.logical_or.accumulate(truth == 1).sum(1)
    final = int(differences[-1])
    return {"mean_abs": float(np.abs(differences).mean()), "final": final, "exact": int(final == 0)}


def openings(
    truth: np.ndarray, active: np.ndarray, times: np.ndarray, slot_of: np.ndarray
) -> dict[str, float | int | None]:
    """Judge the slots as detections of new talkers.

    A talker is found if his slot is active in some window in which he is present. A slot that is nobody's is false.

    Args:
        truth: [W, K].
        active: [W, S].
        times: [W].
        slot_of: [K].

    Returns:
        delay_s, from the first window in which a talker is present to the first in which his slot is active as well,
        mean over found talkers. Counts {found, talkers, slots}: talkers who were ever present, slots that were ever
        active. recall is found / talkers, precision found / slots. false_per_min counts false slots a minute of the
        session, up to its last window's end.

    Raises:
        UserError: these are no arrays of one session.
    """
    session, times = _session(truth, active, slot_of), _checked_times(times, len(truth))
    delays = [
        float(times[met].min() - times[present].min())
        for met, present in zip(session.correct.T, session.present.T, strict=True)
        if met.any()
    ]
    num_talkers, num_slots = int(session.present.any(0).sum()), int(session.active.any(0).sum())
    return {
        "delay_s": _share(math.fsum(delays), len(delays)),
        "found": len(delays),
        "talkers": num_talkers,
        "slots": num_slots,
        "recall": _share(len(delays), num_talkers),
        "precision": _share(len(delays), num_slots),
        "false_per_min": _share(num_slots - len(delays), _minutes(times)),
    }


def identity(
    truth: np.ndarray, active: np.ndarray, times: np.ndarray, slot_of: np.ndarray
) -> dict[str, float | int | None]:
    """Tell how whole talkers and slots are, as in tracking of many objects.

    IDF1 (Ristani et al., 2016) is the F1 of cells: 2 correct / (talker_windows + slot_windows). It is defined on the
    one-to-one assignment with the most correct cells, which is that of `one_to_one`.

    A talker who is present is covered by one slot at most: the one that covered him last, else his own, else the one
    that opened first, out of the active slots that are not another present talker's own. A switch is a change of the
    slot that covers him, also over windows in which none does.

    Purity and coverage count windows in which talker and slot are both there. In overlap a window has several such
    pairs, so these are not divided by their number. Purity: each slot's windows with the talker whom it meets most,
    summed, divided by the cells of active slots in windows in which somebody is present. Coverage: each talker's
    windows with the slot that he meets most, summed, divided by the cells of present talkers in windows in which a slot
    is active. So both are 1 where all is right, whatever the overlap, and where windows have one talker and one slot
    they are the usual ones.

    Args:
        truth: [W, K].
        active: [W, S].
        times: [W].
        slot_of: [K].

    Returns:
        Counts {correct, talker_windows, slot_windows, switches}; idf1; switches_per_min; fragmentation, the mean number
        of slots that cover a talker, of those covered at all; purity; coverage.

    Raises:
        UserError: these are no arrays of one session.
    """
    session, times = _session(truth, active, slot_of), _checked_times(times, len(truth))
    present, scored = session.present, session.scored
    correct, talker_windows, slot_windows = (int(cells.sum()) for cells in (session.correct, present, scored))
    covers = [slots[slots != NO_SLOT] for slots in _covers(session).T]
    numbers = [len(np.unique(slots)) for slots in covers if len(slots)]
    switches = sum(int(np.count_nonzero(np.diff(slots))) for slots in covers)
    met = _meetings(present, scored)
    return {
        "correct": correct,
        "talker_windows": talker_windows,
        "slot_windows": slot_windows,
        "switches": switches,
        "idf1": _share(2 * correct, talker_windows + slot_windows),
        "switches_per_min": _share(switches, _minutes(times)),
        "fragmentation": _share(sum(numbers), len(numbers)),
        "purity": _share(int(met.max(0, initial=0).sum()), int(scored[present.any(1)].sum())),
        "coverage": _share(int(met.max(1, initial=0).sum()), int(present[scored.any(1)].sum())),
    }


def _covers(session: _Session) -> np.ndarray:
    """The slot that covers each talker in each window, int [W, K], -1 for none."""
    covers = np.full(session.truth.shape, NO_SLOT)
    last, opened_first = session.slot_of.copy(), _in_time(session.scored, session.active)
    for window, (present, scored) in enumerate(zip(session.present, session.scored, strict=True)):
        for talker in np.flatnonzero(present):
            others = present & (np.arange(len(present)) != talker)
            free = [slot for slot in opened_first if scored[slot] and not _owned(session.owner[slot], others)]
            wanted = (last[talker], session.slot_of[talker], *free)
            cover = next((slot for slot in wanted if slot in free), NO_SLOT)
            covers[window, talker] = cover
            last[talker] = cover if cover != NO_SLOT else last[talker]
    return covers


def _owned(owner: int, talkers: np.ndarray) -> bool:
    """Whether the owner of a slot, -1 for none, is one of these: bool [K]."""
    return owner != -1 and bool(talkers[owner])


def _in_time(*cells: np.ndarray) -> list[int]:
    """Columns, those that are true first in time first; of equal ones the order does not matter.

    Args:
        cells: bool [W, N]; the second decides where the first is equal, and so on.
    """
    keys = ~np.concatenate(cells)
    return sorted(range(keys.shape[1]), key=lambda column: keys[:, column].tolist())


def _meetings(present: np.ndarray, active: np.ndarray) -> np.ndarray:
    """In how many windows each talker and each slot are both there: int [K, S]."""
    return present.T.astype(int) @ active.astype(int)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _gap_name(low: float, high: float) -> str:
    return f"{low:g}+" if math.isinf(high) else f"{low:g}-{high:g}"


def _minutes(times: np.ndarray) -> float:
    return float(times[-1]) / 60 if len(times) else 0.0


def _checked_truth(truth: np.ndarray) -> np.ndarray:
    truth = np.asarray(truth)
    if truth.ndim != 2 or not np.isin(truth, (-1, 0, 1)).all():
        others = np.setdiff1d(truth, (-1, 0, 1))[:3].tolist()
        raise UserError(f"tracking: wanted truth [W, K] of -1, 0 and 1, found {truth.shape} with others {others}")
    return truth


def _arrays(truth: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth, active = _checked_truth(truth), np.asarray(active)
    if active.ndim != 2 or len(truth) != len(active):
        raise UserError(f"tracking: wanted truth [W, K] and active [W, S], found {truth.shape} and {active.shape}")
    return truth, active.astype(bool)


def _session(truth: np.ndarray, active: np.ndarray, slot_of: np.ndarray) -> _Session:
    truth, active = _arrays(truth, active)
    slot_of, num_slots = np.asarray(slot_of, dtype=int), active.shape[1]
    given = slot_of[slot_of != NO_SLOT]
    if slot_of.shape != truth.shape[1:] or len(set(given)) < len(given) or not np.isin(given, range(num_slots)).all():
        raise UserError(
            f"tracking: wanted for each of {truth.shape[1]} talkers -1 or one of {num_slots} slots, none of them "
            f"twice, found {slot_of.tolist()}"
        )
    return _Session(truth, active, slot_of)


def _checked_times(times: np.ndarray, num_windows: int) -> np.ndarray:
    times = np.asarray(times, dtype=np.float64)
    if times.shape != (num_windows,) or not (np.isfinite(times).all() and (np.diff(times, prepend=0.0) > 0).all()):
        raise UserError(
            f"tracking: wanted the ends of {num_windows} windows in seconds, above 0 and rising, found {times.tolist()}"
        )
    return times
