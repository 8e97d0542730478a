import numpy as np
import pytest

from wesep_mix.base.files import write_json
from wesep_mix.base.seeds import rng_for
from wesep_mix.bin import compare
from wesep_mix.evaluation.scoring import summarise, write_scores
from wesep_mix.report.compare import difference, run_names

INPUTS = {("m1", "a"): 0.0, ("m1", "b"): 1.0, ("m2", "c"): -2.0, ("m2", "a"): 2.0, ("m3", "b"): 0.5, ("m3", "c"): -1.0}
SPEAKERS = {"m1": frozenset("ab"), "m2": frozenset("ac"), "m3": frozenset("bc")}


def write_run(folder, gains, inputs=INPUTS, num_bad=0, targets="all", row="net", **more):
    """A run of one row: the SI-SDRi of each talker."""
    rows = [
        {
            "mix": mix,
            "speaker": spk,
            "si_sdr": inputs[mix, spk] + gain,
            "si_sdri": gain,
            **{metric: values[mix, spk] for metric, values in more.items()},
        }
        for (mix, spk), gain in gains.items()
    ]
    scores = folder / "2mix" / row / "test" / "matched" / "scores"
    write_scores(scores / "scores.csv", rows)
    write_json(scores / "summary.json", summarise(rows) | {"num_bad": num_bad, "params": 5, "targets": targets})
    return folder


