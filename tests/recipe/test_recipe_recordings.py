"""egs/dns5/run.sh and egs/recordings/run.sh as a user calls them, on a folder in DNS-Challenge 5's layout.

Clips at 48 kHz, shortened, with enrolments; networks without training.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from holding import holding, wait_until_held
from places import ROOT
from small_model import write_small_experiment
from stages import mark_done
from tiny import environment, the_error

from wesep_mix.bin import recordings
from wesep_mix.evaluation.recordings import read_rows
from wesep_mix.io.embeddings import read_embeddings

CLIPS = {"fan_1": 2.5, "fan_2": 2.0, "door_1": 3.0, "alone": 2.0}
ENROLLED = ("fan_1", "enrol_fan_2", "door_1_enroll")


def sound(buzz, path, pitches, seconds, rate=48000):
    path.parent.mkdir(parents=True, exist_ok=True)
    talk = sum(buzz(pitch, seconds) for pitch in pitches)
    times = np.arange(round(rate * seconds)) / rate
    soundfile.write(path, 0.3 * np.interp(times, np.arange(len(talk)) / 16000, talk), rate)


@pytest.fixture(scope="module")
def dns5(tmp_path_factory, buzz):
    """V5_dev_testset, in the folder that it was unpacked to."""
    folder = tmp_path_factory.mktemp("unpacked")
    track = folder / "V5_dev_testset" / "Track1_Headset"
    for number, (name, seconds) in enumerate(CLIPS.items()):
        sound(buzz, track / "noisy" / f"{name}.wav", (110 + 10 * number, 190), seconds)
    for number, name in enumerate(ENROLLED):
        sound(buzz, track / "enrol" / f"{name}.wav", (110 + 10 * number,), 1.5)
    return folder


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """An experiment whose stages 2, 3 and 5 are done, and a model's folder."""
    exp = tmp_path_factory.mktemp("exp") / "libri2mix"
    exp.mkdir()
    write_small_experiment(exp)
    mark_done(exp / "teacher", exp / "2mix" / "student", exp / "2mix" / "net" / "matched")
    return exp


def words(folder, *options, script="dns5"):
    places = ["--data_dir", f"{folder}/data", "--exp_dir", f"{folder}/exp", "--nj", "1"]
    return ["bash", str(ROOT / "egs" / script / "run.sh"), *map(str, (*places, *options))]


def run_sh(folder, *options, script="dns5", **variables):
    return subprocess.run(
        words(folder, *options, script=script),
        env=environment(**variables),
        text=True,
        capture_output=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory, dns5, experiment):
    """The folder in which the experiment's model was run on the set, and what was printed."""
    folder = tmp_path_factory.mktemp("run")
    ended = run_sh(folder, "--dns5", dns5, "--model", experiment)
    assert ended.returncode == 0, ended.stderr
    return folder, ended.stdout


def test_from_a_folder_of_clips_and_a_trained_experiment_to_table_3(done):
    folder, printed = done
    exp = folder / "exp" / "dns5"
    assert re.findall(r"^== stage (\d): recordings ==$", printed, re.M) == list("146789")
    assert "3 of 4 recordings have an enrolment" in printed and printed.endswith(f"results: {exp}\n")
    text = (exp / "TABLE3.md").read_text()
    assert "4 recordings of 4 files, 0.2 minutes, at 48 kHz; 3 have an enrolment." in text
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    titles = [line[0].removeprefix("| ") for line in lines]
    ours = "`libri2mix_2mix_net`"
    assert [title for title in titles if title.startswith(ours)] == [
        *(f"{ours}, {rule}" for rule in ("loudest, main row", "mean", "enrolment", "best")),
        f"{ours}",  # the table of margins
    ]
    header, paper = lines[0], next(line for line in lines if line[0] == "| the paper: DPCCN, without enrolment")
    cells = dict(zip(header, paper, strict=True))
    assert [cells[name] for name in ("SIG", "BAK", "OVRL")] == ["2.94", "3.92", "2.50"]
    less = ["SIG less input", "BAK less input", "OVRL less input"]
    assert [cells[name] for name in less] == ["-0.14", "+1.25", "+0.21"] and cells["P808"] == "-"
    assert "it does not say which" in text and re.search(r"OVRL of .*: [+-]\d\.\d\d \(.*recordings\.", text)
    assert (exp / "plots" / "margins_libri2mix_2mix_net.png").read_bytes().startswith(b"\x89PNG")


