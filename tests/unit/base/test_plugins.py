import re
import subprocess
import sys

import pytest

import wesep_mix.models.frontends
from wesep_mix.base import plugins
from wesep_mix.base.errors import UserError


@pytest.mark.parametrize(
    "kind, some, helpers",
    [
        ("corpora", {"mini", "librispeech"}, {"types", "folders", "split", "noise"}),
        ("frontends", {"logmel"}, set()),
        ("teachers", {"asp"}, set()),
        ("students", {"parallel_heads"}, set()),
        ("extractors", {"dpccn", "stft_tcn"}, {"contract", "wesep_names", "wesep_settings"}),
        ("separators", {"conv_tasnet"}, {"contract"}),
        (
            "memory",
            {"online", "leader", "incremental", "stitch"},
            {"observing", "pairing", "slots", "baseline", "offline"},
        ),
        ("exports", {"librimix", "wesep_v01_shards"}, {"job", "settings", "shards", "signals", "wavs", "embeddings"}),
    ],
)
def test_plugins_are_the_files_with_a_config_and_helpers_are_not(kind, some, helpers):
    names = plugins.names(kind)
    assert some <= set(names) and not helpers & set(names)
    assert names == sorted(names)


def test_the_tested_kinds_are_all_kinds():
    assert tuple(plugins.PACKAGES) == (
        "corpora",
        "frontends",
        "teachers",
        "students",
        "extractors",
        "separators",
        "memory",
        "exports",
    )


def test_load_and_build():
    module = plugins.load("frontends", "logmel")
    assert module.__name__ == "wesep_mix.models.frontends.logmel"
    model = plugins.build("frontends", module.Config(channels=8, num_layers=1))
    assert isinstance(model, module.Model) and model.config.channels == 8


@pytest.mark.parametrize(
    "name, said",
    [
        ("logmell", "frontends: no 'logmell', did you mean logmel? (there are: campplus, ge2e, logmel"),
        ("zzz", "frontends: no 'zzz' (there are: campplus, ge2e, logmel"),
        (None, "frontends: no None (there are: campplus, ge2e, logmel"),
        (["logmel"], "frontends: no ['logmel']"),
        ("__init__", "frontends: no '__init__'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_names_there_are(name, said):
    with pytest.raises(UserError) as err:
        plugins.load("frontends", name)
    assert str(err.value).startswith(said)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a file beside the front-ends, and returns its path."""
    before = set(sys.modules)
    monkeypatch.setattr(wesep_mix.models.frontends, "__path__", [*wesep_mix.models.frontends.__path__, str(tmp_path)])

    def write(name: str, content: str | bytes):
        path = tmp_path / f"{name}.py"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("wesep_mix.models.frontends."):
            del sys.modules[name]


def test_a_file_is_all_that_a_new_plugin_needs(written):
    written("humming", WHOLE + "class Model:\n    def __init__(self, config):\n        self.config = config\n")
    assert "humming" in plugins.names("frontends")
    config = plugins.load("frontends", "humming").Config(name="humming")
    assert plugins.build("frontends", config).config == config


WHOLE = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Config:\n    name: str = 'half'\n"
HALF_WRITTEN = {
    "a package that is not there": (WHOLE + "import notthere\n", 5, "ModuleNotFoundError: No module named 'notthere'"),
    "a name that is not there": (
        WHOLE + "from wesep_mix.models.layers.network import loud\n",
        5,
        "ImportError: cannot import",
    ),
    "a sentence that does not end": (WHOLE + "class Model(\n", 5, "SyntaxError: '(' was never closed"),
    "an exception": (WHOLE + "1 / 0\n", 5, "ZeroDivisionError: division by zero"),
    "an exception of many lines": (WHOLE + "raise RuntimeError('one\\ntwo')\n", 5, "RuntimeError: one two"),
    "an end of the process": ("import sys\n" + WHOLE + "sys.exit(3)\n", 6, "SystemExit: 3"),
    "a merge that was not finished": ("<<<<<<< HEAD\n" + WHOLE, 1, "SyntaxError: invalid syntax"),
    "bytes that are no text": (b"class Config:\n    name = '\xe9'\n", None, ""),
    "a zero byte": (b"class Config:\n    \0\n", None, ""),
    "a type that is not there": (
        "from __future__ import annotations\n" + WHOLE + "    size: Sise = 3\n",
        None,
        "NameError: name 'Sise' is not defined",
    ),
}


@pytest.mark.parametrize("case", HALF_WRITTEN)
def test_a_half_written_file_stops_itself_alone(case, written):
    content, line, cause = HALF_WRITTEN[case]
    path = written("half", content)
    assert {"half", "logmel"} <= set(plugins.names("frontends"))
    assert plugins.build("frontends", plugins.load("frontends", "logmel").Config()).channels == 128
    with pytest.raises(UserError) as err:
        plugins.load("frontends", "half")
    place = r"(, line \d+)?" if line is None else f", line {line}"
    assert re.match(re.escape(str(path)) + place + re.escape(f": cannot be imported ({cause}"), str(err.value))
    assert "\n" not in str(err.value)
    with pytest.raises(UserError, match=r"no 'zzz' \(there are: campplus, ge2e, half \(broken\), logmel, ssl\)"):
        plugins.load("frontends", "zzz")


def test_a_config_that_is_no_dataclass_is_told(written):
    path = written("half", "class Config:\n    name = 'half'\n")
    with pytest.raises(UserError, match=f"^{path}: Config: wanted a frozen dataclass, found type <class"):
        plugins.load("frontends", "half")
    assert "half (broken)" in plugins.listed("frontends")


def test_a_file_without_a_config_is_no_plugin_and_says_so_when_asked_for(written):
    path = written("helper", "def Configure():\n    Config = 1\n1 / 0\n")
    assert "helper" not in plugins.names("frontends")
    with pytest.raises(UserError, match=f"^frontends: no 'helper', {path} defines no Config"):
        plugins.load("frontends", "helper")


@pytest.mark.parametrize(
    "content",
    [
        "from wesep_mix.models.frontends.logmel import Config, Model\n",
        "from wesep_mix.models.frontends import logmel\nConfig = logmel.Config\n",
        "from wesep_mix.models.frontends import logmel as other\nConfig: type = other.Config\n",
        "try:\n    from wesep_mix.models.frontends.logmel import Config\nexcept ImportError:\n    raise\n",
    ],
)
def test_a_config_may_come_from_elsewhere(written, content):
    written("again", content)
    assert "again" in plugins.names("frontends")
    assert plugins.load("frontends", "again").Config is plugins.load("frontends", "logmel").Config


def test_only_what_is_asked_for_is_imported():
    code = (
        "import sys\nfrom wesep_mix.base import plugins\nplugins.names('extractors')\n"
        "assert 'torch' not in sys.modules\n"
        "plugins.load('corpora', 'mini')\n"
        "print(*(name for name in sys.modules if name.startswith('wesep_mix.corpora.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        "wesep_mix.corpora.mini" in done.stdout.split() and "wesep_mix.corpora.librispeech" not in done.stdout.split()
    )
