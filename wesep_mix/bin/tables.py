"""The paper's tables, over rows and seeds: their part of stages 2 to 9.

Table 1, the rows of egs/CORPUS/conf/table1.yaml: stages 2 to 4 call train_teacher, train_student and extract_embeddings
for each row and seed, into EXP/table1/seed<k>; stage 8 writes EXP/TABLE1.md and table1.json of all that is done.
Tables 2 and 4, the rows of table2.yaml: stages 5 to 7 call train_extractor or train_separator, extract_speech or
separate_speech, and score, into EXP/table2/seed<k>, with the students of Table 1; stage 9 writes EXP/TABLE2.md.

What rows have in common is made once. On the CPU --nj trainings run at once, a thread each. --rows and --seeds split
the work into jobs of a cluster: by seeds as one likes; by rows after stage 2, since rows share teachers, and rows with
the same student go together in stage 3. A row whose data or inputs are not there is left out with a line, and fails a
call that names it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import read_json, write_json
from wesep_mix.base.processes import run_together
from wesep_mix.base.stage import Part, alone_in, damage_of, guarded, run_part
from wesep_mix.bin.options import parser
from wesep_mix.mixing.plan import PLANS
from wesep_mix.tables.jobs import TEST, Job
from wesep_mix.tables.table1 import Table1Layout
from wesep_mix.tables.table2 import Table2Layout, check_seeds, load_tables

TABLE_1, TABLE_2 = (2, 3, 4, 8), (5, 6, 7, 9)  # stages; the last of each writes the table
TRAININGS = (2, 3, 5)
MACHINE = {"extract_embeddings": ("nj", "ngpu"), "score": ("nj",)}  # what an entry point takes; others take ngpu

Layout = Table1Layout | Table2Layout
Pairs = Sequence[tuple[str, int]]  # a row and a seed


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--stage_number", type=int, required=True, choices=sorted((*TABLE_1, *TABLE_2)))
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--data", type=Path, required=True, help="prepared sets: data/CORPUS")
    options.add_argument("--single", type=Path, required=True, help="prepared single-speaker sets: data/CORPUS/single")
    options.add_argument("--exp", type=Path, required=True, help="experiment: exp/CORPUS")
    options.add_argument("--rows", type=_listed, default=[], help="a,b: only these [all]")
    options.add_argument("--seeds", type=_listed, default=[], help="0,1: only these [all of the table's YAML]")
    options.add_argument("--nj", type=int, default=1, help="parallel jobs")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 works on the CPU")
    args = options.parse_args(argv)
    return guarded(lambda: _run(args), _title(args))


def _run(args: argparse.Namespace) -> int:
    layout = _layout(args)
    rows = _chosen("rows", args.rows, list(layout.table.rows))
    seeds = [int(seed) for seed in _chosen("seeds", args.seeds, [str(seed) for seed in layout.table.seeds])]
    wanted = [(name, seed) for seed in seeds for name in rows if _takes_part(layout, name, seed, args.stage_number)]
    left_out = {pair: reason for pair in wanted if (reason := _reason(layout, *pair, args.stage_number))}
    for reason in dict.fromkeys(left_out.values()):
        names = dict.fromkeys(name for (name, _), why in left_out.items() if why == reason)
        print(f"{_title(args)}: left out {', '.join(names)}: {reason}", flush=True)
    ready = [pair for pair in wanted if pair not in left_out]
    if wanted and not ready:
        raise UserError(f"{_title(args)}: no row is left of {', '.join(rows)}; see above what they want")
    work = _tabulate if args.stage_number in (TABLE_1[-1], TABLE_2[-1]) else _call
    status = work(args, layout, ready)
    named = [name for name, _ in left_out if args.rows or (args.seeds and not layout.missing(name))]
    if named and not status:
        raise UserError(
            f"{_title(args)}: {', '.join(dict.fromkeys(named))}: wanted by --rows or --seeds and left out, "
            "see above why"
        )
    return status


def _layout(args: argparse.Namespace) -> Layout:
    conf = args.egs / "conf"
    first, second = load_tables(conf, args.set)
    layout = Table1Layout(first, conf, args.data, args.single, args.exp / "table1", args.set)
    if args.stage_number in TABLE_1:
        return layout
    check_seeds(first, second)
    return Table2Layout(second, layout, args.exp / "table2")


def _takes_part(layout: Layout, name: str, seed: int, stage: int) -> bool:
    """Whether the stage has something to do for the row."""
    return stage in (TABLE_1[-1], TABLE_2[-1]) or any(job.stage == stage for job in layout.jobs(name, seed))


def _reason(layout: Layout, name: str, seed: int, stage: int) -> str:
    """Why the stage has to leave the row out, empty where all that it builds on is there and of today's settings."""
    missing = layout.missing(name)
    if missing:
        return f"there is no {' and no '.join(map(str, missing))}; stage 1 makes it with --tables true"
    before = (part for job in layout.jobs(name, seed) if job.stage < stage for part in _parts(job))
    for part in before:
        if not part.is_done():
            found = "was made with other settings or inputs" if part.is_other() else "is not there, or not finished"
            return (
                f"{damage_of(part.out) or f'{part.out} {found}'}; stage {part.number} makes it, run with --tables "
                f"true --stage {part.number} --stop_stage {part.number} first"
            )
    return ""


