"""What scoring costs, and whether it is right, on pairs of real speech.

    python benchmarks/scoring.py DIR --wesep WESEP --packages SITE

Made from DIR, a folder of speech at 16 kHz: mixtures of two stretches of 5 s and two estimates of each, the target with
a part of the other talker and noise. SITE is a folder of packages that the others need and this project does not
(`pip install --target SITE mir_eval librosa`); WeSep's folder is used as it is.

Agreement: the largest deviation from packages of others, over all pairs.
Throughput: pairs a second of `wesep_mix.bin.score` with 2 processes beside WeSep's score.py, which has one, in turn.
It is a difference of two runs, with all pairs and with a few, so that starting is not counted; both have PESQ.
DNSMOS: clips a second with 2 processes, of the bare networks in batches with as many, and of speechmos clip by clip.
Time: CPU milliseconds of a pair, by what they are spent on.

Printed are Markdown tables; of several rounds the median. CPU times are of all processes; other work on the machine
changes them little, and clips and pairs a second much.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_table
from wesep_mix.base.installed import revision
from wesep_mix.base.stage import guarded
from wesep_mix.evaluation.scoring import GROUP, read_scores
from wesep_mix.io.audio import SAMPLE_RATE, num_frames, read_audio, write_audio
from wesep_mix.metrics import dnsmos as own_dnsmos
from wesep_mix.metrics.perceptual import pesq_wideband, stoi
from wesep_mix.metrics.sdr import sdr
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.report.tables import Table

SECONDS, FEW, NJ = 5, 8, 2  # of a stretch; pairs whose time is taken off; processes
WESEP = """import runpy, sys, types
package = sys.modules["wesep"] = types.ModuleType("wesep")  # whose own __init__ imports what scoring does not need
package.__path__ = [f"{sys.argv.pop(1)}/wesep"]
runpy.run_module("wesep.bin.score", run_name="__main__", alter_sys=True)"""
SPEECHMOS = """import sys, time
import numpy as np
from speechmos import dnsmos
for kind in ("dnsmos_personalized", "dnsmos"):
    wavs = np.load(sys.argv[1])
    for number, wav in enumerate(wavs):
        said = dnsmos.run(wav, 16000, kind)
        if number == 0:
            begin, cpu = time.perf_counter(), time.process_time()  # warm
        print(*(said[f"{scale}_mos"] for scale in ("sig", "bak", "ovrl", "p808")))
