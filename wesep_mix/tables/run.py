"""One stage of the paper's tables: which rows and seeds it works on, the calls of the stage's entry points, the table.

Stages 2 to 7 call the entry points of the recipe, once for each row and seed (`TableStage._call`). The last stage of a
table measures what the row's models made and writes the table of all that is done (`TableStage._tabulate`). A row whose
data or inputs are missing or were made with other settings is left out, with the reason.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import write_json
from wesep_mix.base.jobs import THREADS, TRAIN_CMD, in_a_job, wrapper
from wesep_mix.base.locks import alone_in
from wesep_mix.base.processes import run_together
from wesep_mix.base.stage import Part, damage_of, run_part
from wesep_mix.mixing.plan import PLANS, read_plans
from wesep_mix.tables.jobs import TEST, Job
from wesep_mix.tables.table1 import TALKERS, Table1Layout
from wesep_mix.tables.table2 import Table2Layout, check_seeds, load_tables

TABLE_1, TABLE_2 = (2, 3, 4, 8), (5, 6, 7, 9)  # stages; the last of each writes the table
STAGES = sorted((*TABLE_1, *TABLE_2))
TRAININGS = (2, 3, 5)
MACHINE_OPTIONS = {  # of an entry point; others take ngpu alone
    "extract_embeddings": ("nj", "ngpu"),
    "embed_enrolments": ("nj", "ngpu"),
    "score": ("nj", "ngpu"),
}

Layout = Table1Layout | Table2Layout
Pairs = Sequence[tuple[str, int]]  # a row and a seed


@dataclass(frozen=True)
class Request:
    """What a call of a stage asks for.

    Attributes:
        stage: its number.
        egs: recipe folder, egs/CORPUS.
        data: prepared sets, data/CORPUS.
        single: prepared single-speaker sets, data/CORPUS/single.
        exp: experiment, exp/CORPUS.
        settings: the `--set` values.
        rows: names of the wanted rows; all when empty.
        seeds: the wanted seeds, as text; all of the table's when empty.
        nj: parallel jobs.
        ngpu: GPUs; 0 works on the CPU.
        force: redo what is done.
    """

    stage: int
    egs: Path
    data: Path
    single: Path
    exp: Path
    settings: Sequence[str] = ()
    rows: Sequence[str] = ()
    seeds: Sequence[str] = ()
    nj: int = 1
    ngpu: int = 0
    force: bool = False


def title(stage: int) -> str:
    """What a stage is called in messages."""
    return f"stage {stage} ({'table 1' if stage in TABLE_1 else 'tables 2 and 4'})"


class TableStage:
    """A stage of a table.

    Args:
        request: what is asked for.
        entries: by name the modules of the entry points, each with `main(options)` and `parts(options)`.

    Raises:
        UserError: a table's YAML is not valid.
    """

    def __init__(self, request: Request, entries: Mapping[str, ModuleType]):
        self.request, self.entries = request, entries
        self.layout = _layout(request)
        self.parts = cache(self._parts)

    def run(self) -> int:
        """Do the stage's work for all rows and seeds that are ready for it.

        Returns:
            The exit status.

        Raises:
            UserError: no row is ready, or one that was asked for by name is not.
        """
        request, name_of_stage = self.request, title(self.request.stage)
        rows = _chosen("rows", request.rows, list(self.layout.table.rows))
        seeds = [int(seed) for seed in _chosen("seeds", request.seeds, [str(seed) for seed in self.layout.table.seeds])]
        wanted = [(name, seed) for seed in seeds for name in rows if self._takes_part(name, seed)]
        left_out = {pair: reason for pair in wanted if (reason := self._reason(*pair))}
        for reason in dict.fromkeys(left_out.values()):
            names = dict.fromkeys(name for (name, _), why in left_out.items() if why == reason)
            print(f"{name_of_stage}: left out {', '.join(names)}: {reason}", flush=True)
        ready = [pair for pair in wanted if pair not in left_out]
        if wanted and not ready:
            raise UserError(f"{name_of_stage}: no row is left of {', '.join(rows)}; see above what they want")
        status = self._tabulate(ready) if self._writes_table() else self._call(ready)
        named = [name for name, _ in left_out if request.rows or (request.seeds and not self.layout.missing(name))]
        if named and not status:
            raise UserError(
                f"{name_of_stage}: {', '.join(dict.fromkeys(named))}: wanted by --rows or --seeds and left out, "
                "see above why"
            )
        return status

    def all_parts(self) -> list[Part]:
        """The folders that the stage makes of all rows and seeds whose data are there."""
        rows = [name for name in self.layout.table.rows if not self.layout.missing(name)]
        pairs = [(name, seed) for seed in self.layout.table.seeds for name in rows]
        jobs = {job.out: job for pair in pairs for job in self.layout.jobs(*pair) if job.stage == self.request.stage}
        parts = [part for job in jobs.values() for part in self.parts(job)]
        if self.request.stage == TABLE_1[-1]:
            parts += [self.layout.metrics(*pair) for pair in pairs]
        return parts

    def _writes_table(self) -> bool:
        return self.request.stage in (TABLE_1[-1], TABLE_2[-1])

    def _takes_part(self, name: str, seed: int) -> bool:
        """Whether the stage has something to do for the row."""
        return self._writes_table() or any(job.stage == self.request.stage for job in self.layout.jobs(name, seed))

    def _reason(self, name: str, seed: int) -> str:
        """Why the stage has to leave the row out; empty where all its inputs are there and of today's settings."""
        missing = self.layout.missing(name)
        if missing:
            return f"there is no {' and no '.join(map(str, missing))}; stage 1 makes it with --tables true"
        before = (job for job in self.layout.jobs(name, seed) if job.stage < self.request.stage)
        for part in (part for job in before for part in self.parts(job)):
            if not part.is_done():
                found = "was made with other settings or inputs" if part.is_other() else "is not there, or not finished"
                return (
                    f"{damage_of(part.out) or f'{part.out} {found}'}; stage {part.number} makes it, run with --tables "
                    f"true --stage {part.number} --stop_stage {part.number} first"
                )
        return ""

    def _parts(self, job: Job) -> list[Part]:
        return self.entries[job.entry].parts(list(job.options))

    def _call(self, pairs: Pairs) -> int:
        """Call the entry points. On the CPU a training takes one thread, so that --nj does not change its result.

        Where trainings are jobs of a cluster, each has its own GPUs.
        """
        request = self.request
        jobs = {job.out: job for pair in pairs for job in self.layout.jobs(*pair) if job.stage == request.stage}
        calls = [(self.entries[job.entry], [*job.options, *self._machine(job.entry)]) for job in jobs.values()]
        if request.stage not in TRAININGS:
            statuses = (entry.main(options) for entry, options in calls)
            return next(filter(None, statuses), 0)
        commands = [[sys.executable, "-m", entry.__name__, *options] for entry, options in calls]
        if not request.ngpu:
            return run_together(commands, request.nj, {THREADS: "1"})
        return run_together(commands, request.nj if wrapper(TRAIN_CMD) else 1)

    def _machine(self, entry: str) -> list[str]:
        """Options that say how to work, not what to compute."""
        options = [f"--{name}={getattr(self.request, name)}" for name in MACHINE_OPTIONS.get(entry, ("ngpu",))]
        return [*options, f"--force={str(self.request.force).lower()}"]

    def _tabulate(self, pairs: Pairs) -> int:
        """Measure what Table 1 needs, then write the table of all that is done, whatever rows were asked for."""
        for name, seed in pairs if self.request.stage in TABLE_1 else ():
            run_part(self.layout.metrics(name, seed), self.request.force, partial(self._measure, name, seed))
        with alone_in(self.layout.exp, wait=True):  # other jobs of a cluster write the same files
            print(f"\n{self._write()}\n", flush=True)
        return 0

    def _measure(self, name: str, seed: int) -> None:
        from wesep_mix.tables.table1_metrics import measure_row

        layout = self.layout
        plans = read_plans(layout.talkers(layout.table.rows[name].num_spk) / TEST / PLANS)
        products = {job.stage: job.product for job in layout.jobs(name, seed)}
        device = "cuda" if self.request.ngpu else "cpu"
        work = partial(measure_row, plans, seed, device, products[2], products.get(3), products.get(4))
        metrics, talkers = in_a_job(work, f"table 1, {name}, seed {seed}")
        write_json(layout.result(name, seed), metrics)
        write_json(layout.result(name, seed).with_name(TALKERS), talkers)

    def _write(self) -> str:
        from wesep_mix.base.installed import revision
        from wesep_mix.tables import table1_document, table2_document
        from wesep_mix.tables.document import TableResults
        from wesep_mix.tables.outcomes import acc_outcomes, si_sdri_outcomes

        request, layout = self.request, self.layout
        found = {
            seed: {name: row for name in layout.table.rows if (row := self._result(name, seed))}
            for seed in layout.table.seeds
        }
        folders = [folder.name.removeprefix("seed") for folder in layout.exp.glob("seed*")]
        others = sorted({int(seed) for seed in folders if seed.isdecimal()} - set(layout.table.seeds))
        read = acc_outcomes if request.stage in TABLE_1 else si_sdri_outcomes
        outcomes = {
            name: {seed: read(layout, name, seed) for seed, rows in found.items() if name in rows}
            for name in itertools.chain(*layout.table.ahead)
        }
        results = TableResults(request.exp, request.egs.name, request.settings, revision(), found, others, outcomes)
        if request.stage in TABLE_1:
            return table1_document.write_table(results, layout.table)
        return table2_document.write_tables(results, layout.table)

    def _result(self, name: str, seed: int) -> dict[str, Any] | None:
        """The row's numbers; None where they are not there or not of today's settings."""
        if self._reason(name, seed) or not self.layout.is_measured(name, seed):
            return None
        return self.layout.measured(name, seed)


def _layout(request: Request) -> Layout:
    conf = request.egs / "conf"
    first, second = load_tables(conf, request.settings)
    layout = Table1Layout(first, conf, request.data, request.single, request.exp / "table1", request.settings)
    if request.stage in TABLE_1:
        return layout
    check_seeds(first, second)
    return Table2Layout(second, layout, request.exp / "table2")


def _chosen(option: str, wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    for name in wanted:
        if name not in there:
            raise UserError(f"--{option}: no {name}; there are: {', '.join(there)}")
    return [name for name in there if name in wanted or not wanted]