def lines_of(text):
    """{(row, measure): other cells}."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {(row, measure): cells for row, measure, *cells in rows}


@pytest.fixture
def runs(tmp_path):
    """B is 1 dB better than A for every talker, and better by 3 dB on m1 alone in C."""
    a = dict.fromkeys(INPUTS, 4.0)
    write_run(tmp_path / "a", a, extracted=dict.fromkeys(INPUTS, 1.0))
    write_run(tmp_path / "b", {key: gain + 1 for key, gain in a.items()}, extracted=dict.fromkeys(INPUTS, 0.0))
    write_run(tmp_path / "c", {key: gain + 3 * (key[0] == "m1") for key, gain in a.items()})
    return tmp_path


def test_a_difference_that_all_talkers_share_has_an_interval_without_width(runs, capsys):
    assert compare.main([str(runs / "a"), str(runs / "b")]) == 0
    lines = lines_of(capsys.readouterr().out)
    assert lines["row", "measure"] == ["a", "b", "b - a", "num"]
    assert lines["net", "SI-SDRi dB"] == ["4.00", "5.00", "+1.00 (+1.00 to +1.00)*", "6"]
    assert lines["net", "Extracted %"] == ["100.0", "0.0", "-100.0 (-100.0 to -100.0)*", "6"]


def test_three_runs_are_held_against_the_first_in_measures_that_all_have(runs, capsys):
    compare.main([str(runs / name) for name in "abc"])
    lines = lines_of(capsys.readouterr().out)
    assert lines["row", "measure"] == ["a", "b", "c", "b - a", "c - a", "num"]
    mean, of_b, of_c = lines["net", "SI-SDRi dB"][2:5]  # 3 dB on one of three mixtures
    assert (mean, of_b, of_c.split()[0]) == ("5.00", "+1.00 (+1.00 to +1.00)*", "+1.00")
    assert not of_c.endswith("*") and ("net", "Extracted %") not in lines


def test_the_interval_is_that_of_a_plain_loop_over_draws_of_speakers():
    keys, rng = list(INPUTS), np.random.default_rng(1)
    first, second = rng.normal(3, 2, 6), rng.normal(2, 2, 6)
    counts = rng_for(0, "compare").multinomial(3, [1 / 3] * 3, size=1000)
    drawn = []
    for count in counts:
        times = dict(zip("abc", count, strict=True))
        weights = [np.prod([times[name] for name in SPEAKERS[mix]]) for mix, _ in keys]
        if sum(weights):
            drawn.append(np.dot(weights, first - second) / sum(weights))
    found = difference(first, second, [mix for mix, _ in keys], SPEAKERS)
    assert found["value"] == pytest.approx(np.mean(first - second))
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_where_all_mixtures_have_the_same_speakers_there_is_no_interval(tmp_path, capsys):
    inputs = {key: value for key, value in INPUTS.items() if key[0] == "m1"}
    for name, gain in (("a", 1.0), ("b", 2.5)):
        write_run(tmp_path / name, dict.fromkeys(inputs, gain))
    compare.main([str(tmp_path / "a"), str(tmp_path / "b")])
    assert lines_of(capsys.readouterr().out)["net", "SI-SDRi dB"] == ["1.00", "2.50", "+1.50 (no interval)", "2"]


def test_other_mixtures_are_refused_by_name(runs, capsys):
    fewer = {key: 4.0 for key in INPUTS if key[0] != "m3"}
    write_run(runs / "d", fewer)
    assert compare.main([str(runs / "a"), str(runs / "d")]) == 1
    said = capsys.readouterr().err
    assert said == (
        "error: a and d: wanted the same test set, found 2 of 6 talkers of a that d lacks, such as b in m3; compare "
        "runs on the same data\n"
    )


def test_mixtures_of_the_same_names_with_another_input_are_refused(runs, capsys):
    write_run(runs / "d", dict.fromkeys(INPUTS, 4.0), INPUTS | {("m2", "a"): 2.5})
    assert compare.main([str(runs / "a"), str(runs / "d")]) == 1
    assert (
        "found a in m2 at an SI-SDR of 2.00 dB in the mixture of a and 2.50 dB in that of d" in capsys.readouterr().err
    )


def test_talkers_that_could_not_be_scored_are_left_out_on_both_sides(runs, capsys):
    write_run(runs / "d", {key: 5.0 for key in INPUTS if key != ("m3", "b")}, num_bad=1)
    assert compare.main([str(runs / "c"), str(runs / "d")]) == 0
    measured = lines_of(capsys.readouterr().out)["net", "SI-SDRi dB"]
    assert measured[:2] == ["5.20", "5.00"] and measured[3] == "5"  # (7 + 7 + 4 + 4 + 4) / 5


def test_rows_of_one_run_alone_are_told(runs, capsys):
    write_run(runs / "b", dict.fromkeys(INPUTS, 1.0), row="other")
    compare.main([str(runs / "a"), str(runs / "b")])
    said = capsys.readouterr().out
    assert "b alone or not in all: `other`." in said and "a alone" not in said


def test_metrics_of_embeddings_stand_side_by_side(runs, capsys):
    row = {"acc": 0.5, "sep": 0.2, "nmi": 0.5, "sil": 0.1, "ari": 0.4, "eer": 0.1, "num": 6, "trainable": 0}
    for name, acc in (("a", 0.5), ("b", 0.625)):
        write_json(runs / name / "2mix" / "clustering" / "metrics.json", {"student": row | {"acc": acc}})
    compare.main([str(runs / "a"), str(runs / "b")])
    assert lines_of(capsys.readouterr().out)["student", "Acc %"] == ["50.0", "62.5", "+12.5"]


def test_one_target_a_mixture_is_compared_with_one(runs, tmp_path, capsys):
    for name in ("a", "b"):
        path = runs / name / "2mix" / "net" / "test" / "matched" / "scores" / "summary.json"
        gain = {"a": 4.0, "b": 5.0}[name]
        means = {"si_sdri": gain, "si_sdri_std": 0.0, "num": 3}
        write_json(path, means | {"num_bad": 0, "params": 5, "targets": "one", "seed": 0})
    compare.main([str(runs / "a"), str(runs / "b")])
    said = capsys.readouterr().out
    assert lines_of(said)["net", "SI-SDRi dB"][3] == "3" and "one target of each test mixture" in said


def test_the_text_goes_to_a_file_too(runs, tmp_path, capsys):
    compare.main([str(runs / "a"), str(runs / "b"), "--num_spk", "2", "--out", str(tmp_path / "both.md")])
    assert (tmp_path / "both.md").read_text() == capsys.readouterr().out


def test_what_cannot_be_compared_is_one_line(runs, tmp_path, capsys):
    (tmp_path / "empty" / "3mix").mkdir(parents=True)
    assert compare.main([str(runs / "a"), str(tmp_path / "empty")]) == 1
    assert "wanted a folder Nmix that all runs have, found " in capsys.readouterr().err
    assert compare.main([str(runs / "a"), str(tmp_path / "empty"), "--num_spk", "2"]) == 1
    assert "wanted scores to compare, found none" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare.main([str(runs / "a")])


def test_folders_of_one_name_are_told_apart_by_their_paths(tmp_path):
    paths = [tmp_path / "x" / "mini", tmp_path / "y" / "mini"]
    assert run_names(paths) == [str(path) for path in paths]
    assert run_names([paths[0], tmp_path / "wide"]) == ["mini", "wide"]
