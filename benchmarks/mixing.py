"""How fast mixtures are rendered, from FLAC and from decoded audio, and by LibriMix's script on the same utterances.

    python benchmarks/mixing.py --librispeech DIR [--librimix DIR]

--librispeech: speech in LibriSpeech layout; noise is generated. --librimix: a checkout of github.com/JorisCos/LibriMix;
its script makes mixtures of the same pairs of utterances and the same noise (16 kHz, min), in the same run.

Printed is a Markdown table. CPU times are of processes, with system time; of several rounds the median. LibriMix's is
what 1 more mixture takes, without the start of Python.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import guarded
from wesep_mix.corpora import librispeech
from wesep_mix.corpora.sources.noise import NoiseConfig
from wesep_mix.corpora.sources.splits import Split
from wesep_mix.io.audio import SAMPLE_RATE, read_audio
from wesep_mix.io.roots import DECODED
from wesep_mix.mixing.draw import Pool, draw_plan
from wesep_mix.mixing.plan import Plan
from wesep_mix.mixing.render import render
from wesep_mix.preparation.activity import best_crops
from wesep_mix.preparation.decoding import decode_corpus
from wesep_mix.preparation.listing import prepare_lists
from wesep_mix.preparation.lists import read_noises, read_speech
from wesep_mix.preparation.settings import CorpusConfig, MixingConfig
from wesep_mix.report.tables import Table

SCRIPT = Path("scripts", "create_librimix_from_metadata.py")
TYPES = {"mix_both": ["mix_both"], "its default, 3 mixtures each": ["mix_clean", "mix_both", "mix_single"]}
BATCH_SIZE = 8
HEADER = (
    "way",
    "CPU ms a mixture",
    "of it decoding",
    "mixtures/s and core",
    "LibriMix = 1",
    "audio s a mixture",
    "CPU ms a second of audio",
    "disk MB a mixture",
)


@dataclass(frozen=True)
class Cost:
    """What a mixture takes: CPU seconds (those of decoding among them), seconds of audio, bytes on disk."""

    cpu_s: float
    decoding_s: float
    audio_s: float
    disk: float = 0.0


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--librispeech", type=Path, required=True, help="folder of speech")
    options.add_argument("--librimix", type=Path, help="checkout of LibriMix; without it, no comparison")
    options.add_argument("--num", type=int, default=200, help="mixtures a round")
    options.add_argument("--num_spk", type=int, default=2, help="talkers in a mixture")
    options.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is taken")
    args = options.parse_args(argv)
    return guarded(lambda: _measure(args), "mixing")


def _measure(args: argparse.Namespace) -> None:
    if args.librimix and not (args.librimix / SCRIPT).is_file():
        raise UserError(f"{args.librimix}: wanted a checkout of LibriMix with {SCRIPT}, found no such file")
    with tempfile.TemporaryDirectory(prefix="mixing-") as folder:
        pool, decoded = _prepare(args, Path(folder))
        plans, same = [
            [draw_plan(one, args.num_spk, np.random.default_rng(number)) for number in range(args.num)]
            for one in (pool, decoded)
        ]
        ways: dict[str, Callable[[], Cost]] = {
            "rendered from FLAC": lambda: _rendering(plans),
            "rendered from decoded audio": lambda: _rendering(same),
        }
        if args.librimix:
            ways |= {
                f"LibriMix, {name}": lambda types=types: _librimix(args, plans, types, Path(folder))
                for name, types in TYPES.items()
            }
        costs = {name: [] for name in ways}
        for _ in range(args.rounds):  # in turn, so that a busy machine is busy for all
            for name, way in ways.items():
                costs[name].append(way())
        print(_head(args))
        print(_cost_table({name: _median(found) for name, found in costs.items()}).markdown())
        print(_listing_text(pool))
        print(_loader_text(args, {"FLAC": pool, "decoded audio": decoded}))


def _prepare(args: argparse.Namespace, folder: Path) -> tuple[Pool, Pool]:
    """Stage 1 in `folder`, nearly all speakers for training; what can be mixed, from FLAC and from decoded audio."""
    corpus = librispeech.Config(
        speech_dir=str(args.librispeech), split=Split(dev=0.02, test=0.02), noise=NoiseConfig(files_per_kind=4)
    )
    settings = CorpusConfig(corpus=corpus, mixing=MixingConfig())
    prepare_lists(settings, folder / "corpus", nj=1)
    train = folder / "corpus" / "lists" / "train"
    pool = Pool.of(read_speech(train), read_noises(train), settings.mixing)
    decode_corpus(train.parent, folder / "corpus" / DECODED, nj=1)
    return pool, Pool.of(read_speech(train), read_noises(train), settings.mixing)


def _rendering(plans: Sequence[Plan]) -> Cost:
    decoding = 0.0

    def timed(*what) -> np.ndarray:
        nonlocal decoding
        begin = time.process_time()
        samples = read_audio(*what)
        decoding += time.process_time() - begin
        return samples

    render(plans[0])
    begin = time.process_time()
    num_samples = sum(len(render(plan, timed).mix) for plan in plans)
    cpu = time.process_time() - begin
    return Cost(cpu / len(plans), decoding / len(plans), num_samples / SAMPLE_RATE / len(plans))


def _librimix(args: argparse.Namespace, plans: Sequence[Plan], types: Sequence[str], folder: Path) -> Cost:
    """LibriMix's script on the plans' utterances: what a mixture more takes, between a tenth of them and all."""
    few = max(1, len(plans) // 10)
    start, _ = _run_librimix(args, plans[:few], types, folder)
    whole, wavs = _run_librimix(args, plans, types, folder)
    num_samples = sum(size for name, size in wavs if "/mix_both/" in name) / 2
    return Cost(
        (whole - start) / (len(plans) - few),
        float("nan"),
        num_samples / SAMPLE_RATE / len(plans),
        sum(size for _, size in wavs) / len(plans),
    )


def _run_librimix(
    args: argparse.Namespace, plans: Sequence[Plan], types: Sequence[str], folder: Path
) -> tuple[float, list[tuple[str, int]]]:
    """CPU seconds of one call, its children's among them; names and sizes of the files that it wrote."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        _write_metadata(Path(work, "metadata", f"libri{args.num_spk}mix_train-clean-100.csv"), plans, args, folder)
        command = [
            sys.executable,
            str((args.librimix / SCRIPT).absolute()),
            "--librispeech_dir",
            str(args.librispeech.absolute()),
            "--wham_dir",
            str(folder),
            "--metadata_dir",
            f"{work}/metadata",
            "--librimix_outdir",
            f"{work}/out",
            "--n_src",
            str(args.num_spk),
            "--freqs",
            "16k",
            "--modes",
            "min",
            "--types",
            *types,
        ]
        begin = _children_s()
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{command[1]}: ended with status {done.returncode} ({last})")
        cpu = _children_s() - begin
        return cpu, [(str(path), path.stat().st_size) for path in Path(work, "out").rglob("*.wav")]


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_metadata(path: Path, plans: Sequence[Plan], args: argparse.Namespace, folder: Path) -> None:
    """Rows as LibriMix's own: the plans' utterances, gains and noise, named without repetition."""
    path.parent.mkdir(parents=True)
    speech = args.librispeech.absolute()
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        numbers = range(1, args.num_spk + 1)
        sources = [f"source_{number}_{what}" for number in numbers for what in ("path", "gain")]
        rows.writerow(["mixture_ID", *sources, "noise_path", "noise_gain"])
        for number, plan in enumerate(plans):
            pairs = [cell for source in plan.sources for cell in (os.path.relpath(source.path, speech), source.gain)]
            rows.writerow([f"{plan.id}_{number}", *pairs, os.path.relpath(plan.noise.path, folder), 0.3])


