"""Who talks in the mixtures of real_speech.py, and what: groups of talkers, conditions, draws, transcripts."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from real_speech_rows import Mixture

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.evaluation.conversations import Conversation, draw_conversations
from wesep_mix.io.audio import SAMPLE_RATE, num_frames
from wesep_mix.io.roots import roots_of
from wesep_mix.mixing.draw import Pool, draw_enrolment, plan_of
from wesep_mix.mixing.plan import Plan, Source

CHILD = 15  # years, up to which a talker is a child
LEAST_S = 1.0  # of an enrolment


@dataclasses.dataclass(frozen=True)
class Condition:
    """What the mixtures of one table have in common; no SNR is no noise."""

    group: str
    num_spk: int
    snr_db: float | None
    overlap: tuple[float, float]
    effect: str | None = None

    def __str__(self) -> str:
        noise = "without noise" if self.snr_db is None else f"noise at {self.snr_db:g} dB"
        low, high = self.overlap
        shared = f"overlap {low:g}" + f" to {high:g}" * (high > low)
        return f"{self.group}, {self.num_spk} talkers, {noise}, {shared}" + (f", {self.effect}" if self.effect else "")


def groups(speakers: Sequence[str], tables: Sequence[Path]) -> dict[str, list[str]]:
    """Talkers by corpus, and by age where it is said.

    Args:
        speakers: of the set, as a prepared corpus names them: ID, or CORPUS_ID.
        tables: SPEAKERS.TXT of each corpus, in the corpus's folder.

    Returns:
        {group: its speakers}; one group `all` without tables; who is in no table is in `others`.

    Raises:
        UserError: a table is missing, or a speaker is in two.
    """
    if not tables:
        return {"all": list(speakers)}
    chosen: dict[str, str] = {}
    for path in tables:
        own = {spk: group for spk, group in _table(path, speakers).items() if spk in speakers}
        if twice := sorted(own.keys() & chosen.keys()):
            raise UserError(f"{path}: speaker {twice[0]} is in another table too; give its own corpus's")
        chosen |= own
    found: dict[str, list[str]] = {}
    for spk in speakers:
        found.setdefault(chosen.get(spk, "others"), []).append(spk)
    return dict(sorted(found.items()))


def _table(path: Path, speakers: Sequence[str]) -> dict[str, str]:
    """Each speaker's group, by the names that a prepared corpus gives them."""
    if not path.is_file():
        raise UserError(f"--speakers {path}: no such file; wanted lines ID | SEX | SUBSET | MINUTES | NAME")
    corpus = path.absolute().parent.name
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    rows = [[part.strip() for part in line.split("|", 4)] for line in lines if line.strip() and line[0] != ";"]
    ages = {row[0]: re.search(r"\bage (\d+)\b", row[4]) if len(row) > 4 else None for row in rows}
    prefix = re.sub("[^A-Za-z0-9]+", "_", corpus) + "_"
    prefix = prefix if any(spk.startswith(prefix) for spk in speakers) else ""
    return {
        prefix + name: corpus if age is None else f"{corpus}, {'children' if int(age[1]) <= CHILD else 'adults'}"
        for name, age in ages.items()
    }


def pool_of(pool: Pool, speakers: Iterable[str]) -> Pool:
    return dataclasses.replace(pool, speech={spk: pool.speech[spk] for spk in speakers})


def is_possible(pool: Pool, condition: Condition) -> bool:
    """Whether a group has one speaker more than a mixture needs; if not, that is told."""
    enough = len(pool.speakers) > condition.num_spk
    if not enough:
        print(f"note: left out: {condition}: the group has {len(pool.speakers)} speakers", file=sys.stderr)
    return enough


def transcripts(pool: Pool, folder: Path) -> dict[str, str]:
    """What is said in each utterance, from the files *.trans.txt beside the corpus's audio.

    Args:
        pool: of the set.
        folder: of the set.

    Returns:
        {utterance of the pool: its words}; those without words are left out.
    """
    roots, found, lines = roots_of(folder), {}, {}
    for entry in (entry for own in pool.speech.values() for entry in own):
        path = Path(dataclasses.replace(roots, decoded=None).full(roots.short(entry.path)))
        if path.parent not in lines:
            texts = [text.read_text(encoding="utf-8") for text in sorted(path.parent.glob("*.trans.txt"))]
            pairs = (line.split(maxsplit=1) for text in texts for line in text.splitlines())
            lines[path.parent] = dict(pair for pair in pairs if len(pair) == 2)
        if words := lines[path.parent].get(path.stem):
            found[entry.utt] = words
    return found


