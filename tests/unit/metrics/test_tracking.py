import itertools
import math

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.metrics import tracking
from wesep_mix.metrics.diarisation import diarisation_error
from wesep_mix.metrics.tracking import Return, gap_counts, identity, one_to_one, openings, returns, window_errors

pytestmark = pytest.mark.filterwarnings("error")

VALUES = {"1": 1, ".": 0, "?": -1}


def columns(*rows):
    """A row a talker or slot, a character a window: 1 is there, . is not, ? is not scored."""
    return np.array([[VALUES[char] for char in row] for row in rows], dtype=np.int8).T


def ends(num_windows, hop_s=2.5):
    return hop_s * np.arange(1, num_windows + 1)


TRUTH = columns(
    "111...11",
    "..111?..",
)
ACTIVE = columns(
    "11....1.",
    "..11.1..",  # the one before last where its talker is not scored
    "....11.1",  # nobody's
).astype(bool)
SLOT_OF = np.array([0, 1])


def random_session(seed, num_windows=30, unscored=0.1, num_talkers=None):
    """Few windows make ties of the assignment frequent."""
    rng = np.random.default_rng(seed)
    num_talkers = num_talkers or rng.integers(1, 5)
    truth = rng.choice([-1, 0, 1], (num_windows, num_talkers), p=[unscored, 0.6 - unscored, 0.4]).astype(np.int8)
    return truth, rng.random((num_windows, rng.integers(1, 6))) < 0.3, ends(num_windows)


def everything(truth, active, times, heard):
    slot_of = one_to_one(truth, active)
    found = tracking.reidentified(truth, active, times, slot_of)
    return {
        "window_errors": window_errors(truth, active, slot_of),
        "gaps": gap_counts(found),
        "closed": gap_counts(found, closed_set=True),
        "count": tracking.count_error(truth, heard),
        "openings": openings(truth, active, times, slot_of),
        "identity": identity(truth, active, times, slot_of),
    }


def test_slots_by_hand():
    assert one_to_one(TRUTH, ACTIVE).tolist() == [0, 1]
    # talker 0 meets slot 0 three times and slot 1 twice, talker 1 slot 0 twice alone: 2 + 2 is more than 3
    truth, active = columns("11111..", ".....11"), columns("111..11", "...11..")
    assert one_to_one(truth, active).tolist() == [1, 0]


def test_who_never_meets_a_slot_has_none():
    assert one_to_one(columns("11..", "..??", "...."), columns("1...", "..11", "..11")).tolist() == [0, -1, -1]


@pytest.mark.parametrize("seed", range(20))
def test_no_other_assignment_has_more_cells_right(seed):
    truth, active, _ = random_session(seed)
    slot_of = one_to_one(truth, active)
    num_talkers, num_slots = truth.shape[1], active.shape[1]
    best = 0
    for given in itertools.permutations([*range(num_slots), *[-1] * num_talkers], num_talkers):
        best = max(best, sum(((truth[:, k] == 1) & active[:, s]).sum() for k, s in enumerate(given) if s >= 0))
    assert sum(((truth[:, k] == 1) & active[:, s]).sum() for k, s in enumerate(slot_of) if s >= 0) == best
    assert window_errors(truth, active, slot_of)["correct"] == best


def test_window_errors_by_hand():
    # window 2: one slot for two; 4 and 7: nobody's slot for a talker; 5: nobody's slot, the other is not scored
    assert window_errors(TRUTH, ACTIVE, SLOT_OF) == {
        "miss": 1,
        "false_alarm": 1,
        "confusion": 2,
        "correct": 5,
        "num": 8,
        "attribution": 5 / 8,
        "error_rate": 4 / 8,
    }


