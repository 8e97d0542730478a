"""How well a model's folder does on conversations whose talkers are known, and its thresholds from those of a dev set.

All of it goes the way of a recording of one's own: the samples alone, windows, talkers, extraction. What is measured
for each number of talkers, with noise and without:

    count       share of conversations in which as many talkers are found as there are
    found       share of talkers who get a candidate: the best one-to-one assignment by the cosine of a candidate's
                embedding to the teacher's of the talker alone
    right       share of these whose extraction is nearer to them than to any other talker (SI-SDR)
    si_sdr      of their extraction, dB, mean
    si_sdri     the same less that of the mixture, where the mixture is not the talker alone
    interval    of that, 95 %, over draws of the speakers
    wrong       the same, extracted by another candidate of the conversation; by nobody's where there is one alone
    random      the same, extracted by a candidate of the conversation before
    like        with an enrolment: share of talkers for whom the candidate nearest to it is theirs and is accepted
    refused     share of enrolments of somebody who is not there that are refused
    absent      level of what is extracted for such an enrolment, dB against the mixture's, mean

And over all conversations of two talkers and more, `coverage`: of the candidates with the highest confidence, such as
four fifths of all, how many give another talker's speech or are nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import LogisticRegression

from wesep_mix.base.errors import UserError
from wesep_mix.base.parallel import map_items
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.conversations import Conversation, draw_conversations, enrolled, rendered
from wesep_mix.inference.candidates import (
    Talker,
    Windows,
    confidences,
    evidence,
    find_talkers,
    grouped,
    hear_windows,
    means_of,
    talkers_of,
)
from wesep_mix.inference.listening import embed_voice, level_db
from wesep_mix.inference.sharing import extract_among
from wesep_mix.metrics.intervals import quotient, resampled_by_speaker
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.metrics.verification import equal_error_threshold
from wesep_mix.mixing.draw import Pool
from wesep_mix.mixing.prepare import load_pool
from wesep_mix.models.folder import Bundle, SureConfig, UseConfig, read_folder, read_settings, update_folder

PRESENCES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
JOINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
ALONE_DB = 40.0  # SI-SDR of a mixture, from which on there is nothing to improve
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
WRONG, LEAST_HEARD = 0.1, 20  # share of candidates that may be wrong, and how many there must be to say so
Model = tuple[Path, tuple[str, ...]]  # its folder, and the hashes of its weights
LEASTS = (0.4, 0.5, 0.6, 0.7)
FOLDS = 6  # of the dev set
DEV_ROUNDS, TEST_ROUNDS = (1, 2, 4, 12), (2,)


def measure(folder: Path, data: Path, counts: Sequence[int], num: int, nj: int) -> list[dict[str, Any]]:
    """Choose a model's thresholds on a corpus's dev set, measure it on the test set, and write both into its folder.

    Args:
        folder: of the model.
        data: prepared mixtures, data/CORPUS/Nmix, whose speakers are drawn from.
        counts: numbers of talkers.
        num: conversations of each number of talkers.
        nj: processes.

    Returns:
        A row for each number of talkers, with noise and without.

    Raises:
        UserError: the folder or the data are not what they should be, or too few speakers.
    """
    bundle, dev, test = read_folder(folder), load_pool(data / "dev"), load_pool(data / "test")
    for name, pool in (("dev", dev), ("test", test)):
        if len(pool.speakers) < max(counts) + 1:
            raise UserError(
                f"{data / name}: wanted more than {max(counts)} speakers, found {len(pool.speakers)}; lower --talkers"
            )
    use = calibrated(folder, bundle, dev, counts, num, nj)
    told = {
        (num_spk, noisy): by_conversation(folder, use, test, num_spk, noisy, num, nj)
        for num_spk in counts
        for noisy in (False, True)
    }
    rows = [{"talkers": num_spk, "noise": noisy, **means(one)} for (num_spk, noisy), one in told.items()]
    heard = [pair for (num_spk, _), one in told.items() if num_spk > 1 for row in one for pair in row["heard"]]
    about = dataclasses.replace(bundle.about, measured=tuple(rows), coverage=tuple(coverage(heard)))
    update_folder(
        dataclasses.replace(bundle, use=use, about=about), folder
    )  # together: figures are of these thresholds
    return rows


def calibrated(folder: Path, bundle: Bundle, pool: Pool, counts: Sequence[int], num: int, nj: int) -> UseConfig:
    """The thresholds that do best on a dev set.

    `presence`, `join` and `least` are chosen by the count, `like` where errors of both kinds are as many. By `sure`, a
    logistic regression of what speaks for a candidate, that becomes the probability that it is a talker's. Counts by
    which thresholds are chosen are of conversations that the regression was not fitted on. From the confidence `trust`
    on the extraction is that talker's in nine of ten.

    Without voices that are not there `like` stays as it is, and without candidates that are nobody's `sure` does.

    Args:
        folder: of the model.
        bundle: the same.
        pool: of the dev set.
        counts: numbers of talkers.
        num: conversations of each.
        nj: processes.

    Returns:
        The settings of its use with these thresholds.
    """
    drawn = [
        (num_spk, one)
        for num_spk in counts
        for noisy in (False, True)
        for one in draw_conversations(pool, num_spk, DEV_ROUNDS, num // 2, noisy, seed=1)
    ]
    heard = map_items(partial(_windows, _named(folder)), [one for _, one in drawn], nj, "dev: windows")
    cases = [Case(num_spk, *found) for (num_spk, _), (_, found) in zip(drawn, heard, strict=True)]
    counted = any(one.presence is not None for case in cases for one in case.windows.heard)
    use = chosen_by_count(cases, dataclasses.replace(bundle.use, sure=SureConfig(), least=0.0), counted)
    found = [talkers_of(case.windows, use) for case in cases]
    conversations = [one for _, one in drawn]
    items = list(
        zip(
            conversations,
            [conversations[-1], *conversations[:-1]],
            found,
            [case.references for case in cases],
            strict=True,
        )
    )
    told = [row for _, row in map_items(partial(_voices, _named(folder)), items, nj, "dev: voices")]
    own, others, right = ([value for row in told for value in row[name]] for name in ("own", "others", "right"))
    if own and others:
        use = dataclasses.replace(use, like=round(equal_error_threshold(np.array(own), np.array(others)), 3))
    if counted:
        sure = [(case.num_spk, one.confidence) for case, own in zip(cases, found, strict=True) for one in own]
        pairs = [(one, is_right) for (num, one), is_right in zip(sure, right, strict=True) if num > 1]
        use = dataclasses.replace(use, trust=trusted(pairs))
    return use


@dataclass(frozen=True)
class Case:
    """A conversation of the dev set.

    Attributes:
        num_spk: its talkers.
        windows: what the student said of it.
        references: the teacher's embedding of each talker alone, unit vectors [D].
    """

    num_spk: int
    windows: Windows
    references: Sequence[np.ndarray]


def chosen_by_count(cases: Sequence[Case], use: UseConfig, counted: bool) -> UseConfig:
    """The thresholds by which the number of talkers is right most often, each number counting alike.

    Args:
        cases: the conversations.
        use: the settings whose thresholds are chosen; the first of equals.
        counted: whether the student has presence; else only `join` is chosen.

    Returns:
        The settings, of a student with presence with `sure` and `least`.
    """
    truth = np.array([case.num_spk for case in cases])

    def score(told: Sequence[int]) -> float:
        return float(np.mean([np.mean(np.array(told)[truth == num_spk] == num_spk) for num_spk in set(truth.tolist())]))

    def scored(use: UseConfig) -> Iterator[tuple[float, UseConfig]]:
        if not counted:
            yield score([len(talkers_of(case.windows, use)) for case in cases]), use
            return
        sure = confidences_apart(cases, use)
        for least in LEASTS:
            yield score([int((one >= least).sum()) for one in sure]), dataclasses.replace(use, least=least)

    presences = PRESENCES if counted else (use.presence,)
    grid = (dataclasses.replace(use, presence=one, join=other) for one in presences for other in JOINS)
    _, best = max((each for one in grid for each in scored(one)), key=lambda pair: pair[0])
    return with_confidence(cases, best) if counted else best


def confidences_apart(cases: Sequence[Case], use: UseConfig) -> list[np.ndarray]:
    """How sure the candidates of each conversation are, by what was fitted on others.

    Args:
        cases: the conversations.
        use: thresholds; `sure` and `least` have no part.

    Returns:
        For each conversation [candidates]; 1 where nothing could be fitted.
    """
    judged = [_judged_groups(case, use) for case in cases]
    found = [np.ones(len(given)) for given, _ in judged]
    for fold in range(FOLDS):
        sure = fitted([one for place, one in enumerate(judged) if place % FOLDS != fold])
        for place in range(fold, len(cases), FOLDS) if sure else ():
            found[place] = confidences(judged[place][0], sure)
    return found


def with_confidence(cases: Sequence[Case], use: UseConfig) -> UseConfig:
    """Thresholds with a confidence that is fitted on conversations.

    Args:
        cases: the conversations.
        use: thresholds.

    Returns:
        The same with `sure`; where all candidates are talkers' or none is, everybody is told.
    """
    sure = fitted([_judged_groups(case, use) for case in cases])
    return dataclasses.replace(use, **({"least": 0.0} if sure is None else {"sure": sure}))


def _judged_groups(case: Case, use: UseConfig) -> tuple[np.ndarray, np.ndarray]:
    """What speaks for each candidate of a conversation, [candidates, 4], and whether it is a talker's."""
    groups = grouped(case.windows, use)
    if not groups:
        return np.zeros((0, 4)), np.zeros(0, dtype=bool)
    means = means_of(groups)
    taken = _matched(means / np.linalg.norm(means, axis=1, keepdims=True), case.references)
    return evidence(groups, case.windows), np.array([place in taken.values() for place in range(len(groups))])


