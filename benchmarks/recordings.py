"""Recordings of one's own: time and memory of the commands by length and talkers, and of streaming.

    python benchmarks/recordings.py --model DIR --data data/mini/2mix
    python benchmarks/recordings.py --model DIR --data data/mini/2mix --peer_python /path/to/env/bin/python

The recordings are conversations of so many talkers of the test set (evaluation.conversations), repeated to the
length. Each command runs in a process of its own, its start included; wall and CPU time and the greatest resident
memory are the system's for that process. --peer_python: a Python with Asteroid, whose Conv-TasNet (default sizes,
random weights) separates the files of up to --peer_seconds in chunks of 10 s (separation_peer.py).

Streaming: a causal stft_tcn of the model's sizes with random weights is pushed 20 ms at a time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.installed import revision
from wesep_mix.base.stage import guarded
from wesep_mix.evaluation.conversations import draw_conversations, rendered
from wesep_mix.io.audio import SAMPLE_RATE, write_audio
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.report.tables import Table

PEER = Path(__file__).with_name("separation_peer.py")
HEADER = ("seconds", "talkers", "command", "wall s", "CPU s", "wall / length", "peak GB")


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", required=True, help="a model's folder")
    options.add_argument("--data", type=Path, required=True, help="data/CORPUS/Nmix, whose test speakers talk")
    options.add_argument("--seconds", type=int, nargs="+", default=[10, 60, 600, 3600], help="lengths [10 60 600 3600]")
    options.add_argument("--talkers", type=int, nargs="+", default=[1, 2, 3], help="numbers of talkers [1 2 3]")
    options.add_argument("--peer_python", help="a Python with Asteroid")
    options.add_argument("--peer_seconds", type=int, default=60, help="longest file that it separates [60]")
    args = options.parse_args(argv)
    return guarded(lambda: _run(args), "benchmark")


def _run(args: argparse.Namespace) -> None:
    print(
        f"revision {revision()}, {os.cpu_count()} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )
    pool, rows = load_pool(args.data / "test"), []
    with tempfile.TemporaryDirectory(prefix="wesep_mix.") as folder:
        for num_spk in args.talkers:
            mix = rendered(draw_conversations(pool, num_spk, (4,), 1, True, seed=3)[0])[0]
            for seconds in args.seconds:
                wav = Path(folder, "talk.wav")
                write_audio(wav, np.resize(mix, seconds * SAMPLE_RATE))
                for name, command in _commands(args, wav, seconds, num_spk):
                    wall, cpu, peak = measured(command)
                    rows.append(
                        (
                            str(seconds),
                            str(num_spk),
                            name,
                            f"{wall:.1f}",
                            f"{cpu:.1f}",
                            f"{wall / seconds:.3f}",
                            f"{peak:.2f}",
                        )
                    )
                    print(*rows[-1], flush=True)
    print(Table(HEADER, rows).markdown())
    print(_streaming(args.model))


def _commands(args: argparse.Namespace, wav: Path, seconds: int, num_spk: int) -> list[tuple[str, list[str]]]:
    ours = [sys.executable, "-m", "wesep_mix"]
    rest = ["--model", args.model, "--out", str(wav.parent / "out")]
    found = [
        ("candidates", [*ours, "candidates", str(wav), *rest]),
        ("extract --pick 1", [*ours, "extract", str(wav), "--pick", "1", *rest]),
        ("extract --all", [*ours, "extract", str(wav), "--all", *rest]),
        ("track", [*ours, "track", str(wav), *rest]),
    ]
    if args.peer_python and num_spk > 1 and seconds <= args.peer_seconds:
        found.append(
            ("Asteroid's Conv-TasNet", [args.peer_python, str(PEER), str(wav), str(num_spk), str(wav.parent / "out")])
        )
    return found


def measured(command: Sequence[str]) -> tuple[float, float, float]:
    """Run a command in a process of its own.

    Args:
        command: program and arguments.

    Returns:
        Seconds of wall time, seconds of CPU time, and GB of greatest resident memory.

    Raises:
        CalledProcessError: it failed.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    told = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    if code := os.waitstatus_to_exitcode(status):
        raise subprocess.CalledProcessError(code, command, stderr=told)
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def _streaming(model: str) -> str:
    import dataclasses

    import torch

    from wesep_mix.inference.streaming import Stream
    from wesep_mix.models.extractors import stft_tcn
    from wesep_mix.models.folder import read_folder

    config = dataclasses.replace(read_folder(Path(model)).extractor.config, causal=True)
    torch.manual_seed(0)
    stream = Stream(stft_tcn.Model(config).eval(), torch.nn.functional.normalize(torch.randn(1, config.embedding_dim)))
    wav, step, times, given, late = 0.1 * torch.randn(20 * SAMPLE_RATE), SAMPLE_RATE // 50, [], 0, 0
    for first in range(0, len(wav), step):
        begin = time.perf_counter()
        given += len(stream.push(wav[first : first + step]))
        times.append(time.perf_counter() - begin)
        late = max(late, first + step - given)
    median, worst = np.median(times[50:]) * 1e3, np.percentile(times[50:], 99) * 1e3
    return (
        f"streaming, 20 ms a push: latency {stream.latency_ms:.0f} ms stated, {late / 16:.1f} ms seen; "
        f"computing a push takes {median:.2f} ms (median), {worst:.2f} ms (99th percentile)"
    )


if __name__ == "__main__":
    sys.exit(main())
