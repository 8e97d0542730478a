"""Recordings without sources: stages 1, 4, 6, 7, 8 and 9 of them, set by egs/CORPUS/conf/recordings.yaml.

Stage 1 lists them. Stage 4 hears who speaks in each, stage 6 extracts everybody, stage 7 rates recordings and speech by
DNSMOS, stage 8 compares them, stage 9 writes the page. A trained model is needed, and no enrolment; where there are
some, stage 8 says whom they would pick.
"""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from functools import partial
from pathlib import Path

from wesep_mix.base.stage import Part, guarded
from wesep_mix.bin.options import parser
from wesep_mix.models.networks import STAGES as PARTS
from wesep_mix.models.networks import Networks, find_networks
from wesep_mix.tables.recordings import NAME, RecordingsLayout, load_recordings
from wesep_mix.tables.recordings_stage import STAGES, RecordingsStage, title
from wesep_mix.tables.sessions_stage import Request


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _stage(args).run(), title(args.stage_number))


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    return _stage(_parse(argv)).all_parts()


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--stage_number", type=int, required=True, choices=STAGES)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/recordings.yaml")
    options.add_argument("--data", type=Path, required=True, help="the set: data/CORPUS")
    options.add_argument("--exp", type=Path, required=True, help="results: exp/CORPUS")
    options.add_argument("--model", help="a model's folder or name, or an experiment, exp/CORPUS [the shipped one]")
    options.add_argument("--num_spk", type=int, help="of an experiment's students, exp/CORPUS/Nmix [the only one]")
    options.add_argument("--extractor", default="", help="of the extractors in exp/CORPUS/Nmix [the only one]")
    options.add_argument("--teacher", type=Path, help="model.pt of stage 2 [EXPERIMENT/teacher/model.pt]")
    options.add_argument("--nj", type=int, default=1, help="parallel jobs")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 works on the CPU")
    return options.parse_args(argv)


def _stage(args: argparse.Namespace) -> RecordingsStage:
    config = load_recordings(args.config, args.set)
    networks = find_networks(args.model, args.num_spk, args.extractor, args.teacher)
    layout = RecordingsLayout(
        config=config,
        data=args.data,
        exp=args.exp,
        model=networks.name,
        identity=networks.settings(),
        networks={part: networks.needs(part) for part in PARTS},
    )
    corpus = args.config.parents[1].name
    request = Request(args.stage_number, corpus, args.nj, args.ngpu, args.force)
    return RecordingsStage(
        request, layout, partial(_hearing, networks, layout, request.device), partial(_command, args, corpus)
    )


def _hearing(networks: Networks, layout: RecordingsLayout, device: str) -> object:
    from wesep_mix.inference.recordings import Hearing

    config = layout.config
    return Hearing(networks, config.candidates, config.channel, config.use, device)


def _command(args: argparse.Namespace, corpus: str) -> str:
    """The line that makes the results, as one would type it."""
    from wesep_mix.report.markdown import portable, tag_of

    given = {name: getattr(args, name) for name in ("model", "num_spk", "extractor", "teacher")}
    given["tag"] = tag_of(args.exp, corpus)
    options = [portable(f"{name}={value}").partition("=") for name, value in given.items() if value]
    pairs = [*map(_as_typed, map(portable, args.set)), *((f"--{name}", value) for name, _, value in options)]
    return shlex.join(["bash", f"egs/{corpus}/run.sh", *(word for pair in pairs for word in pair)])


def _as_typed(setting: str) -> tuple[str, str]:
    """A setting as the option of the script that stands for it."""
    found = re.fullmatch(rf"{NAME}\.(recordings|enrolments)_dir:=(.*)", setting, re.DOTALL)
    return (f"--{found[1]}", found[2]) if found else ("--set", setting)


if __name__ == "__main__":
    sys.exit(main())
