"""Stage 4's embeddings as WeSpeaker's tools read them (github.com/wenet-e2e/wespeaker; its main branch of July 2026).

In OUT/SET there is `trials` for `wespeaker/bin/score.py`, and the folder `wespeaker` with a folder for each kind of
embedding:

- `xvector.scp`, which `score.py` and the PLDA scripts take, and beside it `utt2spk`;
- `emb.scp` and `emb_as_one.scp`, which `wespeaker/diar/{spectral,umap}_clusterer.py` take. What stands in a key before
  its first hyphen is the recording for them, and they cluster each recording by itself; after it `make_rttm.py` wants
  `<begin ms>-<end ms>-<first frame>-<last frame>`. Embeddings of a set overlap in time, which these tools do not
  expect, so by the keys the talkers seem to speak one after the other, each as long as the mixture. In `emb.scp`
  every mixture is a recording; in `emb_as_one.scp` the whole set is one, which asks for the speakers of the set.

No vector is copied: all of these name the arks that are there, so lines of one embedding have the same second column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wesep_mix.base.files import write_table
from wesep_mix.mixing.plan import Plan, head_keys, single_keys, speaker_keys
from wesep_mix.mixing.trials import KeysOf, Trials, fixed_trials, write_trials

TRIALS = "trials"
FOLDER = "wespeaker"
FRAME_MS = 10

Places = Mapping[str, str]  # key -> where the vector is in an ark, as in an scp, sorted by key


def write_mixtures(
    folder: Path, plans: Sequence[Plan], places: Mapping[str, Places], num_heads: int, with_trials: bool
) -> None:
    """Write everything for a set of mixtures into its folder.

    Args:
        folder: stage 4's folder of the set.
        plans: its mixtures.
        places: {teacher, student or matched: places of these embeddings}.
        num_heads: heads of the student.
        with_trials: also write trials; not for a set that nobody is tested on, whose pairs are too many to look at.
    """
    kinds = {"teacher": speaker_keys, "matched": speaker_keys, "student": lambda plan: head_keys(plan, num_heads)}
    for kind, keys_of in kinds.items():
        _write_kind(folder / FOLDER / kind, places[kind], plans, keys_of, folder.name)
    _write_speakers(folder, plans, speaker_keys)
    if with_trials:
        trials = fixed_trials(plans)
        write_trials(folder / TRIALS, trials)
        _write_own_trials(folder / FOLDER / "matched", places["matched"], trials)


def write_single(folder: Path, plans: Sequence[Plan], places: Places) -> None:
    """Write everything for the single-speaker set into its folder.

    Args:
        folder: stage 4's folder of the set.
        plans: its utterances in noise.
        places: places of the teacher's embeddings.
    """
    write_trials(folder / TRIALS, fixed_trials(plans, single_keys))
    _write_kind(folder / FOLDER / "teacher", places, plans, single_keys, folder.name)
    _write_speakers(folder, plans, single_keys)


def subsegments(
    plans: Sequence[Plan], keys_of: KeysOf, there: Places, as_one: str | None = None
) -> Iterator[tuple[str, str]]:
    """Make the clusterers' keys of embeddings.

    Args:
        plans: the mixtures.
        keys_of: keys of a mixture's embeddings.
        there: the embeddings that exist.
        as_one: name of the one recording that all are of; None: every mixture is a recording.

    Yields:
        (key for the clusterers, our key).
    """
    begin = 0  # in frames, so that one ends where the next begins
    for plan in plans:
        begin = begin if as_one else 0
        length = plan.num_samples * 1000 // (plan.sample_rate * FRAME_MS)
        recording = (as_one or plan.id).replace("-", "_")
        for key in keys_of(plan):
            if key in there:
                times = (begin * FRAME_MS, (begin + length) * FRAME_MS, 0, length)
                yield "-".join([recording, *(f"{time:08d}" for time in times)]), key
            begin += length


def _write_kind(out: Path, places: Places, plans: Sequence[Plan], keys_of: KeysOf, set_name: str) -> None:
    write_table(out / "xvector.scp", places)
    for name, as_one in (("emb.scp", None), ("emb_as_one.scp", set_name)):
        keys = subsegments(plans, keys_of, places, as_one)
        write_table(out / name, {theirs: places[ours] for theirs, ours in keys})


def _write_speakers(folder: Path, plans: Sequence[Plan], keys_of: KeysOf) -> None:
    speakers = {key: source.spk for plan in plans for key, source in zip(keys_of(plan), plan.sources, strict=True)}
    write_table(folder / FOLDER / "utt2spk", speakers)


def _write_own_trials(out: Path, places: Places, trials: Trials) -> None:
    """If embeddings are missing, on which `score.py` would stop: write the list without their trials beside
    `xvector.scp`.
    """
    pairs, same = trials.among(list(places))
    if len(same) < len(trials.same):
        write_trials(out / TRIALS, Trials(list(places), pairs, same))
