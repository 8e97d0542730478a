import sys

import pytest

import wesep_mix.frontends
from wesep_mix import plugins
from wesep_mix.errors import UserError


@pytest.mark.parametrize("kind, some, helpers", [
    ("corpora", {"mini", "librispeech"}, {"types", "folders", "split", "noise"}),
    ("frontends", {"logmel"}, set()),
    ("teachers", {"asp"}, set()),
    ("students", {"parallel_heads"}, set()),
    ("extractors", {"dpccn", "stft_tcn"}, {"contract", "wesep_names", "wesep_settings"}),
    ("separators", {"conv_tasnet"}, {"contract"}),
    ("exports", {"librimix", "wesep_v01_shards"}, {"job", "settings", "shards", "signals", "wavs", "embeddings"}),
])
def test_plugins_are_the_files_with_a_config_and_helpers_are_not(kind, some, helpers):
    names = plugins.names(kind)
    assert some <= set(names) and not helpers & set(names)
    assert names == sorted(names)


def test_the_tested_kinds_are_all_kinds():
    assert plugins.KINDS == ("corpora", "frontends", "teachers", "students", "extractors", "separators", "exports")


def test_load_and_build():
    module = plugins.load("frontends", "logmel")
    assert module.__name__ == "wesep_mix.frontends.logmel"
    model = plugins.build("frontends", module.Config(channels=8, num_layers=1))
    assert isinstance(model, module.Model) and model.config.channels == 8


@pytest.mark.parametrize("name, said", [
    ("logmell", "frontends: no 'logmell', did you mean logmel? (there are: ge2e, logmel"),
    ("zzz", "frontends: no 'zzz' (there are: ge2e, logmel"),
    (None, "frontends: no None (there are: ge2e, logmel"),
    (["logmel"], "frontends: no ['logmel']"),
    ("__init__", "frontends: no '__init__'"),
])
def test_a_wrong_name_is_answered_with_the_names_there_are(name, said):
    with pytest.raises(UserError) as err:
        plugins.load("frontends", name)
    assert str(err.value).startswith(said)


def test_a_file_is_all_that_a_new_plugin_needs(tmp_path, monkeypatch):
    (tmp_path / "humming.py").write_text(
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\nclass Config:\n    name: str = 'humming'\n"
        "class Model:\n    def __init__(self, config):\n        self.config = config\n"
    )
    monkeypatch.setattr(wesep_mix.frontends, "__path__", [*wesep_mix.frontends.__path__, str(tmp_path)])
    try:
        assert "humming" in plugins.names("frontends")
        config = plugins.load("frontends", "humming").Config()
        assert plugins.build("frontends", config).config == config
    finally:
        sys.modules.pop("wesep_mix.frontends.humming", None)
