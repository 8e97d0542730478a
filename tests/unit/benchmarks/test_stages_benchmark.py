import subprocess
import sys

from places import ROOT

ORPHAN = """
import os, sys, time
if os.fork() == 0 and os.fork() == 0:
    time.sleep(0.2)  # the parents are gone
    while time.process_time() < 0.3:
        pass
    open(sys.argv[1], "w").write(str(time.process_time()))
"""
MEASURE = "import sys; from benchmarks import stages; print(*stages.timed(sys.argv[1:]))"


def measured(*command):
    return subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, command)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_processes_that_outlive_their_parents_are_waited_for_and_counted(tmp_path):
    said = measured(sys.executable, "-c", ORPHAN, tmp_path / "used")
    cpu = float(said.split("cpu=")[1].rstrip(")\n"))
    assert said.startswith("0 ") and cpu >= float((tmp_path / "used").read_text())


def test_a_failed_command_gives_its_status():
    assert measured(sys.executable, "-c", "raise SystemExit(3)").startswith("3 ")
