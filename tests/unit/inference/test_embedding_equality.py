"""Stage 4 gives an utterance the same embeddings whatever it shares a batch with, and whoever renders it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from stages import mark_done

from wesep_mix.bin import extract_embeddings
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.inference.embeddings import mixture_embeddings, single_embeddings
from wesep_mix.io.embeddings import read_embeddings
from wesep_mix.mixing.plan import write_plans
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import logmel, ssl
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp

SIZES = [(16000, 9000), (300, 2000), (5000, 16000), (16000, 16000), (1200, 640), (7000, 801), (12345, 3000)]  # samples
WAVLM = {
    "model_type": "wavlm",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 48,
    "layerdrop": 0.0,
    "num_attention_heads": 4,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "apply_spec_augment": False,
    "num_conv_pos_embedding_groups": 4,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
FRONTENDS = {
    "logmel": logmel.Config(num_mels=20, channels=16, num_layers=2, num_heads=2),
    "wavlm base": ssl.Config(architecture=json.dumps(WAVLM | {"do_normalize": False}), layers="rwse"),
    "wavlm large": ssl.Config(architecture=json.dumps(WAVLM | LARGE | {"do_normalize": True})),
}


@pytest.fixture(scope="module")
def mixtures(mixture_of):
    """Seven mixtures of two talkers, of very different lengths, in no order of length."""
    plans = []
    for number, sizes in enumerate(SIZES):
        plan = mixture_of(*"abcdef"[number % 5 : number % 5 + 2], mix=f"m{number}")
        sources = tuple(
            dataclasses.replace(source, num_samples=size) for source, size in zip(plan.sources, sizes, strict=True)
        )
        length = max(source.offset + source.num_samples for source in sources)
        plans.append(dataclasses.replace(plan, sources=sources, num_samples=length))
    return plans


@pytest.fixture(scope="module", params=FRONTENDS)
def models(request):
    torch.manual_seed(0)
    small = {"frontend": FRONTENDS[request.param], "projection": 8, "embedding_dim": 6, "bottleneck": 4}
    return asp.Model(asp.Config(**small)).eval(), parallel_heads.Model(parallel_heads.Config(**small)).eval()


def all_of(models, plans, batch_size):
    """{table/key: vector} of teacher and student, of mixtures and of the teacher on whole mixtures."""
    tables = mixture_embeddings(*models, iter(fixed_loader(plans, batch_size)))
    singles = single_embeddings(models[0], iter(fixed_loader(plans, batch_size)))
    parts = {"teacher": tables.teacher, "student": tables.student, "matched": tables.matched, "single": singles}
    return {f"{name}/{key}": vector for name, part in parts.items() for key, vector in part.items()}


def largest_difference(found, wanted) -> float:
    assert found.keys() == wanted.keys()
    return max(float(np.abs(found[key] - wanted[key]).max()) for key in wanted)


def test_an_embedding_does_not_depend_on_the_batch(models, mixtures):
    alone = all_of(models, mixtures, 1)
    assert len(alone) == 7 * (2 + 2 + 2 + 1)
    for batch_size in (3, len(mixtures)):
        for plans in (mixtures, mixtures[::-1], sorted(mixtures, key=lambda plan: plan.num_samples)):
            assert largest_difference(all_of(models, plans, batch_size), alone) <= 1e-4
    vectors = [vector for key, vector in alone.items() if key.startswith("single/")]
    assert min(np.abs(one - other).max() for one in vectors for other in vectors if one is not other) > 1e-3


@pytest.fixture(scope="module")
def arks(tmp_path_factory, mixture_of, mixtures):
    """Function: options of stage 4 -> {set/table: {key: vector}} and the keys of each scp, in its order."""
    root = tmp_path_factory.mktemp("stage4")
    torch.manual_seed(1)
    small = {"frontend": FRONTENDS["logmel"], "projection": 8, "embedding_dim": 6, "bottleneck": 4}
    for name in ("dev", "test"):
        write_plans(root / "data" / "2mix" / name / "plan.jsonl", mixtures[::-1] if name == "test" else mixtures[:2])
    singles = [mixture_of(spk, mix=f"{spk}-{turn}") for spk in "abc" for turn in range(2)]
    write_plans(root / "data" / "single" / "test" / "plan.jsonl", singles)
    checkpoint.save_model(root / "teacher" / "model.pt", "teachers", asp.Model(asp.Config(**small)))
    student = parallel_heads.Model(parallel_heads.Config(**small))
    checkpoint.save_model(root / "student" / "model.pt", "students", student)
    mark_done(*(root / folder for folder in ("data/2mix", "data/single", "teacher", "student")))

    def make(name: str, batch_size: int, *more: str) -> tuple[dict, dict]:
        (root / f"{name}.yaml").write_text(f"sets: [dev, test]\nbatch_size: {batch_size}\n")
        out = root / name
        assert (
            extract_embeddings.main(
                [
                    f"--config={root}/{name}.yaml",
                    f"--data={root}/data/2mix",
                    f"--single={root}/data/single",
                    f"--teacher={root}/teacher/model.pt",
                    f"--student={root}/student/model.pt",
                    f"--out={out}",
                    *more,
                ]
            )
            == 0
        )
        tables = [f"{part}/{kind}" for part in ("dev", "test") for kind in ("teacher", "student", "matched")]
        scps = [out / f"{table}.scp" for table in [*tables, "single_test/teacher"]]
        order = {
            f"{scp.parent.name}/{scp.stem}": [line.split()[0] for line in Path(scp).read_text().splitlines()]
            for scp in scps
        }
        return {f"{scp.parent.name}/{scp.stem}": read_embeddings(scp) for scp in scps}, order

    return make


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than this machine has cores
@pytest.mark.parametrize("batch_size, more", [(4, ["--nj=4"]), (1, ["--nj=1"]), (16, ["--nj=2"])])
def test_arks_are_the_same_for_any_number_of_jobs_and_any_batch(arks, batch_size, more):
    (wanted, wanted_order), (found, order) = arks("one", 4, "--nj=1"), arks(f"other{batch_size}", batch_size, *more)
    assert order == wanted_order and all(keys == sorted(keys) for keys in order.values())
    assert {len(table) for table in wanted.values()} == {4, 14, 6}
    for name, table in wanted.items():
        assert largest_difference(found[name], table) <= 1e-4