@pytest.mark.parametrize("seed", range(50))
def test_window_errors_are_the_diarisation_error_of_windows_of_a_second(seed):
    truth, active, _ = random_session(seed, unscored=0.0)

    def segments(cells, kind):
        return [(int(window), int(window) + 1, f"{kind}{place}") for window, place in np.argwhere(cells)]

    theirs = diarisation_error(segments(truth == 1, "talker"), segments(active, "slot"), [(0, len(truth))])
    ours = window_errors(truth, active, one_to_one(truth, active))
    assert theirs["total"] == pytest.approx(ours["num"])
    assert theirs["der"] == pytest.approx(ours["error_rate"])
    for name in ("miss", "false_alarm", "confusion"):
        assert theirs[name] == pytest.approx(ours[name], abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_cells_that_are_not_scored_are_as_if_neither_talker_nor_slot_were_there(seed):
    truth, active, times = random_session(seed, unscored=0.3)
    slot_of = one_to_one(truth, active)
    without = active.copy()
    for window, talker in np.argwhere(truth == -1):
        if slot_of[talker] >= 0:
            without[window, slot_of[talker]] = False
    silent = np.maximum(truth, 0)
    assert (truth == -1).any()
    assert window_errors(truth, active, slot_of) == window_errors(silent, without, slot_of)
    assert identity(truth, active, times, slot_of) == identity(silent, without, times, slot_of)


def test_returns_by_hand():
    truth = columns(
        "11...1..?.1.",  # back after 4 windows, and after 5 of which one is not scored
        "1.1.........",  # 2 windows are 5 s
        "..1?1...???1",  # the same where the window between is not scored; and back after 7
        "............",
    )
    assert returns(truth, ends(12)) == [
        Return(1, 2, 5.0),
        Return(2, 4, 5.0),
        Return(0, 5, 10.0),
        Return(0, 10, 12.5),
        Return(2, 11, 17.5),
    ]


def test_windows_that_follow_each_other_are_no_return_however_far_apart():
    assert returns(columns("11.1"), ends(4, hop_s=6.0)) == [Return(0, 3, 12.0)]


def test_five_seconds_are_five_seconds_in_steps_that_binary_numbers_do_not_hold():
    truth = columns("1" + "." * 49 + "1")
    for start in range(20):
        times = 0.1 * np.arange(start + 1, start + 52)
        assert returns(truth, times) == [Return(0, 50, 5.0)]


def test_reidentification_by_hand():
    truth = columns("1...11...1...1", ".1....1.......")
    active = columns("1...1....1....", "......1......1")
    slot_of = one_to_one(truth, active)
    assert slot_of.tolist() == [0, 1]
    assert tracking.reidentified(truth, active, ends(14), slot_of) == [
        (Return(0, 4, 10.0), True, True),
        (Return(1, 6, 12.5), True, False),  # right, but his slot was not heard before
        (Return(0, 9, 10.0), True, True),
        (Return(0, 13, 10.0), False, True),
    ]
    nobody = tracking.reidentified(truth, active, ends(14), np.array([-1, -1]))
    assert [(right, known) for _, right, known in nobody] == [(False, False)] * 4


def test_a_slot_that_was_active_without_its_talker_does_not_make_him_known():
    truth, active = columns("1...1"), columns(".11.1")
    assert tracking.reidentified(truth, active, ends(5), np.array([0])) == [(Return(0, 4, 10.0), True, False)]


def test_gaps_by_hand():
    found = [
        (Return(0, 1, 5.0), True, True),
        (Return(0, 2, 14.9), False, True),
        (Return(1, 3, 15.0), True, False),
        (Return(1, 4, 44.9), True, True),
        (Return(1, 5, 45.0), False, False),
        (Return(0, 6, 300.0), True, True),
    ]
    assert gap_counts(found) == {"5-15": (1, 2), "15-45": (2, 2), "45+": (1, 2), "15+": (3, 4)}
    assert gap_counts(found, closed_set=True) == {"5-15": (1, 2), "15-45": (1, 1), "45+": (1, 1), "15+": (2, 2)}
    assert gap_counts([]) == {"5-15": (0, 0), "15-45": (0, 0), "45+": (0, 0), "15+": (0, 0)}


def test_count_by_hand():
    # true: 1 1 2 2 2 2 2 2
    found = tracking.count_error(TRUTH, np.array([1, 1, 1, 2, 3, 3, 3, 3]))
    assert found == {"mean_abs": 5 / 8, "final": 1, "exact": 0}
    assert tracking.count_error(TRUTH, np.array([0, 0, 1, 1, 1, 1, 3, 2])) == {
        "mean_abs": 7 / 8,
        "final": 0,
        "exact": 1,
    }
    assert tracking.count_error(TRUTH, np.zeros(8, dtype=int))["final"] == -2
    # one who may have spoken is not heard yet
    assert tracking.count_error(columns("?..1", "???."), np.array([0, 0, 0, 1]))["mean_abs"] == 0


def test_openings_by_hand():
    truth = columns("1111....", "..1111..", "......11", "?.......")
    active = columns(".111....", "...1.1..", "1.......", ".1......", ".1......", "........").astype(bool)
    slot_of = one_to_one(truth, active)
    assert slot_of.tolist() == [0, 1, -1, -1]
    # talker 0 is found a window late, 1 too, 2 not, 3 never speaks; three slots out of five are nobody's, in 20 s
    assert openings(truth, active, ends(8), slot_of) == {
        "delay_s": 2.5,
        "found": 2,
        "talkers": 3,
        "slots": 5,
        "recall": 2 / 3,
        "precision": 2 / 5,
        "false_per_min": 9.0,
    }


def test_a_slot_that_is_active_before_its_talker_detects_nobody():
    found = openings(columns("..111"), columns("11.11"), ends(5), np.array([0]))
    assert found["delay_s"] == 2.5


def test_identity_by_hand():
    # talker 0 is covered by slots 0 0 - 0 2, talker 1 by 1 1 2
    assert identity(TRUTH, ACTIVE, ends(8), SLOT_OF) == {
        "correct": 5,
        "talker_windows": 8,
        "slot_windows": 8,
        "switches": 2,
        "idf1": 10 / 16,
        "switches_per_min": 6.0,
        "fragmentation": 2.0,
        "purity": 6 / 7,
        "coverage": 5 / 8,
    }


def test_a_slot_covers_its_talker_on_while_it_is_active():
    # 0 0 2 2 2 2 0: where both are active, the one before stays
    found = identity(columns("1111111"), columns("11..1.1", ".......", "..1111."), ends(7), np.array([0]))
    assert (found["switches"], found["fragmentation"]) == (2, 2.0)
    # 0 0 0 1 - 1 1: the same after a window without any
    found = identity(columns("1111111"), columns("111..11", "...1.11"), ends(7), np.array([0]))
    assert (found["switches"], found["fragmentation"]) == (1, 2.0)


def test_the_own_slot_covers_before_those_that_opened_earlier():
    # 0 2 0 0
    found = identity(columns("..1111"), columns("..1.11", "1...1.", "...1.."), ends(6), np.array([0]))
    assert (found["switches"], found["fragmentation"]) == (2, 2.0)


def test_the_slot_of_another_who_is_present_covers_nobody_else():
    truth = columns("1111..", ".11111")
    active = columns(".111..", "111.11")
    slot_of = one_to_one(truth, active)
    assert slot_of.tolist() == [0, 1]
    # talker 0: 1 until its owner comes, then 0 0 0; talker 1: 1 1 - 1 1
    found = identity(truth, active, ends(6), slot_of)
    assert (found["switches"], found["fragmentation"]) == (1, 1.5)


def test_a_talker_who_comes_back_as_another_is_a_switch():
    truth, active = columns("11...11"), columns("11.....", ".....11")
    assert identity(truth, active, ends(7), np.array([0]))["switches"] == 1
    assert identity(truth, columns("11...11"), ends(7), np.array([0]))["switches"] == 0


def test_of_several_free_slots_the_one_that_opened_first_covers():
    truth = columns("..1111")
    late_first = columns("...11.", "1....1", "..1.11")  # 2 is the talker's, 1 opened before 0
    # 2; 0, then own is active again but 0 stays; at last 2 (0 is not active)
    assert identity(truth, late_first, ends(6), np.array([2]))["switches"] == 2
    # without an own slot: 2 (alone), 0 (alone), 0 (stays), 1 (opened first, though 2 is active too)
    found = identity(truth, late_first, ends(6), np.array([-1]))
    assert (found["switches"], found["fragmentation"]) == (2, 3.0)


def test_all_right_is_one_whatever_the_overlap():
    truth = columns("111111..", "1111..11", "11..1111")
    found = identity(truth, truth == 1, ends(8), one_to_one(truth, truth == 1))
    assert found["idf1"] == found["purity"] == found["coverage"] == found["fragmentation"] == 1
    assert found["switches"] == 0
    assert window_errors(truth, truth == 1, np.arange(3))["error_rate"] == 0


@pytest.mark.parametrize("seed", range(20))
def test_purity_and_coverage_are_those_of_pyannote_where_there_is_no_overlap(seed):
    """Its purity also counts slots in silence, so nobody is ever silent here, and a slot always active."""
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationCoverage, DiarizationPurity

    rng = np.random.default_rng(seed)
    talkers, slots = rng.integers(3, size=40), rng.integers(4, size=40)
    truth, active = (talkers[:, None] == np.arange(3)).astype(np.int8), slots[:, None] == np.arange(4)
    reference, hypothesis = Annotation(), Annotation()
    for window in range(40):
        reference[Segment(window, window + 1)], hypothesis[Segment(window, window + 1)] = talkers[window], slots[window]
    uem = reference.get_timeline().support()
    found = identity(truth, active, ends(40), one_to_one(truth, active))
    assert found["purity"] == pytest.approx(DiarizationPurity()(reference, hypothesis, uem=uem))
    assert found["coverage"] == pytest.approx(DiarizationCoverage()(reference, hypothesis, uem=uem))


@pytest.mark.parametrize("seed", range(40))
def test_no_order_of_talkers_or_slots_matters(seed):
    rng = np.random.default_rng(seed)
    truth, active, times = random_session(seed, num_windows=8 if seed % 2 else 30)
    heard = rng.integers(5, size=len(times))
    expected = everything(truth, active, times, heard)
    for _ in range(5):
        talkers, slots = rng.permutation(truth.shape[1]), rng.permutation(active.shape[1])
        assert everything(truth[:, talkers], active[:, slots], times, heard) == expected


def test_talkers_who_differ_only_where_they_are_not_scored_may_change_places():
    truth, active = columns("1..1", "1?.1"), columns("11.1", "1..1").astype(bool)
    expected = everything(truth, active, ends(4), np.full(4, 2))
    assert everything(truth[:, ::-1], active, ends(4), np.full(4, 2)) == expected
    assert everything(truth, active[:, ::-1], ends(4), np.full(4, 2)) == expected


def test_what_is_given_stays_as_it_is():
    truth, active = TRUTH.copy(), ACTIVE.copy()
    everything(truth, active, ends(8), np.zeros(8, dtype=int))
    assert (truth == TRUTH).all() and (active == ACTIVE).all()


NOTHING = {"15+": (0, 0), "15-45": (0, 0), "45+": (0, 0), "5-15": (0, 0)}


@pytest.mark.parametrize(
    "num_windows, num_talkers, num_slots", [(0, 0, 0), (0, 2, 3), (5, 0, 0), (5, 2, 3), (5, 0, 3), (5, 2, 0)]
)
def test_where_nobody_speaks_and_no_slot_is_active_shares_are_none_and_counts_zero(num_windows, num_talkers, num_slots):
    truth, active = np.zeros((num_windows, num_talkers), dtype=np.int8), np.zeros((num_windows, num_slots), dtype=bool)
    assert one_to_one(truth, active).tolist() == [-1] * num_talkers
    found = everything(truth, active, ends(num_windows), np.zeros(num_windows, dtype=int))
    none = 0.0 if num_windows else None  # what is counted over time
    exact = 1 if num_windows else None
    errors = {"miss": 0, "false_alarm": 0, "confusion": 0, "correct": 0, "num": 0}
    assert found["window_errors"] == errors | {"attribution": None, "error_rate": None}
    assert found["gaps"] == found["closed"] == NOTHING
    assert found["count"] == {"mean_abs": none, "final": 0 if num_windows else None, "exact": exact}
    counts = {"found": 0, "talkers": 0, "slots": 0}
    shares = {"delay_s": None, "recall": None, "precision": None, "false_per_min": none}
    assert found["openings"] == counts | shares
    counts = {"correct": 0, "talker_windows": 0, "slot_windows": 0, "switches": 0}
    shares = {"idf1": None, "switches_per_min": none, "fragmentation": None, "purity": None, "coverage": None}
    assert found["identity"] == counts | shares


def test_talkers_without_slots_are_missed():
    active = np.zeros((8, 0), dtype=bool)
    found = everything(TRUTH, active, ends(8), np.zeros(8, dtype=int))
    assert found["window_errors"]["miss"] == 8 and found["window_errors"]["attribution"] == 0
    assert found["openings"]["recall"] == 0 and found["openings"]["precision"] is None
    assert found["identity"]["idf1"] == 0 and found["identity"]["purity"] is found["identity"]["coverage"] is None
    assert found["gaps"]["5-15"] == (0, 1) and found["closed"]["5-15"] == (0, 0)


def test_slots_without_talkers_are_false_alarms():
    found = everything(np.zeros((8, 0), dtype=np.int8), ACTIVE, ends(8), np.zeros(8, dtype=int))
    assert found["window_errors"]["false_alarm"] == ACTIVE.sum() and found["window_errors"]["error_rate"] is None
    assert found["openings"]["precision"] == 0 and found["openings"]["false_per_min"] == 9.0
    assert found["identity"]["idf1"] == 0 and found["identity"]["purity"] is None


def test_names_of_gaps_cover_all_from_five_seconds_on():
    lows, highs = zip(*tracking.GAPS, strict=True)
    assert lows[0] == 5 and highs[-1] == math.inf and lows[1:] == highs[:-1]


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: one_to_one(TRUTH, ACTIVE[1:]), r"found \(8, 2\) and \(7, 3\)"),
        (lambda: one_to_one(TRUTH[:, 0], ACTIVE), r"wanted truth \[W, K\]"),
        (lambda: one_to_one(TRUTH * 3, ACTIVE), r"with others \[-3, 3\]"),
        (lambda: window_errors(TRUTH, ACTIVE, np.array([0])), r"2 talkers .* found \[0\]"),
        (lambda: window_errors(TRUTH, ACTIVE, np.array([1, 1])), "none of them twice"),
        (lambda: window_errors(TRUTH, ACTIVE, np.array([0, 3])), "one of 3 slots"),
        (lambda: window_errors(TRUTH, ACTIVE, np.array([0, -2])), "-1 or one of 3 slots"),
        (lambda: returns(TRUTH, ends(7)), "wanted the ends of 8 windows"),
        (lambda: returns(TRUTH, ends(8)[::-1]), "rising"),
        (lambda: openings(TRUTH, ACTIVE, ends(8) - 2.5, SLOT_OF), "above 0"),
        (lambda: identity(TRUTH, ACTIVE, np.full(8, np.nan), SLOT_OF), "rising, found .nan"),
        (lambda: tracking.count_error(TRUTH, np.zeros(7, dtype=int)), r"each of 8 windows, found \(7,\)"),
    ],
)
def test_what_is_no_session_is_named(call, said):
    with pytest.raises(UserError, match=said):
        call()
