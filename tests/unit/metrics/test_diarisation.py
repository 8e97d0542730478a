import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from wesep_mix.base.errors import UserError
from wesep_mix.metrics.diarisation import diarisation_error

pytestmark = pytest.mark.filterwarnings("error")

STEP = 100  # frames a second
FRAMES = 20 * STEP
NAMES = ("miss", "false_alarm", "confusion", "total")


def on_grid(segments):
    """{speaker: bool [FRAMES]}."""
    cells = {}
    for start, end, speaker in segments:
        cells.setdefault(speaker, np.zeros(FRAMES, dtype=bool))[round(start * STEP) : round(end * STEP)] = True
    return np.array(list(cells.values())).reshape(len(cells), FRAMES)


def by_frames(reference, hypothesis, uem, collar_s=0.0, skip_overlap=False):
    """DER by counting frames of 10 ms."""
    said, found = on_grid(reference), on_grid(hypothesis)
    scored = on_grid([(*stretch, "") for stretch in uem]).any(0)
    collar = round(collar_s * STEP)
    for one in said:
        for edge in np.flatnonzero(np.diff(one.astype(int), prepend=0, append=0)):
            scored[max(0, edge - collar) : edge + collar] = False
    if skip_overlap:
        scored &= said.sum(0) < 2
    said, found = said[:, scored].astype(int), found[:, scored].astype(int)
    met = said @ found.T
    correct = met[linear_sum_assignment(-met)].sum()
    both = np.minimum(said.sum(0), found.sum(0)).sum()
    total, alarms = said.sum(), found.sum()
    counts = {"miss": total - both, "false_alarm": alarms - both, "confusion": both - correct, "total": total}
    seconds = {name: count / STEP for name, count in counts.items()}
    errors = counts["miss"] + counts["false_alarm"] + counts["confusion"]
    return seconds | {"der": errors / total if total else None}


def random_segments(rng, names):
    """On the grid; those of one speaker overlap or touch at times."""
    starts = rng.integers(0, FRAMES - 1, rng.integers(0, 16))
    ends = np.minimum(FRAMES, starts + rng.integers(1, 5 * STEP, len(starts)))
    return [(a / STEP, b / STEP, str(rng.choice(list(names)))) for a, b in zip(starts, ends, strict=True)]


def random_case(seed):
    """Reference, hypothesis, and one to three stretches, which overlap at times."""
    rng = np.random.default_rng(seed)
    uem = [tuple(np.sort(rng.choice(FRAMES + 1, 2, replace=False)) / STEP) for _ in range(rng.integers(1, 4))]
    return random_segments(rng, "abcd"[: rng.integers(1, 5)]), random_segments(rng, "1234"[: rng.integers(1, 5)]), uem


@pytest.mark.parametrize("skip_overlap", [False, True])
@pytest.mark.parametrize("collar_s", [0.0, 0.25])
def test_it_is_that_of_a_count_of_frames(collar_s, skip_overlap):
    shares = []
    for seed in range(50):
        case = random_case(seed)
        found = diarisation_error(*case, collar_s, skip_overlap)
        assert found == pytest.approx(by_frames(*case, collar_s, skip_overlap), abs=1e-6), seed
        shares.append(found["der"])
    assert len({share for share in shares if share is not None}) > 30


def test_by_hand():
    reference = [(0, 4, "ann"), (3, 8, "bob"), (10, 12, "ann")]
    hypothesis = [(0, 4, "1"), (4, 9, "2"), (10, 12, "2")]
    # 3-4: bob is missed; 8-9: false; 10-12: confused. 11 s of speech
    found = diarisation_error(reference, hypothesis, [(0, 20)])
    assert found == pytest.approx({"miss": 1, "false_alarm": 1, "confusion": 2, "total": 11, "der": 4 / 11})


def test_the_collar_is_on_either_side():
    # left out: 1.75 to 2.25 and 3.75 to 4.25; missed is 2.25 to 3, false 4.25 to 5
    found = diarisation_error([(2, 4, "a")], [(3, 5, "1")], [(0, 10)], collar_s=0.25)
    assert found == pytest.approx({"miss": 0.75, "false_alarm": 0.75, "confusion": 0, "total": 1.5, "der": 1})


