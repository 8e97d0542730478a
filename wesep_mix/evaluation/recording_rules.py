"""Stage 8 of recordings without sources: whose speech counts, how it differs from the recording, and whom an enrolment
would pick.

Which of a recording's talkers counts, where one is to, is a rule. With an enrolment, the margin of a recording is the
largest cosine of its talkers' embeddings to the enrolment's less the next, for two talkers |cos(e1, enrolment) -
cos(e2, enrolment)|.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wesep_mix.evaluation.recordings import DIFF, INPUT, Row, by_recording, scales_of
from wesep_mix.metrics.correlation import rank_correlation
from wesep_mix.metrics.intervals import bootstrap

Rule = Literal["loudest", "present", "mean", "enrolment", "best"]
RULES: dict[Rule, str] = {
    "loudest": "the talker whose speech is the loudest",
    "present": "the talker of whom the student says most surely that there is such a one",
    "mean": "the mean of all talkers of a recording",
    "enrolment": "analysis alone: the talker whose embedding is nearest to the enrolment's",
    "best": "a bound: the talker whose speech has the highest OVRL",
}
MARGINS = "margins.csv"
RULED = "_rule"  # behind a difference: of the talker that the rule takes
LEAST_RANKED = 10  # recordings, from which on a correlation says something


@dataclass(frozen=True)
class Known:
    """What the rules need beside the scores, by `<recording>-<head>`: cosines to the enrolment, and presence."""

    cosines: Mapping[str, float]
    presence: Mapping[str, float]


def chosen_rows(rows: Sequence[Row], rule: Rule, known: Known) -> dict[str, Row]:
    """The scores that count by a rule.

    Args:
        rows: of the talkers of all recordings.
        rule: which of a recording's talkers counts.
        known: of the talkers.

    Returns:
        {recording: its row}, for the mean one of means; without the recordings for which the rule says nothing.
    """
    if rule == "mean":
        return {name: _mean(own) for name, own in by_recording(rows).items()}
    worth = _worth(rule, known)
    usable = by_recording([row for row in rows if worth(row) is not None])
    return {name: max(own, key=worth) for name, own in usable.items()}


def _worth(rule: Rule, known: Known) -> Callable[[Row], float | None]:
    if rule in ("loudest", "best"):
        return lambda row: row["level_db" if rule == "loudest" else "ovrl"]
    told = known.cosines if rule == "enrolment" else known.presence
    return lambda row: told.get(f"{row['recording']}-{row['head']}")


def _mean(rows: Sequence[Row]) -> Row:
    names = [name for name, value in rows[0].items() if isinstance(value, float)]
    return {"recording": rows[0]["recording"]} | {name: float(np.mean([row[name] for row in rows])) for name in names}


def enrolment_cosines(
    embeddings: Mapping[str, np.ndarray], keys: Mapping[str, Sequence[str]], enrolments: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Cosines of talkers to the enrolment of their recording.

    Args:
        embeddings: {`<recording>-<head>`: [D]}.
        keys: {recording: the keys of its talkers}.
        enrolments: {recording: [D]}.

    Returns:
        {`<recording>-<head>`: cosine}, of recordings with an enrolment.
    """
    return {key: _cosine(embeddings[key], wanted) for name, wanted in enrolments.items() for key in keys[name]}


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-12))


def margin_rows(rows: Sequence[Row], rule: Rule, known: Known) -> list[Row]:
    """The margin of each recording with an enrolment, beside the differences of DNSMOS.

    Args:
        rows: scores of the talkers.
        rule: whose differences stand beside those of the talker that the enrolment picks.
        known: of the talkers.

    Returns:
        {recording, margin, cos_first, cos_second, picked (a head), same (1 where the rule takes it too, else 0),
        <scale>_diff of the one picked, <scale>_diff_rule}; margin, cos_second and same are NaN where there is one
        talker, and same where the rule takes none.
    """
    picked, ruled = (chosen_rows(rows, each, known) for each in ("enrolment", rule))
    talkers, scales = by_recording(rows), scales_of(rows)
    found = []
    for name, row in picked.items():
        cosines = sorted((known.cosines[f"{name}-{one['head']}"] for one in talkers[name]), reverse=True)
        second = cosines[1] if len(cosines) > 1 else float("nan")
        other = ruled.get(name, {})
        is_choice = len(cosines) > 1 and "head" in other
        found.append(
            {"recording": name, "margin": cosines[0] - second, "cos_first": cosines[0], "cos_second": second}
            | {"picked": row["head"], "same": float(other["head"] == row["head"]) if is_choice else float("nan")}
            | {f"{scale}{DIFF}": row[f"{scale}{DIFF}"] for scale in scales}
            | {f"{scale}{DIFF}{RULED}": other.get(f"{scale}{DIFF}", float("nan")) for scale in scales}
        )
    return found


