"""Sections on stage 8's analyses: sentences from numbers that are known."""

import pytest

from wesep_mix.report.analysis import analysis_sections, interpolation_text, separated_text, with_interval

NONE = {"value": 0.0, "low": 0.0, "high": 0.0}


def interval(value, low, high):
    return {"value": value, "low": low, "high": high}


def crossings(uncrossed):
    return {
        "of_means": interval(0.5, 0.456, 0.544),
        "mean": interval(0.49, 0.4, 0.6),
        "near_middle": interval(0.6, 0.5, 0.7),
        "num_uncrossed": uncrossed,
    }


INTERPOLATED = {
    "steps": [
        {"a": a, "si_sdr_a": interval(-value, -value - 1, -value + 1), "si_sdr_b": NONE}
        for a, value in ((0.0, -3), (1.0, 8))
    ],
    "by_si_sdr": crossings(7),
    "by_si_sdri": crossings(2),
    "monotone": interval(0.9, 0.8, 1.0),
    "setback_db": 0.25,
    "num": 50,
    "num_speakers": 16,
    "tolerance_db": 0.5,
}
ROW = {"acc": 0.5, "nmi": 0.5, "ari": 0.25, "sil": 0.0, "eer": 0.2, "cos": 0.5}
SEPARATED = {
    "separated": ROW,
    "steps": [{"a": 0.0, **ROW}, {"a": 1.0, **ROW}],
    "setbacks": {"acc": 0.0, "nmi": 0.005, "ari": 0.02, "sil": 0.0, "eer": 0.0},
    "ahead": interval(0.19, 0.06, 0.32) | {"num": 100, "num_speakers": 16},
    "training": {"epochs": 15, "last_is_best": True, "gain_db": 0.045, "last_epochs": 2},
    "tolerance": 0.01,
}


def test_an_interval_in_brackets():
    assert with_interval(interval(0.5, 0.456, 0.544), 2) == "0.50 (0.46 to 0.54)"
    assert with_interval(interval(0.5, 0.4, 0.6), 0, 100) == "50 (40 to 60)"
    assert with_interval(None, 2) == "not defined"


def test_what_the_curves_show():
    text = " ".join(interpolation_text("net", INTERPOLATED))
    for part in (
        "`net`, 50 mixtures of 16 speakers: from a = 0 to 1 the mean SI-SDR to the first talker goes from 3.0 "
        "(2.0 to 4.0) to -8.0 (-9.0 to -7.0) dB",
        "cross at a = 0.50 (0.46 to 0.54)",
        "60 (50 to 70) % of them between 0.35 and 0.65; 2 do not",
        "and 7 do not.",
        "In 90 (80 to 100) % of the mixtures both curves of SI-SDR are monotone: neither goes back by more than 0.5 dB",
        "The mean curves go back by 0.25 dB.",
    ):
        assert part in text


def test_curves_that_never_cross_say_so():
    text = " ".join(interpolation_text("net", INTERPOLATED | {"by_si_sdr": crossings(50) | {"of_means": None}}))
    assert "cross at a = not defined" in text


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({}, "is 19.0 (6.0 to 32.0) points (100 mixtures of 16 speakers): the interval is above 0."),
        (
            {"ahead": interval(0.1, -0.1, 0.2) | {"num": 9, "num_speakers": 4}},
            "speakers): the interval is not above 0.",
        ),
        ({"ahead": None}, "cannot be held against it"),
        ({}, "never get better by more than 0.01: Acc, NMI, Sil, EER; these get better on the way: ARI (by 0.020)."),
        (
            {},
            "not trained until its dev score stopped rising: the last epoch was the best (+0.04 dB in the last 2 of 15",
        ),
        (
            {"training": SEPARATED["training"] | {"last_is_best": False, "gain_db": -0.5}},
            "no longer rose: the last epoch was",
        ),
        ({"training": None}, "is not there, so whether its dev score had stopped rising is not known"),
    ],
)
def test_what_separation_does_to_embeddings(change, part):
    assert part in " ".join(separated_text("tasnet", SEPARATED | change))


def test_sections_and_their_plots():
    results = {"analysis": {"tasnet": {"separated": SEPARATED}}, "embeddings": {"student": ROW | {"acc": 0.75}}}
    caption = "tasnet: embeddings from clean to separated speech"
    title, what, table, *_, plot, brackets = analysis_sections(results, {caption: "plots/x.png"})
    assert title == "## Separate first, then embed" and "by up to 10 ms" in what
    assert table.splitlines()[2:] == [
        "| student | 75.0 | 0.500 | 0.250 | 0.000 | 20.0 | 0.500 |",
        *(
            f"| {name} | 50.0 | 0.500 | 0.250 | 0.000 | 20.0 | 0.500 |"
            for name in ("tasnet/separated", "a = 0.0", "a = 1.0")
        ),
    ]
    assert plot == f"![{caption}](plots/x.png)\n\n{caption}." and "95 %" in brackets
    assert analysis_sections({"analysis": {}}, {}) == []
