"""Every config of every recipe in egs is valid, and its models can be built and run as they are set there."""

import dataclasses
import json
import shutil
import subprocess
from functools import lru_cache

import pytest
import torch
from places import ROOT

from wesep_mix.base import plugins
from wesep_mix.base.config import CHOSEN, SECTIONS, load_config, read_raw
from wesep_mix.bin import check_config
from wesep_mix.tables.recordings import load_recordings
from wesep_mix.training import smoke
from wesep_mix.training.extractor import build_extractor
from wesep_mix.training.separator import build_separator
from wesep_mix.training.settings import ExtractorConfig, SeparatorConfig, StudentConfig, TeacherConfig
from wesep_mix.training.student import build_student

CORPORA = sorted(path.parts[-3] for path in ROOT.glob("egs/*/conf/corpus.yaml"))
RECIPES = sorted((path.parts[-4], path.stem) for path in ROOT.glob("egs/*/conf/extractor/*.yaml"))
BESIDE = {"table1", "table2", "sessions"}  # not every corpus has them
TABLES = sorted(path.parts[-3] for path in ROOT.glob("egs/*/conf/table1.yaml"))
SEPARATORS = sorted((path.parts[-4], path.stem) for path in ROOT.glob("egs/*/conf/separator/*.yaml"))


SESSIONS = sorted(path.parts[-3] for path in ROOT.glob("egs/*/conf/sessions.yaml"))


def check(corpus: str, extractor: str, *settings: str, tables: bool = False, sessions: bool = False) -> int:
    return check_config.main(
        [
            f"--egs={ROOT / 'egs' / corpus}",
            f"--extractor={extractor}",
            f"--tables={str(tables).lower()}",
            f"--sessions={str(sessions).lower()}",
            *(f"--set={setting}" for setting in settings),
        ]
    )


@pytest.fixture(autouse=True)
def importable(wesep_checkout, monkeypatch):
    """A checkout of WeSep, which some extractors need."""
    monkeypatch.setenv("WESEP_DIR", str(wesep_checkout))


def test_there_are_recipes():
    assert "mini" in CORPORA and "mini" in TABLES and {corpus for corpus, _ in RECIPES} == set(CORPORA)


@pytest.mark.parametrize("corpus, extractor", RECIPES)
def test_every_config_is_valid(corpus, extractor, capsys):
    assert check(corpus, extractor) == 0, capsys.readouterr().err


@pytest.mark.parametrize("corpus, extractor", RECIPES)
def test_a_recipes_extractor_has_a_fusion(corpus, extractor, capsys):
    assert check(corpus, extractor, "extractor.model.fusion=none") == 1
    assert "model.fusion: wanted a fusion, found none: stage 5 trains the same network" in capsys.readouterr().err


@pytest.mark.parametrize("corpus", TABLES)
def test_every_row_of_the_tables_is_valid(corpus, capsys):
    extractor = next(name for place, name in RECIPES if place == corpus)
    assert check(corpus, extractor, tables=True) == 0, capsys.readouterr().err


def test_a_wrong_setting_of_a_row_is_told_with_the_rows_name(capsys):
    rows = "{hard: {title: h, num_spk: 1, model: teacher, embeddings: {single.length_s: 0.1}}}"
    assert (
        check(
            "mini",
            "stft_tcn",
            f"table1.rows={rows}",
            "table1.shares=[]",
            "table1.ahead=[]",
            "table1.counts=null",
            "table2.rows={noisy: {title: n, num_spk: 2, model: mixture}}",
            "table2.ahead=[]",
            tables=True,
        )
        == 1
    )
    error = capsys.readouterr().err
    assert (
        "table1.yaml: row hard: " in error and "length_s: wanted seconds from 0.4 on, or 0 for all, found 0.1" in error
    )


@pytest.mark.parametrize("corpus", [corpus for corpus in SESSIONS if corpus != "libri2mix"])
def test_the_sessions_of_a_recipe_are_valid(corpus):
    """Libri2mix's teacher wants pretrained weights, which are not here."""
    extractor = next(name for recipe, name in RECIPES if recipe == corpus)
    assert check(corpus, extractor, sessions=True) == 0
    assert check(corpus, extractor, "sessions.speech=nobody", sessions=True) == 1


@pytest.mark.parametrize("path", sorted(ROOT.glob("egs/*/conf/recordings.yaml")), ids=lambda path: path.parts[-3])
def test_the_recordings_of_a_recipe_are_valid_and_have_it_alone(path):
    config = load_recordings(path, [])
    assert (config.document == "TABLE3") == ("input" in config.printed) and config.recordings_dir == ""
    assert [file.name for file in path.parent.iterdir()] == ["recordings.yaml"]


