"""ESPnet's folder for target-speaker extraction (egs2/librimix/tse1).

    OUT/espnet/{N}mix/SET/{spk1.scp,...,noise1.scp,enroll_spk1.scp,...,utt2spk,spk2utt,wav.scp} and wav/, cues/

A row of enroll_spkN.scp is a path that espnet2's TSEPreprocessor opens itself (data type `text`). With
`load_spk_embedding: true` in the training config's preprocessor_conf that is an .npy of one vector, which it makes [1,
D]; otherwise it is the wav of an enrolment. With stage 4's embeddings we write an .npy of the matched embedding;
without them, the path of another utterance of the talker, chosen by name alone. Neither needs a `train_spk2enroll`: the
enrolment of a mixture is fixed, in training too. wav.scp is written last: if it is there, the folder is whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.exports.embeddings import matched_embeddings, write_npy
from wesep_mix.exports.job import Export
from wesep_mix.exports.kaldi import kaldi_tables, write_tables
from wesep_mix.exports.settings import TableConfig
from wesep_mix.exports.wavs import wav_folder
from wesep_mix.mixing.plan import Plan
from wesep_mix.preparation.lists import read_speech

EMBEDDINGS = "optional"


@dataclass(frozen=True, kw_only=True)
class Config(TableConfig):
    name: str = "espnet"


def export(job: Export) -> None:
    """Write the folder. Raises: UserError naming the target without embedding, or the talker without enrolment."""
    enrolments = _enrolments(job)  # first, since it fails in seconds if an embedding is missing
    numbers = range(1, job.num_spk + 1)
    tables = {
        f"enroll_spk{number}.scp": {mix_id: str(paths[number - 1]) for mix_id, paths in enrolments.items()}
        for number in numbers
    }
    write_tables(job.out, tables | kaldi_tables(job, wav_folder(job)))
    if job.embeddings is not None:
        print(
            "note: enroll_spkN.scp names embeddings: in ESPnet's training config set load_spk_embedding: true in "
            "preprocessor_conf",
            flush=True,
        )


def _enrolments(job: Export) -> dict[str, list[Path]]:
    if job.embeddings is not None:
        return write_npy(job.out / "cues", job, matched_embeddings(job))
    utterances: dict[str, list[tuple[str, Path]]] = {}
    for entry in sorted(read_speech(job.data), key=lambda entry: entry.utt):
        utterances.setdefault(entry.spk, []).append((entry.utt, Path(entry.path).absolute()))
    return {plan.id: [_other(plan, number, utterances) for number in range(job.num_spk)] for plan in job.plans}


def _other(plan: Plan, number: int, utterances: dict[str, list[tuple[str, Path]]]) -> Path:
    """An utterance of the talker that is not in the mixture."""
    source = plan.sources[number]
    others = [path for utt, path in utterances.get(source.spk, []) if utt != source.utt]
    if not others:
        raise UserError(f"mixture {plan.id}: {source.spk} has no other utterance to enrol with; give --embeddings")
    return others[rng_for(0, "enrolment", plan.id, source.utt).integers(len(others))]
