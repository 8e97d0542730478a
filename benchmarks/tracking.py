"""An hour of conversation followed by a memory: time of each part, and memory, as it goes on.

    python benchmarks/tracking.py --sessions data/mini/sessions/session/test --model DIR

Test sessions one after another, rendered in ranges of 30 s and pushed to a tracker (inference.tracking), each with
other talkers than the one before; where all slots are taken, nobody new is known. Told every ten minutes: the greatest
resident memory of the process until then; since the last line seconds of rendering, of all else, and of the memory's
`observe` in it; microseconds an observation; and bytes that the memory holds.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import revision
from wesep_mix.base.stage import guarded
from wesep_mix.inference.tracking import Account, Tracker
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.session import SESSIONS, blocks, read_sessions, render_range
from wesep_mix.models.folder import read_folder
from wesep_mix.models.shipped import find_model
from wesep_mix.report.tables import Table

EVERY_S = 600
HEADER = (
    "minutes",
    "peak MB",
    "rendering s",
    "all but rendering s",
    "observe s",
    "us / observation",
    "memory kB",
    "talkers",
    "real-time factor",
)


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sessions", type=Path, required=True, help="a set of sessions")
    options.add_argument("--model", help="a model's folder or name [the one that came with the package]")
    options.add_argument("--minutes", type=int, default=60, help="how long [60]")
    args = options.parse_args(argv)
    return guarded(lambda: _run(args), "benchmark")


def _run(args: argparse.Namespace) -> None:
    print(
        f"revision {revision()}, {os.cpu_count()} cores, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"
    )
    bundle = read_folder(find_model(args.model))
    tracker, account = Tracker(bundle.student, bundle.use), Account()
    clock = _Clock(tracker)
    rows = []
    for samples in _samples(args, clock):
        begin = time.perf_counter()
        for heard in tracker.push(samples):
            account.add(heard)
        clock.pushing += time.perf_counter() - begin
        if tracker.num_samples >= (len(rows) + 1) * EVERY_S * SAMPLE_RATE:
            rows.append(clock.row())
            print(*rows[-1], flush=True)
    print(Table(HEADER, rows).markdown())


class _Clock:
    """Seconds of each part, by wrapping the memory's `observe`."""

    def __init__(self, tracker: Tracker):
        self.tracker, self.observe = tracker, tracker.memory.observe
        tracker.memory.observe = self._observe
        self.rendering = self.pushing = self.observing = 0.0
        self.count, self.told_s = 0, 0.0

    def _observe(self, *window):
        begin = time.perf_counter()
        answer = self.observe(*window)
        self.observing, self.count = self.observing + time.perf_counter() - begin, self.count + 1
        return answer

    def row(self) -> tuple[str, ...]:
        """A line of the table; seconds begin anew."""
        seconds = self.tracker.num_samples / SAMPLE_RATE
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        memory = self.tracker.memory
        found = (
            f"{seconds / 60:.0f}",
            f"{peak:.0f}",
            f"{self.rendering:.1f}",
            f"{self.pushing:.1f}",
            f"{self.observing:.2f}",
            f"{1e6 * self.observing / max(1, self.count):.0f}",
            f"{memory.nbytes / 1e3:.0f}",
            str(memory.num_talkers),
            f"{self.pushing / (seconds - self.told_s):.4f}",
        )
        self.rendering = self.pushing = self.observing = 0.0
        self.count, self.told_s = 0, seconds
        return found


def _samples(args: argparse.Namespace, clock: _Clock) -> Iterator[np.ndarray]:
    sessions, left = read_sessions(args.sessions / SESSIONS), args.minutes * 60 * SAMPLE_RATE
    if not sessions:
        raise UserError(f"{args.sessions}: wanted sessions, found none")
    while True:
        for session in sessions:
            for first, end in blocks(0, session.num_samples):
                begin = time.perf_counter()
                samples = render_range(session, first, end).mix[:left]
                clock.rendering += time.perf_counter() - begin
                left -= len(samples)
                yield samples
                if left <= 0:
                    return


if __name__ == "__main__":
    sys.exit(main())
