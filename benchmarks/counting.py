"""Students with presence: Acc and the count of talkers, by number of talkers, as a table.

    python benchmarks/counting.py --teacher EXP/teacher/model.pt --data 1=SINGLE 2=DATA/2mix 3=DATA/3mix \
        --students NAME=EXP/model.pt NAME=OTHER/model.pt

Students of one NAME, such as those of several seeds, are a row: their mean, and below it each one's. Each mixture of
the test sets is heard whole. Acc: the heads are matched as in stage 4, k-means with the true number of speakers. The
count is right where as many heads speak as there are talkers: by the sign of their logits, and by the threshold with
the best mean of the numbers' counts on the dev sets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wesep_mix.base.errors import UserError
from wesep_mix.base.installed import revision, shown, versions
from wesep_mix.base.stage import guarded
from wesep_mix.matching.assignment import match
from wesep_mix.metrics.clustering import cluster_metrics
from wesep_mix.mixing.plan import Plan, read_plans
from wesep_mix.mixing.render import render
from wesep_mix.models import checkpoint
from wesep_mix.report.tables import Table

GRID = np.arange(-4.0, 4.01, 0.25)  # of the logits' threshold


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--teacher", type=Path, required=True)
    options.add_argument("--students", type=_named, nargs="+", required=True, metavar="NAME=PATH")
    options.add_argument("--data", type=_named, nargs="+", required=True, metavar="NUMBER=FOLDER")
    options.add_argument("--most", type=int, default=100, help="mixtures of each set [100]")
    args = options.parse_args(argv)
    return guarded(lambda: _run(args), "benchmark")


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path)


def _run(args: argparse.Namespace) -> None:
    teacher = checkpoint.load_model(args.teacher, "teachers")
    numbers = [int(number) for number, _ in args.data]
    figures: dict[str, list[np.ndarray]] = {}
    for name, path in args.students:
        student = checkpoint.load_model(path, "students")
        dev, test = (
            [_heard(student, teacher, read_plans(folder / part / "plan.jsonl")[: args.most]) for _, folder in args.data]
            for part in ("dev", "test")
        )
        threshold = best_threshold([logits for logits, _ in dev], numbers)
        accs = [acc for _, acc in test]
        by_sign, by_threshold = (counts_right([logits for logits, _ in test], numbers, at) for at in (0.0, threshold))
        figures.setdefault(name, []).append(np.array([accs, by_sign, by_threshold, [threshold] * len(numbers)]))
    rows = []
    for name, each in figures.items():
        rows += [_row(f"{name}, mean of {len(each)}", np.mean(each, axis=0))] if len(each) > 1 else []
        rows += [_row(name, one) for one in each]
    told = ", ".join(map(str, numbers))
    print(f"revision {revision()}, {shown(versions())}; at most {args.most} mixtures a set")
    print(Table((f"student: talkers {told}", "Acc %", "count % by sign", "by threshold", "of logits"), rows).markdown())


def _row(name: str, figures: np.ndarray) -> tuple[str, ...]:
    accs, by_sign, by_threshold = (", ".join(f"{100 * value:.1f}" for value in values) for values in figures[:3])
    return (name, accs, by_sign, by_threshold, f"{figures[3, 0]:.2f}")


@torch.inference_mode()
def _heard(student: nn.Module, teacher: nn.Module, plans: Sequence[Plan]) -> tuple[np.ndarray, float]:
    """Logits [M, N] of the mixtures, and Acc of the matched embeddings."""
    logits, embeddings, speakers = [], [], []
    for plan in plans:
        audio = render(plan)
        found = student(torch.from_numpy(audio.mix)[None])
        if found.presence is None:
            raise UserError("--students: wanted one with presence (student.model.presence), found one without")
        clean = [
            torch.from_numpy(audio.sources[place, source.offset : source.offset + source.num_samples])
            for place, source in enumerate(plan.sources)
        ]
        references = torch.cat([teacher(wav[None]) for wav in clean])[None]
        matched, got = match(found.embeddings, references)
        logits.append(found.presence[0].numpy())
        embeddings += matched[0][got[0]].tolist()
        speakers += [source.spk for source, has in zip(plan.sources, got[0], strict=True) if has]
    return np.stack(logits), cluster_metrics(np.array(embeddings), speakers)[0]["acc"]


def counts_right(logits: Sequence[np.ndarray], numbers: Sequence[int], threshold: float) -> list[float]:
    """Share of mixtures with as many logits above a threshold as there are talkers.

    Args:
        logits: of each number of talkers, [M, N].
        numbers: of talkers.
        threshold: of the logits.

    Returns:
        The share for each number.
    """
    return [
        float(((values > threshold).sum(1) == number).mean()) for values, number in zip(logits, numbers, strict=True)
    ]


def best_threshold(logits: Sequence[np.ndarray], numbers: Sequence[int]) -> float:
    """The threshold of GRID with the best mean of `counts_right` over the numbers.

    Args:
        logits: of each number of talkers, [M, N].
        numbers: of talkers.

    Returns:
        The threshold, the lowest of equally good ones.
    """
    return float(max(GRID, key=lambda at: np.mean(counts_right(logits, numbers, at))))


if __name__ == "__main__":
    sys.exit(main())