def fitted(judged: Sequence[tuple[np.ndarray, np.ndarray]]) -> SureConfig | None:
    """Logistic regression of what is a talker's on what speaks for it (Platt 1999, of one input).

    Args:
        judged: of conversations, what speaks for each candidate [candidates, 4] and whether it is a talker's.

    Returns:
        Its weights; None where all candidates are talkers' or none is.
    """
    given, real = (np.concatenate(parts) for parts in zip(*judged, strict=True))
    if len(set(real.tolist())) < 2:
        return None
    middle, spread = given.mean(0), np.maximum(given.std(0), 1e-6)
    fit = LogisticRegression().fit((given - middle) / spread, real)
    weights = fit.coef_[0] / spread
    return SureConfig(*np.round([*weights, fit.intercept_[0] - weights @ middle], 3).tolist())


def figures(
    folder: Path, use: UseConfig, pool: Pool, num_spk: int, noisy: bool, num: int, nj: int
) -> dict[str, float | int]:
    """What is measured for one number of talkers (see the module).

    Args:
        folder: of the model.
        use: thresholds.
        pool: of the test set.
        num_spk: talkers.
        noisy: with noise.
        num: conversations.
        nj: processes.

    Returns:
        {name: figure}, and `num`, the number of conversations.
    """
    return means(by_conversation(folder, use, pool, num_spk, noisy, num, nj))


def by_conversation(
    folder: Path, use: UseConfig, pool: Pool, num_spk: int, noisy: bool, num: int, nj: int
) -> list[dict[str, list]]:
    """What `figures` are the means of: for each conversation and name the values; and `heard`, a candidate's confidence
    and whether its extraction is its talker's.
    """
    drawn = draw_conversations(pool, num_spk, TEST_ROUNDS, num, noisy, seed=2)
    pairs = list(zip(drawn, [drawn[-1], *drawn[:-1]], strict=True))
    title = f"test: {num_spk} talkers, {'noise' if noisy else 'no noise'}"
    return [row for _, row in map_items(partial(_judged, _named(folder), use), pairs, nj, title)]


def means(told: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, float | int | None]:
    """The figures of conversations that `by_conversation` gave: {name: mean}, None without values, and `num`.

    `interval` is a list of both ends.
    """

    def mean(name: str) -> float | None:
        values = [value for row in told for value in row[name]]
        return round(float(np.mean(values)), 3) if values else None

    names = ("count", "found", "right", "si_sdr", "si_sdri", "interval", "wrong", "random", "like", "refused", "absent")
    return {"num": len(told), **{name: _interval(told) if name == "interval" else mean(name) for name in names}}


def _interval(told: Sequence[Mapping[str, Sequence]]) -> list[float] | None:
    """The interval of the mean SI-SDRi; None where all conversations have the same speakers."""
    kept = [row for row in told if row["si_sdri"]]
    speakers = [row["speakers"] for row in kept]
    if len({name for names in speakers for name in names}) <= max(map(len, speakers), default=0):
        return None
    over, under = (np.array([each(row["si_sdri"]) for row in kept], dtype=float) for each in (sum, len))
    found = quotient(over, under, resampled_by_speaker(speakers, rng_for(0, "interval")))
    return found and [round(found[end], 3) for end in ("low", "high")]


def _named(folder: Path) -> Model:
    """A model by its folder and the hashes of its weights: one that was written there later is another."""
    return folder, tuple(part["sha256"] for part in read_settings(folder)["parts"].values())


@lru_cache(maxsize=1)
def _bundle(model: Model) -> Bundle:
    """The model, once in each process."""
    return read_folder(model[0])


def _windows(model: Model, conversation: Conversation) -> tuple[Windows, list[np.ndarray]]:
    """What the student says of a conversation, and the teacher of each talker alone."""
    bundle = _bundle(model)
    mix, sources = rendered(conversation)
    references = [embed_voice(bundle.teacher, _alone(source)) for source in sources]
    return hear_windows(bundle.student, mix, bundle.use), references


def _judged(model: Model, use: UseConfig, pair: tuple[Conversation, Conversation]) -> dict[str, list]:
    """One conversation, with that before it, which gives the random candidate and the voice that is not there."""
    conversation, before = pair
    bundle = _bundle(model)
    mix, sources = rendered(conversation)
    talkers = find_talkers(bundle.student, mix, use)
    foreign = find_talkers(bundle.student, rendered(before)[0], use)
    own = assigned(talkers, [embed_voice(bundle.teacher, _alone(source)) for source in sources])
    places = [place for place in own if place is not None]
    strangers = [embed_voice(bundle.teacher, voice) for voice in _absent(before, conversation)]
    vectors = [talkers[place].embedding for place in places] + strangers + [one.embedding for one in foreign[:1]]
    outputs = _extracted(bundle, use, mix, talkers, vectors)
    ests = dict(zip(places, outputs, strict=False))
    row: dict[str, list] = {name: [] for name in ("right", "si_sdr", "si_sdri", "wrong", "random", "like")}
    row["speakers"] = list(conversation.talkers)
    row["count"] = [float(len(talkers) == len(sources))]
    row["found"] = [float(place is not None) for place in own]
    row["heard"] = list(
        zip((talker.confidence for talker in talkers), _right(ests, own, sources, talkers), strict=True)
    )
    for number, (source, place) in enumerate(zip(sources, own, strict=True)):
        if place is None:
            continue
        unprocessed = si_sdr(mix, source)
        scores = [si_sdr(ests[place], one) for one in sources]
        row["right"].append(float(np.argmax(scores) == number))
        row["si_sdr"].append(scores[number])
        if unprocessed > ALONE_DB:
            continue
        row["si_sdri"].append(scores[number] - unprocessed)
        if others := [other for other in ests if other != place]:
            row["wrong"].append(si_sdr(ests[others[0]], source) - unprocessed)
        if foreign:
            row["random"].append(si_sdr(outputs[-1], source) - unprocessed)
    for voice, place in zip(enrolled(conversation), own, strict=True):
        best, cosine = nearest(talkers, embed_voice(bundle.teacher, voice))
        row["like"].append(float(best is not None and best == place and cosine >= use.like))
    row["refused"] = [float(nearest(talkers, voice)[1] < use.like) for voice in strangers]
    row["absent"] = [level_db(each, mix) for each in outputs[len(places) : len(places) + len(strangers)]]
    return row


def _extracted(
    bundle: Bundle, use: UseConfig, mix: np.ndarray, talkers: Sequence[Talker], vectors: Sequence[np.ndarray]
) -> list[np.ndarray]:
    return extract_among(bundle.extractor, mix, np.stack(vectors), talkers, use) if len(vectors) else []


def _alone(source: np.ndarray) -> np.ndarray:
    """A talker's speech without the silence of others' turns."""
    return source[source != 0]


def assigned(talkers: Sequence[Talker], references: Sequence[np.ndarray]) -> list[int | None]:
    """The best one-to-one assignment by cosine.

    Args:
        talkers: candidates.
        references: unit vector [D] of each known talker.

    Returns:
        For each known talker the place of the candidate, None where there is none left.
    """
    if not talkers:
        return [None] * len(references)
    chosen = _matched(np.stack([talker.embedding for talker in talkers]), references)
    return [chosen.get(known) for known in range(len(references))]


def _matched(embeddings: np.ndarray, references: Sequence[np.ndarray]) -> dict[int, int]:
    """The best one-to-one assignment of unit vectors [candidates, D] by cosine: {known talker: candidate}."""
    pairs = zip(*linear_sum_assignment(-embeddings @ np.stack(references).T), strict=True)
    return {int(known): int(place) for place, known in pairs}


def nearest(talkers: Sequence[Talker], voice: np.ndarray) -> tuple[int | None, float]:
    """The candidate nearest to a voice.

    Args:
        talkers: candidates.
        voice: unit vector [D].

    Returns:
        Its place and its cosine; None and -1 without candidates.
    """
    if not talkers:
        return None, -1.0
    cosines = [float(talker.embedding @ voice) for talker in talkers]
    return int(np.argmax(cosines)), max(cosines)


def _absent(before: Conversation, conversation: Conversation) -> list[np.ndarray]:
    """The enrolments of those of an earlier conversation who are not in this one."""
    voices = zip(before.talkers, enrolled(before), strict=True)
    return [voice for talker, voice in voices if talker not in conversation.talkers]


def _voices(
    model: Model, item: tuple[Conversation, Conversation, Sequence[Talker], Sequence[np.ndarray]]
) -> dict[str, list[float]]:
    """What thresholds are chosen from, of a conversation with the one before it, its candidates and its talkers alone.

    own, others: the cosine of the nearest candidate to enrolments of voices that are there, and that are not. right: of
    which candidates the extraction is their talker's.
    """
    conversation, before, talkers, references = item
    teacher = _bundle(model).teacher
    audio = rendered(conversation)
    taken = assigned(talkers, references)
    places = [place for place in taken if place is not None]
    vectors = [talkers[place].embedding for place in places]
    outputs = _extracted(_bundle(model), _bundle(model).use, audio[0], talkers, vectors)
    ests = dict(zip(places, outputs, strict=True))
    return {
        "right": _right(ests, taken, audio[1], talkers),
        "own": [nearest(talkers, embed_voice(teacher, voice))[1] for voice in enrolled(conversation)],
        "others": [nearest(talkers, embed_voice(teacher, voice))[1] for voice in _absent(before, conversation)],
    }


def _right(
    ests: Mapping[int, np.ndarray], own: Sequence[int | None], sources: np.ndarray, talkers: Sequence[Talker]
) -> list[float]:
    """For each candidate whether it is a talker's and its extraction nearer to that talker than to any other."""
    known = {place: number for number, place in enumerate(own) if place is not None}
    return [
        float(place in known and int(np.argmax([si_sdr(ests[place], one) for one in sources])) == known[place])
        for place in range(len(talkers))
    ]


def coverage(heard: Sequence[tuple[float | None, float]]) -> list[dict[str, float]]:
    """How often candidates are wrong, of those with the highest confidence.

    Args:
        heard: confidence of each candidate, and whether its extraction is its talker's.

    Returns:
        For shares of all candidates {"coverage", "confidence", "wrong"}: the share, the least confidence in it, and the
        share of it that is wrong. Empty where nobody has a confidence.
    """
    known = sorted((pair for pair in heard if pair[0] is not None), reverse=True)
    rows = []
    for share in COVERAGES if known else ():
        kept = known[: max(1, round(share * len(known)))]
        wrong = 1 - float(np.mean([right for _, right in kept]))
        rows.append({"coverage": share, "confidence": round(kept[-1][0], 3), "wrong": round(wrong, 3)})
    return rows


def trusted(heard: Sequence[tuple[float, float]]) -> float | None:
    """The least confidence from which on nine of ten candidates are right, None where there is no such.

    Args:
        heard: confidence of each candidate, and whether its extraction is its talker's.

    Returns:
        From 0 to 1; at least twenty candidates are above it.
    """
    known = sorted(heard, reverse=True)
    wrong = 1 - np.cumsum([right for _, right in known]) / np.arange(1, len(known) + 1)
    enough = np.flatnonzero(wrong <= WRONG)
    place = int(enough[-1]) if len(enough) else -1
    return round(known[place][0], 3) if place >= LEAST_HEARD - 1 else None
