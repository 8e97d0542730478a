"""Stage 7: scores of extracted speech, one row an extracted talker, then mean, standard deviation and count.

`score_extracted` scores a condition of an extractor into scores.csv, which has all talkers, and summary.json, the means
over them or over one target a mixture; `score_trial` scores one talker, in a worker process. The readers of both files
are at the end. Torch is not imported here, so that the workers start fast and stay small: what needs a network,
`evaluation.voices`, comes after them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.base.jobs import in_a_job
from wesep_mix.base.parallel import map_items
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.settings import PERCEPTUAL, RATIOS, SHARES, ScoreConfig, Targets
from wesep_mix.inference.controls import MIXTURE, SEPARATED, model_of
from wesep_mix.io.audio import read_audio
from wesep_mix.metrics.dnsmos import SCALES, dnsmos
from wesep_mix.metrics.extraction import is_extracted, is_wrong_talker
from wesep_mix.metrics.perceptual import pesq_wideband, stoi
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.mixing.plan import Plan, read_plans, speaker_keys
from wesep_mix.mixing.render import Rendered, render

METRICS = (*RATIOS, *SHARES, *PERCEPTUAL)  # and those of DNSMOS and the teacher's cosine where they are asked for
VOICE = "voice_cos"
SCORES, SUMMARY = "scores.csv", "summary.json"
TOLERANCE = 1e-6  # between a summary and its table, which has six decimals


@dataclass(frozen=True)
class Trial:
    """An estimate and the source that it is scored against.

    Attributes:
        plan: the mixture.
        index: number of the source in the mixture.
        wav: the estimate; None for the unprocessed mixture.
        perceptual: whether to score by PESQ, STOI and ESTOI too, which take nearly all of the time.
        dnsmos: whether to score by DNSMOS too, which takes four times as long as all else together.
    """

    plan: Plan
    index: int
    wav: Path | None
    perceptual: bool = True
    dnsmos: bool = False


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
        perceptual: as for `Trial`.
        voices: as for `score_extracted`.

    Returns:
        The summary, of `settings.targets`.

    Raises:
        UserError: more than `max_bad` estimates cannot be scored (missing, of wrong length, not finite, silent, refused
            by PESQ or STOI).
    """
    trials = [
        Trial(plan, index, wavs and wavs / f"{key}.wav", perceptual, settings.dnsmos)
        for plan in plans
        for index, key in enumerate(speaker_keys(plan))
    ]
    title = f"scoring {_name(wavs)}"
    scored = map_items(score_trial, trials, nj, title, settings.max_bad, setting="score.max_bad")
    if not scored:
        raise UserError(f"{title}: nothing was scored, {len(trials)} estimates wanted")
    rows = [_row(trial, scores) for trial, scores in scored]
    if voices:
        cosines = _voice_cosines([trial for trial, _ in scored], voices, title)
        rows = [row | {VOICE: cosine} for row, cosine in zip(rows, cosines, strict=True)]
    write_scores(out / SCORES, rows)
    of = {"targets": settings.targets, "seed": settings.seed}
    means = summarise(targets_of(read_scores(out / SCORES), **of))
    summary = means | of | {"num_bad": len(trials) - len(scored), "params": params}
    write_json(out / SUMMARY, summary)
    return summary


def _voice_cosines(trials: Sequence[Trial], voices: Voices, title: str) -> list[float]:
    from wesep_mix.evaluation.voices import voice_cosines  # imports torch, which workers don't need

    work = partial(voice_cosines, trials, voices.teacher, voices.clean, voices.device)
    return in_a_job(work, f"{title}, voices")


def _name(wavs: Path | None) -> str:
    return "the mixtures" if wavs is None else wavs.parent.name


def _row(trial: Trial, scores: dict[str, float]) -> dict:
    return {"mix": trial.plan.id, "speaker": trial.plan.sources[trial.index].spk, **scores}


def score_trial(trial: Trial) -> dict[str, float]:
    """All metrics of one estimate but for the teacher's cosine.

    Args:
        trial: the estimate and what it is scored against.

    Returns:
        {metric: number}; 1 and 0 for what becomes a share.

    Raises:
        UserError: begins with the utterance's key.
    """
    rendered = render(trial.plan)
    source = rendered.sources[trial.index]
    try:
        est = estimate(trial, rendered)
        ratios = [si_sdr(est, each) for each in rendered.sources]
        improvement = ratios[trial.index] - si_sdr(rendered.mix, source)
        return {
            "si_sdr": ratios[trial.index],
            "si_sdri": improvement,
            "extracted": float(is_extracted(improvement)),
            "wrong_talker": float(is_wrong_talker(ratios, trial.index)),
            **(_perceptual(est, source, trial) if trial.perceptual else {}),
        }
    except UserError as err:
        raise UserError(f"{speaker_keys(trial.plan)[trial.index]}: {err}") from err