def test_its_numbers_are_those_of_the_scores(done):
    exp = done[0] / "exp" / "dns5"
    scores = read_rows(exp / "libri2mix_2mix_net" / "scores" / "scores.csv")
    before = {row["recording"]: row for row in read_rows(exp / "input" / "scores" / "scores.csv")}
    assert [(row["recording"], row["head"]) for row in scores] == [(name, n) for name in sorted(CLIPS) for n in (0, 1)]
    for row in scores:
        assert row["bak_diff"] == pytest.approx(row["bak"] - before[row["recording"]]["bak"], abs=2e-6)
    found = json.loads((exp / "table3.json").read_text())
    ours = found["models"]["libri2mix_2mix_net"]["rules"]
    loudest = [max(scores[n : n + 2], key=lambda row: row["level_db"])["ovrl"] for n in range(0, 8, 2)]
    assert ours["loudest"]["after"]["ovrl"] == pytest.approx(np.mean(loudest), abs=1e-5)
    assert (ours["mean"]["num"], ours["enrolment"]["num"]) == (4, 3)
    assert found["input"]["sig"] == pytest.approx(np.mean([row["sig"] for row in before.values()]), abs=1e-5)
    heard = exp / "libri2mix_2mix_net" / "embeddings"
    student, enrolment = (read_embeddings(heard / f"{name}.scp") for name in ("student", "enrolment"))
    assert len(student) == 8 and sorted(enrolment) == ["door_1", "fan_1", "fan_2"]
    (margin,) = (
        row
        for row in read_rows(exp / "libri2mix_2mix_net" / "analysis" / "margins.csv")
        if row["recording"] == "door_1"
    )
    cosines = [student[f"door_1-{head}"] @ enrolment["door_1"] for head in (0, 1)]
    assert margin["margin"] == pytest.approx(abs(cosines[0] - cosines[1]), abs=1e-5)
    assert margin["picked"] == int(np.argmax(cosines))


def test_what_is_done_says_so_and_another_model_gives_rows_beside_it(done, dns5, experiment):
    folder, _ = done
    again = run_sh(folder, "--dns5", dns5 / "V5_dev_testset", "--model", experiment, "--stop_stage", 8)
    assert again.returncode == 0 and again.stdout.count("done already") == 6
    other = run_sh(folder, "--stage", 4, "--model", experiment / "model", "--set", "candidates=talkers")
    assert other.returncode == 0, other.stderr
    assert other.stdout.count("done already") == 1  # DNSMOS of the clips as they are
    text = (folder / "exp" / "dns5" / "TABLE3.md").read_text()
    assert "`model`, loudest, main row" in text and "`libri2mix_2mix_net`, loudest, main row" in text
    status = run_sh(folder, "--stage", 4, "--model", experiment, "--status", "true")
    assert status.returncode == 0 and status.stdout.count(" done ") == 5


def test_a_model_that_was_trained_anew_is_heard_anew_and_until_then_left_out(done, experiment, tmp_path):
    folder, _ = done
    state = experiment / "2mix" / "student" / ".stage.json"
    before = state.read_text()
    try:
        state.write_text(json.dumps({"done": True, "fingerprint": "other"}))
        page = run_sh(folder, "--stage", 9, "--model", experiment)
        text = (folder / "exp" / "dns5" / "TABLE3.md").read_text()
        if page.returncode == 0:  # another test has added a model
            assert "Left out: `libri2mix_2mix_net`" in text
        else:
            assert "found none that are current" in page.stderr
        ended = run_sh(folder, "--stage", 6, "--stop_stage", 6, "--model", experiment)
        assert "is out of date" in the_error(ended)
    finally:
        state.write_text(before)


