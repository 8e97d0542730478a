import numpy as np

from wesep_mix.report.maps import map_plot, tsne_map


def two_voices(num=12):
    rng = np.random.default_rng(0)
    centres = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]]).repeat(num, axis=0)
    return centres + 0.05 * rng.standard_normal(centres.shape)


def test_voices_lie_apart_and_the_seed_gives_the_same_map():
    places = tsne_map(two_voices(), 0)
    np.testing.assert_array_equal(places, tsne_map(two_voices(), 0))
    one, other = places[:12], places[12:]
    between = np.linalg.norm(one.mean(0) - other.mean(0))
    assert between > 2 * max(np.linalg.norm(own - own.mean(0), axis=1).mean() for own in (one, other))


def test_every_speaker_is_named_in_each_panel(tmp_path):
    speakers = ["ann"] * 12 + ["bob"] * 12
    map_plot({"teacher": two_voices(), "student": two_voices()}, speakers, 0, tmp_path / "map.png")
    svg = (tmp_path / "map.svg").read_text()
    assert svg.count(">ann</text>") == svg.count(">bob</text>") == 2
