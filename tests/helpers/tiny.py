"""The recipe at a size at which every stage takes seconds: run.sh as a user calls it, in a temporary folder."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from places import ROOT

SETTINGS = {
    "corpus.corpus": "{name: mini, num_voices: {train: 4, dev: 3, test: 4}, "
    "utterances_per_voice: {train: 2, dev: 2, test: 2}, min_s: 3.0, max_s: 4.0, "
    "noise: {files_per_kind: 1, seconds: 8}}",
    "corpus.mixing.segment_s": "2.0",
    "corpus.mixtures": "{train: 4, dev: 3, test: 4}",
    "corpus.single": "{train: 4, dev: 6, test: 8}",
    "teacher.model": "{name: asp, frontend: {name: logmel, num_mels: 20, channels: 16, num_layers: 1}, "
    "projection: 8, embedding_dim: 8, bottleneck: 8}",
    "student.model": "{name: parallel_heads, projection: 8, bottleneck: 8}",
    "extractor.model": "{name: stft_tcn, channels: 8, hidden: 8, num_blocks: 2, num_stacks: 1}",
    "trainer.max_steps": "4",
    "trainer.steps_per_epoch": "2",
    **{f"{network}.trainer.num_workers": "0" for network in ("teacher", "student", "extractor")},
    "teacher.batch_size": "4",
    "student.batch_size": "2",
    "extractor.batch_size": "2",
    "chunk_s": "1.0",
}


def command_of(folder, *options, settings=None, corpus="mini", base=SETTINGS):
    """run.sh's call on the tiny settings and `settings`; data and exp lie in `folder`."""
    command = ["bash", str(ROOT / "run.sh"), "--corpus", corpus, "--nj", "1"]
    command += ["--data_dir", str(Path(folder) / "data"), "--exp_dir", str(Path(folder) / "exp"), *map(str, options)]
    for key, value in (base | (settings or {})).items():
        command += ["--set", f"{key}={value}"]
    return command


def run_sh(folder, *options, settings=None, corpus="mini", base=SETTINGS, **variables):
    """Run that call with the active Python."""
    command = command_of(folder, *options, settings=settings, corpus=corpus, base=base)
    return subprocess.run(command, env=environment(**variables), text=True, capture_output=True, timeout=900)


def commands(folder, *options, settings=None):
    """The entry points that run.sh would call, each with its options; the first checks the configs."""
    printed = run_sh(folder, *options, "--dry_run", "true", settings=settings)
    assert printed.returncode == 0, printed.stderr
    lines = [shlex.split(line, comments=True) for line in printed.stdout.splitlines()]
    return [(line[2], line[3:]) for line in lines if line[:2] == ["python", "-m"]]


def environment(**variables):
    """This process's Python as the active environment: nothing is installed by a test."""
    return {**bare_environment(), "VIRTUAL_ENV": sys.prefix, "OMP_NUM_THREADS": "1", **variables}


def bare_environment(**variables):
    """This process's variables without an active Python environment and without the recipe's."""
    active = ("VIRTUAL_ENV", "CONDA_PREFIX", "WESEP_MIX_VENV")
    return {key: value for key, value in os.environ.items() if key not in active} | variables


def the_error(done):
    """The line in which the failed stage says what is wrong."""
    assert done.returncode != 0, done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


def stand_in_python(environment, script):
    """Make the folder `environment` look like a Python environment whose `python` is the script; returns the folder."""
    python = environment / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(script)
    python.chmod(0o755)
    return environment