def estimate(trial: Trial, rendered: Rendered) -> np.ndarray:
    """The samples of an estimate.

    Args:
        trial: the estimate.
        rendered: its mixture.

    Returns:
        [T], as long as the mixture.

    Raises:
        UserError: the file is missing, cannot be read, or is of another length.
    """
    return rendered.mix if trial.wav is None else _read_est(trial.wav, len(rendered.mix))


def _perceptual(est: np.ndarray, source: np.ndarray, trial: Trial) -> dict[str, float]:
    rate = trial.plan.sample_rate
    return {
        "pesq": pesq_wideband(est, source, rate),
        "stoi": stoi(est, source, rate),
        "estoi": stoi(est, source, rate, extended=True),
        **(dnsmos(est, rate) if trial.dnsmos else {}),
    }


def _read_est(wav: Path, num_samples: int) -> np.ndarray:
    if not wav.is_file():
        raise UserError(f"{wav}: no such file; extract it first")
    est = read_audio(wav)
    if len(est) != num_samples:
        raise UserError(f"{wav}: wanted {num_samples} samples as in the mixture, found {len(est)}")
    return est


def write_scores(path: Path, rows: Sequence[dict]) -> None:
    """Write a table of scores, sorted by mixture and speaker, with six decimals.

    Args:
        path: CSV file.
        rows: {mix, speaker, metrics}, at least one.
    """
    metrics = _metrics(rows[0])
    with atomic_write(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("mix", "speaker", *metrics))
        for row in sorted(rows, key=lambda row: (row["mix"].encode(), row["speaker"].encode())):
            writer.writerow((row["mix"], row["speaker"], *(f"{row[metric]:.6f}" for metric in metrics)))


def read_scores(path: Path) -> list[dict]:
    """Rows of a table of scores, metrics as floats.

    Args:
        path: CSV file.

    Returns:
        {mix, speaker, metrics} a row.

    Raises:
        UserError: it is no table of scores, or a score is not finite.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        scores = [{**row, **{metric: float(row[metric]) for metric in _metrics(row)}} for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as err:
        raise UserError(f"{path}: not a table of scores ({err}); redo the stage with --force true") from err
    for row in scores:
        for metric in _metrics(row):
            if not math.isfinite(row[metric]):
                raise UserError(
                    f"{path}: {metric} of {row['mix']}, {row['speaker']}: wanted a number, found "
                    f"{row[metric]}; redo the stage with --force true"
                )
    return scores


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
    for measure, value in summarise(chosen).items():
        noted = summary.get(measure, value)  # one that is missing is missed where it is needed
        if not isinstance(noted, (int, float)) or not abs(noted - value) < TOLERANCE:
            raise UserError(
                f"{folder / SCORES}: {measure} of its {len(chosen)} rows is {value:g}, in {SUMMARY} it is "
                f"{noted}; one of them is damaged, redo the stage with --force true"
            )
    if targets in (None, of["targets"]):
        return chosen, summary | of
    others = targets_of(rows, targets, of["seed"])
    return others, summary | of | summarise(others) | {"targets": targets}


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


def summarise(rows: Sequence[dict]) -> dict[str, float]:
    """Mean and standard deviation of each metric over the rows, every row counting once.

    Args:
        rows: {mix, speaker, metrics}, at least one.

    Returns:
        {num, metric, metric_std}; the deviation is the population's (divided by num, not num - 1).
    """
    summary: dict[str, float] = {"num": len(rows)}
    for metric in _metrics(rows[0]):
        values = np.array([row[metric] for row in rows])
        summary[metric], summary[f"{metric}_std"] = float(values.mean()), float(values.std(ddof=0))
    return summary


def _metrics(row: Mapping) -> tuple[str, ...]:
    """The metrics of a row; one that has PESQ or STOI must have both, others are not in tables of older revisions."""
    needed = (*RATIOS, *(PERCEPTUAL[:2] if any(metric in row for metric in PERCEPTUAL) else ()))
    return tuple(metric for metric in (*METRICS, *SCALES, VOICE) if metric in row or metric in needed)