@cache
def _parts(job: Job) -> list[Part]:
    return importlib.import_module(f"wesep_mix.bin.{job.entry}").parts(list(job.options))


def _call(args: argparse.Namespace, layout: Layout, pairs: Pairs) -> int:
    """The entry points of a stage. On the CPU a training takes one thread, so --nj does not change its result."""
    jobs = {job.out: job for pair in pairs for job in layout.jobs(*pair) if job.stage == args.stage_number}
    calls = [(job.entry, [*job.options, *_machine(args, job.entry)]) for job in jobs.values()]
    if args.stage_number not in TRAININGS:
        done = (importlib.import_module(f"wesep_mix.bin.{entry}").main(options) for entry, options in calls)
        return next(filter(None, done), 0)
    commands = [[sys.executable, "-m", f"wesep_mix.bin.{entry}", *options] for entry, options in calls]
    return run_together(commands, 1) if args.ngpu else run_together(commands, args.nj, {"OMP_NUM_THREADS": "1"})


def _machine(args: argparse.Namespace, entry: str) -> list[str]:
    given = [f"--{name}={getattr(args, name)}" for name in MACHINE.get(entry, ("ngpu",))]
    return [*given, f"--force={str(args.force).lower()}"]


def _tabulate(args: argparse.Namespace, layout: Layout, pairs: Pairs) -> int:
    """Measure what Table 1 needs, then write the table of all that is done, whatever this call was asked to do."""
    for name, seed in pairs if args.stage_number in TABLE_1 else ():
        run_part(layout.metrics(name, seed), args.force, partial(_measure, args, layout, name, seed))
    with alone_in(layout.exp, wait=True):  # other jobs of a cluster write the same files
        print(f"\n{_write(args, layout)}\n", flush=True)
    return 0


def _measure(args: argparse.Namespace, layout: Table1Layout, name: str, seed: int) -> None:
    from wesep_mix.mixing.plan import read_plans
    from wesep_mix.tables.rows import row_metrics

    plans = read_plans(layout.talkers(layout.table.rows[name].num_spk) / TEST / PLANS)
    made = {job.stage: job.made for job in layout.jobs(name, seed)}
    metrics = row_metrics(plans, seed, "cuda" if args.ngpu else "cpu", made[2], made.get(3), made.get(4))
    write_json(layout.result(name, seed), metrics)


def _write(args: argparse.Namespace, layout: Layout) -> str:
    from wesep_mix.base.installed import revision
    from wesep_mix.tables import table1_text, table2_text
    from wesep_mix.tables.document import Run

    found = {
        seed: {name: row for name in layout.table.rows if (row := _result(layout, name, seed, args.stage_number))}
        for seed in layout.table.seeds
    }
    folders = [folder.name.removeprefix("seed") for folder in layout.exp.glob("seed*")]
    others = sorted({int(seed) for seed in folders if seed.isdecimal()} - set(layout.table.seeds))
    run = Run(args.exp, args.egs.name, args.set, revision(), found, others)
    return (table1_text if args.stage_number in TABLE_1 else table2_text).write_table(run, layout.table)


def _result(layout: Layout, name: str, seed: int, stage: int) -> dict[str, Any] | None:
    """The row's numbers, None where they are not there or not of today's settings."""
    if _reason(layout, name, seed, stage) or not layout.is_measured(name, seed):
        return None
    return read_json(layout.result(name, seed))


def _title(args: argparse.Namespace) -> str:
    return f"stage {args.stage_number} ({'table 1' if args.stage_number in TABLE_1 else 'tables 2 and 4'})"


def _chosen(option: str, wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in there:
            raise UserError(f"--{option}: no {name}; there are: {', '.join(there)}")
    return [name for name in there if name in wanted or not wanted]


def _listed(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())
