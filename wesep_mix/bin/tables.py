"""The paper's tables, over rows and seeds: their part of stages 2 to 9.

Table 1, the rows of egs/CORPUS/conf/table1.yaml: stages 2 to 4 call train_teacher, train_student and extract_embeddings
for each row and seed, into EXP/table1/seed<k>; stage 8 writes EXP/TABLE1.md and table1.json of all that is done.
Tables 2 and 4, the rows of table2.yaml: stages 5 to 7 call train_extractor or train_separator, extract_speech (for rows
with enrolments after embed_enrolments) or separate_speech, and score, into EXP/table2/seed<k>, with the students of
Table 1; stage 9 writes EXP/TABLE2.md and TABLE4.md.

What several rows need is computed once. On the CPU --nj trainings run at once, with a thread each. --rows and --seeds
split the work into jobs of a cluster: by seeds in any way; by rows only after stage 2, since rows share teachers, and
with rows of the same student together in stage 3. A row whose data or inputs are missing is left out with a line on the
terminal; if --rows or --seeds names it, the call fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

from wesep_mix.base.stage import Part, guarded
from wesep_mix.bin import (
    embed_enrolments,
    extract_embeddings,
    extract_speech,
    score,
    separate_speech,
    train_extractor,
    train_separator,
    train_student,
    train_teacher,
)
from wesep_mix.bin.options import parser
from wesep_mix.tables.run import STAGES, Request, TableStage, title

ENTRIES = {
    "train_teacher": train_teacher,
    "train_student": train_student,
    "extract_embeddings": extract_embeddings,
    "train_extractor": train_extractor,
    "train_separator": train_separator,
    "embed_enrolments": embed_enrolments,
    "extract_speech": extract_speech,
    "separate_speech": separate_speech,
    "score": score,
}


def main(argv: list[str] | None = None) -> int:
    request = _request(argv)
    return guarded(lambda: TableStage(request, ENTRIES).run(), title(request.stage))


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return TableStage(_request(argv), ENTRIES).all_parts()


def _request(argv: list[str] | None) -> Request:
    options = parser(__doc__)
    options.add_argument("--stage_number", type=int, required=True, choices=STAGES)
    options.add_argument("--egs", type=Path, required=True, help="recipe folder: egs/CORPUS")
    options.add_argument("--data", type=Path, required=True, help="prepared sets: data/CORPUS")
    options.add_argument("--single", type=Path, required=True, help="prepared single-speaker sets: data/CORPUS/single")
    options.add_argument("--exp", type=Path, required=True, help="experiment: exp/CORPUS")
    options.add_argument("--rows", type=_split, default=[], help="a,b: only these [all]")
    options.add_argument("--seeds", type=_split, default=[], help="0,1: only these [all of the table's YAML]")
    options.add_argument("--nj", type=int, default=1, help="parallel jobs")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 works on the CPU")
    args = options.parse_args(argv)
    return Request(
        stage=args.stage_number,
        egs=args.egs,
        data=args.data,
        single=args.single,
        exp=args.exp,
        settings=args.set,
        rows=args.rows,
        seeds=args.seeds,
        nj=args.nj,
        ngpu=args.ngpu,
        force=args.force,
    )


def _split(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main())
