"""Stage 8: clustering metrics of the embeddings, the controls of the extraction, and analyses of both.

Controls: no embedding, the wrong talker's, a random speaker's, the teacher's of the clean source (oracle) and of
another utterance of the talker, clean and noisy (enrolments, which embed_enrolments makes). Stage 6's entry point
extracts them; stage 7's scores them and the unprocessed mixture.

Then what lies behind the numbers, into EXTRACTOR/analysis: the way from one talker's embedding to the other's, margins
between candidates, the worst mixtures with their audio; with --separator also SEPARATOR/analysis, the embeddings of
separated speech.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from wesep_mix.base.config import load_config, to_dict
from wesep_mix.base.jobs import in_a_job
from wesep_mix.base.stage import Need, Part, guarded, run_part
from wesep_mix.bin import embed_enrolments, extract_speech, score
from wesep_mix.bin.options import parser
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.inference.controls import ENROLMENTS, MIXTURE, SEPARATED, model_of
from wesep_mix.inference.settings import Chunks, ExtractConfig

ANALYSIS = "analysis"


def main(argv: list[str] | None = None) -> int:
    args = _parse(argv)
    return guarded(lambda: _analyse(args), "stage 8 (analyse)")


def parts(argv: list[str]) -> list[Part]:
    """The folders that these options make."""
    args = _parse(argv)
    settings = load_config(ScoreConfig, args.config, args.set)
    extracted = (part for control in settings.controls for part in extract_speech.parts(_extraction(args, control)))
    scored = (part for options in _scorings(args, settings.controls) for part in score.parts(options))
    return [_clustering(args, settings), *_enrolments(args, settings), *extracted, *scored, *_analyses(args, settings)]


def _parse(argv: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--config", type=Path, required=True, help="egs/CORPUS/conf/score.yaml")
    options.add_argument("--extract_config", type=Path, required=True, help="egs/CORPUS/conf/extract.yaml")
    options.add_argument("--data", type=Path, required=True, help="the test set: data/CORPUS/Nmix/test")
    options.add_argument("--single", type=Path, required=True, help="voices alone: data/CORPUS/single/test")
    options.add_argument("--teacher", type=Path, required=True, help="EXP/teacher/model.pt")
    options.add_argument("--student", type=Path, required=True, help="EXP/Nmix/student/model.pt")
    options.add_argument("--embeddings", type=Path, required=True, help="EXP/Nmix/embeddings")
    options.add_argument("--extractor", type=Path, required=True, help="trained extractor: EXP/Nmix/NAME")
    options.add_argument("--separator", type=Path, help="trained separator: EXP/Nmix/NAME [none]")
    options.add_argument("--nj", type=int, default=1, help="parallel processes")
    options.add_argument("--ngpu", type=int, default=0, help="GPUs; 0 works on the CPU")
    return options.parse_args(argv)


def _analyse(args: argparse.Namespace) -> int:
    settings = load_config(ScoreConfig, args.config, args.set)
    clustering, enrolments = _clustering(args, settings), _enrolments(args, settings)
    made_before = [_extraction(args, control) for control in settings.controls if control not in ENROLMENTS]
    extracted = [part for each in made_before for part in extract_speech.parts(each)]
    analyses = _analyses(args, settings)
    for part in (clustering, *enrolments, *extracted, *analyses):
        part.check_needs()
    run_part(clustering, args.force, partial(_cluster, args, settings, clustering.out))
    mixtures, *scorings = _scorings(args, settings.controls)
    status = score.main(mixtures) or (embed_enrolments.main(_enrolling(args)) if enrolments else 0)
    extractions = [_extraction(args, control) for control in settings.controls]
    for extraction, scoring in zip(extractions, scorings, strict=True):
        status = status or extract_speech.main(extraction) or score.main(scoring)
    for part, work in zip(analyses, (_extractor, _separator), strict=False) if not status else ():
        run_part(part, args.force, partial(work, args, settings, part.out))
    return status


def _clustering(args: argparse.Namespace, settings: ScoreConfig) -> Part:
    needs = [
        Need(args.data / "plan.jsonl", 1),
        Need(args.single / "plan.jsonl", 1),
        Need(args.teacher, 2),
        Need(args.student, 3),
        Need(args.embeddings / "test" / "matched.scp", 4),
        Need(args.embeddings / "single_test" / "teacher.scp", 4),
    ]
    return Part(8, "clustering", args.extractor.parent / "clustering", {"seed": settings.seed}, needs)


def _cluster(args: argparse.Namespace, settings: ScoreConfig, out: Path) -> None:
    from wesep_mix.evaluation.clustering import cluster

    models = (args.teacher, args.student)
    work = partial(cluster, args.embeddings, models, args.data, args.single, settings.seed, _device(args), out)
    in_a_job(work, "clustering")


def _analyses(args: argparse.Namespace, settings: ScoreConfig) -> list[Part]:
    """Of the extractor, and of the separator where there is one."""
    plans, test = Need(args.data / "plan.jsonl", 1), args.embeddings / "test"
    extractor = Part(
        8,
        f"analysis, {args.extractor.name}",
        args.extractor / ANALYSIS,
        {"seed": settings.seed, "analysis": to_dict(settings.analysis), "chunks": to_dict(_chunks(args))},
        [
            plans,
            Need(test / "matched.scp", 4),
            Need(model_of(args.extractor, "matched"), 5),
            Need(args.extractor / "test" / "matched" / "scores" / "summary.json", 7),
        ],
    )
    if not args.separator:
        return [extractor]
    needs = [
        plans,
        Need(args.teacher, 2),
        Need(args.student, 3),
        Need(test / "matched.scp", 4),
        Need(model_of(args.separator, SEPARATED), 5),
        Need(args.separator / "test" / SEPARATED / "wav" / "wav.scp", 6),
    ]
    title = f"analysis, {args.separator.name}"
    return [extractor, Part(8, title, args.separator / ANALYSIS, {"seed": settings.seed}, needs)]


def _chunks(args: argparse.Namespace) -> Chunks:
    return load_config(ExtractConfig, args.extract_config, args.set).chunks


def _extractor(args: argparse.Namespace, settings: ScoreConfig, out: Path) -> None:
    from wesep_mix.evaluation.analysis import Extracted, analyse_extractor

    extracted = Extracted(args.data, args.embeddings / "test", args.extractor, _chunks(args))
    analyse_extractor(extracted, settings.analysis, settings.seed, out, _device(args), args.nj)


def _separator(args: argparse.Namespace, settings: ScoreConfig, out: Path) -> None:
    from wesep_mix.evaluation.analysis import analyse_separator
    from wesep_mix.evaluation.separated import Outputs

    outputs = Outputs(args.separator, args.teacher, args.student, args.embeddings)
    analyse_separator(outputs, args.data, settings.seed, out, _device(args), args.nj)


def _device(args: argparse.Namespace) -> str:
    return "cuda" if args.ngpu else "cpu"


def _enrolments(args: argparse.Namespace, settings: ScoreConfig) -> list[Part]:
    return embed_enrolments.parts(_enrolling(args)) if settings.enrolments else []


def _enrolling(args: argparse.Namespace) -> list[str]:
    """Options of the entry point that makes the enrolments."""
    return [
        f"--config={args.config}",
        f"--teacher={args.teacher}",
        f"--student={args.student}",
        f"--out={_enrolments_folder(args)}",
        f"--nj={args.nj}",
        f"--ngpu={args.ngpu}",
        *_common(args),
    ]


def _enrolments_folder(args: argparse.Namespace) -> Path:
    return args.embeddings.parent / "enrolments"


def _extraction(args: argparse.Namespace, control: str) -> list[str]:
    """Options of stage 6's entry point."""
    embeddings = _enrolments_folder(args) if control in ENROLMENTS else args.embeddings / "test"
    return [
        f"--config={args.extract_config}",
        f"--score_config={args.config}",
        f"--embeddings={embeddings}",
        f"--extractor={args.extractor}",
        f"--condition={control}",
        f"--ngpu={args.ngpu}",
        *_common(args),
    ]


def _scorings(args: argparse.Namespace, controls: Sequence[str]) -> list[list[str]]:
    """Options of stage 7's entry point: for the unprocessed mixtures, then for each control."""
    mixtures = _scoring(args, args.extractor.parent / MIXTURE, MIXTURE)
    return [mixtures, *(_scoring(args, args.extractor, control) for control in controls)]


def _scoring(args: argparse.Namespace, extractor: Path, condition: str) -> list[str]:
    """Options of stage 7's entry point."""
    return [
        f"--config={args.config}",
        f"--extractor={extractor}",
        f"--condition={condition}",
        f"--teacher={args.teacher}",
        f"--embeddings={args.embeddings / 'test'}",
        f"--nj={args.nj}",
        f"--ngpu={args.ngpu}",
        *_common(args),
    ]


def _common(args: argparse.Namespace) -> list[str]:
    return [
        f"--data={args.data}",
        f"--force={str(args.force).lower()}",
        *(f"--set={setting}" for setting in args.set),
    ]


if __name__ == "__main__":
    sys.exit(main())
