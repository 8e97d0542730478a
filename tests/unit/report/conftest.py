import numpy as np
import pytest

from wesep_mix.base.files import write_json
from wesep_mix.evaluation.scoring import METRICS, summarise, write_scores
from wesep_mix.io.embeddings import write_embeddings

CONDITIONS = {"sexes": "FM", "snr_db": "5", "overlap": "0.5-0.6"}  # of all mixtures
GAINS = {
    "matched": 5.0,
    "none": 1.0,
    "wrong": -6.0,
    "random": -1.0,
    "oracle": 5.5,
    "enrolment": 4.5,
    "enrolment_noisy": 3.5,
}


@pytest.fixture
def experiment(tmp_path):
    """exp/mini_trial/2mix with what stages 4, 7 and 8 leave there, for one extractor `net`."""
    exp = tmp_path / "exp" / "mini_trial"
    mixtures = exp / "2mix"
    pairs = [("m1", "a"), ("m1", "b"), ("m2", "c"), ("m2", "a"), ("m3", "b"), ("m3", "c")]
    scored(mixtures / "mixture" / "test" / "mixture", pairs, 0.0, 0)
    for condition, gain in GAINS.items():
        scored(mixtures / "net" / "test" / condition, pairs, gain, 1_234_567)
    row = {"acc": 2 / 3, "sep": 0.2, "nmi": 0.5, "sil": 0.1, "ari": 0.4, "eer": 0.1, "num": 6, "trainable": 0}
    row["min_dcf"] = 0.7
    student = row | {"cos": 0.8123, "count_acc": 2 / 3, "num_missing": 0}
    write_json(mixtures / "clustering" / "metrics.json", {"teacher": row, "kmeans": row, "student": student})
    by = {condition: {value: {"acc": 1 / 3, "cos": 0.8, "num": 6}} for condition, value in CONDITIONS.items()}
    write_json(mixtures / "clustering" / "by_condition.json", {"student": by})
    lines = [",".join(("mix", *CONDITIONS)), *(",".join((mix, *CONDITIONS.values())) for mix in ("m1", "m2", "m3"))]
    (mixtures / "clustering" / "mixtures.csv").write_text("\n".join(lines) + "\n")
    rng = np.random.default_rng(0)
    for name in ("teacher", "matched"):
        table = {f"{mix}-{spk}": rng.standard_normal(4).astype(np.float32) for mix, spk in pairs}
        write_embeddings(mixtures / "embeddings" / "test" / name, table)
    (exp / "teacher").mkdir()
    (exp / "teacher" / "config.yaml").write_text("git: abc\nseed: 7\n")
    return exp


def scored(folder, pairs, gain, params):
    rows = [
        {"mix": mix, "speaker": spk, **dict.fromkeys(METRICS, 0.5), "si_sdri": gain + place / 10}
        for place, (mix, spk) in enumerate(pairs)
    ]
    write_scores(folder / "scores" / "scores.csv", rows)
    write_json(folder / "scores" / "summary.json", summarise(rows) | {"num_bad": 0, "params": params})
