"""A finished run of small noise-like voices: a test set, what stages 4, 7 and 8 leave of it, and logs of trainings."""

from pathlib import Path

import numpy as np

from wesep_mix.base.files import write_json
from wesep_mix.evaluation.scoring import summarise, write_scores
from wesep_mix.io.audio import write_audio
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.mixing.plan import Noise, Plan, Source, write_plans
from wesep_mix.mixing.render import render

ROWS = {"net": "matched", "net/wrong": "wrong", "net/none": "none"}  # row: condition


def write_test_set(folder: Path, num: int, speakers: str = "ab") -> list[Plan]:
    """Write `plan.jsonl` of mixtures m0, m1, ... of one second, each of two of the speakers, and their sources."""
    rng, plans = np.random.default_rng(0), []
    for name in (*speakers, "n"):
        write_audio(folder / f"{name}.wav", 0.05 * rng.standard_normal(16000).clip(-4, 4))
    noise = Noise("n", str(folder / "n.wav"), 0, 16000, 5.0)
    for number in range(num):
        pair = [speakers[number % len(speakers)], speakers[(number + 1) % len(speakers)]]
        sources = tuple(
            Source(spk, spk, "F", str(folder / f"{spk}.wav"), 0, 12000, offset, 1.0, -30.0)
            for spk, offset in zip(pair, (0, 4000), strict=True)
        )
        plans.append(Plan(f"m{number:02}", 16000, sources, noise, (0.5,)))
    write_plans(folder / "plan.jsonl", plans)
    return plans


def write_wavs(folder: Path, plans: list[Plan]) -> None:
    """Write half of each source as its estimate."""
    for plan in plans:
        for source, samples in zip(plan.sources, render(plan).sources, strict=True):
            write_audio(folder / f"{plan.id}-{source.spk}.wav", samples / 2)


def write_finished(root: Path, num: int = 14) -> tuple[Path, Path]:
    """Write a run; returns the folders of the experiment and of the test set."""
    exp, data = root / "exp" / "mini", root / "data" / "test"
    plans, mixtures = write_test_set(data, num, "abcd"), exp / "2mix"
    keys = [(plan.id, source.spk) for plan in plans for source in plan.sources]
    for place, (row, condition) in enumerate(ROWS.items()):
        rows = [
            {"mix": mix, "speaker": spk, "si_sdr": gain, "si_sdri": gain, "voice_cos": 0.5, "pesq": 1.1, "stoi": 0.7}
            for mix, spk in keys
            for gain in [int(mix[1:]) - 5.0 * place + (spk == "a")]
        ]
        folder = mixtures / row.partition("/")[0] / "test" / condition
        write_scores(folder / "scores" / "scores.csv", rows)
        write_json(folder / "scores" / "summary.json", summarise(rows) | {"num_bad": 0, "params": 5})
        write_wavs(folder / "wav", plans)
    row = {"acc": 0.5, "sep": 0.2, "nmi": 0.5, "sil": 0.1, "ari": 0.4, "eer": 0.1, "num": 28, "trainable": 0}
    write_json(mixtures / "clustering" / "metrics.json", {"teacher": row, "student": row | {"acc": 0.75}})
    rng = np.random.default_rng(0)
    for name in ("teacher", "matched"):
        table = {f"{mix}-{spk}": rng.standard_normal(4).astype(np.float32) for mix, spk in keys}
        write_embeddings(mixtures / "embeddings" / "test" / name, table)
    for model in (exp / "teacher", mixtures / "student", mixtures / "net" / "matched"):
        log = model / "logs" / "csv" / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("dev/loss,epoch,step,train/loss\n,0,9,2.0\n1.5,0,9,\n,0,19,1.0\n1.2,0,19,\n")
    return exp, data
