"""Table 1 of the paper, over rows and seeds: its part of stage 2, 3, 4 or 8.

The rows are those of egs/CORPUS/conf/table1.yaml. Stages 2 to 4 call train_teacher, train_student and
extract_embeddings for each row and seed, into EXP/table1/seed<k>; what rows have in common is made once. On the CPU
--nj trainings run at once, a thread each. Stage 8 writes EXP/TABLE1.md and table1.json from all rows and seeds that are
done. --rows and --seeds split the work into jobs of a cluster: by seeds as one likes; by rows after stage 2, since rows
share teachers, and rows with the same student go together in stage 3.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wesep_mix.bin.extract_embeddings import main as embed
from wesep_mix.bin.options import parser
from wesep_mix.config import load_config
from wesep_mix.errors import UserError
from wesep_mix.io.files import read_json, write_json
from wesep_mix.stage import Need, Part, guarded, run_part
from wesep_mix.table1 import STAGES, TABLE, TEST, Job, Plan, Table1Config
from wesep_mix.together import run_together

TITLE = "table 1"
EMBEDDINGS_STAGE, TABLE_STAGE = 4, 8


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--stage_number", type=int, required=True, choices=(*STAGES, TABLE_STAGE))
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--data", type=Path, required=True, help="prepared sets: data/CORPUS")
    options.add_argument("--single", type=Path, required=True, help="prepared single-speaker sets: data/CORPUS/single")
    options.add_argument("--exp", type=Path, required=True, help="experiment: exp/CORPUS")
    options.add_argument("--rows", type=_listed, default=[], help="a,b: only these [all]")
    options.add_argument("--seeds", type=_listed, default=[], help="0,1: only these [all of table1.yaml]")
    options.add_argument("--nj", type=int, default=1, help="parallel jobs")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 works on the CPU")
    args = options.parse_args(argv)
    return guarded(lambda: _run(args), f"stage {args.stage_number} ({TITLE})")


def _run(args: argparse.Namespace) -> int:
    conf = args.egs / "conf"
    table = load_config(Table1Config, conf / TABLE, args.set)
    plan = Plan(table, conf, args.data, args.single, args.exp / "table1", args.set)
    rows = _chosen("rows", args.rows, list(plan.table.rows))
    seeds = [int(seed) for seed in _chosen("seeds", args.seeds, [str(seed) for seed in plan.table.seeds])]
    rows = [name for name in rows if not _left_out(plan, name, args.stage_number)]
    if args.stage_number == TABLE_STAGE:
        return _tabulate(args, plan, rows, seeds)
    return _call(args, plan.jobs(args.stage_number, rows, seeds))


def _call(args: argparse.Namespace, jobs: Sequence[Job]) -> int:
    """The entry points of stages 2 to 4. On the CPU a training takes one thread, so --nj does not change its result."""
    commands = [[*job.options, f"--ngpu={args.ngpu}", f"--force={str(args.force).lower()}"] for job in jobs]
    if args.stage_number == EMBEDDINGS_STAGE:
        return next((status for options in commands if (status := embed([*options, f"--nj={args.nj}"]))), 0)
    trainings = [[sys.executable, "-m", f"wesep_mix.bin.{job.entry}", *options]
                 for job, options in zip(jobs, commands, strict=True)]
    return run_together(trainings, 1) if args.ngpu else run_together(trainings, args.nj, {"OMP_NUM_THREADS": "1"})


def _tabulate(args: argparse.Namespace, plan: Plan, rows: Sequence[str], seeds: Sequence[int]) -> int:
    for seed in seeds:
        for name in rows:
            run_part(_part(plan, name, seed), args.force, partial(_measure, args, plan, name, seed))
    _write(args, plan)
    return 0


def _part(plan: Plan, name: str, seed: int) -> Part:
    row, teacher = plan.table.rows[name], plan.teacher(name, seed)
    needs = [Need(plan.talkers(row.num_spk) / TEST / "plan.jsonl", 1), Need(teacher / "model.pt", 2)]
    if row.model == "student":
        needs.append(Need(plan.student(name, seed) / "model.pt", 3))
    if row.model != "kmeans":
        needs.append(Need(plan.embeddings(name, seed), 4))
    settings = {"model": row.model, "seed": seed}
    return Part(TABLE_STAGE, f"{TITLE}, {name}, seed {seed}", plan.metrics(name, seed), settings, needs)


def _measure(args: argparse.Namespace, plan: Plan, name: str, seed: int) -> None:
    from wesep_mix.analysis.table1_rows import kmeans_metrics, student_metrics, teacher_metrics
    from wesep_mix.mixing.plan import read_plans

    row, embeddings = plan.table.rows[name], plan.embeddings(name, seed)
    teacher, student = (folder / "model.pt" for folder in (plan.teacher(name, seed), plan.student(name, seed)))
    plans = read_plans(plan.talkers(row.num_spk) / TEST / "plan.jsonl")
    if row.model == "teacher":
        metrics = teacher_metrics(embeddings, teacher, plans, seed)
    elif row.model == "kmeans":
        metrics = kmeans_metrics(teacher, plans, seed, "cuda" if args.ngpu else "cpu")
    else:
        metrics = student_metrics(embeddings, student, plans, seed)
    write_json(plan.metrics(name, seed) / "metrics.json", metrics)


def _write(args: argparse.Namespace, plan: Plan) -> None:
    """From all that is done, whatever this call was asked to do."""
    from wesep_mix.git import revision
    from wesep_mix.report.table1 import write_table

    found = {
        seed: {name: read_json(part.out / "metrics.json") for name in plan.table.rows
               if not plan.missing(name) and (part := _part(plan, name, seed)).is_done()}
        for seed in plan.table.seeds
    }
    print(f"\n{write_table(args.exp, args.egs.name, plan.table, found, args.set, revision())}\n", flush=True)


def _left_out(plan: Plan, name: str, stage: int) -> bool:
    missing = plan.missing(name)
    if missing:
        folders = " and no ".join(map(str, missing))
        print(f"stage {stage} ({TITLE}): row {name} left out, there is no {folders}; stage 1 makes it with --tables "
              "true", flush=True)
    return bool(missing)


def _chosen(option: str, wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in there:
            raise UserError(f"--{option}: no {name}; there are: {', '.join(there)}")
    return [name for name in there if name in wanted or not wanted]


def _listed(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())