print((time.perf_counter() - begin) / (len(wavs) - 1), (time.process_time() - cpu) / (len(wavs) - 1))"""
PARTS = ("agreement", "throughput", "dnsmos", "time")
Pair = tuple[np.ndarray, np.ndarray, np.ndarray]  # estimate, source, mixture


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("speech", type=Path, metavar="DIR", help="folder with .flac or .wav")
    options.add_argument("--wesep", type=Path, help="WeSep's folder [without it]")
    options.add_argument("--packages", type=Path, help="folder with mir_eval and librosa [those of this environment]")
    options.add_argument("--num", type=int, default=50, help="pairs that agreement is tested on")
    options.add_argument("--num_timed", type=int, default=120, help="pairs of throughput, the same ones over and over")
    options.add_argument("--num_clips", type=int, default=24, help="clips of DNSMOS")
    options.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    options.add_argument("--only", nargs="*", choices=PARTS, default=PARTS, help="some of the tables")
    args = options.parse_args(argv)
    return guarded(lambda: _measure(args), "scoring")


def _measure(args: argparse.Namespace) -> None:
    print(f"{os.cpu_count()} cores, revision {revision()}, {date.today()}\n")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        pairs = made_pairs(args.speech, args.num, folder)
        tables = {
            "agreement": lambda: agreement(pairs, folder, args.packages),
            "throughput": lambda: throughput(folder, args),
            "dnsmos": lambda: dnsmos_table(pairs[: args.num_clips], folder, args),
            "time": lambda: time_table(pairs[:FEW], folder),
        }
        for name in args.only:
            print(f"{tables[name]().markdown()}\n", flush=True)


def made_pairs(speech: Path, num: int, folder: Path) -> list[Pair]:
    """Estimates, sources and mixtures, two pairs a mixture; also as `folder/{est,ref,mix}/MIXTURE-TALKER.wav`."""
    size, rng = SECONDS * SAMPLE_RATE, np.random.default_rng(0)
    found = (path for path in sorted(speech.rglob("*")) if path.suffix in (".flac", ".wav"))
    long = [path for path in found if num_frames(path) >= size][:num]
    if len(long) < num or num % 2:
        raise UserError(f"{speech}: wanted an even number of files of {SECONDS} s, {num}, found {len(long)}; see --num")
    pairs = []
    for number in range(0, num, 2):
        first, second = (read_audio(path, 0, size) / 4 for path in long[number : number + 2])
        for talker, (own, other) in enumerate(((first, second), (second, first)), start=1):
            noise = 0.001 * rng.standard_normal(size).astype(np.float32)
            pairs.append((own + np.float32(rng.uniform(0.05, 0.7)) * other + noise, own, first + second))
            for kind, wav in zip(("est", "ref", "mix"), pairs[-1], strict=True):
                write_audio(folder / kind / f"{number // 2}-{talker}.wav", wav, subtype="FLOAT")
    return pairs


# agreement


def agreement(pairs: Sequence[Pair], folder: Path, packages: Path | None) -> Table:
    """By metric the largest deviation from another implementation.

    Permutations are judged on mixtures: both estimates, in the wrong order.
    """
    import fast_bss_eval  # they import torch, which nothing else here needs
    import pesq
    import pystoi
    import torch
    from torchmetrics.functional import audio

    def by_torch(function: Callable, **more: bool) -> Callable[[Pair], float]:
        return lambda pair: float(function(*map(torch.from_numpy, pair[:2]), **more))

    ways = {
        "SI-SDR, torchmetrics": (lambda p: si_sdr(*p[:2]), by_torch(audio.scale_invariant_signal_distortion_ratio)),
        "SDR, fast_bss_eval": (
            lambda p: sdr(p[0][None], p[1])[0],
            lambda p: -fast_bss_eval.sdr_loss(p[0][None].astype(float), p[1][None].astype(float), pairwise=True)[0, 0],
        ),
        "PESQ, pesq": (lambda p: pesq_wideband(*p[:2]), lambda p: pesq.pesq(SAMPLE_RATE, p[1], p[0], "wb")),
        "STOI, pystoi": (lambda p: stoi(*p[:2])[0], lambda p: pystoi.stoi(p[1], p[0], SAMPLE_RATE)),
        "ESTOI, pystoi": (lambda p: stoi(*p[:2])[1], lambda p: pystoi.stoi(p[1], p[0], SAMPLE_RATE, extended=True)),
    }
    rows = []
    for name, (ours, theirs) in ways.items():
        found, wanted = (np.array([float(way(pair)) for pair in pairs]) for way in (ours, theirs))
        rows.append((name, str(len(pairs)), f"{wanted.min():.3g} to {wanted.max():.3g}", _deviation(found, wanted)))
    said, _ = speechmos(pairs, folder, packages)
    rated = np.array([list(one.values()) for one in own_dnsmos.dnsmos([pair[0] for pair in pairs], personalised=True)])
    own = {"DNSMOS, speechmos": rated[:, :4], "personalised DNSMOS, speechmos": rated[:, [4, 5, 6, 3]]}
    for (name, found), wanted in zip(own.items(), said[::-1], strict=True):
        rows.append((name, str(len(found)), f"{wanted.min():.3g} to {wanted.max():.3g}", _deviation(found, wanted)))
    return Table(("metric, beside", "pairs", "values", "largest deviation"), [*rows, _permuted(pairs, folder)])


def _deviation(found: np.ndarray, wanted: np.ndarray) -> str:
    return f"{np.abs(found - wanted).max():.0e}"


def _permuted(pairs: Sequence[Pair], folder: Path) -> tuple[str, ...]:
    import torch
    from torchmetrics.functional import audio

    swapped, refs = (
        np.stack([(pairs[n + m][k], pairs[n + 1 - m][k]) for n in range(0, len(pairs), 2)]) for m, k in ((1, 0), (0, 1))
    )
    best, _ = audio.permutation_invariant_training(
        torch.from_numpy(swapped), torch.from_numpy(refs), audio.scale_invariant_signal_distortion_ratio
    )
    ref, est = _lists(folder, len(pairs), "two")
    _score(folder / "permuted", ref, est[::-1], "--permute=true")
    rows = read_scores(folder / "permuted" / "scores.csv", needed=())
    found = np.array([row["si_sdr"] for row in rows]).reshape(-1, 2).mean(axis=1)
    values = f"{best.min():.3g} to {best.max():.3g}"
    return "SI-SDR permuted, torchmetrics", str(len(rows)), values, _deviation(found, best.numpy())


def speechmos(pairs: Sequence[Pair], folder: Path, packages: Path | None) -> tuple[np.ndarray, list[float]]:
    """What it says, personalised and not, [2, N, 4]; seconds of a clip, once it is warm, on the clock and of CPU."""
    np.save(folder / "clips.npy", np.stack([est for est, _, _ in pairs]))
    lines = _python(SPEECHMOS, [str(folder / "clips.npy")], packages).splitlines()
    said = np.array([[float(value) for value in line.split()] for line in lines[:-1]])
    return said.reshape(2, len(pairs), 4), [float(value) for value in lines[-1].split()]


# throughput


def throughput(folder: Path, args: argparse.Namespace) -> Table:
    """Pairs a second by layout and program."""
    if args.wesep is None:
        raise UserError("--wesep: wanted WeSep's folder for the table of throughput, found none; see --only")
    rows = []
    for layout in ("one", "two"):
        found: dict[str, list[np.ndarray]] = {"WeSep": [], "wesep_mix": []}
        for _ in range(args.rounds):
            for name, run in (("WeSep", partial(_wesep, args)), ("wesep_mix", _ours)):
                few, all_of_them = (_seconds(partial(run, folder, layout, num)) for num in (FEW, args.num_timed))
                found[name].append((all_of_them - few) / (args.num_timed - FEW))
        theirs, ours = (np.array(costs) for costs in found.values())  # [rounds, clock and CPU]
        ratios = theirs / ours
        rows.append(
            (
                f"{layout}-source",
                *(f"{np.median(1 / each[:, 0]):.1f}" for each in (theirs, ours)),
                f"{np.median(ratios[:, 0]):.1f} ({ratios[:, 0].min():.1f} to {ratios[:, 0].max():.1f})",
                *(f"{1000 * np.median(each[:, 1]):.0f}" for each in (theirs, ours)),
                f"{np.median(ratios[:, 1]):.2f}",
            )
        )
    rates = ("WeSep, pairs/s", f"wesep_mix, {NJ} processes, pairs/s", "ratio (of the rounds)")
    return Table(("layout", *rates, "WeSep, CPU ms a pair", "wesep_mix, CPU ms a pair", "ratio"), rows)


def _lists(folder: Path, num: int, layout: str) -> tuple[list[Path], list[Path]]:
    """Lists of references and of estimates with `num` pairs, the made ones over and over."""
    made = len(list((folder / "ref").iterdir())) // 2
    lists: dict[str, list[Path]] = {"ref": [], "est": []}
    for kind, paths in lists.items():
        tables: list[dict[str, str]] = [{}, {}]
        for number in range(num):
            mix, talker = divmod(number, 2)
            key = f"s{talker + 1}/m{mix:04d}.wav" if layout == "one" else f"m{mix:04d}"
            table = tables[0 if layout == "one" else talker]
            table[key] = str(folder / kind / f"{mix % made}-{talker + 1}.wav")
        for number, table in enumerate(filter(None, tables)):
            paths.append(folder / f"{layout}-{num}-{kind}{number}.scp")
            write_table(paths[-1], table)
    return lists["ref"], lists["est"]


def _ours(folder: Path, layout: str, num: int) -> None:
    _score(folder / f"ours-{layout}-{num}", *_lists(folder, num, layout))


def _score(out: Path, ref: Sequence[Path], est: Sequence[Path], *more: str) -> None:
    files = [f"--{kind}={path}" for kind, paths in (("ref", ref), ("est", est)) for path in paths]
    call = ["-m", "wesep_mix.bin.score", *files, f"--out={out}", f"--nj={NJ}", "--force=true", *more]
    subprocess.run([sys.executable, *call], check=True, capture_output=True)


def _wesep(args: argparse.Namespace, folder: Path, layout: str, num: int) -> None:
    ref, est = _lists(folder, num, layout)
    files = [f"--{kind}_scp={path}" for kind, paths in (("ref", ref), ("inf", est)) for path in paths]
    options = ["--use_pesq=true", f"--key_file={ref[0]}", f"--output_dir={folder / 'wesep'}", *files]
    _python(WESEP, [str(args.wesep), *options], args.packages)


def _python(code: str, arguments: Sequence[str], packages: Path | None) -> str:
    """What a program of others prints, with their packages before those of this environment."""
    path = os.pathsep.join([*([str(packages)] if packages else []), os.environ.get("PYTHONPATH", "")])
    call = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(call, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{arguments[0]}: a program of others ended with status {done.returncode} ({last})")
    return done.stdout


def _seconds(run: Callable[[], object]) -> np.ndarray:
    """Of the clock, and of CPU of all child processes: [2]."""
    begin, cpu = time.perf_counter(), _cpu_of_children()
    run()
    return np.array([time.perf_counter() - begin, _cpu_of_children() - cpu])


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# DNSMOS and where the time goes


def dnsmos_table(pairs: Sequence[Pair], folder: Path, args: argparse.Namespace) -> Table:
    """Clips a second, and CPU seconds of one: of speechmos, the bare networks, and ours."""
    import joblib

    groups = [[est for est, _, _ in pairs[first : first + GROUP]] for first in range(0, len(pairs), GROUP)]
    found: dict[str, list[list[float]]] = {"speechmos, clip by clip": [], "the networks alone": [], "wesep_mix": []}
    with joblib.parallel_config("loky", n_jobs=NJ, inner_max_num_threads=1):
        for _ in range(args.rounds):
            found["speechmos, clip by clip"].append(speechmos(pairs, folder, args.packages)[1])
            for name, work in (("the networks alone", bare), ("wesep_mix", own_dnsmos.dnsmos)):
                joblib.Parallel()(joblib.delayed(work)(groups[0][:1]) for _ in range(2 * NJ))  # sessions are made
                begin = time.perf_counter()
                cpu = joblib.Parallel()(joblib.delayed(_cpu_s)(work, each) for each in groups)
                found[name].append([(time.perf_counter() - begin) / len(pairs), sum(cpu) / len(pairs)])
    costs = {name: np.median(each, axis=0) for name, each in found.items()}
    theirs = costs["speechmos, clip by clip"]
    return Table(
        ("DNSMOS P.835 and P.808", "clips/s", "speechmos = 1", "CPU s a clip"),
        [(name, f"{1 / wall:.2f}", f"{theirs[0] / wall:.2f}", f"{cpu:.2f}") for name, (wall, cpu) in costs.items()],
    )


def _cpu_s(work: Callable[[Sequence[np.ndarray]], object], wavs: Sequence[np.ndarray]) -> float:
    begin = time.process_time()
    work(wavs)
    return time.process_time() - begin


def bare(wavs: Sequence[np.ndarray]) -> None:
    """The networks of P.835 and P.808 on as many windows as these clips have, without all else."""
    num = sum(len(own_dnsmos.windows(wav)) for wav in wavs)
    own_dnsmos._session(own_dnsmos.P835).run(None, {"input_1": np.full((num, own_dnsmos.WINDOW), 0.1, np.float32)})
    own_dnsmos._session(own_dnsmos.P808).run(None, {"input_1": np.zeros((num, 900, own_dnsmos.NUM_MELS), np.float32)})


def time_table(pairs: Sequence[Pair], folder: Path) -> Table:
    """CPU time of a pair."""
    windows = [own_dnsmos.windows(est)[0] for est, _, _ in pairs]
    kinds = ("est", "ref", "mix")
    parts: dict[str, Callable[[int], object]] = {
        "reading three files": lambda n: [read_audio(folder / k / f"{n // 2}-{n % 2 + 1}.wav") for k in kinds],
        "SI-SDR of estimate and mixture": lambda n: [si_sdr(pairs[n][k], pairs[n][1]) for k in (0, 2)],
        "SDR of estimate and mixture": lambda n: sdr(np.stack([pairs[n][0], pairs[n][2]]), pairs[n][1]),
        "PESQ": lambda n: pesq_wideband(*pairs[n][:2]),
        "STOI and ESTOI": lambda n: stoi(*pairs[n][:2]),
        "DNSMOS P.835": lambda n: own_dnsmos._rated(own_dnsmos.P835, windows[n : n + 1]),
        "DNSMOS P.808": lambda n: own_dnsmos._rated(own_dnsmos.P808, windows[n : n + 1]),
    }
    rows = []
    for name, work in parts.items():
        work(0)
        begin = time.process_time()
        for number in range(len(pairs)):
            work(number)
        rows.append((name, f"{1000 * (time.process_time() - begin) / len(pairs):.1f}"))
    return Table(("part", "CPU ms a pair"), rows)


if __name__ == "__main__":
    sys.exit(main())
