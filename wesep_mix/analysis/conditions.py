"""The conditions of an extraction test: which model, which embeddings; all extracted and scored alike.

The condition `separated` is that of a separator, which takes no embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wesep_mix.analysis.controls import MIXTURE, SEPARATED, choose, model_of
from wesep_mix.analysis.extraction import extract_set
from wesep_mix.analysis.keys import MATCHED
from wesep_mix.analysis.scoring import score_condition
from wesep_mix.analysis.settings import ScoreConfig
from wesep_mix.checkpoint import load_model, num_parameters
from wesep_mix.io.embeddings import clean_scp, read_embeddings
from wesep_mix.mixing.plan import Plan, read_plans


def extract_condition(
    condition: str, data: Path, embeddings: Path, extractor: Path, settings: ScoreConfig, device: str
) -> None:
    """Extract the test set on the right embeddings, `matched`, or as a control into `extractor/test/<condition>/wav`.

    data: folder with the test set's plan.jsonl; embeddings: its folder of stage 4;
    extractor: folder with the trained `matched` and `none` models.
    """
    plans = read_plans(data / "plan.jsonl")
    given = _given(condition, plans, embeddings, settings.seed)
    extract_set(model_of(extractor, condition), plans, given, extractor / "test" / condition / "wav", device,
                settings.wav_subtype, settings.chunks, settings.batch_size)


def _given(condition: str, plans: Sequence[Plan], embeddings: Path, seed: int) -> Mapping[str, np.ndarray] | None:
    if condition == "none":
        return None
    matched = read_embeddings(embeddings / MATCHED)
    if condition == "matched":
        return matched
    return choose(condition, plans, matched, *map(read_embeddings, (clean_scp(embeddings), embeddings / "student.scp")),
                  seed)


def score_extracted(condition: str, data: Path, extractor: Path, settings: ScoreConfig, nj: int) -> None:
    """Score `extractor/test/<condition>/wav`, or the mixtures as they are, into `extractor/test/<condition>/scores`."""
    out, plans = extractor / "test" / condition, read_plans(data / "plan.jsonl")
    wavs, params = (None, 0) if condition == MIXTURE else (out / "wav", _num_parameters(extractor, condition))
    score_condition(
        plans, wavs, out / "scores", params, nj, settings.max_bad, settings.is_perceptual(condition), settings.dnsmos)


def _num_parameters(extractor: Path, condition: str) -> int:
    kind = "separators" if condition == SEPARATED else "extractors"
    return num_parameters(load_model(model_of(extractor, condition), kind))