@pytest.mark.parametrize("corpus", CORPORA)
def test_the_default_extractor_is_there_and_no_config_is_left_over(corpus):
    conf = ROOT / "egs" / corpus / "conf"
    told = '. "$1"; echo "$extractor,$num_spk,$share_with"'
    command = ["bash", "-euc", f"extractor= num_spk= share_with=; {told}", "bash", str(conf.parent / "defaults.sh")]
    extractor, num_spk, share_with = subprocess.run(command, text=True, capture_output=True).stdout.strip().split(",")
    assert (corpus, extractor) in RECIPES
    assert num_spk in ("", "2", "3", "4", "5") and share_with in ("", *CORPORA)
    files = {path.stem for path in conf.glob("*.yaml")} - BESIDE
    assert files == set(SECTIONS) - set(CHOSEN)


def test_libri3mix_is_libri2mix_but_for_the_number_of_mixtures():
    """A file that libri2mix has more would be missed there."""
    two, three = (ROOT / "egs" / corpus / "conf" for corpus in ("libri2mix", "libri3mix"))
    files = {path.relative_to(three) for path in three.rglob("*.yaml")}
    assert files == {path.relative_to(two) for path in two.rglob("*.yaml") if path.stem not in BESIDE}
    for file in files:
        raw, other = read_raw(three / file), read_raw(two / file)
        assert {key for key in raw if raw[key] != other[key]} == ({"mixtures"} if file.stem == "corpus" else set())


def without_weights(config):
    """The same model; a front-end that would read pretrained weights starts from random ones of the same size."""
    frontend = config.frontend
    if getattr(frontend, "name", None) == "ssl":
        assert frontend.source == "microsoft/wavlm-base"
        base = json.dumps({"model_type": "wavlm", "do_normalize": False})
        frontend = dataclasses.replace(frontend, architecture=base)
    if getattr(frontend, "name", None) in ("ge2e", "campplus"):
        frontend = dataclasses.replace(frontend, weights_inside=True)
    return dataclasses.replace(config, frontend=frontend)


@lru_cache(maxsize=1)  # the extractors of a recipe come one after the other
def encoders(teaching: TeacherConfig, learning: StudentConfig):
    """A recipe's teacher, and its student of two talkers."""
    teacher = plugins.build("teachers", without_weights(teaching.model)).eval()
    learning = dataclasses.replace(learning, model=without_weights(learning.model))
    return teacher, build_student(learning, teacher, num_spk=2).eval()


@pytest.mark.parametrize("corpus, extractor", RECIPES)
def test_its_models_fit_together(corpus, extractor):
    conf, wav = ROOT / "egs" / corpus / "conf", 0.1 * torch.randn(1, 8000)
    teacher, student = encoders(
        load_config(TeacherConfig, conf / "teacher.yaml"), load_config(StudentConfig, conf / "student.yaml")
    )
    settings = load_config(ExtractorConfig, conf / "extractor" / f"{extractor}.yaml")
    assert extractor in (settings.model.name, getattr(settings.model, "model", "").lower())  # a class of WeSep
    with torch.inference_mode():
        emb = student(wav).embeddings
        assert emb.shape == (1, 2, teacher(wav).shape[1])
        for learned, given in ((student, emb[:, 0]), (None, None)):
            assert build_extractor(settings, learned)(wav, given).shape == wav.shape


@pytest.mark.parametrize("corpus, separator", SEPARATORS)
@pytest.mark.parametrize("num_spk", [2, 3])
def test_a_separator_is_valid_beside_the_rest_and_has_an_output_a_talker(corpus, separator, num_spk, capsys):
    conf = ROOT / "egs" / corpus / "conf"
    extractor = next(name for place, name in RECIPES if place == corpus)
    arguments = [f"--egs={conf.parent}", f"--extractor={extractor}", f"--separator={separator}"]
    assert check_config.main([*arguments, "--set=separator.batch_size=3"]) == 0, capsys.readouterr().err
    assert check_config.main([*arguments, "--set=separator.batch_sise=3"]) == 1
    assert f"{separator}.yaml: batch_sise: unknown key, did you mean batch_size?" in capsys.readouterr().err
    settings = load_config(SeparatorConfig, conf / "separator" / f"{separator}.yaml")
    assert settings.model.name == separator
    with torch.inference_mode():
        assert build_separator(settings, num_spk)(0.1 * torch.randn(1, 4000)).shape == (1, num_spk, 4000)


