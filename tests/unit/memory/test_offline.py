import warnings

import numpy as np
import pytest
from voices import DIM, Voices, unit

from wesep_mix.base.errors import UserError
from wesep_mix.memory.observing import NOBODY
from wesep_mix.memory.offline import clustered, linked

X, Y, Z = np.eye(3)
WAYS = {
    "average, number known": {"tau": None},
    "average, number and threshold": {"tau": 0.2},
    "spectral, number known": {"method": "spectral"},
}


def session(num_talkers, seed, num_windows=45, stray=0.0):
    """Embeddings, their windows and talkers; in some windows a stray head, whose talker is -1."""
    voices = Voices(num_talkers, seed)
    found, windows, talkers = [], [], []
    for window in range(num_windows):
        speak = voices.rng.permutation(num_talkers)[: 1 + voices.rng.integers(min(3, num_talkers))].tolist()
        found += list(voices.window(*speak)[0][: len(speak)])
        if voices.rng.random() < stray:
            found, speak = [*found, unit(voices.rng.standard_normal(DIM))], [*speak, -1]
        windows, talkers = windows + [window] * len(speak), talkers + speak
    return np.array(found), np.array(windows), np.array(talkers)


def agree(labels, talkers):
    """Share of embeddings whose label is the usual one of their talker, talkers' being different."""
    own = [labels[talkers == talker] for talker in range(talkers.max() + 1)]
    usual = [max(set(each.tolist()), key=each.tolist().count) for each in own]
    assert len(set(usual)) == len(usual)
    return sum((each == one).sum() for each, one in zip(own, usual, strict=True)) / (talkers >= 0).sum()


def apart(labels, windows):
    """Whether no window has two heads of one talker."""
    pairs = [(window, label) for window, label in zip(windows, labels, strict=True) if label != NOBODY]
    return len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("num_talkers", [1, 2, 3, 5])
def test_talkers_are_found_where_their_number_is_known(way, num_talkers):
    for seed in range(3):
        found, windows, talkers = session(num_talkers, seed)
        labels = clustered(found, windows, num_talkers, **WAYS[way])
        assert agree(labels, talkers) > 0.95 and apart(labels, windows)
        assert set(labels) - {NOBODY} == set(range(num_talkers))


@pytest.mark.parametrize("num_talkers", [1, 2, 3, 4])
def test_spectral_clustering_counts_talkers_by_the_widest_gap(num_talkers):
    right = []
    for seed in range(6):
        found, windows, talkers = session(num_talkers, seed)
        labels = clustered(found, windows, method="spectral")
        right.append(labels.max() + 1 == num_talkers)
        assert apart(labels, windows)
    assert sum(right) >= 5
    found, windows, _ = session(4, 0)
    assert clustered(found, windows, method="spectral", most=2).max() < 2


def test_those_below_the_threshold_are_no_neighbours_to_spectral_clustering():
    found = np.repeat([X, towards(0.8)], 3, axis=0)
    assert clustered(found, np.arange(6), method="spectral").tolist() == [0] * 6
    assert clustered(found, np.arange(6), tau=0.9, method="spectral").tolist() == [0, 0, 0, 1, 1, 1]


def test_average_linkage_counts_talkers_by_its_threshold():
    found = np.array([X, towards(0.8), Y, Z, towards(0.9, Z, Y)])
    assert clustered(found, np.arange(5), tau=0.75).tolist() == [0, 0, 1, 2, 2]
    assert clustered(found, np.arange(5), tau=0.85).tolist() == [0, 1, 2, 3, 3]
    assert clustered(found, np.arange(5), tau=-1.0).tolist() == [0] * 5
    assert clustered(found, np.arange(5), 3, -1.0).tolist() == [0, 0, 1, 2, 2]  # as the number is known to be more


def towards(cosine, one=X, other=Y):
    return cosine * one + np.sqrt(1 - cosine**2) * other


def test_a_stray_head_is_no_talker_where_number_and_threshold_are_known():
    """The number alone makes talkers of the most distant."""
    found, windows, talkers = session(2, 0, stray=0.1)
    assert (talkers == -1).sum() > 2
    labels = clustered(found, windows, 2, 0.2)
    assert agree(labels, talkers) > 0.95 and set(labels) == {0, 1, NOBODY} and apart(labels, windows)


