import runpy

import pytest
import setuptools
from places import ROOT

from wesep_mix.__main__ import main
from wesep_mix.base import installed
from wesep_mix.base.config import from_dict
from wesep_mix.base.errors import UserError
from wesep_mix.evaluation.settings import ScoreConfig
from wesep_mix.training import loop


@pytest.fixture
def nothing_optional(monkeypatch):
    monkeypatch.setattr(installed, "find_spec", lambda name: None)


def test_setup_has_the_same_parts(monkeypatch):
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **options: given.update(options))
    runpy.run_path(str(ROOT / "setup.py"))
    for part, packages in installed.PACKAGES.items():
        assert [name.partition(">")[0] for name in given["extras_require"][part]] == list(packages)


def test_a_part_is_there_when_all_its_packages_are(monkeypatch):
    assert installed.is_there("dnsmos")
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name == "speechmos" else name)
    assert not installed.is_there("dnsmos") and installed.is_there("ecapa")
    assert installed.how_to_get("dnsmos").startswith("not installed here: speechmos; `WESEP_MIX_EXTRAS=dnsmos bash ")


def test_dnsmos_without_its_packages_is_refused_with_the_config(nothing_optional):
    assert not from_dict(ScoreConfig, {}, "score.yaml").dnsmos
    with pytest.raises(UserError, match=r"^score.yaml: dnsmos: not installed here: speechmos; `WESEP"):
        from_dict(ScoreConfig, {"dnsmos": True}, "score.yaml")


def test_training_without_tensorboard_logs_to_csv_alone(nothing_optional, tmp_path, monkeypatch):
    assert [type(one).__name__ for one in loop._loggers(tmp_path)] == ["CSVLogger"]
    monkeypatch.undo()
    assert [type(one).__name__ for one in loop._loggers(tmp_path)] == ["TensorBoardLogger", "CSVLogger"]


def test_the_page_without_gradio_says_how_to_get_it(nothing_optional, capsys):
    assert main(["page"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: page: not installed here: gradio; `WESEP_MIX_EXTRAS=page bash run.sh")