def test_overlap_can_be_left_out():
    reference, hypothesis = [(0, 4, "a"), (2, 6, "b")], [(0, 6, "1")]
    assert diarisation_error(reference, hypothesis, [(0, 6)])["total"] == pytest.approx(8)
    found = diarisation_error(reference, hypothesis, [(0, 6)], skip_overlap=True)
    assert found == pytest.approx({"miss": 0, "false_alarm": 0, "confusion": 2, "total": 4, "der": 0.5})


def test_what_one_speaker_says_twice_at_a_time_counts_once():
    pieces = [(0, 2, "a"), (1, 3, "a"), (3, 4, "a"), (0, 1, "b")]
    whole = [(0, 4, "a"), (0, 1, "b")]
    for options in ({}, {"collar_s": 0.25}, {"skip_overlap": True}):
        found = diarisation_error(pieces, [*pieces, (0, 2, "a")], [(0, 9)], **options)
        assert found == pytest.approx(diarisation_error(whole, whole, [(0, 9)], **options)) and found["der"] == 0
    assert diarisation_error(pieces, [], [(0, 9)])["total"] == pytest.approx(5)


def test_names_and_order_do_not_matter():
    reference, hypothesis, uem = random_case(3)
    renamed = [(start, end, {"1": "b", "2": "a", "3": "z", "4": "1"}[name]) for start, end, name in hypothesis[::-1]]
    found = diarisation_error(reference[::-1], renamed, uem[::-1], 0.25)
    assert found == pytest.approx(diarisation_error(reference, hypothesis, uem, 0.25))


def test_sums_of_seconds_pool_recordings():
    one, other = ([(0, 2, "a")], [(0, 1, "1")]), ([(0, 8, "a")], [(0, 8, "1")])
    parts = [diarisation_error(*pair, [(0, 10)]) for pair in (one, other)]
    pooled = {name: sum(part[name] for part in parts) for name in NAMES}
    assert pooled == pytest.approx({"miss": 1, "false_alarm": 0, "confusion": 0, "total": 10})


@pytest.mark.parametrize("collar_s", [0.0, 0.25])
@pytest.mark.parametrize("skip_overlap", [False, True])
@pytest.mark.parametrize(
    "reference, hypothesis, uem, expected",
    [
        ([], [], [], (0, 0, 0, 0, None)),
        ([], [], [(0, 5)], (0, 0, 0, 0, None)),
        ([(1, 2, "a")], [(1, 2, "1")], [], (0, 0, 0, 0, None)),  # nothing is scored
        ([(6, 7, "a")], [], [(0, 5)], (0, 0, 0, 0, None)),
        ([], [(1, 2, "1")], [(0, 5)], (0, 1, 0, 0, None)),
        ([(1, 1, "a")], [(1, 1, "1")], [(0, 5)], (0, 0, 0, 0, None)),
    ],
)
def test_where_nobody_speaks_there_is_no_rate(reference, hypothesis, uem, expected, collar_s, skip_overlap):
    found = diarisation_error(reference, hypothesis, uem, collar_s, skip_overlap)
    assert found == pytest.approx(dict(zip((*NAMES, "der"), expected, strict=True)))


def test_who_is_never_found_is_missed():
    found = diarisation_error([(1, 3, "a")], [], [(0, 5)])
    assert found == pytest.approx({"miss": 2, "false_alarm": 0, "confusion": 0, "total": 2, "der": 1})


@pytest.mark.parametrize(
    "reference, hypothesis, uem, collar_s, said",
    [
        ([(2, 1, "a")], [], [(0, 5)], 0.0, "reference: .* found 2 and 1"),
        ([], [(0, np.nan, "1")], [(0, 5)], 0.0, "hypothesis: .* found 0 and nan"),
        ([], [(0, np.inf, "1")], [(0, 5)], 0.0, "hypothesis: .* found 0 and inf"),
        ([], [], [(5, 0)], 0.0, "uem: .* found 5 and 0"),
        ([], [], [(0, 5)], -0.25, "wanted a collar of 0 s or more, found -0.25"),
        ([], [], [(0, 5)], np.nan, "found nan"),
    ],
)
def test_what_cannot_be_scored_is_named(reference, hypothesis, uem, collar_s, said):
    with pytest.raises(UserError, match=said):
        diarisation_error(reference, hypothesis, uem, collar_s)