def draw(pool: Pool, condition: Condition, num: int, seed: int, words: Mapping[str, str], whole: bool) -> list[Mixture]:
    """Draw the mixtures of a condition; those of others are the same but for what the condition says.

    Args:
        pool: of the group.
        condition: what they have in common.
        num: how many.
        seed: of the draw.
        words: of each utterance.
        whole: utterances are whole, each begins where the one before has so much left.

    Returns:
        The mixtures.
    """
    snr = () if condition.snr_db is None else (condition.snr_db,)
    config = dataclasses.replace(pool.config, overlap=condition.overlap, snr_db=snr or pool.config.snr_db[:1])
    pool = dataclasses.replace(pool, config=config)
    drawn = draw_conversations(pool, condition.num_spk, (1,), num, bool(snr), seed)
    mixtures = [_mixture(f"{place:03d}", one, pool, seed, words, whole) for place, one in enumerate(drawn)]
    return [dataclasses.replace(one, effect=condition.effect) for one in mixtures]


def _mixture(
    name: str, conversation: Conversation, pool: Pool, seed: int, words: Mapping[str, str], whole: bool
) -> Mixture:  # fmt: skip
    rng = rng_for(seed, "beside", len(conversation.talkers), name)
    plan = in_whole(conversation.plans[0]) if whole else conversation.plans[0]
    by_name = {source.spk: source for source in plan.sources}
    sources = [by_name[spk] for spk in conversation.talkers]
    enrolments = tuple(other_speech(pool, source, rng) for source in sources)
    absent = [spk for spk in pool.speakers if spk not in by_name]
    entry = pool.speech[absent[int(rng.integers(len(absent)))]][0]
    stranger = plan_of([entry], pool, rng, best_crop=True).sources[0]
    said = tuple(words.get(source.utt) if whole or _is_whole(source, pool) else None for source in sources)
    return Mixture(name, dataclasses.replace(conversation, plans=(plan,)), enrolments, stranger, said)


def in_whole(plan: Plan) -> Plan:
    """The same mixture of whole utterances; the shorter one of two in a row is covered as much as before."""
    sources: list[Source] = []
    for place, source in enumerate(plan.sources):
        size, offset = num_frames(source.path), 0
        if place:
            last = sources[-1]
            shared = round(plan.overlaps[place - 1] * min(last.num_samples, size))
            offset = last.offset + last.num_samples - shared
        sources.append(dataclasses.replace(source, start=0, num_samples=size, offset=offset))
    end = max(source.offset + source.num_samples for source in sources)
    return dataclasses.replace(plan, sources=tuple(sources), num_samples=end)


def other_speech(pool: Pool, source: Source, rng: np.random.Generator) -> Source | None:
    """An enrolment of which nothing is in the mixture: of another utterance, or what is apart of the same one.

    Args:
        pool: where it is taken from.
        source: of the mixture.
        rng: draws it.

    Returns:
        The enrolment, None where there is none.
    """
    size, end, entries = round(pool.config.segment_s * SAMPLE_RATE), source.start + source.num_samples, []
    for entry in pool.speech[source.spk]:
        apart = [one for one in entry.crops if one.start >= end or one.start + size <= source.start]
        crops = entry.crops if entry.utt != source.utt else tuple(apart)
        entries += [dataclasses.replace(entry, crops=crops)] if crops else []
    if entries:
        return draw_enrolment(dataclasses.replace(pool, speech={source.spk: entries}), source, rng)
    before, after = source.start, num_frames(source.path) - end
    if max(before, after) < LEAST_S * SAMPLE_RATE:
        return None
    start = end if after >= before else max(0, before - size)
    return dataclasses.replace(source, start=start, num_samples=min(size, max(before, after)), offset=0)


def _is_whole(source: Source, pool: Pool) -> bool:
    """Whether all that is speech of a source's utterance is in its segment."""
    speech = next(entry.speech for entry in pool.speech[source.spk] if entry.utt == source.utt)
    return bool(speech) and source.start <= speech[0][0] and speech[-1][1] <= source.start + source.num_samples
