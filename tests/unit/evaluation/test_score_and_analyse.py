"""Stages 6 to 9 on two tiny mixtures with untrained models."""

import csv
import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from stages import mark_done

from wesep_mix.base import plugins
from wesep_mix.base.files import write_json
from wesep_mix.bin import analyse, extract_speech, report, score, separate_speech
from wesep_mix.inference.controls import CONTROLS, ENROLMENTS
from wesep_mix.io.audio import read_audio
from wesep_mix.io.embeddings import read_embeddings, write_embeddings
from wesep_mix.mixing.plan import head_keys, read_plans, speaker_keys, write_plans
from wesep_mix.mixing.render import render
from wesep_mix.models import checkpoint
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry, write_lists

DIM = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory, mixture_of, corpus):
    """A project with finished stages 1 to 5: data/, exp/ and two configs."""
    root = tmp_path_factory.mktemp("world")
    torch.manual_seed(0)
    (root / "score.yaml").write_text("max_bad: 0\nseed: 0\n")
    (root / "extract.yaml").write_text("wav_subtype: FLOAT\n")
    plans = [mixture_of("a", "b", mix="m1"), mixture_of("b", "c", mix="m2")]
    singles = [mixture_of(spk, mix=f"{spk}-{turn}") for spk in "ab" for turn in range(2)]
    write_plans(root / "data" / "2mix" / "test" / "plan.jsonl", plans)
    write_plans(root / "data" / "single" / "test" / "plan.jsonl", singles)
    test = root / "data" / "2mix" / "test"
    others = [
        SpeechEntry(f"{spk}-other", spk, "f", str(corpus / f"{spk}.wav"), (Crop(0, 1.0, -20.0),)) for spk in "abc"
    ]
    write_lists(test, others, [NoiseEntry("noise", str(corpus / "noise.wav"), 16000)])
    write_json(test.parent / "mixing.json", {"segment_s": 1.0})
    mixtures = root / "exp" / "mini" / "2mix"
    _models(root / "exp" / "mini" / "teacher", mixtures)
    _embeddings(mixtures / "embeddings", plans, singles)
    mark_done(root / "data" / "2mix", root / "data" / "single", root / "exp" / "mini" / "teacher")
    mark_done(*(mixtures / name for name in ("student", "embeddings", "net/matched", "net/none")))
    return root


def _models(teacher: Path, mixtures: Path) -> None:
    frontend = plugins.load("frontends", "logmel").Config(channels=16, num_layers=1, num_mels=20)
    small = {"frontend": frontend, "projection": 8, "embedding_dim": DIM, "bottleneck": 4}
    student = mixtures / "student"
    for kind, name, out in (("teachers", "asp", teacher), ("students", "parallel_heads", student)):
        model = plugins.build(kind, plugins.load(kind, name).Config(**small))
        checkpoint.save_model(out / "model.pt", kind, model, num_trainable=len(kind))
    tcn = plugins.load("extractors", "stft_tcn")
    for condition, fusion in (("matched", "film"), ("none", "none")):
        size = {"channels": 8, "hidden": 8, "num_blocks": 1, "num_stacks": 1}
        model = tcn.Model(tcn.Config(embedding_dim=DIM, fusion=fusion, **size))
        for parameter in model.parameters():  # FiLM starts as the identity; here the embedding must matter
            torch.nn.init.normal_(parameter, std=0.5)
        checkpoint.save_model(mixtures / "net" / condition / "model.pt", "extractors", model)


def _embeddings(out: Path, plans, singles) -> None:
    rng = np.random.default_rng(0)
    teacher, matched = ({key: rng.standard_normal(DIM) for plan in plans for key in speaker_keys(plan)} for _ in "tm")
    heads = {
        head: matched[key] for plan in plans for head, key in zip(head_keys(plan), speaker_keys(plan), strict=True)
    }
    for name, table in (("teacher", teacher), ("matched", matched), ("student", heads)):
        write_embeddings(out / "test" / name, table)
    write_embeddings(out / "single_test" / "teacher", {plan.id: rng.standard_normal(DIM) for plan in singles})


def extraction(root: Path) -> int:
    return extract_speech.main(
        [
            f"--config={root}/extract.yaml",
            f"--data={root}/data/2mix/test",
            f"--extractor={root}/exp/mini/2mix/net",
            f"--embeddings={root}/exp/mini/2mix/embeddings/test",
        ]
    )


def scoring(root: Path, *more: str) -> int:
    return score.main(
        [f"--config={root}/score.yaml", f"--data={root}/data/2mix/test", f"--extractor={root}/exp/mini/2mix/net", *more]
    )


def analysis(root: Path, *more: str) -> int:
    exp = root / "exp" / "mini"
    return analyse.main(
        [
            f"--config={root}/score.yaml",
            f"--extract_config={root}/extract.yaml",
            f"--data={root}/data/2mix/test",
            f"--single={root}/data/single/test",
            f"--teacher={exp}/teacher/model.pt",
            f"--student={exp}/2mix/student/model.pt",
            f"--embeddings={exp}/2mix/embeddings",
            f"--extractor={exp}/2mix/net",
            *more,
        ]
    )


def test_a_missing_input_says_which_stage_makes_it(world, capsys):
    assert scoring(world) == 1
    assert "stage 6 makes it" in capsys.readouterr().err


def test_a_teacher_without_its_embeddings_is_refused(world, capsys):
    with pytest.raises(SystemExit):
        scoring(world, f"--teacher={world}/exp/mini/teacher/model.pt")
    assert "--teacher and --embeddings belong together" in capsys.readouterr().err


@pytest.fixture(scope="module")
def analysed(world):
    assert extraction(world) == 0
    assert scoring(world) == 0
    assert analysis(world) == 0
    return world


def test_all_conditions_are_scored_and_reported(analysed):
    exp = analysed / "exp" / "mini"
    assert report.main(["--corpus=mini", "--num_spk=2", f"--exp={exp}"]) == 0
    results = json.loads((exp / "results.json").read_text())
    assert sorted(results["extraction"]) == sorted(["mixture", "net", *(f"net/{control}" for control in CONTROLS)])
    assert {row["num"] for row in results["extraction"].values()} == {4}
    assert results["extraction"]["net"]["params"] > results["extraction"]["net/none"]["params"] > 0
    assert {name for name, row in results["extraction"].items() if "voice_cos" in row} == {
        "mixture",
        *(f"net/{control}" for control in CONTROLS),
    }  # `net` was scored without a teacher
    rows = results["embeddings"]
    assert {name: row["num"] for name, row in rows.items()} == {
        "teacher": 4,
        "teacher/clean": 4,
        "kmeans": 4,
        "kmeans/teacher": 4,
        "student": 4,
    }
    assert [name for name, row in rows.items() if "cos" in row] == ["student"]
    assert all(0 <= row["min_dcf"] <= 1 for row in rows.values())
    assert set(results["embeddings_by"]) == set(rows) - {"teacher"}
    assert results["extraction_by"]["net"]["snr_db"] == {
        "10": {"si_sdri": results["extraction"]["net"]["si_sdri"], "num": 4}
    }
    assert [rows[name]["trainable"] for name in ("teacher", "kmeans", "student")] == [8, 0, 8]


def test_the_wrong_embedding_gives_the_other_talkers_wav(analysed):
    test = analysed / "exp" / "mini" / "2mix" / "net" / "test"
    wrong = read_audio(test / "wrong" / "wav" / "m1-a.wav")
    assert np.allclose(wrong, read_audio(test / "matched" / "wav" / "m1-b.wav"), atol=1e-6)
    assert not np.allclose(wrong, read_audio(test / "matched" / "wav" / "m1-a.wav"), atol=1e-6)


def test_an_enrolment_is_the_teachers_embedding_of_the_other_utterance(analysed):
    exp = analysed / "exp" / "mini"
    teacher = checkpoint.load_model(exp / "teacher" / "model.pt", "teachers")
    plans = read_plans(exp / "2mix" / "enrolments" / "plan.jsonl")
    assert [plan.id for plan in plans] == ["m1-a", "m1-b", "m2-b", "m2-c"]
    clean, noisy = (read_embeddings(exp / "2mix" / "enrolments" / f"{condition}.scp") for condition in ENROLMENTS)
    for plan in plans:
        (source,), audio = plan.sources, render(plan)
        assert source.utt == f"{plan.id[-1]}-other"
        with torch.inference_mode():
            for table, speech in (clean, audio.sources[0]), (noisy, audio.mix):
                wanted = teacher(torch.from_numpy(speech)[None])[0].numpy()
                np.testing.assert_allclose(table[plan.id], wanted, atol=1e-5)
    test = exp / "2mix" / "net" / "test"
    outputs = [read_audio(test / condition / "wav" / "m1-a.wav") for condition in ("matched", "oracle", *ENROLMENTS)]
    assert all(not np.allclose(first, second) for first, second in itertools.combinations(outputs, 2))


def test_stage_8_does_without_enrolments_where_it_is_told_to(analysed, capsys):
    assert analysis(analysed, "--set=score.enrolments=false") == 0
    said = capsys.readouterr().out
    assert said.count("done already") == 11 and "enrolment" not in said


def test_a_model_from_elsewhere_has_all_controls_but_the_network_without_embedding(analysed, capsys):
    mixtures = analysed / "exp" / "mini" / "2mix"
    shutil.copytree(mixtures / "net" / "matched", mixtures / "theirs" / "matched")
    theirs = f"--extractor={mixtures}/theirs"
    data = [f"--data={analysed}/data/2mix/test", theirs]
    options = [f"--config={analysed}/extract.yaml", f"--embeddings={mixtures}/embeddings/test", *data]
    assert extract_speech.main(options) == 0 and score.main([f"--config={analysed}/score.yaml", *data]) == 0
    capsys.readouterr()
    assert analysis(analysed, theirs) == 0
    assert "theirs/none: no network without an embedding, as for a model from elsewhere" in capsys.readouterr().out
    made = {path.name for path in (mixtures / "theirs" / "test").iterdir()}
    assert made == {"matched", *CONTROLS} - {"none"}
    shutil.rmtree(mixtures / "theirs")


def test_finished_conditions_are_not_redone(analysed, capsys):
    test = analysed / "exp" / "mini" / "2mix" / "net" / "test"
    before = {path: path.stat().st_mtime_ns for path in test.rglob("*.wav")}
    shutil.rmtree(test / "random")
    assert scoring(analysed) == analysis(analysed) == 0
    said = capsys.readouterr().out
    assert said.count("done already") == 15
    assert all(f"({what}, random): done in" in said for what in ("extraction", "score"))
    after = {path: path.stat().st_mtime_ns for path in test.rglob("*.wav")}
    assert {path for path in before if before[path] != after[path]} == set((test / "random").rglob("*.wav"))


def test_a_setting_of_the_scores_alone_leaves_wavs_and_clustering_as_they_are(analysed, capsys):
    wavs = list((analysed / "exp" / "mini" / "2mix").rglob("*.wav"))
    before = [path.stat().st_mtime_ns for path in wavs]
    assert analysis(analysed, "--set=score.max_bad=1") == 0
    said = capsys.readouterr().out
    assert said.count("done already") == 9 and said.count("max_bad changed") == 7 and "(clustering): done al" in said
    assert [path.stat().st_mtime_ns for path in wavs] == before
    assert analysis(analysed) == 0


def test_a_bad_wav_fails_the_stage_in_one_line(analysed, capsys):
    wav = analysed / "exp" / "mini" / "2mix" / "net" / "test" / "matched" / "wav" / "m1-a.wav"
    kept = wav.read_bytes()
    wav.write_bytes(kept[:100])
    assert scoring(analysed, "--force", "true") == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(errors) == 1 and "m1-a" in errors[0]
    wav.write_bytes(kept)
    assert scoring(analysed) == 0


def rows_of(path: Path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_the_ends_of_the_way_between_two_embeddings_are_the_extractors_own_scores(analysed):
    net = analysed / "exp" / "mini" / "2mix" / "net"
    matched = {(row["mix"], row["speaker"]): row for row in rows_of(net / "test" / "matched" / "scores" / "scores.csv")}
    ends = [row for row in rows_of(net / "analysis" / "interpolation.csv") if row["a"] in ("0.0", "1.0")]
    assert len(ends) == 4
    for row in ends:
        which = "a" if row["a"] == "0.0" else "b"
        own = matched[row["mix"], row[f"speaker_{which}"]]
        for metric in ("si_sdr", "si_sdri"):
            assert float(row[f"{metric}_{which}"]) == pytest.approx(float(own[metric]), abs=2e-4)


def test_a_part_of_the_analysis_that_is_there_is_not_made_again(analysed, capsys):
    folder = analysed / "exp" / "mini" / "2mix" / "net" / "analysis"
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*.*") if path.is_file()}
    for name in ("margins.json", ".stage.files"):  # as if killed in the middle
        (folder / name).unlink()
    state = json.loads((folder / ".stage.json").read_text())
    write_json(folder / ".stage.json", state | {"done": False, "files": None})
    assert analysis(analysed) == 0
    assert "(analysis, net): done in" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {path.name for path, stamp in after.items() if before[path][0] != stamp} >= {"margins.csv", "margins.json"}
    assert all(
        after[folder / f"{name}.csv"] == before[folder / f"{name}.csv"][0] for name in ("interpolation", "worst")
    )
    assert (folder / "margins.json").read_bytes() == before[folder / "margins.json"][1]


def test_analyses_that_are_not_asked_for_are_left_out(analysed, capsys):
    none = "--set=score.analysis={interpolation: 0, worst: 0}"
    assert analysis(analysed, none) == 0
    folder = analysed / "exp" / "mini" / "2mix" / "net" / "analysis"
    assert "analysis.interpolation and 1 more changed (50 to 0), " in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == ["margins.csv", "margins.json"]
    assert analysis(analysed) == 0
    assert (folder / "worst" / "targets" / "m1-a.wav").is_file()


@pytest.fixture(scope="module")
def separated(analysed):
    """That project with a separator that was never trained, its outputs scored and analysed."""
    mixtures = analysed / "exp" / "mini" / "2mix"
    tasnet = plugins.load("separators", "conv_tasnet")
    sizes = {"num_filters": 8, "window": 32, "bottleneck": 8, "hidden": 8, "num_blocks": 1, "num_stacks": 1}
    torch.manual_seed(0)
    model = tasnet.Model(tasnet.Config(num_spk=2, **sizes))
    checkpoint.save_model(mixtures / "tasnet" / "separated" / "model.pt", "separators", model)
    mark_done(mixtures / "tasnet" / "separated")
    data = f"--data={analysed}/data/2mix/test"
    options = [f"--config={analysed}/extract.yaml", data, f"--separator={mixtures}/tasnet"]
    assert separate_speech.main(options) == 0
    tested = [f"--config={analysed}/score.yaml", data, f"--extractor={mixtures}/tasnet", "--condition=separated"]
    assert score.main(tested) == 0
    assert analysis(analysed, f"--separator={mixtures}/tasnet") == 0
    return analysed


def test_separated_speech_is_embedded_by_the_teacher_where_its_talker_speaks(separated):
    exp = separated / "exp" / "mini"
    found = json.loads((exp / "2mix" / "tasnet" / "analysis" / "separated.json").read_text())
    rows = rows_of(exp / "2mix" / "tasnet" / "analysis" / "separated.csv")
    assert len(rows) == 4 * 7 and [step["a"] for step in found["steps"]] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    for name, metrics in (("separated", found["separated"]), *((str(step["a"]), step) for step in found["steps"])):
        right = [int(row["right"]) for row in rows if row["a"] == name]
        assert metrics["acc"] == pytest.approx(np.mean(right)) and metrics["num"] == 4
    teacher = checkpoint.load_model(exp / "teacher" / "model.pt", "teachers")
    references = read_embeddings(exp / "2mix" / "embeddings" / "test" / "teacher.scp")
    for plan in read_plans(separated / "data" / "2mix" / "test" / "plan.jsonl"):
        for place, key in enumerate(speaker_keys(plan)):
            source, rendered = plan.sources[place], render(plan)
            wav = read_audio(exp / "2mix" / "tasnet" / "test" / "separated" / "wav" / f"{key}.wav")
            for name, speech in (("separated", wav), ("0.0", rendered.sources[place])):
                with torch.inference_mode():
                    emb = teacher(torch.from_numpy(speech[source.offset : source.offset + source.num_samples])[None])
                wanted = torch.nn.functional.cosine_similarity(emb, torch.from_numpy(references[key])[None]).item()
                row = next(r for r in rows if (r["mix"], r["speaker"], r["a"]) == (plan.id, source.spk, name))
                assert float(row["cos"]) == pytest.approx(wanted, abs=1e-5)


def test_the_report_tells_what_lies_behind_the_numbers_and_its_links_lead_somewhere(separated):
    exp = separated / "exp" / "mini"
    assert report.main(["--corpus=mini", "--num_spk=2", f"--exp={exp}"]) == 0
    results = json.loads((exp / "results.json").read_text())
    assert set(results["analysis"]["net"]) == {"interpolation", "margins", "worst"}
    assert set(results["analysis"]["tasnet"]) == {"separated"}
    assert "mixtures" not in results["analysis"]["net"]["interpolation"]
    assert results["embeddings"]["tasnet/separated"]["num"] == 4
    pairs = {table: [(one["first"], one["second"]) for one in ahead] for table, ahead in results["ahead"].items()}
    assert pairs == {
        "embeddings": [("student", other) for other in ("kmeans", "kmeans/teacher", "tasnet/separated")],
        "extraction": [
            ("net", other) for other in ("net/none", "net/wrong", "net/oracle", "net/enrolment", "tasnet/separated")
        ],
    }
    for folder in (exp, exp / "2mix"):
        text = (folder / "RESULTS.md").read_text()
        titles = (
            "Between two embeddings",
            "Margin between the candidates",
            "Separate first, then embed",
            "Worst mixtures",
        )
        assert sorted(titles, key=lambda title: text.index(f"## {title}\n")) == list(titles)
        assert "training is not there" in text  # of a model that was never trained
        links = re.findall(r"\]\(([^)]+)\)", text)
        assert any(link.endswith("WORST.md") for link in links) and all((folder / link).is_file() for link in links)
    for plot in ("interpolation_net", "margins_net", "separated_tasnet"):
        assert all((exp / "2mix" / "plots" / f"{plot}{end}").stat().st_size > 1000 for end in (".png", ".pdf", ".svg"))
    worst = (exp / "2mix" / "WORST.md").read_text()
    links = re.findall(r"\]\(([^)]+)\)", worst)
    assert len(links) == 2 * (1 + 2 * 2) and all((exp / "2mix" / link).stat().st_size > 1000 for link in links)
