import os
import signal
import subprocess
import sys
import time

import pytest

from wesep_mix.base.processes import run_together


def python(code):
    return [sys.executable, "-c", code]


def test_all_run_at_once_and_success_is_zero(tmp_path):
    wait_for_other = (
        "import pathlib, time\npathlib.Path({!r}).touch()\nwhile not pathlib.Path({!r}).exists(): time.sleep(.01)"
    )
    one, other = str(tmp_path / "one"), str(tmp_path / "other")
    assert run_together([python(wait_for_other.format(one, other)), python(wait_for_other.format(other, one))]) == 0


def test_the_status_of_the_one_that_failed_is_returned_and_the_other_ended(tmp_path):
    survivor = tmp_path / "survivor"
    slow = f"import time, pathlib; time.sleep(60); pathlib.Path({str(survivor)!r}).touch()"
    assert run_together([python(slow), python("raise SystemExit(7)")]) == 7
    assert not survivor.exists()


def test_a_killed_child_has_a_shells_status_and_the_command_that_failed_is_named(capfd):
    killed = python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run_together([[*killed, "--out", "exp/a student"], python("import time; time.sleep(60)")]) == 137
    said = capfd.readouterr().err.strip()
    assert said.startswith(f"status 137: {sys.executable} -c ") and said.endswith("--out 'exp/a student'")


def test_only_so_many_run_at_a_time_and_a_failure_starts_no_more(tmp_path):
    alone = (
        "import os, pathlib\nflag = pathlib.Path({!r})\nflag.touch(exist_ok=False)\n"
        "flag.with_name({!r}).write_text(os.environ['GIVEN'])\nflag.unlink()"
    )
    commands = [python(alone.format(str(tmp_path / "flag"), name)) for name in "abc"]
    assert run_together(commands, at_once=1, variables={"GIVEN": "here"}) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys("abc", "here")
    later = python(alone.format(str(tmp_path / "flag"), "d"))
    assert run_together([python("raise SystemExit(3)"), later], at_once=1) == 3
    assert not (tmp_path / "d").exists()
    assert run_together([]) == 0


@pytest.mark.timeout(60)
def test_children_die_with_their_parent(tmp_path):
    note = tmp_path / "pid"
    child = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(60)"
    code = f"from wesep_mix.base.processes import run_together; run_together([{python(child)!r}])"
    parent = subprocess.Popen(python(code), env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    while not (note.exists() and note.read_text()):
        time.sleep(0.02)
    pid = int(note.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while alive(pid):
        time.sleep(0.02)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


TOGETHER = """
import sys
from wesep_mix.base.stage import guarded
from wesep_mix.base.processes import run_together

child = '''
import time
from wesep_mix.base.stage import guarded
guarded(lambda: print("up", flush=True) or time.sleep(60), "child")
'''
sys.exit(guarded(lambda: run_together([[sys.executable, "-c", child]]), "stage 5"))
"""


def test_sigterm_reaches_the_children_and_each_says_its_word():
    process = subprocess.Popen(python(TOGETHER), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143 and "child: ended by SIGTERM; the same command goes on" in errors
