"""Estimates in lists of files: layouts, what is refused, and a scoring that is killed and goes on."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_table
from wesep_mix.bin import score
from wesep_mix.evaluation.listed import TAIL, Lists, score_lists
from wesep_mix.evaluation.scoring import JOURNAL, read_scores
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.metrics.si_sdr import si_sdr

MIXES = ("m1", "m2", "m3")


@pytest.fixture(scope="module")
def made(tmp_path_factory, buzz):
    """Three mixtures of two: references s1 and s2, estimates e1 and e2, mixtures, each a folder with its list."""
    folder, rng = tmp_path_factory.mktemp("listed"), np.random.default_rng(0)
    lists = {}
    for place, mix in enumerate(MIXES):
        first, second = (buzz(pitch + 9 * place, 2) + 0.001 * rng.standard_normal(32000) for pitch in (110, 180))
        parts = {"s1": first, "s2": second, "mix": first + second}
        parts |= {"e1": first + 0.2 * second, "e2": second + 0.3 * first}
        for name, samples in parts.items():
            path = folder / name / f"{mix}.wav"
            write_audio(path, samples, subtype="FLOAT")
            lists.setdefault(name, {})[mix] = str(path)
    for name, table in lists.items():
        write_table(folder / f"{name}.scp", table)
    for names, name in ((("s1", "s2"), "single.wav.scp"), (("e1", "e2"), "spk1.scp")):  # as WeSep writes them
        table = {f"s{talker}/{mix}.wav": lists[one][mix] for talker, one in enumerate(names, 1) for mix in MIXES}
        write_table(folder / name, table)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    """The same, to be changed: lists with this folder's paths."""
    for path in made.rglob("*.wav"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.relative_to(made)).write_bytes(path.read_bytes())
    for path in made.glob("*.scp"):
        (tmp_path / path.name).write_text(path.read_text().replace(str(made), str(tmp_path)))
    return tmp_path


def lists(folder, permute=False, mix="mix.scp", est=("e1.scp", "e2.scp")):
    return Lists([folder / "s1.scp", folder / "s2.scp"], [folder / name for name in est], mix and folder / mix, permute)


@pytest.fixture
def quick(monkeypatch):
    """SI-SDR and what follows from it alone."""
    from wesep_mix.evaluation import listed
    from wesep_mix.evaluation.trials import Measures

    monkeypatch.setattr(
        listed.Measures, "of", staticmethod(lambda settings, others: Measures(False, False, others=others))
    )


def test_two_lists_a_kind_are_two_talkers_of_each_mixture(made, tmp_path):
    summary = score_lists(lists(made), tmp_path, ScoreConfig(), nj=2)
    rows = read_scores(tmp_path / "scores.csv")
    assert [(row["mix"], row["speaker"]) for row in rows] == [(mix, talker) for mix in MIXES for talker in ("s1", "s2")]
    source, est, mix = (read_audio(made / name / "m2.wav") for name in ("s2", "e2", "mix"))
    assert rows[3]["si_sdr"] == pytest.approx(si_sdr(est, source), abs=1e-5)
    assert rows[3]["si_sdri"] == pytest.approx(si_sdr(est, source) - si_sdr(mix, source), abs=1e-5)
    assert (summary["num"], summary["num_bad"], summary["num_cut"], summary["wrong_talker"]) == (6, 0, 0, 0)
    assert rows[0].keys() >= {"sdr", "sdri", "pesq", "stoi", "estoi", "extracted"}


def test_weseps_one_list_a_kind_gives_the_same_table(made, tmp_path, quick):
    score_lists(lists(made), tmp_path / "two", ScoreConfig())
    one = Lists([made / "single.wav.scp"], [made / "spk1.scp"], made / "mix.scp")
    score_lists(one, tmp_path / "one", ScoreConfig())
    assert (tmp_path / "one" / "scores.csv").read_bytes() == (tmp_path / "two" / "scores.csv").read_bytes()


@pytest.mark.parametrize("permute", [False, True])
def test_estimates_in_another_order_are_found_where_it_is_asked_for(made, tmp_path, quick, permute):
    score_lists(lists(made), tmp_path / "in_order", ScoreConfig())
    summary = score_lists(lists(made, permute, est=("e2.scp", "e1.scp")), tmp_path / "swapped", ScoreConfig())
    same = (tmp_path / "swapped" / "scores.csv").read_bytes() == (tmp_path / "in_order" / "scores.csv").read_bytes()
    assert same == permute and summary["wrong_talker"] == float(not permute)


def test_of_three_estimates_the_best_order_of_all_is_taken_not_the_best_of_each(tmp_path, quick):
    """Estimate 1 is the best one of both s1 and s2; by the sum it goes to s1 and a worse one to s2."""
    rng = np.random.default_rng(0)
    sources = dict(zip(("s1", "s2", "s3"), 0.1 * rng.standard_normal((3, 16000)), strict=True))
    ests = {
        "e1": sources["s1"] + sources["s2"],
        "e2": sources["s3"],
        "e3": sources["s2"] + 2 * sources["s3"],
    }
    for name, samples in (sources | ests).items():
        write_audio(tmp_path / f"{name}.wav", samples, subtype="FLOAT")
        write_table(tmp_path / f"{name}.scp", {"m": str(tmp_path / f"{name}.wav")})
    refs, found = ([tmp_path / f"{kind}{number}.scp" for number in (1, 2, 3)] for kind in "se")
    score_lists(Lists(refs, found, permute=True), tmp_path / "out", ScoreConfig())
    rows = read_scores(tmp_path / "out" / "scores.csv", needed=())
    wanted = [si_sdr(ests[est], source) for est, source in zip(("e1", "e3", "e2"), sources.values(), strict=True)]
    assert [row["si_sdr"] for row in rows] == pytest.approx(wanted, abs=0.01)


def test_without_mixtures_nothing_is_told_of_an_improvement(made, tmp_path):
    score_lists(lists(made, mix=None), tmp_path, ScoreConfig())
    row = read_scores(tmp_path / "scores.csv", needed=())[0]
    assert set(row) == {"mix", "speaker", "si_sdr", "sdr", "wrong_talker", "pesq", "stoi", "estoi"}


def test_a_folder_stands_for_the_list_of_estimates(made, tmp_path, quick):
    summary = score_lists(Lists([made / "s1.scp"], [made / "e1"], made / "mix.scp"), tmp_path, ScoreConfig())
    assert summary["num"] == 3 and "wrong_talker" not in summary  # there is no other talker's reference


def lacking(folder, name, mix):
    """Take a line out of a list."""
    path = folder / f"{name}.scp"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith(f"{mix} ")))


def resized(path, change):
    samples = read_audio(path)
    write_audio(path, samples[:change] if change < 0 else np.pad(samples, (0, change)), subtype="FLOAT")


@pytest.mark.parametrize(
    ("spoil", "said", "num_bad"),
    [
        (lambda at: (at / "e2" / "m2.wav").write_bytes(b"RIFF"), "m2-s2: .*e2/m2.wav: cannot be read as audio", 1),
        (lambda at: (at / "e2" / "m2.wav").unlink(), "m2-s2: .*e2/m2.wav: cannot be read as audio .no such file", 1),
        (lambda at: (at / "s2" / "m2.wav").unlink(), "m2-s1: .*s2/m2.wav: cannot be read as audio .no such file", 2),
        (lambda at: lacking(at, "e2", "m2"), "m2-s2: .*e2.scp: no line for m2 .s2., which is in .*s2.scp", 1),
        (lambda at: lacking(at, "s2", "m2"), "m2-s1: .*s2.scp: no line for m2 .s2., which is in .*e2.scp", 2),
        (lambda at: lacking(at, "mix", "m2"), "m2-s1: .*mix.scp: no line for m2, which is to be scored", 2),
        (lambda at: resized(at / "e2" / "m2.wav", -16000), "m2-s2: .*e2/m2.wav: wanted 32000 samples as in .*s2/m2", 1),
        (lambda at: resized(at / "e2" / "m2.wav", TAIL + 1), "or up to 256 off, found 32257", 1),
        (lambda at: write_audio(at / "e2" / "m2.wav", np.zeros(32000)), "m2-s2: est is silent", 1),
    ],
)
def test_what_cannot_be_scored_is_named_and_counted(copied, quick, spoil, said, num_bad):
    spoil(copied)
    with pytest.raises(UserError, match=said):
        score_lists(lists(copied), copied / "out", ScoreConfig())
    summary = score_lists(lists(copied), copied / "out", ScoreConfig(max_bad=2))
    assert (summary["num"], summary["num_bad"]) == (6 - num_bad, num_bad)


