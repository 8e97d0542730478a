"""What the commands `candidates` and `extract` do with a recording of one's own."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_path, write_json
from wesep_mix.inference.candidates import Talker, find_talkers, similarities
from wesep_mix.inference.listening import audition, embed_voice, level_db
from wesep_mix.inference.sharing import extract_among
from wesep_mix.inference.turns import turns_of
from wesep_mix.inference.words import best_fit, recogniser, similarity_of_words
from wesep_mix.io.audio import write_audio
from wesep_mix.io.embeddings import write_embeddings
from wesep_mix.io.recording import Recording, read_recording, write_like
from wesep_mix.io.rttm import rttm_name, write_rttm
from wesep_mix.models.folder import Bundle, read_folder
from wesep_mix.models.shipped import find_model

FAINT_DB = -15.0  # against the recording, below which a voice is hardly there


def hear(path: Path, model: str | None, channel: str, device: str) -> tuple[Bundle, Recording, list[Talker]]:
    """Load a model, read a recording and find its talkers, with a progress bar.

    Args:
        path: of the recording.
        model: a model's folder or name, None for the usual one.
        channel: `mix`, or the number of one.
        device: where the networks compute.

    Returns:
        The model, the recording, and the talkers heard.

    Raises:
        UserError: for a model or recording that cannot be used, or a device that is not there.
    """
    bundle = load_bundle(model, device)
    recording = read_recording(path, channel)
    with tqdm(desc="listening", unit="window", disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        talkers = find_talkers(bundle.student, recording.samples, bundle.use, device, progress)
    return bundle, recording, talkers


def load_bundle(model: str | None, device: str) -> Bundle:
    """A model on a device.

    Args:
        model: a model's folder or name, None for the usual one.
        device: as torch names it.

    Returns:
        The model.

    Raises:
        UserError: when there is no such model or device.
    """
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as err:
        raise UserError(f"--device {device}: torch cannot compute there ({str(err).splitlines()[0]})") from err
    return read_folder(find_model(model)).to(device)


def describe(recording: Recording, talkers: Sequence[Talker], trust: float | None = None) -> dict[str, Any]:
    """What is told of a recording's talkers, in plain values.

    Args:
        recording: the recording.
        talkers: that were heard in it.
        trust: confidence from which on nine of ten extractions are right (UseConfig.trust).

    Returns:
        {"recording", "seconds", "sample_rate", "channels", "talkers": [{"number", "confidence", "trusted", "share",
        "spans", "similarity": {number of another: cosine}}]}; `trusted` is None where that is not known.
    """
    cosines = similarities(talkers) if talkers else np.zeros((0, 0))
    return {
        "recording": recording.name,
        "seconds": round(recording.seconds, 3),
        "sample_rate": recording.sample_rate,
        "channels": recording.num_channels,
        "talkers": [
            {
                "number": talker.number,
                "confidence": None if talker.confidence is None else round(talker.confidence, 3),
                "trusted": None if None in (trust, talker.confidence) else talker.confidence >= trust,
                "share": round(talker.share, 3),
                "spans": [[round(begin, 2), round(min(end, recording.seconds), 2)] for begin, end in talker.spans],
                "similarity": {
                    str(other.number): round(float(cosine), 3)
                    for other, cosine in zip(talkers, row, strict=True)
                    if other is not talker
                },
            }
            for talker, row in zip(talkers, cosines, strict=True)
        ],
    }


def write_candidates(
    out: Path, bundle: Bundle, recording: Recording, talkers: Sequence[Talker], described: dict[str, Any]
) -> None:
    """Write auditions and embeddings of the talkers; candidates.json, which says what is there, comes last.

    What an earlier call wrote there of other talkers goes first.

    Args:
        out: folder to write to.
        bundle: the model, whose extractor makes the auditions.
        recording: what they were heard in.
        talkers: who was heard.
        described: what `describe` says of them.
    """
    device = str(next(bundle.extractor.parameters()).device)
    for name in ("candidates.json", "talkers.scp", "talkers.ark", "talker-*.wav", "talker-*.npy"):
        for old in out.glob(name):
            old.unlink()
    vectors = [talker.embedding for talker in talkers]
    for talker, speech in zip(talkers, _speech(bundle, recording, vectors, talkers, device), strict=True):
        begin, end = audition(speech, recording.samples)
        write_like(out / f"talker-{talker.number}.wav", speech[begin:end], recording, begin)
        write_vector(out / f"talker-{talker.number}.npy", talker.embedding)
    if talkers:
        write_embeddings(out / "talkers", {f"{recording.name}-{talker.number}": talker.embedding for talker in talkers})
    write_json(out / "candidates.json", described)


def _speech(
    bundle: Bundle, recording: Recording, embeddings: Sequence[np.ndarray], talkers: Sequence[Talker], device: str
) -> list[np.ndarray]:
    """The speech of wanted talkers among all who were heard, with a progress bar."""
    if not embeddings:
        return []
    with tqdm(desc="extracting", unit="chunk", disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        wanted = np.stack(embeddings)
        return extract_among(bundle.extractor, recording.samples, wanted, talkers, bundle.use, device, progress)


def write_vector(path: Path, vector: np.ndarray) -> None:
    """Write a vector as npy, whole or not at all.

    Args:
        path: file to write.
        vector: float32 [D].
    """
    with atomic_path(path) as temporary:
        np.save(temporary, vector, allow_pickle=False)


def extract_recording(
    path: Path,
    out: Path,
    *,
    model: str | None = None,
    channel: str = "mix",
    device: str = "cpu",
    pick: Sequence[int] | None = None,
    like: Path | None = None,
    embedding: Path | None = None,
) -> dict[str, Any]:
    """Write the speech of some talkers of a recording: those picked, one by an enrolment or an embedding, or all.

    Args:
        path: of the recording.
        out: folder to write to.
        model: a model's folder or name, None for the usual one.
        channel: `mix`, or the number of one.
        device: where the networks compute.
        pick: numbers of candidates.
        like: recording of the wanted voice alone.
        embedding: npy file.

    Returns:
        {"sample_rate", "written": [{"path", "what", "level_db"}], "rttm"}; the level is that against the recording. Of
        an extractor that gives the level itself, a low one says that this voice is hardly there. `rttm` is the file
        that says who speaks when, None where not all talkers were extracted.

    Raises:
        UserError: when nobody was heard, a number is none of the candidates', or the wanted talker is not there.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: wanted a folder to write to, found a file")
    bundle, recording, talkers = hear(path, model, channel, device)
    if embedding is not None:
        chosen = [("embedding", _read_vector(embedding, bundle), f"by {embedding}")]
    elif not talkers:
        raise UserError(f"{path}: nobody was heard in it; nothing is written")
    else:
        chosen = [_like(talkers, like, bundle, device, path)] if like else _picked(talkers, pick, path)
    written = []
    speeches = _speech(bundle, recording, [vector for _, vector, _ in chosen], talkers, device)
    for (name, _, what), speech in zip(chosen, speeches, strict=True):
        write_like(out / f"{name}.wav", speech, recording)
        level = round(level_db(speech, recording.samples), 1)
        if bundle.use.level == "own" and level < FAINT_DB:
            what += f"; hardly there: {-level:.0f} dB below the recording"
        written.append({"path": str(out / f"{name}.wav"), "what": what, "level_db": level})
    turns = None
    if embedding is None and like is None and not pick:
        turns = out / f"{rttm_name(recording.name)}.rttm"
        spoken = zip(talkers, turns_of(recording.samples, speeches), strict=True)
        segments = [(begin, end, f"talker-{talker.number}") for talker, own in spoken for begin, end in own]
        write_rttm(turns, {turns.stem: segments})
    return {"sample_rate": recording.sample_rate, "written": written, "rttm": turns and str(turns)}


