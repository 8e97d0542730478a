"""Stage 7: scores of extracted speech, one row an extracted talker, then mean, standard deviation and count.

`score_extracted` scores a condition of an extractor into scores.csv, which has all talkers, and summary.json, the means
over them or over one target a mixture; worker processes score one talker at a time (evaluation.trials). A metric
without a value is an empty cell: it is in no mean, and counted. The readers of both files are at the end. Torch is not
imported here, so that the workers start fast and stay small: what needs a network, `evaluation.voices`, comes after
them.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.base.installed import sources_hash
from wesep_mix.base.jobs import in_a_job
from wesep_mix.base.parallel import map_kept
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.settings import FILTERED, PERCEPTUAL, RATIOS, SHARES, ScoreConfig, Targets
from wesep_mix.evaluation.trials import AnyTrial, Measures, Scores, Trial, identity_of, rate_trials, score_trial
from wesep_mix.inference.controls import MIXTURE, SEPARATED, model_of
from wesep_mix.metrics.dnsmos import SCALES
from wesep_mix.mixing.plan import Plan, read_plans, speaker_keys

METRICS = (*RATIOS, *FILTERED, *SHARES, *PERCEPTUAL)  # and those of DNSMOS and the teacher's cosine where asked for
VOICE = "voice_cos"
SCORES, SUMMARY = "scores.csv", "summary.json"
JOURNAL = ".scored.jsonl"  # what a killed run has scored
TOLERANCE = 1e-6  # between a summary and its table, which has six decimals
GROUP = 8  # estimates that DNSMOS rates together


@dataclass(frozen=True)
class Voices:
    """What tells whose voice an estimate has.

    Attributes:
        teacher: model file.
        clean: scp of its embeddings of the clean sources, from stage 4.
        device: `cpu` or `cuda`.
    """

    teacher: Path
    clean: Path
    device: str = "cpu"


def score_extracted(
    condition: str, data: Path, extractor: Path, settings: ScoreConfig, nj: int, voices: Voices | None = None
) -> None:
    """Score `extractor/test/<condition>/wav`, or the mixtures as they are, into `extractor/test/<condition>/scores`.

    Args:
        condition: of the test (inference.controls).
        data: folder with the test set's plan.jsonl.
        extractor: folder of the trained extractor or separator.
        settings: of the scoring.
        nj: parallel processes.
        voices: for the teacher's cosine of estimate and target; None leaves it out.
    """
    out, plans = extractor / "test" / condition, read_plans(data / "plan.jsonl")
    wavs, params = (None, 0) if condition == MIXTURE else (out / "wav", _num_parameters(extractor, condition))
    score_condition(plans, wavs, out / "scores", params, settings, nj, settings.is_perceptual(condition), voices)


def _num_parameters(extractor: Path, condition: str) -> int:
    from wesep_mix.models.checkpoint import load_model, num_parameters  # imports torch, which workers don't need

    kind = "separators" if condition == SEPARATED else "extractors"
    return num_parameters(load_model(model_of(extractor, condition), kind))


def score_condition(
    plans: Sequence[Plan],
    wavs: Path | None,
    out: Path,
    params: int,
    settings: ScoreConfig,
    nj: int = 1,
    perceptual: bool = True,
    voices: Voices | None = None,
) -> dict[str, Any]:
    """Score every source of every mixture; write `out/scores.csv` and `out/summary.json`.

    Args:
        plans: the mixtures.
        wavs: folder of `<mix>-<speaker>.wav`; None scores the unprocessed mixture.
        out: folder to write.
        params: number of parameters of the extractor, passed on to the summary.
        settings: of the scoring. Of `max_bad` or fewer estimates that fail each is named, counted as `num_bad` and left
            out.
        nj: parallel processes; the result does not depend on it.
        perceptual: score by SDR, PESQ, STOI, ESTOI and DNSMOS too, which take nearly all of the time.
        voices: as for `score_extracted`.

    Returns:
        The summary, of `settings.targets`.

    Raises:
        UserError: more than `max_bad` estimates cannot be scored (missing, of wrong length, not finite, silent).
    """
    trials = [
        Trial(plan, index, wavs and wavs / f"{key}.wav")
        for plan in plans
        for index, key in enumerate(speaker_keys(plan))
    ]
    title, measures = f"scoring {_name(wavs)}", Measures.of(settings, perceptual)
    scored = score_trials(trials, measures, out, settings, nj, title)
    if voices:
        cosines = _voice_cosines([trial for trial, _ in scored], voices, title)
        for (_, scores), cosine in zip(scored, cosines, strict=True):
            scores.values[VOICE] = cosine
    return write_scored(scored, out, settings, title, num_bad=len(trials) - len(scored), params=params)


def score_trials(
    trials: Sequence[AnyTrial], measures: Measures, out: Path, settings: ScoreConfig, nj: int, title: str
) -> list[tuple[AnyTrial, Scores]]:
    """Score estimates in parallel; what a killed run has scored in `out` is not scored again.

    Args:
        trials: the estimates, each with a key of its own.
        measures: what is computed.
        out: folder of the journal, which `write_scored` removes.
        settings: of the scoring, for `max_bad`.
        nj: parallel processes.
        title: of the work.

    Returns:
        The trials that could be scored, and their scores.

    Raises:
        UserError: more than `max_bad` cannot, or none can.
    """
    asked = identity_of((measures, sources_hash()))
    named = {f"{trial.key} {asked} {trial.identity()}": trial for trial in trials}
    kept = out / JOURNAL
    found = map_kept(partial(score_trial, measures=measures), named, kept, nj, title, settings.max_bad, "score.max_bad")
    if not found:
        raise UserError(f"{title}: nothing was scored, {len(trials)} estimates wanted")
    scored = {name: Scores(**fields) for name, fields in found.items()}
    if measures.dnsmos:
        names = list(scored)
        groups = [tuple(names[first : first + GROUP]) for first in range(0, len(names), GROUP)]
        items = {f"dnsmos {group[0]} {identity_of(group)}": [named[name] for name in group] for group in groups}
        rated = map_kept(partial(rate_trials, personalised=measures.personalised), items, kept, nj, f"{title}, DNSMOS")
        for group, ratings in zip(groups, rated.values(), strict=True):
            for name, rating in zip(group, ratings, strict=True):
                scored[name].values |= rating
    return [(named[name], scores) for name, scores in scored.items()]


def write_scored(
    scored: Sequence[tuple[AnyTrial, Scores]], out: Path, settings: ScoreConfig, title: str, **counts: int
) -> dict[str, Any]:
    """Write `out/scores.csv` and `out/summary.json`, and tell which metrics have no value for whom.

    Args:
        scored: estimates and their scores, at least one.
        out: folder to write.
        settings: of the scoring.
        title: of the work, for what is told.
        counts: passed on to the summary.

    Returns:
        The summary, of `settings.targets`.
    """
    write_scores(out / SCORES, [{"mix": trial.mix, "speaker": trial.speaker, **one.values} for trial, one in scored])
    for metric in METRICS:
        if without := [f"{trial.key}: {one.why[metric]}" for trial, one in scored if metric in one.why]:
            told = f"{metric} has no value for {len(without)} of {len(scored)} talkers, its mean is over the others"
            print(f"warning: {title}: {told}; {without[0]}", file=sys.stderr)
    of = {"targets": settings.targets, "seed": settings.seed}
    summary = summarise(targets_of(read_scores(out / SCORES, RATIOS[:1]), **of)) | of | counts
    write_json(out / SUMMARY, summary)
    (out / JOURNAL).unlink(missing_ok=True)
    return summary


def _voice_cosines(trials: Sequence[Trial], voices: Voices, title: str) -> list[float]:
    from wesep_mix.evaluation.voices import voice_cosines  # imports torch, which workers don't need

    work = partial(voice_cosines, trials, voices.teacher, voices.clean, voices.device)
    return in_a_job(work, f"{title}, voices")


def _name(wavs: Path | None) -> str:
    return "the mixtures" if wavs is None else wavs.parent.name


def write_scores(path: Path, rows: Sequence[dict]) -> None:
    """Write a table of scores, sorted by mixture and speaker, with six decimals; NaN is an empty cell.

    Args:
        path: CSV file.
        rows: {mix, speaker, metrics}, at least one.
    """
    metrics = _metrics(rows[0])
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("mix", "speaker", *metrics))
        for row in sorted(rows, key=lambda row: (row["mix"].encode(), row["speaker"].encode())):
            writer.writerow((row["mix"], row["speaker"], *(_cell(row[metric]) for metric in metrics)))


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{round(value, 6) + 0.0:.6f}"  # 0 without a sign


def read_scores(path: Path, needed: Sequence[str] = RATIOS) -> list[dict]:
    """Rows of a table of scores, metrics as floats, an empty cell as NaN.

    Args:
        path: CSV file.
        needed: metrics that it must have, of every talker.

    Returns:
        {mix, speaker, metrics} a row.

    Raises:
        UserError: it is no table of scores, lacks what is needed, or a score is not finite.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        needed = (*needed, *(PERCEPTUAL[:2] if rows and set(PERCEPTUAL) & set(rows[0]) else ()))
        scores = [{**row, **{metric: _number(row[metric]) for metric in _metrics(row, needed)}} for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as err:
        raise UserError(f"{path}: not a table of scores ({err}); redo the stage with --force true") from err
    for row, texts in zip(scores, rows, strict=True):
        for metric in _metrics(row):
            if not math.isfinite(row[metric]) and (texts[metric] or metric in RATIOS + SHARES):
                raise UserError(
                    f"{path}: {metric} of {row['mix']}, {row['speaker']}: wanted a number, found "
                    f"{texts[metric] or 'an empty cell'}; redo the stage with --force true"
                )
    return scores


def _number(text: str) -> float:
    return float(text or "nan")


def read_scored(folder: Path, targets: Targets | None = None) -> tuple[list[dict], dict[str, Any]]:
    """The rows of a folder of scores, and their summary.

    Args:
        folder: with scores.csv and summary.json.
        targets: which rows; None takes those that summary.json is of.

    Returns:
        Rows {mix, speaker, metrics}, and the summary of them.

    Raises:
        UserError: one of the two is damaged: they do not agree.
    """
    rows, summary = read_scores(folder / SCORES), read_json(folder / SUMMARY)
    if not rows or not isinstance(summary, dict):
        raise UserError(
            f"{folder / (SUMMARY if rows else SCORES)}: wanted {'a mapping' if rows else 'scores'}, found "
            "none; redo the stage with --force true"
        )
    of = {"targets": summary.get("targets", "all"), "seed": summary.get("seed", 0)}  # older ones are of all talkers
    chosen = targets_of(rows, **of)
    means = summarise(chosen)
    for measure, value in means.items():
        noted = summary.get(measure, value)  # one that is missing is missed where it is needed
        if not _agree(noted, value):
            raise UserError(
                f"{folder / SCORES}: {measure} of its {len(chosen)} rows is {value}, in {SUMMARY} it is "
                f"{noted}; one of them is damaged, redo the stage with --force true"
            )
    if targets in (None, of["targets"]):
        return chosen, summary | of
    others = targets_of(rows, targets, of["seed"])
    rest = {key: value for key, value in summary.items() if key not in means}
    return others, rest | of | summarise(others) | {"targets": targets}


def _agree(noted: Any, value: Any) -> bool:
    if isinstance(value, dict):
        return noted == value
    return isinstance(noted, (int, float)) and abs(noted - value) < TOLERANCE


def targets_of(rows: Sequence[dict], targets: Targets, seed: int) -> list[dict]:
    """The rows that a mean is of.

    Each talker draws a number from the seed, the mixture and the speaker, and the lowest of a mixture is its target. So
    all extractors and conditions have the same targets, whatever the order of the rows; only where the target's
    estimate could not be scored, another talker of the mixture takes its place.

    Args:
        rows: of all talkers.
        targets: `all`, or `one` of each mixture.
        seed: of the draws.

    Returns:
        Those rows, in their order.
    """
    if targets == "all":
        return list(rows)
    drawn = [rng_for(seed, "target", row["mix"], row["speaker"]).random() for row in rows]
    lowest: dict[str, float] = {}
    for row, number in zip(rows, drawn, strict=True):
        lowest[row["mix"]] = min(number, lowest.get(row["mix"], number))
    return [row for row, number in zip(rows, drawn, strict=True) if number == lowest[row["mix"]]]


def summarise(rows: Sequence[dict]) -> dict[str, Any]:
    """Mean and standard deviation of each metric over the rows that have it, each of which counts once.

    Args:
        rows: {mix, speaker, metrics}, at least one.

    Returns:
        {num, metric, metric_std}; the deviation is the population's (divided by num, not num - 1). Under `empty` is how
        many rows do not have a metric, {metric: count}, where there are any; one that no row has is in that alone.
    """
    summary: dict[str, Any] = {"num": len(rows), "empty": {}}
    for metric in _metrics(rows[0]):
        values = np.array([row[metric] for row in rows])
        there = values[~np.isnan(values)]
        if len(there):
            summary[metric], summary[f"{metric}_std"] = float(there.mean()), float(there.std(ddof=0))
        if len(there) < len(values):
            summary["empty"][metric] = len(values) - len(there)
    return summary


def _metrics(row: Mapping, needed: Sequence[str] = ()) -> tuple[str, ...]:
    """The metrics of a row, in the order of the table, and those that it needs to have."""
    return tuple(metric for metric in (*METRICS, *SCALES, VOICE) if metric in row or metric in needed)
