"""`track` as a user calls it, on networks without training."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from places import ROOT
from small_model import write_small_experiment

import wesep_mix
from wesep_mix.__main__ import main
from wesep_mix.inference import tracked_recordings, tracking
from wesep_mix.inference.tracked_recordings import STATE
from wesep_mix.io.embeddings import read_embeddings
from wesep_mix.io.recording import read_recording

RATE = 44100
SECONDS = 9.5
WINDOWS = 9  # of 2 s, a second apart, and one more at the end
FILES = ["events.jsonl", "talk.rttm", "talkers.ark", "talkers.scp", "timeline.png", "track.json"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    exp = tmp_path_factory.mktemp("exp")
    write_small_experiment(exp)
    return exp


@pytest.fixture
def here(models, tmp_path, spoken, monkeypatch):
    """A folder with a recording of two voices in stereo at 44.1 kHz, and the model to use."""
    talk = spoken(0, SECONDS) + np.roll(spoken(1, SECONDS), 9000)
    at_rate = np.interp(np.arange(round(SECONDS * RATE)) / RATE, np.arange(len(talk)) / 16000, talk)
    soundfile.write(tmp_path / "talk.wav", np.stack([at_rate, at_rate], 1), RATE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WESEP_MIX_MODEL", str(models / "model"))
    return tmp_path


def run(capsys, *argv):
    status = main(["track", *map(str, argv)])
    said = capsys.readouterr()
    return status, said.out, said.err


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_who_speaks_when_is_told_and_written(here, capsys):
    status, told, _ = run(capsys, "talk.wav", "--out", "o")
    assert status == 0
    summary = json.loads(Path("o/track.json").read_text())
    assert (summary["recording"], summary["sample_rate"], summary["channels"]) == ("talk", RATE, 2)
    assert summary["windows"] == WINDOWS and summary["settings"]["hop_s"] == 1.0
    numbers = [talker["number"] for talker in summary["talkers"]]
    assert numbers and sorted(contents(Path("o"))) == sorted([*FILES, *(f"talker-{number}.npy" for number in numbers)])
    vectors = read_embeddings("o/talkers.scp")
    for number in numbers:
        assert np.array_equal(np.load(f"o/talker-{number}.npy"), vectors[f"talk-{number}"])
    turns = [line.split() for line in Path("o/talk.rttm").read_text().splitlines()]
    for talker in summary["talkers"]:
        own = [float(turn[4]) for turn in turns if turn[7] == talker["name"]]
        assert sum(own) == pytest.approx(talker["seconds"], abs=0.01) and sum(own) > 3
    events = [json.loads(line) for line in Path("o/events.jsonl").read_text().splitlines()]
    assert [event["talker"] for event in events if event["kind"] == "confirmed"] == numbers
    assert re.match(r"00:\d\d\.\d talker 1 is new\n", told) and "first heard" in told and "see o/timeline.png" in told
    assert main(["extract", "talk.wav", "--embedding", "o/talker-1.npy", "--out", "speech"]) == 0


def test_json_is_alone_on_stdout_and_without_out_nothing_is_written(here, capsys):
    status, told, said = run(capsys, "talk.wav", "--json")
    assert status == 0 and json.loads(told)["windows"] == WINDOWS and json.loads(told)["real_time_factor"] > 0
    assert "talker 1 is new" in said and [path.name for path in here.iterdir()] == ["talk.wav"]


def test_windows_and_memory_as_chosen(here, capsys):
    given = ["--window_s", "4", "--hop_s", "4", "--set", "max_slots=1", "--set", "tau_new_presence=0.2"]
    status, told, _ = run(capsys, "talk.wav", "--json", *given)
    settings = json.loads(told)["settings"]
    assert status == 0 and json.loads(told)["windows"] == 3 and len(json.loads(told)["talkers"]) == 1
    assert (settings["window_s"], settings["memory.max_slots"], settings["memory.tau_new_presence"]) == (4.0, 1, 0.2)
    assert settings["memory.confirm_hits"] == 2  # derived of the windows that were chosen


def stopping(monkeypatch, at, error):
    """From the window `at` on, counted from 1, the student raises an error; returns the calls that there were."""
    calls, real = [], tracking.heads_of

    def heads_of(*given):
        calls.append(1)
        if len(calls) == at:
            raise error
        return real(*given)

    monkeypatch.setattr(tracking, "heads_of", heads_of)
    return calls


def test_after_a_kill_the_same_command_goes_on_to_the_same_bytes(here, monkeypatch, capsys):
    monkeypatch.setattr(tracked_recordings, "SAVE_EVERY", 2)
    assert run(capsys, "talk.wav", "--out", "o")[0] == 0
    whole = contents(Path("o"))
    for path in Path("o").iterdir():
        path.unlink()
    with monkeypatch.context() as patch:
        stopping(patch, 6, RuntimeError("killed"))
        with pytest.raises(RuntimeError, match="killed"):
            main(["track", "talk.wav", "--out", "o"])
    assert list(contents(Path("o"))) == [STATE]
    with monkeypatch.context() as patch:
        calls = stopping(patch, 4, KeyboardInterrupt())
        status, _, said = run(capsys, "talk.wav", "--out", "o")
    assert status == 130 and said.endswith(f"track: interrupted; the same command goes on from o/{STATE}\n")
    calls = stopping(monkeypatch, 0, None)
    status, told, _ = run(capsys, "talk.wav", "--out", "o")
    assert status == 0 and f"o/{STATE}: goes on at " in told and len(calls) == WINDOWS - 6
    assert contents(Path("o")) == whole


def other_content():
    soundfile.write("talk.wav", np.zeros((round(SECONDS * RATE), 2)), RATE)


def cut_off():
    Path("o", STATE).write_bytes(Path("o", STATE).read_bytes()[:1000])


def no_state():
    np.savez(Path("o", STATE), state=np.frombuffer(b"[]", np.uint8))


def pickled():
    np.savez(Path("o", STATE), state=np.array({}, dtype=object))


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (None, ["--hop_s", "2"], r"is of another hop_s \(1.0, now 2.0\)"),
        (None, ["--set", "max_slots=3"], r"is of another memory.max_slots \(10, now 3\)"),
        (None, ["--channel", "1"], r"is of another channel \(mix, now 1\)"),
        (other_content, [], "is of another content"),
        (cut_off, [], "cannot be read"),
        (no_state, [], "cannot be read"),
        (pickled, [], "cannot be read"),
    ],
)
def test_another_state_is_not_gone_on_with_and_it_says_why(change, options, said, here, monkeypatch, capsys):
    monkeypatch.setattr(tracked_recordings, "SAVE_EVERY", 1)
    with monkeypatch.context() as patch:
        stopping(patch, 5, KeyboardInterrupt())
        assert run(capsys, "talk.wav", "--out", "o")[0] == 130
    if change is not None:
        change()
    status, told, _ = run(capsys, "talk.wav", "--out", "o", *options)
    assert status == 0
    assert re.match(rf"o/{STATE}: begun anew, the state of an earlier run there {said}\n", told), told
    got = contents(Path("o"))
    assert run(capsys, "talk.wav", "--out", "p", *options)[0] == 0
    got.pop("talkers.scp", None)
    assert got == {name: content for name, content in contents(Path("p")).items() if name != "talkers.scp"}


def test_two_runs_in_one_folder_are_refused(here, capsys):
    holder = "import sys; from pathlib import Path; from wesep_mix.base.locks import alone_in\n"
    holder += "with alone_in(Path('o')): print('held', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    env = {"PYTHONPATH": str(ROOT), "PATH": ""}
    with subprocess.Popen([sys.executable, "-c", holder], **pipes, env=env) as other:
        assert other.stdout.readline() == b"held\n"
        status, _, said = run(capsys, "talk.wav", "--out", "o")
        other.stdin.close()
    assert status == 1 and "o: another process is at work there; wait for it, or end it" in said
    assert run(capsys, "talk.wav", "--out", "o")[0] == 0


def test_silence_has_nobody_and_what_was_there_of_others_goes(here, capsys):
    run(capsys, "talk.wav", "--out", "o")
    soundfile.write("talk.wav", np.zeros(5 * 16000), 16000)
    status, told, _ = run(capsys, "talk.wav", "--out", "o")
    assert (status, told) == (0, "talk: 5.0 s, nobody was heard\n")
    assert sorted(contents(Path("o"))) == ["events.jsonl", "talk.rttm", "timeline.png", "track.json"]
    assert Path("o/talk.rttm").read_text() == "" == Path("o/events.jsonl").read_text()


def test_a_recording_shorter_than_a_window_is_one(here, buzz, capsys):
    soundfile.write("short.wav", 3 * buzz(120, 0.9), 16000)
    status, told, _ = run(capsys, "short.wav", "--json", "--out", "o")
    assert status == 0 and json.loads(told)["windows"] == 1 and json.loads(told)["talkers"]
    assert Path("o/short.rttm").read_text().startswith("SPEAKER short 1 0.")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["talk.wav", "--out", "talk.wav"], "talk.wav: wanted a folder to write to, found a file"),
        (["talk.wav", "--out", "talk.wav/o"], "talk.wav: wanted a folder, found a file"),
        (["talk.wav", "--hop_s", "3"], "--window_s, --hop_s: hop_s: wanted at most window_s, 2, found 3"),
        (["talk.wav", "--window_s", "0.2"], "--window_s, --hop_s: window_s: wanted 1 or more, found 0.2"),
        (["talk.wav", "--set", "slots=3"], "--set: slots: unknown key"),
        (["talk.wav", "--set", "tau_new=0.9"], "--set: tau_new: wanted at most tau_match"),
        (["talk.wav", "--set", "3"], "--set 3: wanted key=value"),
        (["talk.wav", "--device", "warp"], "--device warp: torch cannot compute there"),
        (["nan.wav", "--out", "o"], "nan.wav: sample 7 is not finite"),
        (["tiny.wav", "--out", "o"], "tiny.wav: wanted at least 0.5 s of audio, found 0.10 s"),
        (["none.wav", "--out", "o"], "none.wav: no such file"),
        (["."], r"\.: wanted a recording, found a folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(argv, said, here, capsys):
    wrong = np.zeros(16000, dtype=np.float32)
    wrong[7] = np.nan
    soundfile.write("nan.wav", wrong, 16000, subtype="FLOAT")
    soundfile.write("tiny.wav", np.zeros(1600), 16000)
    status, _, error = run(capsys, *argv)
    lines = [line for line in error.splitlines() if line.startswith("error: ")]
    assert status == 1 and len(lines) == 1 and "Traceback" not in error
    assert re.search(said, lines[0]), lines
    assert not (here / "o").exists()


def test_a_folder_that_cannot_be_written_to_is_found_before_the_work(here, monkeypatch, capsys):
    def deny(path, *given, **named):
        raise PermissionError(13, "Permission denied", str(path))

    calls = stopping(monkeypatch, 0, None)
    monkeypatch.setattr(np, "savez", deny)
    status, _, error = run(capsys, "talk.wav", "--out", "o")
    assert status == 1 and "error: track: Permission denied" in error and "make it writable" in error and not calls


def test_in_python(here, models, capsys):
    assert run(capsys, "talk.wav", "--out", "o")[0] == 0
    model = wesep_mix.load(models / "model")
    wav, rate = soundfile.read("talk.wav", dtype="float32")
    track = model.track(wav.T, rate)
    assert track.num_windows == WINDOWS and track.talkers
    for talker in track.talkers:
        assert np.array_equal(np.load(f"o/talker-{talker.number}.npy"), talker.embedding)
    assert model.extract(wav.T, track.talkers[0], rate).shape == (len(wav),)
    tracker = model.tracker()
    for samples in np.array_split(read_recording("talk.wav").samples, 13):
        tracker.push(samples)
    tracker.finish()
    assert all(np.array_equal(tracker.talkers()[talker.number], talker.embedding) for talker in track.talkers)