def pick_by_words(
    path: Path,
    words: str,
    asr: str | None,
    out: Path | None,
    *,
    model: str | None = None,
    channel: str = "mix",
    device: str = "cpu",
) -> dict[str, Any]:
    """Find the talker of a recording who says certain words, and write that talker's speech.

    Args:
        path: of the recording.
        words: what the talker says.
        asr: which recogniser (inference.words).
        out: folder to write to; None writes nothing.
        model: a model's folder or name, None for the usual one.
        channel: `mix`, or the number of one.
        device: where the networks compute.

    Returns:
        {"talkers": [{"number", "heard", "fit"}], "picked": number, "path": of the speech or None}.

    Raises:
        UserError: when nobody was heard, nobody says any of the words, or two do equally; or without a recogniser.
    """
    if not words.strip():
        raise UserError("--words: wanted words that the talker says, found none")
    recognise = recogniser(asr)
    bundle, recording, talkers = hear(path, model, channel, device)
    if not talkers:
        raise UserError(f"{path}: nobody was heard in it; nothing is picked")
    told = []
    with tempfile.TemporaryDirectory(prefix="wesep_mix.") as folder:
        speeches = _speech(bundle, recording, [talker.embedding for talker in talkers], talkers, device)
        pairs = zip(talkers, speeches, strict=True)
        quiet = not sys.stderr.isatty()
        for talker, speech in tqdm(pairs, desc="recognising", unit="talker", total=len(talkers), disable=quiet):
            write_audio(Path(folder, "talker.wav"), speech, subtype="FLOAT")
            heard = " ".join(recognise(Path(folder, "talker.wav")).split())
            told.append({"number": talker.number, "heard": heard, "fit": round(similarity_of_words(words, heard), 3)})
    best = best_fit(words, [each["heard"] for each in told])
    if best is None:
        heard = "; ".join(f"talker {each['number']}: {each['heard'] or 'nothing'}" for each in told)
        raise UserError(
            f"{path}: wanted one talker who says {words!r}, found none who fits better than all others ({heard})"
        )
    wav = None
    if out is not None:
        wav = out / f"talker-{talkers[best].number}.wav"
        write_like(wav, speeches[best], recording)
    return {"talkers": told, "picked": talkers[best].number, "path": None if wav is None else str(wav)}