def test_a_separator_that_is_not_there_is_named(capsys):
    assert check_config.main([f"--egs={ROOT / 'egs' / 'mini'}", "--extractor=stft_tcn", "--separator=sepformer"]) == 1
    assert "conf/separator/sepformer.yaml: no such config file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "setting, said",
    [
        ("teacher.optim.lrr=1", "teacher.yaml: optim: lrr: unknown key, did you mean lr?"),
        ("optim.lrr=1", "--set optim.lrr=1: unknown key in every config of this recipe, did you mean optim.lr?"),
        ("qqqq=1", "--set qqqq=1: unknown key in every config of this recipe; keys begin with one of corpus, teacher"),
        ("teacher.batch_size=many", "teacher.yaml: batch_size: wanted int, found 'many'"),
        ("teacher.model.frontend.name=wavlm9", "teacher.yaml: model: frontend: frontends: no 'wavlm9'"),
        (
            "extractor.model.fusion=glue",
            "stft_tcn.yaml: model: fusion: wanted none, concat, additive, multiply or film, found 'glue'",
        ),
        ("trainer.max_steps=7", "trainer.max_steps (7) must be a multiple of trainer.steps_per_epoch"),
        ("corpus.mixing.overlap=[0.8, 0.5]", "corpus.yaml: mixing: overlap: wanted [low, high], found [0.8, 0.5]"),
        ("extract.wav_subtype=MP3", "extract.yaml: wav_subtype: wanted PCM_16 or FLOAT, found 'MP3'"),
        ("score.chunk_s=8", "score.yaml: chunk_s: unknown key, it is extract.chunk_s (conf/extract.yaml)"),
        ("score.batch_size=8", "score.yaml: batch_size: unknown key, it is extract.batch_size (conf/extract.yaml)"),
        ("optim.lr", "--set optim.lr: wanted key=value"),
        ("optim.lr=-1", "teacher.yaml: optim: lr: wanted a number above 0, found -1"),
        ("embeddings.sets=[dev, tset]", "embeddings.yaml: sets[1]: wanted train, dev or test, found 'tset'"),
        ("embeddings.batch_size=0", "embeddings.yaml: batch_size: wanted 1 or more, found 0"),
        (
            "trainer.average=2",
            "; the setting is there, but its YAML does not write it: use --set extractor.trainer.average=2",
        ),
        (
            "cue={predicted: 0.5, clean: 0.5}",
            "its YAML does not write it: use --set extractor.cue={predicted: 0.5, clean: 0.5}",
        ),
        ("extractor.loss.weights=[1, 1]", "stft_tcn: loss.weights: wanted 1 (one an estimate), found [1.0, 1.0]"),
        ("extractor.model.hop=3000", "stft_tcn.yaml: model: hop: wanted 1 to 320 (half of window), found 3000"),
        ("extractor.model.channels=0", "stft_tcn.yaml: model: channels: wanted 1 or more, found 0"),
        ("teacher.arcface.scale=0", "teacher.yaml: arcface: scale: wanted a number above 0, found 0"),
        ("teacher.arcface.margin=4", "arcface: margin: wanted radians from 0 to below a right angle, found 4"),
        ("teacher.arcface.margin_warmup=5", "arcface: margin_warmup: wanted a share of all steps, 0 to 1, found 5"),
        ("teacher.trainer.clip=-1", "trainer: clip: wanted 0 or more, found -1"),
        ("embeddings.matching=best", "embeddings.yaml: matching: wanted assignment or nearest, found 'best'"),
        ("separator.optim.lr=1e-3", "; separator.yaml is read only with --separator NAME"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_1(setting, said, capsys):
    assert check("mini", "stft_tcn", setting) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "setting",
    [
        "seed=3",
        "optim.lr=5e-4",
        "student.optim.lr=5e-4",
        "embeddings.batch_size=4",
        "teacher.trainer.num_workers=0",
        "extractor.model.fusion=concat",
        "corpus.corpus.seed=1",
    ],
)
def test_a_right_setting_is_accepted(setting, capsys):
    assert check("mini", "stft_tcn", setting) == 0, capsys.readouterr().err


def without_trial(monkeypatch):
    """Names of the models that a check tries, in a list that it fills."""
    tried = []
    monkeypatch.setattr(smoke, "try_teacher", lambda path, settings: tried.append(path.stem))
    monkeypatch.setattr(smoke, "try_student", lambda path, settings, teacher, num_spk: tried.append(path.stem))
    monkeypatch.setattr(smoke, "try_out", lambda path, settings, num_spk: tried.append(path.stem))
    return tried


@pytest.mark.parametrize(
    "stages, wanted",
    [
        ((1, 9), ["teacher", "student", "stft_tcn", "conv_tasnet"]),
        ((1, 1), []),
        ((2, 2), ["teacher"]),
        ((1, 3), ["teacher", "student"]),
        ((4, 4), []),
        ((5, 9), ["stft_tcn", "conv_tasnet"]),
        ((6, 9), []),
        ((9, 9), []),
    ],
)
def test_only_the_models_of_the_stages_to_be_run_are_tried(stages, wanted, monkeypatch):
    tried = without_trial(monkeypatch)
    arguments = [f"--egs={ROOT / 'egs' / 'mini'}", "--extractor=stft_tcn", "--separator=conv_tasnet"]
    assert check_config.main([*arguments, f"--stage={stages[0]}", f"--stop_stage={stages[1]}"]) == 0
    assert tried == wanted


def test_a_config_of_a_stage_that_is_not_run_is_validated_all_the_same(capsys):
    arguments = [f"--egs={ROOT / 'egs' / 'mini'}", "--extractor=stft_tcn", "--stage=9"]
    assert check_config.main([*arguments, "--set=teacher.optim.lrr=1"]) == 1
    assert "teacher.yaml: optim: lrr: unknown key" in capsys.readouterr().err
    assert check_config.main([*arguments, "--set=teacher.model.projection=-1"]) == 0  # which only building it tells


@pytest.mark.parametrize(
    "setting, said",
    [
        ("teacher.model.projection=-1", "teacher.yaml: model: cannot be built and run with these settings"),
        ("teacher.model.frontend.num_heads=5", "teacher.yaml: model: cannot be built and run with these settings"),
        ("teacher.model={name: ecapa, channels: 16, aggregated: 24, attention: 6, squeeze: 6}", ""),
        ("student.model.bottleneck=-1", "student.yaml: model: cannot be built and run with these settings"),
        ("student.finetuned_layers=3", "student.yaml: student: finetuned_layers 3: "),
        ("student.heads_from_teacher=true", ""),
        ("student.model.frontend={name: ssl, source: ./wavlm}", "student.yaml: ./wavlm: no such folder here"),
    ],
)
def test_a_teacher_or_a_student_that_cannot_be_is_told_before_any_stage(setting, said, capsys):
    assert check("mini", "stft_tcn", setting) == (1 if said else 0)
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == (1 if said else 0)


def test_more_talkers_than_the_mixtures_have_are_told_before_any_stage(capsys):
    arguments = [
        f"--egs={ROOT / 'egs' / 'mini'}",
        "--extractor=stft_tcn",
        "--set=student.min_talkers=3",
        "--set=student.model.presence=true",
    ]
    assert check_config.main([*arguments, "--num_spk=4"]) == 0
    assert check_config.main([*arguments, "--num_spk=2"]) == 1
    assert "student.yaml: student: min_talkers 3: wanted up to --num_spk 2" in capsys.readouterr().err


def test_a_student_is_tried_with_the_teacher_that_is_there_when_stage_2_is_not_run(tmp_path, capsys):
    """Stage 3 goes by that one, whatever teacher.yaml says by now."""
    raw = {"git": "abc", "model": {"name": "ecapa", "channels": 16, "aggregated": 24, "attention": 6, "squeeze": 6}}
    (tmp_path / "config.yaml").write_text(json.dumps(raw))
    arguments = [f"--egs={ROOT / 'egs' / 'mini'}", "--extractor=stft_tcn", f"--teacher={tmp_path}", "--stop_stage=3"]
    arguments.append("--set=student.own_frontend=null")
    assert check_config.main([*arguments, "--stage=2"]) == 0
    assert check_config.main([*arguments, "--stage=3"]) == 1
    assert "student.yaml: student: the teacher ecapa has no front-end to copy" in capsys.readouterr().err


def test_a_key_twice_in_a_file_is_an_error(tmp_path, capsys):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    recipe = shutil.copytree(ROOT / "egs" / "mini", tmp_path / "egs" / "mini")
    assert check_config.main([f"--egs={recipe}", "--extractor=stft_tcn"]) == 0
    score = recipe / "conf" / "score.yaml"
    score.write_text(score.read_text() + "\nmax_bad: 3\nmax_bad: 4\n")
    assert check_config.main([f"--egs={recipe}", "--extractor=stft_tcn"]) == 1
    assert "score.yaml: not valid YAML (key 'max_bad' is there twice" in capsys.readouterr().err
    score.unlink()
    assert check_config.main([f"--egs={recipe}", "--extractor=stft_tcn"]) == 1
    assert "score.yaml: no such config file" in capsys.readouterr().err