@pytest.mark.parametrize("change", [-1, 1, -TAIL, TAIL])
def test_a_difference_of_up_to_a_frames_shift_is_cut_and_told(copied, quick, capsys, change):
    resized(copied / "e2" / "m2.wav", change)
    summary = score_lists(lists(copied), copied / "out", ScoreConfig())
    said = capsys.readouterr().out
    assert f"1 were cut to the shortest of their files, up to 256 samples; m2-s2: {copied}/e2/m2.wav has" in said
    est, source = (read_audio(copied / name / "m2.wav") for name in ("e2", "s2"))
    size = min(len(est), len(source))
    row = read_scores(copied / "out" / "scores.csv")[3]
    assert row["si_sdr"] == pytest.approx(si_sdr(est[:size], source[:size]), abs=1e-5)
    assert (summary["num"], summary["num_cut"]) == (6, 1)


def test_other_numbers_of_lists_are_refused(made, tmp_path):
    with pytest.raises(UserError, match="--est: wanted as many lists as of --ref, 2, found 1"):
        score_lists(lists(made, est=("e1.scp",)), tmp_path, ScoreConfig())


def command(folder, out, *more):
    options = [
        f"--{kind}={folder}/{kind[0].replace('r', 's')}{number}.scp" for kind in ("ref", "est") for number in "12"
    ]
    return [*options, f"--mix={folder}/mix.scp", f"--out={out}", *more]


def test_the_entry_point_prints_a_table_and_is_done_the_next_time(copied, capsys):
    options = command(copied, copied / "out", "--set=sdr=false", "--set=score.max_bad=1")
    assert score.main(options) == 0
    table = capsys.readouterr().out.splitlines()[-2:]
    assert table[0].split()[:3] == ["extraction", "SI-SDR", "dB"] and "SDR dB  SDRi" not in table[0]
    assert table[1].startswith("out ") and read_json(copied / "out" / "summary.json")["num"] == 6
    assert score.main(options) == 0
    said = capsys.readouterr().out
    assert "done already" in said and said.splitlines()[-2:] == table
    resized(copied / "e1" / "m1.wav", 1)
    assert score.main(options) == 0 and "made anew" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--ref=a", "--est=b"],
        ["--ref=a", "--est=b", "--out=c", "--data=d"],
        ["--data=d", "--extractor=e"],
        ["--config=a", "--data=d", "--extractor=e", "--out=c"],
    ],
)
def test_options_that_do_not_belong_together_are_refused(options, capsys):
    with pytest.raises(SystemExit):
        score.main(options)
    assert "wanted --config, --data and --extractor, or --ref, --est and --out" in capsys.readouterr().err


def test_killed_and_started_again_it_gives_the_table_of_an_undisturbed_run(made, tmp_path):
    for name in ("s1", "s2", "e1", "e2", "mix"):
        lines = (made / f"{name}.scp").read_text().splitlines(True)
        table = "".join(f"{number}-{line}" for number in range(8) for line in lines)
        (tmp_path / f"{name}.scp").write_text(table)
    assert score.main(command(tmp_path, tmp_path / "whole", "--nj=2")) == 0
    out, call = tmp_path / "parts", [sys.executable, "-m", "wesep_mix.bin.score"]
    for kept in (2, 20):
        process = subprocess.Popen(
            [*call, *command(tmp_path, out, "--nj=2")], start_new_session=True, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and num_lines(out / JOURNAL) < kept:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.returncode == -signal.SIGKILL and not (out / "scores.csv").exists()
        assert kept <= num_lines(out / JOURNAL) < 48
    done = subprocess.run([*call, *command(tmp_path, out, "--nj=2")], capture_output=True, text=True, check=True)
    assert "of 48 were done before" in done.stdout and not (out / JOURNAL).exists()
    for name in ("scores.csv", "summary.json"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def num_lines(path):
    return len(path.read_bytes().splitlines()) if path.exists() else 0
