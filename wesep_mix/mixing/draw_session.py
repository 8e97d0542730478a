"""Sessions drawn at random: who takes the floor when, who leaves and comes back, how loud, in which noise.

Ours: the paper's second version (arXiv 2604.03219) tells of long recordings, not how its own were made. Talkers take
turns, one after another or over each other as the regime says. Each but one leaves once for a while, speaks before, and
is among the next to speak when back: so every session asks who it was. A talker has one loudness in a session, give or
take a little a turn. No stretch of speech is heard twice in a session, and no utterance before all others were.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from wesep_mix.base.config import FILLED, LOW_HIGH, Checked, Count, at_least, between
from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.io.audio import SAMPLE_RATE, SPEECH_DC_DB, dc_offset, read_audio
from wesep_mix.mixing.draw import Pool, draw_noise
from wesep_mix.mixing.plan import Source
from wesep_mix.mixing.render import PEAK, noise_gain
from wesep_mix.mixing.session import Bed, Session, blocks, render_bed, render_range
from wesep_mix.preparation.activity import Stretch
from wesep_mix.preparation.lists import SpeechEntry
from wesep_mix.preparation.loudness import ABSOLUTE_GATE, crop_loudness

MOST_AT_ONCE = 3  # talkers
TURN_DB = 2.0  # by which a turn may be louder or less loud than its talker's others
ALPHA = 3.0  # of the Dirichlet distribution of how much each says: somebody is rare
SHORT_OVERLAP_S, PAUSE_S = 0.6, 0.8  # means of exponential distributions
HEARD_BY = 0.4  # share of a session after which those speak first who have not spoken
LAST_BACK = 0.85  # share of a session by which everybody is back
Range = Annotated[tuple[float, ...], LOW_HIGH]
Share = Annotated[float, between(0, 1, says="a share between 0 and 1")]


@dataclass(frozen=True)
class Regime(Checked):
    """How turns follow each other: shares of those that overlap the one before; after the others comes a pause.

    Attributes:
        deep: of those that overlap it by `deep_overlap` of the shorter of both.
        short: of those that begin a moment before its end.
        shift: another noise at another SNR from the middle of the session on.
    """

    deep: Share = 0.0
    short: Share = 0.0
    shift: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.deep + self.short > 1:
            raise ValueError(
                f"wanted shares deep and short of at most 1 together, found {self.deep:g} + {self.short:g}"
            )


@dataclass(frozen=True)
class SessionConfig(Checked):
    """How sessions are drawn.

    Attributes:
        dev: sessions of each regime in the dev set.
        test: in the test set.
        talkers: numbers of talkers, which sessions take in turn.
        regimes: by name.
        length_s: shortest and longest session.
        turn_s: shortest and longest turn.
        away_s: shortest and longest time that a talker leaves for.
        deep_overlap: lowest and highest share of the shorter of two turns that overlap deeply.
        least_speech_s: of a speaker, over utterances as long as the shortest turn, for a place in sessions.
    """

    dev: Count = 12
    test: Count = 20
    talkers: Annotated[tuple[Annotated[int, at_least(1)], ...], FILLED] = (2, 3, 4, 5)
    regimes: Annotated[dict[str, Regime], FILLED] = field(
        default_factory=lambda: {"crowd": Regime(1.0), "talk": Regime(0.3, 0.35), "sparse": Regime()}
    )
    length_s: Range = (90.0, 120.0)
    turn_s: Range = (2.0, 8.0)
    away_s: Range = (15.0, 45.0)
    deep_overlap: Annotated[tuple[Share, ...], LOW_HIGH] = (0.5, 0.8)
    least_speech_s: Annotated[float, at_least(0)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        room = (LAST_BACK - HEARD_BY) * self.length_s[0] / 2  # the other half is for all to be heard in
        if self.away_s[0] > room:
            raise ValueError(f"away_s: wanted {room:g} s or less to begin with in sessions of {self.length_s[0]:g} s")
        if self.turn_s[0] < 0.5:
            raise ValueError(
                f"turn_s: wanted at least 0.5 s, which loudness is measured over, found {self.turn_s[0]:g}"
            )


def draw_session(pool: Pool, config: SessionConfig, set_name: str, regime: str, place: int, seed: int) -> Session:
    """Draw one session; its speech and noise are read, since their levels are measured.

    Args:
        pool: what can be heard.
        config: how.
        set_name: of the set, which the draw depends on.
        regime: name of one of the config's.
        place: number of the session in its regime.
        seed: of the draw.

    Returns:
        The session.

    Raises:
        UserError: the set has too few speakers or too little of their speech, or a file cannot be read.
    """
    num_talkers = config.talkers[place % len(config.talkers)]
    name = f"{regime}-{num_talkers}-{place:03d}"
    speakers = [spk for spk in pool.speakers if _seconds(pool.speech[spk], config) >= config.least_speech_s]
    if len(speakers) < num_talkers:
        raise UserError(
            f"session {name}: wanted {num_talkers} speakers with {config.least_speech_s:g} s of speech, found "
            f"{len(speakers)} in the {set_name} set; lower least_speech_s or talkers, or add speech"
        )
    rng = rng_for(seed, "session", set_name, regime, place)
    chosen = rng.choice(len(speakers), size=num_talkers, replace=False)
    talkers = tuple(sorted(speakers[one] for one in chosen))
    length = round(float(rng.uniform(*config.length_s)) * SAMPLE_RATE)
    sources = tuple(_Floor(name, pool, talkers, config, length, rng).turns(config.regimes[regime]))
    num_samples = max(length, *(source.offset + source.num_samples for source in sources))
    speech = Session(name, regime, num_samples, talkers, sources, (), 1.0)
    return _scaled(dataclasses.replace(speech, beds=tuple(_beds(speech, pool, config.regimes[regime].shift, rng))))


def _seconds(entries: Sequence[SpeechEntry], config: SessionConfig) -> float:
    """From the first to the last speech of each utterance that makes a turn."""
    spans = [(entry.speech[-1][1] - entry.speech[0][0]) / SAMPLE_RATE for entry in entries if entry.speech]
    return sum(span for span in spans if span >= config.turn_s[0])


class _Floor:
    """Who has the floor of a session; all times are samples."""

    def __init__(
        self,
        name: str,
        pool: Pool,
        talkers: Sequence[str],
        config: SessionConfig,
        length: int,
        rng: np.random.Generator,
    ):
        self.name, self.config, self.length, self.rng = name, config, length, rng
        self.shortest, self.longest = (round(seconds * SAMPLE_RATE) for seconds in config.turn_s)
        self.weights = dict(zip(talkers, rng.dirichlet([ALPHA] * len(talkers)), strict=True))
        self.stays = talkers[int(rng.integers(len(talkers)))]
        self.stores = {
            talker: _Store(pool.speech[talker], float(rng.uniform(*pool.config.lufs)), self.shortest, rng)
            for talker in talkers
        }
        self.away: dict[str, tuple[int, int]] = {}  # when each leaves and is back
        self.heard: dict[str, int] = {}  # end of each one's last turn

    def turns(self, regime: Regime) -> Iterator[Source]:
        """All turns, until the time is over and all who left have spoken again."""
        ends: list[int] = []
        last, now, before = "", 0, 0  # who has the floor, until when, with a turn of what length
        while now < self.length - self.shortest or any(self._is_back(talker, now) for talker in self.weights):
            kind = self.rng.random()
            pause = self._about(PAUSE_S) if ends and kind >= regime.deep + regime.short else 0
            piece = self._next(last, now + pause)
            shorter, overlap = min(before, piece.num_samples), 0
            if kind < regime.deep:
                overlap = round(self.rng.uniform(*self.config.deep_overlap) * shorter)
            elif kind < regime.deep + regime.short:
                overlap = min(self._about(SHORT_OVERLAP_S), shorter // 2)
            earliest = max(0, self._free(piece.spk, now + pause), *sorted(ends)[: 1 - MOST_AT_ONCE][-1:])
            turn = dataclasses.replace(piece, offset=max(now + pause - overlap, earliest))
            yield turn
            ends.append(turn.offset + turn.num_samples)
            self._hear(turn.spk, ends[-1])
            if ends[-1] > now:
                last, now, before = turn.spk, ends[-1], turn.num_samples

    def _next(self, last: str, at: int) -> Source:
        """What is said next by someone who is there; by another than `last` where there is one."""
        while there := [talker for talker in self.weights if self._is_there(talker, at)]:
            others = [talker for talker in there if talker != last] or there
            late = at > HEARD_BY * self.length
            first = [talker for talker in others if self._is_back(talker, at) or (late and talker not in self.heard)]
            asked = first or others
            weights = np.array([self.weights[talker] for talker in asked])
            talker = asked[int(self.rng.choice(len(asked), p=weights / weights.sum()))]
            until = min(self.away[talker][0] - at, self.longest) if self._leaves_after(talker, at) else self.longest
            piece = self.stores[talker].take(round(self.rng.uniform(self.shortest, until)))
            if piece is not None:
                return piece
        raise UserError(
            f"session {self.name}: wanted speech for {self.length / SAMPLE_RATE:.0f} s, found no more of its talkers "
            f"after {at / SAMPLE_RATE:.0f} s; give them more utterances, or make sessions shorter (length_s)"
        )

    def _is_there(self, talker: str, at: int) -> bool:
        """Whether a talker can take a turn now; who is still to leave keeps something to say for the return."""
        leaves, back = self.away.get(talker, (at + self.shortest, 0))
        kept = 1 if talker != self.stays and back > at else 0
        return len(self.stores[talker]) > kept and (leaves - at >= self.shortest or back <= at)

    def _leaves_after(self, talker: str, at: int) -> bool:
        return talker in self.away and self.away[talker][0] > at

    def _is_back(self, talker: str, at: int) -> bool:
        """Whether a talker has not spoken since the return, or is to return yet."""
        return talker in self.away and self.heard[talker] <= self.away[talker][1]

    def _free(self, talker: str, at: int) -> int:
        """From when a talker who is there at a time can speak."""
        leaves, back = self.away.get(talker, (at, 0))
        return max(self.heard.get(talker, 0), back if leaves < at else 0)

    def _hear(self, talker: str, end: int) -> None:
        """Note a turn; after the first one it is settled when its talker will be away."""
        if talker not in self.heard and talker != self.stays:
            low, high = (round(seconds * SAMPLE_RATE) for seconds in self.config.away_s)
            latest = round(LAST_BACK * self.length)
            length = min(int(self.rng.integers(low, high + 1)), max(low, latest - end))
            leaves = int(self.rng.integers(end, max(end, latest - length) + 1))
            self.away[talker] = leaves, leaves + length
        self.heard[talker] = max(end, self.heard.get(talker, 0))

    def _about(self, mean_s: float) -> int:
        return round(self.rng.exponential(mean_s) * SAMPLE_RATE)


class _Store:
    """What a talker has not said yet: utterances in an order drawn at random, then what is left over of them.

    Pieces begin and end with speech where that makes a turn.
    """

    def __init__(self, entries: Sequence[SpeechEntry], lufs: float, shortest: int, rng: np.random.Generator):
        self.lufs, self.shortest, self.rng = lufs, shortest, rng
        order = rng.permutation(len(entries)).tolist()
        self.left = [(entries[place], entries[place].speech) for place in order if self._is_long(entries[place].speech)]

    def __len__(self) -> int:
        return len(self.left)

    def _is_long(self, speech: Sequence[Stretch]) -> bool:
        return bool(speech) and speech[-1][1] - speech[0][0] >= self.shortest

    def take(self, wanted: int) -> Source | None:
        """Up to so many samples of speech, as a source at offset 0; None if there is nothing that sounds."""
        while self.left:
            entry, speech = self.left.pop(0)
            first, limit = speech[0][0], speech[0][0] + wanted
            ends = [end for _, end in speech if self.shortest <= end - first <= wanted]
            end = ends[-1] if ends else min(limit, speech[-1][1])
            rest = tuple((max(begin, end), stop) for begin, stop in speech if stop > end)
            if self._is_long(rest):
                self.left.append((entry, rest))
            samples = read_audio(entry.path, first, end - first)
            dc = dc_offset(samples, SPEECH_DC_DB)
            loudness = crop_loudness(samples - np.float32(dc), [0], len(samples))[0]
            if loudness > ABSOLUTE_GATE:
                lufs = self.lufs + float(self.rng.uniform(-TURN_DB, TURN_DB))
                gain = float(10 ** ((lufs - loudness) / 20))
                return Source(entry.utt, entry.spk, entry.sex, entry.path, first, end - first, 0, gain, lufs, dc)
        return None


def _beds(session: Session, pool: Pool, shift: bool, rng: np.random.Generator) -> Iterator[Bed]:
    """Noise for a session without any; its gains are measured."""
    edges = [0, session.num_samples // 2, session.num_samples] if shift else [0, session.num_samples]
    for first, end in itertools.pairwise(edges):
        noise = draw_noise(pool, rng)
        bed = Bed(noise, first, end, 1.0)
        speech_power, noise_power = 0.0, 0.0
        for start, stop in blocks(first, end):
            speech = render_range(session, start, stop).mix
            speech_power += float(np.square(speech, dtype=np.float64).sum())
            noise_power += float(np.square(render_bed(bed, start, stop), dtype=np.float64).sum())
        yield dataclasses.replace(bed, gain=float(noise_gain(speech_power, noise_power, noise)))


def _scaled(session: Session) -> Session:
    """The session with the scale that its peak asks for."""
    mixes = (render_range(session, *block).mix for block in blocks(0, session.num_samples))
    peak = max(float(np.abs(mix).max(initial=0.0)) for mix in mixes)
    return dataclasses.replace(session, scale=PEAK / peak) if peak > PEAK else session
