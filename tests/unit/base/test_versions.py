import platform

import numpy
import torch

from wesep_mix.base.installed import shown, versions


def test_they_are_those_that_are_imported():
    found = versions()
    assert list(found) == ["python", "torch", "torchaudio", "lightning", "transformers", "numpy"]
    assert (found["python"], found["numpy"]) == (platform.python_version(), numpy.__version__)
    assert torch.__version__.startswith(found["torch"].partition("+")[0])


def test_one_line_for_readers():
    assert shown({"python": "3.11.7", "torch": "2.14.1"}) == "python 3.11.7, torch 2.14.1"


def test_a_package_that_is_not_there_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr("wesep_mix.base.installed.NAMES", ("a-package-that-nobody-has",))
    assert versions()["a-package-that-nobody-has"] == "not installed"
