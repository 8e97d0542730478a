"""Stage 5: train the extractor, mixture and embedding -> one talker; and the same network without embedding.

The two trainings are independent: on the CPU both run at once, each in a process of its own, and on a cluster as two
jobs; where each has several processes here, one runs after the other. Teacher and student compute the embeddings on the
fly, matched as stage 4's config says. With `embeddings: ark` and `trainer.plans: static` they are read from
--embeddings, which stage 4 writes with --set embeddings.sets=[train,dev,test].
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from wesep_mix.base.config import read_raw
from wesep_mix.base.environment import launcher
from wesep_mix.base.errors import UserError
from wesep_mix.base.jobs import training_job
from wesep_mix.base.processes import run_together
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import add_process_options, parser, processes_here, processes_of

TRAINED = ("matched", "none")  # conditions that have a network of their own


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    args = _parse(argv)
    return guarded(lambda: _train(args, argv), "stage 5 (extractor)", processes_here(args))


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return list(_parts(_parse(argv)).values())


def _parse(argv: list[str]) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/extractor/NAME.yaml")
    options.add_argument("--data", type=Path, required=True, help="prepared mixtures: data/CORPUS/Nmix")
    options.add_argument("--teacher", type=Path, required=True, help="EXP/teacher/model.pt")
    options.add_argument(
        "--student", type=Path, required=True, help="EXP/Nmix/student/model.pt; not read where no cue is predicted"
    )
    options.add_argument("--embeddings", type=Path, help="what stage 4 wrote of train and dev, for `embeddings: ark`")
    options.add_argument(
        "--embeddings_config", type=Path, help="egs/CORPUS/conf/embeddings.yaml, for its `matching` [assignment]"
    )
    options.add_argument("--num_spk", type=int, required=True, help="talkers in a mixture")
    options.add_argument("--condition", choices=("both", *TRAINED), default="both", help="which to train [both]")
    options.add_argument("--out", type=Path, required=True, help="folder to write: EXP/Nmix/NAME")
    add_process_options(options)
    return options.parse_args(argv)


def _train(args: argparse.Namespace, argv: list[str]) -> int:
    parts = _parts(args)
    for part in parts.values():
        part.check_needs()
    waiting = [condition for condition, part in parts.items() if args.force or not part.is_done()]
    processes = processes_here(args)
    alone = [*argv, "--condition"]
    if len(waiting) > 1 and processes.world > 1 and launcher(processes) != "lightning":
        raise UserError(
            f"{processes}, started by {launcher(processes)}: wanted one training at a time, found two; start it with "
            "--condition matched, then with --condition none"
        )
    if len(waiting) > 1 and (processes.world > 1 or not processes.ngpu):
        module = [sys.executable, "-m", "wesep_mix.bin.train_extractor"]
        commands = [[*module, *alone, condition] for condition in waiting]
        return run_together(commands, 1 if processes.world > 1 else len(commands))
    for condition, part in parts.items():
        job = training_job("train_extractor", [*alone, condition], part, processes_of(args))
        run_part(part, args.force, partial(_work, args, part.out, condition), job)
    return 0


def _parts(args: argparse.Namespace) -> dict[str, Part]:
    raw = read_raw(args.config, args.set)
    needs = [Need(args.data, 1), Need(args.teacher, 2)]
    if (raw.get("cue") or {}).get("predicted", 1) != 0:
        needs.append(Need(args.student, 3))
    stored = [Need(args.embeddings, 4)] if args.embeddings is not None and raw.get("embeddings") == "ark" else []
    without_share = {key: value for key, value in raw.items() if key != "none_share"}
    own = {  # settings and inputs that define each network; `none_share` concerns `none` alone
        "matched": (without_share | _matching(args), stored),
        "none": (raw, []),
    }
    return {
        condition: Part(
            5, f"extractor, {condition}", args.out / condition, settings | {"embedding": condition}, [*needs, *more]
        )
        for condition, (settings, more) in own.items()
        if args.condition in ("both", condition)
    }


def _matching(args: argparse.Namespace) -> dict[str, str]:
    """{"matching": stage 4's}, empty where its config leaves that out."""
    raw = read_raw(args.embeddings_config, args.set) if args.embeddings_config else {}
    return {key: value for key, value in raw.items() if key == "matching"}


def _work(args: argparse.Namespace, out: Path, condition: str) -> None:
    from wesep_mix.base.config import load_config
    from wesep_mix.training.extractor import EmbeddingSource, train_extractor
    from wesep_mix.training.settings import ExtractorConfig

    settings = load_config(ExtractorConfig, args.config, args.set)
    source = EmbeddingSource(args.teacher, args.student, args.embeddings, **_matching(args))
    train_extractor(settings, args.data, source, condition, out, args.num_spk, processes_of(args))


if __name__ == "__main__":
    sys.exit(main())
