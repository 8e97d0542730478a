"""tools/run_local.py speaks the protocol of Kaldi's run.pl."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from places import ROOT

RUN = [sys.executable, str(ROOT / "tools" / "run_local.py")]


def call(folder, *words):
    return subprocess.run([*RUN, *words], cwd=folder, text=True, capture_output=True, timeout=60)


def test_every_job_has_its_number_in_the_command_and_in_its_log(tmp_path):
    script = "echo this is JOB > JOB.txt; echo JOB of JOB"
    done = call(tmp_path, "--mem", "4G", "--num-threads", "1", "JOB=2:4", "log/x.JOB.log", "bash", "-c", script)
    assert done.returncode == 0 and done.stderr == ""
    assert [(tmp_path / f"{n}.txt").read_text() for n in (2, 3, 4)] == [f"this is {n}\n" for n in (2, 3, 4)]
    log = (tmp_path / "log/x.3.log").read_text()
    assert log.startswith("# bash -c 'echo this is 3 > 3.txt; echo 3 of 3'\n# Started at ")
    assert "\n3 of 3\n" in log and re.search(r"# Accounting: time=\d+ threads=1\n# Ended \(code 0\) at ", log)


def test_a_single_job_and_a_line_for_bash(tmp_path):
    assert call(tmp_path, "x.log", "bash", "-c", "echo JOB=1").returncode == 0
    assert "\nJOB=1\n" in (tmp_path / "x.log").read_text()
    assert call(tmp_path, "K=1:2", "K.log", "echo K | tr 12 ab").returncode == 0
    assert "\nb\n" in (tmp_path / "2.log").read_text()


def test_words_with_spaces_and_quotes_stay_as_they_are(tmp_path):
    word = 'it\'s a "name" with $HOME; and | pipes'
    assert call(tmp_path, "x.log", "printf", "%s|", "a b", word).returncode == 0
    assert f"\na b|{word}|" in (tmp_path / "x.log").read_text()


def test_failed_jobs_are_told_with_their_last_lines(tmp_path):
    script = "for k in $(seq 30); do echo line $k of JOB; done; exit $((JOB % 2))"
    done = call(tmp_path, "JOB=1:4", "log/x.JOB.log", "bash", "-c", script)
    assert done.returncode == 1
    told = done.stderr.splitlines()
    assert told[0] == "run_local.py: 2 of 4 jobs failed, see log/x.1.log"
    assert "-- log/x.1.log:" in told and "-- log/x.3.log:" in told and "line 30 of 3" in told
    assert "line 20 of 1" not in told and "line 21 of 1" in told
    assert "# Ended (code 0)" in (tmp_path / "log/x.2.log").read_text()


def test_a_program_that_is_not_there_is_a_failed_job(tmp_path):
    done = call(tmp_path, "x.log", "no-such-program", "a")
    assert done.returncode == 1 and "no-such-program: No such file or directory" in done.stderr
    assert "# Ended (code 1)" in (tmp_path / "x.log").read_text()


def test_a_job_that_was_killed_is_a_failed_one(tmp_path):
    assert call(tmp_path, "x.log", "bash", "-c", "kill -9 $$").returncode == 1
    assert "# Ended (code 137)" in (tmp_path / "x.log").read_text()


def test_where_a_log_cannot_be_written_the_other_jobs_go_on(tmp_path):
    """As when the folder of the logs is removed, or its disk is full, while jobs are at work."""
    (tmp_path / "3.log").mkdir()
    script = "[ JOB != 1 ] || rm JOB.log; [ JOB != 1 ] || mkdir JOB.log; touch done.JOB; exit $((JOB == 2))"
    done = call(tmp_path, "JOB=1:4", "JOB.log", "bash", "-c", script)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    told = done.stderr.splitlines()
    assert "3.log: Is a directory; a job without a log is not started" in told
    assert any(line.startswith("1.log: Is a directory; not written: # Accounting: time=") for line in told)
    assert "run_local.py: 2 of 4 jobs failed, see 2.log" in told and "no log: Is a directory" in told
    assert [path.name for path in sorted(tmp_path.glob("done.*"))] == ["done.1", "done.2", "done.4"]


def test_no_more_jobs_run_at_once_than_asked_for(tmp_path):
    script = "touch run.JOB; ls run.* | wc -l; sleep 0.2; rm run.JOB"
    assert call(tmp_path, "--max-jobs-run", "2", "JOB=1:6", "x.JOB.log", "bash", "-c", script).returncode == 0
    seen = [int((tmp_path / f"x.{n}.log").read_text().splitlines()[3]) for n in range(1, 7)]
    assert max(seen) == 2


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_jobs_with_what_they_started(tmp_path, sign):
    script = "sleep 300 & echo $! > JOB.pid; wait"
    process = subprocess.Popen(
        [*RUN, "JOB=1:2", "x.JOB.log", "bash", "-c", script], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    pids = [tmp_path / f"{n}.pid" for n in (1, 2)]
    deadline = time.monotonic() + 30
    while not all(path.exists() and path.read_text().strip() for path in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(sign)
    assert process.wait(30) == 130 and "interrupted, the jobs were ended" in process.stderr.read()
    for path in pids:
        pid = int(path.read_text())
        while _alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _alive(pid)
    assert "# Ended (code 143)" in (tmp_path / "x.1.log").read_text()


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["JOB=1:2", "x.log", "true"], "x.log: wanted JOB in the log's name, which 2 jobs would share"),
        (["JOB=3:2", "x.JOB.log", "true"], "JOB=3:2: wanted numbers that rise"),
        (["JOB=1:2", "x.JOB.log"], "wanted a log and a command"),
        (["--mem"], "--mem: wanted a value behind it"),
        (["--max-jobs-run", "many", "x.log", "true"], "many"),
    ],
)
def test_a_wrong_call_is_one_sentence(tmp_path, words, said):
    done = call(tmp_path, *words)
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == []
