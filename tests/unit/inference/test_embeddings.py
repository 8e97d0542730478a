"""Stage 4: whose embedding goes under which key, for students of more and of fewer heads than there are talkers."""

import itertools

import numpy as np
import pytest
import torch
from stages import mark_done

from wesep_mix.base import plugins
from wesep_mix.base.files import read_table, write_json
from wesep_mix.bin import extract_embeddings
from wesep_mix.data.datasets import fixed_loader
from wesep_mix.inference.embeddings import extract_enrolments, mixture_embeddings
from wesep_mix.io.embeddings import clean_scp, read_embeddings
from wesep_mix.matching.speaker_set import OwnReference
from wesep_mix.mixing.harder import harder
from wesep_mix.mixing.plan import head_keys, read_plans, speaker_keys, write_plans
from wesep_mix.models import checkpoint
from wesep_mix.models.frontends import logmel
from wesep_mix.models.students import parallel_heads
from wesep_mix.models.teachers import asp
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry, write_lists

SIZES = {
    "frontend": logmel.Config(num_mels=20, channels=8, num_layers=1, num_heads=2),
    "projection": 6,
    "embedding_dim": 5,
    "bottleneck": 4,
}


def build(kind: str, config):
    torch.manual_seed(0)
    return plugins.build(kind, config).eval()


@pytest.fixture(scope="module")
def teacher():
    return build("teachers", asp.Config(**SIZES))


def student_of(num_heads: int, **changes):
    return build("students", parallel_heads.Config(num_spk=num_heads, **SIZES, **changes))


@pytest.fixture(scope="module")
def mixtures(mixture_of):
    return [mixture_of("a", "b", "c"), mixture_of("d", "e"), mixture_of("f"), mixture_of("b", "f")]


def tables_of(teacher, student, plans, batch_size=3):
    return mixture_embeddings(teacher, student, fixed_loader(plans, batch_size))


def alone(plan):
    (batch,) = fixed_loader([plan], 1)
    return batch


def best_heads(heads, references) -> list[int]:
    """Of each talker its head, -1 where it has none: the largest sum of cosines over all pairings."""
    num_heads, num_spk = len(heads), len(references)
    if num_heads >= num_spk:
        orders = itertools.permutations(range(num_heads), num_spk)
    else:
        orders = set(itertools.permutations([*range(num_heads), *[-1] * (num_spk - num_heads)]))
    return list(
        max(
            orders,
            key=lambda order: sum(
                float(heads[head] @ references[talker]) for talker, head in enumerate(order) if head >= 0
            ),
        )
    )


@pytest.mark.parametrize("num_heads", [1, 2, 3, 4])
@pytest.mark.parametrize("references", ["teacher", "own"])
def test_every_key_has_its_embedding(teacher, mixtures, num_heads, references):
    student = student_of(num_heads, references=references)
    judge = teacher if references == "teacher" else OwnReference(student)
    tables = tables_of(teacher, student, mixtures)
    assert list(tables.student) == [key for plan in mixtures for key in head_keys(plan, num_heads)]
    assert list(tables.teacher) == [key for plan in mixtures for key in speaker_keys(plan)] and tables.num_spk == {}
    matched = {}
    with torch.inference_mode():
        for plan in mixtures:
            batch, keys = alone(plan), speaker_keys(plan)
            heads, clean = student(batch.mix).embeddings[0], teacher(*batch.clean())
            for key, one in zip(head_keys(plan, num_heads), heads, strict=True):
                np.testing.assert_allclose(tables.student[key], one, atol=1e-5)
            for key, one in zip(keys, clean, strict=True):
                np.testing.assert_allclose(tables.teacher[key], one, atol=1e-5)
            chosen = best_heads(heads, judge(*batch.clean()))
            matched |= {key: heads[head] for key, head in zip(keys, chosen, strict=True) if head >= 0}
            if references == "own":
                for key, one in zip(keys, judge(*batch.clean()), strict=True):
                    np.testing.assert_allclose(tables.reference[key], one, atol=1e-5)
    assert len(tables.reference) == (len(tables.teacher) if references == "own" else 0)
    assert list(tables.matched) == list(matched)
    assert len(matched) == sum(min(num_heads, len(plan.sources)) for plan in mixtures)
    for key, one in matched.items():
        np.testing.assert_allclose(tables.matched[key], one, atol=1e-5)


def test_a_student_with_presence_counts(teacher, mixtures):
    student = student_of(3, presence=True)
    for layer, bias in zip(student.presence, (0.0, 0.0, -9.0), strict=True):
        torch.nn.init.normal_(layer.weight, std=3.0)
        torch.nn.init.constant_(layer.bias, bias)
    tables = tables_of(teacher, student, mixtures)
    with torch.inference_mode():
        wanted = {plan.id: max(1, int((student(alone(plan).mix).presence > 0).sum())) for plan in mixtures}
    assert tables.num_spk == wanted


def test_the_embeddings_of_clean_sources_that_count_are_those_it_was_matched_to(teacher, mixtures, tmp_path):
    for references, stem in ("teacher", "teacher"), ("own", "reference"):
        tables_of(teacher, student_of(2, references=references), mixtures).write(tmp_path / stem, mixtures, True)
        assert clean_scp(tmp_path / stem) == tmp_path / stem / f"{stem}.scp"
        assert (tmp_path / stem / "teacher.scp").is_file()


def test_by_nearest_every_talker_has_an_embedding(teacher, mixtures):
    tables = mixture_embeddings(teacher, student_of(1), fixed_loader(mixtures, 3), "nearest")
    assert list(tables.matched) == list(tables.teacher)
    (of_one,) = {tuple(tables.matched[key]) for key in speaker_keys(mixtures[0])}
    np.testing.assert_allclose(of_one, tables.student[head_keys(mixtures[0], 1)[0]])


@pytest.mark.parametrize("num_heads, presence", [(2, False), (3, True)])
def test_the_stage_by_its_entry_point(teacher, mixtures, mixture_of, tmp_path, capsys, num_heads, presence):
    """Mixtures of one to three, whatever the student's number of heads."""
    data, exp = tmp_path / "data", tmp_path / "exp"
    write_plans(data / "3mix" / "test" / "plan.jsonl", mixtures)
    write_plans(data / "single" / "test" / "plan.jsonl", [mixture_of("a", mix="a-0")])
    checkpoint.save_model(exp / "teacher" / "model.pt", "teachers", teacher)
    checkpoint.save_model(exp / "student" / "model.pt", "students", student_of(num_heads, presence=presence))
    mark_done(data / "3mix", data / "single", exp / "teacher", exp / "student")
    (tmp_path / "embeddings.yaml").write_text("sets: [test]\nbatch_size: 2\n")
    out = exp / "embeddings"
    assert (
        extract_embeddings.main(
            [
                f"--config={tmp_path}/embeddings.yaml",
                f"--data={data}/3mix",
                f"--single={data}/single",
                f"--out={out}",
                f"--teacher={exp}/teacher/model.pt",
                f"--student={exp}/student/model.pt",
            ]
        )
        == 0
    ), capsys.readouterr().err
    sizes = {kind: len(read_embeddings(out / "test" / f"{kind}.scp")) for kind in ("teacher", "student", "matched")}
    talkers = [len(plan.sources) for plan in mixtures]
    assert sizes == {
        "teacher": sum(talkers),
        "student": 4 * num_heads,
        "matched": sum(min(num_heads, count) for count in talkers),
    }
    counts = out / "test" / "reco2num_spk"
    assert counts.is_file() == presence
    if presence:
        assert set(read_table(counts)) == {plan.id for plan in mixtures}
        assert set(read_table(counts).values()) <= {"1", "2", "3"}


def test_the_teachers_test_can_be_made_harder(teacher, mixture_of, tmp_path, capsys):
    plan, exp = mixture_of("a", mix="a-0"), tmp_path / "exp"
    write_plans(tmp_path / "single" / "test" / "plan.jsonl", [plan])
    checkpoint.save_model(exp / "teacher" / "model.pt", "teachers", teacher)
    mark_done(tmp_path / "single", exp / "teacher")
    (tmp_path / "embeddings.yaml").write_text("batch_size: 2\n")
    options = [
        f"--config={tmp_path}/embeddings.yaml",
        f"--data={tmp_path}/single",
        f"--single={tmp_path}/single",
        f"--teacher={exp}/teacher/model.pt",
    ]
    hard = ["--set=embeddings.single.length_s=0.5", "--set=embeddings.single.snr_db=-3"]
    for name, settings in (("easy", []), ("hard", hard)):
        assert extract_embeddings.main([*options, f"--out={exp / name}", *settings]) == 0, capsys.readouterr().err
        (found,) = read_embeddings(exp / name / "single_test" / "teacher.scp").values()
        wanted = plan if name == "easy" else harder(plan, 0.5, -3)
        with torch.inference_mode():
            np.testing.assert_allclose(found, teacher(alone(wanted).mix)[0], atol=1e-5)
    assert extract_embeddings.main([*options, f"--out={exp / 'long'}", "--set=embeddings.single.length_s=2"]) == 1
    assert "a-0: wanted at least 2 s of speech (embeddings.single.length_s), found 1 s" in capsys.readouterr().err


def test_without_student_and_single_speech_there_is_nothing_to_embed(tmp_path, capsys):
    options = [f"--{name}={tmp_path / name}" for name in ("config", "data", "teacher", "out")]
    assert extract_embeddings.main(options) == 1
    assert "wanted --student, --single or both, found none of them" in capsys.readouterr().err


@pytest.mark.parametrize("references", ["teacher", "own"])
def test_enrolments_are_embedded_by_the_network_that_embeds_clean_sources(
    teacher, mixture_of, corpus, tmp_path, references
):
    data, student = tmp_path / "2mix" / "test", student_of(2, references=references)
    plans = [mixture_of("a", "b"), mixture_of("b", "c")]
    write_plans(data / "plan.jsonl", plans)
    others = [SpeechEntry(f"{spk}-0", spk, "f", str(corpus / f"{spk}.wav"), (Crop(0, 1.0, -20.0),)) for spk in "abc"]
    write_lists(data, others, [NoiseEntry("noise", str(corpus / "noise.wav"), 16000)])
    write_json(data.parent / "mixing.json", {"segment_s": 1.0, "snr_db": [0.0]})
    for kind, model in (("teachers", teacher), ("students", student)):
        checkpoint.save_model(tmp_path / f"{kind}.pt", kind, model)
    extract_enrolments(data, 0, tmp_path / "teachers.pt", tmp_path / "students.pt", tmp_path / "out", 1, 0)
    clean, noisy = (read_embeddings(tmp_path / "out" / f"{name}.scp") for name in ("enrolment", "enrolment_noisy"))
    listed = read_plans(tmp_path / "out" / "plan.jsonl")
    assert [plan.id for plan in listed] == [key for plan in plans for key in speaker_keys(plan)]
    assert set(clean) == set(noisy) == {plan.id for plan in listed} and {plan.noise.snr_db for plan in listed} == {0.0}
    network = teacher if references == "teacher" else OwnReference(student)
    with torch.inference_mode():
        for plan in listed:
            batch = alone(plan)
            for table, speech in (clean, batch.clean()), (noisy, (batch.mix, batch.num_samples)):
                np.testing.assert_allclose(table[plan.id], network(*speech)[0], atol=1e-5)