@pytest.mark.parametrize("method", ["average", "spectral"])
def test_heads_of_one_window_are_never_one_talker_however_near(method):
    near = unit(X + 0.05 * np.random.default_rng(0).standard_normal((12, 3)))
    windows = np.repeat(np.arange(6), 2)
    labels = clustered(near, windows, 2, method=method)
    assert apart(labels, windows) and set(labels) == {0, 1}
    labels = clustered(near, windows, 1, method=method)  # there is one alone: of two heads one is nobody
    assert (labels.reshape(6, 2) == NOBODY).sum(1).tolist() == [1] * 6


def test_what_heads_of_a_window_have_in_common_joins_no_talkers():
    """Each window has a sound of its own in both heads, so that they are nearer to each other than to their own."""
    voices = Voices(2, 1)
    sounds = 1.5 * unit(voices.rng.standard_normal((6, DIM)))
    found, windows, talkers = unit(voices.centres[:, None] + sounds), np.tile(np.arange(6), 2), np.repeat([0, 1], 6)
    cosines = found[0] @ found[0].T
    assert found[0, 0] @ found[1, 0] > np.sort(cosines[0])[-2]
    labels = clustered(found.reshape(12, DIM), windows, method="spectral")
    assert labels.tolist() == talkers.tolist()


def test_a_window_whose_heads_are_one_cluster_is_given_out_anew():
    """Of a window of three, two of whom are nearest to one talker, each has another."""
    found = np.array([X, X, Y, Y, Z, Z, towards(0.95), towards(0.9), towards(0.3, X, Z)])
    labels = clustered(found, [0, 1, 0, 1, 0, 1, 2, 2, 2], 3)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2, 0, 1, 2]


def test_many_can_outvote_a_pair_in_linked_and_not_in_clustered():
    """Two hundred embeddings of a voice, which come from two sides, and two of them from one window."""
    found, windows = np.repeat([X, towards(0.9)], 100, axis=0), np.array([*range(199), 0])
    assert len(set(linked(found, windows[:, None] == windows, 0.5))) == 1
    labels = clustered(found, windows, tau=0.5)
    assert (labels == 0).sum() == 199 and labels[-1] == NOBODY
    few = [*range(50, 150)]
    assert len(set(linked(found[few], np.eye(100)[::-1] > 0, 0.5))) == 2


def test_what_is_given_twice_is_found_twice_and_nothing_is_said():
    found, windows, _ = session(3, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = [clustered(found, windows, 3, method=method) for method in ("average", "spectral")]
        again = [clustered(7 * found, windows, 3, method=method) for method in ("average", "spectral")]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert clustered(np.array([Y, X]), [0, 1], 2).tolist() == [0, 1]  # numbered as they come


@pytest.mark.parametrize("method", ["average", "spectral"])
def test_few_embeddings_are_no_trouble(method):
    assert clustered(np.zeros((0, 3)), [], 2, method=method).tolist() == []
    assert clustered(np.array([X]), [4], tau=0.5, method=method).tolist() == [0]
    assert clustered(np.array([X, Y]), [4, 4], 3, method=method).tolist() == [0, 1]
    assert clustered(np.array([X, X]), [4, 5], 1, method=method).tolist() == [0, 0]
    assert clustered(np.array([X, Y, X, Y]), [0, 0, 1, 1], 2, method=method).tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"windows": [0], "tau": 0.5}, "wanted a window for each of 2 embeddings"),
        ({"windows": [0, 1]}, "wanted the number of talkers or tau, found neither"),
        ({"windows": [0, 1], "num_talkers": 0}, "wanted 1 talker or more, found 0"),
        ({"windows": [0, 1], "tau": 0.5, "embeddings": np.zeros((2, 3))}, "length 0"),
        ({"windows": [0, 1], "tau": 0.5, "embeddings": np.zeros(2)}, r"wanted embeddings \[M, D\]"),
    ],
)
def test_what_cannot_be_clustered_is_refused(given, said):
    with pytest.raises(UserError, match=said):
        clustered(**{"embeddings": np.array([X, Y]), **given})
