"""Stage 1: lists and mixture plans of a corpus."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wesep_mix.base.config import load_config, to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import boolean, parser
from wesep_mix.mixing.librimix import check_lists
from wesep_mix.mixing.prepare import MIXTURES, SINGLE, lists_part, plans_part, prepare_plans, refuse_others
from wesep_mix.preparation.decoding import decode_corpus
from wesep_mix.preparation.listing import check_folders, prepare_lists
from wesep_mix.preparation.relocation import folders_now, refresh_tables
from wesep_mix.preparation.settings import CorpusConfig
from wesep_mix.tables.table2 import load_tables, talker_numbers


@dataclass(frozen=True)
class Step:
    """A folder of stage 1 and how it is made; `shared` ones may belong to another recipe."""

    part: Part
    work: Callable[[], None]
    shared: bool = True


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _prepare(args), "stage 1 (data)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    args = _parse(argv)
    settings, corpus = load_config(CorpusConfig, args.config, args.set), (args.shared or args.data) / "corpus"
    return [step.part for step in _steps(args, settings, folders_now(corpus))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/corpus.yaml")
    options.add_argument("--data", type=Path, required=True, help="folder to write: data/CORPUS")
    options.add_argument("--shared", type=Path, help="folder of lists and single-speaker set [the one of --data]")
    options.add_argument(
        "--num_spk",
        type=int,
        nargs="+",
        required=True,
        help="talkers in a mixture; several numbers make several folders: 2 3",
    )
    options.add_argument(
        "--tables",
        type=boolean,
        default=False,
        metavar="true|false",
        help="also mixtures with the numbers of talkers that the rows of table1.yaml and table2.yaml want, if possible",
    )
    options.add_argument("--nj", type=int, default=1, help="parallel processes")
    return options.parse_args(argv)


def _prepare(args: argparse.Namespace) -> None:
    settings, shared = load_config(CorpusConfig, args.config, args.set), args.shared or args.data
    own, corpus = shared == args.data, shared / "corpus"
    now = folders_now(corpus)
    if (args.force and own) or not lists_part(corpus, to_dict(settings), now).is_done():
        now = {}  # it will be listed where the settings say
        check_folders(settings.corpus)
    steps = _steps(args, settings, now)
    for step in () if own else steps:
        if step.part.out in (corpus, shared / "single"):
            refuse_others(step.part, args.config)
    for step in steps:
        run_part(step.part, args.force and (own or not step.shared), step.work)
    refresh_tables({shared, args.data})


def _steps(args: argparse.Namespace, settings: CorpusConfig, now: Mapping[str, str]) -> list[Step]:
    """All of stage 1, the lists first; `now` is where the corpus lies (preparation.relocation.folders_now)."""
    shared, raw = args.shared or args.data, to_dict(settings)
    corpus, nj = shared / "corpus", args.nj
    plans = partial(prepare_plans, settings, corpus / "lists")
    steps = [Step(lists_part(corpus, raw, now), partial(prepare_lists, settings, corpus, nj))]
    if settings.decoded:
        decoded = Part(1, "decoded audio", corpus / "decoded", {"form": "wav"}, [Need(corpus, 1)])
        steps.append(Step(decoded, partial(decode_corpus, corpus / "lists", decoded.out, nj)))
    single = plans_part(shared / "single", 1, raw, SINGLE, corpus, now)
    steps.append(Step(single, partial(plans, single.out, 1)))
    for num_spk in dict.fromkeys([*args.num_spk, *(_table_talkers(args, settings) if args.tables else ())]):
        mixtures = plans_part(args.data / f"{num_spk}mix", num_spk, raw, MIXTURES, corpus, now)
        steps.append(Step(mixtures, partial(plans, mixtures.out, num_spk), shared=False))
    return steps


def _table_talkers(args: argparse.Namespace, settings: CorpusConfig) -> Iterator[int]:
    """Numbers of talkers in the mixtures of the tables' rows, without those for which LibriMix has no lists."""
    for num_spk in talker_numbers(*load_tables(args.config.parent, args.set)):
        try:
            if settings.metadata_dir and num_spk not in args.num_spk:
                for subsets in getattr(settings.corpus, "subsets", {}).values():
                    check_lists(settings.metadata_dir, num_spk, subsets)
            yield num_spk
        except UserError as err:
            print(f"note: rows with {num_spk} talkers are left out of the tables: {err}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
