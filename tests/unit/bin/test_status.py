"""How the folders of stages stand, asked from outside."""

import io
import shutil
import subprocess
import sys

import pytest
import yaml

from wesep_mix.base.files import write_json
from wesep_mix.base.locks import alone_in, is_held
from wesep_mix.base.stage import Part, run_part
from wesep_mix.bin import status, train_teacher

HOLD = "import sys, wesep_mix.base.locks as s, pathlib\nwith s.alone_in(pathlib.Path(sys.argv[1])): print(1); input()"


@pytest.fixture
def call(tmp_path):
    """Words of a call of train_teacher."""
    (tmp_path / "teacher.yaml").write_text(yaml.safe_dump({"seed": 0}))
    return [f"--config={tmp_path}/teacher.yaml", f"--data={tmp_path}/single", f"--out={tmp_path}/exp/teacher"]


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Function: calls -> the lines that are printed."""
    monkeypatch.setenv("WESEP_MIX_JOBS", str(tmp_path / "exp" / "jobs"))

    def ask(*calls):
        words = [word for call in calls for word in (str(len(call)), *call)]
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{word}\0" for word in words)))
        capsys.readouterr()
        assert status.main([]) == 0
        return capsys.readouterr().out.splitlines()

    return ask


def state_of(lines):
    return " ".join(lines[1].split()[2:-1])


def test_a_folder_is_done_running_failed_or_stopped(call, said, tmp_path):
    whole = ["python", "-m", "wesep_mix.bin.train_teacher", *call]
    (part,) = train_teacher.parts(call)
    lines = said(["export", "X=1"], ["python", "-m", "wesep_mix.bin.report", "--exp", "x"], whole)
    assert lines[0].split() == ["stage", "what", "state", "folder"] and lines[1].startswith("2      teacher  not begun")
    assert not part.out.exists()
    part.begin(force=False)
    assert state_of(said(whole)) == "stopped"
    (log := tmp_path / "exp/jobs/teacher.log").parent.mkdir()
    log.touch()
    part.begin(force=False)
    part.note_error("there is no such voice")
    lines = said(whole)
    assert state_of(lines) == "failed"
    assert lines[3:] == ["stage 2 (teacher) failed: there is no such voice", f"log: {log}"]
    part.begin(force=False)
    assert state_of(said(whole)) == "stopped"
    part.end()
    assert state_of(said([*whole, "--set=seed=1"])) == "made of other settings or inputs"
    assert state_of(said(whole)) == "done"


def test_an_error_is_noted_in_the_folder_until_it_is_begun_again(tmp_path):
    part = Part(7, "scores", tmp_path / "scores", {})

    def fail():
        raise ZeroDivisionError("by nought")

    with pytest.raises(ZeroDivisionError):
        run_part(part, False, fail)
    assert part.standing() == "failed: ZeroDivisionError: by nought"
    run_part(part, False, lambda: None)
    assert part.standing() == "done"


def test_an_error_makes_no_folder_where_there_is_none(tmp_path):
    part = Part(7, "scores", tmp_path / "scores", {})

    def fail():
        shutil.rmtree(part.out)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        run_part(part, False, fail)
    assert part.standing() == "not begun" and not part.out.exists()


def test_a_lock_is_seen_without_being_taken(call, said, tmp_path):
    whole, folder = ["python", "-m", "wesep_mix.bin.train_teacher", *call], tmp_path / "exp" / "teacher"
    assert not is_held(folder)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    holder.stdout.readline()
    assert is_held(folder) and state_of(said(whole)) == "running"
    holder.communicate("\n")
    assert not is_held(folder)
    with alone_in(folder):
        pass


def test_jobs_that_are_waited_for_are_shown_with_their_logs(call, said, tmp_path):
    jobs = tmp_path / "exp" / "jobs"
    for name, number, statuses in (("q/teacher", 41, ()), ("scores-1/q/share.SHARE_NUMBER", 42, ("0", "1", "0"))):
        (jobs / name).mkdir(parents=True)
        (jobs / name / "array").write_text(f"{number}\n")
        for place, code in enumerate(statuses):
            (jobs / name / f"status.{place}").write_text(f"{code}\n")
    whole = ["python", "-m", "wesep_mix.bin.train_teacher", *call]
    lines = said(whole)
    assert state_of(lines) == "submitted"
    assert lines[-2:] == [
        f"job 41: 0 ended; log: {jobs}/teacher.log",
        f"job 42: 3 ended, 1 failed; log: {jobs}/scores-1/share.*.log",
    ]
    (jobs / "q/teacher/array").unlink()
    for ending in ("# Ended (code 137) at Sun", "# Finished at Sun Nov 29 09:39:58 UTC 2026 with status 137"):
        (jobs / "teacher.log").write_text(f"# python\nno memory\n# Accounting: time=9 threads=1\n{ending}\n")
        assert "stage 2 (teacher) failed: its job ended with status 137" in said(whole)
    (jobs / "teacher.log").write_text("# python\n# Ended (code 0) at Sun\n")
    assert state_of(said(whole)) == "not begun"


def test_a_file_that_is_gone_is_seen(tmp_path):
    part = Part(7, "scores", tmp_path / "scores", {})
    run_part(part, False, lambda: write_json(part.out / "scores.json", [1]))
    assert part.standing() == "done"
    (part.out / "scores.json").unlink()
    assert part.standing() == "damaged"
