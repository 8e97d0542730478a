"""Stage 7: score each talker of the extracted test set: SI-SDR, SDR, PESQ, STOI, whether it came out at all; with
`dnsmos: true` DNSMOS too, and with --teacher and --embeddings the cosine of the teacher's embeddings of estimate and
target. --config, --data and --extractor name it.

With --ref, --est and --out instead it scores any estimates by the same metrics, from lists of files, `key path` a line:

    python -m wesep_mix.bin.score --ref ref.scp --est est.scp --mix mix.scp --out DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wesep_mix.base.config import from_dict, load_config, parse_override
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin.options import boolean, parser
from wesep_mix.evaluation.settings import FILTERED, PERCEPTUAL, RATIOS, SHARES, ScoreConfig
from wesep_mix.inference.controls import CONTROLS, MIXTURE, SEPARATED, model_of

CLEAN = "teacher.scp"  # embeddings of clean sources
OF_TEST, OF_LISTS = ("config", "data", "extractor"), ("ref", "est", "out")  # options that belong together


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _score_lists(args) if args.ref else _score(args), "stage 7 (score)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    args = _parse(argv)
    return [_part(args, load_config(ScoreConfig, args.config, args.set))]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, help="egs/CORPUS/conf/score.yaml; for lists [what a field has without]")
    _add_test_set(options.add_argument_group("the test set"))
    _add_lists(options.add_argument_group("lists of files"))
    options.add_argument("--nj", type=int, default=1, help="parallel processes")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs, for the teacher; 0 computes on the CPU")
    args = options.parse_args(argv)
    wanted, others = (OF_LISTS, OF_TEST[1:]) if args.ref else (OF_TEST, OF_LISTS)
    if not all(getattr(args, name) for name in wanted) or any(getattr(args, name) for name in others):
        options.error("wanted --config, --data and --extractor, or --ref, --est and --out, and none of the others")
    if (args.teacher is None) != (args.embeddings is None):
        options.error("--teacher and --embeddings belong together: wanted both or none")
    return args


def _add_test_set(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--data", type=Path, help="the test set: data/CORPUS/Nmix/test")
    group.add_argument("--extractor", type=Path, help="trained extractor or separator: EXP/Nmix/NAME")
    group.add_argument(
        "--condition",
        choices=("matched", *CONTROLS, SEPARATED, MIXTURE),
        default="matched",
        help="as --condition of stage 6; separated for a separator; mixture scores the unprocessed "
        "mixtures and needs no model [matched]",
    )
    group.add_argument("--teacher", type=Path, help="EXP/teacher/model.pt, for its cosine [none]")
    group.add_argument("--embeddings", type=Path, help="EXP/Nmix/embeddings/test, with the teacher's of clean sources")


def _add_lists(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--ref", type=Path, action="append", default=[], help="references; once, or once a talker")
    group.add_argument("--est", type=Path, action="append", default=[], help="estimates, as often; or their folder")
    group.add_argument("--mix", type=Path, help="mixtures, for SI-SDRi and SDRi [none]")
    group.add_argument(
        "--permute",
        type=boolean,
        default=False,
        metavar="true|false",
        help="the estimates of a mixture are in no order: find the best one by SI-SDR [false]",
    )
    group.add_argument("--out", type=Path, help="folder for scores.csv and summary.json")


def _part(args: argparse.Namespace, settings: ScoreConfig) -> Part:
    needs, extracted = [Need(args.data / "plan.jsonl", 1)], args.extractor / "test" / args.condition
    if args.condition != MIXTURE:
        needs += [Need(model_of(args.extractor, args.condition), 5), Need(extracted / "wav" / "wav.scp", 6)]
    if args.teacher:
        needs += [Need(args.teacher, 2), Need(args.embeddings / CLEAN, 4)]
    defining = {
        "max_bad": settings.max_bad,
        "metrics": [*RATIOS, *(FILTERED if settings.sdr else ()), *SHARES, *PERCEPTUAL],
        "dnsmos": settings.dnsmos,
        "targets": settings.targets,
        "seed": settings.seed,
    }
    if settings.dnsmos_personalised:
        defining["dnsmos_personalised"] = True
    if not settings.is_perceptual(args.condition):
        defining["perceptual"] = False
    return Part(7, f"score, {args.condition}", extracted / "scores", defining, needs)


def _score(args: argparse.Namespace) -> None:
    settings = load_config(ScoreConfig, args.config, args.set)

    def work() -> None:
        from wesep_mix.evaluation.scoring import Voices, score_extracted

        device = "cuda" if args.ngpu else "cpu"
        voices = Voices(args.teacher, args.embeddings / CLEAN, device) if args.teacher else None
        score_extracted(args.condition, args.data, args.extractor, settings, args.nj, voices)

    run_part(_part(args, settings), args.force, work)


def _score_lists(args: argparse.Namespace) -> None:
    from wesep_mix.base.files import read_json
    from wesep_mix.evaluation.listed import Lists, listed_trials, score_lists
    from wesep_mix.evaluation.scoring import SUMMARY
    from wesep_mix.report.markdown import empty_told
    from wesep_mix.report.tables import extraction_table

    settings = load_config(ScoreConfig, args.config, args.set) if args.config else _without_config(args.set)
    lists = Lists(args.ref, args.est, args.mix, args.permute)
    defining = vars(settings) | {"files": [trial.identity() for trial in listed_trials(lists)]}
    part = Part(7, "score, lists", args.out, defining)
    run_part(part, args.force, lambda: score_lists(lists, args.out, settings, args.nj))
    summary = read_json(args.out / SUMMARY)
    rows = {args.out.name: summary}
    print("\n".join([extraction_table(rows).text(), *empty_told({name: row["empty"] for name, row in rows.items()})]))


def _without_config(overrides: Sequence[str]) -> ScoreConfig:
    values = (parse_override(override) for override in overrides)
    return from_dict(ScoreConfig, {".".join(key).removeprefix("score."): value for key, value in values}, "--set")


if __name__ == "__main__":
    sys.exit(main())