Chosen = tuple[str, np.ndarray, str]  # name of the file, embedding, what it is


def _picked(talkers: Sequence[Talker], pick: Sequence[int] | None, path: Path) -> list[Chosen]:
    by_number = {talker.number: talker for talker in talkers}
    for number in pick or ():
        if number not in by_number:
            raise UserError(f"--pick {number}: {path} has the candidates {', '.join(map(str, by_number))}")
    numbers = list(dict.fromkeys(pick)) if pick else list(by_number)
    return [(f"talker-{number}", by_number[number].embedding, f"talker {number}") for number in numbers]


def _like(talkers: Sequence[Talker], like: Path, bundle: Bundle, device: str, path: Path) -> Chosen:
    """An enrolment of one of the candidates. It is what is extracted by: alone a voice is embedded best."""
    wanted = embed_voice(bundle.teacher, read_recording(like).samples, device)
    cosines = [float(talker.embedding @ wanted) for talker in talkers]
    best = int(np.argmax(cosines))
    least = bundle.use.like
    if least is not None and cosines[best] < least:
        raise UserError(
            f"{path}: the voice of {like} is not there: the nearest candidate, {talkers[best].number}, has a "
            f"cosine of {cosines[best]:.2f} to it, wanted {least:.2f} or more; `--pick` takes one all the same"
        )
    others = [cosine for place, cosine in enumerate(cosines) if place != best]
    beside = f", the next {max(others):.2f}" if others else ""
    unsure = "" if least is not None else "; this model does not say from where on it is the same voice"
    return "like", wanted, f"talker {talkers[best].number}, cosine {cosines[best]:.2f}{beside}{unsure}"


def _read_vector(path: Path, bundle: Bundle) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path}: no such file; `wesep-mix candidates --out DIR` writes embeddings")
    try:
        vector = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as err:
        raise UserError(f"{path}: wanted an npy file of numbers ({' '.join(str(err).split())})") from err
    return unit_vector(vector, bundle, str(path))


def unit_vector(embedding: Any, bundle: Bundle, where: str) -> np.ndarray:
    """An embedding as a unit vector.

    Args:
        embedding: D numbers.
        bundle: the model that it is for.
        where: what to call it in a message.

    Returns:
        float32 [D].

    Raises:
        UserError: when it has another size than the model's, is zero, or not finite.
    """
    size = bundle.extractor.config.embedding_dim
    try:
        vector = np.asarray(embedding, dtype=np.float32).squeeze()
    except (TypeError, ValueError) as err:
        raise UserError(f"{where}: wanted an embedding of {size} numbers, found {type(embedding).__name__}") from err
    if vector.shape != (size,):
        raise UserError(f"{where}: wanted an embedding of {size} numbers, found shape {list(vector.shape)}")
    if not np.isfinite(vector).all() or not vector.any():
        raise UserError(f"{where}: wanted an embedding of finite numbers that are not all 0")
    return vector / np.linalg.norm(vector)
