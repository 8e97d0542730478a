"""The conditions of an extraction test: which model, which embeddings; all extracted and scored alike.

The condition `separated` is that of a separator, which takes no embedding.
"""

from __future__ import annotations

from pathlib import Path

from wesep_mix.analysis.controls import MIXTURE, SEPARATED, choose
from wesep_mix.analysis.extraction import extract_set
from wesep_mix.analysis.keys import MATCHED
from wesep_mix.analysis.scoring import score_condition
from wesep_mix.analysis.settings import ScoreConfig
from wesep_mix.checkpoint import load_model, num_parameters
from wesep_mix.io.embeddings import clean_scp, read_embeddings
from wesep_mix.mixing.plan import read_plans


def run_control(
    control: str, data: Path, embeddings: Path, extractor: Path, settings: ScoreConfig, nj: int, device: str
) -> None:
    """Extract and score one control into `extractor/test/<control>`.

    data: folder with the test set's plan.jsonl; embeddings: its folder of stage 4;
    extractor: folder with the trained `matched` and `none` models.
    """
    plans, out = read_plans(data / "plan.jsonl"), extractor / "test" / control
    scps = (embeddings / MATCHED, clean_scp(embeddings), embeddings / "student.scp")
    chosen = choose(control, plans, *map(read_embeddings, scps), settings.seed)
    model = model_of(extractor, control)
    extract_set(model, plans, chosen, out / "wav", device, settings.wav_subtype, settings.chunks,
                settings.batch_size)
    score_extracted(control, data, extractor, settings, nj)


def score_extracted(condition: str, data: Path, extractor: Path, settings: ScoreConfig, nj: int) -> None:
    """Score `extractor/test/<condition>/wav`, or the mixtures as they are, into `extractor/test/<condition>/scores`."""
    out, plans = extractor / "test" / condition, read_plans(data / "plan.jsonl")
    wavs, params = (None, 0) if condition == MIXTURE else (out / "wav", _num_parameters(extractor, condition))
    score_condition(plans, wavs, out / "scores", params, nj, settings.max_bad)


def model_of(extractor: Path, condition: str) -> Path:
    """The model file of a condition: the controls share the network of `matched`, but for `none`."""
    return extractor / (condition if condition in ("none", SEPARATED) else "matched") / "model.pt"


def _num_parameters(extractor: Path, condition: str) -> int:
    kind = "separators" if condition == SEPARATED else "extractors"
    return num_parameters(load_model(model_of(extractor, condition), kind))
