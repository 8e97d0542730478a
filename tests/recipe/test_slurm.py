"""tools/slurm.py and stages on a real Slurm of one node, this machine; skipped where it cannot be installed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from contents import contents, differences
from places import ROOT
from tiny import command_of, environment, run_sh

SLURM = [sys.executable, str(ROOT / "tools" / "slurm.py")]
LONGER = {"student.trainer.max_steps": "200", "student.trainer.steps_per_epoch": "50"}
START, STOP = (str(ROOT / "tests" / "slurm" / name) for name in ("start.sh", "stop.sh"))


@pytest.fixture(scope="module")
def cluster():
    """The variables with which commands find the cluster."""
    folder = Path(tempfile.mkdtemp(prefix="wesep_mix.slurm."))  # munged, as its own user, sees no folder of pytest's
    done = subprocess.run(["bash", START, str(folder)], capture_output=True, text=True, timeout=300)
    if done.returncode == 3:
        pytest.skip("no Slurm here: it wants root, and apt-get or slurm-wlm and munge installed")
    if done.returncode:
        pytest.skip(f"Slurm does not start here: {done.stderr[-300:]}")
    yield {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "WESEP_MIX_PATIENCE_S": "10"}
    subprocess.run(["bash", STOP, str(folder)], timeout=60, check=False)
    shutil.rmtree(folder)


def call(folder, variables, *words):
    return subprocess.run([*SLURM, *words], cwd=folder, env=variables, text=True, capture_output=True, timeout=120)


def begun(folder, variables, script):
    """Two jobs of a script of bash, whose wrapper is waiting."""
    command = [*SLURM, "JOB=1:2", "x.JOB.log", "bash", "-c", script]
    return subprocess.Popen(command, cwd=folder, env=variables, text=True, stderr=subprocess.PIPE)


def test_an_array_runs_and_its_failed_jobs_are_told(cluster, tmp_path):
    script = "echo job JOB in $PWD with $CUE; exit $((JOB == 3))"
    options = ["--mem", "50M", "--num-threads", "1", "--max-jobs-run", "2", "--time", "5:00"]
    done = call(tmp_path, cluster | {"CUE": "a value"}, *options, "JOB=1:4", "log/x.JOB.log", "bash", "-c", script)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "slurm.py: 1 of 4 jobs failed, see log/x.3.log"
    assert f"job 3 in {tmp_path} with a value" in done.stderr
    for number in (1, 2, 3, 4):
        log = (tmp_path / f"log/x.{number}.log").read_text()
        assert f"job {number} in {tmp_path} with a value\n" in log and f"# Ended (code {int(number == 3)})" in log


def test_a_job_computes_with_the_threads_that_it_asks_for(cluster, tmp_path):
    for options, variables, threads in (
        ([], {}, 1),
        (["--num-threads", "2"], {}, 2),
        (["--num-threads", "2"], {"OMP_NUM_THREADS": "3"}, 3),
    ):
        environment = {name: value for name, value in cluster.items() if name != "OMP_NUM_THREADS"} | variables
        done = call(tmp_path, environment, *options, "x.log", "bash", "-c", "echo threads: $OMP_NUM_THREADS")
        assert done.returncode == 0 and f"\nthreads: {threads}\n" in _text(tmp_path / "x.log")


def test_words_with_spaces_and_quotes_stay_as_they_are(cluster, tmp_path):
    word = 'it\'s a "name" with $HOME; and | pipes'
    assert call(tmp_path, cluster, "x.log", "printf", "%s|", "a b", word).returncode == 0
    assert f"\na b|{word}|" in (tmp_path / "x.log").read_text()


def test_a_job_that_is_cancelled_elsewhere_has_failed(cluster, tmp_path):
    process = begun(tmp_path, cluster, "echo JOB; [ JOB = 1 ] || sleep 300")
    _until(lambda: "\n2\n" in _text(tmp_path / "x.2.log"))
    array = (tmp_path / "q/x.JOB/array").read_text().strip()
    subprocess.run(["scancel", f"{array}_2"], env=cluster, check=True)
    assert process.wait(90) == 1
    said = process.stderr.read()
    assert "slurm.py: 1 of 2 jobs failed, see x.2.log" in said and "ended without a status: cancelled, out of" in said


def test_a_job_that_slurm_runs_again_is_waited_for(cluster, tmp_path):
    """It fails while it is requeued; its second run counts, and goes on in the same log."""
    script = 'echo run $SLURM_RESTART_COUNT.; [ -n "$SLURM_RESTART_COUNT" ] || sleep 300'
    command = [*SLURM, "x.log", "bash", "-c", script]
    process = subprocess.Popen(command, cwd=tmp_path, env=cluster, text=True, stderr=subprocess.PIPE)
    _until(lambda: "\nrun .\n" in _text(tmp_path / "x.log"))
    array = (tmp_path / "q/x/array").read_text().strip()
    subprocess.run(["scontrol", "requeue", f"{array}_1"], env=cluster, check=True)
    queue = ["squeue", "--noheader", "--array", "--jobs", array, "--format", "%T"]
    _until(lambda: subprocess.check_output(queue, env=cluster, text=True).strip() == "PENDING")
    time.sleep(3)  # what ends the first run has come to the node, and cannot end the second
    now = ["scontrol", "update", f"jobid={array}_1", "StartTime=now"]  # else Slurm lets it wait for two minutes
    _until(lambda: subprocess.run(now, env=cluster, capture_output=True) and process.poll() is not None)
    log = _text(tmp_path / "x.log")
    assert process.poll() == 0, process.stderr.read() + log
    assert "\nrun .\n" in log and "\nrun 1.\n" in log and log.rstrip().splitlines()[-1].startswith("# Ended (code 0)")


def test_a_signal_before_the_end_of_the_time_reaches_the_job(cluster, tmp_path):
    script = "trap 'echo warned; exit 3' USR1; echo begun; while :; do sleep 0.1; done"
    command = [*SLURM, "x.log", "bash", "-c", script]
    process = subprocess.Popen(command, cwd=tmp_path, env=cluster, text=True, stderr=subprocess.PIPE)
    _until(lambda: "\nbegun\n" in _text(tmp_path / "x.log"))
    array = (tmp_path / "q/x/array").read_text().strip()
    subprocess.run(["scancel", "--signal=USR1", "--batch", array], env=cluster, check=True)
    assert process.wait(90) == 1
    assert "\nwarned\n" in _text(tmp_path / "x.log") and "# Ended (code 3)" in _text(tmp_path / "x.log")


def test_an_interrupt_cancels_the_array(cluster, tmp_path):
    process = begun(tmp_path, cluster, "echo JOB; sleep 300")
    _until(lambda: "\n1\n" in _text(tmp_path / "x.1.log"))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130 and "was cancelled" in process.stderr.read()
    _until(lambda: not subprocess.check_output(["squeue", "-h"], env=cluster, text=True).strip())


def test_an_array_whose_wrapper_was_killed_is_not_submitted_again(cluster, tmp_path):
    first = begun(tmp_path, cluster, "echo JOB >> done; sleep 6")
    _until(lambda: "1\n" in _text(tmp_path / "done"))
    first.kill()
    array = (tmp_path / "q/x.JOB/array").read_text().strip()
    done = call(tmp_path, cluster, "JOB=1:2", "x.JOB.log", "bash", "-c", "echo JOB >> done; sleep 6")
    assert done.returncode == 0 and f"the array {array} is in the queue already; waiting for it" in done.stdout
    assert sorted((tmp_path / "done").read_text().split()) == ["1", "2"]
    assert not (tmp_path / "q/x.JOB/array").exists()


def test_an_array_that_cannot_be_cancelled_is_told(tmp_path):
    """With stand-ins: the controller does not answer scancel."""
    for name, script in (("sbatch", "echo 77"), ("squeue", "echo 1"), ("scancel", "echo no answer >&2; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [*SLURM, "x.log", "true"], cwd=tmp_path, env=variables, text=True, stderr=subprocess.PIPE
    )
    _until(lambda: (tmp_path / "q/x/array").is_file())
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert "the array 77 lives on: scancel said no answer; call it again" in process.stderr.read()
    assert (tmp_path / "q/x/array").is_file()


def test_what_sbatch_refuses_is_told(cluster, tmp_path):
    done = call(tmp_path, cluster, "--time", "not a time", "x.log", "true")
    assert done.returncode == 2 and done.stderr.startswith("slurm.py: sbatch refused: ")


@pytest.fixture
def undisturbed(tmp_path):
    """What stages 1 to 7 make without a cluster, in the folder where a run on it will make the same."""
    done = run_sh(tmp_path / "run", "--stop_stage", 7, settings=LONGER)
    assert done.returncode == 0, done.stderr
    wanted = contents(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "undisturbed")
    return wanted


def test_stages_1_to_7_on_a_cluster_make_the_same_even_after_a_training_was_cancelled(cluster, undisturbed, tmp_path):
    folder, variables = tmp_path / "run", {name: cluster[name] for name in ("SLURM_CONF", "WESEP_MIX_PATIENCE_S")}
    wrapped = ["--nj", 2, "--cmd", f"{' '.join(SLURM)} --mem 1G"]
    done = run_sh(folder, *wrapped, "--stop_stage", 2, settings=LONGER, **variables)
    assert done.returncode == 0, done.stderr
    command = command_of(folder, *wrapped, "--stage", 3, "--stop_stage", 7, settings=LONGER)
    process = subprocess.Popen(
        command, env=environment(**variables), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    jobs, student = folder / "exp/mini/jobs/2mix", folder / "exp/mini/2mix/student"
    _until(lambda: any((student / "logs/csv").glob("*.csv")) or process.poll() is not None)
    array = (jobs / "q/student/array").read_text().strip()
    asked = run_sh(folder, "--status", "true", settings=LONGER, **variables)
    assert re.search(r"^3 +student +running ", asked.stdout, re.MULTILINE), asked.stdout + asked.stderr
    assert f"\njob {array}: 0 ended; log: {jobs}/student.log\n" in asked.stdout
    subprocess.run(["scancel", array], env=cluster, check=True)
    said, told = process.communicate(timeout=120)
    assert process.returncode == 1 and "== stage 4" not in said
    assert f"slurm.py: 1 of 1 jobs failed, see {jobs}/student.log" in told and "SIGTERM came" in told, told
    assert f"its job ended with status 1, see {jobs}/student.log" in told
    assert re.search(r"student/checkpoints(/stopped\.ckpt)?: step \d+, ", told), told  # also at an epoch's end
    done = run_sh(folder, *wrapped, "--stage", 3, "--stop_stage", 7, settings=LONGER, **variables)
    assert done.returncode == 0, done.stderr
    assert "going on from" in (jobs / "student.log").read_text()
    assert not list(differences(undisturbed, contents(folder)))


@pytest.mark.parametrize(
    ("config", "words", "said"),
    [
        (
            "nonsense here\n",
            [],
            "slurm.conf:1: wanted command, option NAME=VALUE or default NAME=VALUE, found nonsense",
        ),
        ("command sbatch\n", ["--mem", "4G"], "--mem 4G: no rule for it in the config"),
        (None, [], "slurm.conf: no such file; name the config with --config"),
    ],
)
def test_a_config_that_does_not_fit_is_one_sentence(tmp_path, config, words, said):
    if config is not None:
        (tmp_path / "slurm.conf").write_text(config + "option name=* --job-name $0\n")
    done = call(tmp_path, dict(os.environ), "--config", "slurm.conf", *words, "x.log", "true")
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1


def test_options_become_what_the_config_says(tmp_path):
    """With a stand-in for sbatch that writes down what it is told."""
    seen = tmp_path / "sbatch"
    seen.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > {tmp_path}/told\nexit 1\n')
    seen.chmod(0o755)
    (tmp_path / "c").write_text(
        f"command {seen} --export=ALL\noption mem=* --mem-per-cpu $0  # a note\noption mem=0\n"
        "option num_threads=* -c $0\ndefault gpu=0\noption gpu=0 -p cpu\noption gpu=* -p gpu --gres=gpu:$0\n"
        "option name=* -J $0\n"
    )
    for options, told in (
        (["--mem", "4G", "--num-threads", "3"], ["-p", "cpu", "--mem-per-cpu", "4G", "-c", "3", "-J", "x_JOB"]),
        (["--mem", "0", "--gpu", "2", "--max-jobs-run", "5"], ["-p", "gpu", "--gres=gpu:2", "-J", "x_JOB"]),
    ):
        call(tmp_path, dict(os.environ), "--config", "c", *options, "JOB=1:9", "x.JOB.log", "true")
        words = (tmp_path / "told").read_text().splitlines()
        assert words[: len(told) + 3] == ["--export=ALL", "--signal", "B:USR1@120", *told]
        assert f"--array=1-9{'%5' if '5' in options else ''}" in words


def _text(path):
    return path.read_text() if path.exists() else ""


def _until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