def margin_summary(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    """How margins go with the differences of DNSMOS.

    Args:
        rows: of `margin_rows`.
        seed: of the bootstrap.

    Returns:
        `num` recordings, and `with_margin`, those of two talkers or more. Of the latter: `margin`, the mean; `same`,
        the share in which the rule takes the talker that the enrolment picks. `rank`: {column: {value, low, high}},
        Spearman's correlation of the margin with each column of differences, None of fewer than LEAST_RANKED. What is
        not known is None.
    """
    margins, same = (np.array([row[name] for row in rows]) for name in ("margin", "same"))
    there, chosen = ~np.isnan(margins), ~np.isnan(same)
    names = [name for name in rows[0] if name.removesuffix(RULED).endswith(DIFF)]
    pairs = {name: np.array([(row["margin"], row[name]) for row in rows])[there] for name in names}
    return {
        "num": len(rows),
        "with_margin": int(there.sum()),
        "margin": float(margins[there].mean()) if there.any() else None,
        "same": float(same[chosen].mean()) if chosen.any() else None,
        "rank": {name: _with_interval(own, seed) for name, own in pairs.items()},
    }


def _with_interval(pairs: np.ndarray, seed: int) -> dict[str, float] | None:
    if len(pairs) < LEAST_RANKED:
        return None
    value, ends = _of_pairs(pairs), bootstrap(pairs, seed, _of_pairs)
    return None if value is None or ends is None else {"value": value, "low": ends[0], "high": ends[1]}


def _of_pairs(pairs: np.ndarray) -> float | None:
    return rank_correlation(*pairs.T)


def mean_difference(rows: Sequence[Row], column: str, files: Mapping[str, str], seed: int) -> dict[str, float]:
    """The mean of a column over recordings, and its interval.

    Args:
        rows: a recording each.
        column: which.
        files: {recording: its file}; clips of one file are drawn together.
        seed: of the bootstrap.

    Returns:
        {"value", and with two files or more "low" and "high", ends of the interval of 95 %}.
    """
    by_file: dict[str, list[float]] = {}
    for row in rows:
        by_file.setdefault(files[row["recording"]], []).append(row[column])
    sums = np.array([(sum(own), len(own)) for _, own in sorted(by_file.items())])
    ends = bootstrap(sums, seed)
    value = {"value": float(sums[:, 0].sum() / sums[:, 1].sum())}
    return value if ends is None else value | {"low": ends[0], "high": ends[1]}


def compare_rules(rows: Sequence[Row], known: Known, files: Mapping[str, str], seed: int) -> dict[str, Any]:
    """Each rule's means after and before, and the differences with intervals.

    Args:
        rows: scores of the talkers.
        known: of the talkers.
        files: {recording: its file}.
        seed: of the bootstrap.

    Returns:
        {rule: {"num": recordings, "after", "before": {scale: mean}, "difference": {scale: as of `mean_difference`}}},
        without the rules that say nothing here.
    """
    found = {}
    for rule in RULES:
        own = list(chosen_rows(rows, rule, known).values())
        if not own:
            continue
        scales = scales_of(rows)
        found[rule] = {
            "num": len(own),
            "after": {scale: float(np.mean([row[scale] for row in own])) for scale in scales},
            "before": {scale: float(np.mean([row[f"{scale}{INPUT}"] for row in own])) for scale in scales},
            "difference": {scale: mean_difference(own, f"{scale}{DIFF}", files, seed) for scale in scales},
        }
    return found
