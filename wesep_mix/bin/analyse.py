"""Stage 8: clustering metrics of the embeddings, and the controls of the extraction.

Controls: the unprocessed mixture, no embedding, the wrong talker's, a random other one, and the teacher's own
of the clean source (oracle).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from wesep_mix.analysis.controls import CONTROLS, model_of
from wesep_mix.analysis.settings import ScoreConfig
from wesep_mix.bin.options import parser
from wesep_mix.config import load_config, to_dict
from wesep_mix.stage import Need, Part, guarded, run_part


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/score.yaml")
    options.add_argument("--data", type=Path, required=True, help="the test set: data/CORPUS/Nmix/test")
    options.add_argument("--single", type=Path, required=True, help="voices alone: data/CORPUS/single/test")
    options.add_argument("--teacher", type=Path, required=True, help="EXP/teacher/model.pt")
    options.add_argument("--student", type=Path, required=True, help="EXP/Nmix/student/model.pt")
    options.add_argument("--embeddings", type=Path, required=True, help="EXP/Nmix/embeddings")
    options.add_argument("--extractor", type=Path, required=True, help="trained extractor: EXP/Nmix/NAME")
    options.add_argument("--nj", type=int, default=1, help="parallel processes")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 works on the CPU")
    args = options.parse_args(argv)
    return guarded(lambda: _analyse(args), "stage 8 (analyse)")


def _analyse(args) -> None:
    settings = load_config(ScoreConfig, args.config, args.set)
    parts = list(_parts(args, settings))
    for part, _ in parts:
        part.check_needs()
    for part, work in parts:
        run_part(part, args.force, work)


def _parts(args, settings: ScoreConfig) -> Iterator[tuple[Part, Callable[[], None]]]:
    mixtures, plan, raw = args.extractor.parent, Need(args.data / "plan.jsonl", 1), to_dict(settings)
    test = args.embeddings / "test"
    tables = [plan, Need(args.single / "plan.jsonl", 1), Need(args.teacher, 2), Need(args.student, 3),
              Need(test / "matched.scp", 4), Need(args.embeddings / "single_test" / "teacher.scp", 4)]
    clustering = Part(8, "clustering", mixtures / "clustering", raw, tables)
    yield clustering, partial(_cluster, args, settings, clustering.out)
    mixture = Part(8, "unprocessed mixture", mixtures / "mixture" / "test", raw, [plan])
    yield mixture, partial(_score_mixture, args, settings, mixture.out)
    for control in CONTROLS:
        scps = [Need(test / f"{kind}.scp", 4) for kind in ("matched", "teacher", "student")]
        needs = [plan, *scps, Need(model_of(args.extractor, control), 5)]
        out = args.extractor / "test" / control
        yield Part(8, f"control {control}", out, raw, needs), partial(_control, args, settings, control)


def _cluster(args, settings: ScoreConfig, out: Path) -> None:
    from wesep_mix.analysis.clustering_rows import clustering_rows, write_rows
    from wesep_mix.mixing.plan import read_plans

    plans, single = (read_plans(folder / "plan.jsonl") for folder in (args.data, args.single))
    models = (args.teacher, args.student)
    rows = clustering_rows(args.embeddings, *models, plans, single, settings.seed, _device(args))
    write_rows(out, rows, plans)


def _score_mixture(args, settings: ScoreConfig, out: Path) -> None:
    from wesep_mix.analysis.scoring import score_condition
    from wesep_mix.mixing.plan import read_plans

    plans = read_plans(args.data / "plan.jsonl")
    score_condition(plans, None, out / "scores", 0, args.nj, settings.max_bad, settings.dnsmos)


def _control(args, settings: ScoreConfig, control: str) -> None:
    from wesep_mix.analysis.conditions import run_control

    embeddings = args.embeddings / "test"
    run_control(control, args.data, embeddings, args.extractor, settings, args.nj, _device(args))


def _device(args) -> str:
    return "cuda" if args.ngpu else "cpu"


if __name__ == "__main__":
    sys.exit(main())