@pytest.mark.parametrize(
    ("stage", "held_at", "same"),
    [
        (4, "reco2num_spk", ("embeddings/student.ark", "embeddings/enrolment.ark", "embeddings/reco2num_spk")),
        (6, "door_1-1.wav", ("speech/wav/alone-1.wav", "speech/wav/door_1-1.wav", "speech/wav/fan_2-0.wav")),
    ],
)
def test_killed_it_goes_on_to_the_same_files(done, dns5, experiment, tmp_path, stage, held_at, same):
    wanted = done[0] / "exp" / "dns5"
    begun = run_sh(tmp_path, "--dns5", dns5, "--model", experiment, "--stop_stage", stage - 1)
    assert begun.returncode == 0, begun.stderr
    process = subprocess.Popen(
        words(tmp_path, "--stage", stage, "--stop_stage", stage, "--model", experiment),
        env=environment(**holding(tmp_path, held_at)),
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until_held(process, tmp_path / "held")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    own = tmp_path / "exp" / "dns5" / "libri2mix_2mix_net"
    made = {path: path.stat().st_mtime_ns for path in own.glob("speech/wav/*.wav")}
    assert len(made) == (4 if stage == 6 else 0)  # of eight: alone and door_1 are the first
    ended = run_sh(tmp_path, "--stage", stage, "--stop_stage", stage, "--model", experiment)
    assert ended.returncode == 0, ended.stderr
    assert {path: path.stat().st_mtime_ns for path in made} == made
    for name in same:
        assert (own / name).read_bytes() == (wanted / "libri2mix_2mix_net" / name).read_bytes(), name


def test_a_bad_clip_is_named_and_may_be_left_out(dns5, experiment, tmp_path, buzz):
    folder = tmp_path / "clips"
    sound(buzz, folder / "good one.wav", (120, 180), 2.0, 16000)
    (folder / "bad.wav").write_bytes(b"RIFF no audio")
    options = ("--recordings", folder, "--model", experiment / "model")
    ended = run_sh(tmp_path, *options, script="recordings")
    assert re.search(r"clips/bad.wav: cannot be read as audio .*--set recordings.max_bad=1$", the_error(ended))
    ended = run_sh(tmp_path, *options, "--set", "recordings.max_bad=1", script="recordings")
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "exp" / "recordings" / "RECORDINGS.md").read_text()
    assert "1 recordings of 1 files" in text and "of one file: no interval" in text and "paper" not in text
    assert f"--recordings {os.path.relpath(folder, ROOT)}" in text
    assert (tmp_path / "exp/recordings/model/speech/wav/good_one-0.wav").is_file()
    names = [name for name in (tmp_path / "exp/recordings/model/embeddings").iterdir()]
    assert not any(name.stem == "enrolment" for name in names)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "optim.lr=1"], "--set optim.lr=1: unknown key in egs/dns5/conf/recordings.yaml; there are: "),
        (["--set", "recordings.clipp=1"], "clipp: unknown key, did you mean clip_s"),
        (["--set", "clip_s=1"], "clip_s: wanted seconds from 2 on, or 0 for whole files, found 1"),
        (["--set", "rule=best"], "rule: wanted loudest, present or mean, found 'best'"),
        (["--set", "paper.input=null"], "recordings.yaml: paper.input: wanted a mapping"),
        (["--model", "nowhere"], "--model nowhere: wanted a model's folder"),
        (
            ["--dns5", str(ROOT / "docs")],
            "docs/Track1_Headset/noisy: wanted a folder of recordings, or a list, found no",
        ),
    ],
)
def test_wrong_settings_are_told_before_any_work(dns5, tmp_path, options, said):
    ended = run_sh(tmp_path, "--dns5", dns5, *options)
    assert said in the_error(ended) and not list(tmp_path.glob("data/dns5/recordings.jsonl"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--recordings DIR or --dns5 DIR is needed (see --help)"),
        (["--recordings", f"{__file__}/nowhere"], f"--recordings: nothing of the name '{__file__}/nowhere'"),
        (["--dns5", str(ROOT), "--track", "phone"], "--track takes headset or speakerphone, found 'phone'"),
        (["--foo", "1"], "unknown option --foo (see bash egs/dns5/run.sh --help)"),
        (["--stage", "5", "--stop_stage", "4"], "--stage 5 comes after --stop_stage 4"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_line(options, said):
    ended = subprocess.run(
        ["bash", str(ROOT / "egs/dns5/run.sh"), *options], text=True, capture_output=True, env=environment()
    )
    assert ended.returncode == 1 and ended.stdout == ""
    assert ended.stderr.startswith(f"egs/dns5/run.sh: {said}") and ended.stderr.count("\n") == 1


def test_a_dry_run_prints_calls_that_the_entry_point_takes(dns5, tmp_path, monkeypatch):
    options = ("--dns5", dns5, "--model", "small", "--tag", "try", "--set", "seed=1", "--cmd", "a.pl")
    ended = run_sh(tmp_path, *options, "--dry_run", "true")
    assert ended.returncode == 0 and list(tmp_path.iterdir()) == []
    assert "# == stage 4: recordings, up to 1 jobs of a.pl ==" in ended.stdout
    calls = [shlex.split(line) for line in ended.stdout.splitlines() if line.startswith("python -m")]
    monkeypatch.chdir(ROOT)
    parts = [part for call in calls for part in recordings.parts(call[3:])]
    exp = tmp_path / "exp" / "dns5_try"
    assert [part.out for part in parts] == [
        tmp_path / "data" / "dns5_try",
        *(
            exp / name
            for name in ("small/embeddings", "small/speech", "input/scores", "small/scores", "small/analysis")
        ),
    ]
    assert parts[0].settings["enrolments_dir"] == f"{dns5}/V5_dev_testset/Track1_Headset/enrol"


def test_a_finished_stage_imports_no_torch(done, experiment):
    folder, _ = done
    options = ["--stage_number=8", f"--config={ROOT}/egs/dns5/conf/recordings.yaml", f"--data={folder}/data/dns5"]
    code = (
        "import sys\nfrom wesep_mix.bin import recordings\nstatus = recordings.main(sys.argv[1:])\n"
        "assert status == 0 and 'torch' not in sys.modules, (status, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *options, f"--exp={folder}/exp/dns5", f"--model={experiment}"]
    ended = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert ended.returncode == 0 and "done already" in ended.stdout, ended.stderr
