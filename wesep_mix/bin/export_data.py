"""Write prepared mixtures in the format of another toolkit.

    librimix            LibriMix's folder tree with metadata CSVs
    kaldi               Kaldi data folder
    espnet              ESPnet's folder for target-speaker extraction; with --embeddings or an enrolment wav
    wesep               WeSep's legacy layout (2024-25), with the matched embeddings; wesep_shards: its tar shards alone
    wesep_v01           WeSep v0.1 (2026), with the matched embeddings; wesep_v01_shards: its tar shards alone

librimix goes to OUT/Libri{N}Mix/wav16k/MODE/SET, the others to OUT/FORMAT/{N}mix/SET. The top of
wesep_mix/exports/FORMAT.py says what the files hold. An interrupted export goes on with the wavs and shards it finds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wesep_mix.base import plugins
from wesep_mix.base.config import from_dict, to_dict
from wesep_mix.base.errors import UserError
from wesep_mix.base.stage import STATE_FILE, Need, Part, guarded, run_part
from wesep_mix.bin.options import boolean
from wesep_mix.exports.job import Export, num_spk, plans_to_export
from wesep_mix.exports.wavs import tree_folder

OPTIONS = ("mode", "wav_subtype", "subset", "types", "wav", "shard_size", "labels")  # each format takes some of these


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    return guarded(lambda: _export(args), "export")


def _parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    options.add_argument("--format", required=True, help=plugins.listed("exports"))
    options.add_argument("--data", type=Path, required=True, help="prepared mixtures: data/CORPUS/Nmix")
    options.add_argument("--set_name", nargs="+", required=True, help="one or more of train, dev, test")
    options.add_argument("--out", type=Path, required=True, help="folder to write into")
    options.add_argument("--embeddings", type=Path, help="stage 4's folder: EXP/Nmix/embeddings")
    options.add_argument("--nj", type=int, default=1, help="parallel processes; never changes a result")
    options.add_argument("--force", type=boolean, default=False, metavar="true|false", help="redo what is done")
    options.add_argument("--mode", help="max: mixtures as planned; min: they end with the talker who ends first [max]")
    options.add_argument("--wav_subtype", help="PCM_16 or FLOAT [PCM_16]")
    options.add_argument("--subset", help="name of the set in the export, such as train-360 [the set's name]")
    options.add_argument("--types", nargs="+", help="librimix: which of mix_both mix_clean mix_single [all]")
    options.add_argument(
        "--wav",
        help="kaldi, espnet, wesep, wesep_v01: OUT/Libri{N}Mix/wav16k/MODE of an exported "
        "tree; its wavs are used, and none are written",
    )
    options.add_argument("--shard_size", type=int, help="WeSep: mixtures a shard [1000]")
    options.add_argument(
        "--labels",
        help="wesep, wesep_shards: source (each source is a label of its own) or speaker "
        "[source for train, speaker for others]",
    )
    return options


def _export(args: argparse.Namespace) -> None:
    module = plugins.load("exports", args.format)
    chosen = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    config = from_dict(module.Config, {"name": args.format, **chosen}, f"--format {args.format}")
    if config.subset and len(args.set_name) > 1:
        raise UserError(f"--subset {config.subset} names one set, found --set_name {' '.join(args.set_name)}")
    _check_embeddings(args, module.EMBEDDINGS)
    works = [_part(args, config, name) for name in args.set_name]
    for part, _ in works:
        part.check_needs()
    for part, job in works:
        run_part(part, args.force, lambda job=job: module.export(job()))


def _part(args: argparse.Namespace, config: Any, set_name: str) -> tuple[Part, Callable[[], Export]]:
    """The set's folder in the export, and a function that reads what is exported."""
    data, plan = args.data / set_name, args.data / set_name / "plan.jsonl"
    out = config.set_folder(args.out.absolute(), config.subset or set_name, num_spk(plan))
    embeddings = args.embeddings and args.embeddings / set_name

    def job() -> Export:
        return Export(config, plans_to_export(plan), data, out, embeddings, args.nj)

    needs = [Need(plan, 1)]
    if embeddings:
        needs.append(Need(embeddings / "matched.scp", 4))
    if getattr(config, "wav", ""):
        needs.append(Need(tree_folder(config, out), 1, large=True))
    title = f"export {args.format}, {set_name}"
    return Part(4 if embeddings else 1, title, out, to_dict(config), needs, config.index_files(out)), job


def _check_embeddings(args: argparse.Namespace, use: str) -> None:
    if use == "required" and args.embeddings is None:
        raise UserError(f"--format {args.format} takes stage 4's embeddings: give --embeddings EXP/Nmix/embeddings")
    if use == "unused" and args.embeddings is not None:
        raise UserError(f"--format {args.format} holds no embeddings; leave --embeddings out")
    for name in args.set_name if args.embeddings else ():
        if (args.embeddings / STATE_FILE).is_file() and not (args.embeddings / name).is_dir():
            raise UserError(
                f"{args.embeddings / name}: no such folder; stage 4 makes embeddings of the sets of its config: "
                f"run wesep_mix.bin.extract_embeddings with --set embeddings.sets=[{name}] and another --out, and give "
                "that folder here"
            )


if __name__ == "__main__":
    sys.exit(main())