def _median(costs: Sequence[Cost]) -> Cost:
    """The round of the middle CPU time."""
    return sorted(costs, key=lambda cost: cost.cpu_s)[(len(costs) - 1) // 2]


def _cost_table(costs: dict[str, Cost]) -> Table:
    theirs = costs.get(f"LibriMix, {next(iter(TYPES))}")
    rows = []
    for name, cost in costs.items():
        share = "" if np.isnan(cost.decoding_s) else f"{100 * cost.decoding_s / cost.cpu_s:.0f} %"
        times = f"{theirs.cpu_s / cost.cpu_s:.1f}" if theirs else ""
        rows.append(
            (
                name,
                f"{1000 * cost.cpu_s:.2f}",
                share,
                f"{1 / cost.cpu_s:.0f}",
                times,
                f"{cost.audio_s:.1f}",
                f"{1000 * cost.cpu_s / cost.audio_s:.2f}",
                f"{cost.disk / 1e6:.2f}" if cost.disk else "none",
            )
        )
    return Table(HEADER, rows)


def _loader_text(args: argparse.Namespace, pools: dict[str, Pool]) -> str:
    parts = []
    for name, pool in pools.items():
        rate, cpu = loader_cost(pool, args.num_spk, max(4, args.num // 3), num_workers=2)
        parts.append(f"from {name} {rate:.0f} mixtures/s of wall time, {1000 * cpu:.1f} ms of CPU each")
    return f"\nDataLoader, 2 workers, batches of {BATCH_SIZE}, fresh mixtures: {'; '.join(parts)}."


def loader_cost(pool: Pool, num_spk: int, steps: int, num_workers: int) -> tuple[float, float]:
    """Mixtures a second that arrive as batches, from the second batch on; CPU seconds of each, workers' included."""
    from wesep_mix.data.datasets import DynamicMixtures, dynamic_loader  # torch, which is not part of rendering

    cpu = time.process_time() + _children_s()
    batches = iter(dynamic_loader(DynamicMixtures(pool, num_spk, 0), BATCH_SIZE, steps, num_workers))
    next(batches)
    begin = time.monotonic()
    count = sum(len(batch.plans) for batch in batches)
    rate = count / (time.monotonic() - begin)
    del batches  # ends the workers, whose times are known from then on
    return rate, (time.process_time() + _children_s() - cpu) / (count + BATCH_SIZE)


def _listing_text(pool: Pool) -> str:
    """CPU time of examining an utterance, as the lists do once for each."""
    paths = [entry.path for entries in pool.speech.values() for entry in entries][:100]
    size, times = round(pool.config.segment_s * SAMPLE_RATE), []
    for path in paths:
        begin = time.process_time()
        best_crops(read_audio(path), size, pool.config.max_crops)
        times.append(time.process_time() - begin)
    mean = 1000 * statistics.mean(times)
    return f"\nLists: {mean:.1f} ms of CPU an utterance (decoding, VAD, loudness of its crops)."


def _head(args: argparse.Namespace) -> str:
    command = f"python benchmarks/mixing.py --librispeech DIR{' --librimix DIR' if args.librimix else ''}"
    return f"`{command} --num {args.num} --num_spk {args.num_spk} --rounds {args.rounds}`, {cores()}, {date.today()}:\n"


def cores() -> str:
    """How many cores the machine has, and of which processor."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{os.cpu_count()} cores of {names[0] if names else platform.processor()}"


if __name__ == "__main__":
    sys.exit(main())
